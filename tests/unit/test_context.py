"""What a job sees of its run."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tickonce import RunContext, current_run
from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import NotInRun, RunCancelled, RunError
from tickonce.model import Run, token_of
from tickonce.testing import FakeClock

NINE = datetime(2026, 11, 21, 9, tzinfo=UTC)
RUN = Run(
    token=token_of("nightly", NINE),
    schedule_id="nightly",
    job="shop.sync",
    arguments="{}",
    scheduled_time=NINE,
    due=NINE,
    attempt=2,
    failures=1,
    node="node-1",
)


def ignored(**noted: object) -> None:
    del noted


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NINE)


@pytest.fixture
def run(clock) -> RunContext:
    return RunContext(RUN, clock=clock, report=ignored)


# -- current_run ---------------------------------------------------------------------------------


def test_current_run_is_the_run_within_it_and_an_error_outside(run):
    with run.entered():
        assert current_run() is current_run(None) is run
    with pytest.raises(NotInRun, match="copy_context"):
        current_run()
    assert current_run(None) is None
    assert current_run("default") == "default"


def test_a_run_knows_what_it_is(run):
    assert (run.token, run.schedule_id, run.job) == ("nightly@2026-11-21T09:00:00Z", "nightly", "shop.sync")
    assert (run.scheduled_time, run.attempt, run.failures, run.node) == (NINE, 2, 1, "node-1")
    assert (run.shard, run.source) == (None, "schedule")
    assert repr(run) == "<run nightly@2026-11-21T09:00:00Z, attempt 2>"


def test_threads_know_the_run_only_when_they_are_given_the_context(run):
    found: list[Any] = []

    def look() -> None:
        found.append(current_run(None))

    with run.entered():
        threads = [threading.Thread(target=look), threading.Thread(target=contextvars.copy_context().run, args=(look,))]
        for thread in threads:
            thread.start()
            thread.join()
    assert found == [None, run]


def test_two_runs_on_one_event_loop_do_not_see_each_other(clock):
    async def carry_out(run: RunContext) -> bool:
        with run.entered():
            await asyncio.sleep(0)
            return current_run() is run

    async def both() -> list[bool]:
        runs = [RunContext(RUN, clock=clock, report=ignored) for _ in range(2)]
        return await asyncio.gather(*(carry_out(run) for run in runs))

    assert asyncio.run(both()) == [True, True]


# -- being told to stop --------------------------------------------------------------------------


def test_check_and_sleep_pass_while_nothing_was_asked(clock):
    run = RunContext(RUN, clock=FakeClock(waiting_passes=True), report=ignored)
    run.check()
    run.sleep("1h")
    run.sleep(timedelta(minutes=1))
    run.sleep(0.5)
    assert not run.cancelled
    assert run.cancel_reason is None


@pytest.mark.parametrize("reason", ["cancelled", "timeout", "cut off", "stopping"])
def test_once_asked_to_stop_a_run_ends_wherever_it_looks(run, reason):
    run.cancel(reason)
    assert run.cancelled
    for look in (run.check, lambda: run.sleep("1s"), lambda: asyncio.run(run.asleep("1s"))):
        with pytest.raises(RunCancelled) as told:
            look()
        assert (told.value.token, told.value.reason) == (run.token, reason)


def test_the_first_reason_stays(run):
    run.cancel("timeout")
    run.cancel("stopping")
    assert run.cancel_reason == "timeout"


def test_a_sleep_ends_when_its_time_is_over_or_the_run_is_asked_to_stop(clock, run):
    ends: list[str] = []

    def sleep(duration: str) -> None:
        try:
            run.sleep(duration)
            ends.append(duration)
        except RunCancelled as told:
            ends.append(f"{duration} {told.reason}")

    threads = [threading.Thread(target=sleep, args=(duration,)) for duration in ("1m", "1h", "2h")]
    for thread in threads:
        thread.start()
    clock.until_waiting(3)
    clock.advance(timedelta(minutes=1))
    threads[0].join(10)
    run.cancel("cancelled")
    for thread in threads:
        thread.join(10)
    assert ends[0] == "1m"
    assert sorted(ends[1:]) == ["1h cancelled", "2h cancelled"]


def test_sleep_would_stop_an_event_loop_and_says_so(run):
    async def job() -> None:
        run.sleep(1)

    with pytest.raises(RunError, match=r"await run.asleep"):
        asyncio.run(job())


def test_a_coroutine_waits_with_asleep():
    run = RunContext(RUN, clock=SYSTEM_CLOCK, report=ignored)
    asyncio.run(run.asleep(0.001))


def test_a_duration_that_is_none_is_refused(run):
    with pytest.raises(RunError, match="write '5s' for seconds"):
        run.sleep("5")


# -- telling -------------------------------------------------------------------------------------


def test_progress_is_handed_on_within_its_bounds(clock):
    noted: list[dict[str, Any]] = []
    run = RunContext(RUN, clock=clock, report=lambda **note: noted.append(note))
    run.progress(0.4, "two of five")
    run.progress(7)
    run.progress(-1)
    assert noted == [
        {"progress": 0.4, "message": "two of five"},
        {"progress": 1.0, "message": ""},
        {"progress": 0.0, "message": ""},
    ]


def test_what_a_job_logs_carries_its_token_and_attempt(run, caplog):
    with caplog.at_level(logging.INFO, logger="tickonce.run"):
        run.log.info("synced %d shops", 3, extra={"shops": 3})
    (record,) = caplog.records
    assert record.getMessage() == "synced 3 shops"
    assert record.name == "tickonce.run"
    assert (record.token, record.attempt, record.schedule_id, record.job, record.shops) == (
        run.token,
        2,
        "nightly",
        "shop.sync",
        3,
    )
