"""The next fires of triggers, notes about those that a change of the clocks affects, and what fires on a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

from tickonce.errors import TriggerError
from tickonce.triggers.base import Trigger
from tickonce.triggers.calendar import CalendarInterval, format_time
from tickonce.triggers.combine import ButNot, Combined
from tickonce.triggers.cron import Cron
from tickonce.triggers.daylight import Walls
from tickonce.triggers.days import HELD, OnDays
from tickonce.triggers.describe import Lang, describe, language
from tickonce.triggers.instants import EPOCH, seconds_before
from tickonce.triggers.languages import Language
from tickonce.triggers.rrule import RRule
from tickonce.triggers.zones import Zone, zone_name

_OfTheWall: TypeAlias = "Cron | CalendarInterval | RRule"
_OF_THE_WALL = (Cron, CalendarInterval, RRule)

#: Notes, and fires of one schedule on one day, that are shown one by one.
_SHOWN = 6
#: Where the counting of a day's fires gives up.
_MOST_COUNTED = 1_000
_MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class ExplainedFire:
    """One fire, and what the clocks do to it.

    Attributes:
        instant: When, in UTC.
        local: The same on the wall of the trigger's zone, or of the zone asked for.
        note: In words, where a change of the clocks moves, drops or doubles a time; else empty.
    """

    instant: datetime
    local: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What there is to say about a trigger.

    Attributes:
        text: When it is due, in words.
        fires: The next fires.
        notes: Times left out between these fires because the clocks skip them.
    """

    text: str
    fires: tuple[ExplainedFire, ...]
    notes: tuple[str, ...]


def next_fires(trigger: Trigger, count: int = 10, *, after: datetime) -> list[datetime]:
    """Return up to *count* fires later than *after*, in UTC; none that stands for "held" (see ``days``).

    Example:
        >>> saturday = datetime(2026, 11, 21, tzinfo=UTC)
        >>> [f"{each:%a %H:%M}" for each in next_fires(Cron("0 9 * * 1-5"), 2, after=saturday)]
        ['Mon 09:00', 'Tue 09:00']
    """
    found: list[datetime] = []
    while len(found) < count:
        fire = trigger.next_after(after)
        if fire is None or fire >= HELD:
            break
        found.append(fire)
        after = fire
    return found


def explain(
    trigger: Trigger, count: int = 10, *, after: datetime, lang: Lang = "en", tz: str | None = None
) -> Explanation:
    """Return *trigger* in words, with its next fires and a note at each that a change of the clocks affects.

    Args:
        trigger: It should be resolved; one without a zone is taken to be in UTC.
        count: Fires to show, at most.
        after: Fires later than this.
        lang: ``en`` or ``zh``.
        tz: Zone for the local times of triggers that have none of their own.

    Example:
        >>> nightly = Cron("30 2 * * *", "America/New_York")
        >>> explain(nightly, 1, after=datetime(2026, 3, 8, tzinfo=UTC)).fires[0].note
        'Sun 8 Mar 2026: 02:30 does not exist in America/New_York, runs at 03:00'
    """
    text = describe(trigger, lang)
    walls = [part for part in _plain_parts(trigger) if isinstance(part, _OF_THE_WALL)]
    zone = ZoneInfo(walls[0].zone.name if walls else tz or "UTC")
    words = language(lang)
    instants = next_fires(trigger, count, after=after)
    fires = tuple(
        ExplainedFire(instant, instant.astimezone(zone), _note(walls, instant, words)) for instant in instants
    )
    notes = _left_out(walls, after, instants[-1], words) if instants and trigger in walls else []
    return Explanation(text, fires, tuple(notes))


def _plain_parts(trigger: Trigger) -> list[Trigger]:
    """Return the triggers whose fires those of *trigger* are: not what is excluded."""
    if isinstance(trigger, OnDays):
        return _plain_parts(trigger.trigger)
    if not isinstance(trigger, Combined):
        return [trigger]
    parts = trigger.triggers[:1] if isinstance(trigger, ButNot) else trigger.triggers
    return [plain for part in parts for plain in _plain_parts(part)]


def _note(walls: list[_OfTheWall], instant: datetime, words: Language) -> str:
    second = seconds_before(instant)
    for part in walls:
        if part.next_after(instant - timedelta(microseconds=1)) != instant:
            continue
        zone, matches = part.zone, _walls_of(part)
        before, now = zone.span(second - 1).offset, zone.span(second).offset
        wall = second + now
        if before < now and matches.at_or_after(wall) != wall:
            missing = matches.at_or_after(second + before)
            if missing is not None and missing < wall:
                return words.moved(_date(wall), _clock(missing), zone.name, _clock(wall))
        times = _times_of(zone, wall)
        if len(times) > 1:
            first = "once" if part.policies[1] == "once" else "first"
            which = first if second == times[0] else "second"
            return words.repeated(_date(wall), _clock(wall), zone.name, which=which)
    return ""


