"""What a server says of how many connections it takes, seen by a user who has no special rights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from tickonce.ports import Ceiling
from tickonce.stores import open_store


def ceilings(url: str) -> list[Ceiling]:
    store = open_store(url)
    try:
        return store.ceilings()
    finally:
        store.close()


def as_user(url: str, user: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:of-the-test@{parts.hostname}:{parts.port}").geturl()


@pytest.fixture
def shop(postgresql_database: str) -> Iterator[str]:
    """The URL for a user with a limit, in a database with another one."""
    name = urlsplit(postgresql_database).path.removeprefix("/")
    with psycopg.connect(postgresql_database, autocommit=True) as connection:
        connection.execute("CREATE ROLE ceilings_shop LOGIN PASSWORD 'of-the-test' CONNECTION LIMIT 7")
        connection.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 9')
        try:
            yield as_user(postgresql_database, "ceilings_shop")
        finally:
            connection.execute("DROP ROLE ceilings_shop")


def test_postgresql_tells_those_of_server_database_and_role(shop: str, postgresql_database: str) -> None:
    name = urlsplit(postgresql_database).path.removeprefix("/")
    with psycopg.connect(shop):
        server, database, role = ceilings(shop)
    assert server.name == "max_connections"
    assert server.reserved >= 3
    assert server.used >= 3  # others' connections count though this user may not see what they do
    assert (database.name, database.most) == (f"the connection limit of database {name}", 9)
    assert database.used >= 3
    assert database.raised == f"ALTER DATABASE {name} CONNECTION LIMIT {{}}"
    assert role == Ceiling(
        "the connection limit of role ceilings_shop", 7, 0, 2, "ALTER ROLE ceilings_shop CONNECTION LIMIT {}"
    )


def test_the_lines_for_postgresql_can_be_carried_out(shop: str, postgresql_database: str) -> None:
    with psycopg.connect(postgresql_database, autocommit=True) as connection:
        for ceiling in ceilings(shop)[1:]:
            connection.execute(ceiling.raised.replace("{}", "40"))
    assert [ceiling.most for ceiling in ceilings(shop)[1:]] == [40, 40]


def test_postgresql_without_limits_tells_that_of_the_server_alone(postgresql_database: str) -> None:
    assert [ceiling.name for ceiling in ceilings(postgresql_database)] == ["max_connections"]


@contextmanager
def mysql(url: str) -> Iterator[pymysql.cursors.Cursor]:
    parts = urlsplit(url)
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        yield cursor


def test_mysql_tells_those_of_server_and_account(mysql_database: str) -> None:
    name = urlsplit(mysql_database).path.removeprefix("/")
    with mysql(mysql_database) as cursor:
        cursor.execute("CREATE USER ceilings_shop@'%' IDENTIFIED BY 'of-the-test' WITH MAX_USER_CONNECTIONS 7")
        try:
            cursor.execute(f"GRANT ALL ON `{name}`.* TO ceilings_shop@'%'")
            shop = as_user(mysql_database, "ceilings_shop")
            server, account = ceilings(shop)
            cursor.execute(account.raised.replace("{}", "40"))
            raised = ceilings(shop)[1].most
        finally:
            cursor.execute("DROP USER ceilings_shop@'%'")
    assert (server.name, server.reserved) == ("max_connections", 0)
    assert server.used >= 2
    assert (account.name, account.most) == ("max_user_connections of ceilings_shop@%", 7)
    assert account.used >= 1
    assert raised == 40


def test_behind_a_pooler_there_is_none(pgbouncer_database: str) -> None:
    assert ceilings(pgbouncer_database) == []


def test_a_file_has_none(tmp_path) -> None:
    assert ceilings(f"sqlite:///{tmp_path}/t.db") == []
