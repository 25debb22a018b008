"""What differs between databases: their words, their locks, their errors, their connections."""

from __future__ import annotations

from tickonce.ports import Clock
from tickonce.stores.sql.address import Address
from tickonce.stores.sql.dialects.base import Dialect

__all__ = ["Dialect", "dialect_of"]


def dialect_of(address: Address, clock: Clock) -> Dialect:
    """Return the dialect that *address* names; drivers are imported when they connect."""
    match address.dialect:
        case "sqlite":
            from tickonce.stores.sql.dialects.sqlite import SqliteDialect

            return SqliteDialect(address, clock)
        case "postgresql":
            from tickonce.stores.sql.dialects.postgresql import PostgresqlDialect

            return PostgresqlDialect(address, clock)
        case _:
            from tickonce.stores.sql.dialects.mysql import MysqlDialect

            return MysqlDialect(address, clock)
