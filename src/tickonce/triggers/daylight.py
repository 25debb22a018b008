"""From wall times to instants, where the clocks change: what a gap and an hour that comes twice do to fires.

Two choices make four searches. In a gap a wall time does not come: it is due right *after* the gap, or left out
(*skip*). Where the clocks go back it comes twice: it is due *once*, the first time, or *both* times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias, get_args

from tickonce.errors import TriggerError
from tickonce.triggers.instants import DAY
from tickonce.triggers.zones import Zone

Gap: TypeAlias = Literal["after", "skip"]
Fold: TypeAlias = Literal["once", "both"]
#: Answers the first instant strictly after the given one at which one of the wall times is due.
Search: TypeAlias = "Callable[[Zone, Walls, int], int | None]"

#: Wall times in gaps that a search leaves out before it says that there is no fire. Only an expression that is made of
#: a zone's own rule (02:30 on the second Sunday of March) meets more than a few in a row.
_MOST_GAPS = 20


class Walls(Protocol):
    """A set of wall times; see ``zones`` for what that is."""

    def at_or_after(self, wall: int) -> int | None:
        """Return the first one at or after *wall*, or None when none is left."""


def next_once_or_after(zone: Zone, walls: Walls, after: int) -> int | None:
    """Search with gap *after* and fold *once*.

    A wall time is due when the wall first shows it or a later one. That is one rule for gaps and for hours that come
    twice, and as the latest wall time never falls, neither do the fires.
    """
    wall = walls.at_or_after(zone.latest_wall(after) + 1)
    return None if wall is None else zone.first_at_or_past(wall)


def next_once_or_never(zone: Zone, walls: Walls, after: int) -> int | None:
    """Search with gap *skip* and fold *once*."""
    least = zone.latest_wall(after) + 1
    for _ in range(_MOST_GAPS):
        wall = walls.at_or_after(least)
        if wall is None:
            return None
        found = zone.first_at_or_past(wall)
        least = zone.latest_wall(found)
        if least == wall:
            return found
    return None


def next_each(zone: Zone, walls: Walls, after: int) -> int | None:
    """Search with gap *skip* and fold *both*: due whenever the wall shows a match."""
    at, gaps = after + 1, 0
    while True:
        _, end, offset = zone.span(at)
        wall = walls.at_or_after(at + offset)
        if wall is None:
            return None
        found = wall - offset
        if found < end:
            return found
        if wall < end + zone.span(end).offset:
            gaps += 1
            if gaps == _MOST_GAPS:
                return None
        # From two days after *at* to two days before *found* the wall shows times between these two, whatever
        # the offset, and none of those matches. What is nearer is looked at span by span.
        at = end if end - at < 2 * DAY else max(end, found - 2 * DAY)


def next_each_or_after(zone: Zone, walls: Walls, after: int) -> int | None:
    """Search with gap *after* and fold *both*."""
    at = after + 1
    if zone.span(after).offset < zone.span(at).offset and _in_gap(zone, walls, at):
        return at
    while True:
        _, end, offset = zone.span(at)
        wall = walls.at_or_after(at + offset)
        if wall is None:
            return None
        found = wall - offset
        if found < end:
            return found
        if wall < end + zone.span(end).offset:
            return end
        at = end if end - at < 2 * DAY else max(end, found - 2 * DAY)


def _in_gap(zone: Zone, walls: Walls, end: int) -> bool:
    """Return whether a match lies in the gap that ends with the instant *end*, its end included."""
    wall = walls.at_or_after(end + zone.span(end - 1).offset)
    return wall is not None and wall <= end + zone.span(end).offset


_SEARCHES: dict[tuple[Gap, Fold], Search] = {
    ("after", "once"): next_once_or_after,
    ("skip", "once"): next_once_or_never,
    ("after", "both"): next_each_or_after,
    ("skip", "both"): next_each,
}


def search(gap: Gap, fold: Fold) -> Search:
    """Return the search that keeps both policies."""
    return _SEARCHES[gap, fold]


def check_policies(gap: str | None, fold: str | None) -> tuple[Gap | None, Fold | None]:
    """Return *gap* and *fold*, checked; None stands for the trigger's own default.

    Raises:
        TriggerError: One of them is no such policy.
    """
    if gap not in (None, *get_args(Gap)):
        raise TriggerError(f"gap: {gap!r:.40} is not a policy; allowed 'after' (right after the gap) or 'skip'")
    if fold not in (None, *get_args(Fold)):
        raise TriggerError(f"fold: {fold!r:.40} is not a policy; allowed 'once' (the first time) or 'both'")
    return gap, fold  # type: ignore[return-value]  # checked in the two lines above
