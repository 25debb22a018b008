"""The tables: made once in an empty database, checked in any other, changed only by ``tickonce db upgrade``.

SQLAlchemy and Alembic are imported only to make or change tables, not to look at their revision.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import blake2b
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickonce import forks
from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import ConfigError, SchemaError, StoreBusy
from tickonce.stores.sql.address import Address, parse
from tickonce.stores.sql.connect import Lane, explained, unreachable
from tickonce.stores.sql.dialects import Dialect, dialect_of
from tickonce.threads import stale

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

_log = logging.getLogger("tickonce.store")

#: Revisions of the schema, oldest first. This code works with the last two, so that a rolling deploy has time for both.
CHAIN = ("0001",)
NEWEST = CHAIN[-1]

_WORKS_WITH = CHAIN[-2:]
_PATIENCE = timedelta(seconds=60)
_PAUSE = timedelta(milliseconds=100)
_BEING_MADE = f"another process has been making the tables for {_PATIENCE.total_seconds():g} s"
#: Building an index on millions of rows takes its time.
_DDL = timedelta(hours=6)


# -- for the store ----------------------------------------------------------------------------


def prepare(dialect: Dialect, lane: Lane, *, make: bool = True) -> None:
    """Make the tables of an empty database, once however many processes ask; check existing ones.

    Raises:
        SchemaError: The tables are too old or too new for this code; or there are none, and none were to be made.
    """
    found = None if not make and dialect.empty() else _revision(dialect, lane)
    if found is None and make:
        lane.close()  # SQLite: not two connections of one process in each other's way
        _migrate(dialect)
        found = _revision(dialect, lane)
    check(found, dialect)


def check(found: str | None, dialect: Dialect) -> None:
    """Refuse a revision that this code does not work with."""
    where = f"in {_place(dialect)}"
    if found is None:
        raise SchemaError(
            f"there are no tables {where}. To make them, run: tickonce db upgrade (a node makes them when it starts, "
            "and so does the first: tickonce add)",
            found=None,
            needed=NEWEST,
        )
    if found in _WORKS_WITH:
        return
    if found in CHAIN:
        raise SchemaError(
            f"the tables {where} are of revision {found}, this code needs {_WORKS_WITH[0]} or newer. "
            "Run: tickonce db upgrade",
            found=found,
            needed=NEWEST,
        )
    raise SchemaError(
        f"the tables {where} are of revision {found}, which is newer than this code (it knows up to {NEWEST}). "
        "Upgrade tickonce in this program",
        found=found,
        needed=NEWEST,
    )


def _revision(dialect: Dialect, lane: Lane) -> str | None:
    text = f"SELECT version_num FROM {_revision_table(dialect)}"
    try:
        row = lane.read(lambda tx: tx.row(text))
    except SchemaError:
        return None
    return None if row is None else str(row[0])


def _revision_table(dialect: Dialect) -> str:
    names = dialect.address.names
    return names.revision_table if names.schema is None else f"{names.schema}.{names.revision_table}"


# -- for people, by way of the command line ---------------------------------------------------


def current(url: str) -> str | None:
    """Return the revision of the tables at *url*, or None when there are none. Makes nothing, not even a file."""
    dialect = _dialect(url)
    if dialect.empty():
        return None
    lane = Lane(dialect, "the schema", timedelta(seconds=10))
    try:
        return _revision(dialect, lane)
    finally:
        lane.close()


def upgrade(url: str) -> tuple[str | None, str]:
    """Bring the tables at *url* to the newest revision; return the one found and the one that they have now."""
    found = current(url)
    if found is not None and found not in CHAIN:
        check(found, _dialect(url))
    _migrate(_dialect(url))
    return found, NEWEST


def sql(url: str, *, since: str | None = None) -> str:
    """Return the statements that ``upgrade`` would run, for whoever has to approve or run them; nothing is connected.

    Args:
        url: Which database, and how the tables are called.
        since: The revision that is there, or None for an empty database.

    Raises:
        ConfigError: There is no revision *since*.
    """
    if since is not None and since not in CHAIN:
        raise ConfigError(f"the schema has no revision {since!r:.40}; known are {', '.join(CHAIN)}")
    address = parse(url)
    with _quiet_alembic(), forks.undivided():
        from alembic import command

        config = _config(address)
        config.output_buffer = StringIO()
        config.attributes["dialect_name"] = address.dialect
        with _in_turn():
            command.upgrade(config, f"{since}:head" if since else "head", sql=True)
    made = config.output_buffer.getvalue()
    if address.names.schema is not None and since is None:
        made = f"CREATE SCHEMA IF NOT EXISTS {address.names.schema};\n\n{made}"
    return made


def _dialect(url: str) -> Dialect:
    return dialect_of(parse(url), SYSTEM_CLOCK)


# -- migrating --------------------------------------------------------------------------------


def _config(address: Address) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["names"] = address.names
    return config


def _migrate(dialect: Dialect) -> None:
    # A child forked meanwhile would take the lock of an SQLite file for one that its own process has.
    with _quiet_alembic(), forks.undivided():
        from alembic import command

        config = _config(dialect.address)
        with _locked(dialect) as connection:
            config.attributes["connection"] = connection
            with _in_turn():
                command.upgrade(config, "head")
    _log.info("the tables in %s are of revision %s", _place(dialect), NEWEST)


@contextmanager
def _in_turn() -> Iterator[None]:
    """Let one thread of this process at a time use Alembic, which keeps in its modules which database it is about."""
    global _turn  # noqa: PLW0603  # there is one Alembic
    if stale(_turn):
        _turn = threading.RLock()
    with _turn:
        yield


_turn = threading.RLock()


def _forget_turn() -> None:
    global _turn  # noqa: PLW0603  # a thread of the parent's may hold it
    _turn = threading.RLock()


forks.in_child(_forget_turn)


def _place(dialect: Dialect) -> str:
    address = dialect.address
    if address.path:
        return f"{dialect.title} at {address.path}"
    named = "" if address.database is None else f", database {address.database}"
    return f"{dialect.title} at {address.place}{named}"


@contextmanager
def _quiet_alembic() -> Iterator[None]:
    """Keep what Alembic says of its own doings out of the program's log, unless the program has set its level."""
    said = logging.getLogger("alembic")
    if said.level != logging.NOTSET:
        yield
        return
    said.setLevel(logging.WARNING)
    try:
        yield
    finally:
        said.setLevel(logging.NOTSET)


