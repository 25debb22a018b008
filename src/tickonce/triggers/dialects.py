"""Dialects of cron expressions: from text to wall times.

Each reading here is kept for ever. ``read_unix_1`` is what the first form of specs may say; what came later (seconds,
``L``, ``W``, ``#``, ranges that wrap around, ``H``) is read by ``read_unix`` and marked as version 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import starmap
from typing import Literal, NamedTuple, TypeAlias, get_args

from tickonce.errors import TriggerError, did_you_mean
from tickonce.triggers.fields import DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH, WEEKDAY_NAMES, Field
from tickonce.triggers.hashed import chosen, is_hashed
from tickonce.triggers.walltimes import DayRule, Days, Kind, Times, WallTimes

Dialect: TypeAlias = Literal["unix", "quartz"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = "minute, hour, day of month, month, day of week"
_QUARTZ_FIELDS = "second, minute, hour, day of month, month, day of week and, if wanted, year"

SECOND = Field("second", 0, 59, 60, "s", "0-59", aside={60: "the full minute is 0"}, wraps=True)
YEAR = Field("year", 1970, 2099, 130, "", "1970-2099")
_MINUTE, _HOUR, _MONTH = (replace(field, wraps=True) for field in (MINUTE, HOUR, MONTH))
_DAY_OF_MONTH = replace(DAY_OF_MONTH, wraps=True, allowed="1-31, L, L-3, LW or 15W")
_DAY_OF_WEEK = replace(DAY_OF_WEEK, wraps=True, allowed="0-7 or sun-sat, 5L or 1#2")
_QUARTZ_DAY_OF_WEEK = Field(
    "day of week",
    1,
    7,
    7,
    "",
    "1-7 or sun-sat, L, 6L or 2#1",
    {name: number + 1 for name, number in WEEKDAY_NAMES.items()},
    aside={0: "Sunday is 1 in Quartz", 8: "Saturday is 7"},
    wraps=True,
)

_FROM_LAST = re.compile(r"L(?:-([0-9]{1,2}))?(W)?", re.ASCII | re.IGNORECASE)
_NEAREST = re.compile(r"([0-9]{1,2})W", re.ASCII | re.IGNORECASE)
_LAST_OF_ITS_KIND = re.compile(r"([0-9]|[a-z]{3})L", re.ASCII | re.IGNORECASE)


class Reading(NamedTuple):
    """What an expression means.

    Attributes:
        walls: Its wall times.
        fixed: Whether they are fixed times of day, or recur with elapsed time.
        version: Version of specs from which on it may be written.
        masks: Of second, minute, hour, day of month, month, day of week (0 is Sunday) and year (0 is any).
        number_rules: Days of the month that depend on the month.
        weekday_rules: Weekdays of the month.
        both: Whether a day must match by its number and by its weekday; otherwise one of the two is enough.
    """

    walls: WallTimes
    fixed: bool
    version: int
    masks: tuple[int, int, int, int, int, int, int]
    number_rules: tuple[DayRule, ...]
    weekday_rules: tuple[DayRule, ...]
    both: bool


def dialect_of(expression: str, named: str | None) -> Dialect:
    """Return the dialect that *expression* is in, which is *named* unless that is None.

    Raises:
        TriggerError: There is no such dialect; or none is named, and *expression* could be meant in several.
    """
    if expression.startswith("@"):
        return "unix"  # a nickname is the same in all
    if named is not None:
        if named not in DIALECTS:
            raise TriggerError(
                f"dialect: {named!r:.40} is not known; allowed {', '.join(DIALECTS)}."
                f"{did_you_mean(str(named)[:20], DIALECTS)}"
            )
        return named
    parts = expression.split(" ")
    if len(parts) == 6:
        _refuse_if_ambiguous(expression, parts)
    if len(parts) == 7:
        raise TriggerError(
            f"the cron expression {expression[:100]!r} has seven fields, as Quartz writes them; "
            f"say so: dialect='quartz', as text {'quartz ' + expression[:100]!r} (there 1 is Sunday)"
        )
    return "unix"


@lru_cache(maxsize=4_096)
def read_cron(expression: str, dialect: Dialect) -> Reading:
    """Return what *expression* means in *dialect*.

    Raises:
        TriggerError: It cannot be read, or never matches.
    """
    if dialect == "quartz":
        return _read_quartz(expression)
    try:
        return read_unix_1(expression)
    except TriggerError:
        return _read_unix_2(expression)


def read_unix_1(expression: str) -> Reading:
    """Return what *expression* of five plain fields means: all that specs of version 1 may say.

    Raises:
        TriggerError: It cannot be read, or never matches.
    """
    parts = NICKNAMES.get(expression, expression).split(" ")
    if len(parts) != 5:
        raise _not_five(expression, parts)
    with_seconds = ["0", *parts, "*"]
    return _reading(expression, with_seconds, [SECOND, MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK], version=1)


def hashed(expression: str, dialect: Dialect, *, schedule_id: str | None) -> str:
    """Return *expression* with each ``H`` replaced by what *schedule_id* chooses; itself when it has none.

    Where the choice would be a day that never comes (``H(29-31)`` in February) it is the next one that does.
    """
    parts = expression.split(" ")
    if expression.startswith("@") or not any(is_hashed(each) for part in parts for each in part.split(",")):
        return expression
    if dialect == "quartz":
        fields = [SECOND, _MINUTE, _HOUR, _DAY_OF_MONTH, _MONTH, _QUARTZ_DAY_OF_WEEK, YEAR][: max(len(parts), 6)]
    else:
        fields = [SECOND, _MINUTE, _HOUR, _DAY_OF_MONTH, _MONTH, _DAY_OF_WEEK][-max(len(parts), 5) :]
    if len(fields) != len(parts):
        return expression  # refused by those who read it

    def with_numbers(turn: int) -> str:
        def of_field(field: Field, part: str) -> str:
            further = turn if field.name in {DAY_OF_MONTH.name, MONTH.name} else 0
            return ",".join(
                chosen(each, field, schedule_id=schedule_id, turn=further) if is_hashed(each) else each
                for each in part.split(",")
            )

        return " ".join(starmap(of_field, zip(fields, parts, strict=True)))

    first = with_numbers(0)
    if not any(is_hashed(each) for part in parts[-4:] for each in part.split(",")) or _ever(first, dialect):
        return first
    return next((text for turn in range(1, 31) if _ever(text := with_numbers(turn), dialect)), first)


def _ever(expression: str, dialect: Dialect) -> bool:
    """Return whether *expression* matches, or is wrong in another way."""
    try:
        read_cron(expression, dialect)
    except TriggerError as error:
        return "never matches" not in str(error)
    return True


def _read_unix_2(expression: str) -> Reading:
    text = hashed(expression, "unix", schedule_id=None)
    parts = text.split(" ")
    if len(parts) not in {5, 6} or expression.startswith("@") or "=" in parts[0]:
        raise _not_five(expression, parts)
    if "?" in text:
        raise TriggerError(
            f"the cron expression {expression[:100]!r} has a '?', which Quartz writes; say so: dialect='quartz', "
            f"as text {'quartz ' + expression[:100]!r} (there 1 is Sunday), or write '*'"
        )
    with_seconds = [*(["0"] if len(parts) == 5 else []), *parts, "*"]
    return _reading(expression, with_seconds, [SECOND, _MINUTE, _HOUR, _DAY_OF_MONTH, _MONTH, _DAY_OF_WEEK], version=2)


def _read_quartz(expression: str) -> Reading:
    parts = hashed(expression, "quartz", schedule_id=None).split(" ")
    if len(parts) not in {6, 7}:
        seconds = f"; with seconds first it is {'0 ' + expression[:100]!r}" if len(parts) == 5 else ""
        raise TriggerError(
            f"the cron expression {expression[:100]!r} has {len(parts)} field(s), Quartz has six or seven: "
            f"{_QUARTZ_FIELDS}{seconds}"
        )
    free = [part in {"?", "*"} for part in (parts[3], parts[5])]
    if parts[3] == parts[5] == "?":
        raise TriggerError(f"the cron expression {expression[:100]!r} has '?' twice; write '*' for one of the two")
    if not any(free):
        raise TriggerError(
            f"the cron expression {expression[:100]!r} restricts day of month and day of week; Quartz cannot say "
            "whether one or both must match: write '?' for one of them"
        )
    parts = ["*" if part == "?" and place in {3, 5} else part for place, part in enumerate(parts)]
    # An L by itself is 7, Saturday.
    parts[5] = ",".join("7" if each in {"L", "l"} else each for each in parts[5].split(","))
    parts = [f"0{part}" if part.startswith("/") and place < 3 else part for place, part in enumerate(parts)]
    fields = [SECOND, _MINUTE, _HOUR, _DAY_OF_MONTH, _MONTH, _QUARTZ_DAY_OF_WEEK]
    return _reading(expression, [*parts, "*"][:7], fields, version=2, dialect="quartz")


def _reading(
    expression: str, parts: list[str], fields: list[Field], *, version: int, dialect: Dialect = "unix"
) -> Reading:
    """Return the reading of *parts*, seven of them with the year at the end."""
    second, minute, hour, day_of_month, month, day_of_week, year = parts
    try:
        seconds, minutes, hours, months = (
            field.mask(part)
            for field, part in zip([*fields[:3], fields[4]], [second, minute, hour, month], strict=True)
        )
        days_of_month, number_rules = _divided(fields[3], day_of_month, _number_rule if version > 1 else None)
        weekdays, weekday_rules = _divided(fields[5], day_of_week, _weekday_rule if version > 1 else None)
        weekdays = _from_sunday(weekdays, dialect)
        both = day_of_month.startswith("*") or day_of_week.startswith("*")
        years = 0 if year == "*" else YEAR.mask(year)
    except TriggerError as error:
        raise TriggerError(f"{error} (in the cron expression {expression[:100]!r})") from None
    days = Days(
        months=months,
        days_of_month=days_of_month,
        weekdays=weekdays,
        both=both,
        number_rules=number_rules,
        weekday_rules=weekday_rules,
        years=years,
    )
    if not days.exist():
        if both and day_of_month != "*" and day_of_week != "*":
            raise TriggerError(
                f"the cron expression {expression!r} never matches: day of month {day_of_month!r} or day of week "
                f"{day_of_week!r} begins with '*', so a day must match both, and none does. Without the star "
                "(1-31/16 instead of */16) one of the two is enough"
            )
        when = f"month {month!r}" if year == "*" else f"month {month!r} of year {year!r}"
        raise TriggerError(f"the cron expression {expression!r} never matches: no such day comes in {when}")
    return Reading(
        WallTimes(days, Times(hours=hours, minutes=minutes, seconds=seconds)),
        fixed=not (second.startswith("*") or minute.startswith("*") or hour.startswith("*")),
        version=version,
        masks=(seconds, minutes, hours, days_of_month, months, weekdays, years),
        number_rules=number_rules,
        weekday_rules=weekday_rules,
        both=both,
    )


def _from_sunday(weekdays: int, dialect: Dialect) -> int:
    """Return the mask with bit 0 for Sunday and no bit 7."""
    return weekdays >> 1 if dialect == "quartz" else (weekdays | weekdays >> 7) & 0b111_1111


# -- days that depend on the month -------------------------------------------------------------

_Rule: TypeAlias = "Callable[[str, Field], DayRule | None]"


def _divided(field: Field, text: str, rule_of: _Rule | None) -> tuple[int, tuple[DayRule, ...]]:
    """Return the mask of the plain elements of *text*, and the rules that its other elements are."""
    if rule_of is None:
        return field.mask(text), ()
    rules, plain = [], []
    for element in text.split(","):
        rule = rule_of(element, field)
        if rule is None:
            plain.append(element)
        else:
            rules.append(rule)
    return field.mask(",".join(plain)) if plain else 0, tuple(rules)


def _number_rule(element: str, field: Field) -> DayRule | None:
    if match := _FROM_LAST.fullmatch(element):
        back = int(match[1] or 0)
        if back > 30:
            raise TriggerError(f"{field.name}: {element!r} is out of range, allowed L-0 to L-30")
        return DayRule(Kind.NEAREST_TO_LAST if match[2] else Kind.LAST, back)
    if match := _NEAREST.fullmatch(element):
        return DayRule(Kind.NEAREST, field.value(match[1], element))
    return None


def _weekday_rule(element: str, field: Field) -> DayRule | None:
    if match := _LAST_OF_ITS_KIND.fullmatch(element):
        return DayRule(Kind.LAST_WEEKDAY, weekday=(field.value(match[1], element) - field.low) % 7)
    name, hash_sign, number = element.partition("#")
    if hash_sign:
        if number not in {"1", "2", "3", "4", "5"}:
            raise TriggerError(f"{field.name}: {element[:60]!r} is not understood; write 1#1 to 1#5, first to fifth")
        return DayRule(Kind.NTH_WEEKDAY, int(number), (field.value(name, element) - field.low) % 7)
    if element.upper() == "L":
        raise TriggerError(f"{field.name}: 'L' needs a weekday before it, such as 5L for the last Friday")
    return None


# -- how many fields there are -----------------------------------------------------------------


def _refuse_if_ambiguous(expression: str, parts: list[str]) -> None:
    """Refuse six fields that can be read with the seconds first and with the seconds last, and differ."""
    last = [parts[5], *parts[:5]]
    if parts == last or "?" in expression or "=" in expression:
        return
    first_reads, last_reads = _reads(parts), _reads(last)
    if last_reads and not first_reads:
        raise TriggerError(
            f"the cron expression {expression[:100]!r} has its seconds last; here they come first: "
            f"write {' '.join(last)!r}"
        )
    if first_reads and last_reads:
        raise TriggerError(
            f"the cron expression {expression[:100]!r} has six fields and can mean two things. Seconds first: "
            f"{_spelled(parts)}. Seconds last: {_spelled(last)}. For the former say dialect='unix', as text "
            f"{'unix ' + expression[:100]!r}; for the latter {'unix ' + ' '.join(last)!r}"
        )


def _reads(parts: list[str]) -> bool:
    try:
        read_cron(" ".join(parts), "unix")
    except TriggerError:
        return False
    return True


def _spelled(parts: list[str]) -> str:
    names = ["second", *_FIELDS.split(", ")]
    return ", ".join(f"{name} {part}" for name, part in zip(names, parts, strict=True) if part != "*")


def _not_five(expression: str, parts: list[str]) -> TriggerError:
    shown = repr(expression[:100])
    if not expression:
        return TriggerError(f"the cron expression is empty; it has five fields: {_FIELDS}")
    if parts[0] == "@every":
        return TriggerError(f"{shown} is a period, not a cron expression; use every({' '.join(parts[1:])[:40]!r})")
    if parts[0] == "@reboot":
        return TriggerError("'@reboot' names no time, so a fleet cannot fire it once; run such code when a node starts")
    if expression.startswith("@"):
        return TriggerError(f"{shown} is not known; allowed {', '.join(NICKNAMES)}.{did_you_mean(parts[0], NICKNAMES)}")
    if "=" in parts[0]:
        return TriggerError(f"{shown} sets a variable in front of the expression; give the zone as tz=...")
    more = ", or six with seconds in front" if len(parts) > 5 else ""
    aside = "; a seventh field, for years, is read by dialect='quartz'" if len(parts) == 7 else ""
    return TriggerError(
        f"the cron expression {shown} has {len(parts)} field(s), allowed are five: {_FIELDS}{more}{aside}"
    )
