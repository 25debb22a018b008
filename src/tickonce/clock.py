"""The only file that reads time and waits."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta


class SystemSignal:
    """A wake-up call between threads that remembers being set until somebody has waited for it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Wake whoever waits, or the next who does."""
        # Set as it is, it says the same once more: who waits clears it before looking at what there is to do.
        if not self._event.is_set():
            self._event.set()

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait until set or until *timeout* is over; return whether it was set, and clear it."""
        found = self._event.wait(None if timeout is None else max(0.0, timeout.total_seconds()))
        if found:  # one that is set just after the time was over is for the next wait
            self._event.clear()
        return found


class SystemClock:
    """The machine's clocks."""

    def wall(self) -> datetime:
        """Return the machine's idea of the time of day, in UTC. It may jump."""
        return datetime.now(UTC)

    def monotonic(self) -> timedelta:
        """Return time since some fixed moment; it never jumps."""
        return timedelta(microseconds=time.monotonic_ns() // 1000)

    def signal(self) -> SystemSignal:
        """Return a new signal whose waits this clock times."""
        return SystemSignal()

    def sleep(self, duration: timedelta) -> None:
        """Wait for *duration*."""
        time.sleep(max(0.0, duration.total_seconds()))


SYSTEM_CLOCK = SystemClock()
