"""The node of a process: started, served, stopped, and what forks and exits make of it. Real threads and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from textwrap import dedent

import pytest

from tests.servers.waiting import wait_until
from tickonce import Scheduler, every, hosting
from tickonce.errors import ConfigError, StoreUnavailable, WrongState
from tickonce.model import NodeState, RunState

PATIENCE_S = 20


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    with Scheduler("memory:", name="test", slots=4) as scheduler:
        yield scheduler


class Held:
    """A job that runs until it is let go."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        job = scheduler.job(name="held")(self._hold)
        scheduler.add("held", job, every("365d"))
        self.run = scheduler.run_now("held")

    def _hold(self) -> str:
        self.begun.set()
        assert self.go_on.wait(PATIENCE_S)
        return "done"


def in_thread(*steps: Callable[[], object]) -> threading.Thread:
    def take() -> None:
        for step in steps:
            step()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return thread


def send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def states(scheduler: Scheduler) -> list[NodeState]:
    return [node.state for node in scheduler.nodes()]


# -- start and stop ------------------------------------------------------------------------------


def test_a_node_declares_launches_carries_out_and_tells(scheduler):
    told: list[str] = []
    scheduler.on("succeeded", lambda event: told.append(event.run.token))
    five = threading.Semaphore(0)

    @scheduler.schedule(every("20ms"), id="beat", overlap="allow")
    @scheduler.job(name="beat")
    def beat() -> None:
        five.release()

    with scheduler.node():
        assert scheduler.alive
        assert [node.id for node in scheduler.nodes()] == [scheduler.node_id]
        for _ in range(5):
            assert five.acquire(timeout=PATIENCE_S)
    assert not scheduler.alive
    assert scheduler.node_id is None
    assert states(scheduler) == [NodeState.GONE]
    assert scheduler.events.flush()
    assert len(told) == len(set(told)) >= 5
    assert len(scheduler.runs(states=["succeeded"]).items) == len(told)


def test_a_coroutine_job_is_carried_out_too(scheduler):
    @scheduler.job(name="fetch")
    async def fetch() -> int:
        done.set()
        return 7

    done = threading.Event()
    scheduler.add("fetch", fetch, every("365d"))
    run = scheduler.run_now("fetch")
    with scheduler.node():
        assert done.wait(PATIENCE_S)
        wait_until(lambda: scheduler.run(run.token).state is RunState.SUCCEEDED, "the run to end")
    assert scheduler.run(run.token).result == "7"


def test_entering_a_scheduler_starts_nothing():
    with Scheduler("memory:") as scheduler:
        assert scheduler.nodes() == []
        assert not scheduler.alive


def test_one_scheduler_has_one_node_at_a_time(scheduler):
    scheduler.start()
    first = scheduler.node_id
    with pytest.raises(WrongState, match=r"running.*stop\(\) it first"):
        scheduler.start()
    assert scheduler.stop()
    assert scheduler.stop()
    scheduler.start(slots=1)
    assert scheduler.node_id not in (None, first)
    assert [node.slots for node in scheduler.nodes()] == [4, 1]


def test_closing_stops_the_node(scheduler):
    scheduler.start()
    scheduler.close()
    assert not scheduler.alive
    assert states(scheduler) == [NodeState.GONE]


def test_stop_lets_what_runs_end_within_its_drain(scheduler):
    held = Held(scheduler)
    scheduler.start()
    assert held.begun.wait(PATIENCE_S)
    in_thread(lambda: wait_until(lambda: states(scheduler) == [NodeState.LEAVING], "leaving"), held.go_on.set)
    assert scheduler.stop("20s")
    assert scheduler.run(held.run.token).state is RunState.SUCCEEDED


def test_stop_gives_up_what_outlasts_its_drain(scheduler):
    held = Held(scheduler)
    scheduler.start()
    assert held.begun.wait(PATIENCE_S)
    assert not scheduler.stop(timedelta(0))
    assert states(scheduler) == [NodeState.GONE]
    held.go_on.set()


def test_a_job_that_stops_its_own_node_does_not_wait_for_itself(scheduler):
    answers: list[bool] = []

    @scheduler.job(name="last")
    def last() -> None:
        answers.append(scheduler.stop())

    scheduler.add("last", last, every("365d"))
    run = scheduler.run_now("last")
    scheduler.start()
    wait_until(lambda: states(scheduler) == [NodeState.GONE], "the node to leave")
    assert answers == [False]
    assert scheduler.run(run.token).state is RunState.SUCCEEDED


def test_a_store_that_cannot_be_reached_leaves_no_node_behind(scheduler, monkeypatch):
    def refuse(*args: object) -> None:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(scheduler.store, "join", refuse)
    before = threading.active_count()
    with pytest.raises(StoreUnavailable):
        scheduler.start()
    assert scheduler.node_id is None
    assert threading.active_count() == before
    monkeypatch.undo()
    scheduler.start()
    assert scheduler.alive


