"""Cron expressions of five fields, as Debian's cron reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

from tickonce.errors import TriggerError, did_you_mean
from tickonce.triggers.base import JSON, Spec
from tickonce.triggers.fields import DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH
from tickonce.triggers.instants import DAY, from_seconds, seconds_before
from tickonce.triggers.walltimes import Days, Times, WallTimes
from tickonce.triggers.zones import Zone, zone, zone_name

_FIELDS = "minute, hour, day of month, month, day of week"
#: Longer texts are refused unread; a list of all minutes has 169 characters.
_MAX_LENGTH = 1_000
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class _Reading(NamedTuple):
    """What an expression means: its wall times, and whether they are fixed ones or recur with elapsed time."""

    walls: WallTimes
    fixed: bool


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Cron:
    """Due when a clock on the wall of *tz* shows a time that *expression* matches.

    The five fields are minute, hour, day of month, month and day of week. Each is a list of values, ranges (``1-5``)
    and steps: ``*/5`` from the smallest value, ``1-30/5`` within a range, ``5/15`` from 5 to the largest value.
    Months and weekdays may be named (``jan``, ``Mon``), Sunday is 0 or 7. ``@hourly``, ``@daily``, ``@midnight``,
    ``@weekly``, ``@monthly``, ``@yearly`` and ``@annually`` stand for the usual expressions.

    When day of month and day of week are both restricted, a day that matches either of them is enough; when one
    of them starts with ``*`` (``*/2`` does), it must match both.

    Where the clocks change, Debian's rule holds:

    - When neither minute nor hour starts with ``*``, these are fixed times of day. One that does not come that day
      is due at the first instant after the gap; one that comes twice is due the first time only. No day is missed.
    - Otherwise they recur with elapsed time: due whenever the wall shows a match, twice in an hour that comes twice,
      not at all in one that does not come.

    Args:
        expression: The five fields, or a nickname with ``@``.
        tz: An IANA zone, by its name or as a ZoneInfo. None: to be filled in by ``resolved``; until then UTC.

    Raises:
        TriggerError: The expression or zone cannot be read, or no day ever matches (``0 0 31 2 *``).

    Example:
        >>> from datetime import UTC
        >>> Cron("0 9 * * mon-fri", "Asia/Shanghai").next_after(datetime(2026, 1, 2, 9, tzinfo=UTC))
        datetime.datetime(2026, 1, 5, 1, 0, tzinfo=datetime.timezone.utc)
    """

    expression: str
    tz: str | None
    _reading: _Reading = field(init=False, compare=False)
    _zone: Zone = field(init=False, compare=False)

    def __init__(self, expression: str, tz: str | tzinfo | None = None) -> None:
        text = _tidied(expression)
        name = None if tz is None else zone_name(tz)
        object.__setattr__(self, "expression", text)
        object.__setattr__(self, "tz", name)
        object.__setattr__(self, "_reading", _read(text))
        object.__setattr__(self, "_zone", zone(name or "UTC"))

    def __repr__(self) -> str:
        return f"Cron({self.expression!r})" if self.tz is None else f"Cron({self.expression!r}, tz={self.tz!r})"

    def __reduce__(self) -> tuple[type[Cron], tuple[str, str | None]]:
        return Cron, (self.expression, self.tz)

    def next_after(self, after: datetime) -> datetime | None:
        """Return the first fire strictly later than *after*, in UTC, or None when there is none.

        Raises:
            TriggerError: *after* is naive.
        """
        second = seconds_before(after)
        found = self._next_fixed(second) if self._reading.fixed else self._next_elapsed(second)
        return None if found is None else from_seconds(found)

    def spec(self) -> Spec:
        """Return the JSON form."""
        spec: dict[str, JSON] = {"kind": "cron", "version": 1, "dialect": "unix", "expression": self.expression}
        if self.tz is not None:
            spec["tz"] = self.tz
        return spec

    def resolved(self, *, schedule_id: str, tz: str) -> Cron:  # noqa: ARG002 - no part of an expression depends on the id
        """Return this trigger in the zone *tz*, or itself when it names one.

        Raises:
            TriggerError: *tz* is needed and is no zone.
        """
        return self if self.tz is not None else Cron(self.expression, tz)

    def _next_fixed(self, after: int) -> int | None:
        # A fixed time is due when the wall first shows it or a later one. That is one rule for gaps and for hours
        # that come twice, and as the latest wall time never falls, neither do the fires.
        zone = self._zone
        wall = self._reading.walls.at_or_after(zone.latest_wall(after) + 1)
        return None if wall is None else zone.first_at_or_past(wall)

    def _next_elapsed(self, after: int) -> int | None:
        at = after + 1
        while True:
            _, end, offset = self._zone.span(at)
            wall = self._reading.walls.at_or_after(at + offset)
            if wall is None:
                return None
            found = wall - offset
            if found < end:
                return found
            # From two days after *at* to two days before *found* the wall shows times between these two, whatever
            # the offset, and none of those matches. What is nearer is looked at span by span.
            at = end if end - at < 2 * DAY else max(end, found - 2 * DAY)


def cron(expression: str, *, tz: str | tzinfo | None = None) -> Cron:
    """Return the trigger of a cron expression: see :class:`Cron`.

    Example:
        >>> cron("*/15 8-18 * * 1-5", tz="Europe/Paris")
        Cron('*/15 8-18 * * 1-5', tz='Europe/Paris')
    """
    return Cron(expression, tz)


def _tidied(expression: str) -> str:
    if not isinstance(expression, str):
        raise TriggerError(f"a cron expression is text, such as '0 9 * * 1-5', got {expression!r:.80}")
    if len(expression) > _MAX_LENGTH:
        raise TriggerError(
            f"the cron expression {expression[:40]!r}... has {len(expression)} characters, allowed {_MAX_LENGTH}"
        )
    text = " ".join(expression.split())
    return text.lower() if text.startswith("@") else text


@lru_cache(maxsize=4_096)
def _read(expression: str) -> _Reading:
    parts = _NICKNAMES.get(expression, expression).split(" ")
    if len(parts) != 5:
        raise _not_five(expression, parts)
    minute, hour, day_of_month, month, day_of_week = parts
    try:
        times = Times(hours=HOUR.mask(hour), minutes=MINUTE.mask(minute))
        weekdays = DAY_OF_WEEK.mask(day_of_week)
        days = Days(
            months=MONTH.mask(month),
            days_of_month=DAY_OF_MONTH.mask(day_of_month),
            weekdays=(weekdays | weekdays >> 7) & 0b111_1111,  # 7 is Sunday, as 0 is
            both=day_of_month.startswith("*") or day_of_week.startswith("*"),
        )
    except TriggerError as error:
        raise TriggerError(f"{error} (in the cron expression {expression[:100]!r})") from None
    if not days.exist():
        raise TriggerError(f"the cron expression {expression!r} never matches: no such day comes in month {month!r}")
    return _Reading(WallTimes(days, times), fixed=not (minute.startswith("*") or hour.startswith("*")))


def _not_five(expression: str, parts: list[str]) -> TriggerError:
    shown = repr(expression[:100])
    if not expression:
        return TriggerError(f"the cron expression is empty; it has five fields: {_FIELDS}")
    if parts[0] == "@every":
        return TriggerError(f"{shown} is a period, not a cron expression; use every({' '.join(parts[1:])[:40]!r})")
    if parts[0] == "@reboot":
        return TriggerError("'@reboot' names no time, so a fleet cannot fire it once; run such code when a node starts")
    if expression.startswith("@"):
        return TriggerError(
            f"{shown} is not known; allowed {', '.join(_NICKNAMES)}.{did_you_mean(parts[0], _NICKNAMES)}"
        )
    if "=" in parts[0]:
        return TriggerError(f"{shown} sets a variable in front of the expression; give the zone as tz=...")
    aside = "; fields for seconds and years are not read" if len(parts) in {6, 7} else ""
    return TriggerError(f"the cron expression {shown} has {len(parts)} field(s), allowed are five: {_FIELDS}{aside}")
