"""The text of recurrence rules, as RFC 5545 writes it, read into numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import gcd
from typing import Literal, TypeAlias, get_args

from tickonce.errors import TriggerError, did_you_mean
from tickonce.triggers.instants import DAY, EPOCH, shown

Frequency: TypeAlias = Literal["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"]

_MAX_LENGTH = 20_000
_MOST_COUNT = 1_000
_MOST_SHORT_INTERVAL = 99_999
_MOST_PLACED = 100
_MOST_EXCLUDED = 200
_FREQUENCIES = get_args(Frequency)
#: Frequencies shorter than a day, and the seconds of their periods.
SHORT: dict[str, int] = {"HOURLY": 3_600, "MINUTELY": 60, "SECONDLY": 1}
#: Days after which the times of a rule with a short frequency repeat, at most.
_MOST_PHASES = 1_000
#: Weekdays count from Sunday as 0, as everywhere here.
_WEEKDAYS = {"SU": 0, "MO": 1, "TU": 2, "WE": 3, "TH": 4, "FR": 5, "SA": 6}
_LINE = re.compile(r"(DTSTART|RRULE|EXDATE|RDATE|EXRULE)((?:;[A-Z-]+=[^:;\s]+)*):(\S+)", re.ASCII)
_MOMENT = re.compile(r"([0-9]{8})(?:T([0-9]{6})(Z)?)?", re.ASCII)
_BYDAY = re.compile(r"([+-]?[0-9]{1,2})?(SU|MO|TU|WE|TH|FR|SA)", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,5}", re.ASCII)


_TZID = re.compile(r"(?<=TZID=)(?:\"([^\"\r\n]*)\"|([^\":;\r\n]+))(?=[:;])", re.IGNORECASE)
#: What Outlook and Exchange call zones: the commonest names of Windows, by the territory 001 of CLDR.
_WINDOWS = {
    "AUS Eastern Standard Time": "Australia/Sydney",
    "Central Europe Standard Time": "Europe/Budapest",
    "Central European Standard Time": "Europe/Warsaw",
    "Central Standard Time": "America/Chicago",
    "China Standard Time": "Asia/Shanghai",
    "E. South America Standard Time": "America/Sao_Paulo",
    "Eastern Standard Time": "America/New_York",
    "GMT Standard Time": "Europe/London",
    "India Standard Time": "Asia/Calcutta",
    "Korea Standard Time": "Asia/Seoul",
    "Mountain Standard Time": "America/Denver",
    "Pacific Standard Time": "America/Los_Angeles",
    "Romance Standard Time": "Europe/Paris",
    "Russian Standard Time": "Europe/Moscow",
    "Singapore Standard Time": "Asia/Singapore",
    "Taipei Standard Time": "Asia/Taipei",
    "Tokyo Standard Time": "Asia/Tokyo",
    "UTC": "UTC",
    "W. Europe Standard Time": "Europe/Berlin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a rule says. Sets that are empty restrict nothing.

    Attributes:
        text: The rule, tidied.
        tz: The zone that DTSTART names, or None.
        start: DTSTART as a wall time.
        until: The last wall time, or None; and *until_instant* the last instant.
        weekdays: Plain weekdays, 0 is Sunday; *nth* those with a number, as (number, weekday).
        hours: Of the day, all of them where neither the rule nor DTSTART restricts them; so *minutes* and *seconds*.
        excluded: Wall times of EXDATE.
    """

    text: str
    tz: str | None
    start: int
    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: int | None = None
    until_instant: int | None = None
    week_start: int = 1
    months: frozenset[int] = frozenset()
    week_numbers: frozenset[int] = frozenset()
    year_days: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    seconds: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    excluded: frozenset[int] = frozenset()

    @property
    def version(self) -> int:
        """Version of specs from which on it may be written."""
        return 2 if self.frequency in SHORT else 1


