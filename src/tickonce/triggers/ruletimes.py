"""The wall times of recurrence rules that are due several times a day: every so many hours, minutes or seconds."""

from __future__ import annotations

from functools import lru_cache
from math import gcd

from tickonce.errors import TriggerError
from tickonce.triggers.instants import DAY
from tickonce.triggers.rruletext import SHORT, Rule
from tickonce.triggers.ruledays import RuleWalls
from tickonce.triggers.walltimes import every_bit


class ShortRuleWalls(RuleWalls):
    """All times of a rule whose periods are hours, minutes or seconds of the wall.

    A day's periods are the bits of one integer: those that the rule's parts allow, and those that its interval meets.
    Which ones the latter are depends on the day, and repeats after some days; so a search goes from a day that the
    parts allow to the next that the interval allows, and never through periods.
    """

    __slots__ = ("_allowed", "_first_period", "_met", "_of_phase", "_per_day", "_phases", "_ring", "_size")

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._size = SHORT[rule.frequency]
        self._per_day = DAY // self._size
        self._first_period = rule.start // self._size
        self._phases = rule.interval // gcd(rule.interval, self._per_day)
        self._allowed = _periods(rule)
        self._met = every_bit(rule.interval, self._per_day)
        self._of_phase = lru_cache(maxsize=32)(self._make_periods)
        reached = _residues(self._allowed, rule.interval)
        self._ring = sum(1 << phase for phase in range(self._phases) if reached >> self._first_met(phase) & 1)

    @staticmethod
    def _times_of(rule: Rule) -> list[int]:
        """Return the times of the rule within one period, in order."""
        hours, minutes, seconds = (0,), (0,), (0,)
        if rule.frequency == "HOURLY":
            minutes = rule.minutes  # type: ignore[assignment]
        if rule.frequency != "SECONDLY":
            seconds = rule.seconds  # type: ignore[assignment]
        times = sorted(h * 3_600 + m * 60 + s for h in hours for m in minutes for s in seconds)
        if not rule.positions:
            return times
        places = {place - 1 if place > 0 else len(times) + place for place in rule.positions}
        return [times[place] for place in sorted(places) if 0 <= place < len(times)]

    @property
    def comb(self) -> tuple[int, int]:
        """A distance and a wall time: no match stands elsewhere than so far from there."""
        times = self._times or [0]
        step = gcd(self._size * self._rule.interval, *(time - times[0] for time in times))
        return step, self._first_period * self._size + times[0]

    def _includes(self, day: int, second: int) -> bool:
        period, rest = divmod(second, self._size)
        return bool(self._of_phase(day % self._phases) >> period & 1) and rest in self._times

    def _included_at_or_after(self, wall: int) -> int | None:
        day, second = divmod(wall, DAY)
        found = self._day_at_or_after(day) if self._times else None
        if found == day:
            period, rest = divmod(second, self._size)
            left = self._of_phase(day % self._phases) >> period
            if left & 1 and rest <= self._times[-1]:
                return wall - rest + next(time for time in self._times if time >= rest)
            left &= ~1
            if left:
                return day * DAY + (period + _lowest(left)) * self._size + self._times[0]
            found = self._day_at_or_after(day + 1)
        if found is None:
            return None
        return found * DAY + _lowest(self._of_phase(found % self._phases)) * self._size + self._times[0]

    def _due_from(self, day: int) -> int:
        """Return the first day from *day* on with a period that parts and interval allow."""
        phase = day % self._phases
        left = self._ring >> phase
        if left:
            return day + _lowest(left)
        # Without any such day all days are looked through in vain, which ends the search.
        return day + self._phases - phase + (_lowest(self._ring) if self._ring else 0)

    def _first_met(self, phase: int) -> int:
        """Return the first period that the interval meets on a day of *phase*, counted from midnight."""
        return (self._first_period - phase * self._per_day) % self._rule.interval

    def _make_periods(self, phase: int) -> int:
        return self._allowed & self._met << self._first_met(phase)


@lru_cache(maxsize=1_024)
def walls_of(rule: Rule) -> RuleWalls:
    """Return the wall times of *rule*; the same object for equal rules, as a count is costly to find the end of.

    Raises:
        TriggerError: It never matches.
    """
    walls = ShortRuleWalls(rule) if rule.frequency in SHORT else RuleWalls(rule)
    if rule.count is not None:
        walls.end_after(rule.count)
    if walls.at_or_after(rule.start) is None:
        raise TriggerError(f"the rule {rule.text[:200]!r} never matches, or hardly ever")
    return walls


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _periods(rule: Rule) -> int:
    """Return the mask of a day's periods that BYHOUR, BYMINUTE and BYSECOND allow, as far as they are about periods."""
    if rule.frequency == "HOURLY":
        return sum(1 << hour for hour in rule.hours)
    of_minutes, width = sum(1 << minute for minute in rule.minutes), 60
    if rule.frequency == "SECONDLY":
        of_seconds, width = sum(1 << second for second in rule.seconds), 3_600
        of_minutes = sum(of_seconds << 60 * minute for minute in rule.minutes)
    return sum(of_minutes << width * hour for hour in rule.hours)


def _residues(mask: int, step: int) -> int:
    """Return the mask of what the places of the bits of *mask* leave when divided by *step*."""
    while (length := mask.bit_length()) > step:
        half = -(-length // (2 * step)) * step  # whole steps, so that folding keeps what is left
        mask = mask >> half | mask & (1 << half) - 1
    return mask
