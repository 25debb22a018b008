"""Fleets on a fake clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tickonce.editing import Create
from tickonce.model import Definition, Policy
from tickonce.testing.clock import FakeClock
from tickonce.testing.fleet import Fleet
from tickonce.triggers import Trigger, every

START = datetime(2026, 11, 21, 13, 0, 0, 500_000, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def add(fleet: Fleet) -> Callable[..., None]:
    """Add a schedule of the job ``note``."""

    def adding(schedule_id: str, trigger: Trigger | None = None, **policy: object) -> None:
        definition = Definition(
            job="note",
            trigger=trigger or every("1s"),
            policy=Policy(**policy),  # type: ignore[arg-type]
        )
        fleet.store.change(schedule_id, Create(schedule_id=schedule_id, definition=definition))

    return adding


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)
