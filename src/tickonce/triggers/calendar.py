"""Every so many months, weeks or days of the calendar, at a time of day."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date, datetime, time, tzinfo
from typing import Literal, TypeAlias, get_args

from tickonce.errors import TriggerError
from tickonce.triggers.base import JSON, Spec
from tickonce.triggers.daylight import Fold, Gap, Search, check_policies, search
from tickonce.triggers.instants import DAY, from_seconds, seconds_before, shown
from tickonce.triggers.zones import Zone, zone, zone_name

Overflow: TypeAlias = Literal["last", "skip"]

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_FIRST_DAY, _LAST_DAY = (each.toordinal() - _EPOCH_ORDINAL for each in (date.min, date.max))
#: Longer distances than a thousand years are a slip of the finger.
_MOST_MONTHS, _MOST_DAYS = 12_000, 366_000
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", re.ASCII)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class CalendarInterval:
    """Due every so many *months* or *days* of the calendar, at a time of day on the wall of *tz*.

    Unlike :class:`Every` it counts dates, not elapsed time: a day may have 23 or 25 hours, a month 28 to 31 days.
    Dates are counted from *anchor* in both directions, each from there and not from the one before: the last day of
    January is followed by the last of February and then by 31 March.

    Args:
        months: Months between fires; or
        days: days between fires. One of the two, from 1.
        at: Time of day, ``"09:00"`` or ``"09:00:30"`` or a ``datetime.time``.
        anchor: A date that is itself due. By default 1 January 1970 for months, and Monday, 5 January 1970, for days,
            so that nodes agree untold and weeks begin on Monday.
        overflow: Where a month has no such day: its ``last`` day, or ``skip`` the month.
        tz: An IANA zone, by its name or as a ZoneInfo. None: to be filled in by ``resolved``; until then UTC.
        gap: A time of day that does not come: due right ``after`` the gap, or ``skip``.
        fold: A time of day that comes twice: due ``once``, the first time, or ``both``.

    Raises:
        TriggerError: One of the arguments is not as described here.

    Example:
        >>> from datetime import UTC
        >>> quarterly = CalendarInterval(months=3, at="18:00", anchor="2026-01-31", tz="UTC")
        >>> quarterly.next_after(datetime(2026, 2, 1, tzinfo=UTC))
        datetime.datetime(2026, 4, 30, 18, 0, tzinfo=datetime.timezone.utc)
    """

    months: int
    days: int
    at: time
    anchor: date
    overflow: Overflow
    tz: str | None
    gap: Gap
    fold: Fold
    _zone: Zone = field(init=False, compare=False)
    _search: Search = field(init=False, compare=False)

    def __init__(
        self,
        *,
        months: int = 0,
        days: int = 0,
        at: time | str = time(),
        anchor: date | str | None = None,
        overflow: str = "last",
        tz: str | tzinfo | None = None,
        gap: str | None = None,
        fold: str | None = None,
    ) -> None:
        _check_distance(months, days)
        if overflow not in get_args(Overflow):
            raise TriggerError(f"overflow: {overflow!r:.40} is not known; allowed 'last' (day of the month) or 'skip'")
        if overflow == "skip" and not months:
            raise TriggerError("overflow: days never overflow; leave it out")
        name = None if tz is None else zone_name(tz)
        at_gap, at_fold = check_policies(gap, fold)
        default = date(1970, 1, 1) if months else date(1970, 1, 5)
        object.__setattr__(self, "months", months)
        object.__setattr__(self, "days", days)
        object.__setattr__(self, "at", parse_time(at))
        object.__setattr__(self, "anchor", default if anchor is None else parse_date(anchor, what="anchor"))
        object.__setattr__(self, "overflow", overflow)
        object.__setattr__(self, "tz", name)
        object.__setattr__(self, "gap", at_gap or "after")
        object.__setattr__(self, "fold", at_fold or "once")
        object.__setattr__(self, "_zone", zone(name or "UTC"))
        object.__setattr__(self, "_search", search(at_gap or "after", at_fold or "once"))

    def __repr__(self) -> str:
        return f"CalendarInterval({', '.join(f'{name}={value!r}' for name, value in self._given().items())})"

    def __reduce__(self) -> tuple[object, ...]:
        return _remade, (self._given(),)

    def next_after(self, after: datetime) -> datetime | None:
        """Return the first fire strictly later than *after*, in UTC, or None when there is none.

        Raises:
            TriggerError: *after* is naive.
        """
        found = self._search(self._zone, self, seconds_before(after))
        return None if found is None else from_seconds(found)

    def at_or_after(self, wall: int) -> int | None:
        """Return the first of its wall times at or after *wall*, or None when none is left before the year 10000."""
        second = self.at.hour * 3_600 + self.at.minute * 60 + self.at.second
        day = max(-((second - wall) // DAY), _FIRST_DAY)
        found = self._month_at_or_after(day) if self.months else self._day_at_or_after(day)
        return None if found is None else found * DAY + second

    def spec(self) -> Spec:
        """Return the JSON form."""
        return {"kind": "calendar", "version": 1, **self._given()}

    def resolved(self, *, schedule_id: str, tz: str) -> CalendarInterval:  # noqa: ARG002 - nothing depends on the id
        """Return this trigger in the zone *tz*, or itself when it names one.

        Raises:
            TriggerError: *tz* is needed and is no zone.
        """
        return self if self.tz is not None else CalendarInterval(**self._given(), tz=tz)  # type: ignore[arg-type]

    @property
    def zone(self) -> Zone:
        """The zone that the wall is in; UTC as long as none is known."""
        return self._zone

    @property
    def policies(self) -> tuple[Gap, Fold]:
        """What holds where the clocks change."""
        return self.gap, self.fold

    def _day_at_or_after(self, day: int) -> int | None:
        anchor = self.anchor.toordinal() - _EPOCH_ORDINAL
        found = day + (anchor - day) % self.days
        return found if found <= _LAST_DAY else None

    def _month_at_or_after(self, day: int) -> int | None:
        if day > _LAST_DAY:
            return None
        begin = date.fromordinal(day + _EPOCH_ORDINAL)
        anchor = self.anchor.year * 12 + self.anchor.month - 1
        month = begin.year * 12 + begin.month - 1
        month += (anchor - month) % self.months
        # Of the months of a leap cycle one at least has the day: no more than 400 years are looked at.
        while month < 10_000 * 12:
            year, index = divmod(month, 12)
            length = monthrange(year, index + 1)[1]
            if self.anchor.day <= length or self.overflow == "last":
                found = date(year, index + 1, min(self.anchor.day, length)).toordinal() - _EPOCH_ORDINAL
                if found >= day:
                    return found
            month += self.months
        return None

    def _given(self) -> dict[str, JSON]:
        """Return the arguments that are not at their default, as a spec holds them."""
        given: dict[str, JSON] = {}
        if self.months:
            given["months"] = self.months
        else:
            given["days"] = self.days
        if self.at != time():
            given["at"] = format_time(self.at)
        given["anchor"] = self.anchor.isoformat()
        if self.overflow != "last":
            given["overflow"] = self.overflow
        if self.tz is not None:
            given["tz"] = self.tz
        if self.gap != "after":
            given["gap"] = self.gap
        if self.fold != "once":
            given["fold"] = self.fold
        return given


def calendar_interval(
    *,
    years: int = 0,
    months: int = 0,
    weeks: int = 0,
    days: int = 0,
    at: time | str = time(),
    anchor: date | str | None = None,
    overflow: Overflow = "last",
    tz: str | tzinfo | None = None,
    gap: Gap | None = None,
    fold: Fold | None = None,
) -> CalendarInterval:
    """Return the trigger of so many years and months, or weeks and days: see :class:`CalendarInterval`.

    Example:
        >>> calendar_interval(weeks=2, at="09:00", anchor="2026-01-05", tz="Asia/Shanghai")
        CalendarInterval(days=14, at='09:00', anchor='2026-01-05', tz='Asia/Shanghai')
    """
    for name, value in (("years", years), ("weeks", weeks)):
        if type(value) is not int or value < 0:
            raise TriggerError(f"{name}: a whole number is needed, 0 or more; got {shown(value)}")
    return CalendarInterval(
        months=years * 12 + months if years else months,
        days=weeks * 7 + days if weeks else days,
        at=at,
        anchor=anchor,
        overflow=overflow,
        tz=tz,
        gap=gap,
        fold=fold,
    )


def parse_time(value: object) -> time:
    """Return *value* as a time of day in whole seconds.

    Raises:
        TriggerError: It is none, has a fraction of a second or an offset.

    Example:
        >>> parse_time("9:30")
        datetime.time(9, 30)
    """
    if isinstance(value, time):
        if value.tzinfo is not None or value.microsecond:
            raise TriggerError(f"at: {value} must be a plain time of day in whole seconds; the zone is tz=")
        return value.replace(fold=0)
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) and len(value) < 40 else None
    try:
        if match is not None:
            return time(int(match[1]), int(match[2]), int(match[3] or 0))
    except ValueError:
        pass
    raise TriggerError(f"at: {shown(value)} is not a time of day; write '09:00' or '09:00:30', from 00:00 to 23:59:59")


def format_time(value: time) -> str:
    """Return *value* as text, without seconds where they are zero."""
    return value.isoformat("seconds" if value.second else "minutes")


def parse_date(value: object, *, what: str) -> date:
    """Return *value* as a date.

    Raises:
        TriggerError: It is none; the message begins with *what*.
    """
    if isinstance(value, datetime):
        raise TriggerError(f"{what}: {shown(value)} is an instant; a date is needed, such as '2026-01-31'")
    if isinstance(value, date):
        return value
    try:
        if isinstance(value, str) and len(value) < 40:
            return date.fromisoformat(value.strip())
    except ValueError:
        pass
    raise TriggerError(f"{what}: {shown(value)} is not a date; write such as '2026-01-31'")


def _check_distance(months: int, days: int) -> None:
    for name, value, most in (("months", months, _MOST_MONTHS), ("days", days, _MOST_DAYS)):
        if type(value) is not int or not 0 <= value <= most:
            raise TriggerError(f"{name}: a whole number from 1 to {most} is needed, got {shown(value)}")
    if not months and not days:
        raise TriggerError("how often? Give months or days (or years or weeks), such as months=3")
    if months and days:
        raise TriggerError("months and days do not mix: their sum has no fixed length; use a union of two triggers")


def _remade(given: dict[str, JSON]) -> CalendarInterval:
    return CalendarInterval(**given)  # type: ignore[arg-type]
