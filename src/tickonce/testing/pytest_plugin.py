"""Fixtures for tests of programs that use tickonce. Name the module in ``pytest_plugins`` of your conftest.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tickonce.scheduler import Scheduler
from tickonce.stores.memory import MemoryStore
from tickonce.testing.clock import FakeClock


@pytest.fixture
def tickonce_clock() -> FakeClock:
    """The clock of ``tickonce_scheduler``: it stands still until ``run_due`` or ``advance`` moves it."""
    return FakeClock(waiting_passes=True)


@pytest.fixture
def tickonce_scheduler(tickonce_clock: FakeClock) -> Iterator[Scheduler]:
    """A Scheduler on a memory store of its own; ``include(your_scheduler.jobs)`` gives it your jobs and schedules."""
    with Scheduler(MemoryStore(clock=tickonce_clock), clock=tickonce_clock, name="test") as scheduler:
        yield scheduler
