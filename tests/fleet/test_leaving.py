"""A node on its way out: nothing is taken on, nothing is left running unnoticed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tickonce.editing import Create, RunNow
from tickonce.model import Definition, Policy, RunState
from tickonce.triggers import every

SECOND = timedelta(seconds=1)


def by_hand(fleet, schedule_id="slow", **policy):
    definition = Definition(job="note", trigger=every("1d"), policy=Policy(**policy))
    fleet.store.change(schedule_id, Create(schedule_id=schedule_id, definition=definition))
    fleet.store.change(schedule_id, RunNow(schedule_id=schedule_id, key="k"))


def only(fleet):
    (run,) = fleet.runs()
    return run


def begin_to_leave(node):
    """The first steps of ``leave``, as another thread takes them."""
    node.engine._leave_first()
    node.engine.worker.stop_taking()


def leave_for_good(node):
    """The last steps of ``leave``."""
    node.engine._end()
    node.crashed = True


def test_a_run_that_was_about_to_begin_as_the_node_left_is_handed_back(fleet, jobs):
    """Its gate writes that it begins; meanwhile the node leaves, and its lease is over when the answer comes."""
    by_hand(fleet, on_lost="fail")
    node = fleet.node(jobs)

    def meanwhile():
        begin_to_leave(node)
        node.engine.lease.lost()

    node.faults.before("began", meanwhile)
    node.engine.worker.want_claim()
    node.engine.loops["work"]()
    node.runner.perform()
    assert node.engine.worker.busy == 0
    leave_for_good(node)
    assert fleet.ledger == []
    assert (only(fleet).state, only(fleet).losses) == (RunState.PENDING, 0)


@pytest.mark.parametrize("held", [True, False])
def test_what_a_claim_brings_after_the_node_began_to_leave_is_handed_back(fleet, jobs, held):
    by_hand(fleet)
    node = fleet.node(jobs)
    node.faults.before("claim", lambda: (begin_to_leave(node), None if held else node.engine.lease.lost()))
    node.engine.worker.want_claim()
    node.engine.loops["work"]()
    leave_for_good(node)
    assert fleet.ledger == []
    assert (only(fleet).state, only(fleet).losses) == (RunState.PENDING, 0)


def test_what_waits_for_a_slot_as_the_node_begins_to_leave_is_handed_back(fleet, jobs):
    """Nothing was called, so nothing is lost: not even where one loss is one too many."""
    for number in range(3):
        by_hand(fleet, f"slow-{number}", max_losses=0)
    node = fleet.node(jobs)
    node.engine.worker.want_claim()
    node.engine.loops["work"]()
    node.engine.lease.lost()
    node.runner.perform()  # their gates put them back, to wait until the lease holds
    begin_to_leave(node)
    leave_for_good(node)
    fleet.store.recover()
    assert fleet.ledger == []
    assert [(run.state, run.losses) for run in fleet.runs()] == [(RunState.PENDING, 0)] * 3


def test_a_run_whose_thread_begins_when_the_lease_is_over_is_not_called(fleet, jobs):
    by_hand(fleet)
    node = fleet.node(jobs)
    node.engine.worker.want_claim()
    node.engine.loops["work"]()
    node.engine.lease.lost()  # between the claim and the thread's first step
    node.runner.perform()
    assert fleet.ledger == []
    assert only(fleet).state is RunState.RUNNING
    node.engine.lease.renewed(sent=fleet.clock.monotonic())
    node.engine.loops["work"]()
    node.runner.perform()
    assert [attempt for _, attempt in fleet.ledger] == [1]


def test_what_a_launch_brings_after_the_node_began_to_leave_is_handed_back(fleet, jobs, add):
    add("beat", overlap="allow", misfire="all")
    node = fleet.node(jobs)
    node.faults.before("launch", lambda: (begin_to_leave(node), node.engine.lease.lost()))
    fleet.clock.advance(SECOND)
    node.engine.loops["tick"]()
    leave_for_good(node)
    assert fleet.ledger == []
    assert (only(fleet).state, only(fleet).losses) == (RunState.PENDING, 0)


def test_what_a_lost_reply_brings_after_the_node_began_to_leave_is_handed_back(fleet, jobs):
    by_hand(fleet)
    node = fleet.node(jobs)
    node.faults.cut_reply("claim")
    node.engine.worker.want_claim()
    with pytest.raises(Exception, match="injected"):
        node.engine.loops["work"]()
    begin_to_leave(node)
    node.engine.loops["beat"]()
    node.engine.loops["work"]()
    leave_for_good(node)
    assert (only(fleet).state, only(fleet).losses) == (RunState.PENDING, 0)


def test_a_leaving_node_launches_nothing_though_its_beat_gives_it_shares_once_more(fleet, jobs, add):
    add("beat", overlap="allow", misfire="all")
    node = fleet.node(jobs)
    node.engine._leave_first()
    node.engine.ticker.shares = node.engine.ticker.shares or fleet.node(jobs).engine.ticker.shares
    fleet.clock.advance(5 * SECOND)
    node.engine.loops["tick"]()
    assert fleet.runs() == []


def test_a_node_that_is_declared_dead_while_it_leaves_does_not_join_again(fleet, jobs, caplog):
    fleet.takes = timedelta(minutes=5)
    by_hand(fleet)
    node, other = fleet.node(jobs), fleet.node(jobs)
    fleet.run_for(20 * SECOND)
    begin_to_leave(node)
    node.paused = True
    fleet.run_for(20 * SECOND)
    node.paused = False
    before = node.id
    fleet.run_for(30 * SECOND)
    assert node.id == before
    assert {found.id for found in fleet.store.nodes() if found.state == "alive"} == {other.id}
    assert len([record for record in caplog.records if "goes on under a new id" in record.message]) == 0


def test_a_node_that_left_during_its_rebirth_is_gone(fleet, jobs, add):
    """SIGTERM comes while it joins anew: that row is there, and is left like any other."""
    add("beat", overlap="allow", misfire="all")
    node, other = fleet.node(jobs), fleet.node(jobs)
    fleet.run_for(20 * SECOND)
    node.paused = True
    fleet.run_for(20 * SECOND)
    node.paused = False
    node.faults.before("join", lambda: begin_to_leave(node))
    fleet.run_for(2 * SECOND)
    leave_for_good(node)
    fleet.run_for(5 * SECOND)
    assert {found.id for found in fleet.store.nodes() if found.state == "alive"} == {other.id}
    assert all(run.state is RunState.SUCCEEDED for run in fleet.runs())


def test_a_refusal_of_the_old_incarnation_does_not_end_the_lease_of_the_new_one(fleet, jobs, add):
    """The launch was refused, the beat heard of it first and the node was born again; then the reply is read."""
    add("beat", overlap="allow", misfire="all")
    node, other = fleet.node(jobs), fleet.node(jobs)
    fleet.run_for(20 * SECOND)
    ticker = node.engine.ticker
    node.engine.ticker.shares = ticker.shares or other.engine.ticker.shares
    launch = fleet.store.launch

    def late(node_id, plans, **more):
        node.engine.heart._reborn()
        ticker.shares = other.engine.ticker.shares
        fleet.store.leave(node_id)
        return launch(node_id, plans, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet.store, "launch", late)
        fleet.clock.advance(SECOND * 8)
        node.engine.lease.renewed(sent=fleet.clock.monotonic())
        node.engine.loops["tick"]()
    assert node.engine.lease.holds(fleet.clock.monotonic())


def test_a_start_whose_notifier_cannot_be_had_leaves_no_node_behind(fleet, jobs):
    node = fleet.node(jobs)
    node.faults.refuse("notifier")
    with pytest.raises(Exception, match="injected"):
        node.engine.start()
    assert [found.state for found in fleet.store.nodes() if found.id == node.id] == ["gone"]


def test_a_drain_for_ever_is_one(fleet, jobs):
    node = fleet.node(jobs)
    fleet.run_for(SECOND)
    assert node.engine.leave(timedelta.max)


def test_who_leaves_while_a_recovery_is_answered_is_recovered_at_once(fleet, jobs):
    """Both the recovery and the look at declarations wait for a change of members; neither may use up the other's."""
    fleet.takes = timedelta(minutes=5)
    leaving, other = fleet.node(jobs), fleet.node(jobs)
    by_hand(fleet)
    leaving.engine.worker.want_claim()
    leaving.engine.loops["work"]()
    recover = fleet.store.recover

    def leaves_meanwhile(*, limit):
        found = recover(limit=limit)
        patch.setattr(fleet.store, "recover", recover)
        fleet.store.leave(leaving.id)
        leaving.crashed = True
        other.engine.upkeep.members_changed()  # as its heart tells it
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet.store, "recover", leaves_meanwhile)
        other.engine.upkeep.members_changed()
        other.engine.upkeep.step()
        other.engine.upkeep.step()
    assert only(fleet).losses == 1
