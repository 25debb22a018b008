"""Tests of programs: a job carried out in the test's thread, a Scheduler stepped through time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tickonce import Call, Jobs, Retry, Scheduler, at, current_run, every
from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import BadArguments, ConfigError, DefinitionError, ResultError
from tickonce.model import RunState
from tickonce.testing import FakeClock, run_due, run_inline

pytest_plugins = ["tickonce.testing.pytest_plugin"]

NINE = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def scheduler(tickonce_scheduler: Scheduler, tickonce_clock: FakeClock) -> Scheduler:
    tickonce_clock.advance_to(NINE)
    return tickonce_scheduler


# -- run_inline ----------------------------------------------------------------------------------


def test_a_job_runs_here_and_knows_its_run():
    jobs = Jobs("t.")

    @jobs.job(name="report")
    def report(shop: str, *, full: bool = False) -> list[object]:
        run = current_run()
        run.sleep("2h")
        run.progress(0.5)
        return [shop, full, run.scheduled_time, run.attempt, run.failures, run.job, run.cancelled]

    returned = run_inline(report, "eu", full=True, scheduled_time=NINE, attempt=3)
    assert returned == ["eu", True, NINE, 3, 2, "t.report", False]
    assert current_run(None) is None


def test_the_transaction_of_a_run_is_the_jobs_alone(scheduler):
    """Whatever the test has for a connection: there is no run in its database, which could end there."""
    entered: list[object] = []

    @scheduler.job(name="pay")
    def pay() -> str:
        with current_run().transaction(entered) as connection:
            connection.append(connection)
        return "paid"

    assert run_inline(pay) == "paid"
    scheduler.add("pay", pay, every("1h"))
    (run,) = run_due(scheduler, until="1h")
    assert (run.state, run.result) == (RunState.SUCCEEDED, '"paid"')
    assert len(entered) == 2


def test_a_coroutine_is_awaited_and_sleeps_in_no_time():
    @Jobs("t.").job(name="fetch")
    async def fetch(url: str) -> str:
        await asyncio.sleep(0)
        await current_run().asleep("1d")
        return url

    assert run_inline(fetch, "https://example.org") == "https://example.org"
    assert run_inline(fetch.bind("x")) == "x"


def test_a_naive_time_is_refused_with_what_to_write(scheduler):
    @scheduler.job(name="noop")
    def noop() -> None: ...

    naive = datetime(2026, 12, 1, 9)
    with pytest.raises(DefinitionError, match=r"scheduled_time must be aware, got the naive 2026-12-01T09:00:00"):
        run_inline(noop, scheduled_time=naive)
    with pytest.raises(DefinitionError, match="until must be aware"):
        run_due(scheduler, until=naive)
    with pytest.raises(DefinitionError, match="start must be aware"):
        run_due(scheduler, start=naive, until="1h")


def test_what_the_job_raises_comes_out():
    @Jobs("t.").job(name="broken")
    def broken() -> None:
        raise KeyError("shop")

    with pytest.raises(KeyError, match="shop"):
        run_inline(broken)


def test_what_would_fail_in_a_fleet_fails_here():
    @Jobs("t.").job(name="odd")
    def odd(value: object) -> object:
        return object()

    with pytest.raises(BadArguments, match="not JSON"):
        run_inline(odd, object())
    with pytest.raises(BadArguments, match="missing a required argument"):
        run_inline(odd)
    with pytest.raises(ResultError, match="cannot be kept"):
        run_inline(odd, 1)


# -- run_due -------------------------------------------------------------------------------------


def test_what_is_due_runs_in_order_at_its_time(scheduler, tickonce_clock):
    seen: list[tuple[str, datetime, datetime]] = []

    @scheduler.schedule("15 * * * *", id="quarter")
    @scheduler.schedule("0 * * * *", id="hourly")
    @scheduler.job(name="look")
    def look() -> None:
        run = current_run()
        seen.append((run.schedule_id, run.scheduled_time, tickonce_clock.wall()))

    runs = run_due(scheduler, until=NINE + 2 * HOUR)
    times = [NINE + timedelta(minutes=minutes) for minutes in (15, 60, 75, 120)]
    assert seen == [(name, time, time) for name, time in zip(["quarter", "hourly"] * 2, times, strict=True)]
    assert [run.scheduled_time for run in runs] == times
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    assert tickonce_clock.wall() == NINE + 2 * HOUR
    assert run_due(scheduler, until="14m") == []
    assert len(run_due(scheduler, until="1m")) == 1


def test_a_month_of_hours_takes_a_moment(scheduler):
    scheduler.schedule("0 * * * *", id="hourly")(scheduler.job(name="nothing")(lambda: None))
    assert len(run_due(scheduler, until="30d")) == 720


def test_a_failed_run_is_tried_again_after_its_wait(scheduler, tickonce_clock):
    at_times: list[timedelta] = []

    @scheduler.schedule(at(NINE + HOUR), id="once", retries=Retry(times=2, delay=timedelta(minutes=1), jitter=0))
    @scheduler.job(name="flaky")
    def flaky() -> str:
        at_times.append(tickonce_clock.wall() - NINE - HOUR)
        if current_run().failures < 2:
            raise RuntimeError("not yet")
        return "well"

    events: list[str] = []
    for kind in ("retrying", "succeeded"):
        scheduler.on(kind, lambda event: events.append(event.kind))
    (run,) = run_due(scheduler, until="1d")
    assert (run.state, run.attempt, run.failures, run.result) == (RunState.SUCCEEDED, 3, 2, '"well"')
    assert at_times == [timedelta(0), timedelta(minutes=1), timedelta(minutes=3)]
    assert events == ["retrying", "retrying", "succeeded"]


def test_without_retries_a_failure_is_final_and_others_go_on(scheduler):
    @scheduler.schedule(every("1h"), id="broken")
    @scheduler.job(name="broken")
    def broken() -> None:
        raise RuntimeError("always")

    runs = run_due(scheduler, until="2h")
    assert [run.state for run in runs] == [RunState.FAILED] * 2
    assert "RuntimeError: always" in str(runs[0].error)


@pytest.mark.parametrize(("overlap", "begun"), [("skip", [0, 2, 4]), ("allow", [0, 1, 2, 3, 4])])
def test_a_run_that_sleeps_overlaps_what_comes_due_meanwhile(scheduler, overlap, begun):
    @scheduler.schedule(every("1h"), id="long", overlap=overlap, grace="2h", start_within="1d")
    @scheduler.job(name="long")
    def long() -> None:
        current_run().sleep("90m")

    runs = run_due(scheduler, until=NINE + 5 * HOUR + timedelta(minutes=1))
    assert [(run.scheduled_time - NINE) // HOUR - 1 for run in runs] == begun
    if overlap == "skip":
        assert {skip.reason for skip in scheduler.skips("long").items} == {"overlap"}


@pytest.mark.parametrize(("misfire", "ran"), [("latest", [3]), ("all", [1, 2, 3]), ("skip", [])])
def test_what_came_due_before_the_start_is_found_late(scheduler, misfire, ran):
    @scheduler.schedule(every("1h"), id="hourly", misfire=misfire, overlap="allow")
    @scheduler.job(name="nothing")
    def nothing() -> None: ...

    runs = run_due(scheduler, start=NINE + 3.5 * HOUR, until=NINE + 3.6 * HOUR)
    assert [(run.scheduled_time - NINE) // HOUR for run in runs] == ran


def test_coroutines_by_hand_and_other_queues_run_too(scheduler):
    @scheduler.job(name="fetch", queue="network", on_lost="fail")
    async def fetch(url: str) -> str:
        await current_run().asleep("1m")
        current_run().progress(0.5)
        return url

    scheduler.add("fetch", fetch.bind("x"), at(NINE + HOUR))
    by_hand = scheduler.run_now("fetch", kwargs={"url": "y"})
    runs = run_due(scheduler, until="2h")
    assert [(run.token, run.result) for run in runs] == [
        (by_hand.token, '"y"'),
        ("fetch@2026-11-21T10:00:00Z", '"x"'),
    ]


def test_a_job_may_add_schedules_that_then_run(scheduler):
    @scheduler.job(name="second")
    def second() -> None: ...

    @scheduler.schedule(at(NINE + HOUR), id="first")
    @scheduler.job(name="first")
    def first() -> None:
        scheduler.add("second", second, at(NINE + 2 * HOUR), queue="new")

    assert [run.schedule_id for run in run_due(scheduler, until="3h")] == ["first", "second"]


def test_a_program_brings_its_jobs_by_include(scheduler):
    program = Scheduler("memory:")
    program.schedule("@daily", id="nightly")(program.job(name="tidy")(lambda: 7))
    scheduler.include(program.jobs)
    (run,) = run_due(scheduler, until="1d")
    assert (run.token, run.result) == ("nightly@2026-11-22T00:00:00Z", "7")


def test_time_that_cannot_be_moved_is_refused():
    with pytest.raises(ConfigError, match="needs a FakeClock"):
        run_due(Scheduler("memory:", clock=SYSTEM_CLOCK), until="1h")


def test_a_call_is_what_bind_gives():
    job = Jobs("t.").job(name="tidy")(lambda: None)
    assert isinstance(job.bind(), Call)
