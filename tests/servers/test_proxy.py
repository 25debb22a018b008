"""The proxy: every kind of bad network, shown on real servers."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg
import pymysql
import pytest
from sqlalchemy.engine import make_url

from tests.servers import CuttingProxy, connect, wait_until
from tests.servers.plugin import KINDS

pytestmark = pytest.mark.server  # by parameters, so that no fixture tells

LOST = (psycopg.OperationalError, pymysql.OperationalError, pymysql.InterfaceError)
PATIENCE = 5


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind of server, with a table."""
    url: str = request.getfixturevalue(f"{request.param}_database")
    execute(url, "CREATE TABLE note (word INTEGER)")
    return url


@pytest.fixture
def proxy(database: str) -> Iterator[CuttingProxy]:
    server = make_url(database)
    assert server.host
    assert server.port
    with CuttingProxy(server.host, server.port) as proxy:
        yield proxy


@contextmanager
def connected(url: str, **options: Any) -> Iterator[Any]:
    connection = connect(url, **options)
    try:
        yield connection
    finally:
        with suppress(*LOST, pymysql.Error):
            connection.close()


def execute(url: str, statement: str) -> None:
    with closing(connect(url, autocommit=True)) as connection:
        connection.cursor().execute(statement)


def words(url: str) -> list[int]:
    with closing(connect(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT word FROM note ORDER BY word")
        return [word for (word,) in cursor.fetchall()]


def test_by_default_nothing_is_lost(proxy, database):
    execute(proxy.url(database), "INSERT INTO note VALUES (1)")
    assert words(proxy.url(database)) == [1]
    assert proxy.accepted == 2


def test_a_lost_reply_to_a_commit_hides_what_has_happened(proxy, database):
    with connected(proxy.url(database)) as connection:
        connection.cursor().execute("INSERT INTO note VALUES (1)")
        connection.commit()
        cut = proxy.cut_reply_after(b"COMMIT")
        connection.cursor().execute("INSERT INTO note VALUES (2)")
        assert not cut.happened.is_set()  # the commit before it was asked for does not count
        with pytest.raises(LOST):
            connection.commit()
        assert cut.happened.wait(PATIENCE)
    assert words(database) == [1, 2]


def test_a_lost_reply_to_a_statement_with_values_hides_what_has_happened(proxy, database):
    """The extended protocol of PostgreSQL, where statement and values travel apart."""
    proxy.cut_reply_after(b"INSERT INTO note")
    with connected(proxy.url(database), autocommit=True) as connection, pytest.raises(LOST):
        connection.cursor().execute("INSERT INTO note VALUES (%s)", (7,))
    assert words(database) == [7]


def test_a_reply_is_lost_once_and_the_next_connection_is_well(proxy, database):
    proxy.cut_reply_after(b"INSERT")
    with pytest.raises(LOST):
        execute(proxy.url(database), "INSERT INTO note VALUES (1)")
    execute(proxy.url(database), "INSERT INTO note VALUES (2)")
    assert words(database) == [1, 2]


def test_a_lost_commit_has_not_happened(proxy, database):
    cut = proxy.cut_before(b"COMMIT")
    with connected(proxy.url(database)) as connection:
        connection.cursor().execute("INSERT INTO note VALUES (1)")
        with pytest.raises(LOST):
            connection.commit()
    assert cut.happened.wait(PATIENCE)
    assert words(database) == []


def test_a_cut_ends_connections_and_leaves_the_way_open(proxy, database):
    with connected(proxy.url(database)) as connection:
        assert proxy.connections == 1
        proxy.cut()
        assert proxy.connections == 0
        with pytest.raises(LOST):
            connection.cursor().execute("INSERT INTO note VALUES (1)")
    execute(proxy.url(database), "INSERT INTO note VALUES (2)")
    assert words(database) == [2]


def test_refused_is_refused_until_restored(proxy, database):
    with connected(proxy.url(database), autocommit=True) as before:
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((proxy.host, proxy.port))
        before.cursor().execute("INSERT INTO note VALUES (1)")
    proxy.restore()
    assert words(proxy.url(database)) == [1]


def test_a_frozen_network_is_silent_and_then_delivers(proxy, database):
    proxy.freeze()
    with socket.create_connection((proxy.host, proxy.port)) as silent:  # taken, and never greeted
        silent.sendall(b"hello")
        silent.settimeout(0.1)
        with pytest.raises(TimeoutError):
            silent.recv(1)
    proxy.restore()
    execute(proxy.url(database), "INSERT INTO note VALUES (1)")
    assert words(database) == [1]


def test_a_slow_network_takes_its_time(proxy, database):
    with connected(proxy.url(database), autocommit=True) as connection:
        proxy.delay(timedelta(milliseconds=50))
        asked = time.monotonic()
        connection.cursor().execute("INSERT INTO note VALUES (1)")
        assert time.monotonic() - asked >= 0.1
        proxy.restore()


def test_a_server_that_is_down_looks_down_through_the_proxy():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with CuttingProxy("127.0.0.1", port) as proxy, socket.create_connection((proxy.host, proxy.port)) as client:
        assert client.recv(1) == b""
        wait_until(lambda: proxy.connections == 0, "the proxy to let go")
