"""The tables: made once, checked after, changed only when asked."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from tests.servers import connect
from tests.unit.stores.kinds import MYSQL, PGBOUNCER, POSTGRESQL, Open, on_all, on_mysql, on_postgresql, on_servers
from tickonce.errors import SchemaError, StoreBusy
from tickonce.stores.sql import schema
from tickonce.stores.sql.address import parse
from tickonce.stores.sql.store import SqlStore
from tickonce.testing.contract.making import ALL_RUN, join, launch, make_schedule, runs_of

PREPARE = """
    import sys
    from tickonce.stores import open_store

    store = open_store(sys.argv[1])
    sys.stdin.readline()
    store.prepare()
    print(store.accept_clock())
"""


@pytest.mark.parametrize("url", ["sqlite", POSTGRESQL, PGBOUNCER, MYSQL], indirect=True)
def test_eight_processes_at_once_make_the_tables_of_an_empty_database_once(url):
    command = [sys.executable, "-c", dedent(PREPARE), url]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=90) for process in processes]
    assert [error for _, error in answers] == [""] * 8
    assert sorted(int(epoch) for epoch, _ in answers) == list(range(1, 9))


@on_servers
def test_who_waits_for_another_process_to_make_the_tables_gives_up_and_then_goes_on(open_sql: Open, url, monkeypatch):
    store = open_sql()
    number = schema._lock_number(store._dialect)
    ours = f"GET_LOCK('tickonce{number}', 1)" if url.startswith("mysql") else f"pg_advisory_xact_lock({number})"
    with closing(connect(url)) as raw, raw.cursor() as cursor:
        cursor.execute(f"SELECT {ours}")
        monkeypatch.setattr(schema, "_PATIENCE", timedelta(seconds=1))
        with pytest.raises(StoreBusy, match="another process"):
            store.prepare()
        monkeypatch.undo()
        waiting = threading.Thread(target=store.prepare, daemon=True)
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
    waiting.join(10)
    assert store.ids() == []


def test_threads_of_one_process_make_tables_in_several_databases_at_once(tmp_path):
    """Alembic keeps in its modules which database it is about: one's tables were made in the other's."""
    urls = [f"sqlite:///{tmp_path}/{number}.db" for number in range(6)]
    with ThreadPoolExecutor(len(urls)) as threads:
        assert list(threads.map(schema.upgrade, urls)) == [(None, schema.NEWEST)] * len(urls)
        assert all(text == schema.sql(urls[0]) for text in threads.map(schema.sql, urls))
    assert [schema.current(url) for url in urls] == [schema.NEWEST] * len(urls)


@on_all
def test_threads_of_one_process_make_them_once_too(open_sql: Open):
    stores = [open_sql() for _ in range(4)]
    failures: list[BaseException] = []

    def prepare(store: SqlStore) -> None:
        try:
            store.prepare()
        except BaseException as error:  # noqa: BLE001  # shown below
            failures.append(error)

    threads = [threading.Thread(target=prepare, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert stores[0].ids() == []


@on_all
def test_preparing_again_asks_nothing_of_alembic(store: SqlStore, url):
    code = f"""
        import sys
        from tickonce.stores import open_store

        store = open_store({url!r})
        store.prepare()
        store.ids()
        print(sorted(name for name in ("alembic", "sqlalchemy") if name in sys.modules))
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


@on_all
def test_a_store_that_is_not_to_be_made_is_refused_and_nothing_is_made(open_sql: Open, url):
    for _ in range(2):
        with pytest.raises(SchemaError, match=r"no tables .*tickonce db upgrade") as told:
            open_sql().prepare(make=False)
        assert told.value.found is None
    assert schema.current(url) is None
    if url.startswith("sqlite"):
        assert not Path(parse(url).path).exists()
    open_sql().prepare()
    open_sql().prepare(make=False)


def test_alembic_is_silent_and_one_line_says_what_was_made(open_sql: Open, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    open_sql(f"sqlite:///{tmp_path}/new.db").prepare()
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("tickonce.store", f"the tables in SQLite at {tmp_path}/new.db are of revision {schema.NEWEST}")
    ]


@on_all
def test_the_revision_of_the_tables_can_be_asked_for(open_sql: Open, url):
    assert schema.current(url) is None
    open_sql().prepare()
    assert schema.current(url) == schema.NEWEST


@on_all
def test_tables_are_made_by_an_upgrade_too_and_a_second_one_changes_nothing(open_sql: Open, url):
    assert schema.upgrade(url) == (None, schema.NEWEST)
    assert schema.upgrade(url) == (schema.NEWEST, schema.NEWEST)
    store = open_sql()
    store.prepare()
    row = make_schedule(store)
    assert schema.upgrade(url) == (schema.NEWEST, schema.NEWEST)
    assert store.get(row.id) == row


