"""Recurring wall times: the next one at or after a given one, by shifting masks instead of stepping.

A wall time is counted in seconds as if the wall were in UTC (see ``zones``); a day is counted from 1970-01-01. A year
has one of 14 shapes (the weekday of its 1 January, leap or not), and for each shape the days that match are one
integer of 366 bits. So finding a day costs a shift for each year looked at, and none is further away than 40 years.
"""

from __future__ import annotations

from calendar import isleap
from datetime import date
from enum import Enum, auto
from math import gcd
from typing import NamedTuple

from tickonce.triggers.instants import DAY

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_FIRST_DAY = date.min.toordinal() - _EPOCH_ORDINAL
_LAST_DAY = date.max.toordinal() - _EPOCH_ORDINAL

_ALL_DAYS_OF_MONTH = (1 << 32) - 2
_ALL_MONTHS = (1 << 13) - 2
_ALL_WEEKDAYS = (1 << 7) - 1
#: The lengths of the months, for a common year and a leap year.
_MONTHS = tuple((31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31) for leap in (0, 1))
#: Each seventh day of a year; the last week reaches into the next year and is cut off there.
_WEEKLY = sum(1 << day for day in range(0, 366, 7))


def _lowest(mask: int) -> int:
    """Return the number of the lowest bit of *mask*, which is not zero."""
    return (mask & -mask).bit_length() - 1


