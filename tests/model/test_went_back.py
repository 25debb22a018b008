"""What the model found in the code: a store that lost the tail of its commits, as after a failover."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tickonce.config import NodeConfig
from tickonce.context import current_run
from tickonce.editing import Create
from tickonce.jobs import Jobs
from tickonce.model import Definition, Reason, Run, RunState
from tickonce.stores.memory import MemoryStore
from tickonce.testing.clock import FakeClock
from tickonce.testing.fleet import Fleet, FleetNode
from tickonce.triggers import every

SECOND = timedelta(seconds=1)
TABLES = ("schedules", "runs", "skips", "_open")


class Failover:
    """A fleet whose store loses, when told, all that it has confirmed since just before a call of some verb."""

    def __init__(self) -> None:
        self.clock = FakeClock(datetime(2026, 11, 21, 13, 0, 0, 500_000, tzinfo=UTC))
        self.store = MemoryStore(clock=self.clock)
        self.fleet, self.jobs = Fleet(self.store, self.clock), Jobs()
        self.jobs.job(name="note")(lambda: self.fleet.ledger.append((current_run().token, current_run().attempt)))
        definition = Definition(job="note", trigger=every("10s"))
        self.store.change("s", Create(schedule_id="s", definition=definition))

    def first_fire(self, node: FleetNode, *, keep_before: str) -> Run:
        """Let the first fire come; return its run."""
        node.faults.before(keep_before, self._keeping())
        return self.fleet.run_for(12 * SECOND)[0]

    def _keeping(self) -> Callable[[], None]:
        self._kept: dict[str, object] = {}
        tables = self.store._tables
        return lambda: self._kept.update((name, copy.deepcopy(getattr(tables, name))) for name in TABLES)

    def go_back(self) -> None:
        """Lose what came since."""
        for name, rows in self._kept.items():
            setattr(self.store._tables, name, rows)


@pytest.fixture
def failover() -> Failover:
    return Failover()


def test_a_run_whose_outcome_the_store_has_lost_still_ends(failover):
    """The launch is kept, the outcome is not: the node holds a run that its door knows as ended."""
    run = failover.first_fire(failover.fleet.node(failover.jobs), keep_before="finish")
    assert run.state is RunState.SUCCEEDED
    failover.go_back()
    assert failover.store.run(run.token).state is RunState.RUNNING

    failover.fleet.run_for(60 * SECOND)

    found = failover.store.run(run.token)
    assert not found.state.open, "no other node will ever end it, and overlap='skip' keeps every later fire out"
    assert [entry for entry in failover.fleet.ledger if entry[0] == run.token] == [(run.token, 1)]


def test_a_fire_whose_launch_the_store_has_lost_has_a_run_or_a_skip_record(failover):
    """The node remembers the watermark, so nobody launches the fire again; what became of it is not known."""
    run = failover.first_fire(failover.fleet.node(failover.jobs, config=NodeConfig(slots=0)), keep_before="launch")
    assert run.state is RunState.PENDING
    failover.go_back()
    assert failover.store.run(run.token) is None

    failover.fleet.run_for(60 * SECOND)

    (skip,) = [skip for skip in failover.store.skips("s").items if skip.reason == Reason.REWOUND]
    assert (skip.first, skip.last, skip.count) == (run.scheduled_time, run.scheduled_time, 1)
    assert failover.store.run(run.token) is None, "it may have run, so it is not launched again"
    assert failover.fleet.runs()[0].scheduled_time == run.scheduled_time + 10 * SECOND, "the next one is launched"
