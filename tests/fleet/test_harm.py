"""A bad job, argument, result or trigger harms itself alone."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from tickonce.editing import Create, RunNow
from tickonce.model import Change, Definition, Policy, RunState
from tickonce.retry import Retry
from tickonce.triggers import every

SECOND = timedelta(seconds=1)


@pytest.fixture
def beside(fleet, jobs, add):
    """A healthy schedule beside the bad one; its ten fires of the next ten seconds are checked afterwards."""
    add("healthy", misfire="all", overlap="allow")
    yield
    assert len([token for token, _ in fleet.ledger if token.startswith("healthy")]) >= 10


def put(fleet, schedule_id, job, **more):
    definition = Definition(job=job, trigger=every("1h"), **more)
    fleet.store.change(schedule_id, Create(schedule_id=schedule_id, definition=definition))
    fleet.store.change(schedule_id, RunNow(schedule_id=schedule_id, key="k"))


def only_run(fleet, schedule_id):
    (run,) = fleet.runs(schedule_id)
    return run


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (float("nan"), "nan"),
        ("a\x00b", "NUL"),
        ("\ud800", "surrogate"),
        (object(), "object"),
        ({1, object()}, "object"),
    ],
)
def test_a_result_that_cannot_be_kept_fails_its_run_alone(fleet, jobs, beside, result, says):
    jobs.job(name="bad")(lambda: result)
    put(fleet, "bad", "bad")
    fleet.node(jobs)
    fleet.run_for(10 * SECOND)
    run = only_run(fleet, "bad")
    assert run.state is RunState.FAILED
    assert "cannot be kept" in run.error
    assert says in run.error


@pytest.mark.parametrize("message", ["a\x00b", "\ud800", "x" * 1_000_000, "密" * 100_000])
def test_an_error_whose_message_no_database_takes_is_cleaned(fleet, jobs, beside, message):
    @jobs.job(name="bad")
    def bad() -> None:
        raise ValueError(message)

    put(fleet, "bad", "bad")
    fleet.node(jobs)
    fleet.run_for(10 * SECOND)
    run = only_run(fleet, "bad")
    assert run.state is RunState.FAILED
    assert "ValueError" in run.error
    assert len(run.error.encode()) <= 64 * 1024
    assert "\x00" not in run.error


def test_a_long_result_keeps_its_beginning(fleet, jobs, beside):
    jobs.job(name="long")(lambda: "z" * 500_000)
    put(fleet, "long", "long")
    fleet.node(jobs)
    fleet.run_for(10 * SECOND)
    run = only_run(fleet, "long")
    assert run.state is RunState.SUCCEEDED
    assert len(run.result.encode()) <= 64 * 1024


@pytest.mark.parametrize(
    "arguments", ["{", "[]", '{"args":[],"kwargs":{"x":{"$from-the-future":1}}}', '{"args":[1],"kwargs":{}}']
)
def test_arguments_that_cannot_be_read_or_do_not_fit_fail_their_run_alone(fleet, jobs, beside, arguments):
    jobs.job(name="bad")(lambda: None)
    put(fleet, "bad", "bad")
    found = fleet.schedule("bad")
    run = replace(only_run(fleet, "bad"), token="bad@run-again", arguments=arguments)
    fleet.store.change("bad", lambda _now, _found, _open: Change(schedule=found, manual=(run,)))
    fleet.node(jobs)
    fleet.run_for(10 * SECOND)
    states = {run.token: run.state for run in fleet.runs("bad")}
    assert states == {"bad@run-k": RunState.SUCCEEDED, "bad@run-again": RunState.FAILED}


def test_a_job_that_nobody_knows_waits_for_a_node_that_does(fleet, jobs, beside):
    put(fleet, "new", "only-new-code-knows")
    node = fleet.node(jobs)
    fleet.run_for(10 * SECOND)
    assert only_run(fleet, "new").state is RunState.PENDING
    assert node.faults.calls.count("claim") < 30
    newer = type(jobs)()
    newer.job(name="only-new-code-knows")(lambda: "done")
    fleet.node(newer)
    fleet.run_for(10 * SECOND)
    assert only_run(fleet, "new").state is RunState.SUCCEEDED


def test_a_job_that_raises_system_exit_ends_itself_and_not_the_node(fleet, jobs, beside):
    @jobs.job(name="bad")
    def bad() -> None:
        raise SystemExit(3)

    put(fleet, "bad", "bad")
    fleet.node(jobs)
    fleet.run_for(10 * SECOND)
    assert only_run(fleet, "bad").state is RunState.FAILED


def test_a_failed_run_is_tried_again_with_growing_waits_under_the_same_token(fleet, jobs, clock):
    tries = []

    @jobs.job(name="flaky")
    def flaky() -> str:
        tries.append(clock.wall())
        if len(tries) < 4:
            raise ConnectionError("not yet")
        return "well"

    put(fleet, "flaky", "flaky", policy=Policy(retry=Retry(times=3, delay=2 * SECOND, jitter=0)))
    node = fleet.node(jobs)
    fleet.run_for(30 * SECOND)
    run = only_run(fleet, "flaky")
    assert (run.state, run.attempt, run.failures, run.result) == (RunState.SUCCEEDED, 4, 3, '"well"')
    waits = [after - before for before, after in pairwise(tries)]
    assert waits == [2 * SECOND, 4 * SECOND, 8 * SECOND]
    assert [event.kind for event in node.events] == ["retrying"] * 3 + ["succeeded"]


def test_when_retries_are_used_up_the_run_has_failed_with_its_traceback(fleet, jobs):
    @jobs.job(name="bad", retries=1)
    def bad() -> None:
        raise ConnectionError("never")

    put(fleet, "bad", "bad")
    node = fleet.node(jobs)
    fleet.run_for(60 * SECOND)
    run = only_run(fleet, "bad")
    assert (run.state, run.failures) == (RunState.FAILED, 2)
    assert "ConnectionError: never" in run.error
    assert [event.kind for event in node.events] == ["retrying", "failed"]


def test_a_pending_run_that_nobody_starts_in_time_is_skipped_and_says_so(fleet, jobs):
    definition = Definition(job="nobody-knows", trigger=every("1m"), policy=Policy())
    fleet.store.change("stale", Create(schedule_id="stale", definition=definition))
    node = fleet.node(jobs)
    fleet.run_for(timedelta(minutes=5))
    runs = fleet.runs("stale")
    assert RunState.SKIPPED in {run.state for run in runs}
    assert {run.reason for run in runs if run.state is RunState.SKIPPED} == {"too late"}
    assert len(runs) + sum(skip.count for skip in fleet.store.skips("stale").items) == 5
    assert "skipped" in {event.kind for event in node.events}


def test_a_run_that_was_asked_to_cancel_before_it_began_never_begins(fleet, jobs):
    fleet.takes = 30 * SECOND
    put(fleet, "a", "note")
    fleet.node(jobs)
    fleet.run_for(SECOND)
    fleet.store.cancel("a@run-k", by="ann")
    fleet.run_for(40 * SECOND)
    assert only_run(fleet, "a").state is RunState.CANCELLED
    assert fleet.ledger == []


def test_an_outcome_that_cannot_be_told_of_is_an_outcome(fleet, jobs, caplog):
    """A log filter with a bug, an exception whose text raises: the run has failed, and its slot is free."""

    class Untellable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @jobs.job(name="bad")
    def bad() -> None:
        raise Untellable

    put(fleet, "bad", "bad")
    node = fleet.node(jobs)
    log = logging.getLogger("tickonce.run")
    log.addFilter(_broken)
    try:
        fleet.run_for(5 * SECOND)
    finally:
        log.removeFilter(_broken)
    assert only_run(fleet, "bad").state is RunState.FAILED
    assert node.engine.worker.busy == 0


def _broken(record: logging.LogRecord) -> bool:
    raise KeyError("a filter with a bug")
