"""A calendar of one's own: the days are in the definition itself, so that every node has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from tickonce.calendars.base import Year
from tickonce.errors import TriggerError

#: Days that one calendar holds at most: a hundred a year for forty years.
_MOST = 4_000
_MOST_NAME = 100


@dataclass(frozen=True, slots=True)
class Own:
    """Days off and make-up days that were written down.

    Attributes:
        name: What people call it.
        holidays: Days off, in order.
        workdays: Days that are worked though they fall on a weekend, in order.
        first, last: The years that it knows all about.
        days_off: The weekend's weekdays, 0 is Monday.
    """

    name: str
    holidays: tuple[date, ...]
    workdays: tuple[date, ...]
    first: int
    last: int
    days_off: tuple[int, ...] = (5, 6)

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > _MOST_NAME:
            raise TriggerError(f"name: a calendar needs one of 1 to {_MOST_NAME} characters, got {self.name[:40]!r}")
        if len(self.holidays) + len(self.workdays) > _MOST:
            raise TriggerError(f"the calendar {self.name!r} has more than {_MOST} days; keep those of some years only")
        if both := set(self.holidays) & set(self.workdays):
            raise TriggerError(f"the calendar {self.name!r} has {min(both)} as a holiday and as a working day")
        if not 1 <= self.first <= self.last <= 9999:
            raise TriggerError(f"years: {self.first} to {self.last} are no years of the calendar {self.name!r}")
        if not set(self.days_off) <= set(range(7)):
            raise TriggerError(f"weekend: weekdays are 0, Monday, to 6, Sunday; got {self.days_off!r:.60}")

    def year(self, year: int) -> Year | None:
        """Return what was written down of *year*, or None where nothing was."""
        if not self.first <= year <= self.last:
            return None
        off, worked = (frozenset(day for day in days if day.year == year) for days in (self.holidays, self.workdays))
        return Year(off, worked, frozenset(self.days_off))

    def last_year(self) -> int:
        """Return the last year that was written down."""
        return self.last

    def weekend(self) -> frozenset[int]:
        """Return the weekdays off."""
        return frozenset(self.days_off)

    def spec(self) -> dict[str, object]:
        """Return the JSON form."""
        spec: dict[str, object] = {"name": self.name, "years": [self.first, self.last]}
        spec["holidays"] = [day.isoformat() for day in self.holidays]
        if self.workdays:
            spec["workdays"] = [day.isoformat() for day in self.workdays]
        if self.days_off != (5, 6):
            spec["weekend"] = list(self.days_off)
        return spec


def own(
    name: str,
    holidays: Iterable[date],
    workdays: Iterable[date] = (),
    *,
    years: tuple[int, int] | None = None,
    weekend: Iterable[int] = (5, 6),
) -> Own:
    """Return the source that holds these days; without *years* it knows those from its first day to its last."""
    off, worked = sorted(set(holidays)), sorted(set(workdays))
    if years is None:
        if not off and not worked:
            raise TriggerError(f"the calendar {name[:40]!r} has no day; say which years it knows: years=(2026, 2027)")
        every = [*off, *worked]
        years = (min(every).year, max(every).year)
    return Own(name, tuple(off), tuple(worked), *years, tuple(sorted(set(weekend))))
