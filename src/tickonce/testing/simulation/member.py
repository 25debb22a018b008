"""A place in the fleet where a node runs: started, killed, stopped, continued, deployed anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tickonce.context import current_run
from tickonce.definitions import form_of, hash_of
from tickonce.editing import Declare
from tickonce.engine.node import EngineNode
from tickonce.errors import StoreError
from tickonce.events import Events
from tickonce.jobs import Jobs
from tickonce.model import Node
from tickonce.ports import Work as Job
from tickonce.testing.judging import Call
from tickonce.testing.simulation.link import Link
from tickonce.testing.simulation.scenario import NEW_TRIGGER, Scenario
from tickonce.testing.simulation.site import Site
from tickonce.testing.simulation.world import Process, Task

#: How long whoever starts nodes waits before it tries again, in microseconds.
AGAIN_US = 700_000


class SimNode(EngineNode):
    """The real node, its threads being tasks of a simulated process."""

    def __init__(self, store: Any, jobs: Jobs, *, process: Process, **more: Any) -> None:
        self._process = process
        self._joined = 0
        super().__init__(store, jobs, clock=process, name=process.name, **more)
        self.writer.gathers_by = process

    def _thread(self, name: str, target: Callable[[], None]) -> None:
        self._threads.append(self._process.world.spawn(self._process, target, name))  # type: ignore[arg-type]

    def _pause(self, pause: timedelta) -> None:
        # The real one looks ten times whether it is to stop: in a long outage that were most of all events.
        if not self._stopping.is_set():
            self._process.sleep(pause)

    def _row(self) -> Node:
        # Two simulations of one seed must share out the buckets alike, so nothing of this id comes from chance.
        self._joined += 1
        config = self._config
        return Node(
            id=f"{self._process.name}-{self._joined}",
            host=self._process.name,
            lease=config.lease,
            ticks=config.ticks,
            slots=config.slots,
            queues=tuple(sorted(config.queues)),
            release=self._release,
            declares={item.schedule_id: item.hash for item in self._declares()},
        )


class SimRunner:
    """Carries out work in tasks of the process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def start(self, work: Job) -> None:
        """Begin without waiting for it."""
        self._process.world.spawn(self._process, work.perform, "job")

    def close(self) -> None:
        """Nothing to let go of."""


