"""Times, lengths and names as people read them; nothing here prints."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from tickonce.durations import format_duration
from tickonce.triggers import Trigger
from tickonce.triggers.describe import Lang, language

MASK = "***"

_PASSWORD = re.compile(r"(://[^\s/:@'\"]*):[^\s'\"]*@")
_QUERY = re.compile(r"([?&](?:password|passwd|pwd|secret|token|api_?key)=)[^&\s'\"]*", re.IGNORECASE)
_SECRET = re.compile(r"passw|passphrase|pwd|secret|token|api_?key|private_?key|credential", re.IGNORECASE)
_SHOWN_INSTANTS = 3
_JOINED = {"union": "or", "intersection": "and", "but_not": "but not"}


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


def instant_text(instant: datetime | None, zone: tzinfo = UTC, *, weekday: bool = False, lang: Lang = "en") -> str:
    """Return *instant* on the wall of *zone*, with its offset; a fraction only where it has one.

    >>> instant_text(datetime(2026, 11, 21, 13, tzinfo=UTC)), instant_text(None)
    ('2026-11-21 13:00:00Z', '-')
    """
    if instant is None:
        return "-"
    local = instant.astimezone(zone)
    text = local.isoformat(" ", "milliseconds" if local.microsecond else "seconds")  # no fire is scheduled finer
    if text.endswith("+00:00"):
        text = text.removesuffix("+00:00") + "Z"
    return f"{language(lang).weekday(local.date())} {text}" if weekday else text


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
    if timedelta(0) < length < timedelta(milliseconds=1):
        return "less than 1ms"
    return format_duration(_rounded(length))


def _rounded(length: timedelta) -> timedelta:
    for unit, step in (
        (timedelta(days=7), timedelta(days=1)),
        (timedelta(days=1), timedelta(hours=1)),
        (timedelta(hours=1), timedelta(minutes=1)),
        (timedelta(seconds=1), timedelta(seconds=1)),
    ):
        if length >= unit:
            return length // step * step
    return length // timedelta(milliseconds=1) * timedelta(milliseconds=1)


def relative(instant: datetime | None, now: datetime, *, lang: Lang = "en") -> str:
    """Return where *instant* is, seen from *now*.

    >>> now = datetime(2026, 11, 21, 13, tzinfo=UTC)
    >>> relative(now + timedelta(minutes=5), now), relative(now - timedelta(hours=2), now), relative(now, now)
    ('in 5m', '2h ago', 'now')
    >>> relative(now + timedelta(hours=36, seconds=1), now, lang="zh"), relative(now, now, lang="zh")
    ('1 天 12 小时后', '现在')
    """
    if instant is None:
        return "-"
    away = instant - now
    if lang == "zh":
        if abs(away) < timedelta(milliseconds=1):
            return "现在"
        return f"{language(lang).length(_rounded(abs(away)))}{'后' if away > timedelta(0) else '前'}"
    if abs(away) < timedelta(milliseconds=1):
        return "now"
    return f"in {distance(away)}" if away > timedelta(0) else f"{distance(away)} ago"


def tz_of(trigger: Trigger) -> str | None:
    """Return the zone that *trigger* names, if it has one."""
    tz = trigger.spec().get("tz")
    return tz if isinstance(tz, str) else None


def trigger_text(trigger: Trigger) -> str:
    """Return *trigger* in one line, about as ``tickonce add`` reads it; its zone stands behind.

    >>> from tickonce.triggers import at, cron, every
    >>> trigger_text(cron("0 9 * * 1-5", tz="Asia/Shanghai")), trigger_text(every("90s"))
    ('0 9 * * 1-5 (Asia/Shanghai)', 'every 1m30s')
    >>> trigger_text(at("2026-12-01T09:00+08:00"))
    'at 2026-12-01T01:00:00Z'
    """
    return _spec_text(trigger.spec())


def _spec_text(spec: Mapping[str, Any]) -> str:
    """Return the text of a spec, by its JSON form: so a kind that this release does not know is shown as well."""
    match spec:
        case {"kind": "cron", "expression": expression}:
            text = f"{spec['dialect']} {expression}" if spec.get("dialect", "unix") != "unix" else f"{expression}"
        case {"kind": "every", "period": period}:
            text = f"every {period}"
        case {"kind": "at", "instants": [*instants]}:
            more = len(instants) - _SHOWN_INSTANTS
            text = f"at {', '.join(map(str, instants[:_SHOWN_INSTANTS]))}" + (f", {more} more" if more > 0 else "")
        case {"kind": "calendar"} if bool(spec.get("months")) != bool(spec.get("days")):
            text = f"every {_dates(spec.get('months'), spec.get('days'))} at {spec.get('at', '00:00')}"
        case {"kind": "rrule", "rule": rule}:
            text = " ".join(f"{rule}".split())
        case {"kind": "solar", "event": event, "latitude": latitude, "longitude": longitude}:
            text = f"solar {event} {latitude} {longitude}"
        case {"kind": "on_days", "trigger": Mapping() as part, "calendar": Mapping() as calendar}:
            text = f"({_spec_text(part)}) {_on_days(spec, calendar)}"
        case {"kind": "union" | "intersection" | "but_not" as kind, "triggers": [*parts]}:
            return f" {_JOINED[kind]} ".join(f"({_spec_text(part)})" for part in parts)
        case _:
            return f"{spec.get('kind', 'trigger')} (not known to this release)"
    known = {"anchor": "from", "gap": "gap", "fold": "fold", "overflow": "overflow"}
    text += "".join(f" {word} {spec[name]}" for name, word in known.items() if name in spec)
    text += " spread" if spec.get("spread") else ""
    return f"{text} ({spec['tz']})" if "tz" in spec else text


def _dates(months: object, days: object) -> str:
    number, unit = (months, "month") if months else (days, "day")
    if unit == "day" and isinstance(number, int) and number % 7 == 0:
        number, unit = number // 7, "week"
    return unit if number == 1 else f"{number} {unit}s"


def _on_days(spec: Mapping[str, Any], calendar: Mapping[str, Any]) -> str:
    days = {"working": "working days"}.get(f"{calendar.get('days')}", f"{calendar.get('days')}")
    whose = "-".join(f"{calendar[name]}" for name in ("country", "subdivision", "name") if calendar.get(name))
    move = f", else the {spec['move']} one" if spec.get("move") else ""
    return f"{'not on' if spec.get('condition') == 'skip' else 'on'} {days} of {whose}{move}"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode() if ord(char) < 0x10000 or not char.isprintable() else char