@lru_cache(maxsize=1_024)
def read_rule(text: str) -> Rule:
    """Return what *text* says.

    Raises:
        TriggerError: It cannot be read; the message names the part and what is allowed.
    """
    if not isinstance(text, str):
        raise TriggerError(f"a recurrence rule is text, such as 'DTSTART:20260101T090000 RRULE:...', got {shown(text)}")
    if len(text) > _MAX_LENGTH:
        raise TriggerError(f"the recurrence rule has {len(text)} characters, allowed are {_MAX_LENGTH}")
    text = _TZID.sub(_iana, text)
    lines: dict[str, list[tuple[str, str]]] = {}
    tidied = []
    # RFC 5545, 3.1: a line that begins with white space goes on with the one before.
    for line in re.sub(r"\r?\n[ \t]", "", text.strip()).upper().split():
        match = _LINE.fullmatch(line)
        if match is None:
            raise TriggerError(
                f"{line[:60]!r} is not understood; write DTSTART:20260101T090000, RRULE:FREQ=... and, if wanted, "
                "EXDATE:..."
            )
        lines.setdefault(match[1], []).append((match[2], match[3]))
        tidied.append(line)
    for name, instead in (("RDATE", "union(rrule(...), at(...))"), ("EXRULE", "but_not(rrule(...), rrule(...))")):
        if name in lines:
            raise TriggerError(f"{name} is not read; use {instead}")
    for name in ("DTSTART", "RRULE"):
        if len(lines.get(name, ())) != 1:
            raise TriggerError(f"one {name} is needed, got {len(lines.get(name, ()))}")
    return _rule(text, lines, tidied, _zone_of(text, lines["DTSTART"][0][0]))


def _iana(match: re.Match[str]) -> str:
    """Return the zone that a TZID names, without the quotes that it may have, and by its IANA name."""
    name = (match[1] if match[1] is not None else match[2]).strip()
    known = next((iana for windows, iana in _WINDOWS.items() if windows.upper() == name.upper()), name)
    if " " in known or not known:
        raise TriggerError(
            f"TZID: {name[:60]!r} is no IANA name (Outlook writes those of Windows); write the zone's, such as "
            "TZID=Asia/Shanghai"
        )
    return known


