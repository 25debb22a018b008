"""The demo's plot: what is done to the fleet while it runs, and what then has to happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tickonce.cli.demo.ledger import read
from tickonce.cli.demo.processes import Process, Processes
from tickonce.cli.demo.stage import Act, Stage, View
from tickonce.durations import format_duration
from tickonce.model import Run, token_of
from tickonce.scheduler import Scheduler
from tickonce.testing.judging import (
    Call,
    Conditions,
    History,
    Kind,
    Period,
    Terms,
    Verdict,
    Within,
    ever_harmed,
    evidence_of,
    judge,
)

#: The job that takes its time: the node that is killed shall be in the middle of it.
SLOW, SLOW_WAIT = "reports", "1500ms"
#: How long the kill may wait for a node that is in the middle of something.
KILL_WAITS = 0.2

#: What is scheduled at first, with periods in seconds: enough that each node has a share.
OPENING = (
    ("orders-br", 1),
    ("orders-cn", 1),
    ("orders-eu", 1),
    ("orders-us", 1),
    ("prices", 1),
    ("rates", 2),
    ("stock", 2),
    (SLOW, 3),
)

_HALF = timedelta(milliseconds=500)
#: Later than this no tick may be, however busy the machine is.
_PROMPT = timedelta(seconds=10)


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


@dataclass(slots=True)
class Play:
    """The fleet's client: adds, edits, pauses, resumes, removes; kills a node; and writes down what is to be expected.

    Attributes:
        end: No schedule has a tick after this instant.
        ahead: How far the clock of the ledger is ahead of the store's.
        prefix: Stands before each id, so that a store that is in use is not disturbed.
        started: Monotonic time at which the fleet stood.
    """

    scheduler: Scheduler
    processes: Processes
    stage: Stage
    feed: str
    ledger: Path
    seconds: float
    started: timedelta
    end: datetime
    ahead: timedelta = timedelta(0)
    prefix: str = ""
    history: History = field(default_factory=History)
    _shown: dict[str, tuple[timedelta, str]] = field(default_factory=dict)
    _done: set[int] = field(default_factory=set)

    # -- the plot ------------------------------------------------------------------------------

    @property
    def plot(self) -> tuple[tuple[float, Callable[[], bool]], ...]:
        """What happens, each from a part of the time on; False is: not yet."""
        return (
            (0.00, self._opening),
            (0.20, lambda: self._add("returns", _seconds(1))),
            (0.28, lambda: self._edit("orders-us", _HALF)),
            (0.36, lambda: self._pause("prices", "the supplier is closed")),
            (0.50, self._kill),
            (0.60, lambda: self._edit("stock", _seconds(1))),
            (0.68, lambda: self._resume("prices")),
            (0.80, lambda: self._remove("returns")),
        )

    @property
    def elapsed(self) -> float:
        """Seconds since the fleet stood."""
        return (self.scheduler.clock.monotonic() - self.started).total_seconds()

    def step(self) -> None:
        """Do what is due by now."""
        part = self.elapsed / self.seconds
        for number, (at, act) in enumerate(self.plot):
            if number not in self._done and part >= at and act():
                self._done.add(number)

    @property
    def over(self) -> bool:
        """Whether all of the plot is done."""
        return len(self._done) == len(self.plot)

    def _opening(self) -> bool:
        for name, period in OPENING:
            self._add(name, _seconds(period))
        return True

    # -- edits ---------------------------------------------------------------------------------

    def _add(self, name: str, period: timedelta) -> bool:
        url = f"{self.feed}/{name}" + (f"?wait={SLOW_WAIT}" if name == SLOW else "")
        after = self.scheduler.add(
            self.prefix + name,
            "demo.fetch",
            _every(period),
            kwargs={"url": url, "ledger": str(self.ledger)},
            misfire="all",
            overlap="allow",
            end=self.end,
        )
        self.history.add(after.id, self._terms(period), after.created_at)
        self._tell("added", name, period, "active", _every(period))
        return True

    def _edit(self, name: str, period: timedelta) -> bool:
        before, _ = self._shown[name]
        after = self.scheduler.update(self.prefix + name, trigger=_every(period))
        self.history.change(after.id, self._terms(period), after.updated_at)
        self._tell("edited", name, period, "active", f"{_every(before)} -> {_every(period)}")
        return True

    def _pause(self, name: str, reason: str) -> bool:
        after = self.scheduler.pause(self.prefix + name, reason=reason)
        self.history.pause(after.id, after.updated_at)
        self._tell("paused", name, self._shown[name][0], "paused", f'"{reason}"')
        return True

    def _resume(self, name: str) -> bool:
        period, _ = self._shown[name]
        after = self.scheduler.resume(self.prefix + name)
        self.history.resume(after.id, after.updated_at)
        self._tell("resumed", name, period, "active", "from now on; the ticks meanwhile stay skipped")
        return True

    def _remove(self, name: str) -> bool:
        earliest = self.scheduler.store.instant()
        self.scheduler.remove(self.prefix + name)
        self.history.remove(self.prefix + name, earliest, latest=self.scheduler.store.instant())
        self._tell("removed", name, self._shown[name][0], "removed", "")
        return True

    def _terms(self, period: timedelta) -> Terms:
        return Terms(rhythm=Within(Period(period), end=self.end), misfire="all", overlap="allow")

    def _tell(self, verb: str, name: str, period: timedelta, state: str, text: str) -> None:
        self._shown[name] = (period, state)
        self.stage.note(self.elapsed, verb, name, text)

    # -- the kill ------------------------------------------------------------------------------

    def _kill(self) -> bool:
        """Kill a node in the middle of the slow job, or, when none is for a while, any node."""
        living = {process.name: process for process in self.processes.living}
        for run in self._running():
            victim = living.get(node_name(run.node or ""))
            if run.schedule_id == self.prefix + SLOW and victim is not None:
                self._kill_now(victim, f"in the middle of {SLOW} {run.scheduled_time:%H:%M:%S}")
                return True
        if self.elapsed / self.seconds < 0.5 + KILL_WAITS:
            return False
        self._kill_now(next(iter(living.values())), "")
        return True

    def _kill_now(self, victim: Process, text: str) -> None:
        self.processes.kill(victim)
        self.stage.note(self.elapsed, "killed", victim.name, f"SIGKILL, {text}" if text else "SIGKILL")

    def _running(self) -> list[Run]:
        return list(self.scheduler.runs(states=["running"], schedule_id=self.prefix + SLOW, limit=20).items)

    # -- looking -------------------------------------------------------------------------------

    def view(self) -> View:
        """Return how it stands."""
        rows = read(self.ledger)
        by: dict[str, Counter[str]] = {}
        for row in rows:
            by.setdefault(row.schedule_id, Counter())[row.node] += 1
        noted = {(row.schedule_id, row.scheduled_time) for row in rows}
        now = self.scheduler.clock.wall()
        expected = {self.prefix + name: len(self.history.fires(self.prefix + name, now)) for name in self._shown}
        done = Counter(schedule_id for schedule_id, _ in noted)
        acts = [
            Act(
                name,
                _every(period),
                state,
                expected[self.prefix + name],
                done[self.prefix + name],
                by.get(self.prefix + name, {}),
            )
            for name, (period, state) in self._shown.items()
        ]
        nodes = [(process.name, process.popen.pid, not process.ended) for process in self.processes.all]
        return View(self.elapsed, self.seconds, acts, nodes)

    def settled(self) -> bool:
        """Whether all that had to happen has happened, and nothing is open any more."""
        found = self.verdict()
        return not found.of(Kind.MISSED) and not found.of(Kind.ENDLESS)

    def verdict(self) -> Verdict:
        """Judge the ledger by arithmetic on definitions and the times of edits."""
        calls = [
            Call(
                token=token_of(row.schedule_id, row.scheduled_time),
                schedule_id=row.schedule_id,
                scheduled_time=row.scheduled_time,
                attempt=row.attempt,
                node=row.node,
                began=row.started_at - self.ahead,
            )
            for row in read(self.ledger)
        ]
        killed = [process.name for process in self.processes.all if process.killed]
        return judge(
            self.history,
            evidence_of(self.scheduler.store, calls, ids=self.history.schedules),
            Conditions(until=self.end, harmed=ever_harmed(killed), prompt=_PROMPT),
        )

    def clear(self) -> None:
        """Remove the schedules from a store that stays."""
        for name, (_, state) in self._shown.items():
            if state != "removed":
                self.scheduler.remove(self.prefix + name)


def node_name(node: str) -> str:
    """Return the name in a node's id: what stands before its pid.

    >>> node_name("node-2-4711-1f0a9c3e")
    'node-2'
    """
    return node.rsplit("-", 2)[0]


def _every(period: timedelta) -> str:
    return f"every {format_duration(period)}"
