"""Stops and signals that come at an awkward moment. Real threads and signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from queue import SimpleQueue

import pytest

from tests.servers.waiting import wait_until
from tests.unit.test_hosting import PATIENCE_S, Held, in_thread, send, states
from tickonce import Scheduler, every, hosting
from tickonce.clock import SYSTEM_CLOCK
from tickonce.engine import node as engine_node
from tickonce.errors import StoreUnavailable, WrongState
from tickonce.model import NodeState, RunState

SECOND = timedelta(seconds=1)


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    with Scheduler("memory:", name="test", slots=4) as scheduler:
        yield scheduler


@pytest.fixture
def slow_join(scheduler, monkeypatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """A store that takes its time for a join: events for its beginning and for its end."""
    begun, go_on = threading.Event(), threading.Event()
    join = scheduler.store.join

    def waiting(node):
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return join(node)

    monkeypatch.setattr(scheduler.store, "join", waiting)
    yield begun, go_on
    go_on.set()


def after_rebirth(scheduler):
    """Let the node find that it was declared dead, and go on under a new id."""
    node = scheduler._host.node
    before = node.id
    scheduler.store.leave(before)
    node.heart.soon(at_once=True)
    wait_until(lambda: node.id != before, "the new incarnation")


@pytest.mark.parametrize("is_async", [False, True])
def test_a_job_that_stops_its_node_after_that_was_born_again_does_not_wait_for_itself(scheduler, is_async):
    begun, go_on, answered = threading.Event(), threading.Event(), threading.Event()

    def last() -> None:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        assert not scheduler.stop()
        answered.set()

    async def last_async() -> None:
        last()

    scheduler.add("last", scheduler.job(name="last")(last_async if is_async else last), every("365d"))
    scheduler.run_now("last")
    scheduler.start()
    assert begun.wait(PATIENCE_S)
    after_rebirth(scheduler)
    go_on.set()
    assert answered.wait(10)  # it used to take the whole drain, 30 s
    wait_until(lambda: scheduler.node_id is None, "the end of the stop")


def test_two_stops_at_once_are_one(scheduler):
    held = Held(scheduler)
    scheduler.start()
    assert held.begun.wait(PATIENCE_S)
    answers: list[bool] = []
    threads = [in_thread(lambda: answers.append(scheduler.stop("20s"))) for _ in range(2)]
    wait_until(lambda: states(scheduler) == [NodeState.LEAVING], "leaving")
    assert answers == []
    held.go_on.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert answers == [True, True]
    assert states(scheduler) == [NodeState.GONE]


def test_a_stop_that_gave_up_is_no_hindrance_to_a_new_start(scheduler):
    held = Held(scheduler)
    scheduler.start()
    assert held.begun.wait(PATIENCE_S)
    assert not scheduler.stop(timedelta(0))
    scheduler.start()
    assert scheduler.alive
    held.go_on.set()
    wait_until(lambda: scheduler.run(held.run.token).state is RunState.SUCCEEDED, "the run, by the new node")


@pytest.mark.parametrize("drain", [timedelta.max, "999999999d"])
def test_a_drain_beyond_all_measure_waits_for_what_runs(scheduler, drain):
    held = Held(scheduler)
    scheduler.start()
    assert held.begun.wait(PATIENCE_S)
    in_thread(lambda: wait_until(lambda: states(scheduler) == [NodeState.LEAVING], "leaving"), held.go_on.set)
    assert scheduler.stop(drain)


# -- signals while it starts ---------------------------------------------------------------------


def test_a_signal_before_the_node_has_joined_stops_it_when_it_has(scheduler, slow_join):
    begun, go_on = slow_join
    in_thread(lambda: begun.wait(PATIENCE_S), send(signal.SIGTERM), go_on.set)
    assert scheduler.serve()
    assert states(scheduler) == [NodeState.GONE]


def test_a_second_signal_before_the_node_has_joined_ends_at_once(scheduler, slow_join, monkeypatch, caplog):
    monkeypatch.setattr(hosting, "ECHO", timedelta(0))
    caplog.set_level("INFO")
    begun, go_on = slow_join
    at: list[timedelta] = []
    in_thread(
        lambda: begun.wait(PATIENCE_S),
        send(signal.SIGTERM),
        lambda: wait_until(lambda: "once more stops it at once" in caplog.text, "the first to be taken"),
        lambda: at.append(SYSTEM_CLOCK.monotonic()),
        send(signal.SIGTERM),
    )
    assert not scheduler.serve()
    assert SYSTEM_CLOCK.monotonic() - at[0] < 10 * SECOND  # its drain would take 30
    assert scheduler.node_id is None
    go_on.set()  # it joins only now, and nobody waits for it
    wait_until(lambda: NodeState.ALIVE not in states(scheduler), "the late node to leave")
    assert scheduler.node_id is None


def test_an_error_while_it_starts_is_raised_as_it_is(scheduler, monkeypatch):
    def refused(node):
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(scheduler.store, "join", refused)
    with pytest.raises(StoreUnavailable, match="no answer"):
        scheduler.serve()


def test_serving_twice_leaves_the_first_node_alone(scheduler):
    with scheduler.node():
        first = scheduler.node_id
        with pytest.raises(WrongState):
            scheduler.serve()
        assert scheduler.alive
        assert scheduler.node_id == first


def test_a_signal_during_a_rebirth_stops_the_node_in_order(scheduler, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    join = scheduler.store.join

    def waiting(node):
        answer = join(node)
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return answer

    def reborn():
        wait_until(lambda: scheduler.alive, "the node")
        monkeypatch.setattr(scheduler.store, "join", waiting)
        scheduler.store.leave(scheduler.node_id)
        scheduler._host.node.heart.soon(at_once=True)
        assert begun.wait(PATIENCE_S)

    in_thread(reborn, send(signal.SIGTERM), go_on.set)
    assert scheduler.serve()
    assert states(scheduler) == [NodeState.GONE, NodeState.GONE]


def test_a_second_signal_gives_up_a_node_whose_store_gives_no_answer(scheduler, monkeypatch):
    monkeypatch.setattr(hosting, "ECHO", timedelta(0))
    frozen, go_on = threading.Event(), threading.Event()

    def leave(node_id):
        frozen.set()
        assert go_on.wait(PATIENCE_S)

    monkeypatch.setattr(scheduler.store, "leave", leave)
    at: list[timedelta] = []
    in_thread(
        lambda: wait_until(lambda: scheduler.alive, "the node"),
        send(signal.SIGTERM),
        lambda: frozen.wait(PATIENCE_S),
        lambda: at.append(SYSTEM_CLOCK.monotonic()),
        send(signal.SIGTERM),
    )
    assert not scheduler.serve()
    assert SYSTEM_CLOCK.monotonic() - at[0] < 10 * SECOND  # its drain would take 30
    assert scheduler.node_id is None
    go_on.set()


def test_a_signal_that_comes_just_before_the_main_thread_waits_is_heard(scheduler, monkeypatch):
    """It interrupts nothing then: its handler runs when the wait is over, which must not last for ever."""

    class Bounded(SimpleQueue):  # type: ignore[type-arg]
        def get(self, *, timeout: float | None = None) -> int:  # type: ignore[override]
            assert timeout is not None, "a wait without end would not notice the signal"
            return int(super().get(timeout=timeout))

    monkeypatch.setattr(hosting, "_new_inbox", Bounded)
    in_thread(lambda: wait_until(lambda: scheduler.alive, "the node"), send(signal.SIGTERM))
    assert scheduler.serve()


def test_an_outcome_whose_answer_does_not_come_is_told_and_the_stop_is_not_clean(scheduler, monkeypatch, caplog):
    """The store hangs in ``finish`` for longer than a stop waits: the run counts as lost, and nobody says otherwise."""
    asked, go_on = threading.Event(), threading.Event()

    def hangs(outcomes):
        asked.set()
        assert go_on.wait(PATIENCE_S)
        raise StoreUnavailable("no answer in time")

    monkeypatch.setattr(engine_node, "_FOR_LOOPS_S", 0.05)
    monkeypatch.setattr(engine_node, "_FOR_ANSWER_S", 0.2)
    scheduler.job(name="brief")(lambda: None)
    scheduler.add("s", "brief", every("30d"))
    scheduler.start()
    monkeypatch.setattr(scheduler.store, "finish", hangs)
    try:
        scheduler.run_now("s", key="k")
        assert asked.wait(PATIENCE_S)
        assert scheduler.stop() is False
        assert "1 outcome(s) could not be written" in caplog.text
    finally:
        go_on.set()


def test_a_stop_waits_for_the_answer_to_outcomes_that_are_on_their_way(scheduler, monkeypatch):
    asked, go_on = threading.Event(), threading.Event()
    finish = scheduler.store.finish

    def slow(outcomes):
        asked.set()
        assert go_on.wait(PATIENCE_S)
        return finish(outcomes)

    monkeypatch.setattr(engine_node, "_FOR_LOOPS_S", 0.0)
    scheduler.job(name="brief")(lambda: None)
    scheduler.add("s", "brief", every("30d"))
    scheduler.start()
    monkeypatch.setattr(scheduler.store, "finish", slow)
    scheduler.run_now("s", key="k")
    assert asked.wait(PATIENCE_S)
    timer = threading.Timer(0.3, go_on.set)
    timer.start()
    assert scheduler.stop() is True
    assert [run.state for run in scheduler.runs()] == [RunState.SUCCEEDED]
