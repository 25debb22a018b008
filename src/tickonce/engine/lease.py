"""What a node may conclude from its own beats: whether it may still start work, and whether it may judge others."""

from __future__ import annotations

from datetime import datetime, timedelta

from tickonce.config import NodeConfig

#: How far the store's clock and a witness's own may differ over its watch.
TOLERANCE = timedelta(seconds=1)


class Lease:
    """Whether this node may start work: a comparison made at each step, not an event that somebody must deliver."""

    def __init__(self, config: NodeConfig) -> None:
        self._length = config.lease - config.margin
        self._until = timedelta(days=-1)

    def renewed(self, *, sent: timedelta) -> None:
        """A beat that was sent at monotonic *sent* was accepted."""
        self._until = max(self._until, sent + self._length)

    def lost(self) -> None:
        """The store does not count this node as alive."""
        self._until = timedelta(days=-1)

    def holds(self, now: timedelta) -> bool:
        """Whether the lease still holds at monotonic *now*."""
        return now < self._until


class Witness:
    """Whether this node may declare others dead.

    Only one that has itself beaten without a gap for a whole lease, while the store's clock moved as its own did. So
    after an outage, a clock step or a suspend everybody has one lease to beat again.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._longest_gap = 2 * config.beat
        self._since: tuple[timedelta, datetime] | None = None
        self._last = timedelta(days=-1)

    def beaten(self, instant: datetime, *, sent: timedelta) -> None:
        """A beat that was sent at monotonic *sent* was accepted at the store's *instant*."""
        if self._since is not None:
            began, first = self._since
            steady = abs((instant - first) - (sent - began)) <= TOLERANCE
            if not steady or sent - self._last > self._longest_gap:
                self._since = None
        if self._since is None:
            self._since = (sent, instant)
        self._last = sent

    def broken(self) -> None:
        """A beat failed or was not accepted."""
        self._since = None

    def may_judge(self, lease: timedelta) -> bool:
        """Whether the watch has lasted for *lease*."""
        return self._since is not None and self._last - self._since[0] >= lease
