"""PostgreSQL behind PgBouncer in transaction mode: found out by itself, and nothing relies on the session."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from tests.servers import CuttingProxy, PrivatePgBouncer, PrivateServer, connect, fresh_database, wait_until
from tests.servers.plugin import pooler_before
from tests.unit.stores.kinds import Open
from tickonce import Scheduler
from tickonce.cli import machine
from tickonce.cli.findings import Patient
from tickonce.editing import Amend, Create
from tickonce.errors import ConfigError, StoreBusy, StoreError, StoreUnavailable
from tickonce.ports import ALL_HINTS
from tickonce.stores.sql import schema
from tickonce.stores.sql.store import SqlStore
from tickonce.stores.sql.tx import Tx
from tickonce.testing.contract.making import (
    ALL_RUN,
    SERVES,
    join,
    launch,
    make_idle,
    make_schedule,
    outcome_of,
    planned,
    row_of,
    start_run,
)

SECOND = timedelta(seconds=1)
PAGE = Path(__file__).parents[3] / "docs/how-to/operate.md"

pytestmark = pytest.mark.server


@pytest.fixture
def url(pgbouncer_database: str) -> str:
    return pgbouncer_database


@pytest.fixture
def direct(url: str, pgbouncer: PrivatePgBouncer) -> str:
    """The same database, past the pooler."""
    return pgbouncer.past(url)


@pytest.fixture(scope="module")
def lone_pooler(postgresql_url: str) -> Iterator[PrivatePgBouncer]:
    """A pooler that has one session for all clients of a database."""
    with pooler_before(postgresql_url, {"default_pool_size": "1", "min_pool_size": "0"}) as pooler:
        yield pooler


@pytest.fixture
def lone(lone_pooler: PrivatePgBouncer) -> Iterator[str]:
    """The URL of an empty database behind it."""
    with fresh_database(lone_pooler.url) as url:
        yield url


# -- finding out -----------------------------------------------------------------------------------


def test_a_pooler_is_found_out_and_said_once(store: SqlStore, caplog):
    with caplog.at_level(logging.INFO, logger="tickonce.store"):
        store.close()
        join(store)
        store.launch("node", [], slots=0, serves=SERVES)
        assert (store.notifies, store.notifier()) == (False, None)
    assert "pooler" not in caplog.text  # it was said when the tables were made


def test_what_is_said_names_what_is_lost(open_sql: Open, url, caplog):
    store = open_sql()
    assert store.notifies  # nothing is known yet
    with caplog.at_level(logging.INFO, logger="tickonce.store"):
        store.instant()
    (told,) = [record for record in caplog.records if "pooler" in record.getMessage()]
    assert (told.levelname, store.notifies) == ("INFO", False)
    assert "no notification arrives" in told.getMessage()


def test_a_server_itself_is_not_taken_for_a_pooler(open_sql: Open, direct, caplog):
    store = open_sql(direct)
    with caplog.at_level(logging.INFO, logger="tickonce.store"):
        store.prepare()
    assert store.notifies
    assert "pooler" not in caplog.text
    assert store._work.read(lambda tx: tx.only("SHOW lock_timeout")) == ("1s",)
    notifier = store.notifier()
    assert notifier is not None
    notifier.close()


def test_a_pooler_that_nothing_gives_away_can_be_named(open_sql: Open, direct):
    """Some may hand the server's process number on; then the URL says it."""
    store = open_sql(f"{direct}?pooler=transaction")
    assert (store.notifies, store.notifier()) == (False, None)
    store.prepare()
    start_run(store)
    link = store._work._link
    assert link is not None
    assert _shown(store, "lock_timeout", "enable_seqscan") == ["1s", "off"]
    raw: Any = link.plain()
    assert raw.execute("SHOW lock_timeout").fetchone() == ("0",)  # the session's own is as it was
    assert raw.execute("SHOW enable_seqscan").fetchone() == ("on",)
    raw.close()


