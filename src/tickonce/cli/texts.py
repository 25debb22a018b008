"""Times, lengths and names as people read them; nothing here prints."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from tickonce.durations import format_duration
from tickonce.triggers import At, Cron, Every, OpaqueTrigger, Trigger

MASK = "***"

_PASSWORD = re.compile(r"(://[^\s/:@'\"]*):[^\s'\"]*@")
_QUERY = re.compile(r"([?&](?:password|passwd|pwd|secret|token|api_?key)=)[^&\s'\"]*", re.IGNORECASE)
_SECRET = re.compile(r"passw|passphrase|pwd|secret|token|api_?key|private_?key|credential", re.IGNORECASE)
_SHOWN_INSTANTS = 3


def masked(text: str) -> str:
    """Return *text* with the passwords of URLs in it replaced.

    >>> masked("cannot reach postgresql://app:s3cret@db/jobs?sslmode=require")
    'cannot reach postgresql://app:***@db/jobs?sslmode=require'
    """
    return _QUERY.sub(rf"\1{MASK}", _PASSWORD.sub(rf"\1:{MASK}@", text))


def masked_arguments(value: Any) -> Any:
    """Return arguments with what stands under a name such as ``password`` or ``api_key`` replaced.

    >>> masked_arguments({"user": "ada", "password": "x", "nested": [{"api_key": 1}]})
    {'user': 'ada', 'password': '***', 'nested': [{'api_key': '***'}]}
    """
    match value:
        case Mapping():
            return {key: MASK if _SECRET.search(str(key)) else masked_arguments(item) for key, item in value.items()}
        case list():
            return [masked_arguments(item) for item in value]
        case str():
            return masked(value)
        case _:
            return value


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return *text* without anything that could steer a terminal.

    Args:
        text: From anywhere.
        lines: Whether line ends and tabs may stay.

    >>> printable("red \x1b[31m\n")
    'red \\x1b[31m\\n'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or (lines and char in "\n\t") else _escaped(char) for char in text)


def width_of(text: str) -> int:
    """Return how many columns *text* takes in a terminal.

    >>> width_of("cron"), width_of("日报")
    (4, 4)
    """
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def instant_text(instant: datetime | None, zone: tzinfo = UTC, *, weekday: bool = False) -> str:
    """Return *instant* on the wall of *zone*, with its offset; a fraction only where it has one.

    >>> instant_text(datetime(2026, 11, 21, 13, tzinfo=UTC)), instant_text(None)
    ('2026-11-21 13:00:00Z', '-')
    """
    if instant is None:
        return "-"
    local = instant.astimezone(zone)
    text = local.isoformat(" ")
    if text.endswith("+00:00"):
        text = text.removesuffix("+00:00") + "Z"
    return f"{local:%a} {text}" if weekday else text


def iso(instant: datetime | None) -> str | None:
    """Return *instant* for JSON: in UTC, with ``Z``.

    >>> iso(datetime(2026, 11, 21, 13, tzinfo=UTC))
    '2026-11-21T13:00:00Z'
    """
    return None if instant is None else instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def distance(length: timedelta) -> str:
    """Return *length* by its two largest units, for people.

    >>> [distance(timedelta(seconds=s)) for s in (0.25, 59, 3725, 90061, 864000)]
    ['250ms', '59s', '1h2m', '1d1h', '10d']
    """
    length = abs(length)
    for unit, step in (
        (timedelta(days=7), timedelta(days=1)),
        (timedelta(days=1), timedelta(hours=1)),
        (timedelta(hours=1), timedelta(minutes=1)),
        (timedelta(seconds=1), timedelta(seconds=1)),
    ):
        if length >= unit:
            return format_duration(length // step * step)
    if timedelta(0) < length < timedelta(milliseconds=1):
        return "less than 1ms"
    return format_duration(length // timedelta(milliseconds=1) * timedelta(milliseconds=1))


def relative(instant: datetime | None, now: datetime) -> str:
    """Return where *instant* is, seen from *now*.

    >>> now = datetime(2026, 11, 21, 13, tzinfo=UTC)
    >>> relative(now + timedelta(minutes=5), now), relative(now - timedelta(hours=2), now), relative(now, now)
    ('in 5m', '2h ago', 'now')
    """
    if instant is None:
        return "-"
    away = instant - now
    if abs(away) < timedelta(milliseconds=1):
        return "now"
    return f"in {distance(away)}" if away > timedelta(0) else f"{distance(away)} ago"


def trigger_text(trigger: Trigger) -> str:
    """Return *trigger* in one line, as ``tickonce add`` reads it; its zone stands behind.

    >>> trigger_text(Cron("0 9 * * 1-5", "Asia/Shanghai")), trigger_text(Every("90s")), trigger_text(Every("5m"))
    ('0 9 * * 1-5 (Asia/Shanghai)', 'every 1m30s', 'every 5m')
    """
    match trigger:
        case Cron():
            return f"{trigger.expression} ({trigger.tz})" if trigger.tz else trigger.expression
        case Every():
            text = f"every {format_duration(trigger.period)}"
            if trigger.anchor is not None:
                text += f" from {instant_text(trigger.anchor)}"
            return f"{text} spread" if trigger.spread else text
        case At():
            shown = ", ".join(iso(each) or "" for each in trigger.instants[:_SHOWN_INSTANTS])
            more = len(trigger.instants) - _SHOWN_INSTANTS
            return f"at {shown}, {more} more" if more > 0 else f"at {shown}"
        case OpaqueTrigger():
            return f"{trigger.spec().get('kind', 'trigger')} (not known to this release)"
        case _:
            return repr(trigger)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode() if ord(char) < 0x10000 or not char.isprintable() else char
