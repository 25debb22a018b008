"""A clock whose time passes when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Condition, Lock

_START = datetime(2026, 1, 1, tzinfo=UTC)
_ZERO = timedelta(0)
_LONGEST = timedelta(days=365_250)
#: How long a test waits for its threads to come to rest, in real seconds, before it is told that they do not.
_PATIENCE_S = 10.0


class FakeClock:
    """Time that stands still until it is advanced.

    A thread that waits goes on when it is signalled, or when ``advance`` has passed its deadline. In a test of one
    thread nobody else can advance: with *waiting_passes*, a wait itself moves the clock to its deadline.

    Args:
        start: The wall clock at the beginning; aware. The monotonic clock begins at zero.
        waiting_passes: Whether a wait with a timeout moves the clock on rather than blocks.

    Example:
        >>> clock = FakeClock(datetime(2026, 11, 21, 13, tzinfo=UTC))
        >>> clock.advance(timedelta(minutes=5))
        >>> clock.wall()
        datetime.datetime(2026, 11, 21, 13, 5, tzinfo=datetime.timezone.utc)
    """

    def __init__(self, start: datetime = _START, *, waiting_passes: bool = False) -> None:
        self._start = _aware(start, "start").astimezone(UTC)
        self._elapsed = _ZERO
        self._slept = _ZERO
        self._waiting_passes = waiting_passes
        self._changed = Condition()
        self._names = count()
        self._deadlines: dict[int, timedelta | None] = {}

    # -- what a Clock does -----------------------------------------------------------------------

    def wall(self) -> datetime:
        """Return the time of day, in UTC."""
        with self._changed:
            return self._start + self._elapsed

    def monotonic(self) -> timedelta:
        """Return how far the clock was advanced; jumps of the wall clock do not count."""
        with self._changed:
            return self._elapsed

    def boottime(self) -> timedelta | None:
        """Return how far the clock was advanced, with the time it was suspended."""
        with self._changed:
            return self._elapsed + self._slept

    def signal(self) -> FakeSignal:
        """Return a new signal whose waits this clock times."""
        return FakeSignal(self)

    def sleep(self, duration: timedelta) -> None:
        """Wait until the clock has been advanced by *duration*."""
        self.signal().wait(duration)

    def wait(self, condition: Callable[[], bool], timeout: timedelta | None = None) -> bool:
        """Wait until *condition* holds or *timeout* has passed; return whether it held."""
        with self._changed:
            end = None if timeout is None else self._elapsed + min(max(timeout, _ZERO), _LONGEST)
            name = next(self._names)
            try:
                while not (held := condition()):
                    if end is not None and self._waiting_passes:
                        self._elapsed = max(self._elapsed, end)
                    if end is not None and self._elapsed >= end:
                        break
                    if name not in self._deadlines:
                        self._deadlines[name] = end
                        self._changed.notify_all()  # a test may wait for threads to come to rest
                    self._changed.wait()
            finally:
                self._deadlines.pop(name, None)
            return held

    def look_again(self) -> None:
        """Let those who wait look at their conditions."""
        with self._changed:
            self._changed.notify_all()

    # -- what a test does ------------------------------------------------------------------------

    def advance(self, duration: timedelta) -> None:
        """Let *duration* pass and wake those whose deadline is reached."""
        if duration < _ZERO:
            raise ValueError(f"time does not pass backwards, got {duration}; set the wall clock back with jump()")
        with self._changed:
            self._elapsed += duration
            self._changed.notify_all()

    def advance_to(self, instant: datetime) -> None:
        """Let time pass until the wall clock shows *instant*, which is not in the past."""
        self.advance(_aware(instant, "instant") - self.wall())

    def jump(self, distance: timedelta) -> None:
        """Set the wall clock forward or back; no time passes."""
        with self._changed:
            self._start += distance

    def suspend(self, duration: timedelta) -> None:
        """Let the machine sleep for *duration*: the wall clock goes on, the monotonic one does not."""
        with self._changed:
            self._start += duration
            self._slept += duration

    @property
    def waiting(self) -> int:
        """How many threads wait."""
        with self._changed:
            return len(self._deadlines)

    def next_deadline(self) -> timedelta | None:
        """Return how long until the first wait in progress ends by itself, or None."""
        with self._changed:
            ends = [end for end in self._deadlines.values() if end is not None]
            return max(min(ends) - self._elapsed, _ZERO) if ends else None

    def until_waiting(self, threads: int = 1) -> None:
        """Return once at least so many threads wait, so that a step cannot come before them.

        Raises:
            TimeoutError: They did not come to rest within 10 real seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._deadlines) >= threads, timeout=_PATIENCE_S):
                raise TimeoutError(f"{len(self._deadlines)} of {threads} threads wait after {_PATIENCE_S:g} s")


class FakeSignal:
    """A wake-up call that remembers being set until somebody has waited for it; timed by its clock."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._set = False

    def set(self) -> None:
        """Wake whoever waits, or the next who does."""
        with self._lock:
            self._set = True
        self._clock.look_again()

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait until set or until *timeout* has passed; return whether it was set, and clear it."""
        return self._clock.wait(self._take, timeout)

    def _take(self) -> bool:
        with self._lock:
            found, self._set = self._set, False
            return found


def _aware(value: datetime, name: str) -> datetime:
    if value.utcoffset() is None:
        raise ValueError(f"{name} must be aware, got the naive {value.isoformat()}; give it a zone: tzinfo=UTC")
    return value
