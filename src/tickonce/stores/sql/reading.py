"""Lists for people: filters, pages, cursors."""

from __future__ import annotations

import json
from typing import Any

from tickonce.errors import ConfigError
from tickonce.model import Page, Run, Schedule, Skip
from tickonce.ports import RunFilter, ScheduleFilter
from tickonce.stores.sql.rows import RUN, SCHEDULE, SKIP, microseconds, run_of, schedule_of, skip_of, tags_text
from tickonce.stores.sql.tx import Tx

_SCHEDULES = f"SELECT {', '.join(SCHEDULE)} FROM {{schedules}}"
_RUNS = f"SELECT {', '.join(RUN)} FROM {{runs}}"
_SKIPS = f"SELECT {', '.join(SKIP)} FROM {{skips}}"


def schedules(tx: Tx, which: ScheduleFilter, *, limit: int, cursor: str | None) -> Page[Schedule]:
    """Return schedules by id."""
    where: list[str] = []
    values: dict[str, Any] = {"limit": limit + 1}
    if cursor is not None:
        where.append("id > :behind")
        (values["behind"],) = _key(cursor, 1)
    if which.ids:
        where.append("id = ANY(:ids)")
        values["ids"] = sorted(which.ids)
    if which.states:
        where.append("state = ANY(:states)")
        values["states"] = [str(state) for state in which.states]
    hidden = [state for state, shown in (("removed", which.removed), ("ended", which.ended)) if not shown]
    where.extend(f"state <> '{state}'" for state in hidden)
    for name in ("job", "queue", "owner", "source"):
        value = getattr(which, name)
        if value is not None:
            where.append(f"{name} = :{name}")
            values[name] = value
    if which.tag is not None:
        where.append("{find}(tags, :tag) > 0")
        values["tag"] = tags_text((which.tag,))
    if which.text is not None:
        where.append(f"({' OR '.join(_within(name) for name in ('id', 'job', 'description'))})")
        values["text"] = which.text.casefold()
    if which.due_before is not None:
        where.append("due_us < :before")
        values["before"] = microseconds(which.due_before)
    rows = tx.rows(f"{_SCHEDULES}{_where(where)} ORDER BY id LIMIT :limit", **values)
    shown = tuple(schedule_of(row) for row in rows[:limit])
    return Page(shown, json.dumps([shown[-1].id]) if shown and len(rows) > limit else None)


def ids(tx: Tx, like: str | None, *, limit: int) -> list[str]:
    """Return ids of schedules that are not removed."""
    part = f" AND {_within('id')}" if like else ""
    text = f"SELECT id FROM {{schedules}} WHERE state <> 'removed'{part} ORDER BY id LIMIT :limit"
    return [row[0] for row in tx.rows(text, text=(like or "").casefold(), limit=limit)]


def runs(tx: Tx, which: RunFilter, *, limit: int, cursor: str | None) -> Page[Run]:
    """Return runs, newest scheduled time first."""
    where: list[str] = []
    values: dict[str, Any] = {"limit": limit + 1}
    if cursor is not None:
        # Two conditions rather than a row comparison: the order is down and up.
        where.append("scheduled_us <= :behind_us AND (scheduled_us < :behind_us OR token > :behind)")
        values["behind_us"], values["behind"] = _key(cursor, 2)
    if which.states:
        where.append("state = ANY(:states)")
        values["states"] = [str(state) for state in which.states]
    for name in ("schedule_id", "job", "queue", "node", "overdue"):
        value = getattr(which, name)
        if value is not None:
            where.append(f"{name} = :{name}")
            values[name] = value
    if which.scheduled_from is not None:
        where.append("scheduled_us >= :from_us")
        values["from_us"] = microseconds(which.scheduled_from)
    if which.scheduled_until is not None:
        where.append("scheduled_us <= :until_us")
        values["until_us"] = microseconds(which.scheduled_until)
    rows = tx.rows(f"{_RUNS}{_where(where)} ORDER BY scheduled_us DESC, token LIMIT :limit", **values)
    shown = tuple(run_of(row) for row in rows[:limit])
    more = len(rows) > limit
    return Page(shown, json.dumps([microseconds(shown[-1].scheduled_time), shown[-1].token]) if more else None)


def skips(tx: Tx, schedule_id: str | None, *, limit: int, cursor: str | None) -> Page[Skip]:
    """Return skip records, newest first."""
    where: list[str] = []
    values: dict[str, Any] = {"limit": limit + 1}
    if cursor is not None:
        where.append(
            "first_us <= :behind_us AND (first_us < :behind_us OR schedule_id > :behind "
            "OR (schedule_id = :behind AND reason > :behind_reason))"
        )
        values["behind_us"], values["behind"], values["behind_reason"] = _key(cursor, 3)
    if schedule_id is not None:
        where.append("schedule_id = :schedule_id")
        values["schedule_id"] = schedule_id
    rows = tx.rows(f"{_SKIPS}{_where(where)} ORDER BY first_us DESC, schedule_id, reason LIMIT :limit", **values)
    shown = tuple(skip_of(row) for row in rows[:limit])
    last = shown[-1] if len(rows) > limit else None
    return Page(shown, None if last is None else json.dumps([microseconds(last.first), last.schedule_id, last.reason]))


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _within(name: str) -> str:
    return f"{{find}}({{fold}}{name}{{folded}}, :text) > 0"


def _key(cursor: str, parts: int) -> list[Any]:
    try:
        key = json.loads(cursor)
    except ValueError:
        key = None
    if not isinstance(key, list) or len(key) != parts:
        raise ConfigError(f"cursor must be one that a list gave, got {cursor!r}")
    return key