def test_a_listener_whose_server_comes_to_be_behind_a_pooler_says_so(open_sql: Open, direct):
    store = open_sql(direct)
    store.prepare()
    notifier = store.notifier()
    assert notifier is not None
    assert notifier.wait(timedelta(0)) == ALL_HINTS
    notifier._drop()  # type: ignore[attr-defined]
    store._dialect.address = replace(store._dialect.address, pooled=True)
    with pytest.raises(StoreUnavailable, match="pooler"):
        notifier.wait(timedelta(0))
    assert not store.notifies
    notifier.close()


def test_a_pooler_in_session_mode_is_treated_alike(postgresql_url, open_sql: Open):
    with (
        pooler_before(postgresql_url, {"pool_mode": "session"}) as pooler,
        fresh_database(postgresql_url) as direct,
    ):
        store = open_sql(pooler.through(direct))
        store.prepare()
        assert not store.notifies
        assert store.finish([outcome_of(start_run(store))]) == [True]
        store.close()


def test_a_pooler_in_statement_mode_is_refused(postgresql_url, open_sql: Open):
    said: list[str] = []
    with (
        pooler_before(postgresql_url, {"pool_mode": "statement"}) as pooler,
        fresh_database(postgresql_url) as direct,
    ):
        # It says why and hangs up; whoever is still sending may once hear only that.
        while len(said) < 10 and "not allowed in statement pooling mode" not in "".join(said):
            with pytest.raises(StoreError) as refused:
                open_sql(pooler.through(direct)).prepare()
            said.append(str(refused.value))
    assert "not allowed in statement pooling mode" in said[-1], said


def test_doctor_says_that_a_pooler_stands_between(store: SqlStore, url, direct):
    def told(at: str) -> list[tuple[str, str]]:
        with Scheduler(at) as scheduler:
            scheduler.open()
            found = machine.reach(Patient(scheduler, scheduler.store.instant(), (), ()))
            return [(finding.check, finding.level) for finding in found if finding.check == "pooler"]

    assert (told(url), told(direct)) == ([("pooler", "ok")], [])


def test_what_the_page_says_to_set_is_what_pgbouncer_takes(
    postgresql_url, open_sql: Open, monkeypatch: pytest.MonkeyPatch
):
    page = PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    ((line, user, password),) = re.findall(r'```text\n("(\w+)" "(.*)"\n)```', page)
    (named,) = (make_url(url) for url in re.findall(r"TICKONCE_STORE=(\S+:6432\S*)", page))
    lines = ConfigParser(inline_comment_prefixes=None)
    lines.read_string(block)
    settings = dict(lines["pgbouncer"])
    assert (settings.pop("listen_addr"), settings.pop("listen_port")) == ("*", str(named.port))
    assert (named.username, named.database) == (user, next(iter(lines["databases"])))
    monkeypatch.setenv("PGPASSWORD", password)
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory()))
        home.chmod(0o755)  # the pooler may run as a user of its own
        users = home / Path(settings["auth_file"]).name
        users.write_text(line, encoding="utf-8")
        pooler = stack.enter_context(pooler_before(postgresql_url, {**settings, "auth_file": str(users)}))
        direct = stack.enter_context(fresh_database(postgresql_url))
        through = make_url(pooler.through(direct)).set(username=user)
        store = open_sql(through.render_as_string())
        store.prepare()
        assert store.finish([outcome_of(start_run(store))]) == [True]
        (shown,) = [pool for pool in pooler.show("POOLS") if pool["database"] == direct.rpartition("/")[2]]
        assert shown["pool_mode"] == "transaction"
        store.close()
        monkeypatch.setenv("PGPASSWORD", "another")
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            psycopg.connect(through.set(drivername="postgresql").render_as_string())


# -- settings --------------------------------------------------------------------------------------


