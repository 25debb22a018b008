"""Triggers made of triggers: the fires of any, of all, or of one without those of others.

Whatever the parts are, a question has a bounded cost: parts are asked at most so many times in all, and a search that
has found nothing by then says so instead of going on. Long runs of excluded fires are jumped over where they come from
a cron expression that recurs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Self

from tickonce.errors import TriggerError
from tickonce.triggers.base import JSON, Spec, Trigger
from tickonce.triggers.calendar import CalendarInterval
from tickonce.triggers.cron import Cron
from tickonce.triggers.every import Every
from tickonce.triggers.instants import EPOCH, format_instant, from_microseconds, microseconds, shown
from tickonce.triggers.once import At

#: Combinations within combinations, and triggers in all.
MOST_DEPTH = 8
MOST_PARTS = 64
#: What the questions of one search may cost; a plain trigger's costs 1, about two microseconds.
_BUDGET = 400
_DEAR = 20
_PLAIN = (At, Every, Cron, CalendarInterval)
_TICK = timedelta(microseconds=1)
_SECOND_US = 1_000_000


class Budget:
    """What is left of the questions that one search may ask.

    Args:
        trigger: Whose search it is; for the error's message.
    """

    __slots__ = ("_left", "_trigger")

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger
        self._left = _BUDGET

    def ask(self, part: Trigger, after: datetime) -> datetime | None:
        """Return the next fire of *part*.

        Raises:
            TriggerError: Nothing is left.
        """
        if isinstance(part, Combined):
            return part.search(after, self)
        self._left -= 1 if isinstance(part, _PLAIN) else _DEAR
        if self._left < 0:
            text = repr(self._trigger)
            raise TriggerError(
                f"{text if len(text) < 200 else text[:197] + '...'} has no fire up to {format_instant(after)}, and the "
                "search ends here: its parts hardly ever come together, or nearly all of its fires are excluded"
            )
        return part.next_after(after)


@dataclass(frozen=True, slots=True)
class Combined(ABC):
    """What all combinations share.

    Attributes:
        triggers: The parts, in order.
        size: How deep combinations stand in it, and how many other triggers.
    """

    kind: ClassVar[str]

    triggers: tuple[Trigger, ...]
    size: tuple[int, int] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        for part in self.triggers:
            if not isinstance(part, Trigger):
                raise TriggerError(
                    f"{self.kind}: each part must be a trigger, such as cron('0 9 * * *'); got {shown(part)}"
                )
        if len(self.triggers) < 2:
            raise TriggerError(f"{self.kind}: two triggers or more are needed, got {len(self.triggers)}")
        sizes = [part.size if isinstance(part, Combined) else (0, 1) for part in self.triggers]
        depth, count = 1 + max(depth for depth, _ in sizes), sum(count for _, count in sizes)
        if depth > MOST_DEPTH or count > MOST_PARTS:
            raise TriggerError(
                f"{self.kind}: too much in one trigger ({count} parts, {depth} deep); allowed are {MOST_PARTS} parts, "
                f"{MOST_DEPTH} deep. Make it several schedules"
            )
        object.__setattr__(self, "size", (depth, count))

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(map(repr, self.triggers))})"

    def next_after(self, after: datetime) -> datetime | None:
        """Return the first fire strictly later than *after*, in UTC, or None when there is none.

        Raises:
            TriggerError: *after* is naive; or the search has become too long.
        """
        microseconds(after)  # refuses a naive one
        return self.search(after, Budget(self))

    @abstractmethod
    def search(self, after: datetime, budget: Budget) -> datetime | None:
        """Return the first fire strictly later than *after*, asking by *budget*."""

    def spec(self) -> Spec:
        """Return the JSON form."""
        parts: list[JSON] = [dict(part.spec()) for part in self.triggers]
        return {"kind": self.kind, "version": 1, "triggers": parts}

    def resolved(self, *, schedule_id: str, tz: str) -> Self:
        """Return this trigger with its parts resolved, or itself when they were.

        Raises:
            TriggerError: *tz* is needed and is no zone.
        """
        parts = tuple(part.resolved(schedule_id=schedule_id, tz=tz) for part in self.triggers)
        same = all(before is after for before, after in zip(self.triggers, parts, strict=True))
        return self if same else type(self)(parts)


@dataclass(frozen=True, slots=True, repr=False)
class Union(Combined):
    """Due whenever one of *triggers* is; once where several are.

    Raises:
        TriggerError: There are less than two triggers, or too many.

    Example:
        >>> Union((Cron("0 9 * * *"), Cron("0 17 * * 5")))
        union(Cron('0 9 * * *'), Cron('0 17 * * 5'))
    """

    kind = "union"

    def search(self, after: datetime, budget: Budget) -> datetime | None:
        """Return the first fire strictly later than *after*."""
        fires = (budget.ask(part, after) for part in self.triggers)
        return min((fire for fire in fires if fire is not None), default=None)


@dataclass(frozen=True, slots=True, repr=False)
class Intersection(Combined):
    """Due at instants at which all of *triggers* are, exactly.

    Raises:
        TriggerError: There are less than two triggers, or too many.

    Example:
        >>> from datetime import UTC
        >>> friday_13th = Intersection((Cron("0 9 13 * *"), Cron("0 9 * * fri")))
        >>> friday_13th.next_after(datetime(2026, 11, 21, tzinfo=UTC))
        datetime.datetime(2027, 8, 13, 9, 0, tzinfo=datetime.timezone.utc)
    """

    kind = "intersection"

    def search(self, after: datetime, budget: Budget) -> datetime | None:
        """Return the first fire strictly later than *after*."""
        found = budget.ask(self.triggers[0], after)
        agreed, place = 1, 1
        while found is not None and agreed < len(self.triggers):
            # Each part in turn moves on to the furthest fire seen, until all of them have it.
            fire = budget.ask(self.triggers[place], _just_before(found))
            agreed = agreed + 1 if fire == found else 1
            found = fire
            place = (place + 1) % len(self.triggers)
        return found


@dataclass(frozen=True, slots=True, repr=False)
class ButNot(Combined):
    """Due when the first of *triggers* is and none of the others.

    Raises:
        TriggerError: There are less than two triggers, or too many.

    Example:
        >>> from datetime import UTC
        >>> ButNot((Every("30m"), Cron("* 0-8 * * *"))).next_after(datetime(2026, 11, 21, tzinfo=UTC))
        datetime.datetime(2026, 11, 21, 9, 0, tzinfo=datetime.timezone.utc)
    """

    kind = "but_not"

    def search(self, after: datetime, budget: Budget) -> datetime | None:
        """Return the first fire strictly later than *after*."""
        base, *excluded = self.triggers
        found = budget.ask(base, after)
        while found is not None:
            before = _just_before(found)
            excluding = next((each for each in excluded if budget.ask(each, before) == found), None)
            if excluding is None:
                return found
            found = budget.ask(base, _last_excluded(base, excluding, found))
        return None


def union(*triggers: Trigger) -> Union:
    """Return the trigger that is due whenever one of *triggers* is: see :class:`Union`."""
    return Union(triggers)


def intersection(*triggers: Trigger) -> Intersection:
    """Return the trigger that is due when all of *triggers* are: see :class:`Intersection`."""
    return Intersection(triggers)


def but_not(trigger: Trigger, *excluded: Trigger) -> ButNot:
    """Return the trigger that is due when *trigger* is and none of *excluded*: see :class:`ButNot`."""
    return ButNot((trigger, *excluded))


#: Combinations by the kind of their specs.
COMBINATIONS: Mapping[str, type[Combined]] = {each.kind: each for each in (Union, Intersection, ButNot)}


def _just_before(instant: datetime) -> datetime:
    return from_microseconds(microseconds(instant) - 1) or instant


def _last_excluded(base: Trigger, excluding: Trigger, found: datetime) -> datetime:
    """Return an instant, *found* or later, up to which each fire of *base* is one of *excluding*, too.

    That can be told of a cron expression that recurs (``* 0-8 * * *``), when *base* has no fires between the minutes
    or seconds that such an expression may match.
    """
    if not isinstance(excluding, Cron) or excluding.policies != ("skip", "both"):
        return found
    grid_us = excluding.reading.grid * _SECOND_US
    at_us = microseconds(found)
    second = at_us // _SECOND_US
    span = excluding.zone.span(second)
    end = span.end
    if isinstance(base, Every):
        aligned = (base.period // _TICK) % grid_us == 0
    elif isinstance(base, Cron):
        own = base.zone.span(second)
        end = min(end, own.end)
        aligned = base.reading.grid % excluding.reading.grid == 0 and own.offset * _SECOND_US % grid_us == 0
    else:
        return found
    if not aligned or at_us % grid_us or span.offset * _SECOND_US % grid_us:
        return found
    free = excluding.reading.walls.free_at_or_after(second + span.offset, excluding.reading.grid)
    if free is not None:
        end = min(end, free - span.offset)
    return max(found, EPOCH + timedelta(seconds=end) - _TICK)
