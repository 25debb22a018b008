"""Lengths of time as people write them: ``"5m"``, ``"1h30m"``, ``"250ms"``.

A day is 24 hours and a week 7 days of elapsed time: a length is no calendar, so there are no months and no years.
"""

from __future__ import annotations

import re
from datetime import timedelta

from tickonce.errors import ConfigError, TickonceError

_MICROSECOND = timedelta(microseconds=1)
_MAX_US = timedelta.max // _MICROSECOND
#: Longer texts are refused unread. The longest that means anything has about 50 characters.
_MAX_LENGTH = 100

_UNITS = {
    "w": 604_800_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
_PART = re.compile(r"\s*([0-9]+)(?:\.([0-9]+))?\s*([^\W\d_]*)", re.ASCII)
_FORMS = "write a number and a unit (w, d, h, m, s, ms, us), such as '90s', '5m' or '1h30m'"
#: Other spellings of the units, for the hint only: one way to write a thing keeps files and code alike.
_OTHER_SPELLINGS = {
    **dict.fromkeys(("week", "weeks"), "w"),
    **dict.fromkeys(("D", "day", "days"), "d"),
    **dict.fromkeys(("H", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("S", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("msec", "millis", "milliseconds"), "ms"),
    **dict.fromkeys(("usec", "micros", "microseconds"), "us"),
}


def parse_duration(
    value: timedelta | str, what: str = "period", *, error: type[TickonceError] = ConfigError
) -> timedelta:
    """Return *value* as a timedelta.

    Args:
        value: A timedelta, or text: numbers with units, the larger unit first. Fractions are exact
            (``"1.5h"``) and must come to whole microseconds. Zero is allowed, negative lengths are not.
        what: What the length is for; the error's message begins with it.
        error: The class of error to raise; it takes a message.

    Raises:
        ConfigError: *value* is no length of time (or *error*, where given).

    Example:
        >>> parse_duration("1h30m")
        datetime.timedelta(seconds=5400)
        >>> parse_duration("90", "timeout")
        Traceback (most recent call last):
        tickonce.errors.ConfigError: timeout: '90' has a number without a unit; write '90s' for seconds
    """
    if isinstance(value, timedelta):
        if value < timedelta(0):
            raise error(f"{what}: {value} is negative; a length of time is zero or longer")
        return value
    if not isinstance(value, str):
        raise error(f"{what}: {_shown(value)} is neither a timedelta nor text; {_FORMS}")
    text = value.strip()
    if not text or len(text) > _MAX_LENGTH:
        raise error(f"{what}: {_shown(value)} is not a length of time; {_FORMS}")
    total_us, at, last = 0, 0, ""
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            raise error(f"{what}: {_shown(value)} is not a length of time; {_FORMS}")
        whole, fraction, unit = part[1], part[2] or "", part[3]
        if unit not in _UNITS:
            raise error(f"{what}: {_shown(value)} {_unit_fault(part[0].strip(), unit)}")
        if last and _UNITS[unit] >= _UNITS[last]:
            raise error(f"{what}: {_shown(value)} has {unit!r} behind {last!r}; write the larger unit first, each once")
        scaled, rest = divmod(int(whole + fraction) * _UNITS[unit], 10 ** len(fraction))
        if rest:
            raise error(f"{what}: {_shown(value)} is not a whole number of microseconds")
        total_us, at, last = total_us + scaled, part.end(), unit
    if total_us > _MAX_US:
        raise error(f"{what}: {_shown(value)} is too long; at most {timedelta.max.days} days")
    return total_us * _MICROSECOND


def format_duration(value: timedelta) -> str:
    """Return the shortest text with no unit above its size that :func:`parse_duration` reads back as *value*.

    Days are the largest unit, parts that are zero are left out, and what is below a second is a fraction unless it
    stands alone. *value* is zero or longer.

    Example:
        >>> [format_duration(timedelta(seconds=s)) for s in (0, 0.25, 1.5, 90, 5400, 86400)]
        ['0s', '250ms', '1.5s', '1m30s', '1h30m', '1d']
    """
    total_us = value // _MICROSECOND
    if total_us < 0:
        raise ValueError(f"a length of time is zero or longer, got {value}")
    if 0 < total_us < 1_000_000:
        return f"{_decimal(total_us, 1_000)}ms" if total_us >= 1_000 else f"{total_us}us"
    text = ""
    for unit in ("d", "h", "m"):
        count, total_us = divmod(total_us, _UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return f"{text}{_decimal(total_us, 1_000_000)}s" if total_us or not text else text


def _decimal(count: int, scale: int) -> str:
    whole, rest = divmod(count, scale)
    return f"{whole}.{str(scale + rest)[1:].rstrip('0')}" if rest else str(whole)


def _unit_fault(part: str, unit: str) -> str:
    number = part.removesuffix(unit).strip()
    if not unit:
        return f"has a number without a unit; write '{number}s' for seconds"
    if unit == "M":
        return f"has the unit 'M'; write '{number}m' for minutes (there are no months: they differ in length)"
    right = _OTHER_SPELLINGS.get(unit) or _OTHER_SPELLINGS.get(unit.lower())
    if right is None and unit.lower() in _UNITS:
        right = unit.lower()
    return f"has the unit {unit[:20]!r}; " + (
        f"write '{number}{right}'" if right else "allowed are w, d, h, m, s, ms, us"
    )


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else repr(value[:60])
    return text if len(text) <= 80 else f"{text[:77]}..."
