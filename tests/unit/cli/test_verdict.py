"""What the demo says: a play that cannot be condemned is worth nothing. The judge itself has tests of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tickonce.cli.demo.verdict import Account
from tickonce.model import Run, RunState, token_of
from tickonce.testing.judging import (
    Call,
    Conditions,
    Evidence,
    History,
    Period,
    Terms,
    Within,
    ever_harmed,
    judge,
)

START = datetime(2026, 11, 21, 13, 0, 0, 300_000, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def at(seconds):
    return START.replace(microsecond=0) + seconds * SECOND


def account(seconds, *, twice=(), again=(), killed=()):
    """What is said when *seconds* were carried out, some of them *twice* or *again* as second attempt."""
    history = History()
    terms = Terms(rhythm=Within(Period(SECOND), end=at(5)), misfire="all", overlap="allow")
    history.add("sync", terms, START)
    calls = [_call(second) for second in seconds]
    calls += [_call(second, node="node-2") for second in twice]
    calls += [_call(second, attempt=2, node="node-2", late=3.5) for second in again]
    runs = [
        Run(
            token=token_of("sync", at(second)),
            schedule_id="sync",
            job="demo.fetch",
            arguments="{}",
            scheduled_time=at(second),
            due=at(second),
            state=RunState.SUCCEEDED,
            attempt=2 if second in again else 1,
            losses=1 if second in again else 0,
        )
        for second in sorted({*seconds, *again})
    ]
    conditions = Conditions(until=at(60), harmed=ever_harmed(killed), prompt=10 * SECOND)
    return Account(judge(history, Evidence(calls=calls, runs=runs), conditions))


def _call(second, *, attempt=1, node="node-1", late=0.004):
    return Call(
        token=token_of("sync", at(second)),
        schedule_id="sync",
        scheduled_time=at(second),
        attempt=attempt,
        node=node,
        began=at(second) + late * SECOND,
    )


def test_all_done_once_is_good():
    found = account(range(1, 6))
    assert found.good
    assert found.odd == []
    form = found.form()
    assert (form["expected"], form["done"], form["doubled"], form["missed"]) == (5, 5, 0, 0)
    assert form["lateness_p50_ms"] == 4.0


def test_a_tick_that_is_missing_is_missed():
    found = account(range(1, 5))
    assert not found.good
    assert (found.form()["expected"], found.form()["done"], found.form()["missed"]) == (5, 4, 1)
    assert found.odd == ["missed: sync@2026-11-21T13:00:05Z: neither run nor skip record (active)"]


def test_a_tick_that_is_there_twice_is_doubled():
    found = account(range(1, 6), twice=[3], killed=["node-1"])
    assert not found.good
    assert found.form()["doubled"] == 1


def test_a_later_attempt_is_a_recovery_only_after_a_kill():
    found = account(range(1, 6), again=[3], killed=["node-1"])
    assert found.good
    assert found.form()["recovered"] == 1
    assert not account(range(1, 6), again=[3]).good


def test_a_tick_that_only_the_second_attempt_did_is_recovered():
    found = account(range(1, 5), again=[5], killed=["node-1"])
    assert found.good
    assert (found.form()["done"], found.form()["recovered"], found.recovered_after) == (5, 1, 3.5 * SECOND)


def test_a_tick_that_nobody_asked_for_is_condemned():
    found = account(range(1, 7))
    assert found.form()["unexpected"] == 1
    assert not found.good
