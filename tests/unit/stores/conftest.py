"""SQL stores to look into: one of each dialect, or the one that a test is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.unit.stores.kinds import Open
from tickonce.clock import SYSTEM_CLOCK
from tickonce.ports import Clock
from tickonce.stores.sql.address import parse
from tickonce.stores.sql.store import SqlStore


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of the dialect that the test is parametrised with, SQLite if it is not."""
    dialect = getattr(request, "param", "sqlite")
    if dialect == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url: str = request.getfixturevalue(f"{dialect}_database")
    return url


@pytest.fixture
def open_sql(url: str) -> Iterator[Open]:
    """Open stores that are closed at the end, each with connections of its own, as in another process."""
    with ExitStack() as opened:

        def opening(at: str = url, *, clock: Clock = SYSTEM_CLOCK) -> SqlStore:
            return opened.enter_context(closing(SqlStore(parse(at), clock=clock)))

        yield opening


@pytest.fixture
def store(open_sql: Open) -> SqlStore:
    """A store whose tables are made."""
    store = open_sql()
    store.prepare()
    return store
