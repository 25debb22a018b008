"""Who serves which part of the work."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from hashlib import shake_128

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickonce.model import BUCKETS, Node, NodeState, bucket_of
from tickonce.partition import LAST, STEPS, Share, ranks, shares

NAMES = st.lists(st.text("abcdef0123456789", min_size=1, max_size=8), min_size=1, max_size=8, unique=True)


def fleet(count: int, **fields: object) -> list[Node]:
    return [Node(id=f"node-{number}", **fields) for number in range(count)]  # type: ignore[arg-type]


def only(found: tuple[Share, ...]) -> bytes:
    (share,) = found
    assert share.queues is None
    return share.ranks


class TestRanks:
    @settings(max_examples=30)
    @given(NAMES)
    def test_of_all_nodes_one_owns_a_bucket_one_is_second_and_one_third(self, names: list[str]) -> None:
        by_node = [ranks(name, names) for name in names]
        for bucket in range(BUCKETS):
            found = Counter(each[bucket] for each in by_node)
            expected = [0, 1, 2, *[LAST] * 8][: len(names)]
            assert found == Counter(expected)

    @pytest.mark.parametrize("number", [200, 201, 402, 700])
    def test_a_fleet_of_hundreds_is_shared_out_by_the_same_rule(self, number: int) -> None:
        names = [f"n{each}" for each in range(number)]
        words = {name: shake_128(name.encode()).digest(8 * BUCKETS) for name in names}
        for me in (names[0], names[-1]):
            found = ranks(me, names)
            for bucket in range(0, BUCKETS, 7):
                at = slice(8 * bucket, 8 * bucket + 8)
                before_me = sum((words[name][at], name) > (words[me][at], me) for name in names)
                assert found[bucket] == (before_me if before_me < 3 else LAST)

    def test_the_order_in_which_nodes_are_listed_makes_no_difference(self) -> None:
        names = [f"n{number}" for number in range(9)]
        assert ranks("n3", names) == ranks("n3", names[::-1]) == ranks("n3", [*names, "n3"])

    def test_when_a_node_goes_only_its_buckets_move_and_the_second_takes_them(self) -> None:
        names = [f"n{number}" for number in range(6)]
        before = {name: ranks(name, names) for name in names}
        after = {name: ranks(name, names[:-1]) for name in names[:-1]}
        gone = before["n5"]
        for bucket in range(BUCKETS):
            owner = next(name for name in after if after[name][bucket] == 0)
            was = before[owner][bucket]
            assert was == (1 if gone[bucket] == 0 else 0)

    def test_the_work_is_spread(self) -> None:
        names = [f"n{number}" for number in range(50)]
        owned = [ranks(name, names).count(0) for name in names]
        assert sum(owned) == BUCKETS
        assert min(owned) > 0
        assert max(owned) <= 2.5 * BUCKETS / 50

    def test_the_hash_is_a_format(self) -> None:
        """All releases of a fleet compute the same; other languages, too."""
        assert [bucket_of(each) for each in ("nightly", "a", "é", "店")] == BUCKETS_STATED
        assert [bucket for bucket in range(BUCKETS) if ranks("a", ["a", "b"])[bucket] == 0][:8] == OWNED_STATED

    def test_each_rank_has_its_delay_and_the_owner_none(self) -> None:
        assert STEPS == {0: 0, 1: 1, 2: 2, LAST: 5}


class TestShares:
    def test_alone_a_node_owns_everything(self) -> None:
        assert only(shares("node-0", fleet(1))) == bytes(BUCKETS)

    def test_nodes_that_serve_the_same_queues_share_everything_alike(self) -> None:
        nodes = fleet(3)
        assert only(shares("node-1", nodes)) == ranks("node-1", [node.id for node in nodes])

    @pytest.mark.parametrize("change", [{"ticks": False}, {"serving": False}, {"state": NodeState.LEAVING}])
    def test_who_does_not_take_part_owns_nothing(self, change: dict[str, object]) -> None:
        nodes = fleet(2)
        nodes[1] = replace(nodes[1], **change)  # type: ignore[arg-type]
        assert only(shares("node-0", nodes)) == bytes(BUCKETS)
        assert shares("node-1", nodes) == ()

    def test_who_is_not_in_the_list_owns_nothing(self) -> None:
        """It may have been declared dead just now."""
        assert shares("other", fleet(2)) == ()
        assert shares("other", []) == ()

    def test_a_queue_is_shared_among_those_who_serve_it(self) -> None:
        nodes = [
            Node(id="a", queues=("default",)),
            Node(id="b", queues=("default", "gpu")),
            Node(id="c", queues=("gpu",)),
        ]
        by_queue = {node.id: {share.queues: share.ranks for share in shares(node.id, nodes)} for node in nodes}
        default, gpu = frozenset({"default"}), frozenset({"gpu"})
        assert by_queue["a"][default] == ranks("a", ["a", "b"])
        assert by_queue["b"][gpu] == ranks("b", ["b", "c"])
        assert by_queue["a"][gpu] == bytes([LAST]) * BUCKETS
        assert by_queue["c"][None] == ranks("c", ["a", "b", "c"])

    def test_queues_with_the_same_nodes_are_one_share(self) -> None:
        nodes = [Node(id="a", queues=("x", "y", "z")), Node(id="b", queues=("z",))]
        assert {share.queues for share in shares("a", nodes)} == {frozenset({"x", "y"}), None}

    def test_a_queue_that_no_ticking_node_serves_is_shared_among_all(self) -> None:
        nodes = [*fleet(2), Node(id="worker", ticks=False, queues=("gpu",))]
        assert {share.queues for share in shares("node-0", nodes)} == {None}

    def test_nodes_that_only_tick_take_part(self) -> None:
        nodes = [Node(id="a", slots=0, queues=()), Node(id="b", slots=0, queues=())]
        found = [only(shares(node.id, nodes)) for node in nodes]
        assert found[0].count(0) + found[1].count(0) == BUCKETS

    @settings(max_examples=30)
    @given(
        st.dictionaries(
            st.sampled_from("abcdef"),
            st.tuples(
                st.sets(st.sampled_from(["default", "gpu", "mail"])),
                st.booleans(),
                st.booleans(),
                st.sampled_from(NodeState),
            ),
            min_size=1,
        )
    )
    def test_each_bucket_of_each_queue_has_one_owner_as_long_as_somebody_ticks(
        self, rows: dict[str, tuple[set[str], bool, bool, NodeState]]
    ) -> None:
        nodes = [
            Node(id=name, queues=tuple(sorted(queues)), ticks=ticks, serving=serving, state=state)
            for name, (queues, ticks, serving, state) in rows.items()
        ]
        found = {node.id: shares(node.id, nodes) for node in nodes}
        if not any(found.values()):
            return
        for queue in ("default", "gpu", "mail", "other"):
            columns = [_ranks_for(queue, each) for each in found.values() if each]
            assert [column.count(0) for column in zip(*columns, strict=True)] == [1] * BUCKETS

    def test_the_ranks_that_occur(self) -> None:
        assert Share(None, bytes([0, 9, 9, 1])).present == {0, 1, 9}


def _ranks_for(queue: str, found: tuple[Share, ...]) -> bytes:
    return next(
        (share.ranks for share in found if share.queues is not None and queue in share.queues),
        next(share.ranks for share in found if share.queues is None),
    )


BUCKETS_STATED = [444, 248, 794, 517]
OWNED_STATED = [2, 6, 7, 8, 11, 12, 13, 18]
