"""What the demo says about its ticks: the judge's verdict in few words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tickonce.testing.judging import Kind, Verdict, percentile

_NAMED = (Kind.DOUBLED, Kind.MISSED, Kind.UNEXPECTED)


@dataclass(frozen=True, slots=True)
class Account:
    """Counts of ticks, for people and for JSON."""

    verdict: Verdict

    @property
    def good(self) -> bool:
        """Whether each tick that had to happen was launched once, and no other."""
        return self.verdict.clean

    @property
    def recovered_after(self) -> timedelta:
        """How late the latest tick was that was carried out again."""
        return percentile(self.verdict.recovered_after, 100)

    @property
    def odd(self) -> list[str]:
        """Some of what is wrong, as lines."""
        return self.verdict.told(most=5).splitlines()

    def form(self) -> dict[str, Any]:
        """Return the counts for JSON; ``wrong`` is whatever has no word of its own here."""
        whole = self.verdict.form()
        return {
            "expected": self.verdict.done + whole[Kind.MISSED],
            "done": self.verdict.done,
            **{str(kind): whole[kind] for kind in _NAMED},
            "wrong": sum(whole[kind] for kind in Kind if kind not in _NAMED),
            "skipped": self.verdict.skipped.total(),
            "recovered": self.verdict.recovered,
            "lateness_p50_ms": whole["lateness_p50_ms"],
            "lateness_p99_ms": whole["lateness_p99_ms"],
        }