@on_all
def test_tables_of_newer_code_are_refused(store: SqlStore, url):
    _set_revision(store, "9999")
    with pytest.raises(SchemaError, match="newer than this code") as told:
        store.prepare()
    assert (told.value.found, told.value.needed) == ("9999", schema.NEWEST)
    with pytest.raises(SchemaError, match="newer than this code"):
        schema.upgrade(url)


@on_all
def test_tables_of_much_older_code_are_refused_with_the_command_that_helps(store: SqlStore, monkeypatch):
    monkeypatch.setattr(schema, "CHAIN", (schema.NEWEST, "0002", "0003"))
    monkeypatch.setattr(schema, "NEWEST", "0003")
    monkeypatch.setattr(schema, "_WORKS_WITH", ("0002", "0003"))
    with pytest.raises(SchemaError, match="tickonce db upgrade"):
        store.prepare()


@on_all
def test_tables_of_the_release_before_are_worked_with(store: SqlStore, monkeypatch):
    monkeypatch.setattr(schema, "CHAIN", (schema.NEWEST, "0002"))
    monkeypatch.setattr(schema, "_WORKS_WITH", (schema.NEWEST, "0002"))
    monkeypatch.setattr(schema, "NEWEST", "0002")
    store.prepare()


@on_all
def test_a_store_without_tables_says_what_to_do(open_sql: Open):
    with pytest.raises(SchemaError, match="tickonce db upgrade"):
        open_sql().ids()


@on_all
def test_fleets_with_prefixes_of_their_own_share_a_database(open_sql: Open, url):
    stores = [open_sql(url), open_sql(f"{url}?prefix=other_")]
    for store in stores:
        store.prepare()
        join(store)
    launch(stores[0], make_schedule(stores[0], **ALL_RUN))
    assert [len(runs_of(store)) for store in stores] == [1, 0]
    assert [len(store.ids()) for store in stores] == [1, 0]


@on_postgresql
def test_fleets_with_schemas_of_their_own_share_a_database(open_sql: Open, url):
    stores = [open_sql(f"{url}?schema=one"), open_sql(f"{url}?schema=two&prefix=x_"), open_sql(url)]
    for store in stores:
        store.prepare()
        join(store)
    launch(stores[0], make_schedule(stores[0], **ALL_RUN))
    assert [len(runs_of(store)) for store in stores] == [1, 0, 0]
    with closing(connect(url)) as raw:
        found = raw.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_name LIKE '%nodes'"
        )
        assert set(found) == {("one", "tickonce_nodes"), ("two", "x_nodes"), ("public", "tickonce_nodes")}


@on_mysql
def test_tables_that_were_left_half_made_are_made_to_the_end(open_sql: Open, url):
    """Its DDL commits by itself: a process that is killed in the midst leaves what it has made."""
    open_sql().prepare()
    with closing(connect(url, autocommit=True)) as raw, raw.cursor() as cursor:
        cursor.execute("DELETE FROM tickonce_revision")
        cursor.execute("DROP TABLE tickonce_nodes, tickonce_settings")
        cursor.execute("DROP INDEX tickonce_runs_held ON tickonce_runs")
    store = open_sql()
    store.prepare()
    join(store)
    assert store.accept_clock() == 1
    with closing(connect(url)) as raw, raw.cursor() as cursor:
        assert cursor.execute("SHOW INDEX FROM tickonce_runs WHERE Key_name = 'tickonce_runs_held'") == 2


@on_servers
def test_the_statements_can_be_had_for_approval_and_make_the_same_tables(open_sql: Open, url):
    text = schema.sql(url)
    with closing(connect(url, autocommit=True)) as raw, raw.cursor() as cursor:
        for statement in text.split(";\n"):
            lines = [line for line in statement.splitlines() if not line.startswith("--")]
            if "".join(lines).strip():
                cursor.execute("\n".join(lines))
    store = open_sql()
    store.prepare()
    join(store)
    assert len(launch(store, make_schedule(store), slots=1).claimed) == 1


def test_the_statements_need_no_server_and_no_password():
    text = schema.sql("postgresql://ada:secret@nowhere/shop?schema=fleet")
    assert text.startswith("CREATE SCHEMA IF NOT EXISTS fleet;")
    assert "fleet.tickonce_runs" in text
    assert "secret" not in text
    assert "CREATE INDEX" in schema.sql("sqlite:///x.db")


def _set_revision(store: SqlStore, revision: str) -> None:
    store._work.write(lambda tx: tx.tell("UPDATE tickonce_revision SET version_num = :revision", revision=revision))
