"""A calendar: which days count, by the days off and the make-up days that a source knows of each year."""

from __future__ import annotations

from calendar import isleap
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal, Protocol, TypeAlias, get_args
from warnings import warn

from tickonce.errors import TriggerError

Unknown: TypeAlias = Literal["weekday", "hold", "fail"]
Days: TypeAlias = Literal["working", "holidays"]

#: Years that a search for the next day that counts looks through.
MOST_YEARS = 100


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

    def weekend(self) -> frozenset[int]:
        """Return the weekdays off in years of which nothing else is known, 0 is Monday."""

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
        mask = self._mask(day.year)
        return None if mask is None else bool(mask >> day.timetuple().tm_yday - 1 & 1)

    def next_day(self, day: date, *, including: bool = True, step: int = 1) -> date | None:
        """Return the first day from *day* on, or back with *step* -1, that counts (or not *including*).

        None: not known, or none in a hundred years, or beyond the years 1 to 9999.

        Raises:
            TriggerError: It is not known, and the policy is to fail.
        """
        for year in range(day.year, day.year + step * MOST_YEARS, step):
            if not date.min.year <= year <= date.max.year:
                return None
            mask = self._mask(year)
            if mask is None:
                return None
            new_year = date(year, 1, 1).toordinal()
            length = 365 + isleap(year)
            if not including:
                mask = ~mask & (1 << length) - 1
            if year == day.year:  # what is left of it, forwards or back
                place = day.toordinal() - new_year
                mask = mask >> place << place if step > 0 else mask & (2 << place) - 1
            if mask:
                return date.fromordinal(new_year + (mask & -mask if step > 0 else mask).bit_length() - 1)
        return None

    def _mask(self, year: int) -> int | None:
        """Return the days of *year* that count, bit 0 for 1 January; None where the policy is to hold."""
        mask = _mask_of(self.source, self.days, year)
        if mask is not None:
            return mask
        if self.unknown == "hold":
            return None
        if self.unknown == "fail":
            raise TriggerError(
                f"{self.name} has no data of {year}, and unknown='fail': upgrade the calendar's data, or say "
                "unknown='weekday' or 'hold'"
            )
        _warn(self.name, year)
        return _made(Year(frozenset(), frozenset(), self.source.weekend()), self.days, year)

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


#: Each seventh day of a year; the last week reaches into the next one.
_WEEKLY = sum(1 << day for day in range(0, 366, 7))


@lru_cache(maxsize=4_096)
def _mask_of(source: Source, days: Days, year: int) -> int | None:
    found = source.year(year)
    return None if found is None else _made(found, days, year)


def _made(known: Year, days: Days, year: int) -> int:
    """Return the mask of a year's days that count."""
    new_year = date(year, 1, 1)
    first = new_year.toordinal()
    off = _bits(known.holidays, first)
    if days == "holidays":
        return off
    length = 365 + isleap(year)
    weekend = sum(_WEEKLY << (weekday - new_year.weekday()) % 7 for weekday in known.weekend)
    return (~(weekend | off) | _bits(known.workdays, first)) & (1 << length) - 1


def _bits(found: frozenset[date], first: int) -> int:
    return sum(1 << day.toordinal() - first for day in found)


@lru_cache(maxsize=1_024)
def _warn(name: str, year: int) -> None:
    """Warn once of each calendar and year."""
    warn(f"{name} has no data of {year}: weekdays alone decide there", UnknownYear, stacklevel=2)
