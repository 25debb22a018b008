"""Edits in a caller's transaction: our statements on the caller's own cursor, and nothing else.

Never begins, commits, rolls back, loops or retries. Works in any isolation, as the row is locked before anything is
decided. What cannot be checked is whether the connection leads to the very database of the store: that is the caller's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from tickonce.errors import DefinitionError, NotTransactional, StoreBusy
from tickonce.model import Outcome, Schedule
from tickonce.ports import Decide
from tickonce.stores.sql import edits, work
from tickonce.stores.sql.connect import explained
from tickonce.stores.sql.dialects.base import Dialect, Failure
from tickonce.stores.sql.tx import Tx

R = TypeVar("R")

_DIALECTS = {
    "postgresql": "postgresql",
    "psycopg": "postgresql",
    "psycopg2": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "pymysql": "mysql",
    "MySQLdb": "mysql",
    "sqlite": "sqlite",
    "sqlite3": "sqlite",
    "pysqlite2": "sqlite",
}
_KNOWN = "a SQLAlchemy Connection or Session, a psycopg, PyMySQL or sqlite3 connection, or a Django connection"
_AUTOCOMMIT = "the connection commits each statement by itself and is in no transaction; begin one first"


class JoinedSteps:
    """The steps, as part of the transaction that a caller's connection is in."""

    def __init__(self, dialect: Dialect, cursor: Callable[[], Any]) -> None:
        self._dialect = dialect
        self._cursor = cursor

    def change(self, schedule_id: str, decide: Decide) -> Schedule | None:
        """Lock the row, decide, write; notifications go out when the caller commits."""

        def step(tx: Tx) -> Schedule | None:
            after = edits.change(tx, schedule_id, decide)
            tx.send_hints()
            return after

        return self._step(step)

    def get(self, schedule_id: str) -> Schedule | None:
        """Return the schedule as the transaction sees it."""
        return self._step(lambda tx: edits.get(tx, schedule_id))

    def ready(self) -> None:
        """Check that there is a transaction."""
        self._cursor().close()

    def end(self, outcome: Outcome) -> bool:
        """Lock the run's row, and write how its attempt ended if that is still its own."""
        return self._step(lambda tx: work.end(tx, outcome))

    def _step(self, does: Callable[[Tx], R]) -> R:
        cursor = self._cursor()
        try:
            return does(Tx(self._dialect, cursor, own=False))
        except Exception as error:
            failure = self._dialect.failure(error)
            if failure is None:
                raise
            if failure is Failure.CONTENT:
                raise DefinitionError(f"the schedule holds text that {self._dialect.title} does not take") from error
            if failure is Failure.TRANSIENT:
                if self._dialect.whole_file:
                    raise StoreBusy(
                        "the SQLite file is locked by another process, or has changed since this transaction first "
                        "read it; begin it with BEGIN IMMEDIATE (Django 5.1+: OPTIONS transaction_mode IMMEDIATE)"
                    ) from error
                raise  # a deadlock or serialization failure: the caller's own retry knows the driver's error
            raise explained(self._dialect, error, failure) from error
        finally:
            cursor.close()


def joined(dialect: Dialect, connection: object) -> JoinedSteps:
    """Return the steps for a connection of any kind that we know.

    Raises:
        NotTransactional: We do not know it, it is asynchronous, or it leads to another kind of database.
    """
    for adapter in (_sqlalchemy, _django, _driver):
        found = adapter(connection)
        if found is not None:
            kind, cursor = found
            if kind != dialect.address.dialect:
                raise NotTransactional(
                    f"the connection leads to {kind}, the store is in {dialect.title}; only a transaction in the "
                    "database of the store can hold both"
                )
            return JoinedSteps(dialect, cursor)
    raise NotTransactional(f"using() takes {_KNOWN}, not {_shown(connection)}")


_Found = tuple[str, Callable[[], Any]] | None


