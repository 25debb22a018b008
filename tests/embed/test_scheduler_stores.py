"""The public face on every store with a database behind it: SQLite here, PostgreSQL and MariaDB where they are."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from tests.servers import wait_until
from tests.servers.databases import connect
from tests.servers.waiting import free_port
from tickonce import AsyncScheduler, Scheduler, every
from tickonce.errors import (
    BadArguments,
    DefinitionError,
    NoSchedule,
    NotTransactional,
    RunExists,
    RunOpen,
    ScheduleExists,
    StoreUnavailable,
    TriggerError,
)
from tickonce.model import NodeState, RunState, ScheduleState

PATIENCE = timedelta(seconds=20)


def sync(shop: str) -> str:
    return shop


def tidy() -> None: ...


class Stores:
    """What each store has to show. Subclasses provide a fixture ``url`` of an empty database."""

    @pytest.fixture
    def scheduler(self, url: str) -> Iterator[Scheduler]:
        with self.another(url) as scheduler:
            yield scheduler

    @staticmethod
    def another(url: str, **settings: Any) -> Scheduler:
        scheduler = Scheduler(url, **{"name": "ada", **settings})
        scheduler.job(name="sync", queue="shops")(sync)
        scheduler.job(name="tidy")(tidy)
        return scheduler

    def test_a_schedule_lives_its_life(self, scheduler):
        added = scheduler.add("x", "sync", every("1h"), args=["eu"], misfire="all", retries=3, tags=["a"], jitter="1s")
        assert added == scheduler.get("x")
        assert (added.revision, added.created_by, added.policy.retry.times) == (1, "ada", 3)
        assert scheduler.next_fires("x", 1) == [added.next_fire]
        updated = scheduler.update("x", timeout="5m", expected_revision=1)
        assert updated.next_fire == added.next_fire
        assert scheduler.pause("x", reason="stock taking").state is ScheduleState.PAUSED
        assert scheduler.resume("x").revision == 4
        run = scheduler.run_now("x", key="order-17")
        assert scheduler.run(run.token) == run
        assert scheduler.cancel(run.token).state is RunState.CANCELLED
        assert scheduler.retry(run.token).state is RunState.PENDING
        assert [schedule.id for schedule in scheduler.schedules(tag="a").items] == ["x"]
        assert [each.token for each in scheduler.runs(states=["pending"]).items] == ["x@run-order-17"]
        scheduler.remove("x")
        with pytest.raises(NoSchedule):
            scheduler.get("x")

    def test_what_cannot_be_done_is_told_and_changes_nothing(self, scheduler):
        scheduler.add("there", "sync", every("1h"), args=["eu"])
        scheduler.run_now("there", key="k")
        before = (scheduler.schedules().items, scheduler.runs().items)
        for error, call in (
            (ScheduleExists, lambda: scheduler.add("there", "tidy", every("1h"))),
            (TriggerError, lambda: scheduler.add("y", "tidy", "61 * * * *")),
            (BadArguments, lambda: scheduler.add("y", "sync", every("1h"))),
            (BadArguments, lambda: scheduler.update("there", args=[])),
            (DefinitionError, lambda: scheduler.update("there", timeout="0s")),
            (NoSchedule, lambda: scheduler.update("thre", priority=1)),
            (RunExists, lambda: _allowing(scheduler).run_now("there", key="k")),
        ):
            with pytest.raises(error):
                call()
        after = (scheduler.schedules().items, scheduler.runs().items)
        assert after[1] == before[1]
        assert [schedule.definition.arguments for schedule in after[0]] == [before[0][0].definition.arguments]
        with pytest.raises(NoSchedule, match="Did you mean 'there'"):
            scheduler.get("thre")

    def test_processes_that_declare_at_once_make_one_schedule(self, url):
        programs = [self.another(url) for _ in range(6)]
        for program in programs:
            program.schedule("@daily", id="nightly")(program.job(name="nightly")(tidy))
        start = threading.Barrier(len(programs))

        def declare(program: Scheduler) -> None:
            start.wait()
            with program:
                program.declare()

        threads = [threading.Thread(target=declare, args=(program,)) for program in programs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        with self.another(url) as scheduler:
            (schedule,) = scheduler.schedules().items
            assert (schedule.id, schedule.revision, schedule.source) == ("nightly", 1, "code")

    def test_a_node_carries_out_what_a_client_elsewhere_asks_for(self, url, scheduler):
        told: list[str] = []
        worker = self.another(url, queues=["default", "shops"])
        worker.on("succeeded", lambda event: told.append(event.run.token))
        with worker, worker.node():
            assert [node.id for node in scheduler.nodes()] == [worker.node_id]
            scheduler.add("x", "sync", every("1h"), args=["eu"])
            run = scheduler.run_now("x")
            wait_until(lambda: scheduler.run(run.token).state is RunState.SUCCEEDED, "the run", within=PATIENCE)
            assert worker.alive
        assert scheduler.run(run.token).result == '"eu"'
        assert told == [run.token]
        assert [node.state for node in scheduler.nodes()] == [NodeState.GONE]

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    @pytest.mark.parametrize("kind", ["driver", "sqlalchemy", "session"])
    def test_in_a_callers_transaction_both_happen_or_neither(self, url, scheduler, kind, end):
        scheduler.add("there", "tidy", every("1h"))
        with closing(Caller(url, kind)) as caller:
            caller.execute("CREATE TABLE shops (name VARCHAR(20))")
            caller.end("commit")
            caller.begin()
            caller.execute("INSERT INTO shops VALUES ('eu')")
            edits = scheduler.using(caller.connection)
            assert edits.add("x", "sync", every("1h"), args=["eu"]).revision == 1
            assert edits.update("x", priority=3).revision == 2
            assert edits.get("x").definition.priority == 3
            run = edits.run_now("x", key="k")
            edits.remove("there")
            with pytest.raises(ScheduleExists):
                edits.add("x", "tidy", every("1h"))
            with pytest.raises(RunOpen):
                edits.run_now("x")
            with pytest.raises(NoSchedule):
                edits.pause("there")
            caller.end(end)
            assert len(caller.execute("SELECT name FROM shops")) == (end == "commit")
        found = [schedule.id for schedule in scheduler.schedules().items]
        assert found == (["x"] if end == "commit" else ["there"])
        runs = scheduler.runs().items
        assert [(each.token, each.created_by) for each in runs] == ([(run.token, "ada")] if end == "commit" else [])

    def test_a_connection_of_no_kind_we_know_is_refused(self, scheduler):
        with pytest.raises(NotTransactional, match=r"not builtins\.object"):
            scheduler.using(object())

    def test_a_child_process_has_connections_of_its_own(self, url):
        """As after a fork in a web server. The parent's go on, whatever children do to theirs."""
        code = """
            import os, sys
            from tickonce import Scheduler, every

            scheduler = Scheduler(sys.argv[1])
            scheduler.job(name="tidy")(lambda: None)
            scheduler.add("before", "tidy", every("1h"))
            children = []
            for number in range(3):
                child = os.fork()
                if child == 0:
                    scheduler.add(f"child-{number}", "tidy", every("1h"))
                    with scheduler.node():
                        assert scheduler.alive
                    sys.exit(0)
                children.append(child)
            assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
            scheduler.add("after", "tidy", every("1h"))
            print(*(schedule.id for schedule in scheduler.schedules().items), len(scheduler.nodes()))
        """
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", dedent(code), url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("after before child-0 child-1 child-2 3\n", "")

    def test_the_asyncio_face_works_on_it_too(self, url):
        async def work() -> None:
            async with AsyncScheduler(url) as scheduler:
                scheduler.job(name="tidy")(tidy)
                await asyncio.gather(*(scheduler.add(f"x{number}", "tidy", every("1h")) for number in range(5)))
                assert len((await scheduler.schedules()).items) == 5
                loop, done = asyncio.get_running_loop(), asyncio.Event()
                scheduler.on("succeeded", lambda event: loop.call_soon_threadsafe(done.set))  # noqa: ARG005
                async with scheduler.node():
                    run = await scheduler.run_now("x1")
                    await done.wait()
                assert (await scheduler.run(run.token)).state is RunState.SUCCEEDED

        asyncio.run(asyncio.wait_for(work(), PATIENCE.total_seconds()))


