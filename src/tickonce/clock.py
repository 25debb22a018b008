"""The only file that reads time and waits."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

#: The clock that goes on while the machine sleeps, if the system has one that says so: Linux stops its monotonic clock
#: then; macOS has stopped the one that Python calls monotonic, and not the one with that name.
_SLEEPING: int | None = getattr(time, "CLOCK_BOOTTIME", None)
if _SLEEPING is None and sys.platform == "darwin":
    _SLEEPING = time.CLOCK_MONOTONIC

T = TypeVar("T")

#: How many rows are dealt with before others have their turn, about half a millisecond's work, and how long that is.
_IN_ONE_GO = 25
_TURN_S = 0.0001


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
        found = self._event.wait(None if timeout is None else _seconds(timeout))
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

    def boottime(self) -> timedelta | None:
        """Return time since some fixed moment, sleep of the machine included; None where it cannot be known."""
        return None if _SLEEPING is None else timedelta(microseconds=time.clock_gettime_ns(_SLEEPING) // 1000)

    def signal(self) -> SystemSignal:
        """Return a new signal whose waits this clock times."""
        return SystemSignal()

    def sleep(self, duration: timedelta) -> None:
        """Wait for *duration*."""
        time.sleep(_seconds(duration))


def _seconds(duration: timedelta) -> float:
    # What is longer than a wait of the system may be, about three centuries, is cut to that.
    return min(max(0.0, duration.total_seconds()), threading.TIMEOUT_MAX)


SYSTEM_CLOCK = SystemClock()


def politely(items: Sequence[T]) -> Iterator[T]:
    """Yield *items*; behind each few of them other threads of this process have their turn.

    Whoever computes without a pause keeps Python's interpreter for 5 ms at a time, as long as many a web request takes
    in all. To offer it without waiting does not help: it is taken back before anybody else has woken.
    """
    for number, item in enumerate(items, start=1):
        yield item
        if number % _IN_ONE_GO == 0:
            time.sleep(_TURN_S)
