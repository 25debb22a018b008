"""A storm from its beginning to its verdict."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.chaos.crew import Crew, until
from tests.chaos.ledger import Moments, read_ledger, skewed
from tests.chaos.storm.bands import Band, conditions_of, kills_of
from tests.chaos.storm.editor import Editor, Watch
from tests.chaos.storm.fleet import StormFleet
from tests.chaos.storm.injector import Injector
from tests.chaos.storm.latencies import recovery, service
from tests.chaos.storm.picture import Seen, picture
from tests.chaos.storm.plan import CLOCKS, Fault, plan_of
from tests.chaos.storm.report import Result, Storm, complaints_of
from tests.chaos.storm.site import Site, site_of
from tests.chaos.storm.workload import MEASURED, add_all
from tests.servers.faketime import faketime
from tickonce import Scheduler
from tickonce.errors import StoreError
from tickonce.model import NodeState, RunState
from tickonce.ports import RunFilter, ScheduleFilter, Store
from tickonce.stores import open_store
from tickonce.testing.judging import Evidence, History, Verdict, evidence_of, judge

#: From the end of the last fault until everything is dealt with: a lease until the last recovery, then what waits.
_RESTS_WITHIN_S = 60.0


def run(storm: Storm, tell: Callable[[str], None]) -> Result:
    """Carry out a storm and judge it; everything is written into its folder.

    Raises:
        ServerMissing: The store's programs are not installed.
        ValueError: There is no such store, it is in use, or there are too few nodes.
        TimeoutError: The nodes did not come up.
    """
    with ExitStack() as stack:
        site = stack.enter_context(site_of(storm.store, storm.nodes, storm.folder))
        if faketime() is None and set(CLOCKS) & set(site.kinds):
            site.kinds = tuple(kind for kind in site.kinds if kind not in CLOCKS)
            site.left_out.append("faults of clocks: libfaketime is not installed (`make servers`)")
        plan = plan_of(storm.seed, storm.seconds, storm.nodes, site.kinds)
        tell(f"seed {storm.seed}: {len(plan)} faults planned in {storm.seconds:g} s; again: {storm.command}")
        for reason in site.left_out:
            tell(f"left out: {reason}")
        store = open_store(site.direct)
        stack.callback(store.close)
        store.prepare()
        if store.ids():
            raise ValueError("STORE is in use: a storm wants an empty one, for example ?schema= or ?prefix= of its own")
        crew = stack.enter_context(Crew(site.direct, storm.folder))
        return _Course(storm=storm, site=site, store=store, crew=crew, plan=plan, tell=tell).run()


@dataclass(slots=True, kw_only=True)
class _Course:
    """The steps of a storm."""

    storm: Storm
    site: Site
    store: Store
    crew: Crew
    plan: Sequence[Fault]
    tell: Callable[[str], None]
    _history: History = field(default_factory=History)
    _moments: Moments = field(init=False)
    _complaints: list[str] = field(default_factory=list)
    _began: float = 0.0
    _ended: float = 0.0

    def __post_init__(self) -> None:
        self._moments = Moments.measured(self.store.instant)

    def run(self) -> Result:
        watch = Watch(self.store, self._history)
        watch.start()
        fleet = StormFleet(self.crew, self.site, self.storm.nodes)
        until(lambda: self._alive() == self.storm.nodes, f"{self.storm.nodes} nodes alive")
        fleet.supervise()
        injector = Injector(fleet, self.site)
        with Scheduler(self.site.direct) as maker:
            add_all(maker, self._history)
        with Scheduler(self.site.url(-1), name="editor") as scheduler:
            proxy = self.site.proxies[-1] if self.site.proxies else None
            editor = Editor(scheduler, self.store, self._history, self._moments, self.storm.seed, proxy)
            editor.start()
            self._began = time.monotonic()
            injector.run(self.plan, self._began, self.tell)
            time.sleep(max(0.0, self._began + self.storm.seconds - time.monotonic()))
            injector.finish()
            editor.finish()
        self.tell("the storm is over")
        self._rest()
        watch.finish()
        self.crew.stop_all()
        self._complaints += fleet.died
        self._complaints += complaints_of(
            {path.stem: path.read_text(errors="replace") for path in sorted(self.crew.folder.glob("member-*.log"))}
        )
        return self._judged(fleet, injector, editor)

    # -- the end ---------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Wait until all that was due by now is dealt with."""
        self._ended = time.monotonic()
        border = self._moments.at(self._ended)
        try:
            until(lambda: settled(self.store, border), "all fires dealt with", patience=_RESTS_WITHIN_S)
        except TimeoutError as error:  # the judge will say what is left over
            self._complaints.append(str(error))

    def _judged(self, fleet: StormFleet, injector: Injector, editor: Editor) -> Result:
        evidence = evidence_of(self.store, read_ledger(self.crew.ledger, self._moments))
        conditions = conditions_of(injector.bands, self._moments, self._ended, file=self.site.is_file)
        verdict = judge(self._history, evidence, conditions)
        verdict.faults.update(injector.counts)
        kills = kills_of(injector.bands)
        runs = {each.token: each for each in evidence.runs}
        result = Result(
            storm=self.storm,
            verdict=verdict,
            recovery=recovery(kills, evidence.calls, self._moments),
            service=service(kills, evidence.calls, runs, MEASURED, self._moments),
            complaints=self._complaints,
            plan=self.plan,
            kills=kills,
            left_out=self.site.left_out,
            failed=injector.failed,
            lost=injector.lost,
            unknown=editor.unknown,
            skewed=skewed(self.crew.ledger, self._moments),
            in_vain=len(fleet.in_vain),
            logs=self.crew.logs(),
        )
        self._write(result, fleet, injector.bands, evidence, verdict)
        return result

    def _write(
        self, result: Result, fleet: StormFleet, bands: Sequence[Band], evidence: Evidence, verdict: Verdict
    ) -> None:
        seen = Seen(
            title=self.storm.command,
            nodes=self.storm.nodes,
            place_of=fleet.place_of,
            bands=bands,
            evidence=evidence,
            verdict=verdict,
            moments=self._moments,
            begin=self._began,
            end=self._ended,
        )
        result.picture.write_text(picture(seen))
        folder = self.storm.folder
        (folder / "verdict.json").write_text(json.dumps(result.form(), indent=1) + "\n")
        (folder / "faults.json").write_text(json.dumps(_told(bands, self._began), indent=1) + "\n")
        (folder / "warnings.log").write_text(result.logs + "\n")

    def _alive(self) -> int:
        return sum(node.state is NodeState.ALIVE for node in self.store.nodes())


def settled(store: Store, border: datetime) -> bool:
    """Whether every schedule has moved past *border*, and no run from before it is open."""
    try:
        schedules = store.schedules(ScheduleFilter(), limit=1000).items
        if any(schedule.due is not None and schedule.due <= border for schedule in schedules):
            return False
        open_ones = RunFilter(states=(RunState.PENDING, RunState.RUNNING), scheduled_until=border)
        return not store.runs(open_ones, limit=1).items
    except StoreError:
        return False


def _told(bands: Sequence[Band], began: float) -> list[dict[str, Any]]:
    return [
        {
            "what": band.what,
            "from_s": round(band.begin - began, 3),
            "to_s": round(band.end - began, 3),
            "node": band.node,
            "pid": band.pid,
        }
        for band in sorted(bands, key=lambda band: band.begin)
    ]
