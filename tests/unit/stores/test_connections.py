"""The few connections of a process: what becomes of them when the server, the network or the process changes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.servers import CuttingProxy, PrivateServer, connect, free_port
from tests.unit.stores.kinds import Open, on_all, on_mysql, on_postgresql, on_servers
from tickonce.errors import StoreError, StoreUnavailable
from tickonce.model import Node
from tickonce.ports import RunFilter
from tickonce.stores.sql.store import SqlStore
from tickonce.testing.contract.making import (
    ALL_RUN,
    SERVES,
    join,
    launch,
    make_idle,
    make_schedule,
    outcome_of,
    planned,
    run_of,
    runs_of,
    start_run,
)

SECOND = timedelta(seconds=1)


@pytest.fixture
def proxy(url: str) -> Iterator[CuttingProxy]:
    """A network to the server of the test's database."""
    parts = make_url(url)
    assert parts.host is not None
    with CuttingProxy(parts.host, parts.port or _PORTS[parts.get_backend_name()]) as proxy:
        yield proxy


@pytest.fixture
def far(url: str, proxy: CuttingProxy, open_sql: Open) -> SqlStore:
    """A prepared store behind the proxy."""
    store = open_sql(proxy.url(url))
    store.prepare()
    return store


_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}

# -- who is not there --------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_that_is_not_there_is_named_with_what_to_check_and_without_the_password(open_sql: Open, scheme):
    port = free_port()
    store = open_sql(f"{scheme}://ada:secret@127.0.0.1:{port}/shop")
    with pytest.raises(
        StoreUnavailable,
        match=rf"127\.0\.0\.1:{port} .*database shop, user ada.*Check that the server runs there, and that host",
    ) as told:
        store.prepare()
    shown = [str(told.value), repr(told.value), str(told.value.__cause__)]
    assert not any("secret" in text for text in shown)


@on_servers
def test_a_database_that_is_not_there_is_told(open_sql: Open, url):
    missing = make_url(url).set(database="nowhere").render_as_string(hide_password=False)
    with pytest.raises(StoreUnavailable, match=r"nowhere.*Create that database, or correct its name$"):
        open_sql(missing).instant()


@on_servers
def test_a_user_that_may_not_log_in_is_told_to_check_the_user(open_sql: Open, url):
    stranger = make_url(url).set(username="stranger", password="wrong").render_as_string(hide_password=False)
    with pytest.raises(StoreUnavailable, match=r"[Cc]heck (user and password|the name of the user)"):
        open_sql(stranger).instant()


def test_a_host_that_is_not_known_is_told_to_be_checked(open_sql: Open):
    with pytest.raises(StoreUnavailable, match=r"Check the name of the host$"):
        open_sql("postgresql://ada@nowhere.invalid/shop").instant()


def test_a_directory_that_is_not_there_is_told(open_sql: Open, tmp_path):
    with pytest.raises(StoreUnavailable, match=rf"{tmp_path}/gone/x\.db cannot be opened"):
        open_sql(f"sqlite:///{tmp_path}/gone/x.db").instant()


def test_a_file_that_is_no_database_is_told(open_sql: Open, tmp_path):
    (tmp_path / "x.db").write_text("my notes " * 200, encoding="utf-8")
    with pytest.raises(StoreError, match=r"x\.db.*name a path for tickonce alone"):
        open_sql(f"sqlite:///{tmp_path}/x.db").instant()


# -- who goes away -----------------------------------------------------------------------------


@on_servers
def test_a_connection_that_died_since_its_last_use_is_replaced_without_a_word(far: SqlStore, proxy: CuttingProxy):
    node = join(far)
    row = make_schedule(far, **ALL_RUN)
    look_at = far.get(row.id)
    proxy.cut()
    assert far.get(row.id) == look_at
    proxy.cut()
    with_reply_lost = far.held(node.id)
    assert with_reply_lost == []
    far.launch("node", [planned(far, row)], slots=0, serves=SERVES)
    proxy.cut()
    assert len(launch(far, make_schedule(far, "two", **ALL_RUN)).pending) == 1


