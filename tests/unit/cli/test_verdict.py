"""The demo's arithmetic: a judge that cannot condemn is worth nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tickonce.cli.demo.expectation import Expectation
from tickonce.cli.demo.ledger import Row
from tickonce.cli.demo.verdict import judge

START = datetime(2026, 11, 21, 13, 0, 0, 300_000, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def at(seconds):
    return START.replace(microsecond=0) + seconds * SECOND


def row(seconds, *, attempt=1, node="node-1", late=0.004, schedule_id="sync"):
    return Row(schedule_id, at(seconds), attempt, node, at(seconds) + late * SECOND, 5)


def expectation(seconds=5):
    found = Expectation(end=START + seconds * SECOND)
    found.begins("sync", SECOND, START)
    return found


def judged(rows, *, expected=None, skipped=(), killed=()):
    must, may = (expected or expectation()).ticks()
    return judge(must, may, rows, skipped=skipped, killed=killed)


def test_ticks_are_the_multiples_of_the_period_after_the_beginning_up_to_the_end():
    must, may = expectation().ticks()
    assert sorted(time for _, time in must) == [at(second) for second in range(1, 6)]
    assert may == set()


def test_an_edit_keeps_the_old_ticks_up_to_its_instant():
    found = expectation()
    found.changes("sync", 2 * SECOND, at(3))
    must, _ = found.ticks()
    assert sorted(time for _, time in must) == [at(1), at(2), at(3), at(4)]


def test_a_pause_ends_what_is_demanded_and_what_it_might_skip_is_open():
    found = expectation(20)
    found.stops("sync", earliest=at(10), latest=at(10))
    found.begins("sync", SECOND, at(15))
    must, may = found.ticks()
    assert sorted(time for _, time in must) == [at(second) for second in (*range(1, 8), *range(16, 21))]
    assert sorted(time for _, time in may) == [at(8), at(9), at(10)]


def test_all_done_once_is_good():
    verdict = judged([row(second) for second in range(1, 6)])
    assert verdict.good
    assert (verdict.expected, verdict.done, verdict.doubled, verdict.missed) == (5, 5, 0, 0)
    assert verdict.form()["lateness_p50_ms"] == 4.0


def test_a_tick_that_is_missing_is_missed():
    verdict = judged([row(second) for second in range(1, 5)])
    assert not verdict.good
    assert (verdict.expected, verdict.done, verdict.missed) == (5, 4, 1)
    assert verdict.odd == ("missed: sync at 13:00:05.000000",)


def test_a_tick_that_is_there_twice_is_doubled():
    rows = [row(second) for second in range(1, 6)]
    assert judged([*rows, row(3, node="node-2")]).doubled == 1
    assert judged([*rows, row(3, node="node-2"), row(3, node="node-3")]).doubled == 2
    assert judged([*rows, row(3)], killed={"node-1"}).doubled == 1  # the same attempt twice is no recovery


def test_a_later_attempt_is_a_recovery_only_after_a_kill():
    rows = [row(second) for second in range(1, 6)]
    again = row(3, attempt=2, node="node-2", late=3.5)
    verdict = judged([*rows, again], killed={"node-1"})
    assert verdict.good
    assert (verdict.done, verdict.recovered, verdict.recovered_after) == (5, 1, 3.5 * SECOND)
    assert judged([*rows, again], killed={"node-3"}).doubled == 1


def test_a_tick_that_only_the_second_attempt_did_is_done_and_recovered():
    rows = [*(row(second) for second in range(1, 5)), row(5, attempt=2, node="node-2")]
    verdict = judged(rows, killed={"node-1"})
    assert verdict.good
    assert (verdict.done, verdict.recovered, len(verdict.lateness)) == (5, 1, 4)


def test_a_tick_that_nobody_asked_for_is_condemned():
    rows = [row(second) for second in range(1, 7)]
    assert judged(rows).unexpected == 1
    assert not judged(rows).good


def test_what_is_open_has_to_be_done_or_recorded():
    found = expectation(20)
    found.stops("sync", earliest=at(10), latest=at(10))
    rows = [row(second) for second in range(1, 10)]
    assert judged(rows, expected=found).missed == 1
    verdict = judged(rows, expected=found, skipped={("sync", at(10))})
    assert (verdict.good, verdict.expected, verdict.done, verdict.skipped) == (True, 9, 9, 1)