def test_settings_hold_in_each_step_whatever_the_defaults(open_sql: Open, url, direct):
    name = url.rpartition("/")[2]
    with closing(connect(direct, autocommit=True)) as raw:
        for setting in (
            "default_transaction_isolation = 'serializable'",
            "lock_timeout = '1ms'",
            "statement_timeout = '50ms'",
            "idle_in_transaction_session_timeout = '50ms'",
        ):
            raw.execute(f"ALTER DATABASE {name} SET {setting}")
        raw.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND {OTHERS}")
    store = open_sql()
    store.prepare()
    names = ("transaction_isolation", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    wanted = ["read committed", "1s", "10s", "10s"]
    for step in (store._work.write, store._work.read, store._work.one):
        for _ in range(6):  # in several sessions
            assert step(lambda tx: [tx.only(f"SHOW {name}")[0] for name in names]) == wanted
    assert store._beat.read(lambda tx: tx.only("SHOW statement_timeout")) == ("2s",)
    assert store._work.one(lambda tx: tx.only("SELECT 1 FROM pg_sleep(0.3)")) == (1,)
    assert store._work.write(lambda tx: tx.only("SELECT 1 FROM pg_sleep(0.3)")) == (1,)


OTHERS = "pid <> pg_backend_pid()"


def test_the_server_ends_a_statement_that_takes_too_long(store: SqlStore, direct):
    with pytest.raises(StoreUnavailable, match="in time"):
        store._beat.read(lambda tx: tx.only("SELECT 1 FROM pg_sleep(60)"))
    with closing(connect(direct, autocommit=True)) as raw:
        asleep = (
            f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND {OTHERS}"
        )
        wait_until(lambda: raw.execute(asleep).fetchone() == (0,), "the statement to end", within=10 * SECOND)
    assert store._beat.read(lambda tx: tx.only("SELECT 1")) == (1,)


def test_an_edit_of_a_row_that_an_application_holds_gives_up(store: SqlStore, url, monkeypatch):
    monkeypatch.setattr("tickonce.stores.sql.store._PATIENCE", timedelta(0))
    make_idle(store)
    with closing(connect(url)) as raw:
        raw.execute("SELECT id FROM tickonce_schedules WHERE id = 'nightly' FOR UPDATE")
        with pytest.raises(StoreBusy, match=r"using\(connection\)"):
            store.change("nightly", Amend(schedule_id="nightly", changes={"owner": "me"}))
        raw.rollback()


def test_nothing_of_ours_stays_behind_in_the_session(lone, open_sql: Open):
    look = (
        "SELECT pg_backend_pid()",
        "SELECT name, setting FROM pg_settings ORDER BY name",
        "SELECT name FROM pg_prepared_statements",
        "SELECT pg_listening_channels()",
        "SELECT locktype FROM pg_locks WHERE locktype = 'advisory'",
        "SELECT relname FROM pg_class WHERE pg_is_other_temp_schema(relnamespace) OR relpersistence = 't'",
    )

    def session() -> list[Any]:
        # The name is a setting that the pooler itself keeps apart for its clients.
        with closing(connect(lone, autocommit=True, application_name="other")) as raw, raw.cursor() as cursor:
            return [cursor.execute(each).fetchall() for each in look]

    before = session()
    store = open_sql(lone)
    store.prepare()
    node = join(store)
    for number in range(8):  # more often than psycopg waits before it prepares
        run = start_run(store, str(number))
        store.beat(node)
        assert store.finish([outcome_of(run)]) == [True]
        with pytest.raises(StoreError):
            store._work.read(lambda tx: tx.row("SELECT 1 / 0"))
        with pytest.raises(StoreError):
            store._work.write(lambda tx: tx.row("SELECT 1 / 0"))
        with pytest.raises(KeyboardInterrupt):
            store._work.write(_interrupted)
    schema.upgrade(lone)
    assert session() == before


def _interrupted(tx: Tx) -> None:
    tx.row("SELECT 1")
    raise KeyboardInterrupt


def test_what_others_leave_behind_in_the_session_does_not_reach_us(lone, open_sql: Open):
    store = open_sql(lone)
    store.prepare()
    with closing(connect(lone, autocommit=True)) as raw:
        raw.execute("CREATE SCHEMA elsewhere")
        raw.execute("CREATE TABLE elsewhere.tickonce_schedules (LIKE tickonce_schedules)")
        for setting in (
            "search_path = elsewhere",
            "synchronous_commit = off",
            "default_transaction_isolation = 'serializable'",
            "lock_timeout = '1ms'",
            "enable_seqscan = on",
        ):
            raw.execute(f"SET {setting}")
        raw.execute("PREPARE _pg3_0 AS SELECT 'of another client'")
    run = start_run(store)
    for _ in range(8):
        assert row_of(store, "nightly").id == "nightly"
    assert store.finish([outcome_of(run)]) == [True]
    assert _shown(store, "synchronous_commit", "transaction_isolation", "enable_seqscan") == [
        "on",
        "read committed",
        "off",
    ]


def _shown(store: SqlStore, *names: str) -> list[str]:
    return store._work.write(lambda tx: [tx.only(f"SHOW {name}")[0] for name in names])


# -- what a pooler does not hand on ------------------------------------------------------------------


def test_options_that_a_pooler_swallows_are_refused(postgresql_url, open_sql: Open, monkeypatch):
    """Told to ignore them, it says nothing, and the tables would be looked for elsewhere."""
    with (
        pooler_before(postgresql_url, {"ignore_startup_parameters": "options"}) as pooler,
        fresh_database(postgresql_url) as direct,
    ):
        url = pooler.through(direct)
        with pytest.raises(ConfigError, match=r"\?schema="):
            open_sql(f"{url}?options=-csearch_path%3Dbilling").prepare()
        with monkeypatch.context() as patch:
            patch.setenv("PGOPTIONS", "-c search_path=billing")
            with pytest.raises(ConfigError, match=r"PGOPTIONS"):
                open_sql(url).prepare()


def test_options_that_a_pooler_refuses_are_told_to_be_taken_out(open_sql: Open, url):
    with pytest.raises(StoreUnavailable, match=r"startup parameter.*take it out of the URL"):
        open_sql(f"{url}?options=-csearch_path%3Dbilling").prepare()


def test_a_pooler_with_too_many_clients_is_told_to_take_more(postgresql_url, open_sql: Open):
    with (
        pooler_before(postgresql_url, {"max_client_conn": "1"}) as pooler,
        fresh_database(postgresql_url) as direct,
        closing(psycopg.connect(pooler.through(direct))),
        pytest.raises(StoreUnavailable, match="max_client_conn"),
    ):
        open_sql(pooler.through(direct)).instant()


# -- fleets, schemas, edits of callers -----------------------------------------------------------------


def test_a_schema_of_its_own_is_made_and_used(open_sql: Open, url, direct):
    store = open_sql(f"{url}?schema=billing")
    store.prepare()
    make_idle(store)
    assert schema.current(f"{direct}?schema=billing") == schema.NEWEST
    assert schema.current(direct) is None


def test_tables_are_made_by_an_upgrade_too(url):
    assert schema.upgrade(url) == (None, schema.NEWEST)
    assert schema.upgrade(url) == (schema.NEWEST, schema.NEWEST)


def test_who_waits_for_the_tables_keeps_no_session(lone, lone_pooler: PrivatePgBouncer, open_sql: Open, monkeypatch):
    """Else those who wait could keep the pool from the one who works."""
    store = open_sql(lone)
    number = schema._lock_number(store._dialect)
    monkeypatch.setattr(schema, "_PATIENCE", SECOND)
    with closing(connect(lone_pooler.past(lone), autocommit=True)) as raw, ThreadPoolExecutor(1) as pool:
        raw.execute(f"SELECT pg_advisory_lock({number})")
        waiting = pool.submit(store.prepare)
        with closing(connect(lone)) as other:
            for _ in range(20):
                other.execute("SELECT 1")
                other.rollback()
        with pytest.raises(StoreBusy, match="another process"):
            waiting.result()
    store.prepare()


def test_one_behind_the_pooler_is_heard_by_one_who_listens_at_the_server(store: SqlStore, open_sql: Open, direct):
    near = open_sql(direct)
    listener = near.notifier()
    assert listener is not None
    with closing(listener):
        listener.wait(timedelta(0))
        make_schedule(store, period=10 * SECOND)
        store.change("nightly", Amend(schedule_id="nightly", changes={"jitter": SECOND}))
        assert any("schedules" in listener.wait(5 * SECOND) for _ in range(3))


@pytest.mark.parametrize("end", ["commit", "rollback"])
@pytest.mark.parametrize("kind", ["psycopg", "sqlalchemy"])
def test_an_edit_in_a_callers_transaction_through_the_pooler_is_all_or_nothing(store: SqlStore, url, kind, end):
    like = make_idle(store).definition
    with ExitStack() as stack:
        if kind == "psycopg":
            caller: Any = stack.enter_context(closing(psycopg.connect(url, prepare_threshold=None)))
        else:
            engine = sa.create_engine(
                url.replace("postgresql:", "postgresql+psycopg:"), connect_args={"prepare_threshold": None}
            )
            stack.callback(engine.dispose)
            caller = stack.enter_context(closing(Session(engine)))
        for number in range(8):
            name = f"new-{number}"
            store.using(caller).change(name, Create(schedule_id=name, definition=like))
        assert store.ids() == ["nightly"]
        getattr(caller, end)()
    assert len(store.ids()) == (9 if end == "commit" else 1)


# -- trouble ---------------------------------------------------------------------------------------


def test_a_pool_that_others_have_drained_is_waited_for_no_longer_than_the_deadline(lone, open_sql: Open):
    store = open_sql(lone)
    store.prepare()
    node = join(store)
    with closing(connect(lone)) as raw:
        raw.execute("SELECT 1")  # its transaction keeps the only session
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable, match="in time"):
            store.beat(node)
        assert time.monotonic() - begin < 5
        raw.rollback()
    assert store.beat(node).alive


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_pooler_or_server_that_restarts_is_used_again(private_postgresql: PrivateServer, open_sql: Open, end):
    with pooler_before(private_postgresql.url, {"server_login_retry": "0.5"}) as pooler:
        store = open_sql(pooler.url)
        store.prepare()
        node = join(store)
        for server in (pooler, private_postgresql):
            getattr(server, end)()
            with pytest.raises(StoreError):
                store.beat(node)
            server.start()
            wait_until(lambda: _works(store), f"{server.title} to be used again")
            assert store.finish([outcome_of(start_run(store, server.kind))]) == [True]
        store.close()


