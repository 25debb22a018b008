"""Rows for tests, made through the store's own verbs: instants lie around the store's clock, which nobody can set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from tickonce.model import (
    Change,
    Definition,
    Fire,
    Launched,
    Node,
    NodeId,
    Outcome,
    Page,
    Plan,
    Policy,
    Poll,
    Run,
    RunState,
    Schedule,
    ScheduleState,
    Skip,
    Token,
    manual_token,
)
from tickonce.partition import Share
from tickonce.planning import plan
from tickonce.ports import RunFilter, Serves, Store
from tickonce.triggers import Every, Trigger

T = TypeVar("T")

MS = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

#: Each fire gets its run, however late and whatever is open.
ALL_RUN: dict[str, Any] = {"misfire": "all", "overlap": "allow"}


def serving(*jobs: str, queues: Iterable[str] = ("default",)) -> Serves:
    """Return what a node serves: *jobs*, or the one that these schedules have."""
    return Serves(jobs=frozenset(jobs or ("work",)), queues=frozenset(queues))


SERVES = serving()
NOTHING = Serves(jobs=frozenset(), queues=frozenset())


def owner_of_all(rank: int = 0) -> tuple[Share, ...]:
    """Return shares by which a node has *rank* for everything."""
    return (Share(None, bytes([rank]) * 1024),)


def policy_with(**fields: Any) -> Policy:
    """Return a policy; choices may be given by their text."""
    from tickonce.model import CutOff, Misfire, OnLost, Overlap

    kinds: dict[str, Callable[[Any], Any]] = {
        "misfire": Misfire,
        "overlap": Overlap,
        "on_lost": OnLost,
        "when_cut_off": CutOff,
    }
    return Policy(**{name: kinds[name](value) if name in kinds else value for name, value in fields.items()})


def put(
    store: Store,
    schedule: Schedule,
    *,
    runs: Sequence[Fire] = (),
    manual: Sequence[Run] = (),
    skips: Sequence[Skip] = (),
    extends: datetime | None = None,
) -> Schedule:
    """Write the row as it is given, with runs and skip records."""
    change = Change(schedule=schedule, runs=tuple(runs), manual=tuple(manual), skips=tuple(skips), extends=extends)
    written = store.change(schedule.id, lambda *_: change)
    assert written is not None
    return written


def make_schedule(
    store: Store,
    schedule_id: str = "nightly",
    *,
    trigger: Trigger | None = None,
    fires: int = 1,
    period: timedelta = HOUR,
    first: datetime | None = None,
    **fields: Any,
) -> Schedule:
    """Write a schedule that is *fires* fires behind; the newest came at most a second ago.

    Args:
        trigger: Instead of ``every(period)`` through *first*.
        first: Its next fire; the watermark lies just before it.
        fields: Of ``Schedule``, ``Definition`` and ``Policy``, by name.
    """
    now = store.instant()
    if first is None:
        first = now - period * (fires - 1) - min(SECOND, period / 2)
    trigger = Every(period, anchor=first) if trigger is None else trigger
    policy = {name: fields.pop(name) for name in list(fields) if name in Policy.__dataclass_fields__}
    own = {name: fields.pop(name) for name in list(fields) if name in Definition.__dataclass_fields__}
    definition = Definition(**{"job": "work", "trigger": trigger, "policy": policy_with(**policy), **own})
    row = Schedule(
        **{
            "id": schedule_id,
            "definition": definition,
            "watermark": first - MS,
            "next_fire": first,
            "due": first,
            "created_at": now,
            "updated_at": now,
            **fields,
        }
    )
    return put(store, row)


def make_idle(store: Store, schedule_id: str = "nightly", **fields: Any) -> Schedule:
    """Write a schedule whose next fire is an hour away."""
    now = store.instant()
    usual = {"first": now + HOUR, "trigger": Every(HOUR, anchor=now), "watermark": now}
    return make_schedule(store, schedule_id, **{**usual, **fields})


def planned(store: Store, schedule: Schedule) -> Plan:
    """Return the plan of a schedule that is due."""
    found = plan(schedule, store.instant())
    assert found is not None, f"{schedule.id} is not due"
    return found


def launch(
    store: Store, *schedules: Schedule, node: NodeId = "node", slots: int = 0, serves: Serves = SERVES
) -> Launched:
    """Plan and launch what is due of *schedules*."""
    return store.launch(node, [planned(store, schedule) for schedule in schedules], slots=slots, serves=serves)


def join(store: Store, node_id: NodeId = "node", **fields: Any) -> Node:
    """Let a node join; return it as it was given."""
    node = Node(id=node_id, **fields)
    assert store.join(node).alive
    return node


def make_run(store: Store, key: str = "one", *, schedule_id: str = "nightly", **fields: Any) -> Run:
    """Write a pending run, by hand; its schedule too, if that is not there."""
    if store.get(schedule_id) is None:
        make_idle(store, schedule_id)

    def decide(now: datetime, schedule: Schedule | None, open_runs: int) -> Change:
        assert schedule is not None
        assert open_runs >= 0
        definition = schedule.definition
        run = Run(
            **{
                "token": manual_token(schedule_id, key),
                "schedule_id": schedule_id,
                "job": definition.job,
                "arguments": definition.arguments,
                "queue": definition.queue,
                "priority": definition.priority,
                "policy": definition.policy,
                "scheduled_time": now,
                "due": now,
                "source": "manual",
                **fields,
            }
        )
        return Change(schedule=schedule, manual=(run,))

    store.change(schedule_id, decide)
    return run_of(store, manual_token(schedule_id, key))


def start_run(store: Store, key: str = "one", *, node: NodeId = "node", began: bool = False, **fields: Any) -> Run:
    """Write a run and let *node* claim it, with whatever else is free; with *began*, its function was called.

    The node joins if it is not there.
    """
    if all(row.id != node for row in store.nodes()):
        join(store, node)
    token = make_run(store, key, **fields).token
    (run,) = [run for run in store.claim(node, serves=SERVES, limit=100) if run.token == token]
    if began:
        assert store.began(node, token, run.attempt, at=store.instant())
    return run_of(store, token)


def end_run(store: Store, key: str = "one", *, state: RunState = RunState.FAILED, **fields: Any) -> Run:
    """Write a run that has ended."""
    at = fields.pop("finished_at", None)
    run = start_run(store, key, **fields)
    assert store.finish([outcome_of(run, state, finished_at=at)]) == [True]
    return run_of(store, run.token)


def outcome_of(run: Run, state: RunState = RunState.SUCCEEDED, **fields: Any) -> Outcome:
    """Return how the run's attempt ended."""
    assert run.node is not None
    return Outcome(**{"token": run.token, "attempt": run.attempt, "node": run.node, "state": state, **fields})


