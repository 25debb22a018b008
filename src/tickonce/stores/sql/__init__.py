"""The store in a SQL database: PostgreSQL, MySQL or MariaDB, SQLite. Drivers are imported when they connect."""

from __future__ import annotations

from tickonce.clock import SYSTEM_CLOCK
from tickonce.ports import Clock, Store

__all__ = ["open_sql_store"]


def open_sql_store(url: str, *, clock: Clock = SYSTEM_CLOCK) -> Store:
    """Return the store at *url*; nothing is connected or made yet.

    Args:
        url: ``sqlite:///path``, ``postgresql://user@host/database`` or ``mysql://user@host/database``. Options:
            ``?prefix=`` for the names of the tables (default ``tickonce_``), ``?schema=`` on PostgreSQL,
            ``?sync=normal`` on SQLite; others go to the driver.
        clock: Tells the time of a SQLite store, and times waits that nobody else ends.

    Raises:
        ConfigError: The URL is not one of a SQL store, or an option is out of its range.
    """
    from tickonce.stores.sql.address import parse
    from tickonce.stores.sql.store import SqlStore

    return SqlStore(parse(url), clock=clock)
