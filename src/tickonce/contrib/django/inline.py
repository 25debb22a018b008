"""The store on Django's own connection, for tests: what a test's transaction rolls back, it rolls back, too.

Nothing here belongs into production: one connection serves all, so nothing can be launched beside a transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from django.db import connections, transaction

from tickonce.clock import SYSTEM_CLOCK
from tickonce.contrib.django.databases import place_of
from tickonce.ports import Clock, Notifier, Signal
from tickonce.stores.sql.address import Address
from tickonce.stores.sql.dialects.base import Dialect, Link, Mode
from tickonce.stores.sql.dialects.mysql import MysqlDialect
from tickonce.stores.sql.dialects.postgresql import PostgresqlDialect
from tickonce.stores.sql.dialects.sqlite import SqliteDialect
from tickonce.stores.sql.rows import instant_of, microseconds
from tickonce.stores.sql.store import SqlStore
from tickonce.stores.sql.tx import Tx
from tickonce.stores.sql.using import cursor_of

T = TypeVar("T")

#: The row of the table of settings that says to what time a test has come.
_TIME = "test_time_us"
_DELETE = ("DELETE FROM {schedules}", "DELETE FROM {runs}", "DELETE FROM {skips}", "DELETE FROM {nodes}")


class TestTime:
    """The machine's clock, until a test has let time pass; from then on the time of the test.

    Where it has come to is kept in the store: with the rest of what a test did, it is rolled back.

    Attributes:
        stepped: The clock of the test, while it lets time pass.
    """

    __test__ = False  # for pytest, which takes it for tests

    def __init__(self) -> None:
        self.stepped: Clock | None = None
        self.reached: datetime | None = None

    def wall(self) -> datetime:
        """Return the time of day."""
        if self.stepped is not None:
            return self.stepped.wall()
        now = SYSTEM_CLOCK.wall()
        return now if self.reached is None else max(now, self.reached)

    def monotonic(self) -> timedelta:
        """Return time since some fixed moment."""
        return (self.stepped or SYSTEM_CLOCK).monotonic()

    def boottime(self) -> timedelta | None:
        """Return time since some fixed moment."""
        return (self.stepped or SYSTEM_CLOCK).boottime()

    def signal(self) -> Signal:
        """Return a new signal."""
        return (self.stepped or SYSTEM_CLOCK).signal()

    def sleep(self, duration: timedelta) -> None:
        """Wait."""
        (self.stepped or SYSTEM_CLOCK).sleep(duration)


class BorrowingStore(SqlStore):
    """A store whose every step is part of the transaction that Django's connection is in, if it is in one.

    Attributes:
        alias: Which of Django's connections.
        prefix: Begins the names of the tables.
        time: Its clock, also where the database has one of its own.
    """

    def __init__(self, address: Address, alias: str) -> None:
        self.alias, self.prefix = alias, address.names.prefix
        self.time = TestTime()
        super().__init__(address, clock=self.time, dialect=_KINDS[address.dialect](address, self.time, alias))

    @classmethod
    def at(cls, alias: str, *, prefix: str) -> BorrowingStore:
        """Return the store in the database *alias*."""
        address = place_of(alias, prefix=prefix).address
        return cls(replace(address, url=f"DATABASES[{alias!r}]"), alias)

    @property
    def notifies(self) -> bool:
        """Say no: nobody waits."""
        return False

    def notifier(self) -> Notifier | None:
        """Return None."""
        return None

    def keep_time(self) -> None:
        """Write down to what time the test has come."""
        us = str(microseconds(self.time.wall()))

        def write(tx: Tx) -> None:
            tx.tell("DELETE FROM {settings} WHERE name = :name", name=_TIME)
            tx.tell("INSERT INTO {settings} (name, value) VALUES (:name, :us)", name=_TIME, us=us)

        self._work.write(write)

    def clear(self) -> None:
        """Delete all rows: for tests that commit, after which Django empties its own tables."""

        def delete(tx: Tx) -> None:
            for text in _DELETE:
                tx.tell(text)
            tx.tell("DELETE FROM {settings} WHERE name = :name", name=_TIME)

        self._work.write(delete)


class _Borrowing(Dialect):
    """A dialect on Django's connection, whose *now* is the test's."""

    time: TestTime

    def __init__(self, address: Address, clock: Clock, alias: str) -> None:
        super().__init__(address, clock)
        self.alias = alias

    def bound(self, values: dict[str, Any]) -> Any:
        """Return *values*, the instant among them."""
        values["now_us"] = microseconds(self.clock.wall())
        return super().bound(values)

    def connect(self, deadline: timedelta) -> Link:
        """Return what stands for Django's connection."""
        del deadline
        return _BorrowedLink(self, self.alias)

    def empty(self) -> bool:
        """Say no: that is seen at the first look."""
        return False


class _Sqlite(_Borrowing, SqliteDialect):
    pass


class _Postgresql(_Borrowing, PostgresqlDialect):
    words: ClassVar = {**PostgresqlDialect.words, "now": "CAST(:now_us AS bigint)"}


class _Mysql(_Borrowing, MysqlDialect):
    words: ClassVar = {**MysqlDialect.words, "now": ":now_us", "at": ":now_us"}


_KINDS: dict[str, type[_Borrowing]] = {"sqlite": _Sqlite, "postgresql": _Postgresql, "mysql": _Mysql}


class _BorrowedLink(Link):
    """Django's connection of the thread that asks."""

    def __init__(self, dialect: _Borrowing, alias: str) -> None:
        self._dialect, self._alias = dialect, alias

    def step(self, work: Callable[[Tx], T], mode: Mode) -> T:
        """Carry out *work* in a transaction, or in a savepoint of the one that there is."""
        del mode
        connection = connections[self._alias]
        connection.ensure_connection()
        connection.validate_no_broken_transaction()
        with transaction.atomic(using=self._alias):
            raw: Any = connection.connection
            if self._dialect.address.dialect == "sqlite":
                raw.create_function("tickonce_fold", 1, str.casefold, deterministic=True)
            cursor = cursor_of(raw)
            try:
                tx = Tx(self._dialect, cursor, own=False)
                self._learn_time(tx)
                return work(tx)
            finally:
                cursor.close()

    def _learn_time(self, tx: Tx) -> None:
        time = self._dialect.clock
        if isinstance(time, TestTime) and time.stepped is None:
            row = tx.row("SELECT value FROM {settings} WHERE name = :name", name=_TIME)
            time.reached = None if row is None else instant_of(int(row[0]))

    def plain(self) -> Any:
        """Refuse."""
        raise NotImplementedError("the connection is Django's")

    def close(self) -> None:
        """Leave the connection to Django."""
