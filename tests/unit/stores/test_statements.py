"""How many statements a verb costs, and what a server is told beside them."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pymysql
import pytest

from tests.servers import PrivateServer, connect
from tests.unit.stores.kinds import Open, on_mysql, on_postgresql
from tickonce.clock import SYSTEM_CLOCK
from tickonce.config import Retention
from tickonce.editing import Amend
from tickonce.model import NodeState
from tickonce.stores.sql import edits, launching, nodes, rows, upkeep, work
from tickonce.stores.sql.address import parse
from tickonce.stores.sql.dialects import dialect_of
from tickonce.stores.sql.dialects.postgresql import PostgresqlDialect
from tickonce.stores.sql.store import SqlStore
from tickonce.stores.sql.text import Insert, Kind, Update
from tickonce.testing import FakeClock
from tickonce.testing.contract.making import (
    SERVES,
    join,
    launch,
    look,
    make_idle,
    make_schedule,
    outcome_of,
    row_of,
    start_run,
)

SECOND = timedelta(seconds=1)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that were sent, whoever sent them."""
    sent: list[str] = []
    for cursor in (psycopg.Cursor, pymysql.cursors.Cursor):
        execute: Callable[..., Any] = cursor.execute

        def counting(self: Any, query: Any, *args: Any, to: Callable[..., Any] = execute, **named: Any) -> Any:
            sent.append(str(query))
            return to(self, query, *args, **named)

        monkeypatch.setattr(cursor, "execute", counting)
    return sent


def cost(sent: list[str], call: Callable[[], object]) -> int:
    sent.clear()
    call()
    return len(sent)


@on_postgresql
def test_an_idle_node_costs_postgresql_one_statement_at_each_step(store: SqlStore, sent):
    node = join(store)
    make_idle(store)
    launch(store)
    assert cost(sent, lambda: store.beat(node)) == 1
    assert cost(sent, lambda: look(store)) == 1
    for step in (
        lambda: store.claim("node", serves=SERVES, limit=9),
        store.recover,
        store.lapse,
        lambda: store.seen(["nightly"], older_than=SECOND),
        lambda: store.raise_watermarks({"nightly": row_of(store, "nightly").watermark}),
    ):
        store.ids()
        assert cost(sent, step) <= 2


@on_mysql
def test_an_idle_node_costs_mysql_two_statements_a_beat_and_one_a_look(store: SqlStore, sent):
    node = join(store)
    launch(store)
    assert cost(sent, lambda: store.beat(node)) == 2
    assert cost(sent, lambda: look(store)) == 1


@on_postgresql
def test_a_launch_costs_as_many_statements_for_a_hundred_schedules_as_for_one(store: SqlStore, sent):
    join(store)
    made = [make_schedule(store, f"s{number:03}") for number in range(101)]
    launch(store)
    one = cost(sent, lambda: launch(store, made[0], slots=1))
    # BEGIN, lock, clock, count; move, insert, COMMIT. The store's clock is asked for by the test's planning.
    assert one == 7 + 1
    assert cost(sent, lambda: launch(store, *made[1:], slots=100)) == 7 + 100


@on_postgresql
def test_a_launch_whose_runs_are_all_taken_notifies_nobody(store: SqlStore, sent):
    join(store)
    made = [make_schedule(store, name) for name in ("a", "b")]
    sent.clear()
    launch(store, made[0], slots=1)
    assert not any("pg_notify" in statement for statement in sent)
    launch(store, made[1], slots=0)
    assert sum("pg_notify" in statement for statement in sent) == 1


@on_postgresql
def test_an_edit_notifies_only_when_its_fire_is_near(store: SqlStore, sent):
    make_idle(store)
    assert not any("pg_notify" in statement for statement in sent)
    store.change("nightly", Amend(schedule_id="nightly", changes={"owner": "me"}))
    assert not any("pg_notify" in statement for statement in sent)
    make_schedule(store, "near", first=store.instant() + 20 * SECOND)
    assert sum("pg_notify" in statement for statement in sent) == 1


@on_postgresql
def test_a_node_that_begins_to_leave_is_announced_with_its_beat(store: SqlStore):
    node = join(store)
    listener = store.notifier()
    assert listener is not None
    with closing(listener):
        listener.wait(timedelta(0))
        store.beat(node)
        assert listener.wait(0.2 * SECOND) == frozenset()
        store.beat(replace(node, state=NodeState.LEAVING))
        assert listener.wait(5 * SECOND) == {"nodes"}


# -- what the server may lose ------------------------------------------------------------------------


@pytest.mark.server
def test_settings_that_lose_commits_are_reported(private_postgresql: PrivateServer, open_sql: Open):
    store = open_sql(private_postgresql.url)
    store.prepare()
    assert store.durability() == []
    with closing(connect(private_postgresql.url, autocommit=True)) as raw:
        raw.execute("ALTER ROLE tickonce SET synchronous_commit = off")
    store.close()
    (line,) = store.durability()
    assert "synchronous_commit is off" in line


