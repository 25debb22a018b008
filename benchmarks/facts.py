"""What a figure is worth depends on where it was measured: machine, versions, the server's settings."""

from __future__ import annotations

import os
import platform
import sqlite3
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.places import Place, place_kind

_POSTGRESQL: tuple[str, ...] = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "wal_sync_method",
)
_MYSQL: tuple[str, ...] = (
    "innodb_flush_log_at_trx_commit",
    "sync_binlog",
    "log_bin",
    "innodb_buffer_pool_size",
    "innodb_flush_method",
)


def machine() -> dict[str, Any]:
    """Return what is known of this machine."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cores": os.cpu_count(),
        "load": None if load is None else round(load, 2),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "tickonce": _version("tickonce"),
    }


def server(store: str) -> dict[str, Any]:
    """Return what is known of the database, and the settings that decide what a commit costs."""
    kind = place_kind(store)
    if kind == "sqlite":
        sync = "normal" if "sync=normal" in store else "full"
        return {"server": f"SQLite {sqlite3.sqlite_version}", "synchronous": sync}
    place = Place(store, kind)
    names: tuple[str, ...]
    with closing(place.connect()) as connection, closing(connection.cursor()) as cursor:
        if kind == "postgresql":
            cursor.execute("SELECT current_setting('server_version')")
            title, driver, names = f"PostgreSQL {cursor.fetchone()[0]}", "psycopg", _POSTGRESQL
            cursor.execute("SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)", (list(names),))
        else:
            cursor.execute("SELECT version()")
            title, driver, names = f"MySQL {cursor.fetchone()[0]}", "pymysql", _MYSQL
            wanted = ", ".join(f"'{name}'" for name in names)
            cursor.execute(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({wanted})")
        settings = dict(cursor.fetchall())
    return {"server": title, "driver": f"{driver} {_version(driver)}", **settings}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
