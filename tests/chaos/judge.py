"""The verdict on a fault test, from the ledger that its jobs wrote and from what was asked for; not from our tables.

What had to happen is computed here from the edits and the store's instants of them, by counting seconds: without a
trigger, a planner or a store of ours.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tickonce.model import Skip

Fire = tuple[str, datetime]


@dataclass(frozen=True)
class Span:
    """From *begin* on (not included), a schedule fired every *period* seconds of the epoch; None: not at all."""

    begin: datetime
    period: int | None


@dataclass
class Asked:
    """What was asked for, schedule by schedule: spans in order."""

    spans: dict[str, list[Span]] = field(default_factory=dict)

    def from_then(self, schedule_id: str, begin: datetime, period: int | None) -> None:
        self.spans.setdefault(schedule_id, []).append(Span(begin, period))

    def fires(self, until: datetime) -> set[Fire]:
        """Every fire that had to happen up to *until*."""
        found: set[Fire] = set()
        for schedule_id, spans in self.spans.items():
            for span, after in zip(spans, [*spans[1:], Span(until, None)], strict=True):
                if span.period is not None:
                    end = min(after.begin, until).timestamp()
                    second = int(span.begin.timestamp() // span.period) * span.period + span.period
                    while second <= end:
                        found.add((schedule_id, datetime.fromtimestamp(second, UTC)))
                        second += span.period
        return found


@dataclass(frozen=True)
class Entry:
    """A line of the ledger: one call of a job's function."""

    fire: Fire
    attempt: int
    node: str
    pid: int
    wall: datetime


@dataclass
class Verdict:
    """What the ledger says."""

    expected: int
    done: int
    doubled: list[str]
    missed: list[str]
    extra: list[str]
    early: list[str]
    skipped: int
    recovered: int
    late_p50_ms: float
    late_p99_ms: float

    @property
    def clean(self) -> bool:
        return not (self.doubled or self.missed or self.extra or self.early)


def read_ledger(folder: Path) -> list[Entry]:
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            item = json.loads(line)
            if item["source"] == "schedule":
                at = datetime.fromisoformat(item["at"])
                wall = datetime.fromtimestamp(item["wall"], UTC)
                found.append(Entry((item["schedule"], at), item["attempt"], item["node"], item["pid"], wall))
    return found


def judge(
    asked: Asked,
    ledger: Iterable[Entry],
    *,
    until: datetime,
    skips: Mapping[str, list[Skip]],
    excuses: frozenset[str],
    harmed: frozenset[int],
) -> Verdict:
    """Compare what was asked for with what was done.

    Args:
        until: Fires after this instant are not judged.
        skips: Skip records, which excuse a fire that was not run if their reason is one of *excuses*.
        harmed: Processes that were killed or stopped: only their runs may have a second attempt.
    """
    expected = asked.fires(until)
    entries = [entry for entry in ledger if entry.fire[1] <= until]
    calls = Counter((entry.fire, entry.attempt) for entry in entries)
    done = {entry.fire for entry in entries}
    doubled = [
        f"{_name(fire)} attempt {attempt}: {count} calls" for (fire, attempt), count in calls.items() if count > 1
    ]
    firsts = {entry.fire: entry for entry in sorted(entries, key=lambda entry: -entry.attempt)}
    reruns = [entry for entry in entries if entry.attempt > firsts[entry.fire].attempt]
    doubled += [
        f"{_name(entry.fire)}: rerun of a run of a healthy node"
        for entry in reruns
        if firsts[entry.fire].pid not in harmed
    ]
    absent = expected - done
    missed = [fire for fire in absent if not _excused(fire, skips.get(fire[0], []), excuses)]
    late = sorted((entry.wall - entry.fire[1]).total_seconds() * 1000 for entry in firsts.values())
    return Verdict(
        expected=len(expected),
        done=len(done),
        doubled=sorted(doubled),
        missed=sorted(map(_name, missed)),
        extra=sorted(map(_name, done - expected)),
        early=sorted(_name(entry.fire) for entry in entries if entry.wall < entry.fire[1]),
        skipped=len(absent) - len(missed),
        recovered=len(reruns),
        late_p50_ms=late[len(late) // 2] if late else 0.0,
        late_p99_ms=late[int(len(late) * 0.99)] if late else 0.0,
    )


def _excused(fire: Fire, skips: list[Skip], excuses: frozenset[str]) -> bool:
    return any(skip.first <= fire[1] <= skip.last and skip.reason in excuses for skip in skips)


def _name(fire: Fire) -> str:
    return f"{fire[0]}@{fire[1].isoformat()}"
