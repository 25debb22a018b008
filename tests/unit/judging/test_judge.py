"""The judge condemns: for each kind of violation a history that shows it, and a near one that is right."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tickonce.model import Policy, Run, RunState, Skip, token_of
from tickonce.testing.judging import (
    Call,
    Conditions,
    Evidence,
    Grant,
    History,
    Kind,
    Moments,
    Period,
    Span,
    Terms,
    TooUncertain,
    Trouble,
    Verdict,
    Write,
    ever_harmed,
    judge,
)

START = datetime(2026, 11, 21, 13, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STRICT = Terms(rhythm=Period(10 * SECOND), misfire="all", overlap="allow")
DEFAULT = Terms(rhythm=Period(10 * SECOND))
UNTIL = START + 60 * SECOND


def at(second: float) -> datetime:
    return START + second * SECOND


def call(
    second: float, *, attempt: int = 1, node: str = "n1", late: float = 0.01, takes: float = 0.5, **more: Any
) -> Call:
    began = at(second + late)
    return Call(
        token=token_of("s", at(second)),
        schedule_id="s",
        scheduled_time=at(second),
        attempt=attempt,
        node=node,
        began=began,
        ended=began + takes * SECOND,
        **more,
    )


def run(
    second: float, state: RunState = RunState.SUCCEEDED, *, late: float = 0.005, takes: float = 0.5, **more: Any
) -> Run:
    return Run(
        **{
            "token": token_of("s", at(second)),
            "schedule_id": "s",
            "job": "note",
            "arguments": "{}",
            "scheduled_time": at(second),
            "due": at(second),
            "state": state,
            "attempt": 1,
            "created_at": at(second + late),
            "finished_at": None if state.open else at(second + late + takes),
            **more,
        }
    )


def skip(reason: str, first: float, last: float | None = None, count: int = 1) -> Skip:
    return Skip("s", reason, at(first), at(first if last is None else last), count)


def lived(terms: Terms = STRICT) -> History:
    found = History()
    found.add("s", terms, START)
    return found


def done(*seconds: float) -> Evidence:
    return Evidence(calls=[call(second) for second in seconds], runs=[run(second) for second in seconds])


def without(evidence: Evidence, second: float) -> Evidence:
    return Evidence(
        calls=[item for item in evidence.calls if item.scheduled_time != at(second)],
        runs=[item for item in evidence.runs if item.scheduled_time != at(second)],
    )


ALL = (10, 20, 30, 40, 50, 60)


def judged(evidence: Evidence, history: History | None = None, **conditions: Any) -> Verdict:
    return judge(history or lived(), evidence, Conditions(**{"until": UNTIL, "prompt": 2 * SECOND, **conditions}))


def kinds(verdict: Verdict) -> list[Kind]:
    return [each.kind for each in verdict.violations]


class TestAllIsWell:
    def test_each_fire_once_is_clean_and_counted(self):
        verdict = judged(done(*ALL))
        assert verdict.clean, verdict.told()
        assert (verdict.fires, verdict.done, verdict.calls, len(verdict.lateness)) == (6, 6, 6, 6)
        assert verdict.edits == {"add": 1}

    def test_what_is_scheduled_later_is_not_judged(self):
        assert judged(done(*ALL, 70)).clean

    def test_its_form_is_json_and_names_every_kind(self):
        form = json.loads(json.dumps(judged(done(*ALL)).form()))
        assert form["clean"] is True
        assert all(form[kind] == 0 for kind in Kind)

    def test_too_little_is_told(self):
        verdict = judged(done(*ALL))
        verdict.faults["crash"] += 2
        assert verdict.lacking({"fires": 6, "faults": 2, "faults.crash": 2, "edits.add": 1}) == []
        assert len(verdict.lacking({"fires": 7, "faults": 3, "faults.pause": 1, "skipped.overlap": 1})) == 4


class TestMissed:
    def test_neither_run_nor_skip(self):
        assert kinds(judged(without(done(*ALL), 30))) == [Kind.MISSED]

    def test_a_schedule_of_which_nothing_is_there(self):
        assert kinds(judged(Evidence())) == [Kind.MISSED] * 6

    def test_a_run_asked_for_by_hand(self):
        history = lived()
        history.run_now("s", "k")
        assert kinds(judged(done(*ALL), history)) == [Kind.MISSED]

    def test_one_whose_reply_was_lost_may_be_missing_or_there(self):
        history = lived()
        history.run_now("s", "k", sure=False)
        assert judged(done(*ALL), history).clean


class TestDoubled:
    def test_one_attempt_called_twice(self):
        evidence = done(*ALL)
        evidence.calls.append(call(30, node="n2"))
        assert kinds(judged(evidence)) == [Kind.DOUBLED]

    def test_a_second_attempt_of_a_run_of_a_healthy_node(self):
        evidence = without(done(*ALL), 30)
        evidence.calls += [call(30), call(30, attempt=2, node="n2", late=1)]
        evidence.runs.append(run(30, attempt=2))
        assert kinds(judged(evidence)) == [Kind.DOUBLED]
        verdict = judged(evidence, harmed={"n1": (Span(at(30), at(31)),)})
        assert verdict.clean
        assert (verdict.recovered, verdict.recovered_after) == (1, [0.99 * SECOND])
        assert kinds(judged(evidence, harmed={"n1": (Span(at(40), at(50)),)})) == [Kind.DOUBLED]

    def test_a_retry_follows_a_failure_and_not_more_often_than_asked(self):
        evidence = without(done(*ALL), 30)
        evidence.calls += [call(30, failed=True), call(30, attempt=2, late=2)]
        evidence.runs.append(run(30, attempt=2, failures=1))
        assert judged(evidence).retried == 1
        evidence.runs[-1] = run(30, attempt=2, failures=2)
        assert kinds(judged(evidence)) == [Kind.DOUBLED]

    def test_a_fire_with_a_run_and_a_skip(self):
        evidence = done(*ALL)
        evidence.skips.append(skip("misfire", 30))
        assert Kind.DOUBLED in kinds(judged(evidence, lived(DEFAULT)))

    def test_a_fire_that_two_records_tell_of(self):
        history = lived()
        history.pause("s", at(15))
        history.resume("s", at(35))
        evidence = done(10, 40, 50, 60)
        evidence.skips += [skip("paused", 20, 30, 2), skip("paused", 30)]
        assert kinds(judged(evidence, history)) == [Kind.DOUBLED]

    def test_a_loss_without_harm(self):
        evidence = without(done(*ALL), 30)
        evidence.calls.append(call(30, attempt=2))
        evidence.runs.append(run(30, attempt=2, losses=1))
        assert kinds(judged(evidence)) == [Kind.DOUBLED]
        assert judged(evidence, harmed=ever_harmed(["n9"])).clean


class TestTime:
    def test_early(self):
        evidence = without(done(*ALL), 30)
        evidence.calls.append(call(30, late=-0.001))
        evidence.runs.append(run(30))
        assert kinds(judged(evidence)) == [Kind.EARLY]

    def test_late_unless_there_was_trouble(self):
        evidence = without(done(*ALL), 30)
        evidence.calls.append(call(30, late=2.5))
        evidence.runs.append(run(30, late=2.4))
        assert kinds(judged(evidence)) == [Kind.LATE]
        assert judged(evidence, troubles=(Trouble(begin=at(29), end=at(31)),)).clean
        assert judged(evidence, prompt=None).clean
        elsewhere = Trouble(begin=at(29), end=at(31), schedules=frozenset({"other"}))
        assert kinds(judged(evidence, troubles=(elsewhere,))) == [Kind.LATE]

    def test_what_a_node_had_when_it_was_frozen_it_begins_when_it_goes_on(self):
        evidence = without(done(*ALL), 30)
        evidence.calls.append(call(30, late=12))
        evidence.runs.append(run(30, late=0.01, takes=12))
        assert kinds(judged(evidence)) == [Kind.LATE]
        assert judged(evidence, harmed={"n1": (Span(at(30), at(42)),)}).clean
        assert kinds(judged(evidence, harmed={"n2": (Span(at(30), at(42)),)})) == [Kind.LATE]

    def test_one_that_was_too_late_and_was_asked_for_once_more(self):
        """It begins when somebody asks for it, and not before. Seed 52140 of the simulation."""
        evidence = without(done(*ALL), 30)
        evidence.calls.append(call(30, late=12))
        evidence.runs.append(run(30, late=0.01, takes=13))
        history = lived()
        history.retry(token_of("s", at(30)), at(41.9))
        assert kinds(judged(evidence)) == [Kind.LATE]
        assert judged(evidence, history).clean

    def test_jitter_counts_from_the_last_due_time(self):
        terms = Terms(rhythm=Period(10 * SECOND), misfire="all", overlap="allow", jitter=5 * SECOND)
        evidence = Evidence(
            calls=[call(second, late=6) for second in ALL], runs=[run(second, late=6) for second in ALL]
        )
        assert judged(evidence, lived(terms)).clean
        assert kinds(judged(evidence)) == [Kind.LATE] * 6


class TestStale:
    def test_an_outcome_taken_from_an_older_attempt(self):
        evidence = without(done(*ALL), 30)
        evidence.calls += [call(30, takes=9), call(30, attempt=2, node="n2", late=5)]
        evidence.runs.append(run(30, attempt=2, takes=6))
        evidence.writes.append(Write(token=token_of("s", at(30)), attempt=2, state=RunState.SUCCEEDED, at=at(36)))
        harmed = ever_harmed(["n1"])
        assert judged(evidence, harmed=harmed).clean
        evidence.writes[0] = Write(token=token_of("s", at(30)), attempt=1, state=RunState.SUCCEEDED, at=at(36))
        assert kinds(judged(evidence, harmed=harmed)) == [Kind.STALE]

    def test_two_ends_of_one_run(self):
        evidence = done(*ALL)
        for second in (1, 2):
            write = Write(token=token_of("s", at(30)), attempt=1, state=RunState.SUCCEEDED, at=at(30 + second))
            evidence.writes.append(write)
        assert kinds(judged(evidence)) == [Kind.STALE]

    def test_an_older_attempt_called_after_a_newer(self):
        evidence = without(done(*ALL), 30)
        evidence.calls += [call(30, late=5), call(30, attempt=2, node="n2", late=1)]
        evidence.runs.append(run(30, attempt=2))
        found = kinds(judged(evidence, harmed=ever_harmed(["n1"]), prompt=None))
        assert found == [Kind.STALE]


class TestUnexpected:
    def test_a_fire_that_nobody_asked_for(self):
        assert kinds(judged(done(*ALL, 33))) == [Kind.UNEXPECTED]

    def test_a_fire_before_it_was_added_and_after_it_was_removed(self):
        history = History()
        history.add("s", STRICT, at(15))
        history.remove("s", at(45))
        assert kinds(judged(done(*ALL), history)) == [Kind.UNEXPECTED] * 3
        assert judged(done(20, 30, 40), history).clean

    def test_a_launch_while_paused(self):
        history = lived()
        history.pause("s", at(15))
        history.resume("s", at(35))
        evidence = done(10, 20, 40, 50, 60)
        evidence.skips.append(skip("paused", 30))
        assert kinds(judged(evidence, history)) == [Kind.UNEXPECTED]

    def test_a_skip_of_what_was_no_fire(self):
        evidence = done(*ALL)
        evidence.skips.append(skip("misfire", 33))
        assert kinds(judged(evidence)) == [Kind.UNEXPECTED]

    def test_a_record_of_time_in_which_a_trigger_could_not_say_what_was_due(self):
        """A pause of a schedule whose trigger raises, and another one 11 ms later. Seed 51749 of the simulation."""
        evidence = done(*ALL)
        evidence.skips.append(replace(skip("paused", 33, 33.011), more=True))
        unsure = lived(replace(STRICT, sure=False))
        assert judged(evidence, unsure).clean
        assert kinds(judged(evidence)) == [Kind.UNEXPECTED]
        evidence.skips[0] = skip("paused", 33, 33.011)
        assert kinds(judged(evidence, unsure)) == [Kind.UNEXPECTED]

    def test_a_run_by_hand_of_nobody(self):
        evidence = done(*ALL)
        evidence.runs.append(run(33, token="s@run-k", source="manual"))
        assert kinds(judged(evidence)) == [Kind.UNEXPECTED]

    def test_a_call_of_which_the_store_knows_nothing(self):
        evidence = done(*ALL)
        evidence.runs.pop()
        assert sorted(kinds(judged(evidence))) == [Kind.MISSED, Kind.UNEXPECTED]

    def test_an_attempt_that_the_store_never_gave(self):
        evidence = done(*ALL)
        evidence.calls.append(call(30, attempt=2, late=1))
        found = kinds(judged(evidence, harmed=ever_harmed(["n1"])))
        assert found == [Kind.UNEXPECTED]


class TestEndless:
    @pytest.mark.parametrize("state", [RunState.PENDING, RunState.RUNNING])
    def test_a_run_that_is_open_when_all_should_be_over(self, state):
        evidence = without(done(*ALL), 30)
        evidence.calls.append(call(30))
        evidence.runs.append(run(30, state))
        assert kinds(judged(evidence)) == [Kind.ENDLESS]

    def test_one_by_hand(self):
        history = lived()
        history.run_now("s", "k")
        evidence = done(*ALL)
        evidence.runs.append(run(33, RunState.PENDING, token="s@run-k", source="manual"))
        assert kinds(judged(evidence, history)) == [Kind.ENDLESS]

    def test_one_by_hand_behind_the_judged_time(self):
        """It had no more time to end than fires of then, which are not judged. Seed 33759 of the simulation."""
        history = lived()
        history.run_now("s", "k")
        evidence = done(*ALL)
        late = (UNTIL - START) / SECOND + 1
        evidence.runs.append(run(late, RunState.RUNNING, token="s@run-k", source="manual"))
        assert judged(evidence, history).clean


class TestUnfounded:
    def test_success_without_a_call(self):
        evidence = done(*ALL)
        evidence.calls.pop()
        assert kinds(judged(evidence)) == [Kind.UNFOUNDED]

    def test_cancelled_by_nobody(self):
        evidence = without(done(*ALL), 30)
        evidence.runs.append(run(30, RunState.CANCELLED))
        assert kinds(judged(evidence)) == [Kind.UNFOUNDED]
        history = lived()
        history.cancel(token_of("s", at(30)))
        assert judged(evidence, history).clean

    def test_lost_though_the_policy_says_rerun(self):
        evidence = without(done(*ALL), 30)
        evidence.calls.append(call(30))
        evidence.runs.append(run(30, RunState.LOST, losses=1))
        harmed = ever_harmed(["n1"])
        assert kinds(judged(evidence, harmed=harmed)) == [Kind.UNFOUNDED]
        fails = Terms(rhythm=Period(10 * SECOND), misfire="all", overlap="allow", on_lost="fail")
        assert judged(evidence, lived(fails), harmed=harmed).clean
        evidence.runs[-1] = run(30, RunState.LOST, losses=3)
        assert judged(evidence, harmed=harmed).clean

    def test_given_up_with_tries_left(self):
        evidence = without(done(*ALL), 30)
        evidence.calls.append(call(30, failed=True))
        evidence.runs.append(run(30, RunState.FAILED, failures=1))
        assert judged(evidence).clean
        tries = Terms(rhythm=Period(10 * SECOND), misfire="all", overlap="allow", retries=1)
        assert kinds(judged(evidence, lived(tries))) == [Kind.UNFOUNDED]


class TestTries:
    """Failures and losses are counted from the ledger and from what the store took, not from what it counts."""

    def lived(self, **terms: Any) -> History:
        return lived(Terms(rhythm=Period(10 * SECOND), misfire="all", overlap="allow", **terms))

    def failing(self, times: int, state: RunState = RunState.FAILED, **more: Any) -> Evidence:
        evidence = without(done(*ALL), 30)
        token = token_of("s", at(30))
        for attempt in range(1, times + 1):
            evidence.calls.append(call(30, attempt=attempt, late=2 * attempt, failed=True))
            taken = RunState.FAILED if attempt == times else RunState.PENDING
            evidence.writes.append(Write(token=token, attempt=attempt, state=taken, at=at(30.6 + 2 * attempt)))
        evidence.runs.append(run(30, state, **{"attempt": times, "failures": times, **more}))
        return evidence

    def lost(self, times: int, state: RunState = RunState.LOST, **more: Any) -> Evidence:
        evidence = without(done(*ALL), 30)
        token = token_of("s", at(30))
        for attempt in range(1, times + 1):
            evidence.calls.append(call(30, attempt=attempt, late=2 * attempt))
            taken = RunState.LOST if attempt == times and state is RunState.LOST else RunState.PENDING
            write = Write(token=token, attempt=attempt, state=taken, at=at(31 + 2 * attempt), by_store=True, loss=True)
            evidence.writes.append(write)
        evidence.runs.append(run(30, state, **{"attempt": times, "losses": times, **more}))
        return evidence

    def test_a_run_fails_once_more_than_it_is_retried(self):
        assert judged(self.failing(3), self.lived(retries=2), prompt=None).clean
        assert kinds(judged(self.failing(2), self.lived(retries=2), prompt=None)) == [Kind.UNFOUNDED]
        assert kinds(judged(self.failing(4), self.lived(retries=2), prompt=None)) == [Kind.DOUBLED]

    def test_a_failure_that_the_store_does_not_count(self):
        assert kinds(judged(self.failing(3, failures=1), self.lived(retries=2), prompt=None)) == [Kind.UNFOUNDED]

    def test_a_failure_after_which_there_was_no_try_left(self):
        evidence = self.failing(2)
        evidence.calls.append(call(30, attempt=3, late=8))
        evidence.runs[-1] = run(30, attempt=3, failures=2)
        assert kinds(judged(evidence, self.lived(retries=1), prompt=None)) == [Kind.DOUBLED]
        assert judged(evidence, self.lived(retries=2), prompt=None).clean

    def test_a_run_is_lost_once_more_than_it_may(self):
        harmed = {"harmed": ever_harmed(["n1"]), "prompt": None}
        assert judged(self.lost(3), self.lived(max_losses=2), **harmed).clean
        assert kinds(judged(self.lost(2), self.lived(max_losses=2), **harmed)) == [Kind.UNFOUNDED]
        assert kinds(judged(self.lost(4), self.lived(max_losses=2), **harmed)) == [Kind.DOUBLED]

    def test_a_loss_that_the_store_does_not_count(self):
        harmed = {"harmed": ever_harmed(["n1"]), "prompt": None}
        again = self.lost(1, RunState.SUCCEEDED)
        assert judged(again, self.lived(max_losses=1), **harmed).clean
        assert kinds(judged(again, self.lived(max_losses=0), **harmed)) == [Kind.DOUBLED]
        again.runs[-1] = run(30, attempt=1, losses=0)
        assert kinds(judged(again, self.lived(max_losses=1), **harmed)) == [Kind.UNFOUNDED]


class TestHours:
    """Nothing before it is due, nothing that is too late to start, and no fire that its misfire policy rules out."""

    TOKEN = token_of("s", at(30))

    def lived(self, **terms: Any) -> History:
        return lived(Terms(**{"rhythm": Period(10 * SECOND), "overlap": "allow", **terms}))

    def given(self, late: float, *, attempt: int = 1) -> Evidence:
        """Return a run whose attempt the store gave away so late."""
        evidence = without(done(*ALL), 30)
        evidence.calls.append(call(30, late=late, attempt=attempt))
        evidence.runs.append(run(30, late=late, attempt=attempt))
        evidence.grants.append(Grant(token=self.TOKEN, attempt=attempt, at=at(30 + late)))
        evidence.launches[self.TOKEN] = at(30 + late)
        return evidence

    def test_jitter_is_counted_from_the_fire(self):
        shaken = self.lived(jitter=5 * SECOND)
        evidence = Evidence(calls=[call(each, late=5) for each in ALL], runs=[run(each, late=5) for each in ALL])
        assert judged(evidence, shaken, prompt=9 * SECOND).clean
        found = kinds(judged(done(*ALL), shaken, prompt=9 * SECOND))
        assert found == [Kind.EARLY] * 6

    def test_a_retry_waits(self):
        def retried(after: float) -> Evidence:
            evidence = self.given(1 + after, attempt=2)
            evidence.calls.append(call(30, late=0.5, failed=True))
            evidence.launches.clear()
            evidence.runs[-1] = run(30, attempt=2, failures=1)
            evidence.writes.append(Write(token=self.TOKEN, attempt=1, state=RunState.PENDING, at=at(31)))
            return evidence

        terms = self.lived(retries=1, waits=(4 * SECOND,), wait_varies=0.2)
        assert judged(retried(3.3), terms).clean
        assert kinds(judged(retried(0.1), terms)) == [Kind.EARLY]
        assert judged(retried(0.1), terms, harmed=ever_harmed(["n1"])).clean, "it may have slept"
        assert judged(retried(0.1), terms, stepped=(Span(at(29), at(40)),)).clean, "nobody knows how long it waited"

    def test_a_run_begins_within_its_time(self):
        terms = self.lived(start_within=20 * SECOND, misfire="all")
        assert judged(self.given(19), terms, prompt=60 * SECOND).clean
        assert kinds(judged(self.given(21), terms, prompt=60 * SECOND)) == [Kind.LATE]
        assert judged(self.given(21), self.lived(misfire="all"), prompt=60 * SECOND).clean
        assert kinds(judged(self.given(61), self.lived(), prompt=90 * SECOND)) == [Kind.LATE], "a minute, if not told"

    def test_a_run_is_not_given_up_before_that(self):
        def lapsed(second: float) -> Evidence:
            evidence = without(done(*ALL), 30)
            late = run(30, RunState.SKIPPED, reason="too late", start_by=at(35), attempt=0, policy=Policy())
            evidence.runs.append(late)
            write = Write(token=self.TOKEN, attempt=0, state=RunState.SKIPPED, at=at(second), by_store=True)
            evidence.writes.append(write)
            return evidence

        trouble = {"troubles": (Trouble(begin=at(15), end=at(65)),)}
        terms = self.lived(start_within=20 * SECOND)
        assert judged(lapsed(50.1), terms, **trouble).clean
        assert kinds(judged(lapsed(36), terms, **trouble)) == [Kind.UNEXPLAINED]
        assert kinds(judged(lapsed(50.1), self.lived(misfire="all"), **trouble)) == [Kind.UNEXPLAINED]

    @pytest.mark.parametrize(
        ("terms", "late", "right"),
        [
            ({"misfire": "skip"}, 11, True),
            ({"misfire": "skip"}, 14, False),
            ({"misfire": "latest"}, 11, True),
            ({"misfire": "latest"}, 14, False),
            ({"misfire": "latest", "rhythm": Moments((at(30), at(58)))}, 14, True),
            ({"misfire": "all", "catch_up": 30 * SECOND}, 31, True),
            ({"misfire": "all", "catch_up": 30 * SECOND}, 33, False),
        ],
    )
    def test_what_is_late_is_launched_as_its_misfire_policy_says(self, terms: dict[str, Any], late: float, right: bool):
        evidence = self.given(late)
        if "rhythm" in terms:
            evidence = without(without(without(without(evidence, 10), 20), 40), 50)
            evidence = without(evidence, 60)
            evidence.launches[self.TOKEN] = at(30 + late)
            evidence.calls.append(call(58))
            evidence.runs.append(run(58))
        trouble = {"troubles": (Trouble(begin=at(25), end=at(90)),)}
        found = kinds(judged(evidence, self.lived(**terms), **trouble))
        assert found == ([] if right else [Kind.UNEXPECTED])
        assert judged(evidence, self.lived(**terms), **trouble, stepped=(Span(at(30), at(31)),)).clean


class TestToldToStop:
    """A job that heeds it ends soon after its timeout, and soon after its run was cancelled."""

    def long(self, takes: float, *, heeds: bool = True, **more: Any) -> Evidence:
        evidence = without(done(*ALL), 30)
        evidence.calls.append(call(30, takes=takes, heeds=heeds, **more))
        state = RunState.FAILED if more.get("failed") else RunState.CANCELLED
        evidence.runs.append(run(30, state, takes=takes, failures=int(more.get("failed", False))))
        return evidence

    def test_by_its_timeout(self):
        timed = lived(Terms(rhythm=Period(10 * SECOND), overlap="allow", misfire="all", timeout=5 * SECOND))
        assert judged(self.long(6.5, failed=True), timed).clean
        assert kinds(judged(self.long(8, failed=True), timed)) == [Kind.LATE]
        assert judged(self.long(8, failed=True, heeds=False), timed).clean
        assert judged(self.long(8, failed=True), timed, harmed=ever_harmed(["n1"])).clean
        assert judged(self.long(8, failed=True)).clean

    def test_by_a_cancel(self):
        token = token_of("s", at(30))
        history = lived()
        history.cancel(token, running_at=at(33))
        assert judged(self.long(4.5, interrupted=True), history).clean
        assert kinds(judged(self.long(6), history)) == [Kind.UNFOUNDED]
        assert judged(self.long(6, heeds=False), history).clean
        assert judged(self.long(6), history, harmed=ever_harmed(["n1"])).clean
        assert judged(self.long(6), history, troubles=(Trouble(begin=at(32), end=at(36)),)).clean

    def test_what_is_cancelled_is_not_given_away_again(self):
        token = token_of("s", at(30))
        history = lived()
        history.cancel(token, running_at=at(33))
        evidence = self.long(4, interrupted=True)
        evidence.grants.append(Grant(token=token, attempt=1, at=at(30)))
        assert judged(evidence, history).clean
        evidence.grants.append(Grant(token=token, attempt=2, at=at(35)))
        assert kinds(judged(evidence, history)) == [Kind.UNFOUNDED]


class TestOverlap:
    def long_run(self) -> Evidence:
        evidence = without(done(*ALL), 30)
        evidence.calls.append(call(30, takes=15))
        evidence.runs.append(run(30, takes=15))
        return evidence

    def test_two_at_work_where_one_is_allowed(self):
        assert judged(self.long_run()).clean
        assert kinds(judged(self.long_run(), lived(DEFAULT))) == [Kind.OVERLAP]

    def test_what_goes_on_in_a_node_that_lost_it_does_not_count(self):
        evidence = without(done(*ALL), 30)
        evidence.calls += [call(30, takes=15), call(30, attempt=2, node="n2", late=5)]
        evidence.runs.append(run(30, attempt=2, takes=6))
        assert judged(evidence, lived(DEFAULT), harmed=ever_harmed(["n1"])).clean

    def test_two_that_began_before_the_policy_became_skip(self):
        history = lived()
        history.change("s", DEFAULT, at(45))
        assert judged(self.long_run(), history).clean

    def test_one_that_was_asked_for_once_more_was_opened_then(self):
        """By the policy of that moment, while another was open that had to be alone. Seed 51435 of the simulation."""
        evidence = done(*ALL)
        evidence.calls = [each for each in evidence.calls if each.scheduled_time != at(20)]
        evidence.calls += [call(20, takes=15), call(10, attempt=2, late=16, takes=1)]
        evidence.runs = [each for each in evidence.runs if each.scheduled_time not in (at(10), at(20))]
        evidence.runs += [run(10, attempt=2, takes=17), run(20, takes=8)]
        history = lived(DEFAULT)
        history.retry(token_of("s", at(10)), at(25.9))
        assert [each.subject for each in judged(evidence, history).violations if each.kind is Kind.OVERLAP] == [
            token_of("s", at(10))
        ]
        history = lived(DEFAULT)
        history.change("s", STRICT, at(25))
        history.retry(token_of("s", at(10)), at(25.9))
        assert Kind.OVERLAP not in kinds(judged(evidence, history))


class TestSkips:
    def trouble(self) -> dict[str, Any]:
        return {"troubles": (Trouble(begin=at(15), end=at(45)),)}

    def test_overlap_holds_while_a_run_is_open(self):
        evidence = without(without(done(*ALL), 30), 40)
        evidence.calls.append(call(30, takes=15))
        evidence.runs.append(run(30, takes=15))
        evidence.skips.append(skip("overlap", 40))
        verdict = judged(evidence, lived(DEFAULT))
        assert verdict.clean, verdict.told()
        assert verdict.skipped == {"overlap": 1}
        assert kinds(judged(evidence)) == [Kind.UNEXPLAINED]

    def test_overlap_with_nothing_open(self):
        evidence = without(done(*ALL), 40)
        evidence.skips.append(skip("overlap", 40))
        assert kinds(judged(evidence, lived(DEFAULT))) == [Kind.UNEXPLAINED]

    def test_misfire_holds_only_after_trouble_longer_than_the_grace(self):
        evidence = without(without(done(*ALL), 20), 30)
        evidence.skips.append(skip("misfire", 20, 30, 2))
        assert judged(evidence, lived(DEFAULT), **self.trouble()).clean
        assert kinds(judged(evidence, lived(DEFAULT))) == [Kind.UNEXPLAINED] * 2
        assert kinds(judged(evidence, **self.trouble())) == [Kind.UNEXPLAINED] * 2, "misfire='all'"

    def test_misfire_latest_runs_the_newest(self):
        evidence = without(without(done(*ALL), 50), 60)
        evidence.skips.append(skip("misfire", 50, 60, 2))
        trouble = {"troubles": (Trouble(begin=at(45), end=at(90)),)}
        assert kinds(judged(evidence, lived(DEFAULT), **trouble)) == [Kind.UNEXPLAINED] * 2
        none = Terms(rhythm=Period(10 * SECOND), misfire="skip")
        assert judged(evidence, lived(none), **trouble).clean

    def test_the_catch_up_window(self):
        terms = Terms(rhythm=Period(10 * SECOND), misfire="all", overlap="allow", catch_up=20 * SECOND)
        evidence = without(done(*ALL), 20)
        evidence.skips.append(skip("catch-up window", 20))
        assert judged(evidence, lived(terms), **self.trouble()).clean
        assert kinds(judged(evidence, lived(terms))) == [Kind.UNEXPLAINED]
        assert kinds(judged(evidence, lived(DEFAULT), **self.trouble())) == [Kind.UNEXPLAINED]

    @pytest.mark.parametrize(("word", "wrong"), [("paused", "removed"), ("removed", "orphaned")])
    def test_a_pause_and_a_removal_excuse_what_was_due_just_before(self, word, wrong):
        history = lived()
        if word == "paused":
            history.pause("s", at(30.5))
        else:
            history.remove("s", at(30.5))
        evidence = done(10, 20)
        evidence.skips.append(skip(word, 30))
        assert judged(evidence, history).clean
        evidence.skips[-1] = skip(wrong, 30)
        assert kinds(judged(evidence, history)) == [Kind.UNEXPLAINED]
        early = done(10)
        early.skips.append(skip(word, 20, 30, 2))
        assert kinds(judged(early, history)) == [Kind.UNEXPLAINED], "the one at 20 was due long before"

    def test_a_pause_is_written_down_when_it_is_over(self):
        history = lived()
        history.pause("s", at(15))
        assert judged(done(10), history).clean
        history.resume("s", at(35))
        evidence = done(10, 40, 50, 60)
        assert kinds(judged(evidence, history)) == [Kind.MISSED] * 2
        evidence.skips.append(skip("paused", 20, 30, 2))
        assert judged(evidence, history).clean

    def test_a_pause_until_an_instant(self):
        history = lived()
        history.pause("s", at(15), until=at(35))
        evidence = done(10, 40, 50, 60)
        evidence.skips.append(skip("paused", 20, 30, 2))
        assert judged(evidence, history).clean
        assert kinds(judged(done(10, 40, 50, 60), history)) == [Kind.MISSED] * 2

    def test_a_resume_that_asks_for_the_missed_ones(self):
        history = lived(DEFAULT)
        history.pause("s", at(15))
        history.resume("s", at(35), missed="latest")
        evidence = done(10, 40, 50, 60)
        evidence.calls.append(call(30, late=5.1))
        evidence.runs.append(run(30, late=5))
        evidence.skips.append(skip("misfire", 20))
        assert judged(evidence, history).clean
        evidence.skips[-1] = skip("paused", 20)
        assert kinds(judged(evidence, history)) == [Kind.UNEXPLAINED]

    def test_orphaned(self):
        evidence = without(done(*ALL), 30)
        evidence.skips.append(skip("orphaned", 30))
        assert kinds(judged(evidence)) == [Kind.UNEXPLAINED]
        assert judged(evidence, orphaned={"s": (Span(at(25), at(35)),)}).clean

    def test_a_store_that_went_back(self):
        """Whether the fire was carried out is not known; that it went back at another time explains nothing."""
        for evidence in (without(done(*ALL), 30), done(*ALL)):
            evidence.runs[:] = [each for each in evidence.runs if each.scheduled_time != at(30)]
            evidence.skips.append(skip("store went back", 30))
            assert kinds(judged(evidence)) == [Kind.UNEXPLAINED]
            assert kinds(judged(evidence, rewound=(Span(at(5), at(25)),))) == [Kind.UNEXPLAINED]
            assert kinds(judged(evidence, rewound=(Span(at(35), at(45)),))) == [Kind.UNEXPLAINED]
            assert judged(evidence, rewound=(Span(at(25), at(35)),)).clean
        evidence.skips.clear()
        assert {Kind.UNEXPECTED, Kind.MISSED} == set(kinds(judged(evidence, rewound=(Span(at(25), at(35)),))))

    def test_a_reason_that_nobody_knows(self):
        evidence = without(done(*ALL), 30)
        evidence.skips.append(skip("tired", 30))
        assert kinds(judged(evidence)) == [Kind.UNEXPLAINED]

    def test_a_count_that_is_wrong(self):
        evidence = without(without(done(*ALL), 20), 30)
        evidence.skips.append(skip("misfire", 20, 30, 3))
        assert kinds(judged(evidence, lived(DEFAULT), **self.trouble())) == [Kind.UNEXPLAINED]

    def test_too_late_to_start(self):
        evidence = without(done(*ALL), 30)
        late = run(30, RunState.SKIPPED, reason="too late", start_by=at(40), attempt=0, policy=Policy())
        evidence.runs.append(late)
        assert kinds(judged(evidence)) == [Kind.UNEXPLAINED]
        verdict = judged(evidence, **self.trouble())
        assert verdict.clean
        assert verdict.skipped == {"too late": 1}

    def test_too_late_to_start_after_a_node_has_handed_it_back(self):
        """It ran for a while on a node that then left, and nobody could take it. Seed 14400 of the simulation."""
        token = token_of("s", at(30))
        evidence = without(done(*ALL), 30)
        evidence.calls.append(call(30, takes=8, interrupted=True))
        evidence.runs.append(run(30, RunState.SKIPPED, reason="too late", start_by=at(58), policy=Policy()))
        history = lived(replace(STRICT, start_within=20 * SECOND))
        trouble = {"troubles": (Trouble(begin=at(37), end=at(65)),)}
        assert kinds(judged(evidence, history, **trouble)) == [Kind.UNEXPLAINED], "from the beginning there was time"
        evidence.writes.append(Write(token=token, attempt=1, state=RunState.PENDING, at=at(38)))
        evidence.writes.append(Write(token=token, attempt=1, state=RunState.SKIPPED, at=at(59), by_store=True))
        assert judged(evidence, history, **trouble).clean


class TestEdits:
    def test_an_edit_leaves_the_old_fires_up_to_its_instant(self):
        history = lived()
        history.change("s", Terms(rhythm=Period(15 * SECOND), misfire="all", overlap="allow"), at(30))
        assert judged(done(10, 20, 30, 45, 60), history).clean
        assert kinds(judged(done(10, 20, 45, 60), history)) == [Kind.MISSED]
        assert kinds(judged(done(*ALL), history)) == [Kind.MISSED, Kind.UNEXPECTED, Kind.UNEXPECTED]

    def test_one_whose_reply_was_lost_leaves_both_histories_possible(self):
        history = lived()
        changed = Terms(rhythm=Period(15 * SECOND), misfire="all", overlap="allow")
        history.change("s", changed, at(35), sure=False)
        assert judged(done(*ALL), history).clean
        assert judged(done(10, 20, 30, 45, 60), history).clean
        assert not judged(done(10, 20, 30, 40, 45, 50, 60), history).clean, "but not a mixture"

    def test_one_at_an_unknown_instant_lies_on_one_side_of_each_fire(self):
        history = lived()
        history.remove("s", at(28), latest=at(42))
        assert judged(done(10, 20), history).clean
        assert judged(done(10, 20, 30, 40), history).clean
        assert len(judged(done(10, 20, 40), history).violations) == 1, "40 is one too many, or 30 is missing"
        assert kinds(judged(done(10, 20, 30, 40, 50), history)) == [Kind.UNEXPECTED]

    def test_a_schedule_made_anew(self):
        history = lived()
        history.remove("s", at(25))
        history.add("s", STRICT, at(45))
        assert judged(done(10, 20, 50, 60), history).clean

    def test_what_is_too_uncertain_is_refused(self):
        history = lived()
        for second in range(20):
            history.pause("s", at(second), sure=False)
        with pytest.raises(TooUncertain):
            judged(done(33), history)


def test_verdicts_add_up():
    total = Verdict()
    total.add(judged(done(*ALL)))
    total.add(judged(without(done(*ALL), 30)))
    assert (total.fires, total.done, len(total.violations)) == (12, 11, 1)
    assert total.told() == "missed: s@2026-11-21T13:00:30Z: neither run nor skip record (active)"
