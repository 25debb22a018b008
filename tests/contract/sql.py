"""What the contract tests of the SQL stores share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta

import pytest

from tickonce.editing import Amend
from tickonce.ports import Store
from tickonce.stores import open_store
from tickonce.stores.sql.address import TABLES
from tickonce.stores.sql.store import SqlStore
from tickonce.stores.sql.tx import Tx
from tickonce.testing.contract import StoreContract, locks
from tickonce.testing.contract.making import SECOND, make_schedule


class SqlStoreContract(StoreContract):
    """The contract, for a store that a URL opens. Modules provide a fixture ``url`` of a database.

    Each test gets the same tables, emptied: making them takes longer than most tests.
    """

    opened: ExitStack
    address: str

    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        with ExitStack() as self.opened:
            self.address = url
            store = self.opened.enter_context(closing(open_store(url)))
            assert isinstance(store, SqlStore)
            store.prepare()
            store._work.write(_empty)
            yield store

    def another(self, store: Store) -> Store:
        return self.opened.enter_context(closing(open_store(self.address)))

    def test_a_change_of_a_schedule_is_announced(self, store: Store) -> None:
        """Only one that shortens a wait: each notification takes a lock that all commits of the database share."""
        make_schedule(store, period=10 * SECOND)
        listener = store.notifier()
        if listener is None:
            pytest.skip("this store does not announce")
        with closing(listener):
            listener.wait(timedelta(0))
            store.change("nightly", Amend(schedule_id="nightly", changes={"jitter": SECOND}))
            assert any("schedules" in listener.wait(5 * SECOND) for _ in range(3))

    @pytest.fixture(autouse=True)
    def _rows_are_held_by_another_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # One process has one connection for edits and runs alike: what it decides in an edit is decided at once.
        holding = locks._holding
        monkeypatch.setattr(
            locks, "_holding", lambda store, *args, **named: holding(self.another(store), *args, **named)
        )


def _empty(tx: Tx) -> None:
    for table in TABLES:
        if table != "settings":
            tx.tell(f"DELETE FROM {{{table}}}")
