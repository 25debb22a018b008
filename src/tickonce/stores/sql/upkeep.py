"""What keeps a store healthy: pruning, marks of declarations, watermarks after a restore."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tickonce.config import Retention
from tickonce.model import Schedule
from tickonce.planning import COUNT_LIMIT, moved_past
from tickonce.stores.sql.launching import write_skips
from tickonce.stores.sql.nodes import now_us
from tickonce.stores.sql.rows import SCHEDULE, instant_of, length, maybe_us, microseconds, schedule_of
from tickonce.stores.sql.tx import Answer, Tx

_COLUMNS = ", ".join(SCHEDULE)

# -- watermarks --------------------------------------------------------------------------------

_WATERMARKS = "SELECT id, watermark_us FROM {schedules} WHERE id = ANY(:ids)"
# Waits for locked rows: who went back in time must not launch again, whoever edits it just now.
_LOCK = f"SELECT {_COLUMNS} FROM {{schedules}} WHERE id = ANY(:ids) ORDER BY id {{lock}}"
_RUN_TIMES = """
SELECT scheduled_us FROM {runs} WHERE schedule_id = :id AND scheduled_us > :after AND scheduled_us <= :until
  AND source = 'schedule'
ORDER BY scheduled_us LIMIT :limit"""
_RAISE = """
UPDATE {schedules} SET version = version + 1, watermark_us = :watermark_us, next_fire_us = :next_fire_us,
  due_us = :due_us, state = :state, fold_reason = :fold_reason, fold_first_us = :fold_first_us
WHERE id = :id"""


def behind(tx: Tx, watermarks: Mapping[str, datetime]) -> list[str]:
    """Return the ids of schedules whose watermark is older than the one given, without locking them."""
    rows = tx.rows(_WATERMARKS, ids=sorted(watermarks))
    return [schedule_id for schedule_id, us in rows if us < microseconds(watermarks[schedule_id])]


def raise_watermarks(tx: Tx, watermarks: Mapping[str, datetime], ids: Collection[str]) -> list[str]:
    """Move the watermarks of these schedules forward, if they are still older, and tell of the fires passed so."""
    locked = [schedule_of(row) for row in tx.rows(_LOCK, ids=sorted(ids))]
    asked = [
        (schedule, watermarks[schedule.id], _asked_runs(tx, schedule, watermarks[schedule.id]))
        for schedule in locked
        if schedule.watermark < watermarks[schedule.id]
    ]
    changes = [
        moved_past(schedule, watermark, [instant_of(us) for (us,) in runs.rows()])
        for schedule, watermark, runs in asked
    ]
    for change in changes:
        after, fold = change.schedule, change.schedule.fold
        tx.tell(
            _RAISE,
            id=after.id,
            watermark_us=microseconds(after.watermark),
            next_fire_us=maybe_us(after.next_fire),
            due_us=maybe_us(after.due),
            state=str(after.state),
            fold_reason=None if fold is None else str(fold.reason),
            fold_first_us=None if fold is None else microseconds(fold.first),
        )
    write_skips(tx, changes)
    if changes:
        tx.announce("schedules")
    return [change.schedule.id for change in changes]


def _asked_runs(tx: Tx, schedule: Schedule, until: datetime) -> Answer:
    after_us, until_us = microseconds(schedule.watermark), microseconds(until)
    return tx.ask(_RUN_TIMES, id=schedule.id, after=after_us, until=until_us, limit=COUNT_LIMIT)


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
_THERE = "SELECT id FROM {schedules} WHERE id = ANY(:ids)"
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
SELECT id FROM {schedules} WHERE state = 'removed' AND updated_us < :border AND (seen_us IS NULL OR seen_us < :border)
ORDER BY id LIMIT :limit {lock_to_delete}"""
_ENDED_LONG_AGO = """
s.state = 'ended' AND s.updated_us < :border AND s.watermark_us < :border
  AND (s.seen_us IS NULL OR s.seen_us < :border)"""
_ENDED = f"""
SELECT s.id FROM {{schedules}} s WHERE {_ENDED_LONG_AGO} AND NOT EXISTS
  (SELECT 1 FROM {{runs}} r WHERE r.schedule_id = s.id AND r.state IN ('pending', 'running'))
ORDER BY s.id LIMIT :limit"""
_LOCK_ENDED = (
    f"SELECT s.id FROM {{schedules}} s WHERE s.id = ANY(:ids) AND {_ENDED_LONG_AGO} ORDER BY s.id {{lock_to_delete}}"
)
_WITH_OPEN_RUNS = """
SELECT DISTINCT schedule_id FROM {runs} WHERE schedule_id = ANY(:ids) AND state IN ('pending', 'running')"""
_DELETE_SCHEDULES = "DELETE FROM {schedules} WHERE id = ANY(:ids)"

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
        kept = _kept(tx, {row[1] for row in rows}, retention.keep)
        found = [token for token, schedule_id, us, _ in rows if _behind(kept[schedule_id], us, token)]
        if len(rows) < limit:
            place.finished_us, place.token = -(2**62), ""
            return found
        place.finished_us, place.token = rows[-1][3], rows[-1][0]
        if found:
            return found
    return []


def _kept(tx: Tx, ids: set[str], keep: int) -> dict[str, tuple[int, str]]:
    """Return for each schedule the last run that stays; of one that is gone, none does."""
    there = {row[0] for row in tx.rows(_THERE, ids=sorted(ids))} if ids else set()
    return {each: _oldest_kept(tx, each, keep if each in there else 0) for each in ids}


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
        (_LOCK_TOMBSTONES, _DELETE_SCHEDULES, retention.tombstones),
    ):
        if gone < limit:
            ids = [row[0] for row in tx.rows(lock, border=now - length(age), limit=limit - gone)]
            if ids:
                tx.tell(delete, ids=ids)
                gone += len(ids)
    if gone < limit:
        gone += _prune_ended(tx, now - length(retention.runs), limit=limit - gone)
    return gone


def _prune_ended(tx: Tx, border: int, *, limit: int) -> int:
    """Delete schedules that have ended long ago; return how many."""
    found = [row[0] for row in tx.rows(_ENDED, border=border, limit=limit)]
    locked = [row[0] for row in tx.rows(_LOCK_ENDED, border=border, ids=found)] if found else []
    # Asked once more under the lock: a run by hand may have come meanwhile, and nothing else in the row tells of it.
    still = {row[0] for row in tx.rows(_WITH_OPEN_RUNS, ids=locked)} if locked else set()
    ids = [schedule_id for schedule_id in locked if schedule_id not in still]
    if ids:
        tx.tell(_DELETE_SCHEDULES, ids=ids)
    return len(ids)