def _left_out(walls: list[_OfTheWall], after: datetime, last: datetime, words: Language) -> list[str]:
    """Return a note for each gap between the two instants that swallows a fixed time of day."""
    notes: list[str] = []
    for part in walls:
        if part.policies[0] != "skip" or (isinstance(part, Cron) and not part.reading.fixed):
            continue
        at, end = seconds_before(after), seconds_before(last)
        while at < end and len(notes) < _SHOWN:
            span = part.zone.span(at)
            step = part.zone.span(span.end).offset - span.offset
            missing = _walls_of(part).at_or_after(span.end + span.offset) if step > 0 else None
            if missing is not None and missing < span.end + span.offset + step and span.end <= end:
                notes.append(words.left_out(_date(missing), _clock(missing), part.zone.name))
            at = span.end
    return notes


def _walls_of(part: _OfTheWall) -> Walls:
    match part:
        case Cron():
            return part.reading.walls
        case RRule():
            return part.walls
        case CalendarInterval():
            return part


def _times_of(zone: Zone, wall: int) -> list[int]:
    """Return all instants at which *zone* shows *wall*."""
    first = zone.first_at_or_past(wall)
    found = []
    at = first
    while at <= first + 86_400:
        span = zone.span(at)
        instant = wall - span.offset
        if span.start <= instant < span.end and instant >= first:
            found.append(instant)
        at = span.end
    return found


def _date(wall: int) -> date:
    return (EPOCH + timedelta(seconds=wall)).date()


def _clock(wall: int) -> str:
    return format_time((EPOCH + timedelta(seconds=wall)).time())


# -- what fires on a day -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """The fires of one schedule on one day.

    Attributes:
        id: Of the schedule.
        times: The first fires, on the wall of the timeline's zone.
        last: The last one; the last counted, where there are *more*.
        count: How many there are.
        more: Whether the counting gave up there.
    """

    id: str
    times: tuple[datetime, ...]
    last: datetime
    count: int
    more: bool = False


def timeline(
    schedules: Mapping[str, Trigger], start: date, end: date, *, tz: str = "UTC"
) -> dict[date, tuple[Entry, ...]]:
    """Return what fires on each day from *start* to *end*, the earliest first; days without a fire are left out.

    Raises:
        TriggerError: The days are more than 366 or run backwards, or *tz* is no zone.
    """
    if not 0 <= (end - start).days < _MOST_DAYS:
        raise TriggerError(f"the days from {start} to {end} are not 1 to {_MOST_DAYS}")
    zone = ZoneInfo(zone_name(tz))
    days = {}
    for number in range((end - start).days + 1):
        day = start + timedelta(days=number)
        found = (_entry(name, trigger, day, zone) for name, trigger in schedules.items())
        entries = [entry for entry in found if entry is not None]
        if entries:
            days[day] = tuple(sorted(entries, key=lambda entry: (entry.times[0].astimezone(UTC), entry.id)))
    return days


def timeline_text(days: Mapping[date, tuple[Entry, ...]]) -> str:
    """Return a timeline as text: a line for each schedule and day, with times, or the first and last of many.

    Example:
        >>> day = date(2026, 11, 21)
        >>> print(timeline_text(timeline({"a": Cron("0 9 * * *"), "b": Cron("*/5 * * * *")}, day, day)))
        2026-11-21 Sat
          00:00 ... 23:55  b  (288 times)
          09:00            a
    """
    lines = []
    for day, entries in days.items():
        lines.append(f"{day} {day:%a}")
        shown = [(_times_text(entry), entry) for entry in entries]
        width = max(len(times) for times, _ in shown)
        for times, entry in shown:
            count = f"  ({entry.count}{'+' if entry.more else ''} times)" if entry.count > _SHOWN else ""
            lines.append(f"  {times:{width}}  {entry.id}{count}")
    return "\n".join(lines)


def _times_text(entry: Entry) -> str:
    if entry.count > _SHOWN:
        return f"{format_time(entry.times[0].time())} ... {format_time(entry.last.time())}"
    return " ".join(format_time(each.time()) for each in entry.times)


def _entry(id: str, trigger: Trigger, day: date, zone: ZoneInfo) -> Entry | None:
    # A day begins where the wall first shows its date, whatever clock change falls on midnight.
    begin, end = (
        datetime.combine(each, datetime.min.time(), zone).astimezone(UTC) for each in (day, day + timedelta(days=1))
    )
    fires: list[datetime] = []
    count, last, more = 0, begin - timedelta(microseconds=1), False
    while (fire := trigger.next_after(last)) is not None and fire < end:
        more = count == _MOST_COUNTED
        if more:
            break
        count, last = count + 1, fire
        if count <= _SHOWN:
            fires.append(fire.astimezone(zone))
    if not fires:
        return None
    return Entry(id, tuple(fires), last.astimezone(zone), count, more=more)
