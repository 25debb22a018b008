"""Any sequence of calls on a store answers as the memory store does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

from tickonce.ports import Store
from tickonce.stores import open_store
from tickonce.testing import FakeClock
from tickonce.testing.contract.lives import live
from tickonce.testing.contract.machine import StoreMachine

_QUICK = settings(max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))


class MemoryMachine(StoreMachine):
    """Against itself: that the machine asks nothing of a store that the contract leaves open."""

    def open(self) -> Store:
        self.stepped = FakeClock()
        self.stepped.jump(timedelta(microseconds=123_457))
        return open_store("memory:", clock=self.stepped)

    def pass_time(self) -> None:
        self.stepped.advance(timedelta(milliseconds=1))


class SqliteMachine(StoreMachine):
    def open(self) -> Store:
        self.directory = TemporaryDirectory()
        store = open_store(f"sqlite:///{Path(self.directory.name) / 'machine.db'}")
        store.prepare()
        return store

    def shut(self, store: Store) -> None:
        store.close()
        self.directory.cleanup()


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = _QUICK
TestSqliteMachine = SqliteMachine.TestCase
TestSqliteMachine.settings = _QUICK


@pytest.mark.parametrize("seed", range(10))
def test_a_long_life_in_memory(seed: int) -> None:
    live(MemoryMachine(), seed=seed, steps=100)


@pytest.mark.parametrize("seed", range(20, 30))
def test_a_long_life_in_a_file(seed: int) -> None:
    live(SqliteMachine(), seed=seed, steps=100)


class ServerMachine(StoreMachine):
    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__()

    def open(self) -> Store:
        store = open_store(self.url)
        store.prepare()
        return store


@pytest.mark.parametrize("seed", range(40, 43))
def test_a_long_life_on_postgresql(postgresql_database: str, seed: int) -> None:
    live(ServerMachine(postgresql_database), seed=seed, steps=100)


@pytest.mark.parametrize("seed", range(43, 46))
def test_a_long_life_on_mysql(mysql_database: str, seed: int) -> None:
    live(ServerMachine(mysql_database), seed=seed, steps=100)
