"""The next fires of triggers, notes about those that a change of the clocks affects, and what fires on a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol, TypeAlias
from zoneinfo import ZoneInfo

from tickonce.errors import TriggerError
from tickonce.triggers.base import Trigger
from tickonce.triggers.calendar import CalendarInterval, format_time
from tickonce.triggers.combine import ButNot, Combined
from tickonce.triggers.cron import Cron
from tickonce.triggers.daylight import Walls
from tickonce.triggers.days import OnDays
from tickonce.triggers.describe import Lang, describe, language
from tickonce.triggers.instants import EPOCH, HELD, seconds_before
from tickonce.triggers.languages import Language
from tickonce.triggers.rrule import RRule
from tickonce.triggers.rruletext import SHORT
from tickonce.triggers.zones import Zone, zone_name


class Fires(Protocol):
    """What fires are asked of: a trigger, or a schedule within its bounds."""

    def next_after(self, after: datetime, /) -> datetime | None:
        """Return the first fire strictly later than *after*, in UTC, or None when there is none."""


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


def next_fires(trigger: Fires, count: int = 10, *, after: datetime) -> list[datetime]:
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
    trigger: Trigger,
    count: int = 10,
    *,
    after: datetime,
    lang: Lang = "en",
    tz: str | None = None,
    within: Fires | None = None,
) -> Explanation:
    """Return *trigger* in words, with its next fires and a note at each that a change of the clocks affects.

    Args:
        trigger: It should be resolved; one without a zone is taken to be in UTC.
        count: Fires to show, at most.
        after: Fires later than this.
        lang: ``en`` or ``zh``.
        tz: Zone for the local times of triggers that have none of their own.
        within: What the fires are asked of, where that is not all of the trigger: a schedule with a start or an end.

    Example:
        >>> nightly = Cron("30 2 * * *", "America/New_York")
        >>> explain(nightly, 1, after=datetime(2026, 3, 8, tzinfo=UTC)).fires[0].note
        'Sun 8 Mar 2026: 02:30 does not exist in America/New_York, runs at 03:00'
    """
    text = describe(trigger, lang)
    walls = [part for part in _parts(trigger) if isinstance(part, _OF_THE_WALL)]
    zone = ZoneInfo(walls[0].zone.name if walls else tz or "UTC")
    words = language(lang)
    instants = next_fires(within or trigger, count, after=after)
    fires = tuple(
        ExplainedFire(instant, instant.astimezone(zone), _note(walls, instant, words)) for instant in instants
    )
    notes = _left_out(walls, after, instants[-1], words) if instants and trigger in walls else []
    return Explanation(text, fires, tuple(notes))


def _parts(trigger: Trigger) -> list[Trigger]:
    """Return *trigger*, and the triggers that its fires come from: not what is excluded."""
    if isinstance(trigger, OnDays):
        return [trigger, *_parts(trigger.trigger)]
    if not isinstance(trigger, Combined):
        return [trigger]
    parts = trigger.triggers[:1] if isinstance(trigger, ButNot) else trigger.triggers
    return [trigger, *(found for part in parts for found in _parts(part))]


def _note(walls: list[_OfTheWall], instant: datetime, words: Language) -> str:
    second = seconds_before(instant)
    for part in walls:
        if part.next_after(instant - timedelta(microseconds=1)) != instant:
            continue
        zone = part.zone
        wall = second + zone.span(second).offset
        if (missing := _missing(part, second)) is not None:
            return words.moved(_date(missing), _clock(missing), zone.name, _clock(wall), on=_date(wall))
        times = _times_of(zone, wall)
        if len(times) > 1:
            first = "once" if part.policies[1] == "once" else "first"
            which = first if second == times[0] else "second"
            return words.repeated(_date(wall), _clock(wall), zone.name, which=which)
    return ""


def _missing(part: _OfTheWall, second: int) -> int | None:
    """Return the wall time in the gap that ends with *second* for which *part* is due there; None where it is due."""
    matches = _walls_of(part)
    before, now = part.zone.span(second - 1).offset, part.zone.span(second).offset
    wall = second + now
    if before >= now or matches.at_or_after(wall) == wall:
        return None
    missing = matches.at_or_after(second + before)
    return missing if missing is not None and missing < wall else None


def _left_out(walls: list[_OfTheWall], after: datetime, last: datetime, words: Language) -> list[str]:
    """Return a note for each gap between the two instants that swallows a fixed time of day."""
    notes: list[str] = []
    for part in walls:
        if part.policies[0] != "skip" or _recurs(part):
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


def _recurs(part: _OfTheWall) -> bool:
    """Return whether its times recur with elapsed time: nobody waits for one of them that does not come."""
    match part:
        case Cron():
            return not part.reading.fixed
        case RRule():
            return part.read.frequency in SHORT
        case CalendarInterval():
            return False


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
        moved: Those of *times* that were moved; see :func:`is_moved`.
    """

    id: str
    times: tuple[datetime, ...]
    last: datetime
    count: int
    more: bool = False
    moved: tuple[datetime, ...] = ()


