"""The judge: what was asked for against what happened, one schedule after the other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise

from tickonce.model import OnLost, Reason, Run, RunState, Skip, Token
from tickonce.testing.judging.case import Case
from tickonce.testing.judging.conditions import Conditions, calm
from tickonce.testing.judging.evidence import Call, Evidence, Grant, Write
from tickonce.testing.judging.fates import Fates
from tickonce.testing.judging.history import History
from tickonce.testing.judging.verdict import Kind, Verdict, Violation


def judge(history: History, evidence: Evidence, conditions: Conditions) -> Verdict:
    """Compare what had to happen with what did.

    A schedule whose history is uncertain (a reply was lost) is judged by the possible history that fits best.

    Raises:
        TooUncertain: A schedule has more possible histories than can be looked at.
    """
    sorted_out = _Sorted(evidence, conditions.until)
    verdict = Verdict(calls=len(sorted_out.calls))
    for schedule_id in sorted(history.schedules.keys() | sorted_out.ids):
        verdict.add(_schedule(schedule_id, history, sorted_out, conditions))
    for edits in history.schedules.values():
        verdict.edits.update(edit.kind for edit in edits if edit.earliest <= conditions.until)
    verdict.add(_by_hand(history, sorted_out, conditions.until))
    for token, calls in sorted_out.calls_of.items():
        verdict.add(_calls(token, calls, sorted_out, history, conditions))
        for text in _went_on(token, calls, sorted_out, history, conditions):
            verdict.violations.append(Violation(Kind.UNFOUNDED, calls[0].schedule_id, token, text))
    verdict.violations += _stale(evidence, history)
    return verdict


class _Sorted:
    """The evidence by schedule and token; what was scheduled after *until* is left out."""

    def __init__(self, evidence: Evidence, until: datetime) -> None:
        self.calls = [call for call in evidence.calls if call.by_hand or call.scheduled_time <= until]
        self.calls_of: dict[Token, list[Call]] = defaultdict(list)
        for call in sorted(self.calls, key=lambda call: (call.attempt, call.began)):
            self.calls_of[call.token].append(call)
        self.runs: dict[Token, Run] = {}
        self.scheduled: dict[str, dict[datetime, Run]] = defaultdict(dict)
        self.of_schedule: dict[str, list[Run]] = defaultdict(list)
        for run in evidence.runs:
            self.of_schedule[run.schedule_id].append(run)
            if run.source != "schedule":
                self.runs[run.token] = run
            elif run.scheduled_time <= until:
                self.runs[run.token] = run
                self.scheduled[run.schedule_id][run.scheduled_time] = run
        self.skips: dict[str, list[Skip]] = defaultdict(list)
        for skip in sorted(evidence.skips, key=lambda skip: skip.first):
            self.skips[skip.schedule_id].append(skip)
        self.writes: dict[Token, list[Write]] = defaultdict(list)
        for write in sorted(evidence.writes, key=lambda write: write.order):
            self.writes[write.token].append(write)
        self.grants: dict[Token, list[Grant]] = defaultdict(list)
        for grant in evidence.grants:
            self.grants[grant.token].append(grant)
        self.launches = evidence.launches
        self.closed = {write.token: write.at for write in evidence.writes if not write.state.open}
        self.ids = self.scheduled.keys() | self.skips.keys()


def _schedule(schedule_id: str, history: History, found: _Sorted, conditions: Conditions) -> Verdict:
    """Judge one schedule by the possible history that fits best."""
    best: Verdict | None = None
    case = Case(
        schedule_id,
        runs=found.scheduled.get(schedule_id, {}),
        all_runs=found.of_schedule.get(schedule_id, []),
        skips=found.skips.get(schedule_id, []),
        calls=found.calls_of,
        closed=found.closed,
        writes=found.writes,
        grants=found.grants,
        launches=found.launches,
        history=history,
        conditions=conditions,
    )
    for stretches in history.possible(schedule_id, conditions.until):
        verdict = Fates(case, stretches).verdict()
        if best is None or len(verdict.violations) < len(best.violations):
            best = verdict
        if best.clean:
            break
    return best or Verdict()


def _by_hand(history: History, found: _Sorted, until: datetime) -> Verdict:
    """Judge the runs that were started by hand: one a key, if the store said yes."""
    verdict = Verdict()
    for token, sure in history.by_hand.items():
        run = found.runs.get(token)
        schedule_id = token.partition("@")[0]
        if run is None:
            if sure:
                verdict.violations.append(Violation(Kind.MISSED, schedule_id, token, "asked for by hand, no run"))
            continue
        verdict.by_hand += 1
        if run.state.open:
            if run.scheduled_time <= until:  # those of later had no more time than later fires
                verdict.violations.append(Violation(Kind.ENDLESS, schedule_id, token, f"still {run.state}"))
        elif run.state is RunState.SUCCEEDED and not _ended_well(run, found.calls_of.get(token, [])):
            verdict.violations.append(Violation(Kind.UNFOUNDED, schedule_id, token, "succeeded without a call"))
        elif run.state is RunState.CANCELLED and token not in history.cancelled:
            verdict.violations.append(Violation(Kind.UNFOUNDED, schedule_id, token, "cancelled, by nobody"))
    verdict.violations += [
        Violation(Kind.UNEXPECTED, run.schedule_id, run.token, "started by hand, by nobody")
        for run in found.runs.values()
        if run.source != "schedule" and run.token not in history.by_hand
    ]
    return verdict


def _ended_well(run: Run, calls: list[Call]) -> bool:
    return any(call.attempt == run.attempt and not call.failed and call.ended is not None for call in calls)


def _calls(token: Token, calls: list[Call], found: _Sorted, history: History, conditions: Conditions) -> Verdict:
    """Judge the calls of one run: each attempt once, and a later one only for a reason."""
    verdict = Verdict()
    schedule_id = calls[0].schedule_id

    def wrong(kind: Kind, text: str) -> None:
        verdict.violations.append(Violation(kind, schedule_id, token, text))

    for attempt, number in Counter(call.attempt for call in calls).items():
        if number > 1:
            wrong(Kind.DOUBLED, f"attempt {attempt} was called {number} times")
    run = found.runs.get(token)
    once = run is not None and run.policy.on_lost is OnLost.FAIL
    if run is None and not _lost(calls[0], found.skips.get(schedule_id, ())):
        wrong(Kind.UNEXPECTED, "called, but the store has no such run")
    for call in calls:
        if not call.by_hand and call.began < call.scheduled_time:
            wrong(Kind.EARLY, f"called {call.scheduled_time - call.began} early, attempt {call.attempt}")
    for before, later in pairwise(calls):
        if before.attempt == later.attempt:
            continue
        if later.began < before.began:
            wrong(Kind.STALE, f"attempt {before.attempt} was called after attempt {later.attempt}")
        elif conditions.was_harmed(before.node, before.began, later.began):
            if once and not (before.failed or before.interrupted or token in history.retried):
                wrong(Kind.DOUBLED, f"attempt {later.attempt}, though a lost run was not to be called again")
            verdict.recovered += 1
            verdict.recovered_after.append(later.began - before.began)
        elif before.failed or before.interrupted or token in history.retried:
            verdict.retried += 1
        else:
            wrong(Kind.DOUBLED, f"attempt {later.attempt} though nothing happened to attempt {before.attempt}")
    return verdict


def _went_on(
    token: Token, calls: list[Call], found: _Sorted, history: History, conditions: Conditions
) -> Iterator[str]:
    """Yield what went on of a run that was cancelled while a node had it."""
    told, prompt = history.told.get(token), conditions.prompt
    if told is None or token in history.retried:
        return
    for grant in found.grants[token]:
        if grant.at > told:
            yield f"attempt {grant.attempt} was given away after the run was cancelled"
    troubles = conditions.troubles_of(calls[0].schedule_id)
    for call in calls:
        if call.ended is None or not call.heeds or prompt is None or conditions.was_harmed(call.node, told, call.ended):
            continue
        after = calm(troubles, max(told, call.began), call.ended)
        if after > prompt:
            yield f"attempt {call.attempt} went on for {after} after it was cancelled (troubles not counted)"


def _lost(call: Call, skips: Iterable[Skip]) -> bool:
    """Whether a record says that the store has lost what became of this fire."""
    told = (skip for skip in skips if skip.first <= call.scheduled_time <= skip.last)
    return not call.by_hand and any(skip.reason == Reason.REWOUND for skip in told)


def _stale(evidence: Evidence, history: History) -> list[Violation]:
    """Return what was taken from attempts that were not the newest, and ends that came twice."""
    found: list[Violation] = []
    newest: dict[Token, int] = {}
    ended: dict[Token, Write] = {}
    steps: list[Call | Write] = [*evidence.calls, *evidence.writes]
    for step in sorted(steps, key=_moment):
        token = step.token
        before = newest.get(token, 0)
        if isinstance(step, Call):
            newest[token] = max(before, step.attempt)
            continue
        if step.attempt < before and not step.by_store:
            text = f"{step.state} was taken from attempt {step.attempt}, when it was over for that one"
            found.append(Violation(Kind.STALE, token.partition("@")[0], token, text))
        if step.state.open:
            newest[token] = max(before, step.attempt + 1)
            continue
        if token in ended and token not in history.retried:
            text = f"ended as {ended[token].state} and again as {step.state}"
            found.append(Violation(Kind.STALE, token.partition("@")[0], token, text))
        ended[token] = step
    return found


def _moment(step: Call | Write) -> tuple[datetime, int, int]:
    """Return what steps are ordered by: where nothing is known of one instant, calls come first."""
    if isinstance(step, Call):
        return step.began, step.order, 0
    return step.at, step.order, 1
