"""The test servers themselves: what a fault test may rely on."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import psycopg
import pymysql
import pytest

from tests.servers import PrivateServer, connect, fresh_database, wait_until
from tests.servers.plugin import KINDS, private_server

pytestmark = pytest.mark.server  # by parameters, so that no fixture tells

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=KINDS, scope="module")
def shared(request: pytest.FixtureRequest) -> Iterator[PrivateServer]:
    """One server of each kind for this file; tests leave it running."""
    with private_server(request.param) as server:
        yield server


def answer(url: str, query: str = "SELECT 1") -> object:
    with closing(connect(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def test_each_fixture_gives_a_url_that_answers(postgresql_database, mysql_database):
    assert answer(postgresql_database) == answer(mysql_database) == 1


def test_two_fresh_databases_share_nothing(shared):
    with fresh_database(shared.url) as one, fresh_database(shared.url) as other:
        with closing(connect(one, autocommit=True)) as connection:
            connection.cursor().execute("CREATE TABLE note (word INTEGER)")
        with pytest.raises((psycopg.ProgrammingError, pymysql.ProgrammingError)):
            answer(other, "SELECT count(*) FROM note")


def test_a_fresh_database_goes_even_with_a_transaction_left_open(shared):
    with fresh_database(shared.url) as url:
        left = connect(url)
        left.cursor().execute("CREATE TABLE note (word INTEGER)")
        left.cursor().execute("SELECT * FROM note")
    with pytest.raises((psycopg.OperationalError, pymysql.OperationalError)):
        connect(url)
    with suppress(pymysql.Error):  # PyMySQL says goodbye, to nobody
        left.close()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_was_committed_survives(shared, end):
    with fresh_database(shared.url) as url:
        with closing(connect(url, autocommit=True)) as connection:
            connection.cursor().execute("CREATE TABLE note (word INTEGER)")
            connection.cursor().execute("INSERT INTO note VALUES (42)")
        getattr(shared, end)()
        assert not shared.running
        with pytest.raises((psycopg.OperationalError, pymysql.OperationalError)):
            connect(url)
        shared.start()
        assert answer(url, "SELECT word FROM note") == 42


def test_a_killed_server_leaves_no_process(shared):
    with closing(connect(shared.url)):
        family = [psutil.Process(shared.pid), *psutil.Process(shared.pid).children(recursive=True)]
        shared.kill()
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    shared.start()


def test_a_paused_server_answers_once_it_goes_on(shared):
    with closing(connect(shared.url)) as connection, closing(connection.cursor()) as cursor:
        answered = threading.Event()

        def ask() -> None:
            cursor.execute("SELECT 1")
            answered.set()

        shared.pause()
        asking = threading.Thread(target=ask)
        asking.start()
        assert not answered.wait(0.2)
        shared.resume()
        asking.join()
        assert answered.is_set()


def test_the_log_tells_why_a_server_does_not_start(shared):
    with pytest.raises(Exception, match="ended at its start") as raised:
        type(shared)({"port": "none"}).__enter__()
    assert "none" in str(raised.value)


def test_a_server_is_as_durable_and_as_awkward_as_promised(shared):
    match shared.kind:
        case "postgresql":
            assert answer(shared.url, "SHOW fsync") == "on"
            assert answer(shared.url, "SHOW timezone") == "Asia/Kathmandu"
        case "mysql":
            assert answer(shared.url, "SELECT @@innodb_flush_log_at_trx_commit") == 1
            assert answer(shared.url, "SELECT @@time_zone") == "+05:45"


ABANDONED = """
import sys
from tests.servers.plugin import KINDS
server = KINDS[sys.argv[1]]()
server.start()
print(server.pid, server.directory, flush=True)
sys.stdin.read()
"""


def test_a_server_ends_with_the_process_that_started_it(shared):
    """However that process ends: nothing runs its clean-up here."""
    owner = subprocess.Popen(
        [sys.executable, "-c", ABANDONED, shared.kind], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    pid, directory = owner.stdout.readline().decode().split()
    server = psutil.Process(int(pid))
    owner.kill()
    owner.communicate()
    wait_until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, "the server to end")
    shutil.rmtree(directory)
