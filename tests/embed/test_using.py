"""Edits in a caller's transaction: each driver, each isolation, and what must not be harmed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.rows import dict_row
from pymysql.cursors import DictCursor
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tests.servers import connect
from tickonce.editing import Amend, Create, Remove, RunNow
from tickonce.errors import (
    DefinitionError,
    NotTransactional,
    RunExists,
    RunOpen,
    ScheduleExists,
    SchemaError,
    StoreBusy,
)
from tickonce.model import Overlap
from tickonce.ports import Edits, RunFilter, Store
from tickonce.stores import open_store
from tickonce.testing.contract.making import (
    SECOND,
    SERVES,
    join,
    launch,
    make_idle,
    make_run,
    make_schedule,
    row_of,
    runs_of,
)

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("url", [pytest.param("postgresql", marks=pytest.mark.server)], indirect=True)
on_mysql = pytest.mark.parametrize("url", [pytest.param("mysql", marks=pytest.mark.server)], indirect=True)
on_servers = pytest.mark.parametrize(
    "url", [pytest.param(each, marks=pytest.mark.server) for each in ("postgresql", "mysql")], indirect=True
)
on_all = pytest.mark.parametrize(
    "url",
    ["sqlite", *(pytest.param(each, marks=pytest.mark.server) for each in ("postgresql", "mysql"))],
    indirect=True,
)


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    found: str = request.getfixturevalue(f"{request.param}_database")
    return found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with closing(open_store(url)) as store:
        store.prepare()
        yield store


@pytest.fixture
def raw(url: str) -> Iterator[Any]:
    """The driver's own connection, as it comes."""
    with closing(plain(url)) as raw:
        yield raw


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    named = url.replace("postgresql:", "postgresql+psycopg:").replace("mysql:", "mysql+pymysql:")
    engine = sa.create_engine(named, poolclass=sa.NullPool)
    yield engine
    engine.dispose()


def plain(url: str, **options: Any) -> Any:
    if url.startswith("sqlite:"):
        return sqlite3.connect(url.removeprefix("sqlite:///"), **options)
    return connect(url, **options)


def add(edits: Edits, schedule_id: str, like: Any, **fields: Any) -> Any:
    return edits.change(schedule_id, Create(schedule_id=schedule_id, definition=like.definition, **fields))


def edit(edits: Edits, schedule_id: str, **changes: Any) -> Any:
    return edits.change(schedule_id, Amend(schedule_id=schedule_id, changes=changes))


# -- both or neither -------------------------------------------------------------------------------


@on_all
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_an_edit_is_there_with_the_callers_commit_and_not_before(store: Store, raw, end):
    there = make_idle(store)
    using = store.using(raw)
    begin_for(raw)
    assert add(using, "new", there).revision == 1
    assert edit(using, "nightly", owner="me").revision == 2
    made = using.get("new")
    assert made is not None
    assert store.get("new") is None
    assert row_of(store, "nightly") == there
    getattr(raw, end)()
    assert (store.get("new") is not None) == (end == "commit")
    assert row_of(store, "nightly").definition.owner == ("me" if end == "commit" else "")


@on_all
@pytest.mark.parametrize("kind", ["connection", "session", "scoped"])
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_sqlalchemy_ends_what_we_began_in_it(store: Store, engine, kind, end):
    """Also when ours is the first statement: SQLAlchemy must know that there is something to commit."""
    there = make_idle(store)
    makes: dict[str, Any] = {
        "connection": engine.connect,
        "session": lambda: Session(engine),
        "scoped": lambda: scoped_session(sessionmaker(engine)),
    }
    caller = makes[kind]()
    add(store.using(caller), "new", there)
    getattr(caller, end)()
    caller.close()
    assert (store.get("new") is not None) == (end == "commit")


@on_servers
def test_a_savepoint_of_the_caller_takes_its_edits_back_alone(store: Store, engine):
    there = make_idle(store)
    with engine.begin() as connection:
        using = store.using(connection)
        add(using, "outer", there)
        inner = connection.begin_nested()
        add(using, "inner", there)
        edit(using, "outer", owner="inner")
        inner.rollback()
        assert using.get("inner") is None
        edit(using, "nightly", owner="after")
    assert store.ids() == ["nightly", "outer"]
    assert row_of(store, "outer").definition.owner == ""
    assert row_of(store, "nightly").definition.owner == "after"


