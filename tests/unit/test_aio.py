"""AsyncScheduler: the same face, as coroutines, off the event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tickonce import AsyncScheduler, Jobs, Scheduler, current_run, every
from tickonce.aio import AsyncBound
from tickonce.bound import Bound
from tickonce.errors import ConfigError, NoSchedule, NotTransactional
from tickonce.model import RunState, ScheduleState

#: What is as it is in a Scheduler, since it waits for nothing.
PLAIN = {"job", "schedule", "include", "on", "using", "jobs", "events", "alive", "node_id"}
#: Takes over signals of the main thread, which an event loop does itself.
LEFT_OUT = {"serve"}
#: What a Scheduler shows of itself: an AsyncScheduler's is found in `.sync`.
IN_SYNC = {"store", "by", "tz", "release", "config", "clock"}


def public(kind: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


# -- the same face -------------------------------------------------------------------------------


def test_every_public_name_of_a_scheduler_is_there():
    missing = public(Scheduler).keys() - public(AsyncScheduler).keys()
    assert missing == (LEFT_OUT | IN_SYNC) & public(Scheduler).keys()
    assert public(Bound).keys() - public(AsyncBound).keys() == IN_SYNC & public(Bound).keys()


@pytest.mark.parametrize("name", sorted(public(Scheduler).keys() - LEFT_OUT - IN_SYNC))
def test_each_takes_the_same_arguments_with_the_same_types(name):
    here, there = public(AsyncScheduler)[name], public(Scheduler)[name]
    if isinstance(there, property):
        assert isinstance(here, property)
        assert here.fget.__annotations__ == there.fget.__annotations__
        return
    assert parameters(here) == parameters(there)
    if name == "node":
        assert inspect.isasyncgenfunction(inspect.unwrap(here))
        return
    assert inspect.iscoroutinefunction(here) == (name not in PLAIN)
    if name != "using":
        assert inspect.signature(here).return_annotation == inspect.signature(there).return_annotation


@pytest.mark.parametrize("name", sorted(public(AsyncBound)))
def test_in_a_transaction_too(name):
    assert parameters(public(AsyncBound)[name]) == parameters(public(Bound)[name])


def test_it_is_made_like_a_scheduler():
    assert parameters(AsyncScheduler.__init__) == parameters(Scheduler.__init__)
    assert repr(AsyncScheduler("memory:")) == "<AsyncScheduler of a store not opened yet>"


# -- at work -------------------------------------------------------------------------------------


def test_schedules_are_edited_and_read_without_the_event_loop_waiting():
    async def work() -> None:
        async with AsyncScheduler("memory:", name="ada") as scheduler:

            @scheduler.schedule("@daily", id="nightly")
            @scheduler.job(name="sync", queue="shops")
            def sync(shop: str = "all") -> None: ...

            (declared,) = await scheduler.declare()
            assert declared.id == "nightly"
            added = await scheduler.add("x", sync.bind("eu"), every("1h"), tags=["a"])
            assert added == await scheduler.get("x")
            assert (await scheduler.update("x", priority=3)).definition.priority == 3
            assert (await scheduler.pause("x", reason="why")).state is ScheduleState.PAUSED
            assert (await scheduler.resume("x")).state is ScheduleState.ACTIVE
            run = await scheduler.run_now("x", key="k", kwargs={"shop": "us"})
            assert await scheduler.run(run.token) == run
            assert (await scheduler.runs(states=["pending"])).items == (run,)
            assert (await scheduler.cancel(run.token)).state is RunState.CANCELLED
            assert (await scheduler.retry(run.token)).state is RunState.PENDING
            assert [each.id for each in (await scheduler.schedules(tag="a")).items] == ["x"]
            assert (await scheduler.skips("x")).items == ()
            assert len(await scheduler.next_fires("x", 3)) == 3
            assert (await scheduler.update("nightly", priority=1)).declaration is not None
            assert (await scheduler.revert("nightly")).definition.priority == 0
            assert await scheduler.prune() == 0
            await scheduler.remove("x")
            with pytest.raises(NoSchedule):
                await scheduler.get("x")

    asyncio.run(work())


def test_a_call_runs_in_a_thread_of_the_schedulers_own(monkeypatch):
    names: list[str] = []
    scheduler = AsyncScheduler("memory:")
    monkeypatch.setattr(scheduler.sync, "nodes", lambda: names.append(threading.current_thread().name))

    async def ask() -> None:
        await asyncio.gather(*(scheduler.nodes() for _ in range(8)))
        await scheduler.close()

    asyncio.run(ask())
    assert len(names) == 8
    assert all(name.startswith("tickonce-aio") for name in names)
    asyncio.run(ask())  # closed, and used again, on another loop
    assert len(names) == 16


def test_a_node_lives_as_long_as_its_block():
    done = threading.Event()

    async def live() -> None:
        scheduler = AsyncScheduler("memory:")

        @scheduler.schedule(every("20ms"), id="beat")
        @scheduler.job(name="beat")
        async def beat() -> None:
            await asyncio.sleep(0)
            done.set()

        async with scheduler, scheduler.node(slots=2) as same:
            assert same is scheduler
            assert scheduler.alive
            assert scheduler.node_id is not None
            assert await asyncio.to_thread(done.wait, 20)
        assert not scheduler.alive

    asyncio.run(live())


def test_an_async_job_that_stops_its_own_node_does_not_wait_for_itself():
    answers: list[bool] = []

    async def live() -> None:
        scheduler = AsyncScheduler("memory:")
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()

        @scheduler.job(name="last")
        async def last() -> None:
            assert current_run().job == "last"
            answers.append(await scheduler.stop())
            loop.call_soon_threadsafe(stopped.set)

        await scheduler.add("last", last, every("365d"))
        await scheduler.run_now("last")
        await scheduler.start()
        async with asyncio.timeout(20):
            await stopped.wait()
        await scheduler.close()

    asyncio.run(live())
    assert answers == [False]


# -- in a caller's transaction -------------------------------------------------------------------


def test_what_is_no_async_connection_of_sqlalchemy_is_refused_with_what_helps():
    class Connection:
        """As asyncpg's."""

    with pytest.raises(NotTransactional, match=r"AsyncSession or AsyncConnection.*got Connection.*sync\.using"):
        AsyncScheduler("memory:").using(Connection())


