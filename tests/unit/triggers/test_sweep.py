"""Every change of the clocks of every zone from 1970 to 2037, judged by the oracle: a sample, or all by ``make sweep``.

Around each change four expressions are asked under all policies: one at a time of day that the change touches, in
five fields and with seconds; one that recurs each 20 minutes of the hours around it; and one at midnight.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from tests.unit.triggers.oracle import walk
from tests.unit.triggers.oracle_walls import fires_of
from tests.unit.triggers.test_zones import NAMES, transitions
from tickonce.triggers import Cron
from tickonce.triggers.instants import EPOCH

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
POLICIES = [("after", "once"), ("skip", "once"), ("after", "both"), ("skip", "both")]
AROUND = timedelta(hours=30)
#: A prime, so that the sample walks through zones, years, springs and autumns alike.
SAMPLE = 397


@cache
def changes() -> tuple[tuple[str, datetime], ...]:
    """Return each change once, under the first of the names that share it; aliases are many."""
    found: dict[tuple[int, int, int], tuple[str, datetime]] = {}
    for name in NAMES:
        zone = ZoneInfo(name)
        instants = [EPOCH + timedelta(seconds=second) for second, _ in transitions(name)]
        # The table of a zone whose rule goes on ends early: from there on the rule itself is asked, month by month.
        start = max([FIRST, *instants[-1:]])
        months = [datetime(year, month, 1, tzinfo=UTC) for year in range(start.year, 2038) for month in range(1, 13)]
        months = [month for month in months if month > start]
        instants += list(_by_rule(zone, months))
        for instant in instants:
            before, after = ((instant + timedelta(seconds=each)).astimezone(zone).utcoffset() for each in (-1, 0))
            assert before is not None
            assert after is not None
            if FIRST <= instant < LAST and before != after:
                key = (int(instant.timestamp()), before // timedelta(seconds=1), after // timedelta(seconds=1))
                found.setdefault(key, (name, instant))
    return tuple(found.values())


def _by_rule(zone: ZoneInfo, months: list[datetime]) -> Iterator[datetime]:
    for early, late in pairwise(months):
        before = early.astimezone(zone).utcoffset()
        if late.astimezone(zone).utcoffset() != before:
            low, high = early, late
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2 // timedelta(seconds=1) * timedelta(seconds=1)
                low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
            yield high


def expressions(wall: datetime) -> Iterator[tuple[str, str | None, list[time]]]:
    hours = sorted({(wall.hour + each) % 24 for each in (-1, 0, 1)})
    yield f"{wall.minute} {wall.hour} * * *", None, [time(wall.hour, wall.minute)]
    yield f"7,59 {wall.minute} {wall.hour} * * ?", "quartz", [time(wall.hour, wall.minute, s) for s in (7, 59)]
    shown = ",".join(map(str, hours))
    yield f"*/20 {shown} * * *", None, [time(hour, minute) for hour in hours for minute in (0, 20, 40)]
    yield "0 0 * * *", None, [time()]


def check(name: str, change: datetime) -> None:
    zone = ZoneInfo(name)
    before, after = ((change + timedelta(seconds=each)).astimezone(zone).replace(tzinfo=None) for each in (-1, 0))
    touched = min(before, after) + abs(after - before) / 2
    for text, dialect, times in expressions(touched):
        for gap, fold in POLICIES:
            trigger = Cron(text, name, dialect, gap, fold)
            begin, end = change - AROUND, change + AROUND
            expected = fires_of(lambda _: True, times, zone, begin, end, gap=gap, fold=fold)
            assert walk(trigger, begin, end) == expected, (name, str(change), text, gap, fold)


def test_a_sample_of_all_changes_of_all_zones():
    assert len(changes()) > 5_000
    for name, change in changes()[::SAMPLE]:
        check(name, change)


@pytest.mark.sweep
@pytest.mark.timeout(3_600)
def test_all_changes_of_all_zones():
    for name, change in changes():
        check(name, change)