class Member:
    """One place, with whatever runs there.

    Attributes:
        deployed: Which code the next process here is started with.
        release: Which code the last one was started with.
        process: What runs there; None: nothing.
        fit: Whether its node has joined and nothing is wrong with it.
    """

    def __init__(self, site: Site, scenario: Scenario, name: str, *, number: int) -> None:
        self.site, self.scenario, self.name = site, scenario, name
        self.release = self.deployed = scenario.releases[number]
        self.process: Process | None = None
        self.link: Link | None = None
        self.node: SimNode | None = None
        self.fit = False
        self.on_fit: Callable[[], None] = lambda: None
        self._number = number
        self._starts = 0
        self._down_at = site.time()

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a process here, which starts a node and tries again until it has joined."""
        if self.process is not None:
            return
        scenario, site = self.scenario, self.site
        self.release = self.deployed
        self._starts += 1
        self.process = site.world.process(
            f"{self.name}.{self._starts}",
            drift_ppm=scenario.drifts[self._number],
            ahead=timedelta(seconds=scenario.aheads[self._number]),
        )
        self.link = Link(site, self.process, slow_us=scenario.slow_us, hints=scenario.hints)
        self.link.opaque = (NEW_TRIGGER,) if self.release == 1 else ()
        self.link.on_crash = self._crashed
        site.say(self.process.name, f"starts, release {self.release}")
        site.world.spawn(self.process, self._main, "main")

    def _main(self) -> None:
        assert self.process is not None  # noqa: S101  # it is what runs this
        process, jobs = self.process, self._jobs()
        while True:
            self.node = SimNode(
                self.link,
                jobs,
                process=process,
                config=self.scenario.config,
                events=Events(),
                declares=self._declares,
                runners={"function": SimRunner(process)},
                release=str(self.release),
            )
            try:
                self.node.start()
                break
            except StoreError:
                process.world.sleep(AGAIN_US)
        self.fit = True
        self.on_fit()

    def kill(self) -> None:
        """End what runs here, without a word."""
        if self.process is not None:
            self.site.say(self.process.name, "is killed")
            self.process.kill()
            self._gone()

    def leave(self, then: Callable[[], None]) -> None:
        """End it in order, as far as that goes, and do *then*."""
        process, node = self.process, self.node
        if process is None:
            then()
            return
        if node is None or not node.running:
            self.kill()
            then()
            return
        self.fit = False
        self.on_fit()
        # What still runs when the drain is over is left to others, and so are runs whose outcome cannot be written.
        self.site.harm(process.name, self.site.time(), datetime.max.replace(tzinfo=self.site.time().tzinfo) - _YEAR)

        def leaving() -> None:
            self.site.say(process.name, "leaves")
            node.stop()
            self.site.say(process.name, "has left")
            process.dead = True
            if self.process is process:
                self._gone()
            then()

        process.world.spawn(process, leaving, "leave")

    def _crashed(self) -> None:
        """A call has ended the process; whoever looks after it starts it anew some time later."""
        if self.process is not None and not self.process.dead:
            self.process.kill()
            self._gone()
            self.site.world.after(int(5e6 * self.scenario.scale), self.start)

    def _gone(self) -> None:
        process, self.process, self.node, self.link = self.process, None, None, None
        assert process is not None  # noqa: S101  # whoever calls has just ended it
        now = self.site.time()
        self.site.harm(process.name, now, datetime.max.replace(tzinfo=now.tzinfo) - _YEAR)
        self.fit = False
        self.on_fit()

    @property
    def loops(self) -> Sequence[Task]:
        """The loops of its node, which must not end while it runs."""
        return () if self.node is None else self.node._threads  # type: ignore[return-value]  # noqa: SLF001

    # -- what it runs --------------------------------------------------------------------------

    def declared(self) -> dict[str, Any]:
        """Return the definitions that this release declares."""
        at = 0 if self.release == 1 else 1
        return {schedule_id: both[at] for schedule_id, both in self.scenario.declared.items()}

    def _declares(self) -> list[Declare]:
        return [
            Declare(
                schedule_id=schedule_id,
                definition=definition,
                hash=hash_of(definition),
                form=form_of(definition),
                release=str(self.release),
            )
            for schedule_id, definition in self.declared().items()
        ]

    def _jobs(self) -> Jobs:
        jobs = Jobs()
        process, site = self.process, self.site

        def note() -> None:
            assert process is not None  # noqa: S101  # it is what calls this
            carry_out(site, process)

        jobs.job(name="note")(note)
        if self.release == 2:
            jobs.job(name="fresh")(note)
        return jobs


_YEAR = timedelta(days=365)


class JobFailed(Exception):
    """What simulated jobs raise."""


def carry_out(site: Site, process: Process) -> None:
    """Be a job: write into the ledger, take a while, write again."""
    run = current_run()
    site.say(process.name, f"calls {run.token}~{run.attempt}")
    site.begins(process.name, run.token)
    number = len(site.calls)
    site.calls.append(
        Call(
            token=run.token,
            schedule_id=run.schedule_id,
            scheduled_time=run.scheduled_time,
            attempt=run.attempt,
            node=process.name,
            began=site.time(),
            heeds=not site.work[run.schedule_id].stubborn,
            by_hand=run.source != "schedule",
            order=site.order(),
        )
    )
    work = site.work[run.schedule_id]
    scene = site.scenes.get(run.schedule_id)
    least_us = scene.takes_us if scene is not None and scene.meets(process.name, run.token) else 0
    fails, failed = work.fails(run.token, run.attempt), False
    takes_us = max(work.takes_us(run.token, run.attempt), least_us)
    try:
        if work.stubborn:
            process.world.sleep(takes_us)
        else:
            run.sleep(timedelta(microseconds=takes_us))
        if fails:
            failed = True
            raise JobFailed(run.token)
    finally:
        if not process.dead:
            reason = run.cancel_reason
            site.calls[number] = replace(
                site.calls[number],
                ended=site.time(),
                failed=failed or reason == "timeout",
                interrupted=reason is not None and reason != "timeout",
            )
            site.say(process.name, f"ends {run.token}~{run.attempt}{' failed' if failed else ''} {reason or ''}")
