"""The same steps on the real thing: a store's verbs, the planner, a node's door, lease, witness and idea of time.

A tick is a minute. What the real thing is like after a step is put into the words of the model, and compared.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from tests.model import fleet, store
from tests.model.world import (
    ACTIVE,
    BY_HAND,
    DONE,
    ENDED,
    FAILURE,
    PAUSED,
    PENDING,
    REMOVED,
    RUNNING,
    UP,
    Plan,
    State,
    Step,
    World,
)
from tickonce.config import NodeConfig
from tickonce.definitions import form_of, hash_of
from tickonce.editing import Amend, Create, Declare, Pause, Remove, Resume, RunNow
from tickonce.engine.node import EngineNode
from tickonce.errors import RunExists, RunOpen
from tickonce.events import Events
from tickonce.jobs import Jobs
from tickonce.model import (
    Definition,
    Launched,
    Misfire,
    Node,
    NodeState,
    Outcome,
    Overlap,
    Policy,
    Run,
    RunState,
    ScheduleState,
    manual_token,
    token_of,
)
from tickonce.model import Plan as RealPlan
from tickonce.model import Schedule as RealSchedule
from tickonce.ports import RunFilter, Serves, Store
from tickonce.stores.memory import MemoryStore
from tickonce.testing.clock import FakeClock
from tickonce.testing.contract.making import list_all, look
from tickonce.triggers import Every

TICK = timedelta(minutes=1)
START = datetime(2026, 11, 21, 13, tzinfo=UTC)
ID = "model"
SERVES = Serves(jobs=frozenset({"work"}), queues=frozenset({"default"}))
#: Longer than a walk: what the model leaves out must not happen.
LONG = timedelta(days=1)

_SCHEDULES = {
    ScheduleState.ACTIVE: ACTIVE,
    ScheduleState.PAUSED: PAUSED,
    ScheduleState.ENDED: ENDED,
    ScheduleState.REMOVED: REMOVED,
}
_RUNS = {RunState.PENDING: PENDING, RunState.RUNNING: RUNNING, RunState.SUCCEEDED: DONE}
_TABLES = ("schedules", "runs", "skips", "_open")

#: A picture that both can be asked for: schedule, runs, skipped fires, nodes.
Picture: TypeAlias = dict[str, Any]


def name_of(place: int, inc: int) -> str:
    """Return the node id of an incarnation."""
    return f"n{place}-{inc}"


def instant_of(tick: int) -> datetime:
    """Return the instant of a tick."""
    return START + tick * TICK


def tick_of(instant: datetime) -> int:
    """Return the tick of an instant, which lies on one."""
    ticks, rest = divmod(instant - START, TICK)
    assert not rest, instant
    return ticks


class Process:
    """A real node without its threads, and what is on its way to it."""

    def __init__(self, opened: Store, config: NodeConfig, clock: FakeClock) -> None:
        jobs = Jobs()
        jobs.job(name="work")(lambda: None)
        engine = EngineNode(opened, jobs, config=config, clock=clock, events=Events(), declares=list, runners={})
        self.ticker, self.time, self.lease = engine.ticker, engine.time, engine.lease
        self.witness, self.door = engine.upkeep._witness, engine.worker._door
        self.planned: RealPlan | None = None
        self.launched: tuple[Launched, RealPlan] | None = None
        self.work: Sequence[Run] | None = None
        self.entered: set[tuple[int, int]] = set()


class Real:
    """A store and nodes that do what a walk through the model does."""

    def __init__(self, world: World, opened: Store, clock: FakeClock) -> None:
        self.world, self.store, self.clock = world, opened, clock
        self.own_clock = FakeClock(START)  # the machines': the store's clock is set without them
        # Of a watch, two beats may be as far apart as the model lets them be: a tick less than a lease.
        beat = TICK * (world.lease - 1) / 2 if world.lease > 1 else TICK / 3
        self.config = NodeConfig(lease=TICK * max(world.lease, 1), beat=beat, margin=timedelta(0))
        self.processes: dict[int, Process] = {}
        self.versions: dict[int, int] = {}
        self.kept: dict[str, Any] = {}
        self.answer: Any = None
        opened.prepare()
        self._change(self._declaration(0) if world.faults.declare else self._creation(0))
        for place in range(world.nodes):
            self.do_start(place)

    # -- what the model says, done ---------------------------------------------------------------

    def do(self, step: Step, state: State) -> None:
        """Do what *step* says, from where the model is in *state*."""
        verb, *about = step
        if about and about[-1] == "lost":
            about.pop()
            self.lost = True
        else:
            self.lost = False
        self.state = state
        getattr(self, "do_" + str(verb).replace(" ", "_"))(*about)

    def do_time(self) -> None:
        self._pass(1)

    def do_outage(self, ticks: int) -> None:
        self._pass(ticks)

    def _pass(self, ticks: int) -> None:
        self.clock.advance(ticks * TICK)
        self.own_clock.advance(ticks * TICK)

    def do_jump(self, ticks: int) -> None:
        self.clock.jump(ticks * TICK)

    def do_jump_back(self) -> None:
        self.clock.jump(-self.state.offset * TICK)

    # nodes

    def do_start(self, place: int) -> None:
        self.processes[place] = Process(self.store, self.config, self.own_clock)
        self._join(place, 0)

    def do_crash(self, place: int) -> None:
        del self.processes[place]

    def do_beat(self, place: int) -> None:
        self._beat(place, self.store.beat(Node(id=self._me(place), lease=self.config.lease)))

    def do_reborn(self, place: int) -> None:
        process, inc = self.processes[place], self.state.nodes[place].inc
        assert not self.store.beat(Node(id=self._me(place), lease=self.config.lease)).alive
        process.lease.lost()
        self._join(place, inc + 1)

    def do_expire(self, place: int, other: int) -> None:
        if self.world.watches:
            node, until = self.state.nodes[place], self.state.rows[other].until
            assert node.watch != ()
            # Whether it has heard of a clock that was set, or not yet.
            unset = self.state.time + node.watch[1]
            shown = instant_of(unset if until <= unset else self.state.instant)
            witness, now = self.processes[place].witness, self.own_clock.monotonic()
            assert witness.may_judge(self.config.lease, instant=shown, now=now)
        assert self.store.expire(self._me(place), [self._me(other)]) == [self._me(other)]

    def do_recover(self, place: int, *keys: int) -> None:
        assert {self._key(run) for run in self.store.recover()} == set(keys)

    def _join(self, place: int, inc: int) -> None:
        self.processes[place].witness.broken()
        self._beat(place, self.store.join(Node(id=name_of(place, inc), lease=self.config.lease)))

    def _beat(self, place: int, answer: Any) -> None:
        assert answer.alive
        if self.lost_now:
            return
        process, sent = self.processes[place], self.own_clock.monotonic()
        process.lease.renewed(sent=sent)
        process.witness.beaten(answer.instant, sent=sent)

    @property
    def lost_now(self) -> bool:
        """Whether the reply to the step at hand is lost."""
        return getattr(self, "lost", False)

    # the ticker

    def do_plan(self, place: int) -> None:
        poll = look(self.store, serves=SERVES)
        process = self.processes[place]
        process.time.learned(poll.instant, sent=self.own_clock.monotonic())
        assert not process.time.jumped
        plans = process.ticker._plans(poll)
        assert len(plans) == 1
        process.planned = plans[0]

    def do_raise(self, place: int, watermark: int) -> None:
        assert self.processes[place].ticker._plans(look(self.store, serves=SERVES)) == []
        row = self.store.get(ID)
        assert row is not None
        assert tick_of(row.watermark) == watermark

    def do_launch(self, place: int, claims: bool, *fires: int) -> None:
        process = self.processes[place]
        planned, launched = self._launch(place, slots=100 if claims else 0)
        assert launched.alive
        assert launched.lost == launched.locked == launched.taken == ()
        (change,) = launched.changes
        assert tuple(tick_of(fire.scheduled_time) for fire in change.runs) == fires
        assert len(launched.claimed) == (len(fires) if claims else 0)
        process.launched = None if self.lost else (launched, planned)

    def do_launch_refused(self, place: int, why: str) -> None:
        _, launched = self._launch(place, slots=100)
        assert not launched.changes
        assert (not launched.alive) == (why == "dead")
        assert launched.lost == ((ID,) if why == "version" else ())
        if why == "dead":
            self.processes[place].lease.lost()

    def do_launch_taken(self, place: int, *fires: int) -> None:
        planned, launched = self._launch(place, slots=100)
        assert set(launched.taken) <= {self._token(fire) for fire in fires}
        self.processes[place].ticker._after(launched, [planned], self.own_clock.monotonic())

    def _launch(self, place: int, *, slots: int) -> tuple[RealPlan, Launched]:
        process = self.processes[place]
        planned = process.planned
        assert planned is not None
        process.planned = None
        return planned, self.store.launch(self._me(place), [planned], slots=slots, serves=SERVES)

    def do_hear_launch(self, place: int) -> None:
        process = self.processes[place]
        assert process.launched is not None
        launched, planned = process.launched
        process.ticker._after(launched, [planned], self.own_clock.monotonic())
        self._enter(place, launched.claimed)

    # the work thread

    def do_claim(self, place: int, key: int) -> None:
        runs = self.store.claim(self._me(place), serves=SERVES, limit=1)
        assert len(runs) == 1
        self.answer = self._key(runs[0])  # which of them it is, is the store's affair
        self.processes[place].work = None if self.lost else runs

    def do_ask_held(self, place: int) -> None:
        self.processes[place].work = self.store.held(self._me(place))

    def do_hear_work(self, place: int) -> None:
        process = self.processes[place]
        assert process.work is not None
        self._enter(place, process.work)
        process.work = None

    def do_begin(self, place: int) -> None:
        assert self.processes[place].lease.holds(self.own_clock.monotonic())

    def _enter(self, place: int, runs: Sequence[Run]) -> None:
        for run in runs:
            if run.node == self._me(place) and self.processes[place].door.enter(run.token, run.attempt):
                self.processes[place].entered.add((self._key(run), run.attempt))

    def do_finish(self, place: int, key: int, attempt: int, end: int, taken: bool) -> None:
        item = next(each for each in self.state.nodes[place].doing if (each.key, each.attempt) == (key, attempt))
        outcome = self._outcome(name_of(place, item.inc), key, attempt, end)
        assert self.store.finish([outcome]) == [taken]
        if not self.lost:
            self.processes[place].door.ended({(outcome.token, attempt): outcome.state}, now=self.own_clock.monotonic())

    def do_offer_again(self, place: int, key: int) -> None:
        held = [(each.key, each.attempt) for each in store.held(self.state, place)]
        (item,) = [each for each in self.state.nodes[place].ended if each.key == key and (key, each.attempt) in held]
        outcome = self._outcome(name_of(place, item.inc), key, item.attempt, item.said)
        door, soon = self.processes[place].door, self.own_clock.monotonic() + TICK
        assert door.ended_as(outcome.token, item.attempt, before=soon) is outcome.state
        assert self.store.finish([outcome]) == [True]

    def _outcome(self, node: str, key: int, attempt: int, end: int) -> Outcome:
        return Outcome(
            token=self._token(key),
            attempt=attempt,
            node=node,
            state=RunState.PENDING if end == FAILURE else RunState.SUCCEEDED,
            failed=end == FAILURE,
            due=self.store.instant(),
        )

    # people

    def do_edit(self) -> None:
        row = self.state.schedule
        assert row is not None
        self._change(Amend(schedule_id=ID, changes={"start": self._definition(row.kind + 1).start}))

    def do_pause(self) -> None:
        self._change(Pause(schedule_id=ID))

    def do_resume(self) -> None:
        self._change(Resume(schedule_id=ID))

    def do_remove(self) -> None:
        self._change(Remove(schedule_id=ID))

    def do_add(self) -> None:
        self._change(self._creation((self.state.births + 1) * 10))

    def do_declare(self) -> None:
        self._change(self._declaration(0))

    def do_run_now(self, key: int) -> None:
        try:
            self._change(RunNow(schedule_id=ID, key=str(key)))
        except (RunExists, RunOpen) as refused:
            self.answer = type(refused)

    def do_run_now_again(self, key: int) -> None:
        self.do_run_now(key)

    def _change(self, decide: Any) -> None:
        self.store.change(ID, decide)

    def _definition(self, kind: int) -> Definition:
        """Return a definition that differs from others in when it may begin, and in no fire."""
        policy = Policy(
            misfire=Misfire.LATEST if self.world.latest else Misfire.ALL,
            overlap=Overlap.SKIP if self.world.room else Overlap.ALLOW,
            grace=timedelta(0),
            catch_up=LONG,
            start_within=LONG,
            max_losses=1000,
        )
        return Definition(
            job="work",
            trigger=Every(TICK),
            policy=policy,
            start=START - (kind + 1) * timedelta(days=1),
            end=instant_of(self.world.fires),
        )

    def _creation(self, kind: int) -> Create:
        return Create(schedule_id=ID, definition=self._definition(kind))

    def _declaration(self, kind: int) -> Declare:
        definition = self._definition(kind)
        return Declare(schedule_id=ID, definition=definition, hash=hash_of(definition), form=form_of(definition))

    # a store that goes back in time

    def do_replica_stops(self) -> None:
        assert isinstance(self.store, MemoryStore)
        self.kept = {name: copy.deepcopy(getattr(self.store._tables, name)) for name in _TABLES}

    def do_rewind(self) -> None:
        assert isinstance(self.store, MemoryStore)
        for name, rows in self.kept.items():
            setattr(self.store._tables, name, rows)

    # -- what there is -----------------------------------------------------------------------------

    def _me(self, place: int) -> str:
        return name_of(place, self.state.nodes[place].inc)

    def _key(self, run: Run) -> int:
        return tick_of(run.scheduled_time) if run.source == "schedule" else int(run.token.rpartition("-")[2])

    def _token(self, key: int) -> str:
        return manual_token(ID, str(key)) if key > BY_HAND else token_of(ID, instant_of(key))

    def _runs(self) -> list[Run]:
        return list_all(lambda cursor: self.store.runs(RunFilter(), cursor=cursor))

    def picture(self) -> Picture:
        """Return what the store keeps and the nodes know, in the words of the model."""
        row = self.store.get(ID)
        return {
            "schedule": None if row is None else self._schedule(row),
            "runs": sorted(self._run(run) for run in self._runs()),
            "skipped": sorted(
                fire
                for skip in list_all(lambda cursor: self.store.skips(ID, cursor=cursor))
                for fire in range(tick_of(skip.first), tick_of(skip.last) + 1)
            ),
            "alive": sorted(
                (node.id, tick_of(node.alive_until))
                for node in self.store.nodes()
                if node.state is NodeState.ALIVE and node.alive_until is not None
            )
            if self.world.lease
            else [],
            "known": {place: sorted(each.entered) for place, each in self.processes.items()},
            "holds": {
                place: each.lease.holds(self.own_clock.monotonic()) if self.world.beliefs else True
                for place, each in self.processes.items()
            },
        }

    def _schedule(self, row: RealSchedule) -> tuple[int, int, int | None, int]:
        assert row.definition.start is not None
        kind = (START - row.definition.start) // timedelta(days=1) - 1
        following = None if row.next_fire is None else tick_of(row.next_fire)
        assert row.due == row.next_fire
        return _SCHEDULES[row.state], tick_of(row.watermark), following, kind

    def _run(self, run: Run) -> tuple[int, int, str, int]:
        held = run.node if run.state is RunState.RUNNING and run.node is not None else ""
        return self._key(run), _RUNS[run.state], held, run.attempt

    # -- compared ----------------------------------------------------------------------------------

    def agrees(self, state: State) -> bool:
        """Whether the real thing is as the model says."""
        return self.picture() == imagined(self.world, state)

    def probe(self, state: State) -> None:
        """Ask what changes nothing: what is due, what is held, who may judge, and that what is not allowed is not."""
        self.state = state
        row = self.store.get(ID)
        if row is not None and state.schedule is not None:
            known = self.versions.setdefault(state.schedule.version, row.version)
            assert known == row.version, "a version was used twice, or a step did not raise it"
            assert len(set(self.versions.values())) == len(self.versions)
        poll = look(self.store, serves=SERVES)
        assert bool(poll.due) == store.due(self.world, state)
        for place, node in enumerate(state.nodes):
            if node.up != UP:
                continue
            process = self.processes[place]
            assert sorted((self._key(run), run.attempt) for run in self.store.held(self._me(place))) == sorted(
                (item.key, item.attempt) for item in store.held(state, place)
            )
            self._probe_plan(place, node.tick)
            self._probe_outcomes(state, place)
            if self.world.watches:
                self._probe_witness(state, place, process)
            for item in node.doing:
                assert not self.store.began(name_of(place, item.inc + 1), self._token(item.key), item.attempt, at=START)
            if not state.rows[place].alive:
                assert self.store.claim(self._me(place), serves=SERVES, limit=1) == []
                assert not self.store.beat(Node(id=self._me(place))).alive

    def _probe_plan(self, place: int, tick: object) -> None:
        planned = self.processes[place].planned
        if not isinstance(tick, Plan):
            assert planned is None
            return
        assert planned is not None
        skips = [fire for skip in planned.skips for fire in range(tick_of(skip.first), tick_of(skip.last) + 1)]
        assert tuple(tick_of(fire.scheduled_time) for fire in planned.fires) == tick.fires
        assert tuple(skips) == tick.skips
        assert tick_of(planned.watermark) == tick.watermark

    def _probe_outcomes(self, state: State, place: int) -> None:
        """The door knows of outcomes that the store has lost, and of no others."""
        door, soon = self.processes[place].door, self.own_clock.monotonic() + TICK
        held = [run for run in self.store.held(self._me(place)) if door.ended_as(run.token, run.attempt, before=soon)]
        lost = [each for each in state.nodes[place].ended if store.matches(self.world, state, place, each)]
        offered = lost if self.world.rules.offers_again else []
        assert {self._key(run) for run in held} == {each.key for each in offered}

    def _probe_witness(self, state: State, place: int, process: Process) -> None:
        node = state.nodes[place]
        fit = node.watch != () and node.beaten - node.watch[0] >= self.world.lease
        unset = state.time + (node.watch[1] if node.watch else 0)
        now = self.own_clock.monotonic()
        assert process.witness.may_judge(self.config.lease, instant=instant_of(unset), now=now) == fit
        if fit and node.watch[1] != state.offset:
            shown = instant_of(state.instant)
            assert not process.witness.may_judge(self.config.lease, instant=shown, now=now)
        for other in range(len(state.nodes)):
            if other != place and state.rows[other].alive and state.rows[other].until > state.instant:
                assert self.store.expire(self._me(place), [self._me(other)]) == []


def imagined(world: World, state: State) -> Picture:
    """Return the picture of a state of the model."""
    row = state.schedule
    up = [(place, node) for place, node in enumerate(state.nodes) if node.up == UP]
    return {
        "schedule": None
        if row is None
        else (row.state, row.watermark, row.watermark + 1 if row.state == ACTIVE else None, row.kind),
        "runs": sorted(
            (run.key, run.state, name_of(run.node, run.inc) if run.state == RUNNING else "", run.attempt)
            for run in state.runs
        ),
        "skipped": sorted(state.skipped),
        "alive": sorted(
            (name_of(place, state.nodes[place].inc), each.until) for place, each in enumerate(state.rows) if each.alive
        )
        if world.lease
        else [],
        "known": {place: sorted(node.door) for place, node in up},
        "holds": {place: fleet.holds(world, state, node) for place, node in up},
    }
