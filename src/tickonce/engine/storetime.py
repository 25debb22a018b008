"""The store's clock as a node knows it, between its replies."""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime, timedelta

from tickonce.ports import Clock

#: A reply that took longer says too little about the store's clock.
SLOWEST = timedelta(milliseconds=250)
#: A step of the store's clock beyond this, against both clocks of the node, is not believed.
JUMP = timedelta(seconds=60)
#: Two replies that differ by more are not one clock running on: the store's clock was set.
STEP = timedelta(seconds=1)
#: How fast clocks may drift apart without it being a jump: 1 ms a second.
DRIFT = 1000

_ZERO = timedelta(0)


class StoreTime:
    """A lower bound of the store's clock: nothing that waits for it is early.

    Each reply says: the store's clock was at least *instant* when the reply arrived. Monotonic time since then is
    added; the best of the last eight such bounds is the estimate.

    Args:
        clock: The node's own clocks.
        local: The store's clock is this machine's wall clock: that one cannot witness against it. There a step shows
            against time since boot alone, which goes on while the machine sleeps; where there is no such clock, a step
            cannot be told from sleep, and every one is believed.
    """

    def __init__(self, clock: Clock, *, local: bool = False) -> None:
        self._clock = clock
        self._local = local and clock.boottime() is not None
        self._lock = threading.Lock()
        self._bounds: deque[datetime] = deque(maxlen=8)  # instant minus monotonic time of arrival, on the epoch of both
        self._best: datetime | None = None
        self._base_elapsed: datetime | None = None
        self._base_wall = _ZERO
        self._learned_at = _ZERO
        self._epoch: int | None = None
        self._jumped = False

    def learned(self, instant: datetime, *, sent: timedelta) -> None:
        """A reply has just arrived that says *instant*; its question was sent at monotonic *sent*."""
        received = self._clock.monotonic()
        wall = self._clock.wall()
        elapsed = self._clock.boottime()
        with self._lock:
            self._judge(instant, received if elapsed is None else elapsed, wall)
            if received - sent > SLOWEST and self._best is not None:
                return
            bound = instant - received
            if self._best is not None and abs(bound - self._best) > STEP + (received - sent):
                self._bounds.clear()
            self._bounds.append(bound)
            self._best = max(self._bounds)

    def now(self) -> datetime:
        """Return the store's clock, or a little less.

        Raises:
            RuntimeError: The store has not answered yet.
        """
        best = self._best
        if best is None:
            raise RuntimeError("the store has not answered yet, so what its clock shows is not known")
        return best + self._clock.monotonic()

    @property
    def known(self) -> bool:
        """Whether the store has answered at least once."""
        return self._best is not None

    @property
    def jumped(self) -> bool:
        """Whether the store's clock has moved by more than a minute against the clocks of this node."""
        return self._jumped

    @property
    def offset(self) -> timedelta:
        """How far this machine's wall clock is ahead of the store's; for people."""
        return self._clock.wall() - self.now() if self.known else _ZERO

    def epoch(self, clock_epoch: int) -> None:
        """A beat says *clock_epoch*; when an operator has raised it, the store's clock is believed as it is."""
        with self._lock:
            if self._epoch is not None and clock_epoch != self._epoch:
                self._base_elapsed, self._jumped = None, False
            self._epoch = clock_epoch

    def _judge(self, instant: datetime, elapsed: timedelta, wall: datetime) -> None:
        """Compare how far the store's clock has come with how far ours have, at monotonic or boot time *elapsed*."""
        if self._base_elapsed is None:
            self._base_elapsed, self._base_wall = instant - elapsed, instant - wall
        against_elapsed = instant - elapsed - self._base_elapsed
        against_wall = instant - wall - self._base_wall
        self._jumped = abs(against_elapsed) > JUMP and (self._local or abs(against_wall) > JUMP)
        if not self._jumped:
            # Follow slow drift, so that months of it are never taken for a jump.
            most = (elapsed - self._learned_at) / DRIFT
            self._base_elapsed += max(-most, min(most, against_elapsed))
            self._base_wall += max(-most, min(most, against_wall))
        self._learned_at = elapsed
