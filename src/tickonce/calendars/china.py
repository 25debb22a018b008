"""Mainland China, with the make-up days that are worked on weekends (调休), from chinesecalendar."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tickonce.calendars.base import Year
from tickonce.errors import MissingExtra

_WEEKEND = frozenset({5, 6})


@dataclass(frozen=True, slots=True)
class China:
    """Days off and make-up days as the State Council announces them, each autumn for the year after."""

    def __post_init__(self) -> None:
        _years()

    def year(self, year: int) -> Year | None:
        """Return what is known of *year*, or None before its announcement."""
        return _years().get(year)

    def last_year(self) -> int:
        """Return the last year that was announced."""
        return max(_years())

    def weekend(self) -> frozenset[int]:
        """Return Saturday and Sunday."""
        return _WEEKEND

    def spec(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"country": "CN"}


@lru_cache(maxsize=1)
def _years() -> dict[int, Year]:
    try:
        from chinese_calendar import constants
    except ImportError:
        raise MissingExtra("the calendar of China", extra="calendars") from None
    years = {day.year for day in constants.holidays}
    return {
        year: Year(
            holidays=frozenset(day for day in constants.holidays if day.year == year),
            workdays=frozenset(day for day in constants.workdays if day.year == year),
            weekend=_WEEKEND,
        )
        for year in years
    }
