"""A calendar: which days count, by the days off and the make-up days that a source knows of each year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, Protocol, TypeAlias, get_args
from warnings import warn

from tickonce.errors import TriggerError

Unknown: TypeAlias = Literal["weekday", "hold", "fail"]
Days: TypeAlias = Literal["working", "holidays"]

#: How far a search for the next day that counts goes; no calendar has none for so long, but a wrong one may.
MOST_DAYS = 800
_DAY = timedelta(days=1)


class UnknownYear(UserWarning):
    """A calendar has no data of a year, and weekdays alone decide: upgrade what brings the data."""


class Source(Protocol):
    """Where days off and make-up days come from. A frozen value, so that calendars can be compared."""

    def __hash__(self) -> int:
        """Return the hash of a value."""

    def year(self, year: int) -> Year | None:
        """Return what is known of *year*, or None when nothing is."""

    def last_year(self) -> int | None:
        """Return the last year that is known without a gap, or None when there is no end."""

    def spec(self) -> dict[str, object]:
        """Return the JSON form of the source."""


@dataclass(frozen=True, slots=True)
class Year:
    """What is known of a year.

    Attributes:
        holidays: Days off, whatever their weekday.
        workdays: Days that are worked though they fall on a weekend.
        weekend: Weekdays off, 0 is Monday.
    """

    holidays: frozenset[date]
    workdays: frozenset[date]
    weekend: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """A set of days.

    Attributes:
        source: What knows days off and make-up days.
        days: ``working`` days, or ``holidays``.
        unknown: What holds in a year without data: ``weekday``, the weekend alone decides (and a warning says so);
            ``hold``, nothing is due until there is data; ``fail``, an error.
        known: With ``hold``, the last year that was known where the trigger was resolved: code with older data
            leaves it to others, and newer data makes a new definition, which starts a held schedule again.
    """

    source: Source
    days: Days = "working"
    unknown: Unknown = "weekday"
    known: int | None = None

    def __post_init__(self) -> None:
        if self.days not in get_args(Days):
            raise TriggerError(f"days: {self.days!r:.40} is not known; allowed 'working' or 'holidays'")
        if self.unknown not in get_args(Unknown):
            raise TriggerError(f"unknown: {self.unknown!r:.40} is not a policy; allowed 'weekday', 'hold' or 'fail'")
        if self.known is not None and (type(self.known) is not int or self.unknown != "hold"):
            raise TriggerError(f"known: a year, together with unknown='hold'; got {self.known!r:.40}")

    def includes(self, day: date) -> bool | None:
        """Return whether *day* counts; None where that is not known and the policy is to hold.

        Raises:
            TriggerError: It is not known, and the policy is to fail.
        """
        year = _year(self.source, day.year)
        if year is None:
            if self.unknown == "hold":
                return None
            if self.unknown == "fail":
                raise TriggerError(
                    f"{self.name} has no data of {day.year}, and unknown='fail': upgrade the calendar's data, or say "
                    "unknown='weekday' or 'hold'"
                )
            _warn(self.name, day.year)
            year = _WEEKENDS
        if self.days == "holidays":
            return day in year.holidays
        return day in year.workdays or (day not in year.holidays and day.weekday() not in year.weekend)

    def next_day(self, day: date, *, including: bool = True, step: int = 1) -> date | None:
        """Return the first day from *day* on, or back with *step* -1, that counts (or not *including*).

        None: not known, or none in two years, or beyond the years 1 to 9999.
        """
        for _ in range(MOST_DAYS):
            counts = self.includes(day)
            if counts is None:
                return None
            if counts is including:
                return day
            try:
                day += step * _DAY
            except OverflowError:
                return None
        return None

    @property
    def title(self) -> str:
        """The country, with its part, or its own name."""
        spec = self.source.spec()
        of = spec.get("country", spec.get("name"))
        return f"{of}-{spec['subdivision']}" if spec.get("subdivision") else str(of)

    @property
    def name(self) -> str:
        """What errors and warnings call it."""
        return f"the calendar of {'working days' if self.days == 'working' else 'holidays'} {self.title}"

    def spec(self) -> dict[str, object]:
        """Return the JSON form."""
        spec: dict[str, object] = {"days": self.days, **self.source.spec(), "unknown": self.unknown}
        return spec if self.known is None else {**spec, "known": self.known}


_WEEKENDS = Year(frozenset(), frozenset(), frozenset({5, 6}))


@lru_cache(maxsize=4_096)
def _year(source: Source, year: int) -> Year | None:
    return source.year(year)


@lru_cache(maxsize=1_024)
def _warn(name: str, year: int) -> None:
    """Warn once of each calendar and year."""
    warn(f"{name} has no data of {year}: weekdays alone decide there", UnknownYear, stacklevel=2)