def is_moved(trigger: Trigger, fire: datetime) -> bool:
    """Return whether *fire*, one of *trigger*, was due at another time: a calendar or a change of the clocks moved it.

    Example:
        >>> is_moved(Cron("30 2 * * *", "America/New_York"), datetime(2026, 3, 8, 7, tzinfo=UTC))
        True
    """
    before = fire - timedelta(microseconds=1)
    parts = _parts(trigger)
    if any(
        isinstance(part, OnDays)
        and part.move is not None
        and part.next_after(before) == fire != part.trigger.next_after(before)
        for part in parts
    ):
        return True
    return any(
        _missing(part, seconds_before(fire)) is not None
        for part in parts
        if isinstance(part, _OF_THE_WALL) and part.next_after(before) == fire
    )


def timeline(
    schedules: Mapping[str, Fires],
    start: date,
    end: date,
    *,
    tz: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[date, tuple[Entry, ...]]:
    """Return what fires on each day from *start* to *end*, the earliest first; days without a fire are left out.

    Args:
        schedules: By their ids.
        start: First day, on the wall of *tz*.
        end: Last day.
        tz: Zone of the days and times.
        since: No fire before this instant.
        until: No fire at or after this instant.

    Raises:
        TriggerError: The days are more than 366 or run backwards, or *tz* is no zone.
    """
    if not 0 <= (end - start).days < _MOST_DAYS:
        raise TriggerError(f"the days from {start} to {end} are not 1 to {_MOST_DAYS}")
    zone = ZoneInfo(zone_name(tz))
    days = {}
    for number in range((end - start).days + 1):
        day = start + timedelta(days=number)
        # A day begins where the wall first shows its date, whatever clock change falls on midnight.
        begin, over = (
            datetime.combine(each, datetime.min.time(), zone).astimezone(UTC) for each in (day, day + timedelta(days=1))
        )
        begin, over = max(begin, since or begin), min(over, until or over)
        found = (_entry(name, fires, begin, over, zone) for name, fires in schedules.items())
        entries = [entry for entry in found if entry is not None]
        if entries:
            days[day] = tuple(sorted(entries, key=lambda entry: (entry.times[0].astimezone(UTC), entry.id)))
    return days


def timeline_text(days: Mapping[date, tuple[Entry, ...]], lang: Lang = "en") -> str:
    """Return a timeline as text: a line for each schedule and day, with times, or the first and last of many.

    Behind a time that was moved there is a ``*``.

    Example:
        >>> day = date(2026, 11, 21)
        >>> print(timeline_text(timeline({"a": Cron("0 9 * * *"), "b": Cron("*/5 * * * *")}, day, day)))
        2026-11-21 Sat
          00:00 ... 23:55  b  (288 times)
          09:00            a
    """
    words = language(lang)
    lines = []
    for day, entries in days.items():
        lines.append(f"{day} {words.weekday(day)}")
        shown = [(_times_text(entry), entry) for entry in entries]
        width = max(len(times) for times, _ in shown)
        for times, entry in shown:
            count = f"  {words.count(entry.count, more=entry.more)}" if entry.count > _SHOWN else ""
            lines.append(f"  {times:{width}}  {entry.id}{count}")
    return "\n".join(lines)


def _times_text(entry: Entry) -> str:
    times = [f"{format_time(each.time())}{'*' if each in entry.moved else ''}" for each in entry.times]
    if entry.more:
        return f"{times[0]} ..."
    if entry.count > _SHOWN:
        return f"{times[0]} ... {format_time(entry.last.time())}"
    return " ".join(times)


def _entry(id: str, fires: Fires, begin: datetime, end: datetime, zone: ZoneInfo) -> Entry | None:
    times: list[datetime] = []
    count, last, more = 0, begin - timedelta(microseconds=1), False
    while (fire := fires.next_after(last)) is not None and fire < end:
        more = count == _MOST_COUNTED
        if more:
            break
        count, last = count + 1, fire
        if count <= _SHOWN:
            times.append(fire.astimezone(zone))
    if not times:
        return None
    return Entry(id, tuple(times), last.astimezone(zone), count, more=more)
