"""What a language must be able to say of triggers, and the two that can.

A sentence is made of phrases in the order of the language, never of translated fragments: English says the time first
and the months last, Chinese the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Protocol

from tickonce.calendars.base import Calendar
from tickonce.triggers.shapes import Shape
from tickonce.triggers.walltimes import DayRule


class Language(Protocol):
    """The grammar of one language: a method for each phrase."""

    def sentence(self, times: str, *, days: str, months: str, years: str, zone: str) -> str:
        """Return the sentence that these phrases make; empty ones are left out. *zone* is a name or empty."""

    def dated(self, dates: str, at: time, *, zone: str) -> str:
        """Return the sentence of dates that come every so often, and a time of day."""

    def clock_times(self, times: Sequence[time], *, daily: bool) -> str:
        """Say fixed times of day; *daily* where no other phrase restricts the days."""

    def each(self, unit: str, number: int) -> str:
        """Say every so many of *unit*, ``second`` to ``year``."""

    def within(self, phrase: str, first: time, last: time) -> str:
        """Say that *phrase* holds from *first* to *last* on the clock."""

    def parts(self, seconds: Shape, minutes: Shape, hours: Shape, *, says_seconds: bool) -> str:
        """Say which seconds of which minutes of which hours."""

    def numbers(self, shape: Shape, rules: Sequence[DayRule]) -> str:
        """Say days of the month."""

    def weekdays(self, shape: Shape, rules: Sequence[DayRule]) -> str:
        """Say weekdays; *rules* are those of the month, such as its last Friday."""

    def either(self, first: str, second: str) -> str:
        """Say that one of the two phrases about days is enough."""

    def as_well(self, first: str, second: str) -> str:
        """Say that both phrases about days must hold."""

    def months(self, shape: Shape) -> str:
        """Say months."""

    def years(self, shape: Shape) -> str:
        """Say years."""

    def with_policies(self, text: str, *, gap: str | None, fold: str | None) -> str:
        """Return *text*, and what holds where the clocks change, as far as it is a choice."""

    def period(self, length: timedelta, *, anchor: datetime | None, shift: timedelta | None, spread: bool) -> str:
        """Say a period of elapsed time."""

    def dates(self, months: int, days: int, anchor: date, *, overflow: str) -> str:
        """Say every so many months or days, counted from *anchor*."""

    def instants(self, shown: Sequence[str], more: int) -> str:
        """Say single instants, of which *more* are not shown."""

    def solar(self, event: str, place: str) -> str:
        """Say an event of the sun at a place."""

    def rule(self, parts: str, start: datetime, zone: str) -> str:
        """Say a recurrence rule, whose parts stay as they are written."""

    def in_zone(self, text: str, zone: str) -> str:
        """Return *text*, all times of which are of *zone*."""

    def any_of(self, sentences: Sequence[str]) -> str:
        """Say a union."""

    def all_of(self, sentences: Sequence[str]) -> str:
        """Say an intersection."""

    def but_not(self, sentence: str, excluded: Sequence[str]) -> str:
        """Say a difference."""

    def on_days(self, sentence: str, calendar: Calendar, *, skip: bool, move: str | None) -> str:
        """Say on which days of *calendar* alone *sentence* holds, and where fires of others go."""

    def weekday(self, day: date) -> str:
        """Return the short name of the weekday of *day*."""

    def length(self, length: timedelta) -> str:
        """Return *length* in units."""

    def count(self, number: int, *, more: bool) -> str:
        """Say how many times something is due; *more* where that is a lower bound."""

    def guess(self, calendar: Calendar, years: Sequence[int]) -> str:
        """Say that *calendar* has no data of these *years*, so that weekdays decide."""

    def unknown(self, kind: str) -> str:
        """Say that this release does not know the trigger."""

    def moved(self, day: date, missing: str, zone: str, due: str, *, on: date) -> str:
        """Say that a time does not come that day, and when, *on* the same or another day, the fire is due instead."""

    def left_out(self, day: date, missing: str, zone: str) -> str:
        """Say that a time does not come that day, and so is not due."""

    def repeated(self, day: date, shown: str, zone: str, *, which: str) -> str:
        """Say that a time comes twice; *which* is ``once``, ``first`` or ``second``."""
