"""What was asked for, what came of it, and whether that says anything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from tests.chaos.storm.bands import Kill
from tests.chaos.storm.latencies import Latency
from tests.chaos.storm.pace import LEASE_S
from tests.chaos.storm.plan import Fault
from tests.chaos.storm.workload import FIRES_A_SECOND
from tickonce.testing.judging import Verdict

_ERROR = re.compile(r"^\S+ \S+ \S+ \S+ (ERROR|CRITICAL) |^\w.*(Warning|Error): |^Exception ", re.MULTILINE)

#: Of a node that leaves while the store is away. Whether its runs may then be carried out again is for the judge.
_JUDGED = re.compile(r"outcome\(s\) could not be written; those runs count as lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What is asked for.

    Attributes:
        store: A kind of server, ``sqlite``, or the URL of a store.
        seconds: How long faults come.
        nodes: How many nodes there are.
        seed: Decides the plan.
        folder: Where everything is written; empty.
    """

    store: str
    seconds: float
    nodes: int
    seed: int
    folder: Path

    @property
    def command(self) -> str:
        """The command that does it again."""
        store = self.store
        if "://" in store:
            store = f"'{make_url(store).render_as_string(hide_password=True)}'"
        return f"make chaos SECONDS={self.seconds:g} STORE={store} NODES={self.nodes} SEED={self.seed}"


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of a storm.

    Attributes:
        recovery: From a kill to the next call of what the killed node held.
        service: From the due time to the first call of fires behind a kill.
        complaints: What else must not be: nodes that ended by themselves, errors in their logs, a fleet without rest.
        plan: The faults that were planned.
        kills: Those that happened, with what excuses them.
        left_out: Faults that could not be injected here, with the reason.
        failed: Planned faults that did not happen, with the reason.
        lost: Commits and replies of nodes that were lost.
        unknown: Edits whose outcome nobody learned, by kind.
        skewed: Calls in processes whose wall clock was wrong by more than half a second.
        in_vain: Processes that found no store when they started, and ended.
    """

    storm: Storm
    verdict: Verdict
    recovery: Latency
    service: Latency
    complaints: Sequence[str]
    plan: Sequence[Fault]
    kills: Sequence[Kill]
    left_out: Sequence[str]
    failed: Sequence[str]
    lost: Mapping[str, int]
    unknown: Mapping[str, int]
    skewed: int
    in_vain: int
    logs: str = field(repr=False)

    @property
    def picture(self) -> Path:
        """Where the picture is."""
        return self.storm.folder / "storm.svg"

    @property
    def wrong(self) -> list[str]:
        """What must not be, as lines for people."""
        lines = self.verdict.told().splitlines()
        lines += [f"recovered too late after a kill: {each}" for each in self.recovery.beyond]
        lines += [f"served too late after a kill: {each}" for each in self.service.beyond]
        return [*lines, *self.complaints]

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong, no aim was missed, and enough was looked at."""
        return not self.wrong and not self.lacking

    @property
    def lacking(self) -> list[str]:
        """What was looked at too little to mean anything, compared with the plan and with what the time allows."""
        seconds = self.storm.seconds
        kinds = Counter(fault.what for fault in self.plan)
        found = self.verdict.lacking(
            {
                "fires": int(seconds * FIRES_A_SECOND * 0.9),
                "done": int(seconds * FIRES_A_SECOND * 0.5),
                "recovered": max(1, int(seconds / 60)),
                "retried": int(seconds / 4),
                "edits": int(seconds / 5),
                # Most must have happened: one may find that the process has just ended, or that there is no commit.
                "faults": max(4, len(self.plan) * 3 // 4),
                **{f"faults.{what}": max(1, number // 2) for what, number in kinds.items()},
            }
        )
        alone = sum(not kill.excuse for kill in self.kills)
        least = {
            "kills that stand alone": (alone, max(1, sum(fault.alone for fault in self.plan) // 2)),
            "fires behind such kills": (len(self.service.judged), int(alone * LEASE_S)),
            # What one killed node happened to hold is chance; that several held nothing is not.
            "runs recovered after such kills": (len(self.recovery.judged), alone // 3),
            "calls by a wrong clock": (self.skewed, int(any(fault.skews for fault in self.plan))),
        }
        return found + [
            f"{name}: {number}, at least {wanted} are needed"
            for name, (number, wanted) in least.items()
            if number < wanted
        ]

    def form(self) -> dict[str, Any]:
        """Return it for JSON."""
        storm = self.storm
        return {
            "ok": self.ok,
            "store": storm.store.partition("://")[0],
            "seconds": storm.seconds,
            "nodes": storm.nodes,
            "seed": storm.seed,
            **self.verdict.form(),
            "complaints": list(self.complaints),
            "recovery": self.recovery.form(),
            "service": self.service.form(),
            "kills_alone": sum(not kill.excuse for kill in self.kills),
            "faults_planned": len(self.plan),
            "faults_failed": list(self.failed),
            "left_out": list(self.left_out),
            "commits_lost": dict(sorted(self.lost.items())),
            "edits_unknown": dict(sorted(self.unknown.items())),
            "calls_by_wrong_clock": self.skewed,
            "starts_in_vain": self.in_vain,
            "lacking": self.lacking,
            "picture": str(self.picture),
            "again": storm.command,
        }

    def told(self) -> str:
        """Return what is wrong or lacking, as lines for people."""
        return "\n".join([*self.wrong, *(f"too little to mean anything: {each}" for each in self.lacking)])


def complaints_of(logs: Mapping[str, str]) -> list[str]:
    """Return the errors that nodes have logged, and what ended a thread. A store that is away is only a warning.

    Args:
        logs: Text by name.
    """
    found = []
    for name, text in logs.items():
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if _ERROR.match(line) and not _JUDGED.search(line):
                found.append(f"{name}: {line}")
            elif line.startswith("Traceback"):
                found.append(f"{name}: " + " / ".join(each.strip() for each in lines[number : number + 40])[:2000])
    return found
