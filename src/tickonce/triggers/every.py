"""Periods of elapsed time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from tickonce.durations import format_duration, parse_duration
from tickonce.errors import TriggerError
from tickonce.triggers.base import JSON, Spec
from tickonce.triggers.instants import format_instant, from_microseconds, microseconds, parse_instant

_MICROSECOND = timedelta(microseconds=1)
_SHORTEST = timedelta(milliseconds=1)
_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Every:
    """Due every *period* of elapsed time, counted from *anchor* in both directions, never drifting.

    It knows no zones and no daylight saving: ``every("1d")`` is due every 24 hours; for nine each morning use ``cron``.

    Args:
        period: Distance between fires, a timedelta or text such as ``"5m"``. At least one millisecond.
        anchor: An instant that is itself due: an aware datetime, or ISO 8601 text with an offset. The Unix epoch by
            default, so that nodes agree untold and fires fall on full minutes and hours of UTC.
        spread: Whether to shift all fires by a part of the period that a hash of the schedule's id chooses, so that
            many schedules of one period do not come at once. Filled in by ``resolved``; until then not shifted.
        shift: The shift of a resolved trigger, shorter than the period. Set by ``resolved``, hardly ever by hand.

    Raises:
        TriggerError: *period* is no duration or too short, *anchor* is naive, or both *anchor* and *spread* are given.

    Example:
        >>> from datetime import UTC
        >>> Every("6h").next_after(datetime(2026, 1, 1, 7, tzinfo=UTC))
        datetime.datetime(2026, 1, 1, 12, 0, tzinfo=datetime.timezone.utc)
    """

    period: timedelta
    anchor: datetime | None
    spread: bool
    shift: timedelta | None

    def __init__(
        self,
        period: timedelta | str,
        anchor: datetime | str | None = None,
        *,
        spread: bool = False,
        shift: timedelta | str | None = None,
    ) -> None:
        length = parse_duration(period, error=TriggerError)
        if length < _SHORTEST:
            raise TriggerError(f"period: {format_duration(length)} is too short, at least 1ms is allowed")
        if anchor is not None and spread:
            raise TriggerError("anchor and spread exclude each other: an anchor says when, spread lets a hash choose")
        if shift is not None:
            shift = parse_duration(shift, "shift", error=TriggerError)
            if not spread or shift >= length:
                raise TriggerError(f"shift: {format_duration(shift)} needs spread=True and a longer period")
        object.__setattr__(self, "period", length)
        object.__setattr__(self, "anchor", None if anchor is None else parse_instant(anchor, what="anchor"))
        object.__setattr__(self, "spread", bool(spread))
        object.__setattr__(self, "shift", shift)

    def __repr__(self) -> str:
        text = repr(format_duration(self.period))
        if self.anchor is not None:
            text += f", anchor={format_instant(self.anchor)!r}"
        if self.spread:
            text += ", spread=True"
        if self.shift is not None:
            text += f", shift={format_duration(self.shift)!r}"
        return f"Every({text})"

    def next_after(self, after: datetime) -> datetime | None:
        """Return the first fire strictly later than *after*, in UTC, or None when there is none.

        Raises:
            TriggerError: *after* is naive.
        """
        period, origin = self.period // _MICROSECOND, self.origin_us
        periods = (microseconds(after) - origin) // period + 1
        return from_microseconds(origin + periods * period)

    @property
    def origin_us(self) -> int:
        """An instant that is due, in microseconds since the Unix epoch."""
        origin = 0 if self.anchor is None else microseconds(self.anchor)
        return origin if self.shift is None else origin + self.shift // _MICROSECOND

    def spec(self) -> Spec:
        """Return the JSON form."""
        spec: dict[str, JSON] = {"kind": "every", "version": 1, "period": format_duration(self.period)}
        if self.anchor is not None:
            spec["anchor"] = format_instant(self.anchor)
        if self.spread:
            spec["spread"] = True
        if self.shift is not None:
            spec["shift"] = format_duration(self.shift)
        return spec

    def resolved(self, *, schedule_id: str, tz: str) -> Every:  # noqa: ARG002 - elapsed time has no zone
        """Return this trigger with its shift chosen, or itself when it is not spread or was shifted before."""
        if not self.spread or self.shift is not None:
            return self
        period = self.period // _MICROSECOND
        # Full seconds where there are enough of them, for people and tokens; milliseconds below a minute.
        step = 1_000_000 if period >= _MINUTE_US else 1_000
        # The person keeps this hash apart from the one that deals schedules out to nodes: else the schedules of
        # one node would all come at about the same time.
        digest = blake2b(schedule_id.encode(), digest_size=8, person=b"tickonce.spread").digest()
        shift = int.from_bytes(digest) % (period // step) * step
        return Every(self.period, spread=True, shift=shift * _MICROSECOND)


def every(period: timedelta | str, *, anchor: datetime | str | None = None, spread: bool = False) -> Every:
    """Return the trigger of a period: see :class:`Every`.

    Example:
        >>> every("90s")
        Every('1m30s')
    """
    return Every(period, anchor, spread=spread)
