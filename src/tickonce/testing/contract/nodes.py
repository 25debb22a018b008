"""Nodes: joining, beating, being declared dead, leaving."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tickonce.model import Held, Node, NodeState, RunState
from tickonce.ports import Store
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import DAY, HOUR, MINUTE, MS, SECOND, join, outcome_of, start_run

_ENDS = ["dead", "gone", "absent"]


class NodesContract(Part):
    """Rows of nodes."""

    # -- join ----------------------------------------------------------------------------------

    def test_a_node_that_joins_is_alive_for_its_lease_from_the_instant_on(self, store: Store) -> None:
        before = store.instant()
        answer = store.join(Node(id="node", lease=7 * SECOND))
        (row,) = store.nodes()
        assert row.state is NodeState.ALIVE
        assert row.beat_at is not None
        assert before <= row.beat_at <= store.instant()
        assert row.alive_until == row.beat_at + 7 * SECOND
        assert answer.alive
        assert before <= answer.instant <= store.instant()

    def test_joining_is_answered_like_a_beat(self, store: Store) -> None:
        join(store, "first", host="a")
        answer = store.join(Node(id="second", host="b"))
        assert {node.id: node.host for node in answer.nodes} == {"first": "a", "second": "b"}
        assert answer.held == ()

    def test_all_that_a_node_says_of_itself_is_kept(self, store: Store) -> None:
        at = store.instant() - MINUTE
        node = Node(
            id="node",
            host="späť.example",
            pid=4711,
            lease=timedelta(seconds=15, microseconds=1),
            started_at=at,
            ticks=False,
            serving=False,
            ticked_at=at + SECOND,
            slots=0,
            busy=3,
            queues=("default", "报表"),
            release="1.10",
            declares={"nightly": "0123456789abcdef", "été": "fedcba9876543210"},
            facts={"python": "3.11", "offset": -0.5, "zones": {"tzdata": "2026a"}},
        )
        store.join(node)
        (row,) = store.nodes()
        assert replace(row, beat_at=None, alive_until=None) == node

    def test_joining_again_is_a_beat(self, store: Store) -> None:
        node = join(store)
        (before,) = store.nodes()
        self.let_pass(store)
        assert store.join(node).alive
        (after,) = store.nodes()
        assert after.alive_until is not None
        assert before.alive_until is not None
        assert after.alive_until > before.alive_until

    def test_joining_again_does_not_bring_back_a_dead_node(self, store: Store) -> None:
        node = _ended(self, store, "dead")
        assert not store.join(node).alive
        assert _states(store)["node"] is NodeState.DEAD

    # -- beat ----------------------------------------------------------------------------------

    def test_a_beat_extends_the_life_to_the_instant_plus_the_lease(self, store: Store) -> None:
        node = join(store, lease=MINUTE)
        self.let_pass(store, 2 * MS)
        before = store.instant()
        assert store.beat(node).alive
        (row,) = store.nodes()
        assert row.alive_until is not None
        assert before + MINUTE <= row.alive_until <= store.instant() + MINUTE
        assert row.beat_at == row.alive_until - MINUTE

    def test_a_beat_writes_how_the_node_is_and_leaves_the_rest(self, store: Store) -> None:
        node = join(store, host="a", declares={"nightly": "00"}, facts={"python": "3.11"})
        ticked_at = store.instant()
        store.beat(
            replace(
                node,
                state=NodeState.LEAVING,
                busy=4,
                serving=False,
                ticked_at=ticked_at,
                host="b",
                declares={},
                facts={"clock_offset_s": -90.5},
            )
        )
        (row,) = store.nodes()
        assert (row.state, row.busy, row.serving, row.ticked_at) == (NodeState.LEAVING, 4, False, ticked_at)
        assert (row.host, row.declares, row.facts) == ("a", {"nightly": "00"}, {"clock_offset_s": -90.5})

    def test_a_beat_is_accepted_after_the_lease_is_over_if_nobody_declared_the_node_dead(self, store: Store) -> None:
        node = join(store, lease=MS)
        self.let_pass(store, 3 * MS)
        assert store.beat(replace(node, lease=MINUTE)).alive
        join(store, "other")
        assert store.expire("other", ["node"]) == []

    @pytest.mark.parametrize("end", _ENDS)
    def test_a_beat_of_a_node_that_is_no_more_is_not_accepted_and_writes_nothing(self, store: Store, end: str) -> None:
        node = _ended(self, store, end)
        before = store.nodes()
        for _ in range(2):
            assert not store.beat(replace(node, busy=9)).alive
        assert store.nodes() == before

    def test_a_beat_tells_who_is_alive_or_leaving_without_what_they_declare(self, store: Store) -> None:
        node = join(store, declares={"nightly": "00"}, facts={"python": "3.11"})
        leaving = join(store, "leaving", declares={"nightly": "00"})
        store.beat(replace(leaving, state=NodeState.LEAVING))
        join(store, "gone")
        store.leave("gone")
        found = {each.id: each for each in store.beat(node).nodes}
        assert {name: each.state for name, each in found.items()} == {
            "node": NodeState.ALIVE,
            "leaving": NodeState.LEAVING,
        }
        assert [(dict(each.declares), dict(each.facts)) for each in found.values()] == [({}, {}), ({}, {})]
        assert found["node"].alive_until is not None

    def test_a_beat_tells_what_the_store_says_the_node_holds(self, store: Store) -> None:
        node = join(store)
        runs = [start_run(store, key, schedule_id=key, node="node") for key in ("one", "two")]
        start_run(store, "three", schedule_id="three", node="other")
        store.cancel(runs[1].token)
        expected = {Held(runs[0].token, 1, cancelling=False), Held(runs[1].token, 1, cancelling=True)}
        assert set(store.beat(node).held) == expected

    def test_a_beat_does_not_tell_of_runs_that_have_ended_or_wait(self, store: Store) -> None:
        node = join(store)
        run = start_run(store)
        store.finish([outcome_of(run, RunState.PENDING, failed=True, due=store.instant() + HOUR)])
        ended = start_run(store, "two")
        store.finish([outcome_of(ended)])
        assert store.beat(node).held == ()

    def test_a_beat_tells_the_clock_epoch(self, store: Store) -> None:
        node = join(store)
        before = store.beat(node).clock_epoch
        assert store.accept_clock() == before + 1
        assert self.another(store).beat(node).clock_epoch == before + 1

    # -- expire --------------------------------------------------------------------------------

    def test_nodes_whose_lease_is_over_are_declared_dead_once(self, store: Store) -> None:
        join(store, "witness")
        for name in ("a", "b"):
            join(store, name, lease=MS)
        join(store, "alive", lease=HOUR)
        self.let_pass(store, 3 * MS)
        assert sorted(store.expire("witness", ["a", "b", "alive", "never-seen"])) == ["a", "b"]
        assert store.expire("witness", ["a", "b", "alive"]) == []
        assert _states(store) == {
            "witness": NodeState.ALIVE,
            "a": NodeState.DEAD,
            "b": NodeState.DEAD,
            "alive": NodeState.ALIVE,
        }

    def test_only_those_named_are_declared_dead(self, store: Store) -> None:
        join(store, "witness")
        for name in ("a", "b"):
            join(store, name, lease=MS)
        self.let_pass(store, 3 * MS)
        assert store.expire("witness", []) == []
        assert store.expire("witness", ["b"]) == ["b"]
        assert _states(store)["a"] is NodeState.ALIVE

    def test_a_leaving_node_can_be_declared_dead_too(self, store: Store) -> None:
        join(store, "witness")
        node = join(store, "leaving", lease=MS)
        store.beat(replace(node, state=NodeState.LEAVING))
        self.let_pass(store, 3 * MS)
        assert store.expire("witness", ["leaving"]) == ["leaving"]

    @pytest.mark.parametrize("end", _ENDS)
    def test_who_is_not_alive_declares_nobody_dead(self, store: Store, end: str) -> None:
        _ended(self, store, end)
        join(store, "late", lease=MS)
        self.let_pass(store, 3 * MS)
        assert store.expire("node", ["late"]) == []
        assert _states(store)["late"] is NodeState.ALIVE

    def test_a_node_that_has_beaten_meanwhile_is_left_alone(self, store: Store) -> None:
        join(store, "witness")
        node = join(store, "late", lease=MS)
        self.let_pass(store, 3 * MS)
        store.beat(replace(node, lease=DAY))
        assert store.expire("witness", ["late"]) == []

    # -- leave, nodes ----------------------------------------------------------------------------

    def test_a_node_that_leaves_is_gone_and_its_running_runs_are_found(self, store: Store) -> None:
        run = start_run(store, node="node")
        join(store, "other")
        store.leave("node")
        assert _states(store) == {"node": NodeState.GONE, "other": NodeState.ALIVE}
        assert [found.token for found in store.recover()] == [run.token]

    def test_a_leaving_node_can_leave(self, store: Store) -> None:
        node = join(store)
        store.beat(replace(node, state=NodeState.LEAVING))
        store.leave("node")
        assert _states(store) == {"node": NodeState.GONE}

    def test_a_dead_node_stays_dead_when_it_leaves(self, store: Store) -> None:
        _ended(self, store, "dead")
        store.leave("node")
        store.leave("never-seen")
        assert _states(store)["node"] is NodeState.DEAD

    def test_all_rows_are_listed_oldest_first(self, store: Store) -> None:
        now = store.instant()
        for name, age in (("b", 2), ("a", 3), ("c", 1)):
            join(store, name, started_at=now - age * MINUTE)
        store.leave("b")
        assert [node.id for node in store.nodes()] == ["a", "b", "c"]


def _ended(part: Part, store: Store, end: str) -> Node:
    """Return a node whose row is dead, gone or absent."""
    if end == "absent":
        return Node(id="node")
    node = join(store, lease=MS)
    if end == "gone":
        store.leave("node")
    else:
        part.let_pass(store, 3 * MS)
        join(store, "witness")
        assert store.expire("witness", ["node"]) == ["node"]
    return node


def _states(store: Store) -> dict[str, NodeState]:
    return {node.id: node.state for node in store.nodes()}
