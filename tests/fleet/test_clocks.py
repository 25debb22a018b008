"""The machine's clock is set, or the machine sleeps; the store's clock is the machine's own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tickonce.config import Retention
from tickonce.engine.storetime import StoreTime
from tickonce.model import RunState
from tickonce.stores.memory import MemoryStore
from tickonce.testing.clock import FakeClock
from tickonce.triggers import every

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def scheduled(fleet):
    return [run.scheduled_time for run in fleet.runs()]


@pytest.mark.parametrize("distance", [HOUR, -HOUR])
def test_a_step_of_the_machines_clock_launches_nothing_until_it_is_set_right(fleet, jobs, add, distance):
    add("beat", misfire="all", overlap="allow")
    node = fleet.node(jobs)
    fleet.run_for(10 * SECOND)
    before, right = scheduled(fleet), fleet.clock.wall()
    fleet.clock.jump(distance)
    fleet.run_for(20 * SECOND)
    assert scheduled(fleet) == before
    assert [event.kind for event in node.events if event.kind == "clock_jump"] == ["clock_jump"]
    fleet.clock.jump(-distance)
    fleet.run_for(10 * SECOND)
    assert scheduled(fleet)[-1] >= right + 25 * SECOND
    assert len(scheduled(fleet)) == len(set(scheduled(fleet))) == 40


def test_an_operator_who_accepts_the_clock_sets_all_nodes_going_by_it(fleet, jobs, add):
    add("beat", overlap="allow")
    for _ in range(2):
        fleet.node(jobs)
    fleet.run_for(10 * SECOND)
    fleet.clock.jump(HOUR)
    fleet.run_for(20 * SECOND)
    fleet.store.accept_clock()
    fleet.run_for(20 * SECOND)
    assert scheduled(fleet)[-1] >= fleet.clock.wall() - 2 * SECOND
    assert len(set(scheduled(fleet))) == len(fleet.ledger)


def test_a_laptop_that_slept_for_an_hour_goes_on_at_once(fleet, jobs, add):
    add("beat", overlap="allow")
    node = fleet.node(jobs)
    fleet.run_for(10 * SECOND)
    fleet.clock.suspend(HOUR)
    fleet.run_for(5 * SECOND)
    assert scheduled(fleet)[-1] >= fleet.clock.wall() - 2 * SECOND
    assert {event.kind for event in node.events} == {"skipped", "succeeded"}


def test_by_a_clock_that_is_not_believed_nothing_is_old_or_late(fleet, jobs, add, clock):
    add("beat", every("1h"))
    fleet.node(jobs, config=fleet.config.__class__(retention=Retention(keep=0)))
    fleet.run_for(HOUR)
    assert [run.state for run in fleet.runs()] == [RunState.SUCCEEDED]
    clock.jump(timedelta(days=60))
    fleet.run_for(2 * HOUR)
    assert [run.state for run in fleet.runs()] == [RunState.SUCCEEDED]


def test_where_sleep_cannot_be_told_from_a_step_each_step_is_believed(jobs):
    class Plain(FakeClock):
        def boottime(self):
            return None

    clock = Plain()
    time = StoreTime(clock, local=MemoryStore(clock=clock).local)
    time.learned(clock.wall(), sent=clock.monotonic())
    clock.jump(HOUR)
    time.learned(clock.wall(), sent=clock.monotonic())
    assert not time.jumped


def test_a_store_elsewhere_whose_clock_moves_as_the_machines_is_believed():
    """The virtual machine was stopped for an hour: it did not notice, and its wall clock was set right afterwards."""
    clock = FakeClock()
    time = StoreTime(clock)
    time.learned(clock.wall(), sent=clock.monotonic())
    clock.jump(HOUR)
    time.learned(clock.wall(), sent=clock.monotonic())
    assert not time.jumped
    time.learned(clock.wall() + HOUR, sent=clock.monotonic())
    assert time.jumped


def test_slow_drift_is_never_a_step():
    clock = FakeClock()
    time = StoreTime(clock, local=True)
    for _ in range(2000):
        clock.advance(timedelta(minutes=10))
        clock.jump(timedelta(milliseconds=300))
        time.learned(clock.wall(), sent=clock.monotonic())
        assert not time.jumped


def test_how_wrong_a_machines_clock_is_follows_at_each_beat(jobs, fleet):
    class Elsewhere(MemoryStore):
        local = False

        def instant(self):
            return fleet.clock.wall() - ahead

    ahead = timedelta(0)
    fleet.store = Elsewhere(clock=fleet.clock)
    fleet.node(jobs)
    assert [node.facts["clock_offset_s"] for node in fleet.store.nodes()] == [0]
    ahead = 20 * SECOND
    fleet.run_for(10 * SECOND)
    assert [node.facts["clock_offset_s"] for node in fleet.store.nodes()] == [20]
    assert {"python", "tickonce", "tzdata"} <= fleet.store.nodes()[0].facts.keys()
