"""Which rows a list shows, and a page of them at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tickonce.model import Page, Run, Schedule, ScheduleState, Skip
from tickonce.ports import RunFilter, ScheduleFilter

T = TypeVar("T")
Key = list[int | str]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def shows_schedule(which: ScheduleFilter, row: Schedule) -> bool:
    """Whether *which* lists the schedule."""
    definition = row.definition
    return (
        (which.removed or row.state is not ScheduleState.REMOVED)
        and (which.ended or row.state is not ScheduleState.ENDED)
        and (not which.ids or row.id in which.ids)
        and (not which.states or row.state in which.states)
        and which.job in (None, definition.job)
        and which.queue in (None, definition.queue)
        and (which.tag is None or which.tag in definition.tags)
        and which.owner in (None, definition.owner)
        and which.source in (None, row.source)
        and (which.text is None or within(which.text, row.id, definition.job, definition.description))
        and (which.due_before is None or (row.due is not None and row.due < which.due_before))
    )


def shows_run(which: RunFilter, run: Run) -> bool:
    """Whether *which* lists the run."""
    return (
        which.schedule_id in (None, run.schedule_id)
        and which.job in (None, run.job)
        and (not which.states or run.state in which.states)
        and which.queue in (None, run.queue)
        and which.node in (None, run.node)
        and (which.scheduled_from is None or run.scheduled_time >= which.scheduled_from)
        and (which.scheduled_until is None or run.scheduled_time <= which.scheduled_until)
        and which.overdue in (None, run.overdue)
    )


def within(text: str, *fields: str) -> bool:
    """Whether one of *fields* has *text* in it, upper and lower case alike."""
    return any(text.casefold() in field.casefold() for field in fields)


def by_id(row: Schedule) -> Key:
    """Schedules by id, byte by byte: UTF-8 keeps the order of code points, as Python does."""
    return [row.id]


def by_time(run: Run) -> Key:
    """Runs by scheduled time, newest first."""
    return [-_microseconds(run.scheduled_time), run.token]


def by_first(skip: Skip) -> Key:
    """Skip records by their first fire, newest first: the last one still moves."""
    return [-_microseconds(skip.first), skip.schedule_id, skip.reason]


def page(rows: Iterable[T], key: Callable[[T], Key], *, limit: int, cursor: str | None) -> Page[T]:
    """Return the rows behind *cursor*, at most *limit*; the cursor is the key of the last row shown."""
    behind: Key | None = None if cursor is None else json.loads(cursor)
    rest = sorted((row for row in rows if behind is None or key(row) > behind), key=key)
    shown = tuple(rest[:limit])
    return Page(shown, json.dumps(key(shown[-1])) if shown and len(rest) > limit else None)


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND
