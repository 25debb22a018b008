"""Triggers in words."""

from __future__ import annotations

from datetime import time, timedelta
from itertools import product
from typing import Literal, TypeAlias, get_args

from tickonce.errors import TriggerError, did_you_mean
from tickonce.triggers.base import Trigger
from tickonce.triggers.calendar import CalendarInterval
from tickonce.triggers.chinese import Chinese
from tickonce.triggers.combine import ButNot, Combined, Intersection, Union
from tickonce.triggers.cron import Cron
from tickonce.triggers.days import OnDays
from tickonce.triggers.english import English
from tickonce.triggers.every import Every
from tickonce.triggers.instants import EPOCH, format_instant
from tickonce.triggers.languages import Language
from tickonce.triggers.once import At
from tickonce.triggers.rrule import RRule
from tickonce.triggers.shapes import All, Run, Shape, Steps, These, shape_of
from tickonce.triggers.sun import Solar

Lang: TypeAlias = Literal["en", "zh"]
_LANGUAGES: dict[str, Language] = {"en": English(), "zh": Chinese()}

#: Clock times that are listed one by one.
_MOST_TIMES = 8
_SHOWN_INSTANTS = 3


def describe(trigger: Trigger, lang: Lang = "en") -> str:
    """Return in words when *trigger* is due, in English (``en``) or Simplified Chinese (``zh``).

    Raises:
        TriggerError: *lang* is neither.

    Example:
        >>> describe(Cron("*/15 8-18 * * 1-5", "Europe/Paris"))
        'every 15 minutes from 08:00 to 18:45 on Monday to Friday, Europe/Paris time'
    """
    words = language(lang)
    zone = _common_zone(trigger) if isinstance(trigger, Combined) else None
    if zone is None:
        return _said(trigger, words)
    return words.in_zone(_said(trigger, words, zoned=False), zone)


def language(lang: str) -> Language:
    """Return the grammar of *lang*.

    Raises:
        TriggerError: It is not spoken here.
    """
    if lang not in _LANGUAGES:
        known = get_args(Lang)
        raise TriggerError(
            f"lang: {lang!r:.20} is not spoken here; allowed {', '.join(known)}.{did_you_mean(str(lang)[:5], known)}"
        )
    return _LANGUAGES[lang]


def _common_zone(trigger: Trigger) -> str | None:
    """Return the zone of all parts of *trigger*, where they have one and the same and no time of another is named."""
    match trigger:
        case Cron() | CalendarInterval() | RRule():
            return trigger.tz
        case OnDays():
            return _common_zone(trigger.trigger)
        case Combined():
            zones = {_common_zone(part) for part in trigger.triggers if not _needs_no_zone(part)}
            return zones.pop() if len(zones) == 1 else None
        case _:
            return None


def _needs_no_zone(part: Trigger) -> bool:
    return isinstance(part, Solar) or (isinstance(part, Every) and part.anchor is None)


def _said(trigger: Trigger, words: Language, *, zoned: bool = True) -> str:
    """Return the sentence; not *zoned* where the zone is said once for all parts."""
    match trigger:
        case Cron():
            return _cron(trigger, words, zoned=zoned)
        case Every():
            return words.period(trigger.period, anchor=trigger.anchor, shift=trigger.shift, spread=trigger.spread)
        case CalendarInterval():
            dates = words.dates(trigger.months, trigger.days, trigger.anchor, overflow=trigger.overflow)
            return words.with_policies(
                words.dated(dates, trigger.at, zone=(trigger.tz or "") if zoned else ""),
                gap=trigger.gap if trigger.gap != "after" else None,
                fold=trigger.fold if trigger.fold != "once" else None,
            )
        case At():
            shown = [format_instant(each) for each in trigger.instants[:_SHOWN_INSTANTS]]
            return words.instants(shown, len(trigger.instants) - len(shown))
        case RRule():
            read = trigger.read
            parts = " ".join(line for line in read.text.split("\n") if not line.startswith("DTSTART"))
            text = words.rule(parts, EPOCH + timedelta(seconds=read.start), (trigger.tz or "") if zoned else "")
            gap = trigger.gap if trigger.gap != "after" else None
            return words.with_policies(text, gap=gap, fold=trigger.fold if trigger.fold != "once" else None)
        case Solar():
            north, east = "S" if trigger.latitude < 0 else "N", "W" if trigger.longitude < 0 else "E"
            place = f"{abs(trigger.latitude):g}°{north} {abs(trigger.longitude):g}°{east}"
            return words.solar(trigger.event, place)
        case Union():
            return words.any_of([_said(part, words, zoned=zoned) for part in trigger.triggers])
        case Intersection():
            return words.all_of([_said(part, words, zoned=zoned) for part in trigger.triggers])
        case ButNot():
            base, *excluded = (_said(part, words, zoned=zoned) for part in trigger.triggers)
            return words.but_not(base, excluded)
        case OnDays():
            sentence = _said(trigger.trigger, words, zoned=zoned)
            return words.on_days(sentence, trigger.calendar, skip=trigger.condition == "skip", move=trigger.move)
        case _:
            return words.unknown(str(trigger.spec().get("kind", ""))[:40])