@on_servers
def test_a_reply_lost_at_the_commit_is_an_error_whose_outcome_is_open_and_the_next_use_is_fine(
    far: SqlStore, proxy: CuttingProxy
):
    join(far)
    wanted = planned(far, make_schedule(far, **ALL_RUN))
    cut = proxy.cut_reply_after(b"COMMIT")
    with pytest.raises(StoreUnavailable, match="lost"):
        far.launch("node", [wanted], slots=9, serves=SERVES)
    assert cut.happened.wait(10)
    (held,) = far.held("node")
    assert held.attempt == 1
    assert far.launch("node", [wanted], slots=9, serves=SERVES).lost == ("nightly",)


@on_servers
def test_a_step_that_is_cut_before_its_commit_leaves_nothing(far: SqlStore, proxy: CuttingProxy, open_sql, url):
    join(far)
    row = make_schedule(far, **ALL_RUN)
    wanted = planned(far, row)
    far.launch("node", [], slots=0, serves=SERVES)
    proxy.cut_before(b"COMMIT")
    with pytest.raises(StoreUnavailable):
        far.launch("node", [wanted], slots=9, serves=SERVES)
    near = open_sql(url)
    assert (near.get(row.id), runs_of(near)) == (row, [])


@on_servers
def test_a_beat_that_gets_no_answer_ends_at_its_deadline_and_the_next_one_is_fine(far: SqlStore, proxy: CuttingProxy):
    node = join(far)
    proxy.freeze()
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match="in time"):
        far.beat(node)
    assert time.monotonic() - begin < 5
    proxy.restore()
    assert far.beat(node).alive


@on_servers
def test_lanes_do_not_wait_for_each_other(far: SqlStore, proxy: CuttingProxy):
    """What hangs on one connection must not keep a living node from saying so."""
    node = join(far)
    inside, leave = threading.Event(), threading.Event()

    def slow(*_: Any) -> None:
        inside.set()
        assert leave.wait(20)

    thread = threading.Thread(target=lambda: far.change("x", slow), daemon=True)
    thread.start()
    assert inside.wait(20)
    assert far.beat(node).alive
    assert far.launch(node.id, [], slots=0, serves=SERVES).alive
    leave.set()
    thread.join(20)
    assert proxy.connections == 3


@on_servers
def test_closing_gives_every_connection_back(far: SqlStore, proxy: CuttingProxy, url):
    join(far)
    far.launch("node", [], slots=0, serves=SERVES)
    far.close()
    far.close()
    _until(lambda: proxy.connections == 0)


@on_postgresql
def test_a_connection_ended_by_an_operator_is_replaced(store: SqlStore, url):
    join(store)
    make_idle(store)
    with closing(connect(url, autocommit=True)) as raw:
        raw.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tickonce'")
    assert store.ids() == ["nightly"]
    assert store.beat(Node(id="node")).alive


@pytest.mark.server
def test_a_standby_that_only_reads_is_told_as_a_store_that_cannot_serve(
    private_postgresql: PrivateServer, open_sql: Open
):
    store = open_sql(private_postgresql.url)
    store.prepare()
    with closing(connect(private_postgresql.url, autocommit=True)) as raw:
        raw.execute("ALTER ROLE tickonce SET default_transaction_read_only = on")
    store.close()
    with pytest.raises(StoreUnavailable, match="cannot serve"):
        make_idle(store)


@pytest.mark.server
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_server_that_is_frozen_is_not_waited_for(request: pytest.FixtureRequest, open_sql: Open, kind):
    """The network is in order and takes what is sent; only the client's own deadline ends the wait."""
    server: PrivateServer = request.getfixturevalue(f"private_{kind}")
    store = open_sql(server.url)
    store.prepare()
    node = join(store)
    server.pause()
    try:
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable, match="in time"):
            store.beat(node)
        with pytest.raises(StoreUnavailable):  # a new connection gets no answer either
            store.beat(node)
        assert time.monotonic() - begin < 12
    finally:
        server.resume()
    assert store.beat(node).alive


