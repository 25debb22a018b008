"""What the simulation has found: each as the smallest scene that shows it."""

from __future__ import annotations

from datetime import timedelta

from tickonce.config import NodeConfig
from tickonce.engine.lease import Lease
from tickonce.model import NodeState, Reason, RunState
from tickonce.testing.clock import FakeClock
from tickonce.testing.contract.making import skips_of
from tickonce.triggers import every

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
LEASE = NodeConfig().lease


def test_a_witness_does_not_judge_by_a_clock_that_was_set_since_its_last_beat(fleet, jobs, add):
    """A store's clock that jumps 50 s ahead made healthy nodes dead.

    A ticker learns of it from its next look, the upkeep finds all other leases to be over, and the watch, which only
    beats interrupt, still seems fit; what they were running was started a second time. The watch is compared with both
    clocks once more before anybody is judged.
    """
    add("beat", misfire="all", overlap="allow")
    witness = fleet.node(jobs)
    fleet.node(jobs)
    fleet.run_for(LEASE + 5 * SECOND)
    fleet.clock.jump(50 * SECOND)
    witness.engine.ticker.step()
    assert witness.engine.time.now() >= fleet.clock.wall()
    witness.engine.upkeep.step()
    assert [node.state for node in fleet.store.nodes()] == [NodeState.ALIVE] * 2
    runs = fleet.run_for(2 * LEASE)
    assert {run.losses for run in runs} == {0}


def test_a_lease_is_over_after_the_machine_has_slept_through_it():
    """The monotonic clock of Linux stands still while the machine sleeps.

    A node that held runs it had not begun woke in the belief that no time had passed, and called their functions long
    after others had been given them.
    """
    clock = FakeClock()
    lease = Lease(NodeConfig(), clock)
    lease.sending()
    lease.renewed(sent=clock.monotonic())
    clock.advance(SECOND)
    assert lease.holds(clock.monotonic())
    clock.suspend(LEASE)
    assert not lease.holds(clock.monotonic())
    lease.sending()
    lease.renewed(sent=clock.monotonic())
    assert lease.holds(clock.monotonic())


def test_a_beat_that_was_answered_after_a_sleep_counts_from_before_it():
    clock = FakeClock()
    lease = Lease(NodeConfig(), clock)
    sent = clock.monotonic()
    lease.sending()
    clock.suspend(LEASE)
    lease.renewed(sent=sent)
    assert not lease.holds(clock.monotonic())


def test_a_run_that_waited_for_a_slot_is_not_begun_after_such_a_sleep(fleet, jobs, add):
    """The same in a fleet: nothing is called before the store has been asked who holds what."""
    add("beat", every("1h"))
    node = fleet.node(jobs)
    fleet.run_for(2 * SECOND)
    fleet.clock.suspend(LEASE + SECOND)
    assert not node.engine.lease.holds(fleet.clock.monotonic())
    node.engine.ticker.step()
    assert fleet.ledger == []
    fleet.run_for(2 * SECOND)
    assert node.engine.lease.holds(fleet.clock.monotonic())
    assert {run.state for run in fleet.runs()} <= {RunState.SUCCEEDED}


def test_what_was_planned_before_a_sleep_is_not_launched_by_that_plan_behind_it(fleet, jobs, add):
    """The machine fell asleep between the look and the launch; behind it the launch came to the store as it stood.

    A fire whose misfire policy is to skip what is late was run 27 s late, as if it were on time. Seed 51198.
    """
    add("beat", every("20s"), misfire="skip")
    node = fleet.node(jobs)
    fleet.run_for(2 * SECOND)
    node.faults.before("launch", lambda: fleet.clock.suspend(27 * SECOND))
    fleet.run_for(MINUTE)
    (skip,) = skips_of(fleet.store)
    runs = fleet.runs()
    assert (skip.reason, skip.count) == (Reason.MISFIRE, 1)
    assert [run.scheduled_time - skip.first for run in runs] == [20 * SECOND, 40 * SECOND]
    assert all(run.created_at - run.scheduled_time < 10 * SECOND for run in runs)


def test_what_has_waited_for_less_than_a_lease_is_launched_as_it_was_planned(fleet, jobs, add):
    add("beat", every("20s"), misfire="skip")
    node = fleet.node(jobs)
    fleet.run_for(2 * SECOND)
    node.faults.before("launch", lambda: fleet.clock.advance(LEASE - 5 * SECOND))
    fleet.run_for(MINUTE)
    assert skips_of(fleet.store) == []
