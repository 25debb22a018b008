"""What keeps a store healthy: pruning, marks of declarations, watermarks after a restore."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tickonce.config import Retention
from tickonce.errors import TickonceError
from tickonce.model import Schedule, ScheduleState
from tickonce.planning import next_due
from tickonce.stores.sql.nodes import now_us
from tickonce.stores.sql.rows import SCHEDULE, length, maybe_us, microseconds, schedule_of
from tickonce.stores.sql.tx import Tx

_COLUMNS = ", ".join(SCHEDULE)

# -- watermarks --------------------------------------------------------------------------------

_WATERMARKS = "SELECT id, watermark_us FROM {schedules} WHERE id = ANY(:ids)"
# Waits for locked rows: who went back in time must not launch again, whoever edits it just now.
_LOCK = f"SELECT {_COLUMNS} FROM {{schedules}} WHERE id = ANY(:ids) ORDER BY id {{lock}}"
_RAISE = """
UPDATE {schedules} SET version = version + 1, watermark_us = :watermark_us, next_fire_us = :next_fire_us,
  due_us = :due_us, state = :state
WHERE id = :id"""


def behind(tx: Tx, watermarks: Mapping[str, datetime]) -> list[str]:
    """Return the ids of schedules whose watermark is older than the one given, without locking them."""
    rows = tx.rows(_WATERMARKS, ids=sorted(watermarks))
    return [schedule_id for schedule_id, us in rows if us < microseconds(watermarks[schedule_id])]


def raise_watermarks(tx: Tx, watermarks: Mapping[str, datetime], ids: Collection[str]) -> list[str]:
    """Move the watermarks of these schedules forward, if they are still older."""
    raised = []
    for row in tx.rows(_LOCK, ids=sorted(ids)):
        schedule = schedule_of(row)
        watermark = watermarks[schedule.id]
        if schedule.watermark < watermark:
            after = _moved_past(schedule, watermark)
            tx.tell(
                _RAISE,
                id=after.id,
                watermark_us=microseconds(after.watermark),
                next_fire_us=maybe_us(after.next_fire),
                due_us=maybe_us(after.due),
                state=str(after.state),
            )
            raised.append(schedule.id)
    if raised:
        tx.announce("schedules")
    return raised


def _moved_past(schedule: Schedule, watermark: datetime) -> Schedule:
    after = replace(schedule, watermark=watermark)
    if schedule.next_fire is None or schedule.next_fire > watermark:
        return after
    try:
        next_fire, due = next_due(schedule.id, schedule.definition, watermark)
    except TickonceError:  # a trigger of newer code, which alone can tell the next fire
        return after
    state = schedule.state if next_fire is not None else ScheduleState.ENDED
    return replace(after, next_fire=next_fire, due=due, state=state)


# -- declarations ------------------------------------------------------------------------------

_UNSEEN = "SELECT id FROM {schedules} WHERE id = ANY(:ids) AND seen_us < {now} - :older"
_LOCK_UNSEEN = f"{_UNSEEN} ORDER BY id {{lock_or_skip}}"
_SEEN = "UPDATE {schedules} SET seen_us = {now} WHERE id = ANY(:ids)"


def unseen(tx: Tx, ids: Collection[str], *, older_than: timedelta) -> list[str]:
    """Return those ids whose mark is older."""
    return [row[0] for row in tx.rows(_UNSEEN, ids=sorted(set(ids)), older=length(older_than))]


def seen(tx: Tx, ids: Collection[str], *, older_than: timedelta) -> None:
    """Write the instant as the mark of those ids, if it is still older."""
    found = [row[0] for row in tx.rows(_LOCK_UNSEEN, ids=sorted(ids), older=length(older_than))]
    if found:
        tx.tell(_SEEN, ids=found)


# -- pruning -----------------------------------------------------------------------------------

_OLD_RUNS = """
SELECT token, schedule_id, scheduled_us, finished_us FROM {runs}
WHERE finished_us IS NOT NULL AND finished_us < :border
  AND finished_us >= :from_us AND (finished_us > :from_us OR token > :from_token)