class Caller:
    """An application with a transaction of its own: by the driver, by SQLAlchemy's Connection or by its Session."""

    def __init__(self, url: str, kind: str) -> None:
        self.connection: Any
        self._engine = None
        self._sqlite = url.startswith("sqlite:")
        self._driver = kind == "driver"
        if self._driver:
            self.connection = sqlite3.connect(url[10:], isolation_level=None) if self._sqlite else connect(url)
        else:
            named = url.replace("postgresql:", "postgresql+psycopg:").replace("mysql:", "mysql+pymysql:")
            self._engine = sqlalchemy.create_engine(named, poolclass=sqlalchemy.NullPool)
            self.connection = Session(self._engine) if kind == "session" else self._engine.connect()

    def begin(self) -> None:
        if self._driver and self._sqlite:
            self.connection.execute("BEGIN IMMEDIATE")

    def execute(self, text: str) -> list[Any]:
        if not self._driver:
            done = self.connection.execute(sqlalchemy.text(text))
            return list(done) if done.returns_rows else []
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(text)
            return list(cursor.fetchall()) if cursor.description else []

    def end(self, how: str) -> None:
        getattr(self.connection, how)()

    def close(self) -> None:
        self.connection.close()
        if self._engine is not None:
            self._engine.dispose()


class TestSqlite(Stores):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/tickonce.db"

    def test_a_path_that_cannot_be_opened_is_told(self, tmp_path):
        with pytest.raises(StoreUnavailable, match="nowhere"):
            self.another(f"sqlite:///{tmp_path}/nowhere/tickonce.db").start()


class TestPostgresql(Stores):
    @pytest.fixture
    def url(self, postgresql_database: str) -> str:
        return postgresql_database


class TestMysql(Stores):
    @pytest.fixture
    def url(self, mysql_database: str) -> str:
        return mysql_database


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_that_is_not_there_is_told_without_the_password(scheme):
    scheduler = Scheduler(f"{scheme}://ada:secret@127.0.0.1:{free_port()}/tickonce")
    for use in (scheduler.declare, scheduler.start, scheduler.nodes):
        with pytest.raises(StoreUnavailable) as told:
            use()
        assert "secret" not in str(told.value)
        assert "127.0.0.1" in str(told.value)
    assert not scheduler.alive
    assert "secret" not in repr(scheduler)


def _allowing(scheduler: Scheduler) -> Scheduler:
    scheduler.update("there", overlap="allow")
    return scheduler