def _sqlalchemy(connection: object) -> _Found:
    if _root(connection) not in ("sqlalchemy", "flask_sqlalchemy") and "sqlalchemy" not in sys.modules:
        return None
    from sqlalchemy import Connection, Engine
    from sqlalchemy.orm import Session, scoped_session

    # By name: importing the classes needs greenlet, which few have.
    if any(base.__module__.startswith("sqlalchemy.ext.asyncio") for base in type(connection).__mro__):
        raise NotTransactional(
            f"{type(connection).__name__} is asynchronous; write: "
            "await session.run_sync(lambda session: scheduler.using(session).add(...))"
        )
    if isinstance(connection, Engine):
        raise NotTransactional("an Engine has no transaction; give using() a Connection or Session of it")
    if isinstance(connection, Session | scoped_session):
        session = connection
        return _kind_of(session.get_bind().dialect.name), lambda: _sqlalchemy_cursor(session.connection())
    if isinstance(connection, Connection):
        plain = connection
        return _kind_of(plain.dialect.name), lambda: _sqlalchemy_cursor(plain)
    return None


def _sqlalchemy_cursor(connection: Any) -> Any:
    if connection.dialect.driver in ("asyncpg", "pg8000"):
        raise NotTransactional(
            f"{connection.dialect.driver} takes other statements than ours; use psycopg "
            "(postgresql+psycopg://, asynchronous too)"
        )
    if not connection.in_transaction():
        # As its own execute() would: else its commit() would believe that there is nothing to commit.
        connection.begin()
    raw = connection.connection.dbapi_connection
    if connection.dialect.is_async:
        return raw.cursor()
    return cursor_of(raw)


def _django(connection: object) -> _Found:
    vendor = getattr(connection, "vendor", None)
    if not isinstance(vendor, str) or not hasattr(connection, "ensure_connection"):
        return None
    wrapper: Any = connection

    def cursor() -> Any:
        wrapper.ensure_connection()
        if not wrapper.in_atomic_block and wrapper.get_autocommit():
            raise NotTransactional("Django is not in a transaction here; write: with transaction.atomic(): ...")
        wrapper.validate_no_broken_transaction()
        return cursor_of(wrapper.connection)

    return _kind_of(vendor), cursor


def _driver(connection: object) -> _Found:
    root = _root(connection)
    if root == "asyncpg" or "Async" in type(connection).__name__:
        raise NotTransactional(f"{_shown(connection)} is asynchronous; give using() a synchronous connection")
    if root not in _DIALECTS or not hasattr(connection, "cursor"):
        return None
    return _DIALECTS[root], lambda: cursor_of(connection)


def cursor_of(raw: Any) -> Any:
    """Return a cursor whose rows are tuples, whatever the connection's own habit."""
    match _root(raw):
        case "psycopg":
            from psycopg import Cursor
            from psycopg.pq import TransactionStatus
            from psycopg.rows import tuple_row

            if raw.autocommit and raw.info.transaction_status == TransactionStatus.IDLE:
                raise NotTransactional(_AUTOCOMMIT)
            return Cursor(raw, row_factory=tuple_row)
        case "psycopg2":
            from psycopg2.extensions import cursor, STATUS_READY  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: I001

            if raw.autocommit and raw.status == STATUS_READY:
                raise NotTransactional(_AUTOCOMMIT)
            return raw.cursor(cursor_factory=cursor)
        case "pymysql":
            from pymysql.constants import SERVER_STATUS
            from pymysql.cursors import Cursor as PlainCursor

            if raw.get_autocommit() and not raw.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS:
                raise NotTransactional(_AUTOCOMMIT)
            return raw.cursor(PlainCursor)
        case "sqlite3":
            by_itself = raw.isolation_level is None or getattr(raw, "autocommit", -1) is True
            if by_itself and not raw.in_transaction:
                raise NotTransactional(_AUTOCOMMIT)
            plain = raw.cursor()
            plain.row_factory = None
            return plain
        case _:
            return raw.cursor()


def _kind_of(name: str) -> str:
    return _DIALECTS.get(name, name)


def _root(thing: object) -> str:
    """Return the package that a class comes from, or that one of its bases does: drivers are often subclassed."""
    for base in type(thing).__mro__:
        root = base.__module__.partition(".")[0]
        if root in _DIALECTS or root in ("asyncpg", "sqlalchemy"):
            return root
    return type(thing).__module__.partition(".")[0]


def _shown(thing: object) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"