# -- cron --------------------------------------------------------------------------------------


def _cron(trigger: Cron, words: Language, *, zoned: bool) -> str:
    reading = trigger.reading
    second, minute, hour, number, month, weekday, year = reading.masks
    any_number = shape_of(number, 1, 31) == All()
    any_weekday = shape_of(weekday, 0, 7) == All()
    numbers = "" if any_number else words.numbers(shape_of(number, 1, 31), reading.number_rules)
    weekdays = "" if any_weekday else words.weekdays(shape_of(weekday, 0, 7, cyclic=True), reading.weekday_rules)
    if numbers and weekdays:
        days = (words.as_well if reading.both else words.either)(numbers, weekdays)
    elif not reading.both and (any_number or any_weekday):
        days = ""  # 1-31 beside a weekday: either is enough, so each day is
    else:
        days = numbers or weekdays
    # Round the end of a year or a day only where no year or day is picked: December to March of 2030 are not in a row.
    months = words.months(shape_of(month, 1, 12, cyclic=not year))
    years = words.years(_years(year)) if year else ""
    daily = not (days or months or years)
    times = _times(
        words,
        (shape_of(second, 0, 60), shape_of(minute, 0, 60), shape_of(hour, 0, 24, cyclic=daily)),
        daily=daily,
    )
    text = words.sentence(times, days=days, months=months, years=years, zone=(trigger.tz or "") if zoned else "")
    return words.with_policies(text, gap=trigger.gap, fold=trigger.fold)


def _years(mask: int) -> Shape:
    first = (mask & -mask).bit_length() - 1
    if mask == 1 << first:
        return These((first,))
    shape = shape_of(mask, first, 2_100 - first)  # 2027/2 goes on to the end, so it is a step from there
    return Run(first, 2_099) if shape == All() else shape


def _times(words: Language, shapes: tuple[Shape, Shape, Shape], *, daily: bool) -> str:
    second, minute, hour = shapes
    listed = _listed(shapes)
    if listed is not None:
        return words.clock_times(listed, daily=daily)
    regular = _regular(words, second, minute, hour)
    if regular is not None:
        return regular
    return words.parts(second, minute, hour, says_seconds=second != These((0,)))


def _listed(shapes: tuple[Shape, Shape, Shape]) -> list[time] | None:
    """Return the times of day where they are few."""
    second, minute, hour = shapes
    if not (isinstance(second, These) and isinstance(minute, These) and isinstance(hour, These)):
        return None
    times = [time(h, m, s) for h, m, s in product(hour.values, minute.values, second.values)]
    return times if len(times) <= _MOST_TIMES else None


def _regular(words: Language, second: Shape, minute: Shape, hour: Shape) -> str | None:
    """Say times that come at regular distances, all day or from an hour to another."""
    zero = These((0,))
    if second == zero and minute == zero:
        if (number := _distance(hour, 24)) is not None:
            return words.each("hour", number)
        if isinstance(hour, Run):
            return words.within(words.each("hour", 1), time(hour.first % 24), time(hour.last % 24))
        return None
    if second == zero:
        unit, number, tail = "minute", _distance(minute, 60), 0
    elif minute == All():
        unit, number = "second", _distance(second, 60)
        tail = 60 - (number or 0)
    else:
        return None
    if number is None:
        return None
    if hour == All():
        return words.each(unit, number)
    last_minute = 60 - number if unit == "minute" else 59
    if isinstance(hour, Run):
        return words.within(words.each(unit, number), time(hour.first % 24), time(hour.last % 24, last_minute, tail))
    if isinstance(hour, These) and len(hour.values) == 1:
        only = hour.values[0]
        return words.within(words.each(unit, number), time(only), time(only, last_minute, tail))
    return None


def _distance(shape: Shape, count: int) -> int | None:
    """Return the distance of values that come evenly, also from the end of a field to its next beginning."""
    match shape:
        case All():
            return 1
        case Steps(step, 0) if count % step == 0:
            return step
        case These((0, half)) if half * 2 == count:
            return half
        case _:
            return None
