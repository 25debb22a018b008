"""Edits: one schedule's row locked, a decision, what it says written; in our transaction or in a caller's."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from tickonce.errors import RunExists, RunOpen, StoreBusy
from tickonce.model import Change, Run, Schedule, schedule_with
from tickonce.ports import Decide
from tickonce.stores.sql.launching import write_skips
from tickonce.stores.sql.rows import (
    INSERT_FIRES,
    INSERT_RUNS,
    INSERT_SCHEDULE,
    SCHEDULE,
    fire_row,
    instant_of,
    microseconds,
    run_row,
    schedule_of,
    schedule_values,
)
from tickonce.stores.sql.tx import Tx

#: A schedule due within this is announced: nodes look again at least so often by themselves.
_SOON = timedelta(seconds=30)

_COLUMNS = ", ".join(SCHEDULE)
_GET = f"SELECT {_COLUMNS} FROM {{schedules}} WHERE id = :id"
_THERE = "SELECT id FROM {schedules} WHERE id = :id"
_LOCK = f"{_GET} {{lock}}"
#: For transactions of ours: they begin again instead of waiting, so that their connection serves others meanwhile.
_LOCK_OR_FAIL = f"{_GET} {{lock_or_fail}}"
# The instant is taken once the row is ours, for locking it may have taken long. With it the version and the count as a
# plain read shows them: in a caller's transaction that may be an older state than what was locked.
_FACTS = """
SELECT {now}, (SELECT version FROM {schedules} WHERE id = :id),
  (SELECT count(*) FROM {runs} WHERE schedule_id = :id AND state IN ('pending', 'running'))"""
_COUNT_LOCKED = """
SELECT token FROM {runs} WHERE schedule_id = :id AND state IN ('pending', 'running') ORDER BY token {share}"""
_TAKEN = "SELECT token FROM {runs} WHERE token = ANY(:tokens)"
_UPDATE = (
    "UPDATE {schedules} SET "
    + ", ".join(f"{name} = :{name}" for name in INSERT_SCHEDULE.columns if name not in ("id", "bucket"))
    + " WHERE id = :id"
)


def get(tx: Tx, schedule_id: str) -> Schedule | None:
    """Return the schedule, a tombstone too, or None."""
    row = tx.row(_GET, id=schedule_id)
    return None if row is None else schedule_of(row)


def change(tx: Tx, schedule_id: str, decide: Decide) -> Schedule | None:
    """Lock the schedule's row, call *decide*, write what it says; return the row as it is then."""
    before = locked(tx, schedule_id)
    for _ in range(2):
        now, open_runs = facts(tx, before, schedule_id)
        try:
            decided = decide(now, before, open_runs)
        except RunOpen as refused:
            if refused.token is not None:
                _refuse_taken(tx, [refused.token])
            raise
        if decided is None:
            return before
        after = _write(tx, decided, before, now)
        if after is not None:
            return after
        # Somebody added it since we looked, and has committed: it is there to be locked now.
        before = locked(tx, schedule_id, there=True)
        if before is None:
            break
    raise StoreBusy(f"schedule {schedule_id!r} is being added by somebody else; try the transaction again")


def locked(tx: Tx, schedule_id: str, *, there: bool = False) -> Schedule | None:
    """Lock the schedule's row and return it, or None."""
    tx.dialect.take_lock(tx, schedule_id)
    if not there and tx.dialect.look_first and tx.row(_THERE, id=schedule_id) is None:
        return None
    row = tx.row(_LOCK_OR_FAIL if tx.own else _LOCK, id=schedule_id)
    return None if row is None else schedule_of(row)


def facts(tx: Tx, before: Schedule | None, schedule_id: str) -> tuple[datetime, int]:
    """Return the instant, and how many runs of the schedule are open, now that its row is locked."""
    now_us, version, open_runs = tx.only(_FACTS, id=schedule_id)
    if tx.dialect.stale_reads and before is not None and version != before.version:
        open_runs = len(tx.rows(_COUNT_LOCKED, id=schedule_id))
    return instant_of(int(now_us)), int(open_runs)


def _write(tx: Tx, decided: Change, before: Schedule | None, now: datetime) -> Schedule | None:
    """Write; return the row as it is then, or None if another row has taken its place."""
    after, now_us = decided.schedule, microseconds(now)
    version = secrets.randbits(62) if before is None else before.version + 1
    values = schedule_values(after, version)
    tokens = [fire.token for fire in decided.runs] + [run.token for run in decided.manual]
    _refuse_taken(tx, tokens)
    if before is None and not tx.insert_new(INSERT_SCHEDULE, tuple(values[name] for name in INSERT_SCHEDULE.columns)):
        return None
    # Runs before the row: should one be refused after all, nothing has been changed in a caller's transaction.
    for run in decided.manual:
        _insert_run(tx, run, now_us)
    if before is not None:
        tx.tell(_UPDATE, **values)
    definition = (after if before is None else before).definition
    tx.insert_many(INSERT_FIRES, [fire_row(fire, fire.token, definition, now_us, node=None) for fire in decided.runs])
    write_skips(tx, [decided])
    _announce(tx, decided, before, now)
    return written(after, version)


def _refuse_taken(tx: Tx, tokens: list[str]) -> None:
    if tokens and (taken := tx.row(_TAKEN, tokens=tokens)) is not None:
        raise RunExists(taken[0])


def _insert_run(tx: Tx, run: Run, now_us: int) -> None:
    # It was looked for; only a caller's transaction with an old view of the table can have missed it.
    if not tx.insert_new(INSERT_RUNS, run_row(run, now_us)):
        raise RunExists(run.token)


def _announce(tx: Tx, decided: Change, before: Schedule | None, now: datetime) -> None:
    due = decided.schedule.due
    if due is not None and due <= now + _SOON and (before is None or before.due != due):
        tx.announce("schedules")
    if any(fire.due <= now + _SOON for fire in decided.runs) or decided.manual:
        tx.announce("runs")


def written(schedule: Schedule, version: int) -> Schedule:
    """Return the schedule with the version that it was written with."""
    return schedule_with(schedule, version=version)