class Times:
    """Times of day: every second whose hour, minute and second match. Each mask has a bit at least.

    Attributes:
        first: The earliest, in seconds since midnight.
    """

    __slots__ = ("_first_in_hour", "_first_in_minute", "_free", "_hours", "_minutes", "_seconds", "first")

    def __init__(self, *, hours: int, minutes: int, seconds: int = 1) -> None:
        self._hours, self._minutes, self._seconds = hours, minutes, seconds
        self._free: dict[tuple[int, int], int] = {}  # replaced whole, as threads share it
        self._first_in_minute = _lowest(seconds)
        self._first_in_hour = _lowest(minutes) * 60 + self._first_in_minute
        self.first = _lowest(hours) * 3_600 + self._first_in_hour

    def at_or_after(self, second: int) -> int | None:
        """Return the first match at or after *second* of the day, or None when none is left that day.

        Example:
            >>> Times(hours=1 << 9, minutes=1 << 30 | 1).at_or_after(9 * 3600 + 1) == 9 * 3600 + 30 * 60
            True
        """
        hour, rest = divmod(second, 3_600)
        if self._hours >> hour & 1:
            minute, rest = divmod(rest, 60)
            left = self._seconds >> rest
            if left and self._minutes >> minute & 1:
                return second + _lowest(left)
            minute += 1
            left = self._minutes >> minute
            if left:
                return hour * 3_600 + (minute + _lowest(left)) * 60 + self._first_in_minute
        hour += 1
        left = self._hours >> hour
        return (hour + _lowest(left)) * 3_600 + self._first_in_hour if left else None

    @property
    def comb(self) -> tuple[int, int]:
        """A distance that divides a day, and a second of the day: no match stands elsewhere than so far from there."""
        apart = (_distance(self._hours) * 3_600, _distance(self._minutes) * 60, _distance(self._seconds))
        return gcd(DAY, *apart), self.first

    def free_of_a_day(self, step: int, first: int) -> tuple[int, int]:
        """Return which of every *step* seconds from *first* on are no match, as a mask, and the seconds of a bit."""
        grid = 60 if self._seconds == 1 and step % 60 == first % 60 == 0 else 1
        known = self._free.get((step, first))
        if known is None:
            in_hour = self._minutes
            if grid == 1:
                in_hour = sum(self._seconds << 60 * minute for minute in range(60) if self._minutes >> minute & 1)
            matches = sum(in_hour << 3_600 // grid * hour for hour in range(24) if self._hours >> hour & 1)
            known = every_bit(step // grid, DAY // grid) << first // grid & (1 << DAY // grid) - 1 & ~matches
            self._free = {**self._free, (step, first): known} if len(self._free) < 8 else {(step, first): known}
        return known, grid


def every_bit(step: int, count: int) -> int:
    """Return the mask of every *step*-th of *count* bits, from the lowest on."""
    mask, known = 1, step
    while known < count:
        mask |= mask << known
        known *= 2
    return mask & (1 << count) - 1


def _distance(mask: int) -> int:
    """Return the greatest distance that divides those between all bits of *mask*; 0 for a single one."""
    found, low = 0, _lowest(mask)
    rest = mask >> low
    while rest := rest & (rest - 1):
        found = gcd(found, _lowest(rest))
    return found


class Kind(Enum):
    """How a :class:`DayRule` picks its day of a month."""

    LAST = auto()
    NEAREST = auto()
    NEAREST_TO_LAST = auto()
    NTH_WEEKDAY = auto()
    LAST_WEEKDAY = auto()


class DayRule(NamedTuple):
    """A day of each month that depends on the month's length or on the weekday of its first day.

    Attributes:
        kind: LAST: *number* days before the last. NEAREST: the working day (Monday to Friday) of the same month that
            is nearest to day *number*; NEAREST_TO_LAST: to the day *number* days before the last. NTH_WEEKDAY: the
            *number*-th *weekday*. LAST_WEEKDAY: the last *weekday*.
        number: See *kind*.
        weekday: 0 is Sunday.
    """

    kind: Kind
    number: int = 0
    weekday: int = 0

    def day(self, first: int, length: int) -> int | None:
        """Return the day in a month of *length* days whose first day is the weekday *first*, or None for none.

        Example:
            >>> DayRule(Kind.NEAREST, 1).day(6, 31), DayRule(Kind.NTH_WEEKDAY, 5, 5).day(0, 30)
            (3, None)
        """
        match self.kind:
            case Kind.LAST:
                return length - self.number if self.number < length else None
            case Kind.NEAREST:
                return _nearest(self.number, first, length) if self.number <= length else None
            case Kind.NEAREST_TO_LAST:
                return _nearest(length - self.number, first, length) if self.number < length else None
            case Kind.NTH_WEEKDAY:
                day = 1 + (self.weekday - first) % 7 + 7 * (self.number - 1)
                return day if day <= length else None
            case Kind.LAST_WEEKDAY:
                return length - (first + length - 1 - self.weekday) % 7


def _nearest(day: int, first: int, length: int) -> int:
    match (first + day - 1) % 7:
        case 6:
            return day - 1 if day > 1 else 3
        case 0:
            return day + 1 if day < length else day - 2
        case _:
            return day


class Days:
    """Days by month, day of month and weekday.

    Args:
        months: Mask of months, bits 1 to 12.
        days_of_month: Mask, bits 1 to 31.
        weekdays: Mask, bits 0 (Sunday) to 6.
        both: Whether a day must match by its number *and* its weekday; otherwise one of the two is enough.
        number_rules: Further days that count as matching by their number.
        weekday_rules: Further days that count as matching by their weekday.
        years: Mask of years; 0 stands for all of them.
    """

    __slots__ = (
        "_all",
        "_both",
        "_days_of_month",
        "_months",
        "_near",
        "_number_rules",
        "_shapes",
        "_weekday_rules",
        "_weekdays",
        "_years",
    )

    def __init__(
        self,
        *,
        months: int,
        days_of_month: int,
        weekdays: int,
        both: bool,
        number_rules: tuple[DayRule, ...] = (),
        weekday_rules: tuple[DayRule, ...] = (),
        years: int = 0,
    ) -> None:
        self._months, self._days_of_month, self._weekdays, self._both = months, days_of_month, weekdays, both
        self._number_rules, self._weekday_rules, self._years = number_rules, weekday_rules, years
        by_number, by_weekday = days_of_month == _ALL_DAYS_OF_MONTH, weekdays == _ALL_WEEKDAYS
        self._all = (
            not years and months == _ALL_MONTHS and (by_number and by_weekday if both else by_number or by_weekday)
        )
        self._shapes: list[int | None] = [None] * 14
        # Of the year found last: its first day, the next year's, its mask. Replaced whole, as threads share it.
        self._near = (0, 0, 0)

    def exist(self) -> bool:
        """Return whether any day matches, ever."""
        if self._years:
            return self._search(_FIRST_DAY) is not None
        return any(self._shape(weekday, leap) for weekday in range(7) for leap in (1, 0))

    def at_or_after(self, day: int) -> int | None:
        """Return the first match at or after *day*, or None when none is left before the year 10000."""
        if not _FIRST_DAY <= day <= _LAST_DAY:
            if day > _LAST_DAY:
                return None
            day = _FIRST_DAY
        if self._all:
            return day
        first, end, mask = self._near
        if first <= day < end:
            left = mask >> (day - first)
            if left:
                return day + _lowest(left)
            day = end
        return self._search(day)

    def free_at_or_after(self, day: int) -> int | None:
        """Return the first day at or after *day* that does not match, or None where none comes for 400 years."""
        if self._all:
            return None
        for _ in range(400):
            if day > _LAST_DAY:
                return None
            year = date.fromordinal(day + _EPOCH_ORDINAL).year
            if self._years and not self._years >> year & 1:
                return day
            new_year = date(year, 1, 1).toordinal()
            first, length = new_year - _EPOCH_ORDINAL, 365 + isleap(year)
            left = ~self._shape(new_year % 7, isleap(year)) & (1 << length) - 1
            left >>= day - first
            if left:
                return day + _lowest(left)
            day = first + length
        return None

    def _search(self, day: int) -> int | None:
        while day <= _LAST_DAY:
            year = date.fromordinal(day + _EPOCH_ORDINAL).year
            if self._years and not self._years >> year & 1:
                left = self._years >> year
                if not left:
                    return None
                year += _lowest(left)
                day = date(year, 1, 1).toordinal() - _EPOCH_ORDINAL
            new_year = date(year, 1, 1).toordinal()
            first = new_year - _EPOCH_ORDINAL
            end = first + 365 + isleap(year)
            mask = self._shape(new_year % 7, isleap(year))  # ordinals count from a Monday, so Sunday is 0
            left = mask >> (day - first)
            if left:
                self._near = (first, end, mask)
                return day + _lowest(left)
            day = end
        return None

    def _shape(self, weekday: int, leap: int) -> int:
        """Return the days that match in a year whose 1 January is *weekday* (0 is Sunday); bit 0 is that day."""
        mask = self._shapes[weekday * 2 + leap]
        if mask is None:
            mask = self._shapes[weekday * 2 + leap] = self._make_shape(weekday, leap)
        return mask

    def _make_shape(self, weekday: int, leap: int) -> int:
        in_months = by_number = by_weekday = begin = 0
        for month, length in enumerate(_MONTHS[leap], 1):
            if self._months >> month & 1:
                whole = (1 << length) - 1
                in_months |= whole << begin
                by_number |= (self._days_of_month >> 1 & whole) << begin
                by_number |= _picked(self._number_rules, (weekday + begin) % 7, length) << begin
                by_weekday |= _picked(self._weekday_rules, (weekday + begin) % 7, length) << begin
            begin += length
        for each in range(7):
            if self._weekdays >> each & 1:
                by_weekday |= _WEEKLY << (each - weekday) % 7
        return by_number & by_weekday if self._both else (by_number | by_weekday) & in_months


def _picked(rules: tuple[DayRule, ...], first: int, length: int) -> int:
    """Return the mask of the days that *rules* pick in a month; bit 0 is its first day."""
    mask = 0
    for rule in rules:
        day = rule.day(first, length)
        if day is not None:
            mask |= 1 << day - 1
    return mask


class WallTimes:
    """All times of day of *times* on all days of *days*.

    Attributes:
        comb: A distance that divides a day and a second of the day, between which no match stands.
    """

    __slots__ = ("_days", "_times", "comb")

    def __init__(self, days: Days, times: Times) -> None:
        self._days, self._times = days, times
        self.comb = times.comb

    def at_or_after(self, wall: int) -> int | None:
        """Return the first match at or after *wall*, or None when none is left before the year 10000."""
        today, second = divmod(wall, DAY)
        day = self._days.at_or_after(today)
        if day == today:
            found = self._times.at_or_after(second)
            if found is not None:
                return today * DAY + found
            day = self._days.at_or_after(today + 1)
        return None if day is None else day * DAY + self._times.first

    def free_at_or_after(self, wall: int, step: int) -> int | None:
        """Return the first of every *step* seconds from *wall* on that is no match; None where none comes for long.

        *step* divides a day, and *wall* is a match.
        """
        day, second = divmod(wall, DAY)
        first = second % step
        free, grid = self._times.free_of_a_day(step, first)
        left = free >> second // grid
        if left:
            return wall + _lowest(left) * grid
        following = self._days.free_at_or_after(day + 1)
        if not free:
            return None if following is None else following * DAY + first
        return (day + 1) * DAY + (first if following == day + 1 else _lowest(free) * grid)
