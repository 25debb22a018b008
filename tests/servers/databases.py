"""Empty databases by URL, made and dropped for a test."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg
import pymysql
from sqlalchemy.engine import URL, make_url


def connect(url: str, **options: Any) -> Any:
    """Return a plain DB-API connection of psycopg or PyMySQL; *options* are the driver's (``autocommit=True``)."""
    parts = make_url(url)
    return _CONNECT[parts.get_backend_name()](parts, **options)


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """Make an empty database beside that of *url*, give its URL, and drop it, whoever is still connected."""
    parts = make_url(url)
    name = f"tickonce_test_{secrets.token_hex(6)}"
    with closing(connect(url, autocommit=True)) as connection:
        connection.cursor().execute(f"CREATE DATABASE {name}")
    try:
        yield parts.set(database=name).render_as_string(hide_password=False)
    finally:
        with closing(connect(url, autocommit=True)) as connection:
            _DROP[parts.get_backend_name()](connection.cursor(), name)


def _connect_postgresql(url: URL, **options: Any) -> Any:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, **options)


def _connect_mysql(url: URL, **options: Any) -> Any:
    return pymysql.connect(
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        database=url.database,
        **options,
    )


def _drop_postgresql(cursor: Any, name: str) -> None:
    cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _drop_mysql(cursor: Any, name: str) -> None:
    # An open transaction of a connection left behind would hold up the drop for good.
    cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name,))
    for (connection,) in cursor.fetchall():
        with suppress(pymysql.err.OperationalError):  # it has gone meanwhile
            cursor.execute(f"KILL {connection}")
    cursor.execute(f"DROP DATABASE {name}")


_CONNECT: dict[str, Callable[..., Any]] = {
    "postgresql": _connect_postgresql,
    "mysql": _connect_mysql,
    "mariadb": _connect_mysql,
}
_DROP: dict[str, Callable[[Any, str], None]] = {
    "postgresql": _drop_postgresql,
    "mysql": _drop_mysql,
    "mariadb": _drop_mysql,
}
