"""What a fleet's schedules fire in a span of time: pure, for all who show a calendar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tickonce.errors import TriggerError
from tickonce.model import Definition, Schedule, ScheduleState
from tickonce.planning import following
from tickonce.triggers import Trigger
from tickonce.triggers.combine import Combined
from tickonce.triggers.days import OnDays
from tickonce.triggers.describe import Lang, language
from tickonce.triggers.explain import Entry, is_moved, timeline
from tickonce.triggers.zones import zone_name

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Agenda:
    """The fires of several schedules, by day.

    Attributes:
        days: What fires on each day, the earliest first; days without a fire are left out.
        paused: Ids of schedules that are paused until somebody resumes them.
        unknown: Ids of schedules whose fires are not known, or not all of them, with the reason: this release cannot
            read them, they are set aside, or their triggers raise.
        guessed: Ids of schedules whose calendars have no data of some of these days, with what holds instead.
    """

    days: Mapping[date, tuple[Entry, ...]]
    paused: tuple[str, ...]
    unknown: Mapping[str, str]
    guessed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Bounded:
    """The fires of a definition within its start and end.

    Attributes:
        definition: Whose trigger is asked.
        rests_until: No fire up to this instant: a pause that ends by itself.
    """

    definition: Definition
    rests_until: datetime | None = None

    def next_after(self, after: datetime, /) -> datetime | None:
        """Return the first scheduled time later than *after*, or None."""
        rest = self.rests_until
        return following(self.definition, after if rest is None else max(after, rest))


@dataclass(slots=True)
class _Guarded:
    """What a schedule fires until its trigger raises: that harms this schedule alone."""

    fires: Bounded
    raised: str = field(default="", init=False)

    def next_after(self, after: datetime, /) -> datetime | None:
        if self.raised:
            return None
        try:
            return self.fires.next_after(after)
        except Exception as error:  # noqa: BLE001  # whatever a trigger raises, the others are shown
            self.raised = str(error) if isinstance(error, TriggerError) else f"{type(error).__name__}: {error}"
            return None

    def moved(self, fires: Iterable[datetime]) -> tuple[datetime, ...]:
        """Return those of *fires*, of this schedule, that were moved."""
        return tuple(fire for fire in fires if is_moved(self.fires.definition.trigger, fire.astimezone(UTC)))


def agenda(
    schedules: Iterable[Schedule], start: datetime, end: datetime, *, tz: str = "UTC", lang: Lang = "en"
) -> Agenda:
    """Return what fires from *start* up to but without *end*, as the schedules are now.

    It is the scheduled times by arithmetic, without jitter, also where *start* lies in the past.

    Args:
        schedules: Those that are ended or removed fire nothing; one whose trigger raises keeps no other from being
            shown.
        start: First instant.
        end: Where the agenda ends; at most 366 days of *tz* later.
        tz: Zone of days and times.
        lang: Of what is said about calendars without data.

    Raises:
        TriggerError: The span is empty or too long, or *tz* is no zone.
    """
    if end <= start:
        raise TriggerError(f"an agenda must end after it begins, got {start.isoformat()} to {end.isoformat()}")
    asked: dict[str, _Guarded] = {}
    paused: list[str] = []
    unknown: dict[str, str] = {}
    for schedule in schedules:
        match schedule.state:
            case ScheduleState.ASIDE:
                unknown[schedule.id] = f"set aside: {schedule.reason}"
            case ScheduleState.PAUSED if schedule.paused_until is None:
                paused.append(schedule.id)
            case ScheduleState.ACTIVE | ScheduleState.PAUSED:
                asked[schedule.id] = _Guarded(Bounded(schedule.definition, schedule.paused_until))
            case _:
                pass
    zone = ZoneInfo(zone_name(tz))
    first, last = (instant.astimezone(zone).date() for instant in (start, end - _TICK))
    found = timeline(asked, first, last, tz=tz, since=start, until=end)
    days = {
        day: tuple(replace(entry, moved=asked[entry.id].moved(entry.times)) for entry in entries)
        for day, entries in found.items()
    }
    unknown |= {name: each.raised for name, each in asked.items() if each.raised}
    years = range(first.year, last.year + 1)
    certain = {name: each.fires.definition.trigger for name, each in asked.items() if not each.raised}
    guesses = {name: said for name, trigger in certain.items() if (said := guessed(trigger, years, lang))}
    return Agenda(days, tuple(paused), unknown, guesses)


def guessed(trigger: Trigger, years: Iterable[int], lang: Lang = "en") -> str:
    """Say for which of *years* calendars of *trigger* have no data, so that weekdays decide; empty where they have.

    >>> from tickonce.calendars import own_calendar
    >>> from tickonce.triggers import cron
    >>> plant = own_calendar("plant", holidays=["2026-12-24"], years=(2026, 2026))
    >>> guessed(OnDays(trigger=cron("0 9 * * *"), calendar=plant), (2026, 2027, 2028))
    'the calendar of working days plant has no data of 2027 and 2028: weekdays alone decide there'
    """
    asked = tuple(years)
    said = []
    for each in _on_days(trigger):
        calendar = each.calendar
        if calendar.unknown == "weekday" and (missing := [y for y in asked if calendar.source.year(y) is None]):
            said.append(language(lang).guess(calendar, missing))
    return "; ".join(dict.fromkeys(said))


def _on_days(trigger: Trigger) -> list[OnDays]:
    match trigger:
        case OnDays():
            return [trigger, *_on_days(trigger.trigger)]
        case Combined():
            return [found for part in trigger.triggers for found in _on_days(part)]
        case _:
            return []
