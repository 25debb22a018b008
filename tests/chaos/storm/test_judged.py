"""What a storm excuses, what it measures, and that it can fail."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.chaos.ledger import Moments
from tests.chaos.storm.bands import Band, Kill, conditions_of, kills_of
from tests.chaos.storm.latencies import Latency, recovery, service
from tests.chaos.storm.pace import LEASE_S
from tests.chaos.storm.picture import Seen, picture
from tests.chaos.storm.plan import Fault, What
from tests.chaos.storm.report import Result, Storm, complaints_of
from tests.chaos.storm.workload import FIRES_A_SECOND
from tickonce.model import Run, Skip, token_of
from tickonce.testing.judging import Call, Evidence, Kind, Verdict, Violation

START = datetime(2026, 11, 21, 13, tzinfo=UTC)
MOMENTS = Moments(START)


def band(what: What, begin: float, end: float, pid: int | None = 7, **more: bool) -> Band:
    return Band(what=what, begin=begin, end=end, node=None if pid is None else 0, pid=pid, **more)


def harmed(*bands: Band, begin: float, end: float, node: str = "7") -> bool:
    conditions = conditions_of(bands, MOMENTS, 100, file=False)
    return conditions.was_harmed(node, MOMENTS.at(begin), MOMENTS.at(end))


def call(at: float, *, fire: float = 0, attempt: int = 1, node: str = "7", failed: bool = False) -> Call:
    when = MOMENTS.at(fire)
    return Call(
        token=token_of("each-0", when),
        schedule_id="each-0",
        scheduled_time=when,
        attempt=attempt,
        node=node,
        began=MOMENTS.at(at),
        failed=failed,
    )


def run_of(each: Call, *, losses: int = 0) -> Run:
    return Run(
        token=each.token,
        schedule_id=each.schedule_id,
        job="note",
        arguments="{}",
        scheduled_time=each.scheduled_time,
        due=each.scheduled_time,
        losses=losses,
    )


class TestHarm:
    """A run may be carried out again only where its node was harmed."""

    def test_by_a_kill_for_ever_and_not_before(self):
        kill = band(What.KILL, 10, 12)
        assert harmed(kill, begin=5, end=40)
        assert not harmed(kill, begin=5, end=9)
        assert not harmed(kill, begin=5, end=40, node="8")

    @pytest.mark.parametrize("what", [What.STOP, What.HALF_OPEN, What.PARTITION])
    def test_by_silence_only_if_it_lasts(self, what: What):
        assert harmed(band(what, 10, 10 + LEASE_S), begin=5, end=40)
        assert not harmed(band(what, 10, 12), begin=5, end=40)

    @pytest.mark.parametrize("what", [What.CUT, What.LOST_REPLY, What.LOST_COMMIT, What.LATENCY, What.JUMP, What.DRIFT])
    def test_never_by_what_a_node_lives_through(self, what: What):
        assert not harmed(band(what, 10, 30), begin=5, end=40)

    @pytest.mark.parametrize("what", [What.SERVER_KILL, What.SERVER_FREEZE, What.LOCK, What.FULL])
    def test_never_by_a_store_that_is_away(self, what: What):
        assert not harmed(band(what, 10, 30, None), begin=5, end=40)

    def test_by_leaving_only_if_the_store_was_away_or_it_did_not_end_in_order(self):
        leaves = band(What.ROLL, 10, 14)
        assert not harmed(leaves, begin=5, end=40)
        assert harmed(leaves, band(What.SERVER_KILL, 11, 12, None), begin=5, end=40)
        assert not harmed(leaves, band(What.SERVER_KILL, 20, 22, None), begin=5, end=40)
        assert harmed(replace(leaves, clean=False), begin=5, end=40)


class TestTrouble:
    """The fleet has to be prompt but for a store that is away, or rows that a silent process holds."""

    @pytest.mark.parametrize("what", [What.SERVER_KILL, What.SERVER_FREEZE, What.LOCK, What.FULL])
    def test_while_the_store_is_away(self, what: What):
        (span,) = conditions_of([band(what, 10, 20, None)], MOMENTS, 100, file=True).troubles_of("x")
        assert (MOMENTS.of(span.begin), MOMENTS.of(span.end)) == (10, 21)

    def test_a_stopped_process_holds_rows_of_a_server_for_some_time_and_a_file_for_all_of_it(self):
        stop = band(What.STOP, 10, 40)
        (span,) = conditions_of([stop], MOMENTS, 100, file=False).troubles_of("x")
        assert MOMENTS.of(span.end) == 24
        (span,) = conditions_of([stop], MOMENTS, 100, file=True).troubles_of("x")
        assert MOMENTS.of(span.end) == 41

    @pytest.mark.parametrize(
        "what",
        [What.KILL, What.CUT, What.LOST_REPLY, What.LOST_COMMIT, What.LATENCY, What.JUMP, What.DRIFT, What.ROLL],
    )
    def test_nothing_else_excuses(self, what: What):
        assert not conditions_of([band(what, 10, 40)], MOMENTS, 100, file=False).troubles


class TestKills:
    """Times are measured after kills that stand alone."""

    def test_one_alone_has_no_excuse(self):
        assert kills_of([band(What.KILL, 20, 22)]) == [Kill(7, 20)]

    @pytest.mark.parametrize("begin", [12, 25])
    def test_a_fault_around_it_excuses(self, begin: float):
        other = band(What.CUT, begin, begin, 8)
        assert kills_of([band(What.KILL, 20, 22), other])[0].excuse == "cut"

    @pytest.mark.parametrize("begin", [2, 29])
    def test_a_fault_long_before_or_behind_does_not(self, begin: float):
        assert not kills_of([band(What.KILL, 20, 22), band(What.CUT, begin, begin, 8)])[0].excuse

    def test_clocks_are_no_excuse(self):
        assert not kills_of([band(What.KILL, 20, 22), band(What.JUMP, 20, 20, 8)])[0].excuse

    def test_recovery_is_from_the_kill_to_the_next_call(self):
        calls = [call(18), call(25.5, attempt=2, node="8")]
        assert [seconds for seconds, _ in recovery([Kill(7, 20)], calls, MOMENTS).judged] == [5.5]
        assert not recovery([Kill(9, 20)], calls, MOMENTS).judged
        assert not recovery([Kill(7, 20, "cut")], calls, MOMENTS).judged

    def test_a_retry_is_no_recovery(self):
        calls = [call(18, failed=True), call(25.5, attempt=2, node="8")]
        assert not recovery([Kill(7, 20)], calls, MOMENTS).judged

    def test_recovery_beyond_lease_and_two_seconds_is_too_late(self):
        calls = [call(18), call(20 + LEASE_S + 2.1, attempt=2, node="8")]
        assert len(recovery([Kill(7, 20)], calls, MOMENTS).beyond) == 1

    def test_service_is_the_lateness_of_fires_within_a_lease_of_the_kill(self):
        calls = [call(19.1, fire=19), call(21.5, fire=21, node="8"), call(27.5, fire=27, node="8")]
        runs = {each.token: run_of(each) for each in calls}
        found = service([Kill(7, 20)], calls, runs, {"each-0"}, MOMENTS)
        assert [seconds for seconds, _ in found.judged] == [0.5]
        assert not found.beyond

    def test_service_beyond_takeover_and_a_second_is_too_late(self):
        late = call(23.2, fire=21, node="8")
        assert service([Kill(7, 20)], [late], {late.token: run_of(late)}, {"each-0"}, MOMENTS).beyond


def result_of(tmp_path: Path, *, verdict: Verdict | None = None, complaints: Sequence[str] = ()) -> Result:
    """A result of a minute in which enough was looked at."""
    fires = int(60 * FIRES_A_SECOND)
    enough = Verdict(
        fires=fires,
        done=fires,
        recovered=4,
        retried=60,
        edits=Counter(change=30),
        faults=Counter({"kill": 4, "clock jump": 1}),
    )
    kill = Fault(at_s=10, what=What.KILL, node=0, length_s=1, alone=True)
    return Result(
        storm=Storm(store="sqlite", seconds=60, nodes=5, seed=1, folder=tmp_path),
        verdict=verdict or enough,
        recovery=Latency(8, judged=[(5.0, "a@b")]),
        service=Latency(2, judged=[(1.0, "a@b")] * 10),
        complaints=complaints,
        plan=[kill, *[replace(kill, alone=False)] * 3, Fault(at_s=12, what=What.JUMP, node=0, size=5)],
        kills=[Kill(7, 20)],
        left_out=[],
        failed=[],
        lost={},
        unknown={},
        skewed=10,
        in_vain=0,
        logs="",
    )


class TestResult:
    def test_enough_and_clean_is_fine(self, tmp_path):
        result = result_of(tmp_path)
        assert (result.wrong, result.lacking) == ([], [])
        assert result.form()["ok"] is True

    def test_a_violation_fails(self, tmp_path):
        verdict = replace(result_of(tmp_path).verdict, violations=[Violation(Kind.MISSED, "x", "x@1", "gone")])
        assert not result_of(tmp_path, verdict=verdict).ok

    def test_a_complaint_fails(self, tmp_path):
        assert not result_of(tmp_path, complaints=["node 1 ended with 1"]).ok

    @pytest.mark.parametrize("times", ["recovery", "service"])
    def test_an_aim_that_is_missed_fails(self, tmp_path, times):
        result = result_of(tmp_path)
        getattr(result, times).judged.append((9.0, "late@1"))
        assert not result.ok
        assert "late@1" in result.told()

    @pytest.mark.parametrize(
        ("name", "value"),
        [("fires", 10), ("done", 0), ("recovered", 0), ("edits", Counter()), ("faults", Counter({"kill": 4}))],
    )
    def test_too_little_fails(self, tmp_path, name, value):
        verdict = replace(result_of(tmp_path).verdict, **{name: value})
        assert not result_of(tmp_path, verdict=verdict).ok

    def test_several_killed_nodes_that_held_nothing_are_too_little(self, tmp_path):
        result = replace(result_of(tmp_path), kills=[Kill(7, 20)] * 3)
        result.service.judged.extend([(1.0, "a@b")] * 20)
        assert result.ok
        assert replace(result, recovery=Latency(8)).lacking == [
            "runs recovered after such kills: 0, at least 1 are needed"
        ]

    @pytest.mark.parametrize(("name", "value"), [("kills", [Kill(7, 20, "cut")]), ("skewed", 0)])
    def test_too_little_measured_fails(self, tmp_path, name, value):
        assert not replace(result_of(tmp_path), **{name: value}).ok

    def test_errors_in_logs_are_complaints_and_warnings_are_not(self):
        logs = {
            "member-0": "2026-11-21 13:00:00,1 tickonce-tick tickonce.node WARNING tick: the store is away",
            "member-1": "2026-11-21 13:00:00,1 tickonce-tick tickonce.node ERROR tick: broken",
            "member-3": "2026-11-21 13:00:00,1 tickonce-stop tickonce.node ERROR 2 outcome(s) could not be written; "
            "those runs count as lost",
            "member-2": "Traceback (most recent call last):\n  File x\nValueError: 3",
        }
        assert sorted({each.partition(":")[0] for each in complaints_of(logs)}) == ["member-1", "member-2"]


def test_the_picture_shows_fires_skips_violations_and_faults():
    calls = [call(1.2, fire=1), call(3.1, fire=3)]
    skip = Skip("each-0", "misfire", MOMENTS.at(5), MOMENTS.at(6), 2)
    wrong = Violation(Kind.MISSED, "each-0", token_of("each-0", MOMENTS.at(8)), "neither run nor skip record")
    drawn = picture(
        Seen(
            title="a < b",
            nodes=2,
            place_of={"7": 0},
            bands=[band(What.KILL, 2, 4), band(What.SERVER_KILL, 5, 6, None)],
            evidence=Evidence(calls=calls, runs=[run_of(each) for each in calls], skips=[skip]),
            verdict=Verdict(violations=[wrong]),
            moments=MOMENTS,
            begin=0,
            end=10,
        )
    )
    root = ET.fromstring(drawn)
    name = "{http://www.w3.org/2000/svg}"
    texts = [each.text for each in root.iter(f"{name}text")]
    assert {"a < b", "store", "node 0", "node 1", "each-0"} <= set(texts)
    fills = {each.get("fill"): each.get("d", "").count("M") for each in root.iter(f"{name}path") if each.get("fill")}
    assert (fills["#2ca02c"], fills["#b0b0b0"], fills["#e00000"]) == (2, 1, 1)
    titles = [each.text for each in root.iter(f"{name}title")]
    assert titles == ["kill at 2.0 s for 2.0 s", "server kill at 5.0 s for 1.0 s"]


def test_moments_are_never_earlier_than_the_answer_allows():
    moments = Moments.measured(lambda: START + timedelta(seconds=5), times=3)
    assert math.isfinite(moments.of(START))
    assert moments.at(moments.of(START)) == START
