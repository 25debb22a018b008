"""Calendars by name, and from and to JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from tickonce.calendars.base import Calendar, Days, Source, Unknown
from tickonce.calendars.china import China
from tickonce.calendars.country import Country
from tickonce.calendars.own import own
from tickonce.errors import MissingExtra, TriggerError, UnknownTrigger

_OF_COUNTRY = {"days", "country", "subdivision", "unknown", "known"}
_OF_OWN = {"days", "name", "years", "holidays", "workdays", "weekend", "unknown", "known"}


def workdays(country: str, subdivision: str = "", *, unknown: Unknown = "weekday") -> Calendar:
    """Return the working days of a country: no weekend, no public holiday; for CN with its make-up days.

    Args:
        country: ISO 3166 code, such as ``CN`` or ``DE``.
        subdivision: A state or province, such as ``BY``.
        unknown: What holds in a year without data, see :class:`Calendar`.

    Raises:
        TriggerError: There is no such country or part.
        MissingExtra: The library is not installed: ``pip install "tickonce[calendars]"``.
    """
    return Calendar(source=_source(country, subdivision), days="working", unknown=unknown)


def holidays(country: str, subdivision: str = "", *, unknown: Unknown = "weekday") -> Calendar:
    """Return the public holidays of a country, whatever weekday they fall on: see :func:`workdays`."""
    return Calendar(source=_source(country, subdivision), days="holidays", unknown=unknown)


def own_calendar(
    name: str,
    *,
    holidays: Iterable[date | str] = (),
    workdays: Iterable[date | str] = (),
    years: tuple[int, int] | None = None,
    weekend: Iterable[int] = (5, 6),
    days: Days = "working",
    unknown: Unknown = "weekday",
) -> Calendar:
    """Return a calendar of days that are written down.

    Args:
        name: What people call it.
        holidays: Days off, as dates or ISO text.
        workdays: Days that are worked though they fall on a weekend.
        years: First and last year that it knows all about; by default from its first day to its last.
        weekend: Weekdays off, 0 is Monday.
        days: Whether it is the set of its ``working`` days or of its ``holidays``.
        unknown: What holds in other years, see :class:`Calendar`.

    Raises:
        TriggerError: It has no day, too many, or one that is none.

    Example:
        >>> plant = own_calendar("plant", holidays=["2026-12-24"], workdays=["2026-12-19"])
        >>> plant.includes(date(2026, 12, 24)), plant.includes(date(2026, 12, 19)), plant.includes(date(2026, 12, 20))
        (False, True, False)
    """
    source = own(name, map(_date, holidays), map(_date, workdays), years=years, weekend=weekend)
    return Calendar(source=source, days=days, unknown=unknown)


def calendar_from_spec(spec: object) -> Calendar:
    """Return the calendar of its JSON form.

    Raises:
        UnknownTrigger: A field is not known here, or a library or data that it needs are missing or older.
        TriggerError: All is known, and what it says is wrong.
    """
    if not isinstance(spec, Mapping):
        raise TriggerError(f"calendar: a mapping is needed, got {spec!r:.60}")
    unknown = spec.keys() - (_OF_COUNTRY if "country" in spec else _OF_OWN)
    if unknown:
        raise UnknownTrigger(f"this release knows no field {', '.join(sorted(map(str, unknown)))[:80]} of a calendar")
    if "country" in spec:
        try:
            source = _source(_text(spec, "country"), _text(spec, "subdivision", ""))
        except MissingExtra as error:
            raise UnknownTrigger(str(error)) from None
    else:
        years, weekend = _numbers(spec, "years"), _numbers(spec, "weekend", (5, 6))
        if len(years) != 2:
            raise TriggerError(f"years: the first and the last are needed, got {years!r:.60}")
        days = (_texts(spec, "holidays"), _texts(spec, "workdays"))
        off, worked = (list(map(_date, each)) for each in days)
        source = own(_text(spec, "name"), off, worked, years=(years[0], years[1]), weekend=weekend)
    known = spec.get("known")
    calendar = Calendar(
        source=source,
        days=_text(spec, "days"),  # type: ignore[arg-type]  # checked there
        unknown=_text(spec, "unknown"),  # type: ignore[arg-type]
        known=known,
    )
    last = source.last_year()
    if known is not None and last is not None and last < known:
        raise UnknownTrigger(f"{calendar.name} is known up to {last} here, and up to {known} elsewhere")
    return calendar


def _source(country: object, subdivision: object) -> Source:
    if not (isinstance(country, str) and isinstance(subdivision, str) and 1 < len(country + subdivision) < 40):
        raise TriggerError(f"country: an ISO code such as 'DE' is needed, got {country!r:.60}")
    if country.upper() == "CN" and not subdivision:
        return China()
    return Country(country.upper(), subdivision.upper())


def _date(value: object) -> date:
    if type(value) is date:
        return value
    try:
        if isinstance(value, str) and len(value) <= 20:
            return date.fromisoformat(value.strip())
    except ValueError:
        pass
    raise TriggerError(f"{value!r:.60} is not a date; write such as '2026-12-24'")


def _text(spec: Mapping[str, object], name: str, default: str | None = None) -> str:
    value = spec.get(name, default)
    if not isinstance(value, str):
        raise TriggerError(f"{name}: text is needed, got {value!r:.60}")
    return value


def _texts(spec: Mapping[str, object], name: str) -> Sequence[object]:
    value = spec.get(name, ())
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TriggerError(f"{name}: a list of dates is needed, got {value!r:.60}")
    return value


def _numbers(spec: Mapping[str, object], name: str, default: Sequence[int] = ()) -> list[int]:
    value = spec.get(name, default)
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(type(each) is int for each in value):
        raise TriggerError(f"{name}: a list of numbers is needed, got {value!r:.60}")
    return list(value)