@on_postgresql
def test_an_edit_in_a_transaction_block_of_an_autocommit_connection(store: Store, url):
    there = make_idle(store)
    with closing(plain(url, autocommit=True)) as raw:
        with raw.transaction():
            add(store.using(raw), "one", there)
        with suppress(LookupError), raw.transaction():
            add(store.using(raw), "two", there)
            raise LookupError
    assert store.ids() == ["nightly", "one"]


@on_all
def test_rows_of_another_shape_do_not_disturb(store: Store, url):
    there = make_idle(store)
    options: dict[str, Any] = {}
    if url.startswith("postgresql"):
        options = {"row_factory": dict_row, "cursor_factory": psycopg.ClientCursor}
    if url.startswith("mysql"):
        options = {"cursorclass": DictCursor}
    with closing(plain(url, **options)) as raw:
        if url.startswith("sqlite"):
            raw.row_factory = sqlite3.Row
        add(store.using(raw), "new", there)
        assert edit(store.using(raw), "new", owner="me").definition.owner == "me"
        raw.commit()
    assert row_of(store, "new").definition.owner == "me"


@on_all
def test_the_callers_own_rows_are_in_the_same_transaction(store: Store, raw):
    there = make_idle(store)
    with closing(raw.cursor()) as cursor:
        cursor.execute("CREATE TABLE shops (name VARCHAR(20) PRIMARY KEY)")
        raw.commit()
        cursor.execute("INSERT INTO shops VALUES ('eu')")
        add(store.using(raw), "sync-eu", there)
        raw.rollback()
        cursor.execute("SELECT count(*) FROM shops")
        assert cursor.fetchone()[0] == 0
    assert store.get("sync-eu") is None


# -- a transaction stays usable ----------------------------------------------------------------------


@on_all
def test_what_is_refused_leaves_the_transaction_usable_and_unchanged(store: Store, raw):
    there = make_idle(store, overlap="allow")
    make_run(store, "taken")
    begin_for(raw)
    using = store.using(raw)
    with pytest.raises(ScheduleExists):
        add(using, "nightly", there)
    with pytest.raises(RunExists):
        using.change("nightly", RunNow(schedule_id="nightly", key="taken"))
    assert add(using, "nightly", there, if_exists="keep") == row_of(store, "nightly")
    edit(using, "nightly", owner="me")
    edit(using, "nightly", overlap=Overlap.SKIP)
    with pytest.raises(RunOpen):
        using.change("nightly", RunNow(schedule_id="nightly", key="second"))
    with pytest.raises(RunExists):
        using.change("nightly", RunNow(schedule_id="nightly", key="taken"))  # it is open
    raw.commit()
    assert row_of(store, "nightly").definition.owner == "me"
    assert len(runs_of(store)) == 1


@on_servers
def test_an_id_that_another_process_adds_first_is_found_after_waiting_for_it(store: Store, raw, url):
    there = make_idle(store)
    with closing(plain(url)) as other:
        add(store.using(other), "new", there)
        told: list[object] = []

        def second() -> None:
            try:
                told.append(add(store.using(raw), "new", there))
            except ScheduleExists as error:
                told.append(error.schedule_id)

        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        thread.join(0.3)
        assert told == []
        other.commit()
        thread.join(20)
    assert told == ["new"]
    assert edit(store.using(raw), "nightly", owner="still usable").revision == 2
    raw.commit()
    assert row_of(store, "new").revision == 1


@on_all
def test_text_that_the_database_refuses_is_told(store: Store, raw):
    make_idle(store)
    with pytest.raises(DefinitionError):
        edit(store.using(raw), "nightly", owner="a\ud800")
    raw.rollback()


# -- isolation ---------------------------------------------------------------------------------------


@on_postgresql
@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_postgresql_tells_a_caller_whose_view_is_too_old_in_its_own_words(store: Store, raw, level):
    make_idle(store)
    raw.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
    raw.execute("SELECT count(*) FROM tickonce_schedules")
    edit(store, "nightly", owner="meanwhile")
    with pytest.raises(psycopg.errors.SerializationFailure):
        edit(store.using(raw), "nightly", owner="me")
    raw.rollback()
    raw.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
    assert edit(store.using(raw), "nightly", owner="me").revision == 3
    raw.commit()


