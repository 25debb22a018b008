"""Triggers in English."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from tickonce.calendars.base import Calendar
from tickonce.triggers.calendar import format_time
from tickonce.triggers.instants import format_instant
from tickonce.triggers.shapes import All, Run, Shape, Steps, These
from tickonce.triggers.walltimes import DayRule, Kind

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
#: Of countries whose calendars are asked for often; others go by their codes.
_COUNTRIES = {
    "CN": "China",
    "HK": "Hong Kong",
    "MO": "Macao",
    "TW": "Taiwan",
    "JP": "Japan",
    "KR": "South Korea",
    "SG": "Singapore",
    "MY": "Malaysia",
    "TH": "Thailand",
    "VN": "Vietnam",
    "IN": "India",
    "US": "the United States",
    "CA": "Canada",
    "GB": "the United Kingdom",
    "DE": "Germany",
    "FR": "France",
    "AU": "Australia",
    "BR": "Brazil",
    "RU": "Russia",
}
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


class English:
    """The grammar of English."""

    def sentence(self, times: str, *, days: str, months: str, years: str, zone: str) -> str:
        text = " ".join(part for part in (times, days, months, years) if part)
        return f"{text}, {zone} time" if zone else text

    def dated(self, dates: str, at: time, *, zone: str) -> str:
        return self.sentence(
            f"{dates}{',' if ',' in dates else ''} at {format_time(at)}", days="", months="", years="", zone=zone
        )

    def clock_times(self, times: Sequence[time], *, daily: bool) -> str:
        return ("every day " if daily else "") + f"at {_listed([format_time(each) for each in times])}"

    def each(self, unit: str, number: int) -> str:
        return f"every {unit}" if number == 1 else f"every {number} {unit}s"

    def within(self, phrase: str, first: time, last: time) -> str:
        return f"{phrase} from {format_time(first)} to {format_time(last)}"

    def parts(self, seconds: Shape, minutes: Shape, hours: Shape, *, says_seconds: bool) -> str:
        of_hours = "of every hour" if isinstance(hours, All) else f"of {_counted('hour', hours)}"
        if says_seconds:
            of_minutes = "of every minute" if isinstance(minutes, All) else f"of {_counted('minute', minutes)}"
            if isinstance(minutes, All) and isinstance(hours, All):
                return f"at {_counted('second', seconds)} of every minute"
            return f"at {_counted('second', seconds)} {of_minutes} {of_hours}"
        return f"at {_counted('minute', minutes)} {of_hours}"

    def numbers(self, shape: Shape, rules: Sequence[DayRule]) -> str:
        said = [f"{_counted('day', shape)} of the month"] if shape != These(()) else []
        return f"on {_listed([*said, *map(self._number_rule, rules)])}"

    def weekdays(self, shape: Shape, rules: Sequence[DayRule]) -> str:
        said: list[str]
        match shape:
            case All():
                said = ["every day"]
            case Run(first, last):
                said = [f"{_WEEKDAYS[first % 7]} to {_WEEKDAYS[last % 7]}"]
            case Steps(step, first):
                said = [_WEEKDAYS[day] for day in range(first, 7, step)]
            case These(values):
                said = (
                    [_WEEKDAYS[day] for day in (*values[1:], 0)]
                    if values[:1] == (0,)
                    else [_WEEKDAYS[d] for d in values]
                )
        return f"on {_listed([*said, *map(self._weekday_rule, rules)])}"

    def either(self, first: str, second: str) -> str:
        return f"{first} or {second}"

    def as_well(self, first: str, second: str) -> str:
        return f"{first} if it is {second.removeprefix('on ')}"

    def months(self, shape: Shape) -> str:
        match shape:
            case All():
                return ""
            case Run(first, last):
                return f"from {_MONTHS[(first - 1) % 12]} to {_MONTHS[(last - 1) % 12]}"
            case Steps(step, first):
                return f"in {_listed([_MONTHS[month - 1] for month in range(first, 13, step)])}"
            case These(values):
                return f"in {_listed([_MONTHS[month - 1] for month in values])}"

    def years(self, shape: Shape) -> str:
        match shape:
            case All():
                return ""
            case Run(first, last):
                return f"from {first} to {last}"
            case Steps(step, first):
                return f"every {step} years from {first}"
            case These(values):
                return f"in {_listed(list(map(str, values)))}"

    def with_policies(self, text: str, *, gap: str | None, fold: str | None) -> str:
        said = {
            "after": "a time that the clocks skip is due right after",
            "skip": "a time that the clocks skip is left out",
            "once": "a time that comes twice is due once",
            "both": "a time that comes twice is due both times",
        }
        return "; ".join([text, *(said[each] for each in (gap, fold) if each)])

    def period(self, length: timedelta, *, anchor: datetime | None, shift: timedelta | None, spread: bool) -> str:
        text = f"every {_length(length, alone=True)}"
        if length >= timedelta(days=1):  # "every day" would be taken for a time of day
            text = f"every {'24 hours' if length == timedelta(days=1) else _length(length)} of elapsed time"
        if anchor is not None:
            text += f", counted from {format_instant(anchor)}"
        if shift is not None:
            text += f", shifted by {_length(shift)}"
        elif spread:
            text += ", spread by the schedule's id"
        return text

    def dates(self, months: int, days: int, anchor: date, *, overflow: str) -> str:
        if days:
            if days % 7 == 0:
                weekday = _WEEKDAYS[anchor.isoweekday() % 7]
                said = f"every {weekday}" if days == 7 else f"every {days // 7} weeks on {weekday}"
                return said if days == 7 else f"{said}, counted from {anchor}"
            return "every day" if days == 1 else f"every {days} days, counted from {anchor}"
        if months % 12 == 0:
            on = f"on {anchor.day} {_MONTHS[anchor.month - 1]}"
            text = f"{self.each('year', months // 12)} {on}"
            counted = months > 12
        else:
            text = f"{self.each('month', months)} on day {anchor.day}"
            counted = months > 1
        if anchor.day > 28 and not (months % 12 == 0 and anchor.month != 2):
            text += " or, where there is none, on the last day" if overflow == "last" else " where there is one"
        return f"{text}, counted from {anchor}" if counted else text

    def instants(self, shown: Sequence[str], more: int) -> str:
        return f"once at {_listed([*shown, *([f'{more} more'] if more else [])])}"

    def solar(self, event: str, place: str) -> str:
        what, _, kind = event.partition("_")
        name = f"{kind} {what}" if kind and what != "solar" else event.replace("_", " ")
        return f"every day at {name} at {place}"

    def rule(self, parts: str, start: datetime, zone: str) -> str:
        text = f"by the recurrence rule {parts} from {start:%Y-%m-%d %H:%M:%S}"
        return f"{text}, {zone} time" if zone else text

    def in_zone(self, text: str, zone: str) -> str:
        return f"{text}; all in {zone} time"

    def any_of(self, sentences: Sequence[str]) -> str:
        return "; or ".join(sentences)

    def all_of(self, sentences: Sequence[str]) -> str:
        return "; only when also ".join(sentences)

    def but_not(self, sentence: str, excluded: Sequence[str]) -> str:
        return f"{sentence}; but not {'; nor '.join(excluded)}"

    def on_days(self, sentence: str, calendar: Calendar, *, skip: bool, move: str | None) -> str:
        kind = "working day" if calendar.days == "working" else "holiday"
        of = f"of {_title(calendar)}"
        if move is None:
            return f"{sentence}; not on {kind}s {of}" if skip else f"{sentence}; only on {kind}s {of}"
        unwanted, wanted = ("is", f"day that is no {kind}") if skip else ("is not", kind)
        return f"{sentence}; if that {unwanted} a {kind} {of}, on the {move} {wanted} instead"

    def weekday(self, day: date) -> str:
        return _WEEKDAYS[day.isoweekday() % 7][:3]

    def length(self, length: timedelta) -> str:
        return _length(length)

    def count(self, number: int, *, more: bool) -> str:
        return f"({number}{'+' if more else ''} times)"

    def guess(self, calendar: Calendar, years: Sequence[int]) -> str:
        return f"{calendar.name} has no data of {_listed(list(map(str, years)))}: weekdays alone decide there"

    def unknown(self, kind: str) -> str:
        return f"a trigger of kind {kind!r}, which this release does not know"

    def moved(self, day: date, missing: str, zone: str, due: str, *, on: date) -> str:
        then = f"at {due}" if on == day else f"on {_day(on)} at {due}"
        return f"{_day(day)}: {missing} does not exist in {zone}, runs {then}"

    def left_out(self, day: date, missing: str, zone: str) -> str:
        return f"{_day(day)}: {missing} does not exist in {zone}, does not run"

    def repeated(self, day: date, shown: str, zone: str, *, which: str) -> str:
        said = {
            "once": "runs the first time only",
            "first": "this is the first time",
            "second": "this is the second time",
        }
        return f"{_day(day)}: {shown} comes twice in {zone}, {said[which]}"

    def _number_rule(self, rule: DayRule) -> str:
        before = f"the day {rule.number} days before the last day" if rule.number > 1 else "the day before the last day"
        match rule.kind:
            case Kind.LAST:
                return "the last day of the month" if rule.number == 0 else f"{before} of the month"
            case Kind.NEAREST_TO_LAST:
                return (
                    "the last Monday-to-Friday day of the month"
                    if rule.number == 0
                    else f"the Monday-to-Friday day nearest to {before} of the month"
                )
            case _:
                return f"the Monday-to-Friday day nearest to day {rule.number} of the month"

    def _weekday_rule(self, rule: DayRule) -> str:
        which = "last" if rule.kind is Kind.LAST_WEEKDAY else _ordinal(rule.number)
        return f"the {which} {_WEEKDAYS[rule.weekday]} of the month"


def _title(calendar: Calendar) -> str:
    if "country" not in calendar.source.spec():
        return calendar.title
    country, _, part = calendar.title.partition("-")
    name = _COUNTRIES.get(country, country)
    return f"{name} ({part})" if part else name


def _listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def _counted(unit: str, shape: Shape) -> str:
    match shape:
        case All():
            return f"every {unit}"
        case Run(first, last):
            return f"{unit}s {first} to {last}"
        case Steps(step, first):
            return f"every {_ordinal(step)} {unit} from {unit} {first}"
        case These(values):
            return f"{unit}{'s' if len(values) > 1 else ''} {_listed(list(map(str, values)))}"


def _ordinal(number: int) -> str:
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _length(length: timedelta, *, alone: bool = False) -> str:
    """Return *length* in units; one of a unit that stands *alone* is the bare unit, as in "every hour"."""
    seconds, micros = length // timedelta(seconds=1), length.microseconds
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append((count, unit))
    if micros:
        parts.append((micros // 1_000, "millisecond") if micros % 1_000 == 0 else (micros, "microsecond"))
    if not parts:
        return "0 seconds"
    if alone and len(parts) == 1 and parts[0][0] == 1:
        return parts[0][1]
    return _listed([f"{count} {unit}{'s' if count > 1 else ''}" for count, unit in parts])


def _day(day: date) -> str:
    return f"{_WEEKDAYS[day.isoweekday() % 7][:3]} {day.day} {_MONTHS[day.month - 1][:3]} {day.year}"
