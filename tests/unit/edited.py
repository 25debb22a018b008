"""What tests of edits share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.unit.planned import HOUR, MINUTE, T0, written
from tickonce.definitions import form_of, hash_of
from tickonce.editing import (
    Declare,
    Pause,
)
from tickonce.model import Change, Definition, Schedule

NOW = T0 + 3 * HOUR + 30 * MINUTE


def changed(edit: Any, row: Schedule | None, now: datetime = NOW, open_runs: int = 0) -> Change:
    change = edit(now, row, open_runs)
    assert isinstance(change, Change)
    return change


def runs_of(change: Change) -> list[datetime]:
    return [fire.scheduled_time for fire in change.runs]


def told(change: Change) -> list[tuple[str, int]]:
    return [(str(skip.reason), skip.count) for skip in change.skips]


def paused(row: Schedule, at: datetime = T0, **fields: Any) -> Schedule:
    return written(changed(Pause(schedule_id=row.id, **fields), row, at))


def declared_by(definition: Definition, **fields: Any) -> Declare:
    form = form_of(definition)
    return Declare(schedule_id="nightly", definition=definition, hash=hash_of(definition), form=form, **fields)