@contextmanager
def _locked(dialect: Dialect) -> Iterator[Connection]:
    """Give a connection in a transaction that only one process at a time can have."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    driver, lock = _LOCKS[dialect.address.dialect]
    engine = create_engine(driver, creator=lambda: _raw(dialect), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            lock(connection, dialect)
            if dialect.address.names.schema is not None:
                connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {dialect.address.names.schema}")
            yield connection
            connection.commit()
    except Exception as error:
        cause = getattr(error, "orig", None) or error
        failure = dialect.failure(cause)
        if failure is None:
            raise
        raise explained(dialect, cause, failure) from error
    finally:
        engine.dispose()


def _raw(dialect: Dialect) -> Any:
    try:
        link = dialect.connect(_DDL)
    except Exception as error:
        if dialect.failure(error) is None:
            raise
        raise unreachable(dialect, error) from error
    return link.plain()


def _lock_postgresql(connection: Connection, dialect: Dialect) -> None:
    from tickonce.stores.sql.dialects.sessions import with_each

    # Of the transaction, as the settings are: what is of the session would outlive it behind a pooler.
    ask = f"SELECT pg_try_advisory_xact_lock({_lock_number(dialect)})"
    until = SYSTEM_CLOCK.monotonic() + _PATIENCE
    while True:
        connection.exec_driver_sql(with_each(_DDL))
        if connection.exec_driver_sql(ask).scalar():
            break
        connection.rollback()  # whoever waits must not keep a pooler's session from the one who works
        if SYSTEM_CLOCK.monotonic() >= until:
            raise StoreBusy(_BEING_MADE)
        SYSTEM_CLOCK.sleep(_PAUSE)
    connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")


def _lock_mysql(connection: Connection, dialect: Dialect) -> None:
    # Its DDL commits by itself, so this is a lock of the session, and the steps can be repeated.
    name, patience = f"tickonce{_lock_number(dialect)}", int(_PATIENCE.total_seconds())
    (got,) = connection.exec_driver_sql(f"SELECT GET_LOCK('{name}', {patience})").one()
    if got != 1:
        raise StoreBusy(_BEING_MADE)


def _lock_sqlite(connection: Connection, dialect: Dialect) -> None:
    from tickonce.stores.sql.dialects.sqlite import patiently

    del dialect
    raw: Any = connection.connection.driver_connection  # its own errors say whether waiting helps
    patiently(lambda: raw.execute("BEGIN IMMEDIATE"), _PATIENCE)


def _lock_number(dialect: Dialect) -> int:
    names = dialect.address.names
    text = f"tickonce {dialect.address.database} {names.schema} {names.prefix}"
    return int.from_bytes(blake2b(text.encode(), digest_size=7).digest())


_LOCKS = {
    "sqlite": ("sqlite://", _lock_sqlite),
    "postgresql": ("postgresql+psycopg://", _lock_postgresql),
    "mysql": ("mysql+pymysql://", _lock_mysql),
}
