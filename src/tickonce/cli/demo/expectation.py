"""Which ticks had to happen, by plain arithmetic: nothing of tickonce's triggers, planner or tables is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Tick: TypeAlias = "tuple[str, datetime]"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: A pause or removal records the ticks that are not launched yet as skipped. So what falls into this time before one
#: may go either way: as long as a launch can take while a killed node's share is being taken over.
EITHER_WAY = timedelta(seconds=2.5)


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a schedule had one definition.

    Attributes:
        after: The tick at this very instant is not part of it.
        until: The tick at this very instant is, if any.
        surely_until: Ticks after this one may have been recorded as skipped instead.
    """

    schedule_id: str
    period: timedelta
    after: datetime
    until: datetime
    surely_until: datetime

    def ticks(self) -> Iterator[datetime]:
        """Yield the multiples of the period, counted from the Unix epoch."""
        number = (self.after - _EPOCH) // self.period + 1
        while (tick := _EPOCH + number * self.period) <= self.until:
            yield tick
            number += 1


@dataclass(slots=True)
class Expectation:
    """What was demanded so far, told by whoever edits the schedules.

    Attributes:
        end: No schedule has a tick after this instant.
        spans: Definitions that are over.
    """

    end: datetime
    spans: list[Span] = field(default_factory=list)
    _open: dict[str, Span] = field(default_factory=dict)

    def begins(self, schedule_id: str, period: timedelta, at: datetime) -> None:
        """From *at* on the schedule has this period."""
        self._open[schedule_id] = Span(schedule_id, period, at, self.end, self.end)

    def changes(self, schedule_id: str, period: timedelta, at: datetime) -> None:
        """The schedule was edited at *at*: ticks up to then go by the old period, later ones by the new."""
        span = self._open.pop(schedule_id)
        self.spans.append(replace(span, until=min(at, self.end), surely_until=min(at, self.end)))
        self.begins(schedule_id, period, at)

    def stops(self, schedule_id: str, *, earliest: datetime, latest: datetime) -> None:
        """The schedule was paused or removed at an instant between these two."""
        span = self._open.pop(schedule_id)
        until, surely = min(latest, self.end), min(earliest - EITHER_WAY, self.end)
        self.spans.append(replace(span, until=until, surely_until=surely))

    def ticks(self, until: datetime | None = None) -> tuple[set[Tick], set[Tick]]:
        """Return the ticks that must be done, and those that may be done or skipped; up to *until*, if given."""
        must: set[Tick] = set()
        may: set[Tick] = set()
        for span in (*self.spans, *self._open.values()):
            for tick in span.ticks():
                if until is None or tick <= until:
                    (must if tick <= span.surely_until else may).add((span.schedule_id, tick))
        return must, may