def _works(store: SqlStore) -> bool:
    try:
        store.instant()
        join(store)
    except StoreError:
        return False
    return True


def test_a_reply_lost_at_the_commit_is_an_error_whose_outcome_is_open(url, open_sql: Open):
    parts = sa.make_url(url)
    assert parts.host is not None
    with CuttingProxy(parts.host, parts.port or 6432) as proxy:
        store = open_sql(proxy.url(url))
        store.prepare()
        join(store)
        wanted = planned(store, make_schedule(store, **ALL_RUN))
        store.launch("node", [], slots=0, serves=SERVES)
        cut = proxy.cut_reply_after(b"COMMIT\0")
        with pytest.raises(StoreUnavailable, match="lost"):
            store.launch("node", [wanted], slots=9, serves=SERVES)
        assert cut.happened.wait(10)
        (held,) = store.held("node")
        assert held.attempt == 1
        store.close()


@pytest.mark.parametrize("step", ["read", "write"])
def test_a_step_behind_a_network_that_is_frozen_ends_at_its_deadline(url, open_sql: Open, step, caplog):
    parts = sa.make_url(url)
    assert parts.host is not None
    with CuttingProxy(parts.host, parts.port or 6432) as proxy:
        store = open_sql(proxy.url(url))
        store.prepare()
        node = join(store)
        proxy.freeze()
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable, match="in time"):
            getattr(store._beat, step)(lambda tx: tx.only("SELECT 1"))
        assert time.monotonic() - begin < 3.5  # the deadline of a beat is 2 s, and is waited for once
        proxy.restore()
        assert store.beat(node).alive
        store.close()
    assert not [record for record in caplog.records if record.name.startswith("psycopg")]


def test_launches_of_several_stores_in_turn_are_each_carried_out_once(open_sql: Open, store: SqlStore):
    """Each transaction is in another session than the one before."""
    others = [open_sql() for _ in range(3)]
    join(store)
    rows = [make_schedule(store, f"s{number}", **ALL_RUN) for number in range(8)]
    plans = [planned(store, row) for row in rows]
    launched = [each.launch("node", plans, slots=9, serves=SERVES) for each in (store, *others)]
    assert [len(each.claimed) for each in launched] == [8, 0, 0, 0]
    assert [len(each.lost) for each in launched] == [0, 8, 8, 8]
    assert len(launch(store, *rows).claimed) == 0