def test_edits_run_where_run_sync_puts_them():
    class AsyncConnection:
        """As SQLAlchemy's: hands the blocking connection to a function."""

        async def run_sync(self, function: Callable[[Any], Any]) -> Any:
            return function("connection")

    used: list[object] = []

    async def work() -> None:
        scheduler = AsyncScheduler("memory:")
        jobs = Jobs()
        jobs.job(name="tidy")(lambda: None)
        scheduler.include(jobs)

        def using(connection: object) -> Bound:
            used.append(connection)
            return Bound(scheduler.sync, scheduler.sync.store)

        scheduler.sync.using = using  # type: ignore[method-assign]
        added = await scheduler.using(AsyncConnection()).add("x", "tidy", every("1h"))
        assert added == await scheduler.get("x")
        await scheduler.using(AsyncConnection()).remove("x")
        with pytest.raises(NoSchedule):
            await scheduler.using(AsyncConnection()).get("x")

    asyncio.run(work())
    assert used == ["connection"] * 3


def test_a_block_that_is_cancelled_while_its_node_starts_leaves_none_behind():
    async def work() -> None:
        scheduler = AsyncScheduler("memory:")
        begun, go_on = threading.Event(), threading.Event()
        join = scheduler.sync.store.join

        def slow(node: Any) -> Any:
            begun.set()
            assert go_on.wait(20)
            return join(node)

        scheduler.sync.store.join = slow  # type: ignore[method-assign]

        async def block() -> None:
            async with scheduler.node():
                raise AssertionError("the block is not entered")

        task = asyncio.create_task(block())
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert scheduler.node_id is None
        await scheduler.close()

    asyncio.run(work())


def test_on_a_loop_that_is_not_asyncios_it_says_so():
    """As trio's would: it takes the coroutine's first step with no loop of asyncio running."""
    asked = AsyncScheduler("memory:").get("nightly")
    with pytest.raises(ConfigError, match=r"needs asyncio's event loop.*-k asyncio"):
        asked.send(None)


def test_loops_of_several_threads_share_one_though_each_closes_it():
    scheduler = AsyncScheduler("memory:")
    failed: list[BaseException] = []

    async def ask() -> None:
        for _ in range(300):
            with pytest.raises(NoSchedule):
                await scheduler.get("nightly")
            await scheduler.close()

    def run() -> None:
        try:
            asyncio.run(ask())
        except BaseException as error:  # noqa: BLE001  # shown in the thread of the test
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
