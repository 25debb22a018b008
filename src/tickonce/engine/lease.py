"""What a node may conclude from its own beats: whether it may still start work, and whether it may judge others."""

from __future__ import annotations

from datetime import datetime, timedelta

from tickonce.config import NodeConfig
from tickonce.ports import Clock

#: How far the store's clock and a witness's own may differ over its watch.
TOLERANCE = timedelta(seconds=1)


class Lease:
    """Whether this node may start work: a comparison made at each step, not an event that somebody must deliver.

    Where the monotonic clock stands still while the machine sleeps, the sleep counts all the same: by the store's clock
    the lease goes on to its end, and what this node held may have been given to others meanwhile.
    """

    def __init__(self, config: NodeConfig, clock: Clock) -> None:
        self._length = config.lease - config.margin
        self._clock = clock
        self._until = timedelta(days=-1)
        self._slept_at_sending = self._slept_at_beat = self._slept()

    def sending(self) -> None:
        """A beat is about to be sent."""
        self._slept_at_sending = self._slept()

    def renewed(self, *, sent: timedelta) -> None:
        """A beat that was sent at monotonic *sent* was accepted."""
        self._slept_at_beat = self._slept_at_sending
        self._until = max(self._until, sent + self._length)

    def lost(self) -> None:
        """The store does not count this node as alive."""
        self._until = timedelta(days=-1)

    def holds(self, now: timedelta) -> bool:
        """Whether the lease still holds at monotonic *now*."""
        return now < self._until - (self._slept() - self._slept_at_beat)

    @property
    def until(self) -> timedelta:
        """The monotonic moment from which the lease does not hold, if no beat is accepted before."""
        return self._until - (self._slept() - self._slept_at_beat)

    def _slept(self) -> timedelta:
        """Return how long the machine has slept since some moment; zero where it cannot be known."""
        elapsed = self._clock.boottime()
        return timedelta(0) if elapsed is None else elapsed - self._clock.monotonic()


class Witness:
    """Whether this node may declare others dead.

    Only one that has itself beaten without a gap for a whole lease, while the store's clock moved as its own did. So
    after an outage, a clock step or a suspend everybody has one lease to beat again.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._longest_gap = 2 * config.beat
        # When the watch began, here and by the store, and its last beat. One value: the beat writes it, others read it.
        self._watch: tuple[timedelta, datetime, timedelta] | None = None

    def beaten(self, instant: datetime, *, sent: timedelta) -> None:
        """A beat that was sent at monotonic *sent* was accepted at the store's *instant*."""
        began, first = sent, instant
        if self._watch is not None:
            since, then, last = self._watch
            steady = abs((instant - then) - (sent - since)) <= TOLERANCE
            if steady and sent - last <= self._longest_gap:
                began, first = since, then
        self._watch = (began, first, sent)

    def broken(self) -> None:
        """A beat failed or was not accepted."""
        self._watch = None

    def may_judge(self, lease: timedelta, *, instant: datetime, now: timedelta) -> bool:
        """Whether the watch has lasted for *lease*, and still does at monotonic *now*, when the store shows *instant*.

        The store's clock may have been set since the last beat: then it shows leases as over that are not.
        """
        watch = self._watch
        if watch is None:
            return False
        since, then, last = watch
        return last - since >= lease and abs((instant - then) - (now - since)) <= TOLERANCE

    def fit_from(self, lease: timedelta, *, now: timedelta) -> timedelta:
        """Return a monotonic moment before which this node may not judge a node with that *lease*."""
        watch = self._watch
        return (now if watch is None else watch[0]) + lease
