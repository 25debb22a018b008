"""A process that still runs a job while others believe it dead, or that cannot say in time that it lives."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.regressions.scenes import MINUTE, SECOND, put
from tests.servers import wait_until
from tickonce import Scheduler, current_run, every
from tickonce.jobs import Jobs
from tickonce.model import Run, RunState
from tickonce.testing.fleet import Fleet

LEASE = 2 * SECOND
QUICK: dict[str, Any] = {
    "lease": LEASE,
    "beat": timedelta(milliseconds=500),
    "margin": timedelta(milliseconds=500),
}


class TestThePartitionOfARunnerThatStillRuns:
    """Its process is cut off from the store in the midst of a job; the job goes on, and others hear nothing of it.

    Attributes:
        orders: What the job does to the outside world, which takes each idempotency key once.
    """

    @pytest.fixture(autouse=True)
    def two_processes(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.orders: dict[str, str] = {}
        self.told: list[tuple[datetime, str]] = []
        self.jobs = Jobs()
        self.jobs.job(name="order")(self.order)

    def order(self) -> str:
        """The first attempt is cut off for a minute; it looks once a second whether it may go on."""
        run = current_run()
        self.say(f"attempt {run.attempt} begins")
        try:
            if run.attempt == 1:
                victim = next(node for node in self.fleet.nodes if node.id == run.node)
                victim.faults.down = True
                for other in self.fleet.nodes:
                    if other is not victim:
                        other.runner.takes = self.second_takes
                for _ in range(60):
                    self.fleet.run_for(SECOND)
                    run.check()
                victim.faults.down = False
            self.orders.setdefault(run.token, f"attempt {run.attempt}")
        finally:
            self.say(f"attempt {run.attempt} ends")
        return f"attempt {run.attempt}"

    def say(self, text: str) -> None:
        self.told.append((self.fleet.clock.wall(), text))

    def scene(self, *, second_takes: timedelta = timedelta(0), **policy: Any) -> None:
        """Let the run of 13:01 begin in one of two processes, which is cut off then; the other one takes over."""
        put(self.fleet.store, "returns", every("1m"), job="order", **policy)
        self.second_takes = second_takes
        for _ in range(2):
            self.fleet.node(self.jobs)
        self.fleet.run_for(2.5 * MINUTE)

    def first(self) -> Run:
        return self.fleet.runs("returns")[0]

    def said(self, text: str) -> list[datetime]:
        return [at for at, said in self.told if said == text][:1]

    def test_its_late_outcome_is_dropped_and_its_effect_has_the_same_key(self) -> None:
        self.scene()
        run = self.first()
        assert self.said("attempt 2 begins") < self.said("attempt 1 ends"), "both ran at the same time"
        assert (run.state, run.attempt, run.losses, run.result) == (RunState.SUCCEEDED, 2, 1, '"attempt 2"')
        assert len(self.orders) == len(self.fleet.runs("returns"))
        assert self.orders[run.token] == "attempt 2"

    def test_a_job_that_must_not_be_called_twice_is_not(self) -> None:
        self.scene(on_lost="fail")
        assert (self.first().state, self.first().losses) == (RunState.LOST, 1)
        assert not self.said("attempt 2 begins")

    def test_a_job_that_looks_is_told_before_anybody_else_begins_it(self) -> None:
        self.scene(when_cut_off="cancel")
        assert [] != self.said("attempt 1 ends") < self.said("attempt 2 begins") != []
        assert (self.first().state, self.first().attempt) == (RunState.SUCCEEDED, 2)
        assert self.orders[self.first().token] == "attempt 2"

    def test_its_late_outcome_does_not_end_the_attempt_that_runs_now(self) -> None:
        """The second attempt takes minutes; it is at work when the first one's process is back with its outcome."""
        self.scene(second_takes=3 * MINUTE)
        assert self.said("attempt 1 ends")
        assert not self.said("attempt 2 begins")
        run = self.first()
        assert (run.state, run.attempt, run.result) == (RunState.RUNNING, 2, None)
        self.fleet.run_for(3 * MINUTE)
        assert (self.first().state, self.first().result) == (RunState.SUCCEEDED, '"attempt 2"')


class TestALeaseThatNobodyRenews:
    """A job holds up the very loop that would say that its process lives: it is run again, beside itself."""

    def test_a_coroutine_that_blocks_the_event_loop_for_longer_than_the_lease_is_run_once(self, tmp_path: Path) -> None:
        calls: list[tuple[str, int]] = []
        url = f"sqlite:///{tmp_path}/fleet.db?sync=normal"

        async def block() -> None:
            run = current_run()
            calls.append((run.token, run.attempt))
            time.sleep(1.75 * LEASE.total_seconds())  # noqa: ASYNC251  # the very fault

        with ExitStack() as opened:
            schedulers = [opened.enter_context(Scheduler(url, **QUICK)) for _ in range(2)]
            for scheduler in schedulers:
                scheduler.job(name="block")(block)
            schedulers[0].add("it", "block", every("1h"))
            for scheduler in schedulers:
                scheduler.start()
            began = schedulers[0].store.instant()
            # A witness has watched for a whole lease: from now on it would judge.
            wait_until(lambda: schedulers[0].store.instant() - began > 1.2 * LEASE, "a lease", within=MINUTE)
            token = schedulers[0].run_now("it", key="k").token
            wait_until(lambda: not schedulers[0].run(token).state.open, "the run has ended", within=MINUTE)
            run = schedulers[0].run(token)
        assert (run.state, run.attempt, run.losses) == (RunState.SUCCEEDED, 1, 0)
        assert calls == [(token, 1)]
