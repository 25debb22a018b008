"""Calendars from text that people have: iCalendar, CSV and JSON."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal, TypeAlias

from tickonce.calendars.base import Calendar, Unknown
from tickonce.calendars.specs import own_calendar
from tickonce.errors import TriggerError

Form: TypeAlias = Literal["ics", "csv", "json"]

#: Longer texts are refused unread: forty years of holidays with long names are shorter.
_MOST = 1_000_000
_MOST_DAYS_OF_AN_EVENT = 400
_DATE = re.compile(r"(?:;[^:]*)?:([0-9]{4})([0-9]{2})([0-9]{2})(?:T[0-9]{6}Z?)?", re.ASCII)
_WORKED = {"workday", "work", "working", "班", "上班", "补班", "调休上班"}
_OFF = {"", "holiday", "off", "休", "放假", "休息"}


def read_calendar(
    text: str,
    form: Form,
    *,
    name: str,
    years: tuple[int, int] | None = None,
    unknown: Unknown = "weekday",
) -> Calendar:
    r"""Return the working days of a calendar that is written as *text*.

    ``ics``: each event is a day off, or several (up to but without DTEND), unless its SUMMARY says that it is worked
    (``workday``, ``班`` or ``补班`` in it). Events that recur are refused: give each year its own.
    ``csv``: lines of a date and, if wanted, ``holiday`` or ``workday``; further columns are left alone.
    ``json``: an object with lists ``holidays`` and ``workdays``, or a list of dates.

    Raises:
        TriggerError: It cannot be read; the message names the line.

    Example:
        >>> plant = read_calendar("2026-12-24,holiday\n2026-12-19,workday", "csv", name="plant")
        >>> plant.includes(date(2026, 12, 19))
        True
    """
    if len(text) > _MOST:
        raise TriggerError(f"the calendar {name[:40]!r} has {len(text)} characters, allowed are {_MOST}")
    match form:
        case "ics":
            days = _from_ics(text)
        case "csv":
            days = _from_csv(text)
        case "json":
            days = _from_json(text)
        case _:
            raise TriggerError(f"form: {form!r:.20} is not read; allowed ics, csv and json")
    off, worked = ([day for day, is_worked in days if is_worked is wanted] for wanted in (False, True))
    return own_calendar(name, holidays=off, workdays=worked, years=years, unknown=unknown)


def _from_csv(text: str) -> list[tuple[date, bool]]:
    days = []
    for number, row in enumerate(csv.reader(text.splitlines()), 1):
        if not row or not row[0].strip() or row[0].lstrip().startswith("#"):
            continue
        if number == 1 and not row[0].strip()[:1].isdigit():
            continue  # names of columns
        word = row[1].strip().lower() if len(row) > 1 else ""
        if word not in _OFF | _WORKED:
            raise TriggerError(f"line {number}: {word[:40]!r} is neither 'holiday' nor 'workday'")
        days.append((_date(row[0], f"line {number}"), word in _WORKED))
    return days


def _from_json(text: str) -> list[tuple[date, bool]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TriggerError(f"this is no JSON: {str(error)[:80]}") from None
    if isinstance(found, list):
        found = {"holidays": found}
    if not isinstance(found, dict) or not found.keys() <= {"holidays", "workdays"}:
        raise TriggerError("write a JSON object with the lists holidays and workdays, or a list of dates")
    days = []
    for key, worked in (("holidays", False), ("workdays", True)):
        listed = found.get(key, [])
        if not isinstance(listed, list):
            raise TriggerError(f"{key}: a list of dates is needed")
        days += [(_date(each, f"{key}, entry {number}"), worked) for number, each in enumerate(listed, 1)]
    return days


def _from_ics(text: str) -> list[tuple[date, bool]]:
    # RFC 5545, 3.1: a line that begins with white space goes on with the one before.
    lines = re.sub(r"\r?\n[ \t]", "", text).splitlines()
    days: list[tuple[date, bool]] = []
    event: dict[str, str] | None = None
    begun = 0
    for number, line in enumerate(lines, 1):
        upper = line.upper()
        if upper.startswith("BEGIN:VEVENT"):
            event, begun = {}, number
        elif upper.startswith("END:VEVENT") and event is not None:
            days += _days_of(event, f"the event at line {begun}")
            event = None
        elif event is not None:
            key = re.split("[;:]", upper, maxsplit=1)[0]
            event.setdefault(key, line[len(key) :])
    if event is not None:
        raise TriggerError(f"the event at line {begun} has no end")
    return days


def _days_of(event: dict[str, str], where: str) -> Iterable[tuple[date, bool]]:
    if "RRULE" in event:
        raise TriggerError(f"{where} recurs; give each year its own event")
    first = _ics_date(event.get("DTSTART", ""), where)
    # RFC 5545, 3.6.1: a date without an end is one day, and the end itself is no part of it.
    end = _ics_date(event["DTEND"], where) if "DTEND" in event else first + timedelta(days=1)
    if not 0 <= (end - first).days <= _MOST_DAYS_OF_AN_EVENT:
        raise TriggerError(f"{where} lasts {(end - first).days} days, allowed are 1 to {_MOST_DAYS_OF_AN_EVENT}")
    summary = event.get("SUMMARY", "").rpartition(":")[2].strip().lower()
    worked = "班" in summary or "workday" in summary
    return [(first + timedelta(days=number), worked) for number in range(max((end - first).days, 1))]


def _ics_date(value: str, where: str) -> date:
    match = _DATE.fullmatch(value.strip())
    try:
        if match is not None:
            return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        pass
    raise TriggerError(f"{where}: {value.lstrip(':')[:40]!r} is not a date such as 20261224")


def _date(value: object, where: str) -> date:
    try:
        if isinstance(value, str) and len(value) <= 20:
            return date.fromisoformat(value.strip().replace("/", "-"))
    except ValueError:
        pass
    raise TriggerError(f"{where}: {value!r:.40} is not a date; write such as '2026-12-24'")
