"""The launch: plans compared with what the store holds, and written, in one step."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from tickonce.model import Change, Launched, NodeId, Plan, Run, RunState, Schedule, Skip, Token
from tickonce.planning import choose
from tickonce.ports import Serves
from tickonce.stores.sql.nodes import ALIVE_NOW
from tickonce.stores.sql.rows import (
    INSERT_FIRES,
    INSERT_SKIPS,
    Row,
    fire_row,
    instant_of,
    maybe_us,
    microseconds,
    skip_row,
)
from tickonce.stores.sql.text import Kind, Update
from tickonce.stores.sql.tx import Tx

_log = logging.getLogger("tickonce.store")

_LOCK = "SELECT id, version FROM {schedules} WHERE id = ANY(:ids) ORDER BY id {lock_or_skip}"
_PRESENT = "SELECT id FROM {schedules} WHERE id = ANY(:ids)"
_OPEN = """
SELECT schedule_id, count(*) FROM {runs}
WHERE schedule_id = ANY(:ids) AND state IN ('pending', 'running') GROUP BY schedule_id"""
_TAKEN = "SELECT token FROM {runs} WHERE token = ANY(:tokens)"
_EXTENDED = """
SELECT schedule_id, reason, first_us FROM {skips} WHERE schedule_id = ANY(:ids) AND first_us = ANY_INT(:firsts)
ORDER BY schedule_id, first_us, reason {lock}"""

_MOVE = Update(
    table="schedules",
    key=("id",),
    columns={
        "id": Kind.TEXT,
        "version": Kind.INT,
        "watermark_us": Kind.INT,
        "next_fire_us": Kind.INT,
        "due_us": Kind.INT,
        "state": Kind.TEXT,
        "reason": Kind.TEXT,
        "paused_until_us": Kind.INT,
        "fold_reason": Kind.TEXT,
        "fold_first_us": Kind.INT,
    },
    sets={
        name: f"v.{name}"
        for name in (
            "version",
            "watermark_us",
            "next_fire_us",
            "due_us",
            "state",
            "reason",
            "paused_until_us",
            "fold_reason",
            "fold_first_us",
        )
    },
)
_EXTEND_SKIPS = Update(
    table="skips",
    key=("schedule_id", "first_us", "reason"),
    columns={
        "schedule_id": Kind.TEXT,
        "first_us": Kind.INT,
        "reason": Kind.TEXT,
        "last_us": Kind.INT,
        "fires": Kind.INT,
        "more": Kind.BOOL,
    },
    sets={"last_us": "v.last_us", "fires": "r.fires + v.fires", "more": "(r.more OR v.more)"},
)


def launch(
    tx: Tx,
    *,
    node_id: NodeId,
    plans: Sequence[Plan],
    slots: int,
    serves: Serves,
    until: datetime | None,
    wary: bool,
) -> Launched:
    """Write ``choose(plan, open)`` for each plan whose version still holds; *wary*: look for tokens that are there."""
    ids = [plan.schedule.id for plan in plans]
    # Rows first, in the order of their keys; then the clock and the counts, which nobody can change any more.
    locking = tx.ask(_LOCK, ids=ids)
    looking = tx.ask(ALIVE_NOW, id=node_id)
    counted = [plan.schedule.id for plan in plans if plan.schedule.policy.room is not None]
    counting = tx.ask(_OPEN, ids=counted) if counted else None
    versions: dict[str, int] = dict(locking.rows())
    ((now_us, alive),) = looking.rows()
    now = instant_of(now_us)
    if not alive:
        return Launched(instant=now, alive=False)
    if until is not None and now > until:
        return Launched(instant=now, lost=tuple(ids))
    open_runs: dict[str, int] = dict(counting.rows()) if counting is not None else {}

    missing = {schedule_id: None for schedule_id in ids if schedule_id not in versions}
    present = {row[0] for row in tx.rows(_PRESENT, ids=list(missing))} if missing else set()
    lost = [schedule_id for schedule_id in missing if schedule_id not in present]
    chosen: list[tuple[Plan, Change]] = []
    for plan in plans:
        schedule_id = plan.schedule.id
        version = versions.pop(schedule_id, None)  # a second plan for it is out of date by the first
        if version == plan.schedule.version:
            chosen.append((plan, choose(plan, open_runs.get(schedule_id, 0), version=version + 1)))
        elif schedule_id not in missing:
            lost.append(schedule_id)
    taken: tuple[Token, ...] = ()
    if wary:
        chosen, taken = _without_taken(tx, chosen)

    claimed, pending = _write(tx, node_id, chosen, now, slots=slots, serves=serves)
    return Launched(
        instant=now,
        claimed=tuple(claimed),
        pending=tuple(pending),
        changes=tuple(change for _, change in chosen),
        locked=tuple(schedule_id for schedule_id in missing if schedule_id in present),
        lost=tuple(lost),
        taken=taken,
    )


def _without_taken(tx: Tx, chosen: list[tuple[Plan, Change]]) -> tuple[list[tuple[Plan, Change]], tuple[Token, ...]]:
    tokens = [fire.token for _, change in chosen for fire in change.runs]
    there = {row[0] for row in tx.rows(_TAKEN, tokens=tokens)}
    kept = [(plan, change) for plan, change in chosen if there.isdisjoint(fire.token for fire in change.runs)]
    return kept, tuple(token for token in tokens if token in there)


def _write(
    tx: Tx, node_id: NodeId, chosen: Sequence[tuple[Plan, Change]], now: datetime, *, slots: int, serves: Serves
) -> tuple[list[Run], list[Token]]:
    claimed: list[Run] = []
    pending: list[Token] = []
    moves: list[Row] = []
    fires: list[Row] = []
    now_us = microseconds(now)
    for plan, change in chosen:
        moves.append(_move_row(change.schedule))
        definition = plan.schedule.definition
        served = serves.takes(definition.job, definition.queue)
        for fire in change.runs:
            token = fire.token
            start = served and len(claimed) < slots and fire.due <= now
            if start and (fire.start_by is None or fire.start_by > now):
                fires.append(fire_row(fire, token, definition, now_us, node=node_id))
                claimed.append(
                    Run(
                        token=token,
                        schedule_id=fire.schedule_id,
                        job=definition.job,
                        arguments=definition.arguments,
                        scheduled_time=fire.scheduled_time,
                        due=fire.due,
                        state=RunState.RUNNING,
                        attempt=1,
                        node=node_id,
                        queue=definition.queue,
                        priority=definition.priority,
                        policy=definition.policy,
                        start_by=fire.start_by,
                        created_at=now,
                    )
                )
            else:
                fires.append(fire_row(fire, token, definition, now_us, node=None))
                pending.append(token)
    tx.update_many(_MOVE, moves)
    tx.insert_many(INSERT_FIRES, fires)
    write_skips(tx, [change for _, change in chosen if change.skips])
    if pending:
        tx.announce("runs")
    return claimed, pending


def _move_row(after: Schedule) -> Row:
    fold = after.fold
    return (
        after.id,
        after.version,
        microseconds(after.watermark),
        maybe_us(after.next_fire),
        maybe_us(after.due),
        str(after.state),
        after.reason,
        maybe_us(after.paused_until),
        None if fold is None else str(fold.reason),
        None if fold is None else microseconds(fold.first),
    )


def write_skips(tx: Tx, changes: Iterable[Change]) -> None:
    """Write skip records, the first of each change continuing the one it extends, if that is still there."""
    fresh: list[Skip] = []
    growing: dict[tuple[str, str, int], Skip] = {}
    for change in changes:
        skips = list(change.skips)
        if skips and change.extends is not None:
            first = skips.pop(0)
            growing[change.schedule.id, str(first.reason), microseconds(change.extends)] = first
        fresh.extend(skips)
    if growing:
        # Locked, so that none of them is pruned before it has grown.
        rows = tx.rows(_EXTENDED, ids=[key[0] for key in growing], firsts=[key[2] for key in growing])
        there = {(schedule_id, reason, first) for schedule_id, reason, first in rows}
        fresh.extend(skip for key, skip in growing.items() if key not in there)
        tx.update_many(
            _EXTEND_SKIPS,
            [
                (schedule_id, first, reason, microseconds(skip.last), skip.count, skip.more)
                for (schedule_id, reason, first), skip in growing.items()
                if (schedule_id, reason, first) in there
            ],
        )
    tx.insert_many(INSERT_SKIPS, [skip_row(skip) for skip in fresh])
