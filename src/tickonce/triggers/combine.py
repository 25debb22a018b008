"""Triggers made of triggers: the fires of any, of all, or of one without those of others.

Whatever the parts are, a question has a bounded cost: parts are asked at most so many times in all, and a search that
has found nothing by then says so instead of going on. Long runs of excluded fires are jumped over (``density``), and a
part is asked no further than the answer can depend on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import combinations
from math import gcd
from typing import ClassVar, Self

from tickonce.errors import TriggerError
from tickonce.triggers.base import JSON, Spec, Trigger
from tickonce.triggers.calendar import CalendarInterval
from tickonce.triggers.cron import Cron
from tickonce.triggers.density import comb, covered_by_any
from tickonce.triggers.every import Every
from tickonce.triggers.instants import HELD, format_instant, from_microseconds, microseconds, shown
from tickonce.triggers.once import At
from tickonce.triggers.spec import MOST_DEPTH, MOST_PARTS

#: What the questions of one search may cost; a plain trigger's costs 1, about two microseconds.
_BUDGET = 5_000
_DEAR = 8
_TICK = timedelta(microseconds=1)
#: Moves of an intersection between two looks at whether its parts can meet at all.
_MOVES = 8


class Budget:
    """What is left of the questions that one search may ask.

    Args:
        trigger: Whose search it is; for the error's message.
    """

    __slots__ = ("_left", "_trigger")

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger
        self._left = _BUDGET

    def ask(self, part: Trigger, after: datetime, until: datetime | None = None) -> datetime | None:
        """Return the next fire of *part*; with *until*, None or a later instant where none comes up to then.

        Raises:
            TriggerError: Nothing is left.
        """
        if isinstance(part, Combined):
            return part.search(after, self, until)
        self.spend(1 if isinstance(part, _CHEAP) else _DEAR, after)
        return part.next_after(after)

    def spend(self, cost: int, after: datetime) -> None:
        """Take *cost* from what is left.

        Raises:
            TriggerError: It is more than that.
        """
        self._left -= cost
        if self._left < 0:
            text = repr(self._trigger)
            raise TriggerError(
                f"{text if len(text) < 200 else text[:197] + '...'} has no fire up to {format_instant(after)}, and the "
                "search ends here: its parts hardly ever come together, or nearly all of its fires are excluded"
            )


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
    def search(self, after: datetime, budget: Budget, until: datetime | None = None) -> datetime | None:
        """Return the first fire strictly later than *after*, asking by *budget*.

        With *until* nobody asks what comes later: the answer may be None, or any later instant, where nothing is due
        up to then.
        """

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

    def search(self, after: datetime, budget: Budget, until: datetime | None = None) -> datetime | None:
        """Return the first fire strictly later than *after*."""
        best = None
        # What costs little first: it says how far the others have to be searched.
        for part in sorted(self.triggers, key=_searched):
            fire = budget.ask(part, after, until)
            if fire is not None and (best is None or fire < best):
                best = fire
                until = best if until is None else min(until, best)
        return best


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

    def search(self, after: datetime, budget: Budget, until: datetime | None = None) -> datetime | None:
        """Return the first fire strictly later than *after*."""
        parts = _met(self.triggers)
        if not parts:
            return None
        found = budget.ask(parts[0], after, until)
        agreed, place, moves = 1, 1, 0
        while found is not None and found != HELD and agreed < len(parts):
            if until is not None and found > until:
                return None
            moves += 1
            if moves % _MOVES == 0 and (end := _apart(self.triggers, found)) is not None:
                budget.spend(self.size[1], found)
                found, agreed = budget.ask(parts[place], end - _TICK, until), 1
            else:
                # Each part in turn moves on to the furthest fire seen, until all of them have it.
                fire = budget.ask(parts[place], _just_before(found), until)
                agreed = agreed + 1 if fire == found else 1
                found = fire
            place = (place + 1) % len(parts)
        return found  # a part that is held holds the whole


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

    def search(self, after: datetime, budget: Budget, until: datetime | None = None) -> datetime | None:
        """Return the first fire strictly later than *after*."""
        base, *excluded = self.triggers
        found = budget.ask(base, after, until)
        while found is not None and found != HELD and (until is None or found <= until):
            before = _just_before(found)
            # Whether *this* instant is excluded is the question, not when the next one is.
            if not any(budget.ask(each, before, found) == found for each in excluded):
                return found
            budget.spend(self.size[1], found)
            found = budget.ask(base, _last_excluded(base, tuple(excluded), found), until)
        return found


@lru_cache(maxsize=1_024)
def _met(triggers: tuple[Trigger, ...]) -> tuple[Trigger, ...]:
    """Return *triggers* with one in the place of all periods: they come together at a period, too; () for never."""
    others = tuple(part for part in triggers if not isinstance(part, Every))
    periods = [part for part in triggers if isinstance(part, Every)]
    if len(periods) < 2:
        return triggers
    period, offset = 1, 0
    for part in periods:
        length, own = part.period // _TICK, part.origin_us
        # How many periods so far until the other one is met as well (the Chinese remainder theorem).
        common = gcd(period, length)
        if (own - offset) % common:
            return ()
        step = length // common
        offset += period * ((own - offset) // common * pow(period // common, -1, step) % step)
        period *= step
    return (*others, _Together(period, offset % period))


@dataclass(frozen=True, slots=True)
class _Together:
    """Periods that come together: due every *period* microseconds from *offset* on."""

    period: int
    offset: int

    def next_after(self, after: datetime) -> datetime | None:
        now = microseconds(after)
        return from_microseconds(now + self.period - (now - self.offset) % self.period)

    def spec(self) -> Spec:
        raise NotImplementedError

    def resolved(self, *, schedule_id: str, tz: str) -> _Together:  # noqa: ARG002
        return self


def union(*triggers: Trigger) -> Union:
    """Return the trigger that is due whenever one of *triggers* is: see :class:`Union`."""
    return Union(triggers)


def intersection(*triggers: Trigger) -> Intersection:
    """Return the trigger that is due when all of *triggers* are: see :class:`Intersection`."""
    return Intersection(triggers)


def but_not(trigger: Trigger, *excluded: Trigger) -> ButNot:
    """Return the trigger that is due when *trigger* is and none of *excluded*: see :class:`ButNot`."""
    return ButNot((trigger, *excluded))


#: Triggers whose questions cost the least.
_CHEAP = (At, Every, Cron, CalendarInterval, _Together)

#: Combinations by the kind of their specs.
COMBINATIONS: Mapping[str, type[Combined]] = {each.kind: each for each in (Union, Intersection, ButNot)}


def _just_before(instant: datetime) -> datetime:
    return from_microseconds(microseconds(instant) - 1) or instant


def _searched(part: Trigger) -> bool:
    return isinstance(part, Combined)


def _last_excluded(base: Trigger, excluded: tuple[Trigger, ...], found: datetime) -> datetime:
    """Return an instant, *found* or later, up to which each fire of *base* is one of *excluded*, too."""
    at = microseconds(found)
    teeth = comb(base, at)
    if teeth is None or not teeth.has(at):
        return found
    end = min(covered_by_any(excluded, at, teeth.step), teeth.end)
    return found if end <= at else from_microseconds(end - 1) or found


def _apart(parts: tuple[Trigger, ...], found: datetime) -> datetime | None:
    """Return an instant up to which no fire from *found* on can be one of all *parts*, if that can be told."""
    at = microseconds(found)
    combs = [each for part in parts if (each := comb(part, at)) is not None]
    if not any(one.apart(other) for one, other in combinations(combs, 2)):
        return None
    return from_microseconds(min(each.end for each in combs))
