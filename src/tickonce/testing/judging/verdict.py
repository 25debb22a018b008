"""The verdict: what was wrong, and how much was looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from math import ceil
from typing import Any, Self


class Kind(StrEnum):
    """Kinds of violations."""

    DOUBLED = "doubled"  # launched or called more often than it should
    MISSED = "missed"  # neither a run nor a skip record
    EARLY = "early"  # called before its time
    LATE = "late"  # called later than a fleet in this condition may
    STALE = "stale"  # something was taken from an attempt that was not the newest
    UNEXPLAINED = "unexplained"  # a skip whose reason does not hold
    OVERLAP = "overlap"  # two runs at once where only one is allowed
    UNEXPECTED = "unexpected"  # nobody asked for it
    ENDLESS = "endless"  # a run that never ended
    UNFOUNDED = "unfounded"  # the store says what the ledger does not bear out


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be.

    Attributes:
        subject: The fire or run, as text.
        text: What is wrong with it.
    """

    kind: Kind
    schedule_id: str
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}: {self.text}"


@dataclass(slots=True, kw_only=True)
class Verdict:
    """Violations, and counts of all that was judged; verdicts can be added up.

    Attributes:
        fires: Fires that had to be dealt with.
        done: Of these, how many were carried out.
        by_hand: Runs started by hand that were judged.
        calls: Lines of the ledger.
        skipped: Fires with a skip record that holds, by reason.
        recovered: Calls that carried out again what a harmed node had begun or held.
        retried: Calls that followed a failure.
        edits: Edits that took effect, by kind.
        faults: Faults that were injected, by kind; told by who injected them.
        lateness: From the due time to the first call, of each fire that was carried out; troubles not counted.
        recovered_after: From a harmed attempt's call to the next one's.
    """

    violations: list[Violation] = field(default_factory=list)
    fires: int = 0
    done: int = 0
    by_hand: int = 0
    calls: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    recovered: int = 0
    retried: int = 0
    edits: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    lateness: list[timedelta] = field(default_factory=list)
    recovered_after: list[timedelta] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was wrong. That says little when little was judged: see :meth:`lacking`."""
        return not self.violations

    def of(self, kind: Kind) -> list[Violation]:
        """Return the violations of one kind."""
        return [each for each in self.violations if each.kind is kind]

    def lacking(self, least: Mapping[str, int]) -> list[str]:
        """Return what was looked at too little to mean anything.

        Args:
            least: By name of a count, or ``faults.kind``, ``edits.kind``, ``skipped.reason``: the least number.
        """
        return [
            f"{name}: {found}, at least {number} are needed"
            for name, number in least.items()
            if (found := self.count(name)) < number
        ]

    def count(self, name: str) -> int:
        """Return a count by its name: ``fires``, ``faults`` (all of them), ``faults.crash``."""
        name, _, kind = name.partition(".")
        value = getattr(self, name)
        if isinstance(value, Counter):
            return value[kind] if kind else value.total()
        return value if isinstance(value, int) else len(value)

    def add(self, other: Self) -> None:
        """Take in what another verdict found."""
        self.violations += other.violations
        for name in ("fires", "done", "by_hand", "calls", "recovered", "retried"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("skipped", "edits", "faults"):
            if counts := getattr(other, name):
                getattr(self, name).update(counts)
        self.lateness += other.lateness
        self.recovered_after += other.recovered_after

    def form(self) -> dict[str, Any]:
        """Return it for JSON: every kind of violation with its count, all counts, and the violations as text."""
        kinds = Counter(each.kind for each in self.violations)
        return {
            "clean": self.clean,
            **{str(kind): kinds[kind] for kind in Kind},
            "fires": self.fires,
            "done": self.done,
            "by_hand": self.by_hand,
            "calls": self.calls,
            "skipped": dict(sorted(self.skipped.items())),
            "recovered": self.recovered,
            "retried": self.retried,
            "edits": dict(sorted(self.edits.items())),
            "faults": dict(sorted(self.faults.items())),
            "lateness_p50_ms": _ms(percentile(self.lateness, 50)),
            "lateness_p99_ms": _ms(percentile(self.lateness, 99)),
            "lateness_max_ms": _ms(percentile(self.lateness, 100)),
            "recovered_after_max_ms": _ms(percentile(self.recovered_after, 100)),
            "violations": [str(each) for each in self.violations],
        }

    def told(self, most: int = 20) -> str:
        """Return the violations as lines for people, some of each kind first."""
        lines: list[str] = []
        for kind in Kind:
            found = self.of(kind)
            lines += [str(each) for each in found[:most]]
            if len(found) > most:
                lines.append(f"{kind}: {len(found) - most} more")
        return "\n".join(lines)


def percentile(values: Iterable[timedelta], percent: int) -> timedelta:
    """Return the smallest of *values* that *percent* of them do not exceed; zero where there is none.

    >>> percentile([timedelta(seconds=s) for s in range(1, 201)], 99)
    datetime.timedelta(seconds=198)
    """
    ordered: Sequence[timedelta] = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)] if ordered else timedelta(0)


def _ms(length: timedelta) -> float:
    return round(length / timedelta(milliseconds=1), 1)
