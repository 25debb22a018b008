"""What tests of the public face begin with: a client on a store in memory, at nine o'clock, and two jobs of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tickonce import Scheduler
from tickonce.jobs import Job
from tickonce.stores.memory import MemoryStore
from tickonce.testing import FakeClock

NINE = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NINE)


@pytest.fixture
def scheduler(clock: FakeClock) -> Iterator[Scheduler]:
    with Scheduler(MemoryStore(clock=clock), clock=clock, name="ada") as scheduler:
        yield scheduler


@pytest.fixture
def sync(scheduler: Scheduler) -> Job[[str], None]:
    @scheduler.job(name="sync", queue="shops", on_lost="fail")
    def sync(shop: str) -> None: ...

    return sync


@pytest.fixture
def tidy(scheduler: Scheduler) -> Job[[], None]:
    @scheduler.job(name="tidy")
    def tidy() -> None: ...

    return tidy
