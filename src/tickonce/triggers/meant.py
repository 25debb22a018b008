"""What people probably meant by a text that cannot be read: asked only where there is an error to be told of.

Everything offered can be read. An offer is a guess, so it stands in the message and is never taken.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from difflib import get_close_matches

from tickonce.errors import ConfigError, TriggerError
from tickonce.triggers.dialects import DIALECTS, NICKNAMES
from tickonce.triggers.instants import parse_instant

#: What a line can begin with, beside a cron expression.
_WORDS = ("every", "at", "solar", *DIALECTS)
#: Longer texts are not looked into.
_MAX_LENGTH = 200
_NUMBERS = dict(zip(["a", "an", "one", "two", "three", "four", "five", "ten"], [1, 1, 1, 2, 3, 4, 5, 10], strict=True))
_UNITS = {"second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "hr": "h", "day": "d", "week": "w"}
_DAYS = {"日": "sun", "天": "sun", "一": "mon", "二": "tue", "三": "wed", "四": "thu", "五": "fri", "六": "sat"}
_WEEKDAY = re.compile(r"(sun|mon|tue|wed|thu|fri|sat)[a-z]*", re.ASCII | re.IGNORECASE)
_LENGTH = re.compile(r"(?:every |interval |rate\()?(?:([0-9]+) ?|([a-z]+) )?([a-z]+?)s?\)?", re.ASCII | re.IGNORECASE)
_ISO_LENGTH = re.compile(
    r"(?:R[0-9]*/)?P(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)S)?)?", re.ASCII | re.IGNORECASE
)
_CLOCK = re.compile(
    r"(?:(?:at|daily|(?:every |on )?(?P<day>[a-z]+))(?: at)? )?(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2}))?"
    r" ?(?P<half>[ap]m)?",
    re.ASCII | re.IGNORECASE,
)
_AWS = re.compile(r"cron\((\S+ \S+ \S+ \S+ (?:\?|\*|[A-Za-z,-]+)) \*\)")


def meant_cron(text: str, reads: Callable[[str], object]) -> str:
    """Return ``. Did you mean 'x'?`` for the cron expression that *text* probably was to be, or nothing."""
    return _first(_tidied(text), text, reads)


def meant_text(text: str, reads: Callable[[str], object]) -> str:
    """Return ``. Did you mean 'x'?`` for the one line that *text* probably was to be, or nothing."""
    return _first(_rewritten(text), text, reads)


def _first(candidates: Iterator[str], text: str, reads: Callable[[str], object]) -> str:
    if len(text) > _MAX_LENGTH:
        return ""
    for each in candidates:
        if each == text:
            continue
        try:
            reads(each)
        except (TriggerError, ConfigError):
            continue
        return f". Did you mean {each!r}?"
    return ""


def _tidied(text: str) -> Iterator[str]:
    """Yield cron expressions that look like *text*."""
    # Full-width letters, digits and stars, the commas of Chinese, quotes and comments that came along.
    plain = unicodedata.normalize("NFKC", text).replace("、", ",").partition("#" if " #" in text else "\0")[0]
    plain = re.sub("(?:周|星期)([日天一二三四五六])", lambda match: _DAYS[match[1]], plain)
    plain = re.sub(r" +", " ", plain.strip(" \"'`;,")).replace("**", "* *")
    plain = re.sub(r"\bL([0-7])\b", r"\1L", plain)
    plain = _WEEKDAY.sub(lambda match: match[1].lower(), plain)
    yield plain
    if plain.count(" ") == 3:
        yield f"{plain} *"
    if (aws := _AWS.fullmatch(plain)) is not None:  # its last field is the year, and weekdays go by name
        yield aws[1].replace("?", "*")
    if f"@{plain.lower()}" in NICKNAMES:
        yield f"@{plain.lower()}"


def _rewritten(text: str) -> Iterator[str]:
    """Yield lines of text that look like *text*."""
    plain = " ".join(unicodedata.normalize("NFKC", text).split())
    word, _, tail = plain.partition(" ")
    near = get_close_matches(word.lower(), _WORDS, n=1, cutoff=0.7) if word.isalpha() else []
    yield from (f"{each} {tail}" for each in near)
    dialect, colon, tail = plain.partition(":")
    if colon and dialect.lower() in DIALECTS:
        yield f"{dialect.lower()} {tail.strip()}"
    # What both dialects read is offered as the one that counts weekdays as it is usual.
    heads = ("", *(f"{each} " for each in DIALECTS))
    yield from (f"{head}{each}" for head in heads for each in _tidied(text) if head or each != text)
    if (length := _LENGTH.fullmatch(plain)) is not None:
        count = length[1] or _NUMBERS.get((length[2] or "one").lower())
        unit = _UNITS.get(length[3].lower(), length[3])
        yield f"every {count}{unit}"
    if (iso := _ISO_LENGTH.fullmatch(plain)) is not None:
        yield "every " + "".join(f"{number}{unit}" for number, unit in zip(iso.groups(), "dhms", strict=True) if number)
    if (clock := _CLOCK.fullmatch(plain)) is not None and not plain.isdigit():
        yield from _at_clock(clock["day"], _hour(int(clock["hour"]), clock["half"]), clock["minute"] or "00")
    expression, _, tz = plain.rpartition(" ")
    if "/" in tz and tz[0].isalpha():
        yield f"CRON_TZ={tz} {expression}"
    if _is_instant(plain):
        yield f"at {plain}"


def _hour(hour: int, half: str | None) -> int:
    """Return the hour of the day from what a clock of twelve hours shows, where it says which half of the day."""
    return hour if half is None else hour % 12 + (12 if half.lower() == "pm" else 0)


def _at_clock(day: str | None, hour: int, minute: str) -> Iterator[str]:
    if day is None or day.lower() == "day":
        yield f"every day at {hour:02}:{minute}"
    elif day.lower().startswith("weekday"):
        yield f"{int(minute)} {hour} * * mon-fri"
    elif (weekday := _WEEKDAY.fullmatch(day)) is not None:
        yield f"{int(minute)} {hour} * * {weekday[1].lower()}"


def _is_instant(text: str) -> bool:
    try:
        parse_instant(text, what="at")
    except TriggerError:
        return False
    return True
