"""Between rows and models. Instants are whole microseconds since 1970 in UTC: exact, and the same in every database."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache, wraps
from typing import Any, TypeVar

from tickonce.definitions import dump_definition, dump_policy, load_definition, load_policy
from tickonce.errors import StoreError
from tickonce.model import (
    Declaration,
    Definition,
    Fire,
    Fold,
    Node,
    NodeState,
    Policy,
    Run,
    RunState,
    Schedule,
    ScheduleState,
    Skip,
)
from tickonce.stores.sql.text import Insert, Kind

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Row = tuple[Any, ...]
T = TypeVar("T")


def microseconds(instant: datetime) -> int:
    """Return an instant as a number.

    >>> microseconds(datetime(2026, 1, 1, tzinfo=UTC))
    1767225600000000
    """
    return (instant - EPOCH) // _MICROSECOND


def length(duration: timedelta) -> int:
    """Return a duration in microseconds."""
    return duration // _MICROSECOND


def instant_of(us: int) -> datetime:
    """Return the instant that a number stands for."""
    return EPOCH + timedelta(0, 0, us)


def maybe_us(instant: datetime | None) -> int | None:
    """Return an instant as a number, None as None."""
    return None if instant is None else (instant - EPOCH) // _MICROSECOND


def maybe_instant(us: int | None) -> datetime | None:
    """Return the instant that a number stands for, None for None."""
    return None if us is None else EPOCH + timedelta(0, 0, us)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _reading(kind: str) -> Callable[[Callable[[Row], T]], Callable[[Row], T]]:
    """Have a reader of rows name the row that it cannot read: one of a newer release, or written by hand."""

    def decorated(read: Callable[[Row], T]) -> Callable[[Row], T]:
        @wraps(read)
        def reading(row: Row) -> T:
            try:
                return read(row)
            except StoreError:
                raise
            except Exception as error:
                raise StoreError(f"{kind} {row[0]!r} cannot be read: {type(error).__name__} {error}") from error

        return reading

    return decorated


# -- schedules ---------------------------------------------------------------------------------

#: What is read of a schedule, in the order of ``schedule_of``.
SCHEDULE = _words(
    """
    id definition state version revision watermark_us next_fire_us due_us fold_reason fold_first_us reason
    paused_until_us source declared_hash declared_form declared_release overrides seen_us created_us
    created_by updated_us updated_by
    """
)

_SCHEDULE_STATES = {str(state): state for state in ScheduleState}

INSERT_SCHEDULE = Insert(
    table="schedules",
    columns={
        **dict.fromkeys(SCHEDULE, Kind.TEXT),
        **{name: Kind.INT for name in SCHEDULE if name.endswith("_us") or name in ("version", "revision")},
        # Copies of what the definition says, to search by.
        "bucket": Kind.INT,
        "job": Kind.TEXT,
        "queue": Kind.TEXT,
        "priority": Kind.INT,
        "tags": Kind.TEXT,
        "owner": Kind.TEXT,
        "description": Kind.TEXT,
    },
    key=("id",),
)


@_reading("schedule")
def schedule_of(row: Row) -> Schedule:
    """Return the schedule in a row of SCHEDULE."""
    (
        schedule_id, definition, state, version, revision, watermark, next_fire, due, fold_reason, fold_first, reason,
        paused_until, source, declared_hash, declared_form, declared_release, overrides, seen, created, created_by,
        updated, updated_by,
    ) = row  # fmt: skip
    try:
        loaded = load_definition(definition)
    except Exception as error:
        raise StoreError(f"the definition of schedule {schedule_id!r} cannot be read: {error}") from error
    return Schedule(
        id=schedule_id,
        definition=loaded,
        state=_SCHEDULE_STATES[state],
        version=version,
        revision=revision,
        watermark=EPOCH + timedelta(0, 0, watermark),
        next_fire=None if next_fire is None else EPOCH + timedelta(0, 0, next_fire),
        due=None if due is None else EPOCH + timedelta(0, 0, due),
        fold=None if fold_first is None else Fold(fold_reason, instant_of(fold_first)),
        reason=reason,
        paused_until=None if paused_until is None else instant_of(paused_until),
        source=source,
        declaration=None
        if declared_hash is None
        else Declaration(
            hash=declared_hash,
            form=_form(declared_form),
            release=declared_release,
            overrides=_overrides(overrides),
            seen_at=instant_of(seen),
        ),
        created_at=instant_of(created),
        created_by=created_by,
        updated_at=instant_of(updated),
        updated_by=updated_by,
    )


def schedule_values(schedule: Schedule, version: int) -> dict[str, Any]:
    """Return the columns of INSERT_SCHEDULE."""
    definition, declaration, fold = schedule.definition, schedule.declaration, schedule.fold
    return {
        "id": schedule.id,
        "definition": dump_definition(definition),
        "state": str(schedule.state),
        "version": version,
        "revision": schedule.revision,
        "watermark_us": microseconds(schedule.watermark),
        "next_fire_us": maybe_us(schedule.next_fire),
        "due_us": maybe_us(schedule.due),
        "fold_reason": None if fold is None else str(fold.reason),
        "fold_first_us": None if fold is None else microseconds(fold.first),
        "reason": schedule.reason,
        "paused_until_us": maybe_us(schedule.paused_until),
        "source": schedule.source,
        "declared_hash": None if declaration is None else declaration.hash,
        "declared_form": None if declaration is None else _json(declaration.form),
        "declared_release": None if declaration is None else declaration.release,
        "overrides": None if declaration is None else _json(sorted(declaration.overrides)),
        "seen_us": None if declaration is None else microseconds(declaration.seen_at),
        "created_us": microseconds(schedule.created_at),
        "created_by": schedule.created_by,
        "updated_us": microseconds(schedule.updated_at),
        "updated_by": schedule.updated_by,
        "bucket": schedule.bucket,
        "job": definition.job,
        "queue": definition.queue,
        "priority": definition.priority,
        "tags": tags_text(definition.tags),
        "owner": definition.owner,
        "description": definition.description,
    }


def tags_text(tags: tuple[str, ...]) -> str:
    """Return tags as text in which each stands between line ends, so that one can be found."""
    return f"\n{chr(10).join(tags)}\n" if tags else ""


# -- runs --------------------------------------------------------------------------------------

#: What is read of a run, in the order of ``run_of``.
RUN = _words(
    """
    token schedule_id job arguments scheduled_us due_us state attempt failures losses node queue priority
    policy start_by_us source created_us created_by started_us finished_us overdue cancelling progress result
    error reason
    """
)

RUN_STATES = {str(state): state for state in RunState}

_RUN_KINDS = {
    **dict.fromkeys(RUN, Kind.TEXT),
    **{name: Kind.INT for name in RUN if name.endswith("_us")},
    **dict.fromkeys(("attempt", "failures", "losses", "priority"), Kind.INT),
    **dict.fromkeys(("overdue", "cancelling"), Kind.BOOL),
    "progress": Kind.FLOAT,
}
INSERT_RUNS = Insert(table="runs", columns=_RUN_KINDS, key=("token",))
_FIRE = _words(
    """
    token schedule_id job arguments scheduled_us due_us state attempt node queue priority policy start_by_us
    created_us
    """
)
#: A run of a fire, as it is launched; the other columns have their defaults.
INSERT_FIRES = Insert(
    table="runs",
    columns={name: _RUN_KINDS[name] for name in _FIRE},
    key=("token",),
)


@_reading("run")
def run_of(row: Row) -> Run:
    """Return the run in a row of RUN; a policy of newer code is shown as the default."""
    (
        token, schedule_id, job, arguments, scheduled, due, state, attempt, failures, losses, node, queue, priority,
        policy, start_by, source, created, created_by, started, finished, overdue, cancelling, progress, result, error,
        reason,
    ) = row  # fmt: skip
    return Run(
        token=token,
        schedule_id=schedule_id,
        job=job,
        arguments=arguments,
        scheduled_time=EPOCH + timedelta(0, 0, scheduled),
        due=EPOCH + timedelta(0, 0, due),
        state=RUN_STATES[state],
        attempt=attempt,
        failures=failures,
        losses=losses,
        node=node,
        queue=queue,
        priority=priority,
        policy=policy_of(policy) or _DEFAULT_POLICY,
        start_by=None if start_by is None else EPOCH + timedelta(0, 0, start_by),
        source=source,
        created_at=None if created is None else EPOCH + timedelta(0, 0, created),
        created_by=created_by or "",
        started_at=None if started is None else EPOCH + timedelta(0, 0, started),
        finished_at=None if finished is None else EPOCH + timedelta(0, 0, finished),
        overdue=bool(overdue),
        cancelling=bool(cancelling),
        progress=progress,
        result=result,
        error=error,
        reason=reason,
    )


def run_row(run: Run, created_us: int) -> Row:
    """Return the columns of INSERT_RUNS."""
    return (
        run.token,
        run.schedule_id,
        run.job,
        run.arguments,
        microseconds(run.scheduled_time),
        microseconds(run.due),
        str(run.state),
        run.attempt,
        run.failures,
        run.losses,
        run.node,
        run.queue,
        run.priority,
        dump_policy(run.policy),
        maybe_us(run.start_by),
        run.source,
        created_us,
        run.created_by,
        maybe_us(run.started_at),
        maybe_us(run.finished_at),
        run.overdue,
        run.cancelling,
        run.progress,
        run.result,
        run.error,
        None if run.reason is None else str(run.reason),
    )


def fire_row(fire: Fire, token: str, definition: Definition, created_us: int, *, node: str | None) -> Row:
    """Return the columns of INSERT_FIRES: claimed by *node*, or pending."""
    start_by = fire.start_by
    return (
        token,
        fire.schedule_id,
        definition.job,
        definition.arguments,
        (fire.scheduled_time - EPOCH) // _MICROSECOND,
        (fire.due - EPOCH) // _MICROSECOND,
        "pending" if node is None else "running",
        0 if node is None else 1,
        node,
        definition.queue,
        definition.priority,
        dump_policy(definition.policy),
        None if start_by is None else (start_by - EPOCH) // _MICROSECOND,
        created_us,
    )


@lru_cache(maxsize=4_096)
def policy_of(text: str) -> Policy | None:
    """Return the policy that *text* stands for, or None when only newer code knows it."""
    try:
        return load_policy(text)
    except (KeyError, TypeError, ValueError):
        return None


_DEFAULT_POLICY = Policy()

# -- skip records ------------------------------------------------------------------------------

SKIP = ("schedule_id", "reason", "first_us", "last_us", "fires", "more")
INSERT_SKIPS = Insert(
    table="skips",
    columns={
        **dict.fromkeys(("schedule_id", "reason"), Kind.TEXT),
        **dict.fromkeys(("first_us", "last_us", "fires"), Kind.INT),
        "more": Kind.BOOL,
    },
    # Two records of one schedule, reason and first fire are one fact told twice: by a store that went back in time.
    key=("schedule_id", "first_us", "reason"),
    merge=("last_us", "fires"),
)


def skip_of(row: Row) -> Skip:
    """Return the skip record in a row of SKIP."""
    schedule_id, reason, first, last, fires, more = row
    return Skip(schedule_id, reason, instant_of(first), instant_of(last), fires, bool(more))


def skip_row(skip: Skip) -> Row:
    """Return the columns of INSERT_SKIPS."""
    return (
        skip.schedule_id,
        str(skip.reason),
        microseconds(skip.first),
        microseconds(skip.last),
        skip.count,
        skip.more,
    )


# -- nodes -------------------------------------------------------------------------------------

#: What a beat reads of a node, in the order of ``node_of``; ``declares`` and ``facts`` may follow.
NODE = _words(
    """
    id host pid state lease_us started_us beat_us alive_until_us ticks serving ticked_us slots busy queues
    app_release
    """
)
_NODE_STATES = {str(state): state for state in NodeState}

INSERT_NODE = Insert(
    table="nodes",
    columns={
        **dict.fromkeys(NODE, Kind.TEXT),
        **{name: Kind.INT for name in NODE if name.endswith("_us")},
        **dict.fromkeys(("pid", "slots", "busy"), Kind.INT),
        **dict.fromkeys(("ticks", "serving"), Kind.BOOL),
        "declares": Kind.TEXT,
        "facts": Kind.TEXT,
    },
    key=("id",),
)


@_reading("node")
def node_of(row: Row) -> Node:
    """Return the node in a row of NODE, or of NODE with declares and facts."""
    (
        node_id, host, pid, state, lease, started, beat, alive_until, ticks, serving, ticked, slots, busy, queues,
        release, *rest,
    ) = row  # fmt: skip
    declares, facts = rest or ("{}", "{}")
    return Node(
        id=node_id,
        host=host,
        pid=pid,
        state=_NODE_STATES[state],
        lease=timedelta(0, 0, lease),
        started_at=maybe_instant(started),
        beat_at=maybe_instant(beat),
        alive_until=maybe_instant(alive_until),
        ticks=bool(ticks),
        serving=bool(serving),
        ticked_at=maybe_instant(ticked),
        slots=slots,
        busy=busy,
        queues=_queues(queues),
        release=release,
        declares=json.loads(declares),
        facts=json.loads(facts),
    )


def node_row(node: Node, now_us: int) -> Row:
    """Return the columns of INSERT_NODE, alive from *now_us* on."""
    lease_us = length(node.lease)
    return (
        node.id,
        node.host,
        node.pid,
        str(node.state),
        lease_us,
        now_us if node.started_at is None else microseconds(node.started_at),
        now_us,
        now_us + lease_us,
        node.ticks,
        node.serving,
        maybe_us(node.ticked_at),
        node.slots,
        node.busy,
        _json(node.queues),
        node.release,
        _json(node.declares),
        facts_text(node),
    )


def facts_text(node: Node) -> str:
    """Return the column ``facts``."""
    return _json(node.facts)


# -- JSON --------------------------------------------------------------------------------------


def _json(value: Any) -> str:
    if isinstance(value, Mapping):
        value = dict(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=16_384)
def _form(text: str) -> Mapping[str, Any]:
    form: Mapping[str, Any] = json.loads(text)
    return form


@lru_cache(maxsize=4_096)
def _overrides(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


@lru_cache(maxsize=4_096)
def _queues(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
