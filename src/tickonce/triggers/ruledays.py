"""The wall times of a recurrence rule: the days of a year as one integer, and periods that are due or left out."""

from __future__ import annotations

from bisect import bisect_left
from calendar import isleap, monthrange
from collections.abc import Callable, Iterable
from datetime import date
from functools import lru_cache
from math import gcd

from tickonce.triggers.instants import DAY
from tickonce.triggers.rruletext import Rule

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal() - _EPOCH_ORDINAL
#: Years and periods that one search looks at before it says that there is nothing: rules repeat within this many, but
#: for a leap day on a certain weekday at an interval of years.
_MOST_LOOKS = 450
#: The same for rules with BYSETPOS, whose periods are dearer.
_MOST_PERIODS = 60
#: Days looked through for one without a match, and phases of days whose times may be remembered for that.
_MOST_DAYS = 40
_MOST_REMEMBERED = 16
#: A year of each shape: the weekday on which it begins, and whether it is a leap year.
_SHAPES = {(date(year, 1, 1).weekday(), isleap(year)): year for year in range(1_996, 2_024)}


class RuleWalls:
    """All times of a rule."""

    __slots__ = ("_first_day", "_free_of", "_last", "_mask_of", "_phases", "_rule", "_times")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._first_day = rule.start // DAY
        self._last = rule.until
        self._mask_of: Callable[[int], int] = lru_cache(maxsize=512)(self._make_mask)
        self._times = self._times_of(rule)
        self._phases = 1
        self._free_of: Callable[[int, int, int], list[int]] = lru_cache(maxsize=32)(self._find_free)

    @staticmethod
    def _times_of(rule: Rule) -> list[int]:
        """Return the times of the rule within a day, in order."""
        return sorted(h * 3_600 + m * 60 + s for h in rule.hours for m in rule.minutes for s in rule.seconds)

    def at_or_after(self, wall: int) -> int | None:
        """Return the first match at or after *wall*, or None when none is left."""
        wall = max(wall, self._rule.start)
        for _ in range(len(self._rule.excluded) + 1):
            found = self._included_at_or_after(wall)
            if found is None or (self._last is not None and found > self._last):
                return None
            if found not in self._rule.excluded:
                return found
            wall = found + 1
        return None

    @property
    def comb(self) -> tuple[int, int]:
        """A distance and a wall time: no match stands elsewhere than so far from there."""
        return gcd(DAY, *(time - self._times[0] for time in self._times)), self._times[0]

    def free_at_or_after(self, wall: int, step: int) -> int:
        """Return the first of every *step* seconds from *wall* on that may be no match; forty days on at the latest.

        *step* divides a day, and *wall* is a match.
        """
        rule = self._rule
        if rule.positions or rule.excluded or self._phases > _MOST_REMEMBERED:
            return wall
        end = wall
        day, second = divmod(wall, DAY)
        first = second % step
        for each in range(day, day + _MOST_DAYS):
            if self._day_at_or_after(each) != each:
                end = each * DAY
                break
            free = self._free_of(each % self._phases, step, first)
            place = bisect_left(free, second if each == day else 0)
            if place < len(free):
                end = each * DAY + free[place]
                break
            end = (each + 1) * DAY
        return end if self._last is None else min(end, self._last + 1)

    def _find_free(self, phase: int, step: int, first: int) -> list[int]:
        return [second for second in range(first, DAY, step) if not self._includes(phase, second)]

    def _includes(self, day: int, second: int) -> bool:  # noqa: ARG002 - the times of all days are the same
        """Return whether *second* of *day*, which is due, is a match."""
        place = bisect_left(self._times, second)
        return place < len(self._times) and self._times[place] == second

    def end_after(self, count: int) -> None:
        """Let the rule end with its *count*-th time; those that are excluded count as well, as RFC 5545 says."""
        wall: int | None = self._rule.start - 1
        for _ in range(count):
            following = self._included_at_or_after((wall or 0) + 1)
            if following is None:
                break
            wall = following
        self._last = wall

    def _included_at_or_after(self, wall: int) -> int | None:
        day, second = divmod(wall, DAY)
        if self._rule.positions:
            return self._by_position(day, wall)
        found = self._day_at_or_after(day)
        if found == day:
            place = bisect_left(self._times, second)
            if place < len(self._times):
                return day * DAY + self._times[place]
            found = self._day_at_or_after(day + 1)
        return None if found is None else found * DAY + self._times[0]

    def _by_position(self, day: int, wall: int) -> int | None:
        """Return the first time at one of the rule's places within its period."""
        times = self._times
        for _ in range(_MOST_PERIODS):
            found = self._day_at_or_after(day)
            if found is None:
                return None
            begin, end = self._period(found)
            mask = self._days_between(begin, end)
            count = mask.bit_count() * len(times)
            wanted = {place - 1 if place > 0 else count + place for place in self._rule.positions}
            places = sorted(place for place in wanted if 0 <= place < count)
            days = [day for day in range(end - begin) if mask >> day & 1] if places else []
            for place in places:
                at = (begin + days[place // len(times)]) * DAY + times[place % len(times)]
                if at >= wall:
                    return at
            day = end
        return None

    def _day_at_or_after(self, day: int) -> int | None:
        """Return the first day at or after *day* that the rule's parts and interval allow."""
        for _ in range(_MOST_LOOKS):
            if day > _LAST_DAY:
                return None
            year = date.fromordinal(day + _EPOCH_ORDINAL).year
            first = date(year, 1, 1).toordinal() - _EPOCH_ORDINAL
            left = self._mask_of(self._alike(year)) >> (day - first)
            if left:
                found = day + (left & -left).bit_length() - 1
                due = self._due_from(found)
                if due == found:
                    return found
                day = due
            else:
                following = first + 365 + isleap(year)
                # No other year until the next that is due has any of its days.
                day = max(following, self._due_from(following)) if self._rule.frequency == "YEARLY" else following
        return None

    def _due_from(self, day: int) -> int:
        """Return *day* where it is in a period that is due, else the first day of the next one that is."""
        rule, interval = self._rule, self._rule.interval
        match rule.frequency:
            case "DAILY":
                return day + (self._first_day - day) % interval
            case "WEEKLY":
                # 1970-01-01 was a Thursday, the fifth day of a week that begins on Sunday.
                week, own = ((each + 4 - rule.week_start) // 7 for each in (day, self._first_day))
                ahead = (own - week) % interval
                return day if not ahead else (week + ahead) * 7 - 4 + rule.week_start
            case "MONTHLY":
                at, own_date = (date.fromordinal(each + _EPOCH_ORDINAL) for each in (day, self._first_day))
                month = at.year * 12 + at.month - 1
                ahead = (own_date.year * 12 + own_date.month - 1 - month) % interval
                if not ahead:
                    return day
                year, index = divmod(month + ahead, 12)
                return _LAST_DAY + 1 if year > 9_999 else date(year, index + 1, 1).toordinal() - _EPOCH_ORDINAL
            case "YEARLY":
                if day > _LAST_DAY:
                    return day
                year = date.fromordinal(day + _EPOCH_ORDINAL).year
                ahead = (date.fromordinal(self._first_day + _EPOCH_ORDINAL).year - year) % interval
                if not ahead:
                    return day
                return _LAST_DAY + 1 if year + ahead > 9_999 else date(year + ahead, 1, 1).toordinal() - _EPOCH_ORDINAL
            case _:
                raise AssertionError(rule.frequency)  # shorter ones have a class of their own

    def _period(self, day: int) -> tuple[int, int]:
        """Return the first day of the period around *day*, and of the next one."""
        at = date.fromordinal(day + _EPOCH_ORDINAL)
        match self._rule.frequency:
            case "DAILY":
                return day, day + 1
            case "WEEKLY":
                begin = day - (day + 4 - self._rule.week_start) % 7
                return begin, begin + 7
            case "MONTHLY":
                begin = day - at.day + 1
                return begin, begin + monthrange(at.year, at.month)[1]
            case "YEARLY":
                begin = date(at.year, 1, 1).toordinal() - _EPOCH_ORDINAL
                return begin, begin + 365 + isleap(at.year)
            case _:
                raise AssertionError(self._rule.frequency)

    def _days_between(self, begin: int, end: int) -> int:
        """Return the mask of the days that the rule's parts allow in a period that is due; bit 0 is *begin*."""
        mask, day = 0, begin
        while day < end and day <= _LAST_DAY:
            year = date.fromordinal(day + _EPOCH_ORDINAL).year
            first = date(year, 1, 1).toordinal() - _EPOCH_ORDINAL
            mask |= self._mask_of(self._alike(year)) >> (day - first) << (day - begin)
            day = first + 365 + isleap(year)
        return mask & (1 << end - begin) - 1

    # -- the days of a year ------------------------------------------------------------------------

    def _alike(self, year: int) -> int:
        """Return the year that stands for all whose days the rule picks as it does those of *year*."""
        if self._rule.week_numbers:
            return 2_000 + year % 400  # the weeks of a year depend on its neighbours
        return _SHAPES[date(year, 1, 1).weekday(), isleap(year)]

    def _make_mask(self, year: int) -> int:
        """Return the days of *year* that the parts of the rule allow; bit 0 is 1 January."""
        rule = self._rule
        start = date.fromordinal(self._first_day + _EPOCH_ORDINAL)
        months, month_days, weekdays = rule.months, rule.month_days, rule.weekdays
        if not (rule.week_numbers or rule.year_days or month_days or weekdays or rule.nth):
            # What the rule leaves open is as in DTSTART.
            if rule.frequency == "WEEKLY":
                weekdays = frozenset({start.isoweekday() % 7})
            elif rule.frequency in {"MONTHLY", "YEARLY"}:
                month_days = frozenset({start.day})
                if rule.frequency == "YEARLY":
                    months = months or frozenset({start.month})
        length = 365 + isleap(year)
        first = date(year, 1, 1).isoweekday() % 7
        mask = (1 << length) - 1
        if months:
            mask &= _of_months(year, months)
        if month_days:
            mask &= _of_month_days(year, month_days)
        if rule.year_days:
            mask &= _bits((each - 1 if each > 0 else length + each) for each in rule.year_days)
        if weekdays or rule.nth:
            mask &= _of_weekdays(first, length, weekdays) | self._of_nth(year, first, length)
        if rule.week_numbers:
            mask &= _of_weeks(year, rule.week_numbers)
        return mask & (1 << length) - 1

    def _of_nth(self, year: int, first: int, length: int) -> int:
        rule = self._rule
        if not rule.nth:
            return 0
        if rule.frequency == "YEARLY" and not rule.months:
            spans = [(0, length)]
        else:
            spans = [(_begin(year, month), monthrange(year, month)[1]) for month in range(1, 13)]
        return _bits(
            place
            for begin, days in spans
            for number, weekday in rule.nth
            if (place := _nth(begin, days, first, number, weekday)) is not None
        )


def _nth(begin: int, days: int, first: int, number: int, weekday: int) -> int | None:
    """Return the place in the year of the *number*-th *weekday* within *days* from *begin*, or None for none."""
    if number > 0:
        place = (weekday - first - begin) % 7 + 7 * (number - 1)
    else:
        place = days - 1 - (first + begin + days - 1 - weekday) % 7 + 7 * (number + 1)
    return begin + place if 0 <= place < days else None


def _begin(year: int, month: int) -> int:
    return date(year, month, 1).toordinal() - date(year, 1, 1).toordinal()


def _bits(places: Iterable[int]) -> int:
    mask = 0
    for place in places:
        if place >= 0:
            mask |= 1 << place
    return mask


def _of_months(year: int, months: frozenset[int]) -> int:
    mask = 0
    for month in months:
        mask |= ((1 << monthrange(year, month)[1]) - 1) << _begin(year, month)
    return mask


def _of_month_days(year: int, days: frozenset[int]) -> int:
    mask = 0
    for month in range(1, 13):
        length = monthrange(year, month)[1]
        for day in days:
            place = day - 1 if day > 0 else length + day
            if 0 <= place < length:
                mask |= 1 << _begin(year, month) + place
    return mask


def _of_weekdays(first: int, length: int, weekdays: frozenset[int]) -> int:
    return _bits(place for weekday in weekdays for place in range((weekday - first) % 7, length, 7))


def _of_weeks(year: int, numbers: frozenset[int]) -> int:
    """Return the days whose week, by ISO 8601, has one of *numbers*; those below zero count from the year's last."""
    begin = date(year, 1, 1).weekday()
    first = -begin if begin <= 3 else 7 - begin  # where its week 1 begins: the one with its first Thursday
    mask = 0
    for week in range(54):
        own = year if 1 <= week <= _weeks(year) else year - 1 if week == 0 else year + 1
        number = week if own == year else _weeks(own) if week == 0 else 1
        if number in numbers or number - _weeks(own) - 1 in numbers:
            place = first + 7 * (week - 1)
            mask |= (0b111_1111 << place) if place >= 0 else (0b111_1111 >> -place)
    return mask


def _weeks(year: int) -> int:
    return date(year, 12, 28).isocalendar()[1]
