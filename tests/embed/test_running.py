"""Threads and the event loop for real: timeouts, cancelling, draining, `alive`; each wait is for an event."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from tests.servers import wait_until
from tickonce import Event, Scheduler, current_run, every
from tickonce.errors import RunCancelled
from tickonce.model import RunState
from tickonce.stores.memory import MemoryStore

WITHIN = timedelta(seconds=15)


@pytest.fixture
def scheduler():
    found = Scheduler(MemoryStore(), slots=4, drain_timeout="2s")
    yield found
    found.close()


def start(scheduler, job, **policy):
    """Run a job once, now."""
    scheduler.add("it", job, every("1h"), **policy)
    scheduler.start()
    return scheduler.run_now("it", key="k").token


def ended(scheduler, token):
    wait_until(lambda: not scheduler.run(token).state.open, "the run has ended", within=WITHIN)
    return scheduler.run(token)


def test_functions_run_in_threads_and_coroutines_on_one_loop(scheduler):
    seen = {}

    @scheduler.job(name="blocking")
    def blocking() -> str:
        return threading.current_thread().name

    @scheduler.job(name="waiting")
    async def waiting() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    for job in (blocking, waiting):
        scheduler.add(job.name, job, every("1h"))
    with scheduler.node():
        for name in ("blocking", "waiting"):
            seen[name] = ended(scheduler, scheduler.run_now(name, key="k").token).result
    assert "job" in seen["blocking"]
    assert "loop" in seen["waiting"]


def test_a_coroutine_over_its_timeout_is_cancelled_and_fails(scheduler):
    @scheduler.job(name="slow")
    async def slow() -> None:
        await asyncio.sleep(60)

    run = ended(scheduler, start(scheduler, slow, timeout="200ms"))
    assert run.state is RunState.FAILED
    assert "longer than its timeout of 0.2 s" in run.error


def test_a_thread_over_its_timeout_is_told_stays_overdue_and_then_fails(scheduler):
    told, go = threading.Event(), threading.Event()

    @scheduler.job(name="stubborn")
    def stubborn() -> str:
        wait_until(lambda: current_run().cancelled, "told", within=WITHIN)
        told.set()
        go.wait(15)
        return "late"

    overdue: list[Event] = []
    scheduler.on("overdue", overdue.append)
    token = start(scheduler, stubborn, timeout="200ms")
    assert told.wait(15)
    wait_until(lambda: scheduler.run(token).overdue, "marked as overdue", within=WITHIN)
    assert scheduler.run(token).state is RunState.RUNNING, "it keeps its slot, and overlap counts it"
    go.set()
    assert ended(scheduler, token).state is RunState.FAILED
    assert [event.schedule_id for event in overdue] == ["it"]


def test_a_thread_that_checks_ends_soon_after_its_timeout(scheduler):
    @scheduler.job(name="polite")
    def polite() -> None:
        current_run().sleep("60s")

    run = ended(scheduler, start(scheduler, polite, timeout="200ms"))
    assert run.state is RunState.FAILED


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_cancel_ends_a_running_job(scheduler, kind):
    running = threading.Event()

    @scheduler.job(name="function")
    def function() -> None:
        running.set()
        current_run().sleep("60s")

    @scheduler.job(name="coroutine")
    async def coroutine() -> None:
        running.set()
        await asyncio.sleep(60)

    token = start(scheduler, {"function": function, "coroutine": coroutine}[kind])
    assert running.wait(15)
    scheduler.cancel(token)
    assert ended(scheduler, token).state is RunState.CANCELLED


def test_a_stopping_node_finishes_what_runs(scheduler):
    running, go = threading.Event(), threading.Event()

    @scheduler.job(name="brief")
    def brief() -> str:
        running.set()
        go.wait(15)
        return "done"

    token = start(scheduler, brief)
    assert running.wait(15)
    threading.Timer(0.3, go.set).start()
    assert scheduler.stop("15s") is True
    assert scheduler.run(token).state is RunState.SUCCEEDED
    assert not scheduler.alive


def test_a_stopping_node_hands_back_a_coroutine_that_does_not_end_in_time(scheduler):
    running = threading.Event()

    @scheduler.job(name="long")
    async def long() -> None:
        running.set()
        await asyncio.sleep(60)

    token = start(scheduler, long)
    assert running.wait(15)
    assert scheduler.stop("100ms") is False
    run = scheduler.run(token)
    assert (run.state, run.failures, run.losses) == (RunState.PENDING, 0, 0)


def test_a_second_stop_request_does_not_wait_for_the_drain(scheduler):
    running = threading.Event()

    @scheduler.job(name="long")
    def long() -> None:
        running.set()
        with pytest.raises(RunCancelled):
            current_run().sleep("60s")

    start(scheduler, long)
    assert running.wait(15)
    node = scheduler._host.node
    stopping = threading.Thread(target=scheduler.stop, args=("60s",))
    stopping.start()
    node.abort()
    stopping.join(WITHIN.total_seconds())
    assert not stopping.is_alive()


def test_alive_tells_the_truth_when_a_loop_is_dead(scheduler, monkeypatch):
    scheduler.start()
    node = scheduler._host.node
    assert scheduler.alive
    dead = threading.Thread()
    dead.start()
    dead.join()
    monkeypatch.setattr(node, "_threads", [*node._threads, dead])
    assert not scheduler.alive


def test_a_store_error_that_nobody_foresaw_ends_no_loop(scheduler, monkeypatch, caplog):
    scheduler.start()
    store = scheduler.store
    failing = threading.Event()

    def broken(*args, **kwargs):
        failing.set()
        raise RuntimeError("a bug in a driver")

    with monkeypatch.context() as patch, caplog.at_level(logging.CRITICAL, "tickonce.node"):
        for verb in ("due", "beat", "finish", "claim", "recover"):
            patch.setattr(store, verb, broken)
        scheduler._host.node.heart.soon(at_once=True)
        assert failing.wait(15)
        assert all(thread.is_alive() for thread in scheduler._host.node._threads)

    @scheduler.job(name="after")
    def after() -> str:
        return "well"

    scheduler.add("after", after, every("1h"))
    run = ended(scheduler, scheduler.run_now("after", key="k").token)
    assert run.result == '"well"'


def test_a_failure_is_logged_with_its_traceback_token_and_attempt(scheduler, caplog):
    @scheduler.job(name="bad")
    def bad() -> None:
        raise LookupError("no such shop")

    with caplog.at_level(logging.ERROR, "tickonce.run"):
        token = start(scheduler, bad)
        ended(scheduler, token)
        wait_until(lambda: bool(caplog.records), "logged", within=WITHIN)
    (record,) = [item for item in caplog.records if item.name == "tickonce.run"]
    assert (record.token, record.attempt, record.schedule_id) == (token, 1, "it")
    assert "no such shop" in caplog.text


def test_a_job_marked_so_is_cancelled_when_the_node_is_cut_off(scheduler, monkeypatch):
    running, reason = threading.Event(), []

    @scheduler.job(name="careful")
    def careful() -> None:
        running.set()
        try:
            current_run().sleep("60s")
        except RunCancelled as error:
            reason.append(error.reason)
            raise

    scheduler.add("it", careful, every("1h"), when_cut_off="cancel")
    scheduler.start(lease="3s", beat="500ms", margin="1s")
    scheduler.run_now("it", key="k")
    assert running.wait(15)
    monkeypatch.setattr(scheduler.store, "beat", _unreachable)
    wait_until(lambda: reason == ["cut off"], "told that it is cut off", within=WITHIN)


def _unreachable(*args, **kwargs):
    from tickonce.errors import StoreUnavailable

    raise StoreUnavailable("injected")


AT_EXIT = """
import asyncio, sys
from tickonce import Scheduler, every

