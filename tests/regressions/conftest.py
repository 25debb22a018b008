"""A fleet on a fake clock, and an emptied database of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path

import pytest

from tests.regressions.scenes import Add, put, utc
from tests.servers.databases import fresh_database
from tickonce.clock import SYSTEM_CLOCK
from tickonce.model import Schedule
from tickonce.stores.sql.address import TABLES, parse
from tickonce.stores.sql.store import SqlStore
from tickonce.stores.sql.tx import Tx
from tickonce.testing.clock import FakeClock
from tickonce.testing.fleet import Fleet
from tickonce.triggers import Trigger, every

START = utc(2026, 11, 21, 13).replace(microsecond=500_000)

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.server)
MYSQL = pytest.param("mysql", marks=pytest.mark.server)

Another = Callable[[], SqlStore]


# -- time and interleaving: the engine's own steps, driven by hand -------------------------------


@pytest.fixture
def start() -> datetime:
    """When the scene begins; tests of time set it by parameter."""
    return START


@pytest.fixture
def clock(start: datetime) -> FakeClock:
    return FakeClock(start)


@pytest.fixture
def add(fleet: Fleet) -> Add:
    """Add a schedule to the fleet's store, of each second if nothing is said."""

    def adding(schedule_id: str, trigger: Trigger | None = None, **settings: object) -> Schedule:
        return put(fleet.store, schedule_id, trigger or every("1s"), **settings)

    return adding


# -- stores: real databases ----------------------------------------------------------------------


@pytest.fixture(scope="package", params=["sqlite", POSTGRESQL, MYSQL])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database with tables, of each kind in turn."""
    with ExitStack() as opened:
        if request.param == "sqlite":
            path: Path = tmp_path_factory.mktemp("regressions")
            found = f"sqlite:///{path}/store.db?sync=normal"
        else:
            found = opened.enter_context(fresh_database(request.getfixturevalue(f"{request.param}_url")))
        with closing(SqlStore(parse(found), clock=SYSTEM_CLOCK)) as store:
            store.prepare()
        yield found


@pytest.fixture
def another(url: str) -> Iterator[Another]:
    """Open one more store on the database, with connections of its own, as another process does."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(SqlStore(parse(url), clock=SYSTEM_CLOCK)))


@pytest.fixture
def store(another: Another) -> SqlStore:
    """The store, emptied."""
    found = another()
    found._work.write(_empty)
    return found


def _empty(tx: Tx) -> None:
    for table in TABLES:
        if table != "settings":
            tx.tell(f"DELETE FROM {{{table}}}")
