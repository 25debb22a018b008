"""The memory store keeps the contract, with a clock that is stepped and with the machine's."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tickonce.ports import Store
from tickonce.stores import open_store
from tickonce.testing import FakeClock
from tickonce.testing.contract import StoreContract


class TestMemory(StoreContract):
    clock: FakeClock

    @pytest.fixture
    def store(self) -> Store:
        self.clock = FakeClock()
        return open_store("memory:", clock=self.clock)

    def let_pass(self, store: Store, duration: timedelta = timedelta(milliseconds=1)) -> None:
        self.clock.advance(duration + timedelta(microseconds=1))


class TestMemoryInRealTime(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return open_store("memory:")