def run_of(store: Store, token: Token) -> Run:
    """Return a run that is there."""
    run = store.run(token)
    assert run is not None, f"no run {token}"
    return run


def row_of(store: Store, schedule_id: str) -> Schedule:
    """Return a schedule that is there."""
    row = store.get(schedule_id)
    assert row is not None, f"no schedule {schedule_id}"
    return row


def runs_of(store: Store, schedule_id: str | None = None, *states: RunState) -> list[Run]:
    """Return runs, oldest scheduled time first."""
    return list_all(lambda cursor: store.runs(RunFilter(schedule_id=schedule_id, states=states), cursor=cursor))[::-1]


def skips_of(store: Store, schedule_id: str | None = None) -> list[Skip]:
    """Return skip records, oldest first."""
    return list_all(lambda cursor: store.skips(schedule_id, cursor=cursor))[::-1]


def list_all(read: Callable[[str | None], Page[T]]) -> list[T]:
    """Return the items of all pages."""
    page = read(None)
    items = list(page.items)
    while page.cursor is not None:
        page = read(page.cursor)
        items.extend(page.items)
    return items


def look(store: Store, **fields: Any) -> Poll:
    """Look at what is due, as the owner of everything."""
    asked: dict[str, Any] = {"takeover_after": SECOND, "serves": SERVES, "limit": 100, **fields}
    return store.due(asked.pop("shares", owner_of_all()), **asked)


def everything(store: Store) -> tuple[object, ...]:
    """Return all that the store keeps, to compare before and after."""
    ids = [*store.ids()]
    schedules = [store.get(schedule_id) for schedule_id in ids]
    return schedules, runs_of(store), skips_of(store), store.nodes()


def paused(schedule: Schedule, *, until: datetime | None = None) -> Schedule:
    """Return the schedule as a pause leaves it."""
    return replace(schedule, state=ScheduleState.PAUSED, paused_until=until, next_fire=None, due=None)