@on_mysql
def test_mysql_edits_the_newest_row_although_the_callers_view_is_older(store: Store, raw):
    """Its default isolation: a compare-and-set on what the transaction sees would never succeed."""
    make_idle(store)
    with raw.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tickonce_schedules")
        edit(store, "nightly", owner="meanwhile", priority=5)
        edit(store.using(raw), "nightly", owner="me")
    raw.commit()
    row = row_of(store, "nightly")
    assert (row.definition.owner, row.definition.priority, row.revision) == ("me", 5, 3)


@on_mysql
def test_mysql_counts_open_runs_that_the_callers_view_does_not_show(store: Store, raw):
    make_idle(store, overlap="skip")
    with raw.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tickonce_runs")
        store.change("nightly", RunNow(schedule_id="nightly", key="meanwhile"))
        with pytest.raises(RunOpen):
            store.using(raw).change("nightly", RunNow(schedule_id="nightly", key="mine"))
    raw.rollback()


@on_mysql
def test_mysql_finds_a_run_and_a_schedule_that_the_callers_view_does_not_show(store: Store, raw):
    there = make_idle(store, overlap="allow")
    with raw.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tickonce_runs")
        store.change("nightly", RunNow(schedule_id="nightly", key="k"))
        add(store, "new", there)
        with pytest.raises(RunExists):
            store.using(raw).change("nightly", RunNow(schedule_id="nightly", key="k"))
        with pytest.raises(ScheduleExists):
            add(store.using(raw), "new", there)
        edit(store.using(raw), "nightly", owner="me")
    raw.commit()
    assert row_of(store, "nightly").definition.owner == "me"


# -- the fleet beside it -----------------------------------------------------------------------------


@on_servers
def test_the_fires_of_an_edited_schedule_wait_for_the_caller_and_nobody_elses_do(store: Store, raw, url):
    join(store)
    rows = [make_schedule(store, name) for name in ("a", "b", "c")]
    edit(store.using(raw), "b", owner="me")
    add(store.using(raw), "bb", rows[0])
    launched = launch(store, *rows, slots=9)
    assert (launched.locked, [run.schedule_id for run in launched.claimed]) == (("b",), ["a", "c"])
    add(store, "b0", rows[0])  # nor does a new id wait that lies between those two
    with closing(plain(url)) as another:
        add(store.using(another), "b1", rows[0])
        another.commit()
    raw.commit()
    # An edit of the owner leaves the clock alone: the fire is launched now, a little late.
    assert [run.schedule_id for run in launch(store, row_of(store, "b"), slots=9).claimed] == ["b"]


@on_all
def test_runs_started_in_a_transaction_can_be_claimed_after_its_commit(store: Store, raw):
    join(store)
    make_idle(store)
    begin_for(raw)
    run = store.using(raw).change("nightly", RunNow(schedule_id="nightly", key="k"))
    assert run is not None
    if not isinstance(raw, sqlite3.Connection):
        assert store.claim("node", serves=SERVES, limit=9) == []
    raw.commit()
    assert len(store.claim("node", serves=SERVES, limit=9)) == 1


@on_postgresql
def test_listeners_hear_of_it_with_the_commit(store: Store, raw):
    make_idle(store)
    listener = store.notifier()
    assert listener is not None
    with closing(listener):
        listener.wait(0 * SECOND)
        store.using(raw).change("nightly", RunNow(schedule_id="nightly", key="k"))
        assert listener.wait(0.2 * SECOND) == frozenset()
        raw.commit()
        assert listener.wait(5 * SECOND) == {"runs"}


# -- SQLite ------------------------------------------------------------------------------------------


@on_sqlite
def test_a_sqlite_transaction_that_read_before_others_wrote_is_told_to_begin_immediate(store: Store, url):
    make_idle(store)
    with closing(plain(url, isolation_level=None)) as raw:
        raw.execute("BEGIN")
        raw.execute("SELECT count(*) FROM tickonce_schedules").fetchall()
        edit(store, "nightly", owner="meanwhile")
        with pytest.raises(StoreBusy, match="BEGIN IMMEDIATE") as told:
            edit(store.using(raw), "nightly", owner="me")
        assert isinstance(told.value.__cause__, sqlite3.OperationalError)
        raw.execute("ROLLBACK")
        raw.execute("BEGIN IMMEDIATE")
        edit(store.using(raw), "nightly", owner="me")
        raw.execute("COMMIT")
    assert row_of(store, "nightly").definition.owner == "me"