# -- serve ---------------------------------------------------------------------------------------


def test_serve_ends_when_another_thread_stops_it_and_leaves_signals_as_they_were(scheduler):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    in_thread(lambda: wait_until(lambda: scheduler.alive, "the node"), scheduler.stop)
    assert scheduler.serve(slots=1)
    assert not scheduler.alive
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_what_runs_end(scheduler, number):
    held = Held(scheduler)
    in_thread(
        lambda: held.begun.wait(PATIENCE_S),
        send(number),
        lambda: wait_until(lambda: states(scheduler) == [NodeState.LEAVING], "leaving"),
        held.go_on.set,
    )
    assert scheduler.serve()
    assert scheduler.run(held.run.token).state is RunState.SUCCEEDED


def test_a_signal_that_comes_by_two_ways_is_one_request(scheduler):
    """timeout(1) and other wrappers signal the child and its group."""
    held = Held(scheduler)
    in_thread(
        lambda: held.begun.wait(PATIENCE_S),
        send(signal.SIGTERM),
        lambda: wait_until(lambda: states(scheduler) == [NodeState.LEAVING], "leaving"),
        send(signal.SIGTERM),
        held.go_on.set,
    )
    assert scheduler.serve(drain="10m")


def test_the_second_signal_stops_at_once(scheduler, monkeypatch):
    monkeypatch.setattr(hosting, "ECHO", timedelta(0))
    held = Held(scheduler)
    in_thread(
        lambda: held.begun.wait(PATIENCE_S),
        send(signal.SIGTERM),
        lambda: wait_until(lambda: states(scheduler) == [NodeState.LEAVING], "leaving"),
        send(signal.SIGINT),
    )
    assert not scheduler.serve(drain="10m")
    assert not scheduler.alive
    assert scheduler.node_id is None
    held.go_on.set()


def test_serve_belongs_into_the_main_thread(scheduler):
    told: list[str] = []

    def serve() -> None:
        with pytest.raises(ConfigError) as refused:
            scheduler.serve()
        told.append(str(refused.value))

    in_thread(serve).join(PATIENCE_S)
    assert "main thread only; elsewhere use start()" in told[0]


def test_signals_come_back_also_when_the_node_could_not_start(scheduler, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.delattr(type(scheduler.store), "join")
    with pytest.raises(AttributeError):
        scheduler.serve()
    assert signal.getsignal(signal.SIGTERM) is before


# -- processes -----------------------------------------------------------------------------------


def script(text: str) -> subprocess.Popen[str]:
    code = "from tickonce import Scheduler, every\nscheduler = Scheduler('memory:')\n" + dedent(text)
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_served_program_says_what_it_serves_and_ends_well_at_sigterm():
    process = script("""
        import sys
        sys.exit(not scheduler.serve())
    """)
    assert process.stderr is not None
    said = process.stderr.readline()
    process.terminate()
    _, rest = process.communicate(timeout=PATIENCE_S)
    assert said.startswith("tickonce serves memory: as node ")
    assert said.endswith(": 1 node(s) alive, 0 schedule(s), time zone UTC\n")
    assert (rest, process.returncode) == ("", 0)


def test_a_node_that_nobody_stopped_drains_when_the_interpreter_ends():
    process = script("""
        import threading
        begun, going = threading.Event(), threading.Event()

        @scheduler.job(name="slow")
        def slow():
            begun.set()
            going.wait(0.2)
            print("ended")

        scheduler.add("slow", slow, every("365d"))
        run = scheduler.run_now("slow")
        scheduler.start()
        begun.wait()
    """)
    assert process.communicate(timeout=PATIENCE_S) == ("ended\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_no_node_and_can_be_terminated_and_may_start_one_of_its_own():
    process = script("""
        import os, signal, sys, time

        def look(where):
            print(where, scheduler.alive, scheduler.node_id is None, flush=True)

        def fork():
            while not scheduler.alive:  # the first run may be faster than serve()
                time.sleep(0.01)
            child = os.fork()
            if child == 0:
                look("child")
                assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
                assert scheduler.stop()
                with scheduler.node():
                    look("child's own")
                os.kill(os.getpid(), signal.SIGTERM)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            print("terminated", os.WTERMSIG(status) == signal.SIGTERM, flush=True)
            look("parent")
            scheduler.stop()

        job = scheduler.job(name="fork")(fork)
        scheduler.add("fork", job, every("365d"))
        scheduler.run_now("fork")
        scheduler.serve()
        look("end")
    """)
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert out.splitlines() == [
        "child False True",
        "child's own True False",
        "terminated True",
        "parent True False",
        "end False True",
    ]
