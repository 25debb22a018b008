"""Who serves which part of the work: rendezvous hashing of buckets over nodes; pure.

An optimisation only. Nodes that disagree about it lose a compare-and-set, never a fire, and never launch one twice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_128
from itertools import repeat
from operator import ge, gt

from tickonce.model import BUCKETS, Node, NodeId, NodeState

#: Rank of a node that is neither first, second nor third for a bucket.
LAST = 9
#: By rank, after how many times ``takeover_after`` a node steps in for a bucket.
STEPS = {0: 0, 1: 1, 2: 2, LAST: 5}
_RANKS = bytes([0, 1, 2]) + bytes([LAST]) * 253


@dataclass(frozen=True, slots=True)
class Share:
    """This node's part of some queues.

    Attributes:
        queues: The queues it speaks of; None: all that no other share names.
        ranks: A byte a bucket: 0 this node owns it, 1 it is second, 2 third, 9 further behind.
    """

    queues: frozenset[str] | None
    ranks: bytes

    @property
    def present(self) -> frozenset[int]:
        """The ranks that occur."""
        return frozenset(self.ranks)


def shares(me: NodeId, nodes: Iterable[Node]) -> tuple[Share, ...]:
    """Return the shares of *me*, given the nodes that are alive; none when it does not take part itself.

    Who is leaving, does not tick or is stuck owns nothing. A queue is shared among the nodes that serve it, so that a
    node which launches a run can also carry it out; a queue that nobody serves, among all.
    """
    ticking = [node for node in nodes if node.ticks and node.serving and node.state is NodeState.ALIVE]
    if all(node.id != me for node in ticking):
        return ()
    groups: dict[tuple[NodeId, ...], set[str]] = {}
    for queue in {queue for node in ticking for queue in node.queues}:
        serving = tuple(sorted(node.id for node in ticking if queue in node.queues))
        groups.setdefault(serving, set()).add(queue)
    everyone = tuple(sorted(node.id for node in ticking))
    # Without work to do for a queue, a node still steps in last: no fire waits for a node that is gone.
    outside = bytes([LAST]) * BUCKETS
    named = [
        Share(frozenset(queues), ranks(me, serving) if me in serving else outside)
        for serving, queues in sorted(groups.items())
        if serving != everyone
    ]
    return (*named, Share(None, ranks(me, everyone)))


def delay_steps(of: Sequence[Share], queue: str, bucket: int) -> int:
    """Return after how many times ``takeover_after`` a node with these shares serves a schedule."""
    share = next((item for item in of if item.queues is not None and queue in item.queues), of[-1])
    return STEPS[share.ranks[bucket]]


def ranks(me: NodeId, nodes: Sequence[NodeId]) -> bytes:
    """Return the rank of *me* for each bucket among *nodes*, highest score first."""
    above = 0  # a byte a bucket: by how many it is preceded there
    for number, node in enumerate((node for node in nodes if node != me), start=1):
        above += _above(node, me)
        if number % 200 == 0:  # a byte counts no further than 255, and the last need no counting
            above = int.from_bytes(bytes(map(min, above.to_bytes(BUCKETS), repeat(LAST))))
    return above.to_bytes(BUCKETS).translate(_RANKS)


@lru_cache(maxsize=1_024)
def _above(node: NodeId, me: NodeId) -> int:
    """Return a number of a byte for each bucket: 1 where the node comes before *me*, of equal scores the greater id."""
    return int.from_bytes(bytes(map(ge if node > me else gt, _scores(node), _scores(me))))


@lru_cache(maxsize=16)  # a node's are 40 KB
def _scores(node: NodeId) -> tuple[int, ...]:
    """Return the node's score for each bucket: 64-bit words, big-endian, of shake-128 of its id."""
    return struct.unpack(f">{BUCKETS}Q", shake_128(node.encode()).digest(8 * BUCKETS))