def _rule(text: str, lines: dict[str, list[tuple[str, str]]], tidied: list[str], tz: str | None) -> Rule:
    start, in_utc, _ = _moment(lines["DTSTART"][0][1], "DTSTART")
    if in_utc:
        tz = "UTC"
    parts = _parts(lines["RRULE"][0][1])
    frequency = _frequency(parts.pop("FREQ"))
    weekdays, nth = _byday(parts.pop("BYDAY", ""), frequency)
    until, until_instant = _until(parts.pop("UNTIL", None))
    # In UTC, the wall may be a day ahead.
    if until is not None and until < start - (DAY if until_instant is not None else 0):
        raise TriggerError("UNTIL is before DTSTART, so the rule never matches; let it end later, or begin earlier")
    most = {"INTERVAL": _MOST_SHORT_INTERVAL} if frequency in SHORT else {}
    numbers = {name: _numbers(value, name, most.get(name)) for name, value in parts.items() if name != "WKST"}
    count = numbers.get("COUNT", (None,))[0]
    if count is not None and until is not None:
        raise TriggerError("COUNT and UNTIL exclude each other")
    excluded = [each for _, value in lines.get("EXDATE", ()) for each in value.split(",")]
    if len(excluded) > _MOST_EXCLUDED:
        raise TriggerError(f"EXDATE: {len(excluded)} times are excluded, allowed are {_MOST_EXCLUDED}")
    second, length = start % DAY, SHORT.get(frequency, DAY)
    rule = Rule(
        text="\n".join(_with_zone_as_written(line, text) for line in tidied),
        tz=tz,
        start=start,
        frequency=frequency,
        interval=numbers.get("INTERVAL", (1,))[0],
        count=count,
        until=until if until_instant is None else None,
        until_instant=until_instant,
        week_start=_weekday(parts.get("WKST", "MO")),
        months=frozenset(numbers.get("BYMONTH", ())),
        week_numbers=frozenset(numbers.get("BYWEEKNO", ())),
        year_days=frozenset(numbers.get("BYYEARDAY", ())),
        month_days=frozenset(numbers.get("BYMONTHDAY", ())),
        weekdays=weekdays,
        nth=nth,
        hours=numbers.get("BYHOUR", tuple(range(24)) if length < DAY else (second // 3_600,)),
        minutes=numbers.get("BYMINUTE", tuple(range(60)) if length < 3_600 else (second // 60 % 60,)),
        seconds=numbers.get("BYSECOND", tuple(range(60)) if length < 60 else (second % 60,)),
        positions=numbers.get("BYSETPOS", ()),
        excluded=frozenset(_moment(each, "EXDATE")[0] for each in excluded),
    )
    _check_meaning(rule)
    return rule


#: Least and most of each part, and whether it may count from the end.
_LIMITS: dict[str, tuple[int, int, bool]] = {
    "INTERVAL": (1, 1_000, False),
    "COUNT": (1, _MOST_COUNT, False),
    "BYMONTH": (1, 12, False),
    "BYWEEKNO": (1, 53, True),
    "BYYEARDAY": (1, 366, True),
    "BYMONTHDAY": (1, 31, True),
    "BYHOUR": (0, 23, False),
    "BYMINUTE": (0, 59, False),
    "BYSECOND": (0, 59, False),
    "BYSETPOS": (1, 366, True),
}
_NAMES = ("FREQ", "UNTIL", "BYDAY", "WKST", *_LIMITS)


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise TriggerError(f"RRULE: {part[:40]!r} is not understood; write parts such as FREQ=WEEKLY;BYDAY=MO")
        if name not in _NAMES:
            raise TriggerError(
                f"RRULE: {name[:20]!r} is not known; allowed {', '.join(_NAMES)}.{did_you_mean(name, _NAMES)}"
            )
        if name in parts:
            raise TriggerError(f"RRULE: {name} stands there twice")
        parts[name] = value
    if "FREQ" not in parts:
        raise TriggerError("RRULE: FREQ is needed, such as FREQ=WEEKLY")
    return parts


def _frequency(text: str) -> Frequency:
    for known in _FREQUENCIES:
        if text == known:
            return known  # type: ignore[no-any-return]  # one of them
    raise TriggerError(
        f"FREQ={text[:20]} is not known; allowed {', '.join(_FREQUENCIES)}.{did_you_mean(text[:20], _FREQUENCIES)}"
    )


def _numbers(text: str, name: str, limit: int | None = None) -> tuple[int, ...]:
    least, most, from_end = _LIMITS[name]
    most = limit or most
    found = set()
    for each in text.split(","):
        value = int(each) if _NUMBER.fullmatch(each) else None
        if value is None or not (least <= value <= most or (from_end and -most <= value <= -least)):
            allowed = f"{least} to {most}" + (f" or -{most} to -{least}" if from_end else "")
            raise TriggerError(f"{name}: {each[:20]!r} is out of range, allowed {allowed}")
        found.add(value)
    if len(found) > 1 and name in {"INTERVAL", "COUNT"}:
        raise TriggerError(f"{name}: one number is needed, got {text[:40]!r}")
    return tuple(sorted(found))


def _byday(text: str, frequency: Frequency) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
    plain, nth = set(), set()
    most = 53 if frequency == "YEARLY" else 5
    for each in text.split(",") if text else ():
        match = _BYDAY.fullmatch(each)
        if match is None:
            raise TriggerError(f"BYDAY: {each[:20]!r} is not understood; write MO, 2MO or -1FR")
        if match[1] is None:
            plain.add(_WEEKDAYS[match[2]])
            continue
        number = int(match[1])
        if frequency not in {"MONTHLY", "YEARLY"}:
            raise TriggerError(f"BYDAY: {each!r} has a number, which needs FREQ=MONTHLY or YEARLY")
        if not 1 <= abs(number) <= most:
            raise TriggerError(f"BYDAY: {each!r} is out of range, allowed 1 to {most} or -{most} to -1")
        nth.add((number, _WEEKDAYS[match[2]]))
    return frozenset(plain), frozenset(nth)


def _weekday(text: str) -> int:
    if text not in _WEEKDAYS:
        raise TriggerError(f"WKST: {text[:20]!r} is no weekday; allowed {', '.join(_WEEKDAYS)}")
    return _WEEKDAYS[text]


def _until(text: str | None) -> tuple[int | None, int | None]:
    """Return the last wall time, and the last instant where it is given in UTC."""
    if text is None:
        return None, None
    second, in_utc, is_date = _moment(text, "UNTIL")
    if is_date:
        second += 86_399
    return second, second if in_utc else None


def _moment(text: str, what: str) -> tuple[int, bool, bool]:
    """Return a moment in seconds, whether it is in UTC, and whether it is a date alone."""
    match = _MOMENT.fullmatch(text)
    try:
        if match is not None:
            day, clock = match[1], match[2] or "000000"
            year, month, date = int(day[:4]), int(day[4:6]), int(day[6:])
            hour, minute, second = int(clock[:2]), int(clock[2:4]), int(clock[4:])
            since = datetime(year, month, date, hour, minute, second, tzinfo=UTC) - EPOCH
            return since.days * 86_400 + since.seconds, match[3] is not None, match[2] is None
    except ValueError:
        pass
    raise TriggerError(f"{what}: {text[:40]!r} is not understood; write 20260101T090000, with Z behind for UTC")


def _zone_of(text: str, parameters: str) -> str | None:
    for each in parameters.split(";"):
        name, _, value = each.partition("=")
        if name == "TZID":
            return _as_written(value, text)
    return None


def _as_written(upper: str, text: str) -> str:
    """Return a part of *text* as it was before it was put into capitals; names of zones need that."""
    found = re.search(re.escape(upper), text, re.IGNORECASE)
    return found[0] if found else upper


def _with_zone_as_written(line: str, text: str) -> str:
    match = re.search(r"TZID=([^:;]+)", line)
    return line if match is None else line.replace(match[1], _as_written(match[1], text), 1)


def _check_meaning(rule: Rule) -> None:
    if rule.week_numbers and (rule.frequency != "YEARLY" or not rule.weekdays or rule.week_start != 1):
        raise TriggerError("BYWEEKNO needs FREQ=YEARLY, weeks that begin on Monday, and plain weekdays as BYDAY")
    if rule.year_days and rule.frequency in {"MONTHLY", "WEEKLY", "DAILY"}:
        raise TriggerError("BYYEARDAY needs FREQ=YEARLY, HOURLY, MINUTELY or SECONDLY")
    _check_interval(rule)
    if rule.month_days and rule.frequency == "WEEKLY":
        raise TriggerError("BYMONTHDAY has no meaning with FREQ=WEEKLY")
    if rule.positions and (rule.count or 0) > _MOST_PLACED:
        raise TriggerError(f"COUNT is at most {_MOST_PLACED} together with BYSETPOS; use UNTIL")
    if rule.frequency in SHORT:
        return
    times = len(rule.hours) * len(rule.minutes) * len(rule.seconds)
    if times > 1_440:
        raise TriggerError(f"BYHOUR, BYMINUTE and BYSECOND give {times} times a day, allowed are 1440; use every(...)")


def _check_interval(rule: Rule) -> None:
    a_day = DAY // SHORT.get(rule.frequency, DAY)
    if rule.interval // gcd(rule.interval, a_day) > _MOST_PHASES:
        raise TriggerError(
            f"INTERVAL: the times of FREQ={rule.frequency};INTERVAL={rule.interval} repeat only after more than "
            f"{_MOST_PHASES} days; take an interval up to {_MOST_PHASES}, one that divides a day or is made of whole "
            "days, or every(...) for elapsed time"
        )