ORDER BY finished_us, token LIMIT :limit"""
_OLDEST_KEPT = """
SELECT scheduled_us, token FROM {runs} WHERE schedule_id = :id AND finished_us IS NOT NULL
ORDER BY scheduled_us DESC, token LIMIT 1 OFFSET :skip"""
_LOCK_RUNS = """
SELECT token FROM {runs} WHERE token = ANY(:tokens) AND state NOT IN ('pending', 'running')
ORDER BY token {lock_to_delete}"""
_DELETE_RUNS = "DELETE FROM {runs} WHERE token = ANY(:tokens)"

_LOCK_SKIPS = """
SELECT schedule_id, first_us, reason FROM {skips} WHERE last_us < :border
ORDER BY schedule_id, first_us, reason LIMIT :limit {lock_to_delete}"""
_DELETE_SKIP = "DELETE FROM {skips} WHERE schedule_id = :id AND first_us = :first_us AND reason = :reason"
_LOCK_NODES = """
SELECT id FROM {nodes} WHERE state IN ('gone', 'dead') AND beat_us < :border
ORDER BY id LIMIT :limit {lock_to_delete}"""
_DELETE_NODES = "DELETE FROM {nodes} WHERE id = ANY(:ids)"
_LOCK_TOMBSTONES = """
SELECT id FROM {schedules} WHERE state = 'removed' AND updated_us < :border ORDER BY id LIMIT :limit {lock_to_delete}"""
_DELETE_TOMBSTONES = "DELETE FROM {schedules} WHERE id = ANY(:ids)"

#: Stretches of old runs looked through in one call at most, when all that is found there is to be kept.
_STRETCHES = 10


@dataclass
class Place:
    """Where pruning of runs goes on: what is older and still there is kept as the newest of its schedule.

    Without it, each call would look again through all that is kept: 50 runs a schedule are many.
    """

    finished_us: int = -(2**62)
    token: str = ""


def old_runs(tx: Tx, retention: Retention, place: Place, *, limit: int) -> list[str]:
    """Return tokens of runs that can go, and move *place* on."""
    border = now_us(tx) - length(retention.runs)
    for _ in range(_STRETCHES):
        rows = tx.rows(_OLD_RUNS, border=border, from_us=place.finished_us, from_token=place.token, limit=limit)
        kept = {schedule_id: _oldest_kept(tx, schedule_id, retention.keep) for schedule_id in {row[1] for row in rows}}
        found = [token for token, schedule_id, us, _ in rows if _behind(kept[schedule_id], us, token)]
        if len(rows) < limit:
            place.finished_us, place.token = -(2**62), ""
            return found
        place.finished_us, place.token = rows[-1][3], rows[-1][0]
        if found:
            return found
    return []


def _oldest_kept(tx: Tx, schedule_id: str, keep: int) -> tuple[int, str]:
    """Return the last run of the schedule that stays, newest first; all behind it may go."""
    if keep == 0:
        return (2**62, "")
    row = tx.row(_OLDEST_KEPT, id=schedule_id, skip=keep - 1)
    return (-(2**62), "") if row is None else (row[0], row[1])


def _behind(kept: tuple[int, str], scheduled_us: int, token: str) -> bool:
    # In the order of the index, as lists show it: down by time, up by token.
    return scheduled_us < kept[0] or (scheduled_us == kept[0] and token > kept[1])


def prune(tx: Tx, retention: Retention, tokens: list[str], *, limit: int) -> int:
    """Delete these runs and other rows that are old enough, at most *limit* in all."""
    now, gone = now_us(tx), 0
    found = [row[0] for row in tx.rows(_LOCK_RUNS, tokens=tokens)] if tokens else []
    if found:
        tx.tell(_DELETE_RUNS, tokens=found)
        gone += len(found)
    if gone < limit:
        skips = tx.rows(_LOCK_SKIPS, border=now - length(retention.skips), limit=limit - gone)
        for schedule_id, first_us, reason in skips:
            tx.tell(_DELETE_SKIP, id=schedule_id, first_us=first_us, reason=reason)
        gone += len(skips)
    for lock, delete, age in (
        (_LOCK_NODES, _DELETE_NODES, retention.nodes),
        (_LOCK_TOMBSTONES, _DELETE_TOMBSTONES, retention.tombstones),
    ):
        if gone < limit:
            ids = [row[0] for row in tx.rows(lock, border=now - length(age), limit=limit - gone)]
            if ids:
                tx.tell(delete, ids=ids)
                gone += len(ids)
    return gone
