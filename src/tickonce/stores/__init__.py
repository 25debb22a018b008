"""Where schedules, runs and nodes are kept. A store is opened by its URL; drivers are imported when one is used."""

from __future__ import annotations

from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import ConfigError, NoStore, did_you_mean
from tickonce.ports import Clock, Store

__all__ = ["SCHEMES", "open_store"]

_SQL = ("sqlite", "postgresql", "postgres", "mysql", "mariadb")
#: What a store's URL can begin with; the SQL ones also with ``+driver`` behind.
SCHEMES = ("memory", *_SQL)


def open_store(url: str, *, clock: Clock = SYSTEM_CLOCK) -> Store:
    """Return the store at *url*; nothing is connected or made yet.

    Args:
        url: ``memory:`` (this process only), or the URL of a database, such as ``postgresql://user@host/database``.
        clock: What waits and, in memory, tells the time; a database has a clock of its own.

    Raises:
        NoStore: The URL is empty.
        ConfigError: No store has that scheme, or the URL is not one.
        MissingExtra: The driver is not installed.
    """
    if not url.strip():
        raise NoStore
    scheme, colon, _ = url.partition(":")
    name = scheme.partition("+")[0].lower()
    if not colon or not name:
        # The text itself is not shown: it may be a password that was put in the wrong place.
        raise ConfigError("a store is named by a URL that begins with one of " + _known())
    if name in _SQL:
        from tickonce.stores.sql import open_sql_store

        return open_sql_store(url, clock=clock)
    if name == "memory" and scheme.lower() == name:
        from tickonce.stores.memory import MemoryStore

        return MemoryStore(clock=clock)
    raise ConfigError(f"no store has the scheme {scheme!r}; known are {_known()}.{did_you_mean(name, SCHEMES)}")


def _known() -> str:
    return ", ".join(f"{scheme}:" for scheme in SCHEMES)