@pytest.mark.server
def test_settings_of_mysql_that_lose_commits_are_reported(private_mysql: PrivateServer, open_sql: Open):
    store = open_sql(private_mysql.url)
    store.prepare()
    assert store.durability() == []
    with closing(connect(private_mysql.url, autocommit=True)) as raw, raw.cursor() as cursor:
        cursor.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    (line,) = store.durability()
    assert "innodb_flush_log_at_trx_commit is 2" in line


def test_sqlite_reports_that_it_does_not_sync_when_it_was_told_not_to(open_sql: Open, url):
    assert open_sql(url).durability() == []
    (line,) = open_sql(f"{url}?sync=normal").durability()
    assert "synchronous=NORMAL" in line


# -- SQLite ------------------------------------------------------------------------------------------


def test_sqlite_keeps_the_log_beside_the_file_and_syncs_each_commit(store: SqlStore):
    pragmas = store._work.read(lambda tx: {name: tx.only(f"PRAGMA {name}")[0] for name in _PRAGMAS})
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 0}


_PRAGMAS = ("journal_mode", "synchronous", "busy_timeout")


def test_the_clock_of_a_sqlite_store_is_the_one_it_was_given(open_sql: Open, url):
    clock = FakeClock()
    store = open_sql(url, clock=clock)
    store.prepare()
    assert store.instant() == clock.wall()
    run = start_run(store)
    clock.advance(5 * SECOND)
    store.finish([outcome_of(run)])
    found = store.run(run.token)
    assert found is not None
    assert found.finished_at == clock.wall()


def test_a_sqlite_listener_sees_what_another_process_writes_and_not_what_nobody_wrote(open_sql: Open, store: SqlStore):
    clock = FakeClock(waiting_passes=True)
    listener = open_sql(clock=clock).notifier()
    assert listener is not None
    with closing(listener):
        assert listener.wait(SECOND) == frozenset()
        make_idle(store)
        assert "schedules" in listener.wait(SECOND)
        assert listener.wait(SECOND) == frozenset()


_STATEMENT = re.compile(r"\s*(SELECT|UPDATE|DELETE|WITH) ")


def test_what_is_written_for_sqlite_is_known_to_3_31():
    """RETURNING came with 3.35 and UPDATE FROM with 3.33."""
    dialect = dialect_of(parse("sqlite:///x.db"), SYSTEM_CLOCK)
    texts: list[str] = []

    def send(text: str, values: object, *, many: bool = False) -> None:
        assert (values, many) is not None
        texts.append(text)

    for module in (edits, launching, nodes, rows, upkeep, work):
        for name, value in vars(module).items():
            if isinstance(value, Insert | Update):
                dialect.many(send, value, [tuple(None for _ in value.columns)])
            # But for the one of databases whose queries can hold an update.
            if isinstance(value, str) and _STATEMENT.match(value) and name != "_EXTEND_AND_READ":
                texts.append(dialect.text(value))
    assert len(texts) > 40
    assert not [text for text in texts if "RETURNING" in text or " FROM unnest" in text]
    assert not [text for text in texts if text.lstrip().startswith("UPDATE") and " FROM " in text.partition("WHERE")[0]]


# -- values in bulk ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts",
    [
        ["plain"],
        ['with "quotes"', "back\\slash", "{braces}", "com,ma", "", "NULL", None],
        ["line\nend", "tab\t", "ünïcode 你好 😀", "'single'", '\\"'],
    ],
)
@on_postgresql
def test_arrays_bring_every_text_over_as_it_is(store: SqlStore, texts):
    table = Insert(table="settings", columns={"name": Kind.TEXT, "value": Kind.TEXT}, key=("name",))
    wanted = [text for text in texts if text is not None]
    store._work.write(lambda tx: tx.insert_many(table, list(zip(map(str, range(9)), wanted, strict=False))))
    text = "SELECT value FROM {settings} WHERE value = ANY(:texts) AND name <> 'clock_epoch' ORDER BY name"
    assert store._work.read(lambda tx: tx.rows(text, texts=wanted)) == [(text,) for text in wanted]
    if None in texts:  # NULL is not the text "NULL"
        assert PostgresqlDialect.listed(store._dialect, [None, "NULL"]) == '{NULL,"NULL"}'  # type: ignore[arg-type]


def test_pruning_looks_through_what_it_keeps_only_once(open_sql: Open, url):
    """Runs that stay as the last of their schedule are many; a call must not begin with all of them again."""
    clock = FakeClock()
    store = open_sql(url, clock=clock)
    store.prepare()
    for number in range(30):
        store.finish([outcome_of(start_run(store, f"k{number}", schedule_id=f"kept-{number}"))])
    clock.advance(SECOND)
    for number in range(4):
        store.finish([outcome_of(start_run(store, f"g{number}", schedule_id="gone"))])
    clock.advance(timedelta(days=20))
    gone = [store.prune(Retention(keep=1), limit=2) for _ in range(6)]
    assert sum(gone) == 3
    assert 0 in gone[:2]  # a call looks through so much and no more, then goes on where it was
