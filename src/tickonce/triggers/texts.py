"""Triggers from one line of text: what people type, in a file of settings or on the command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tickonce.errors import TriggerError
from tickonce.triggers.base import Trigger
from tickonce.triggers.cron import Cron
from tickonce.triggers.dialects import DIALECTS
from tickonce.triggers.every import Every
from tickonce.triggers.instants import shown
from tickonce.triggers.once import At

if TYPE_CHECKING:
    from tickonce.triggers.calendar import CalendarInterval
    from tickonce.triggers.sun import Solar

#: Longer texts are refused unread.
_MAX_LENGTH = 10_000
_CALENDAR = re.compile(
    r"(?:([0-9]{1,6}) )?(day|week|month|year)s?(?: at ([0-9:]{1,8}))?(?: from ([0-9-]{1,10}))?(?: in (\S+))?",
    re.ASCII | re.IGNORECASE,
)


def parse_trigger(text: str) -> Trigger:
    """Return the trigger that a person wrote on one line.

    It is a cron expression (``0 9 * * 1-5``, ``@daily``), with its dialect in front where that is needed
    (``quartz 0 0 9 ? * MON-FRI``) and its zone, if any, before everything (``CRON_TZ=Asia/Tokyo 0 5 * * *``);
    ``every 5m`` (or ``@every 5m``) of elapsed time; ``every 2 weeks at 09:00`` of the calendar, if wanted with
    ``from 2026-01-05``, a date that is due, and ``in Asia/Shanghai``; ``solar sunrise 31.23 121.47``, an event of the
    sun at a latitude and longitude; ``DTSTART:... RRULE:...``, a recurrence rule; or ``at`` with instants in ISO 8601
    with an offset, with commas between them.

    Raises:
        TriggerError: *text* is none of these.

    Example:
        >>> parse_trigger("at 2026-12-01T09:00+08:00, 2026-12-24T09:00+08:00")
        At('2026-12-01T01:00:00Z', '2026-12-24T01:00:00Z')
    """
    if not isinstance(text, str):
        raise TriggerError(f"a trigger is text, such as '0 9 * * 1-5' or 'every 5m', got {shown(text)}")
    if len(text) > _MAX_LENGTH:
        raise TriggerError(f"the trigger {text[:40]!r}... has {len(text)} characters, allowed are {_MAX_LENGTH}")
    try:
        return _read(text)
    except TriggerError as error:
        from tickonce.triggers.meant import meant_text

        message = str(error)
        raise TriggerError(message if "Did you mean" in message else f"{message}{meant_text(text, _read)}") from None


def _read(text: str) -> Trigger:
    word, _, tail = " ".join(text.split()).partition(" ")
    name, equals, tz = word.partition("=")
    if equals and name.upper() in {"CRON_TZ", "TZ"}:
        return _parse_cron(tail, tz)
    if word.upper().startswith(("DTSTART", "RRULE:")):
        from tickonce.triggers.rrule import RRule  # loaded by those who use it

        return RRule(text)
    match word.lower():
        case "every" | "@every":
            return _parse_every(tail)
        case "solar":
            return _parse_solar(tail)
        case "at":
            return At(*(each for each in tail.split(",") if each.strip()))
        case _:
            return _parse_cron(text, None)


def _parse_cron(text: str, tz: str | None) -> Cron:
    word, _, tail = text.strip().partition(" ")
    if word.lower() in DIALECTS:
        return Cron(tail, tz, word.lower())
    return Cron(text, tz)


def _parse_solar(text: str) -> Solar:
    from tickonce.triggers.sun import Solar  # this and others below are loaded by those who use them

    try:
        event, latitude, longitude = text.split(" ")
        return Solar(event, float(latitude), float(longitude))
    except ValueError:
        raise TriggerError(
            f"write an event and its place, such as 'solar sunrise 31.23 121.47', not {text[:60]!r}"
        ) from None


def _parse_every(text: str) -> Every | CalendarInterval:
    match = _CALENDAR.fullmatch(text)
    if match is None:
        return Every(text)
    from tickonce.triggers.calendar import calendar_interval

    count, unit, at, anchor, tz = match.groups()
    number, name = int(count or 1), f"{unit.lower()}s"
    if at is None:
        raise TriggerError(
            f"{'every ' + text!r} needs a time of day, such as {f'every {text} at 09:00'!r}; "
            "elapsed time is written such as 'every 24h'"
        )
    if number == 0:
        raise TriggerError(f"{'every ' + text!r}: the number of {name} must be 1 or more")
    return calendar_interval(**{name: number}, at=at, anchor=anchor, tz=tz)  # type: ignore[arg-type]
