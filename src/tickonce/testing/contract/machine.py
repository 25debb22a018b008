"""Any sequence of calls on a store answers as the memory store does.

The store under test has a clock of its own, which may be a server's. So the model's clock is set to it before each
call, and what both wrote as "now" is compared to the minute only; instants that the test gave are compared exactly.
They lie on whole seconds, a quarter of an hour and more away from now, so that nothing becomes due meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tickonce.config import Retention
from tickonce.definitions import form_of, hash_of
from tickonce.editing import Amend, Create, Declare, Pause, Remove, Resume, Revert, RunNow, SetAside
from tickonce.errors import TickonceError
from tickonce.model import Definition, Node, NodeState, Plan, Run, RunState, Schedule
from tickonce.planning import plan
from tickonce.ports import Decide, RunFilter, ScheduleFilter, Store
from tickonce.stores.memory import MemoryStore
from tickonce.testing.clock import FakeClock
from tickonce.testing.contract.making import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    SERVES,
    list_all,
    look,
    outcome_of,
    policy_with,
    put,
    serving,
)
from tickonce.triggers import Every

T = TypeVar("T")

#: A place in the fleet, in which one incarnation of a node follows another; the first is the busiest.
PLACES = st.sampled_from([0, 0, 0, 1, 1, 2])
INDEX = st.integers(0, 1000)
POLICIES = st.builds(
    policy_with,
    misfire=st.sampled_from(["skip", "latest", "all"]),
    overlap=st.sampled_from(["skip", "allow"]),
    on_lost=st.sampled_from(["rerun", "fail"]),
    max_losses=st.integers(0, 1),
)
ENDS = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.LOST)
PERIODS = st.sampled_from([HOUR, 5 * HOUR])
#: A lease that is over at the next step, or not before the test is.
LEASES = st.sampled_from([timedelta(microseconds=1), DAY])
FORGETFUL = Retention(runs=DAY, keep=0, skips=2 * HOUR, nodes=timedelta(microseconds=1), tombstones=DAY)


class StoreMachine(RuleBasedStateMachine):
    """The rules. Subclasses say how an empty store is opened, and closed again."""

    def open(self) -> Store:
        """Return an empty store that is prepared."""
        raise NotImplementedError

    def shut(self, store: Store) -> None:
        """Close the store; its data is not needed any more."""
        store.close()

    def pass_time(self) -> None:
        """Return when the store's clock has moved on."""
        begin = self.store.instant()
        while self.store.instant() - begin < timedelta(microseconds=2):
            pass

    def __init__(self) -> None:
        super().__init__()
        self.store = self.open()
        self.base = self.store.instant().replace(microsecond=0)
        self.clock = FakeClock(self.store.instant())
        self.model: Store = MemoryStore(clock=self.clock)
        self.plans: list[tuple[Plan, Plan]] = []
        self.ids: list[str] = []
        self.fleet = ["n0-0", "n1-0", "n2-0"]

    def teardown(self) -> None:
        """Close the store."""
        self.shut(self.store)

    # -- both ------------------------------------------------------------------------------------

    def both(self, call: Callable[[Store], T]) -> T:
        """Make the call on both, compare what they say, and return the answer of the model."""
        self.pass_time()
        self.clock.jump(self.store.instant() - self.clock.wall())
        answers = [self._answer(call, store) for store in (self.store, self.model)]
        assert self.normal(answers[0]) == self.normal(answers[1])
        return answers[1]  # type: ignore[return-value]

    def _answer(self, call: Callable[[Store], T], store: Store) -> T | str:
        try:
            return call(store)
        except TickonceError as error:
            return f"{error.code}: {type(error).__name__}"

    def change(self, schedule_id: str, decide: Decide) -> None:
        self.both(lambda store: store.change(schedule_id, decide))

    def normal(self, value: Any) -> Any:
        """Return *value* so that it can be compared: no versions, and what happened now to the minute."""
        if isinstance(value, datetime):
            return value if value.microsecond == 0 else f"{round((value - self.base) / MINUTE)} min"
        if is_dataclass(value) and not isinstance(value, type):
            own = {item.name: getattr(value, item.name) for item in fields(value) if item.name != "version"}
            return (type(value).__name__, {name: self.normal(each) for name, each in own.items()})
        if isinstance(value, list | tuple):
            return [self.normal(each) for each in value]
        return value

    def fires(self, schedule_id: str, period: timedelta) -> Every:
        """Return a trigger whose fires lie 25 and 35 minutes from now and further; those of two ids never together."""
        return Every(period, anchor=self.base - 25 * MINUTE + self.ids.index(schedule_id) * SECOND)

    def run_at(self, index: int) -> Run:
        """Return a run: one that a node holds, if there is any, or else whichever."""
        found = list_all(lambda cursor: self.model.runs(RunFilter(), cursor=cursor))
        held = [run for run in found if run.state is RunState.RUNNING]
        chosen = held if held and index % 4 else found
        return chosen[index % len(chosen)]

    @property
    def has_runs(self) -> bool:
        """Whether there is any run."""
        return bool(self.model.runs(RunFilter(), limit=1).items)

    # -- schedules -------------------------------------------------------------------------------

    @initialize(policy=POLICIES)
    def begin(self, policy: Any) -> None:
        """Begin with something to do."""
        for place in (0, 1):
            self.join(place=place, lease=DAY)
        self.put_due(period=HOUR, policy=policy_with(misfire="all", overlap="allow"), behind=4, other=False)
        self.put_due(period=5 * HOUR, policy=policy, behind=3, other=False)

    def id_at(self, index: int) -> str:
        """Return the id of a schedule that was made, or of the one that comes next."""
        chosen = index % (len(self.ids) + 1)
        return self.ids[chosen] if chosen < len(self.ids) else self.new_id()

    def new_id(self) -> str:
        """Return an id; some differ in case only."""
        self.ids.append(f"{'sS'[len(self.ids) % 2]}{len(self.ids) // 2}")
        return self.ids[-1]

    @rule(which=INDEX, period=PERIODS, policy=POLICIES, exists=st.sampled_from(["error", "keep", "update"]))
    def create(self, which: int, period: timedelta, policy: Any, exists: Any) -> None:
        schedule_id = self.id_at(which)
        definition = Definition(job="work", trigger=self.fires(schedule_id, period), policy=policy)
        self.change(schedule_id, Create(schedule_id=schedule_id, definition=definition, if_exists=exists, by="ann"))

    @rule(period=PERIODS, policy=POLICIES, behind=st.integers(1, 6), other=st.booleans())
    def put_due(self, period: timedelta, policy: Any, behind: int, other: bool) -> None:  # noqa: FBT001
        """Add a schedule that is several fires behind, as after an outage."""
        schedule_id = self.new_id()
        trigger = self.fires(schedule_id, period)
        assert trigger.anchor is not None
        first = trigger.anchor - (behind - 1) * period
        row = Schedule(
            id=schedule_id,
            definition=Definition(job="other" if other else "work", trigger=trigger, policy=policy),
            watermark=first - MINUTE,
            next_fire=first,
            due=first,
            created_at=self.base - DAY,
            updated_at=self.base - DAY,
        )
        self.both(lambda store: put(store, row))

    @rule(which=INDEX, period=PERIODS, policy=POLICIES, whole=st.booleans())
    def amend(self, which: int, period: timedelta, policy: Any, whole: bool) -> None:  # noqa: FBT001
        schedule_id = self.id_at(which)
        changes: dict[str, Any] = {"policy": policy, "description": policy.misfire}
        if whole:
            changes["trigger"] = self.fires(schedule_id, period)
        self.change(schedule_id, Amend(schedule_id=schedule_id, changes=changes))

    @rule(which=INDEX, until=st.none() | st.integers(1, 9))
    def pause(self, which: int, until: int | None) -> None:
        schedule_id = self.id_at(which)
        end = None if until is None else self.base + until * HOUR
        self.change(schedule_id, Pause(schedule_id=schedule_id, until=end, reason="asked"))

    @rule(which=INDEX, missed=st.sampled_from([None, "latest", "all"]))
    def resume(self, which: int, missed: Any) -> None:
        schedule_id = self.id_at(which)
        self.change(schedule_id, Resume(schedule_id=schedule_id, missed=missed))

    @rule(which=INDEX)
    def remove(self, which: int) -> None:
        schedule_id = self.id_at(which)
        self.change(schedule_id, Remove(schedule_id=schedule_id))

    @rule(which=INDEX)
    def revert(self, which: int) -> None:
        schedule_id = self.id_at(which)
        self.change(schedule_id, Revert(schedule_id=schedule_id))

    @rule(which=INDEX)
    def set_aside(self, which: int) -> None:
        schedule_id = self.id_at(which)

        def set_aside(store: Store) -> Schedule | None:
            row = store.get(schedule_id)
            version = 0 if row is None else row.version
            return store.change(schedule_id, SetAside(schedule_id=schedule_id, version=version, reason="raised"))

        self.both(set_aside)

    @rule(which=INDEX, period=PERIODS)
    def declare(self, which: int, period: timedelta) -> None:
        schedule_id = self.id_at(which)
        definition = Definition(job="work", trigger=self.fires(schedule_id, period))
        declared = Declare(
            schedule_id=schedule_id, definition=definition, hash=hash_of(definition), form=form_of(definition)
        )
        self.change(schedule_id, declared)
        self.both(lambda store: store.seen([schedule_id, "absent"], older_than=timedelta(0)))

    @rule(which=INDEX, key=st.sampled_from(["k1", "k2", "K2"]))
    def run_now(self, which: int, key: str) -> None:
        schedule_id = self.id_at(which)
        self.change(schedule_id, RunNow(schedule_id=schedule_id, key=key, by="ann"))

    @rule(which=INDEX, hours=st.integers(-3, 3))
    def raise_watermark(self, which: int, hours: int) -> None:
        schedule_id = self.id_at(which)
        mark = self.base + hours * HOUR
        self.both(lambda store: store.raise_watermarks({schedule_id: mark, "absent": mark}))

    # -- nodes -----------------------------------------------------------------------------------

    @rule(place=PLACES, lease=LEASES)
    def join(self, place: int, lease: timedelta) -> None:
        """Let a node join: the one that is there again, or the next incarnation if that has ended."""
        ended = {node.id for node in self.model.nodes() if node.state in (NodeState.DEAD, NodeState.GONE)}
        if self.fleet[place] in ended and lease == DAY:
            _, _, number = self.fleet[place].partition("-")
            self.fleet[place] = f"n{place}-{int(number) + 1}"
        started_at = self.base + place * SECOND + int(self.fleet[place].partition("-")[2]) * 10 * SECOND
        node = Node(id=self.fleet[place], lease=lease, started_at=started_at, declares={"s0": "0"})
        self.both(lambda store: _sorted_beat(store.join(node)))

    @rule(place=PLACES, lease=LEASES, state=st.sampled_from([NodeState.ALIVE, NodeState.LEAVING]))
    def beat(self, place: int, lease: timedelta, state: NodeState) -> None:
        node = Node(id=self.fleet[place], lease=lease, state=state, busy=2, ticked_at=self.base)
        self.both(lambda store: _sorted_beat(store.beat(node)))

    @rule(place=PLACES)
    def expire(self, place: int) -> None:
        self.both(lambda store: sorted(store.expire(self.fleet[place], [*self.fleet, "absent"])))

    @rule(place=PLACES, back=st.booleans())
    def crash(self, place: int, back: bool) -> None:  # noqa: FBT001
        """A node goes, its runs are recovered, and it may come back as another."""
        self.both(lambda store: store.leave(self.fleet[place]))
        self.recover()
        if back:
            self.join(place=place, lease=DAY)

    # -- ticking ---------------------------------------------------------------------------------

    @rule(limit=st.sampled_from([1, 100]), leave_out=st.none() | INDEX)
    def look(self, limit: int, leave_out: int | None) -> None:
        """What is found is planned, and the plans wait: when they are launched, they may be stale."""
        left = "absent" if leave_out is None else self.id_at(leave_out)
        polls: list[Any] = []

        def answer(store: Store) -> Any:
            poll = look(store, limit=limit, leave_out=[left], horizon=DAY)
            polls.append(poll)
            assert poll.low <= poll.instant
            return replace(poll, low=poll.instant)

        self.both(answer)
        ours, theirs = polls
        for one, other in zip(ours.due, theirs.due, strict=True):
            mine, model = plan(one, self.base, limit=4), plan(other, self.base, limit=4)
            if mine is not None and model is not None:
                self.plans.append((mine, model))

    @precondition(lambda self: self.plans)
    @rule(place=PLACES, picks=st.lists(INDEX, min_size=1, max_size=3), slots=st.integers(0, 3))
    def launch(self, place: int, picks: list[int], slots: int) -> None:
        picked = [self.plans[pick % len(self.plans)] for pick in picks]
        self._launch(self.fleet[place], picked, slots)

    @rule(place=PLACES, slots=st.integers(0, 3))
    def tick(self, place: int, slots: int) -> None:
        """Look, and launch at once what was found."""
        known = len(self.plans)
        self.look(limit=100, leave_out=None)
        self._launch(self.fleet[place], self.plans[known:], slots)

    def _launch(self, node_id: str, picked: list[tuple[Plan, Plan]], slots: int) -> None:
        chosen = list({pair[0].schedule.id: pair for pair in picked}.values())

        def launch(store: Store) -> Any:
            plans = [pair[0] if store is self.store else pair[1] for pair in chosen]
            return store.launch(node_id, plans, slots=slots, serves=SERVES)

        self.both(launch)

    # -- work ------------------------------------------------------------------------------------

    @rule(place=PLACES, other=st.booleans())
    def claim(self, place: int, other: bool) -> None:  # noqa: FBT001
        serves = serving("work", "other") if other else SERVES
        self.both(lambda store: _by_token(store.claim(self.fleet[place], serves=serves, limit=100)))

    @precondition(lambda self: self.has_runs)
    @rule(index=INDEX, newer=st.sampled_from([0, 0, 0, 1, -1]), overdue=st.none() | st.booleans())
    def attempt(self, index: int, newer: int, overdue: bool | None) -> None:  # noqa: FBT001
        run = self.run_at(index)
        node, attempt = run.node or self.fleet[0], run.attempt + newer
        self.both(lambda store: store.began(node, run.token, attempt, at=self.base))
        self.both(lambda store: store.note(node, run.token, attempt, overdue=overdue, progress=0.5))

    @precondition(lambda self: self.has_runs)
    @rule(
        picks=st.lists(st.tuples(INDEX, st.sampled_from([0, 0, 0, 1, 2])), min_size=1, max_size=4),
        state=st.sampled_from([*ENDS, RunState.PENDING, RunState.PENDING, RunState.PENDING]),
        failed=st.booleans(),
        ago=st.none() | st.integers(-1, 3),
        error=st.none() | st.just("no route"),
    )
    def finish(
        self,
        picks: list[tuple[int, int]],
        state: RunState,
        failed: bool,  # noqa: FBT001
        ago: int | None,
        error: str | None,
    ) -> None:
        outcomes = []
        for index, stale in picks:
            run = self.run_at(index)
            node = "absent" if stale == 2 else run.node or "n0-0"
            outcome = outcome_of(replace(run, node=node), state, failed=failed, result="1", error=error)
            end = None if ago is None else self.base - ago * DAY
            due = None if ago is None else self.base - ago * HOUR
            outcomes.append(replace(outcome, attempt=run.attempt - stale % 2, finished_at=end, due=due))
        self.both(lambda store: store.finish(outcomes))

    @rule()
    def recover(self) -> None:
        self.both(lambda store: _by_token(store.recover()))

    @rule()
    def lapse(self) -> None:
        self.both(lambda store: _by_token(store.lapse()))

    @precondition(lambda self: self.has_runs)
    @rule(index=INDEX)
    def cancel(self, index: int) -> None:
        run = self.run_at(index)
        self.both(lambda store: store.cancel(run.token, by="ann"))

    @precondition(lambda self: self.has_runs)
    @rule(index=INDEX)
    def retry(self, index: int) -> None:
        run = self.run_at(index)
        self.both(lambda store: store.retry(run.token))

    # -- upkeep ----------------------------------------------------------------------------------

    @rule()
    def prune(self) -> None:
        self.both(lambda store: store.prune(FORGETFUL))

    @rule()
    def accept_clock(self) -> None:
        self.both(lambda store: store.accept_clock())

    @invariant()
    def they_keep_the_same(self) -> None:
        """Rows, runs, records, nodes and what nodes hold."""
        for store in (self.store, self.model):
            assert store.ids() == sorted(store.ids())
        assert self.normal(_all_of(self.store)) == self.normal(_all_of(self.model))


def _all_of(store: Store) -> list[Any]:
    listed = ScheduleFilter(removed=True)
    return [
        list_all(lambda cursor: store.schedules(listed, cursor=cursor)),
        _by_token(list_all(lambda cursor: store.runs(RunFilter(), cursor=cursor))),
        sorted(list_all(lambda cursor: store.skips(cursor=cursor)), key=lambda skip: (skip.schedule_id, skip.first)),
        store.nodes(),
        [_by_token(store.held(node.id)) for node in store.nodes()],
        store.ids(),
    ]


def _by_token(runs: list[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: run.token)


def _sorted_beat(beat: Any) -> Any:
    held = tuple(sorted(beat.held, key=lambda each: each.token))
    return replace(beat, held=held, nodes=tuple(sorted(beat.nodes, key=lambda node: node.id)))