@on_sqlite
def test_a_deferred_sqlite_transaction_is_locked_before_anything_is_decided(store: Store, raw, url):
    """The driver begins only before it writes: what is read before that would be out of date."""
    make_idle(store)
    using = store.using(raw)

    def decide(now: Any, schedule: Any, open_runs: int) -> None:
        assert (now, schedule.id, open_runs) is not None
        with closing(plain(url, timeout=0)) as other, pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("UPDATE tickonce_schedules SET owner = 'other'")

    using.change("nightly", decide)
    using.change("not there", decide_nothing)
    raw.rollback()


def decide_nothing(*_: Any) -> None: ...


# -- who is refused ----------------------------------------------------------------------------------


@on_all
def test_a_connection_that_commits_each_statement_by_itself_is_refused(store: Store, url):
    there = make_idle(store)
    options: dict[str, Any] = {"isolation_level": None} if url.startswith("sqlite") else {"autocommit": True}
    with closing(plain(url, **options)) as raw, pytest.raises(NotTransactional, match="begin one first"):
        add(store.using(raw), "new", there)
    assert store.ids() == ["nightly"]


@on_postgresql
def test_what_is_no_transaction_in_this_database_is_refused(store: Store, engine, tmp_path):
    with closing(sqlite3.connect(tmp_path / "x.db")) as other, pytest.raises(NotTransactional, match="leads to sqlite"):
        store.using(other)
    with pytest.raises(NotTransactional, match="an Engine has no transaction"):
        store.using(engine)
    with pytest.raises(NotTransactional, match="SQLAlchemy Connection or Session"):
        store.using("postgresql://db/shop")


@on_postgresql
def test_asynchronous_connections_are_refused_with_the_way_round(store: Store):
    class AsyncSession:
        """Stands for SQLAlchemy's, which needs greenlet."""

    AsyncSession.__module__ = "sqlalchemy.ext.asyncio.session"
    with pytest.raises(NotTransactional, match="run_sync"):
        store.using(AsyncSession())
    asyncpg = type("Connection", (), {"__module__": "asyncpg.connection"})
    for connection in (psycopg.AsyncConnection.__new__(psycopg.AsyncConnection), asyncpg()):
        with pytest.raises(NotTransactional, match="asynchronous"):
            store.using(connection)


@on_servers
def test_a_database_without_our_tables_is_told(store: Store, url):
    other = open_store(f"{url}?prefix=other_")
    with closing(plain(url)) as raw, pytest.raises(SchemaError, match="tickonce db upgrade"):
        other.using(raw).get("nightly")


# -- Django ------------------------------------------------------------------------------------------


class DjangoConnection:
    """What Django's connection wrappers have that matters here."""

    vendor = "sqlite"

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self.connection: sqlite3.Connection | None = None
        self.in_atomic_block = False
        self.broken = False

    def ensure_connection(self) -> None:
        self.connection = self.raw

    def get_autocommit(self) -> bool:
        return True

    def validate_no_broken_transaction(self) -> None:
        if self.broken:
            raise RuntimeError("broken")


@on_sqlite
def test_django_is_joined_inside_atomic_only(store: Store, url):
    there = make_idle(store)
    with closing(plain(url, isolation_level=None)) as raw:
        django = DjangoConnection(raw)
        with pytest.raises(NotTransactional, match=r"transaction\.atomic"):
            add(store.using(django), "new", there)
        django.in_atomic_block = True
        raw.execute("BEGIN IMMEDIATE")
        add(store.using(django), "new", there)
        django.broken = True
        with pytest.raises(RuntimeError, match="broken"):
            add(store.using(django), "newer", there)
        raw.execute("COMMIT")
    assert store.ids() == ["new", "nightly"]


@on_all
def test_a_tombstone_is_seen_and_can_be_filled_again(store: Store, raw):
    there = make_idle(store)
    store.change("nightly", Remove(schedule_id="nightly"))
    begin_for(raw)
    assert add(store.using(raw), "nightly", there).revision == 3
    raw.commit()
    assert store.runs(RunFilter()).items == ()


def begin_for(raw: Any) -> None:
    """Begin as each driver's users do: by the first statement, or on SQLite at once."""
    if isinstance(raw, sqlite3.Connection):
        raw.execute("BEGIN IMMEDIATE")
