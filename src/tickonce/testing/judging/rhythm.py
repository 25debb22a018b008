"""When fires are scheduled, by plain counting: nothing of tickonce's triggers is asked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rhythm(Protocol):
    """The scheduled times of a schedule, as somebody who never saw a trigger would count them."""

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the scheduled times later than *after* up to and including *until*, in order."""


@dataclass(frozen=True, slots=True)
class Period:
    """Every *period*, counted from *anchor*.

    Example:
        >>> start = datetime(2026, 11, 21, 13, tzinfo=UTC)
        >>> [at.second for at in Period(timedelta(seconds=20)).between(start, start + timedelta(minutes=1))]
        [20, 40, 0]
    """

    period: timedelta
    anchor: datetime = _EPOCH

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the scheduled times later than *after* up to and including *until*, in order."""
        at = self.anchor + ((after - self.anchor) // self.period + 1) * self.period
        while at <= until:
            yield at
            at += self.period


@dataclass(frozen=True, slots=True)
class Moments:
    """Certain instants, in order."""

    times: tuple[datetime, ...]

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the scheduled times later than *after* up to and including *until*, in order."""
        for at in self.times[bisect_right(self.times, after) :]:
            if at > until:
                return
            yield at


@dataclass(frozen=True, slots=True)
class Each:
    """Every full *step* since the epoch that *fits*: tries one after the other, so that nothing clever can be wrong."""

    step: timedelta
    fits: Callable[[datetime], bool]

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the scheduled times later than *after* up to and including *until*, in order."""
        return (at for at in Period(self.step).between(after, until) if self.fits(at))


@dataclass(frozen=True, slots=True)
class Within:
    """Those of another rhythm from *start* to *end*, both included."""

    rhythm: Rhythm
    start: datetime | None = None
    end: datetime | None = None

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the scheduled times later than *after* up to and including *until*, in order."""
        if self.start is not None:
            after = max(after, self.start - timedelta(microseconds=1))
        return self.rhythm.between(after, until if self.end is None else min(until, self.end))
