"""What came of many simulations, in figures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tickonce.testing.judging import Verdict
from tickonce.testing.simulation.simulate import Outcome

#: What a seed must have looked at on the average, by the names of ``Verdict.count``: with less, the mix has dried up.
LEAST_A_SEED: Mapping[str, float] = {
    "fires": 100,
    "done": 60,
    "by_hand": 0.2,
    "recovered": 0.5,
    "retried": 0.5,
    "edits": 5,
    "edits.change": 0.4,
    "edits.pause": 0.3,
    "edits.resume": 0.15,
    "edits.remove": 0.2,
    "skipped.misfire": 1,
    "skipped.overlap": 2,
    "skipped.paused": 0.5,
    "skipped.catch-up window": 0.1,
    "skipped.too late": 0.1,
    "faults": 8,
    "faults.kill": 0.4,
    "faults.linger": 0.2,
    "faults.fell": 0.1,
    "faults.freeze": 0.3,
    "faults.sleep": 0.1,
    "faults.cut": 0.3,
    "faults.restart": 0.2,
    "faults.deploy": 0.5,
    "faults.outage": 0.2,
    "faults.step": 0.1,
    "faults.lock": 0.1,
    "faults.lose launch": 0.1,
    "faults.lose finish": 0.05,
    "faults.crash": 0.2,
    "faults.refused": 0.05,
}
#: With fewer seeds than this, chance alone may miss a kind.
ENOUGH_SEEDS = 100


@dataclass(slots=True)
class Figures:
    """Counts over seeds; figures can be added up.

    Attributes:
        bad: What was wrong, as lines, by seed.
    """

    verdict: Verdict = field(default_factory=Verdict)
    bad: dict[int, list[str]] = field(default_factory=dict)
    seeds: int = 0
    events: int = 0
    simulated: timedelta = timedelta(0)
    node_time: timedelta = timedelta(0)
    cpu_s: float = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the CPU time of the block."""
        began = os.times()
        yield
        ended = os.times()
        self.cpu_s += ended.user + ended.system - began.user - began.system

    def take(self, seed: int, outcome: Outcome) -> None:
        """Take in what came of a seed."""
        self.seeds += 1
        self.events += outcome.events
        self.simulated += outcome.simulated
        self.node_time += outcome.simulated * outcome.scenario.nodes
        if not outcome.verdict.clean:
            self.bad[seed] = outcome.verdict.told(3).splitlines()
        outcome.verdict.lateness, outcome.verdict.recovered_after = [], []  # too many to keep
        outcome.verdict.violations = []
        self.verdict.add(outcome.verdict)

    def add(self, other: Figures) -> None:
        """Take in other figures."""
        self.verdict.add(other.verdict)
        self.bad.update(other.bad)
        self.seeds += other.seeds
        self.events += other.events
        self.simulated += other.simulated
        self.node_time += other.node_time
        self.cpu_s += other.cpu_s

    def lacking(self, least: Mapping[str, float]) -> list[str]:
        """Return what was looked at too little; nothing is said about a few seeds."""
        if self.seeds < ENOUGH_SEEDS:
            return [] if self.verdict.fires else ["not one fire"]
        wanted = {name: int(number * self.seeds) for name, number in least.items()}
        faults = self.faults()
        return [
            f"{name}: {found}, at least {number} are needed"
            for name, number in wanted.items()
            if (found := faults[name[7:]] if name.startswith("faults.") else self.verdict.count(name)) < number
        ]

    def faults(self) -> Counter[str]:
        """Return faults by kind; those of single calls also by what happened, whatever the verb was."""
        found = Counter(self.verdict.faults)
        for name, number in self.verdict.faults.items():
            kind = name.partition(" ")[0]
            if kind != name:
                found[kind] += number
        return found

    def form(self) -> dict[str, Any]:
        """Return them for JSON."""
        whole = self.verdict.form()
        for name in [name for name in whole if name.startswith(("lateness", "recovered_after", "violations"))]:
            del whole[name]
        hours = self.simulated / timedelta(hours=1)
        return {
            **whole,
            "clean": not self.bad,
            "seeds": self.seeds,
            "bad_seeds": sorted(self.bad),
            "fleet_hours": round(hours, 2),
            "node_hours": round(self.node_time / timedelta(hours=1), 2),
            "cpu_s": round(self.cpu_s, 2),
            "fleet_hours_per_cpu_s": round(hours / self.cpu_s, 2) if self.cpu_s else None,
            "events": self.events,
        }

    def told(self) -> str:
        """Return them as lines for people."""
        form, faults = self.form(), self.verdict.faults
        single = Counter[str]()
        for name, number in faults.items():
            if " " in name:
                single[name.rpartition(" ")[0]] += number
        whole = {name: number for name, number in faults.items() if " " not in name}
        verdict = self.verdict
        lines = (
            ("seeds", f"{self.seeds}, {len(self.bad)} with violations"),
            ("simulated", f"{form['fleet_hours']} fleet-hours, {form['node_hours']} node-hours"),
            ("speed", f"{form['fleet_hours_per_cpu_s']} fleet-hours a second of CPU, of which {form['cpu_s']} s"),
            ("fires checked", f"{verdict.fires}; carried out {verdict.done}, by hand {verdict.by_hand}"),
            ("calls", f"{verdict.calls}; recovered {verdict.recovered}, retried {verdict.retried}"),
            ("skips that hold", _counts(verdict.skipped)),
            ("edits", _counts(verdict.edits)),
            ("faults", _counts(whole)),
            ("single calls", _counts(single)),
        )
        return "\n".join(f"{name:<15}  {text}" for name, text in lines)


def _counts(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    return f"{total}: " + ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))
