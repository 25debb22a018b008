"""Where fires stand close together: what lets a combination jump over a long stretch instead of walking through it.

All times here are microseconds since the epoch. A comb is a start, a distance and an end: fires of a trigger stand
nowhere else than on its teeth. A trigger covers a comb up to where the first tooth stands that is no fire of it. What
cannot be told is answered by the least that is certainly true; it costs steps, and never changes a fire.
"""

from __future__ import annotations

from datetime import date, timedelta
from math import gcd
from typing import NamedTuple

from tickonce.triggers.base import Trigger
from tickonce.triggers.calendar import CalendarInterval
from tickonce.triggers.cron import Cron
from tickonce.triggers.every import Every
from tickonce.triggers.instants import DAY, EPOCH, MAX_SECOND, from_microseconds, microseconds
from tickonce.triggers.rrule import RRule
from tickonce.triggers.zones import Zone

_SECOND = 1_000_000
_TICK = timedelta(microseconds=1)
#: The end of what has none.
FOREVER = (MAX_SECOND + 1) * _SECOND
#: Turns that the parts of a union take to cover a comb, and days of a calendar that are looked at in one go.
_MOST_TURNS = 16
_MOST_DAYS = 40


class Comb(NamedTuple):
    """All fires of a trigger from the asked instant up to but without *end* are at *tooth* plus or minus *step*."""

    step: int
    tooth: int
    end: int

    def has(self, at: int) -> bool:
        """Return whether *at* is one of its teeth."""
        return (at - self.tooth) % self.step == 0

    def apart(self, other: Comb) -> bool:
        """Return whether the two have no tooth in common."""
        return (self.tooth - other.tooth) % gcd(self.step, other.step) != 0


def comb(trigger: Trigger, at: int) -> Comb | None:
    """Return a comb of the fires of *trigger* from *at* on; None where none is known."""
    from tickonce.triggers.combine import ButNot, Intersection, Union
    from tickonce.triggers.days import OnDays

    match trigger:
        case Every():
            return Comb(trigger.period // _TICK, trigger.origin_us, FOREVER)
        case Cron():
            return _on_the_wall(trigger.zone, *trigger.reading.walls.comb, at)
        case RRule():
            return _on_the_wall(trigger.zone, *trigger.walls.comb, at)
        case CalendarInterval():
            second = trigger.at.hour * 3_600 + trigger.at.minute * 60 + trigger.at.second
            return _on_the_wall(trigger.zone, DAY, second, at)
        case OnDays():
            return comb(trigger.trigger, at) if trigger.move is None else None
        case ButNot():
            return comb(trigger.triggers[0], at)
        case Intersection():
            known = [each for part in trigger.triggers if (each := comb(part, at)) is not None]
            return max(known, default=None)  # the widest says most
        case Union():
            parts = [comb(part, at) for part in trigger.triggers]
            first = parts[0]
            for each in parts:
                if first is None or each is None:
                    return None
                step = gcd(first.step, each.step, first.tooth - each.tooth)
                first = Comb(step, first.tooth, min(first.end, each.end))
            return first
        case _:
            return None


def covered(trigger: Trigger, at: int, step: int) -> int:
    """Return an end up to which every *step* from *at* on is a fire of *trigger*; *at* itself where it cannot tell."""
    from tickonce.triggers.combine import ButNot, Intersection, Union
    from tickonce.triggers.days import OnDays

    match trigger:
        case Every():
            period = trigger.period // _TICK
            return FOREVER if step % period == 0 and (at - trigger.origin_us) % period == 0 else at
        case Cron() | RRule():
            return _covered_on_the_wall(trigger, at, step)
        case OnDays():
            return min(_allowed(trigger, at), covered(trigger.trigger, at, step)) if trigger.move is None else at
        case Intersection():
            return min(covered(part, at, step) for part in trigger.triggers)
        case Union():
            return covered_by_any(trigger.triggers, at, step)
        case ButNot():
            end = covered(trigger.triggers[0], at, step)
            before = from_microseconds(at - 1)
            for part in trigger.triggers[1:]:
                if end == at or before is None or not isinstance(part, (Every, Cron, RRule)):
                    return at  # what is left out of what is left out is looked at one by one
                fire = part.next_after(before)
                end = end if fire is None else min(end, microseconds(fire))
            return end
        case _:
            return at


def covered_by_any(triggers: tuple[Trigger, ...], at: int, step: int) -> int:
    """Return an end up to which every *step* from *at* on is a fire of one of *triggers*, which take turns."""
    tooth = at
    for _ in range(_MOST_TURNS):
        end = max(covered(part, tooth, step) for part in triggers)
        if end <= tooth:
            break
        tooth += -(-(end - tooth) // step) * step
        if tooth >= FOREVER:
            return FOREVER
    return tooth


def _on_the_wall(zone: Zone, step: int, second: int, at: int) -> Comb | None:
    span = zone.span(at // _SECOND)
    if at <= span.start * _SECOND and zone.span(span.start - 1).offset < span.offset:
        return None  # what did not come in a gap is due at its end, off the comb
    return Comb(step * _SECOND, (second - span.offset) * _SECOND, span.end * _SECOND)


def _covered_on_the_wall(trigger: Cron | RRule, at: int, step: int) -> int:
    second, zone = at // _SECOND, trigger.zone
    if at % _SECOND or step % _SECOND:
        return at
    span = zone.span(second)
    wall = second + span.offset
    if trigger.policies[1] == "once" and zone.latest_wall(second) != wall:
        return at  # the wall has shown it before
    walls = trigger.reading.walls if isinstance(trigger, Cron) else trigger.walls
    if walls.at_or_after(wall) != wall:
        return at
    free = walls.free_at_or_after(wall, gcd(step // _SECOND, DAY))
    end = span.end if free is None else min(span.end, free - span.offset)
    if isinstance(trigger, RRule) and trigger.read.until_instant is not None:
        end = min(end, trigger.read.until_instant + 1)
    return max(at, end * _SECOND)


def _allowed(trigger: object, at: int) -> int:
    """Return the end of the days in a row, from that of *at* on, on which *trigger* may be due."""
    from tickonce.triggers.days import OnDays

    assert isinstance(trigger, OnDays)  # noqa: S101 - for the type alone: days is loaded late
    second = at // _SECOND
    offset = trigger.zone.span(second).offset
    day = first = EPOCH.date() + timedelta(days=(second + offset) // DAY)
    wanted = trigger.condition == "only"
    for _ in range(_MOST_DAYS):
        # The next year may be an error to ask for, before it is reached.
        if day.year != first.year or day >= date.max or trigger.calendar.includes(day) is not wanted:
            break
        day += timedelta(days=1)
    wall = (day - EPOCH.date()).days * DAY
    span = trigger.zone.span(second)
    return at if day == first else min(span.end, wall - span.offset) * _SECOND
