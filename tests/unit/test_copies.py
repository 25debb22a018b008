"""Changed copies of records are what ``dataclasses.replace`` makes of them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tickonce.model import (
    NO_ARGUMENTS,
    Change,
    Definition,
    Node,
    Run,
    RunState,
    Schedule,
    change_with,
    node_with,
    run_with,
    schedule_with,
)
from tickonce.triggers import every

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROW = Schedule(
    id="a",
    definition=Definition(job="note", trigger=every("5m")),
    watermark=NOON,
    next_fire=NOON,
    due=NOON,
    created_at=NOON,
    updated_at=NOON,
)
RUN = Run(token="a@x", schedule_id="a", job="note", arguments=NO_ARGUMENTS, scheduled_time=NOON, due=NOON)

CASES = [
    (schedule_with, ROW, {"watermark": NOON + timedelta(minutes=5), "version": 8}),
    (run_with, RUN, {"state": RunState.RUNNING, "attempt": 1, "node": "n1", "started_at": None}),
    (node_with, Node(id="n1", facts={"a": 1}), {"facts": {}, "busy": 3}),
    (change_with, Change(schedule=ROW), {"schedule": schedule_with(ROW, version=9)}),
]


@pytest.mark.parametrize(("copy", "row", "changes"), CASES)
def test_it_is_what_replace_makes(copy: Any, row: Any, changes: dict[str, Any]) -> None:
    made = copy(row, **changes)
    assert made == replace(row, **changes)
    assert made is not row
    assert type(made) is type(row)


@pytest.mark.parametrize(("copy", "row", "changes"), CASES)
def test_each_field_can_be_changed_and_no_other_name(copy: Any, row: Any, changes: dict[str, Any]) -> None:
    del changes
    for field in fields(row):
        assert getattr(copy(row, **{field.name: "something else"}), field.name) == "something else"
    with pytest.raises(TypeError, match="colour"):
        copy(row, colour="red")


@pytest.mark.parametrize(("copy", "row", "changes"), CASES)
def test_nobody_is_passed_over_who_checks_what_is_made(copy: Any, row: Any, changes: dict[str, Any]) -> None:
    assert not hasattr(row, "__post_init__")
    made = copy(row, **changes)
    with pytest.raises(FrozenInstanceError):
        setattr(made, fields(row)[0].name, "other")
