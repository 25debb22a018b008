"""What became of the ticks: the ledger against the expectation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil
from typing import Any

from tickonce.cli.demo.expectation import Tick
from tickonce.cli.demo.ledger import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Counts of ticks.

    Attributes:
        expected: That had to happen, and those that might and did.
        done: Of these, how many the ledger holds at least once.
        doubled: Rows too many: launched twice, or carried out again though nobody was killed.
        missed: Expected, not done.
        unexpected: Done, though no definition demanded it at that time.
        skipped: Not done just before a pause or removal, and recorded as skipped.
        recovered: Carried out again, or at last, as a later attempt, because their node was killed.
        recovered_after: How late the latest of these was.
        lateness: From the scheduled time to the job's first line, for each tick whose first attempt was noted.
        odd: Some of the ticks that are doubled, missed or unexpected, for people.
    """

    expected: int
    done: int
    doubled: int
    missed: int
    unexpected: int
    skipped: int
    recovered: int
    recovered_after: timedelta
    lateness: tuple[timedelta, ...]
    odd: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether each tick that had to happen was launched once, and no other."""
        return self.doubled == self.missed == self.unexpected == 0

    @property
    def p50(self) -> timedelta:
        """Lateness of the middle one."""
        return percentile(self.lateness, 50)

    @property
    def p99(self) -> timedelta:
        """Lateness that 99 of 100 do not exceed."""
        return percentile(self.lateness, 99)

    def form(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return {
            "expected": self.expected,
            "done": self.done,
            "doubled": self.doubled,
            "missed": self.missed,
            "unexpected": self.unexpected,
            "skipped": self.skipped,
            "recovered": self.recovered,
            "lateness_p50_ms": _ms(self.p50),
            "lateness_p99_ms": _ms(self.p99),
        }


def judge(
    must: Collection[Tick],
    may: Collection[Tick],
    rows: Iterable[Row],
    *,
    skipped: Collection[Tick],
    killed: Collection[str],
    ahead: timedelta = timedelta(0),
) -> Verdict:
    """Compare what had to happen with what the ledger says.

    Args:
        must: Ticks that had to be done.
        may: Ticks that may be done, or recorded as skipped instead.
        rows: The ledger.
        skipped: Those of *may* that have a skip record.
        killed: Names of the nodes that were killed.
        ahead: How far the clock of ``started_at`` is ahead of the one that ticks go by.
    """
    found: dict[Tick, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.schedule_id, row.scheduled_time].append(row)
    allowed = {*must, *may}
    unexpected = [tick for tick in found if tick not in allowed]
    missed = [tick for tick in must if tick not in found]
    missed += [tick for tick in may if tick not in found and tick not in skipped]
    doubled: list[Tick] = []
    recovered = 0
    recovered_after = timedelta(0)
    lateness: list[timedelta] = []
    for tick, group in found.items():
        again = [row for row in group if row.attempt > 1]
        doubled += [tick] * _too_many(group, killed)
        if again:
            recovered += 1
            recovered_after = max(recovered_after, *(row.started_at - ahead - tick[1] for row in again))
        lateness += [row.started_at - ahead - tick[1] for row in group if row.attempt == 1][:1]
    done = sum(tick in found for tick in allowed)
    return Verdict(
        expected=done + len(missed),
        done=done,
        doubled=len(doubled),
        missed=len(missed),
        unexpected=len(unexpected),
        skipped=sum(tick not in found and tick in skipped for tick in may),
        recovered=recovered,
        recovered_after=recovered_after,
        lateness=tuple(sorted(lateness)),
        odd=tuple(
            f"{word}: {schedule_id} at {time:%H:%M:%S.%f}"
            for word, ticks in (("doubled", doubled), ("missed", missed), ("unexpected", unexpected))
            for schedule_id, time in sorted(ticks)[:5]
        ),
    )


def percentile(values: Sequence[timedelta], percent: int) -> timedelta:
    """Return the smallest of the sorted *values* that *percent* of them do not exceed; zero where there is none.

    >>> percentile([timedelta(seconds=s) for s in range(1, 201)], 99)
    datetime.timedelta(seconds=198)
    """
    if not values:
        return timedelta(0)
    return values[max(0, ceil(len(values) * percent / 100) - 1)]


def within(first: datetime, last: datetime, schedule_id: str, ticks: Iterable[Tick]) -> set[Tick]:
    """Return those of *ticks* that a skip record of *schedule_id* from *first* to *last* covers."""
    return {tick for tick in ticks if tick[0] == schedule_id and first <= tick[1] <= last}


def _too_many(group: Sequence[Row], killed: Collection[str]) -> int:
    """Return how many rows of one tick are no recovery: each later attempt has to follow one of a killed node."""
    ordered = sorted(group, key=lambda row: row.attempt)
    return sum(not (later.attempt > before.attempt and before.node in killed) for before, later in pairwise(ordered))


def _ms(length: timedelta) -> float:
    return round(length / timedelta(milliseconds=1), 1)
