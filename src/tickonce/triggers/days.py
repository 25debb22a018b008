"""A trigger on the days of a calendar alone: only on working days, never on holidays, moved to the next working day."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal, TypeAlias, get_args

from tickonce.calendars import Calendar
from tickonce.errors import TriggerError
from tickonce.triggers.base import JSON, Spec, Trigger
from tickonce.triggers.instants import DAY, EPOCH, HELD, from_seconds, microseconds, shown
from tickonce.triggers.zones import Zone, zone, zone_name

Condition: TypeAlias = Literal["only", "skip"]
Move: TypeAlias = Literal["next", "previous"]

#: Searches begin here at the earliest, so that the day before is a date in every zone.
_FIRST = datetime(2, 1, 1, tzinfo=UTC)

#: Fires that a search looks at, and fires that may be moved to one day.
_MOST = 120
#: Days over which a fire is moved at most; where no day is allowed within so many, it is dropped.
_FARTHEST = 31
_TICK = timedelta(microseconds=1)
_EPOCH_DAY = EPOCH.date()


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDays:
    """Due when *trigger* is, on the days that *calendar* allows.

    Days are those of the wall of *tz*. A fire that is moved keeps its time of day; several that come to stand at one
    instant are one, and one whose time the new day does not have is left out where *trigger* says ``gap="skip"``. In a
    year of which the calendar knows nothing its policy holds: ``weekday``, ``hold`` (nothing is due up to the year
    9000, which stands for "held"), or ``fail``. With ``weekday``, too, a trigger is held that has found nothing in the
    years known and in two more: only newer data can bring a fire.

    Attributes:
        trigger: What is due.
        calendar: Which days count.
        condition: ``only`` on days that count, or ``skip`` them.
        move: Fires on other days are dropped (None), or moved to the ``next`` or ``previous`` day that is allowed, 31
            days at most.
        tz: The zone of the days. None: the trigger's own, else to be filled in by ``resolved``; until then UTC.
    """

    trigger: Trigger
    calendar: Calendar
    condition: Condition = "only"
    move: Move | None = None
    tz: str | None = None
    _zone: Zone = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.trigger, Trigger):
            raise TriggerError(f"trigger: a trigger is needed, such as cron('0 9 * * *'); got {shown(self.trigger)}")
        if isinstance(self.trigger, OnDays):
            raise TriggerError(
                "a trigger on the days of a calendar cannot have another calendar; combine the calendars"
            )
        if not isinstance(self.calendar, Calendar):
            raise TriggerError(f"a calendar is needed, such as workdays('CN'); got {shown(self.calendar)}")
        if self.condition not in get_args(Condition):
            raise TriggerError(f"condition: {self.condition!r:.40} is not known; allowed 'only' or 'skip'")
        if self.move not in (None, *get_args(Move)):
            raise TriggerError(f"move: {self.move!r:.40} is not known; allowed 'next' or 'previous'")
        own = getattr(self.trigger, "tz", None)
        name = own if self.tz is None and isinstance(own, str) else self.tz
        object.__setattr__(self, "tz", name)
        object.__setattr__(self, "_zone", zone(name or "UTC"))

    def __reduce__(self) -> tuple[object, ...]:
        return _remade, (self.trigger, self.calendar, self.condition, self.move, self.tz)

    def next_after(self, after: datetime) -> datetime | None:
        """Return the first fire strictly later than *after*, in UTC, or None when there is none.

        Raises:
            TriggerError: *after* is naive; or hardly any fire is on an allowed day, and the search ends.
        """
        microseconds(after)  # refuses a naive one
        if after >= HELD:
            return None
        after = max(after, _FIRST)
        return self._next_on_its_day(after) if self.move is None else self._next_moved(after)

    def spec(self) -> Spec:
        """Return the JSON form."""
        spec: dict[str, JSON] = {"kind": "on_days", "version": 1, "trigger": dict(self.trigger.spec())}
        spec["calendar"] = self.calendar.spec()  # type: ignore[assignment]  # texts, numbers and lists of them
        spec["condition"] = self.condition
        given = (("move", self.move), ("tz", self.tz))
        return spec | {name: value for name, value in given if value is not None}

    def resolved(self, *, schedule_id: str, tz: str) -> OnDays:
        """Return this trigger with zone, and for a calendar that holds with the last year known here; or itself.

        Raises:
            TriggerError: *tz* is needed and is no zone.
        """
        trigger = self.trigger.resolved(schedule_id=schedule_id, tz=tz)
        calendar = self.calendar
        if calendar.unknown == "hold" and calendar.known is None:
            calendar = replace(calendar, known=calendar.source.last_year())
        if trigger is self.trigger and self.tz is not None and calendar.known == self.calendar.known:
            return self
        own = getattr(trigger, "tz", None)
        name = self.tz or (own if isinstance(own, str) else tz)
        return OnDays(trigger=trigger, calendar=calendar, condition=self.condition, move=self.move, tz=zone_name(name))

    @property
    def zone(self) -> Zone:
        """The zone of the days; UTC as long as none is known."""
        return self._zone

    # -- searching ---------------------------------------------------------------------------------

    def _next_on_its_day(self, after: datetime) -> datetime | None:
        for _ in range(_MOST):
            fire = self.trigger.next_after(after)
            if fire is None or fire >= HELD:
                return None
            day = self._day(fire)
            allowed = self._allowed_from(day)
            if allowed is None:
                return self._nothing()
            if allowed == day:
                return fire
            after = self._begin(allowed) - _TICK
        return self._over(after)

    def _next_moved(self, after: datetime) -> datetime | None:
        # All fires that end up on one allowed day are looked at together: their times of day may change places.
        day = self._allowed_from(self._day(after))
        for _ in range(_MOST):
            if day is None:
                return self._nothing()
            first, last = self._gathered(day)
            fires = self._fires(self._begin(first) - _TICK, self._begin(last + timedelta(days=1)))
            moved = [self._on(day, fire) for fire in fires]
            if due := [instant for instant in moved if instant is not None and instant > after]:
                return min(due)
            following = self.trigger.next_after(self._begin(last + timedelta(days=1)) - _TICK)
            if following is None or following >= HELD:
                return None
            begun, day = day, self._target(self._day(following))
            if day is not None and day <= begun:  # too far from there
                day = self._allowed_from(self._day(following))
        return self._over(after)

    def _target(self, day: date) -> date | None:
        """Return the day to which fires of *day* are moved."""
        return self.calendar.next_day(day, including=self._wanted, step=1 if self.move == "next" else -1)

    def _gathered(self, day: date) -> tuple[date, date]:
        """Return the first and the last day whose fires end up on *day*."""
        step = timedelta(days=-1 if self.move == "next" else 1)
        edge = day
        for _ in range(_FARTHEST):
            # What is not known is not moved: the fires of the day itself are certain.
            if self.calendar.includes(edge + step) is not (not self._wanted):
                break
            edge += step
        return min(day, edge), max(day, edge)

    def _fires(self, after: datetime, until: datetime) -> list[datetime]:
        fires: list[datetime] = []
        while (fire := self.trigger.next_after(after)) is not None and fire < until:
            fires.append(fire)
            after = fire
            if len(fires) > _MOST:
                raise TriggerError(f"more than {_MOST} fires would be moved to one day; moving is for rarer ones")
        return fires

    def _allowed_from(self, day: date) -> date | None:
        return self.calendar.next_day(day, including=self._wanted)

    @property
    def _wanted(self) -> bool:
        return self.condition == "only"

    def _day(self, instant: datetime) -> date:
        second = microseconds(instant) // 1_000_000
        return _EPOCH_DAY + timedelta(days=(second + self._zone.span(second).offset) // DAY)

    def _begin(self, day: date) -> datetime:
        """Return the first instant of *day*."""
        found = from_seconds(self._zone.first_at_or_past((day - _EPOCH_DAY).days * DAY))
        return HELD if found is None else found

    def _on(self, day: date, fire: datetime) -> datetime | None:
        """Return *fire* at the same time of day on *day*; None where that does not come and is to be left out."""
        of_fire = self._day(fire)
        if of_fire == day:
            return fire
        micro = microseconds(fire)
        second, rest = divmod(micro, 1_000_000)
        wall = second + self._zone.span(second).offset + (day - of_fire).days * DAY
        moved = self._zone.first_at_or_past(wall)
        found = from_seconds(moved)
        if found is None:
            return HELD
        policies = getattr(self.trigger, "policies", None)
        if policies is not None and policies[0] == "skip" and self._zone.latest_wall(moved) != wall:
            return None
        return found + timedelta(microseconds=rest)

    def _nothing(self) -> datetime | None:
        """Return the answer where the calendar names no further day: it may do so with newer data, or never will."""
        return HELD if self.calendar.unknown == "hold" else None

    def _over(self, after: datetime) -> datetime:
        """Return the answer where none of many fires was on an allowed day: held, if newer data may bring one."""
        last = self.calendar.source.last_year()
        if self.calendar.unknown == "weekday" and last is not None and self._day(after).year > last:
            return HELD
        raise TriggerError(
            f"{self.calendar.name} allows none of {_MOST} fires up to {after.date()}, and the search ends here: is it "
            "the right calendar for this trigger?"
        )


def on_days(
    trigger: Trigger,
    *,
    only_on: Calendar | None = None,
    skip: Calendar | None = None,
    move: Move | None = None,
    tz: str | tzinfo | None = None,
) -> OnDays:
    """Return *trigger* on the days of a calendar alone: see :class:`OnDays`.

    Args:
        trigger: What is due.
        only_on: Days on which it is due; or
        skip: days on which it is not.
        move: Move fires of other days to the ``next`` or ``previous`` allowed day instead of dropping them.
        tz: The zone of the days, for a trigger that has none of its own.

    Example:
        >>> from tickonce.calendars import own_calendar
        >>> from tickonce.triggers import cron
        >>> plant = own_calendar("plant", holidays=["2026-12-24", "2026-12-25"])
        >>> on_days(cron("0 9 * * *"), only_on=plant).next_after(datetime(2026, 12, 23, 9, tzinfo=UTC))
        datetime.datetime(2026, 12, 28, 9, 0, tzinfo=datetime.timezone.utc)
    """
    if (only_on is None) == (skip is None):
        raise TriggerError("give one of only_on= and skip=, such as only_on=workdays('CN')")
    calendar, condition = (only_on, "only") if only_on is not None else (skip, "skip")
    return _remade(trigger, calendar, condition, move, None if tz is None else zone_name(tz))  # type: ignore[arg-type]


def _remade(trigger: Trigger, calendar: Calendar, condition: Condition, move: Move | None, tz: str | None) -> OnDays:
    return OnDays(trigger=trigger, calendar=calendar, condition=condition, move=move, tz=tz)
