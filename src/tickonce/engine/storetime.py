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
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._bounds: deque[datetime] = deque(maxlen=8)  # instant minus monotonic time of arrival, on the epoch of both
        self._base_monotonic: datetime | None = None
        self._base_wall = _ZERO
        self._learned_at = _ZERO
        self._epoch: int | None = None
        self._jumped = False

    def learned(self, instant: datetime, *, sent: timedelta) -> None:
        """A reply has just arrived that says *instant*; its question was sent at monotonic *sent*."""
        received = self._clock.monotonic()
        wall = self._clock.wall()
        with self._lock:
            self._judge(instant, received, wall)
            if received - sent > SLOWEST and self._bounds:
                return
            bound = instant - received
            if self._bounds and abs(bound - max(self._bounds)) > STEP + (received - sent):
                self._bounds.clear()
            self._bounds.append(bound)

    def now(self) -> datetime:
        """Return the store's clock, or a little less."""
        with self._lock:
            return max(self._bounds) + self._clock.monotonic()

    @property
    def known(self) -> bool:
        """Whether the store has answered at least once."""
        return bool(self._bounds)

    @property
    def jumped(self) -> bool:
        """Whether the store's clock has moved by more than a minute against both clocks of this node."""
        return self._jumped

    @property
    def offset(self) -> timedelta:
        """How far this machine's wall clock is ahead of the store's; for people."""
        return self._clock.wall() - self.now() if self.known else _ZERO

    def epoch(self, clock_epoch: int) -> None:
        """A beat says *clock_epoch*; when an operator has raised it, the store's clock is believed as it is."""
        with self._lock:
            if self._epoch is not None and clock_epoch != self._epoch:
                self._base_monotonic, self._jumped = None, False
            self._epoch = clock_epoch

    def _judge(self, instant: datetime, received: timedelta, wall: datetime) -> None:
        if self._base_monotonic is None:
            self._base_monotonic, self._base_wall = instant - received, instant - wall
        against_monotonic = instant - received - self._base_monotonic
        against_wall = instant - wall - self._base_wall
        self._jumped = abs(against_monotonic) > JUMP and abs(against_wall) > JUMP
        if not self._jumped:
            # Follow slow drift, so that months of it are never taken for a jump.
            most = (received - self._learned_at) / DRIFT
            self._base_monotonic += max(-most, min(most, against_monotonic))
            self._base_wall += max(-most, min(most, against_wall))
        self._learned_at = received