scheduler = Scheduler(sys.argv[1])

@scheduler.job(name="late")
async def late() -> str:
    print("begun", flush=True)
    await asyncio.sleep(1)
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
    return await asyncio.to_thread(lambda: "by a thread")

scheduler.add("it", late, every("1h"))
scheduler.start()
scheduler.run_now("it", key="k")
sys.stdin.readline()
"""


def test_a_coroutine_that_runs_at_the_end_of_the_program_may_still_use_threads(tmp_path):
    """A deployment must not be a failure of what runs then: executors end behind the nodes, not before."""
    url = f"sqlite:///{tmp_path}/fleet.db"
    command = [sys.executable, "-c", AT_EXIT, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        program.stdin.close()
        assert program.wait(30) == 0
    with Scheduler(url) as scheduler:
        run = scheduler.run("it@run-k")
    assert (run.state, run.result, run.error) == (RunState.SUCCEEDED, '"by a thread"', None)


BESIDE_A_THREAD = """
import sys, threading, time
from tickonce import Scheduler, every

scheduler = Scheduler(sys.argv[1])

@scheduler.job(name="late")
def late() -> None: ...

scheduler.add("it", late, every("1h"))
scheduler.start()

def work() -> None:
    time.sleep(1)  # the main thread has ended
    token = scheduler.run_now("it", key="k").token
    while scheduler.run(token).state.open:
        time.sleep(0.05)
    print("done", flush=True)

threading.Thread(target=work).start()
"""


def test_a_node_lives_as_long_as_the_programs_threads(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", BESIDE_A_THREAD, f"sqlite:///{tmp_path}/fleet.db"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == "done\n"