# -- settings of our own connections --------------------------------------------------------------


@pytest.mark.server
def test_defaults_of_the_role_do_not_reach_our_connections(private_postgresql: PrivateServer, open_sql: Open):
    with closing(connect(private_postgresql.url, autocommit=True)) as raw:
        for setting in (
            "default_transaction_isolation = 'serializable'",
            "TimeZone = 'Asia/Kathmandu'",
            "bytea_output = 'escape'",
            "lock_timeout = '1ms'",
            "statement_timeout = '50ms'",
        ):
            raw.execute(f"ALTER ROLE tickonce SET {setting}")
    store = open_sql(private_postgresql.url)
    store.prepare()
    names = ("transaction_isolation", "lock_timeout", "statement_timeout")
    shown = store._work.write(lambda tx: [tx.only(f"SHOW {name}")[0] for name in names])
    assert shown == ["read committed", "1s", "10s"]


@on_mysql
def test_our_mysql_connections_are_strict_and_read_what_is_committed(store: SqlStore):
    row = store._work.write(
        lambda tx: tx.only(
            "SELECT @@SESSION.sql_mode, @@SESSION.time_zone, @@SESSION.tx_isolation, @@SESSION.collation_connection, "
            "@@SESSION.innodb_lock_wait_timeout"
        )
    )
    assert "STRICT_ALL_TABLES" in row[0]
    assert row[1:] == ("+00:00", "READ-COMMITTED", "utf8mb4_bin", 1)


# -- forks -------------------------------------------------------------------------------------


@on_all
def test_a_child_process_gets_connections_of_its_own_and_leaves_the_parents_alone(store: SqlStore):
    node = join(store)
    store.launch(node.id, [], slots=0, serves=SERVES)
    notifier = store.notifier()
    if notifier is not None:
        notifier.wait(timedelta(0))
    parents = [lane._link for lane in (store._beat, store._tick, store._work)]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert all(lane._link is None for lane in (store._beat, store._tick, store._work))
            make_idle(store, "of the child".replace(" ", "-"))
            assert store.beat(node).alive
            if notifier is not None:
                notifier.wait(timedelta(0))
            store.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    lanes = (store._beat, store._tick, store._work)
    if store._dialect.whole_file:  # closed before: what SQLite remembers of an open file must not come along
        assert all(lane._link is None for lane in lanes)
    else:
        assert [lane._link for lane in lanes] == parents
    assert store.ids() == ["of-the-child"]
    assert store.beat(node).alive
    if not store._dialect.whole_file:
        assert [lane._link for lane in lanes] == parents
    if notifier is not None:
        notifier.close()


@on_all
def test_a_lane_that_another_thread_held_at_the_fork_is_free_in_the_child(store: SqlStore):
    inside, leave = threading.Event(), threading.Event()

    def slow(*_: Any) -> None:
        inside.set()
        assert leave.wait(20)

    thread = threading.Thread(target=lambda: store.change("x", slow), daemon=True)
    thread.start()
    assert inside.wait(20)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        store.runs(RunFilter())
        os._exit(0)
    try:
        assert os.waitpid(child, 0)[1] == 0
    finally:
        leave.set()
        thread.join(20)
    assert store.ids() == []


# -- interruptions ---------------------------------------------------------------------------------


@on_all
def test_a_step_that_is_interrupted_leaves_nothing_and_the_next_one_is_fine(store: SqlStore):
    run = start_run(store)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.change("nightly", interrupted)
    assert store.finish([outcome_of(run)]) == [True]
    assert run_of(store, run.token).state == "succeeded"


def _until(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
