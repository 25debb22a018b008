"""``run.transaction()``: what a job writes and the success of its run, both or neither, on real databases."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from tests.servers import connect, wait_until
from tickonce import Event, Retry, Scheduler, current_run, every
from tickonce.errors import LeaseLost, NotTransactional, RunError
from tickonce.model import Run, RunState

WITHIN = timedelta(seconds=30)
SERVERS = [pytest.param(each, marks=pytest.mark.server) for each in ("postgresql", "mysql")]

on_all = pytest.mark.parametrize("url", ["sqlite", *SERVERS], indirect=True)
on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("url", SERVERS[:1], indirect=True)


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db?sync=normal"
    found: str = request.getfixturevalue(f"{request.param}_database")
    return found


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    named = url.replace("postgresql:", "postgresql+psycopg:").replace("mysql:", "mysql+pymysql:").partition("?sync")[0]
    engine = sa.create_engine(named, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE effects (token VARCHAR(250), attempt INTEGER)"))
    yield engine
    engine.dispose()


@pytest.fixture
def scheduler(url: str, engine: sa.Engine) -> Iterator[Scheduler]:
    with Scheduler(url, slots=4, drain_timeout="5s") as scheduler:
        yield scheduler


def write(connection: Any) -> None:
    """Have an effect: nothing in the table refuses a second one."""
    run = current_run()
    connection.execute(
        sa.text("INSERT INTO effects (token, attempt) VALUES (:token, :attempt)"),
        {"token": run.token, "attempt": run.attempt},
    )


def effects(engine: sa.Engine) -> list[tuple[str, int]]:
    with engine.connect() as connection:
        return [(row.token, row.attempt) for row in connection.execute(sa.text("SELECT * FROM effects"))]


def carried_out(scheduler: Scheduler, work: Callable[[], object], **policy: Any) -> Run:
    """Let a node carry out one run of *work*, and return the run when it has ended and been told of."""
    job = scheduler.job(name="work")(work)
    told: list[Event] = []
    for kind in ("succeeded", "failed"):
        scheduler.on(kind, told.append)
    scheduler.add("it", job, every("1h"), **policy)
    with scheduler.node():
        token = scheduler.run_now("it", key="k").token
        wait_until(lambda: told != [], "the run's end is told", within=WITHIN)
    run = scheduler.run(token)
    assert [event.kind for event in told] == [str(run.state)]
    return run


# -- both or neither -------------------------------------------------------------------------------


@on_all
@pytest.mark.parametrize("kind", [sa.Connection, Session])
def test_what_a_job_writes_is_there_with_its_success(scheduler, engine, kind, caplog):
    caplog.set_level("INFO")
    seen: list[RunState] = []

    def work() -> str:
        caller = engine.connect() if kind is sa.Connection else Session(engine)
        with caller:
            with current_run().transaction(caller) as connection:
                assert connection is caller
                write(connection)
            seen.append(scheduler.run(current_run().token).state)
            caller.commit()
            seen.append(scheduler.run(current_run().token).state)
        return "not kept"

    run = carried_out(scheduler, work)
    assert seen == [RunState.RUNNING, RunState.SUCCEEDED]
    assert (run.state, run.attempt, run.result) == (RunState.SUCCEEDED, 1, None)
    assert effects(engine) == [(run.token, 1)]
    assert "dropped" not in caplog.text


@on_all
def test_an_error_in_the_block_leaves_neither(scheduler, engine):
    def work() -> None:
        with engine.begin() as connection, current_run().transaction(connection):
            write(connection)
            if current_run().attempt == 1:
                raise ValueError("before the end of the block")

    run = carried_out(scheduler, work, retries=Retry(times=1, delay=timedelta(milliseconds=10)))
    assert (run.state, run.attempt, run.failures) == (RunState.SUCCEEDED, 2, 1)
    assert effects(engine) == [(run.token, 2)]


@on_all
def test_an_end_that_is_not_committed_is_none(scheduler, engine):
    def work() -> None:
        with engine.begin() as connection:
            with current_run().transaction(connection):
                write(connection)
            if current_run().attempt == 1:
                raise ValueError("behind the block, before the commit")

    run = carried_out(scheduler, work, retries=Retry(times=1, delay=timedelta(milliseconds=10)))
    assert (run.state, run.attempt, run.failures) == (RunState.SUCCEEDED, 2, 1)
    assert effects(engine) == [(run.token, 2)]


@on_all
def test_an_error_behind_the_commit_takes_nothing_back(scheduler, engine, caplog):
    """As when a commit's reply is lost: to try again would be a second effect."""

    def work() -> None:
        with engine.begin() as connection, current_run().transaction(connection):
            write(connection)
        raise ValueError("behind the commit")

    run = carried_out(scheduler, work, retries=Retry(times=3, delay=timedelta(milliseconds=10)))
    assert (run.state, run.attempt, run.failures) == (RunState.SUCCEEDED, 1, 0)
    assert effects(engine) == [(run.token, 1)]
    assert "had succeeded in its transaction when its job failed" in caplog.text


@on_all
def test_an_attempt_that_has_lost_its_run_leaves_nothing(scheduler, engine):
    """Another node was given the run while this one slept: what it wrote must go."""
    errors: list[LeaseLost] = []

    def work() -> None:
        run = current_run()
        if run.attempt == 1:
            with engine.begin() as other:
                other.execute(
                    sa.text("UPDATE tickonce_runs SET attempt = 2 WHERE token = :token"), {"token": run.token}
                )
        try:
            with engine.begin() as connection, run.transaction(connection):
                write(connection)
        except LeaseLost as error:
            errors.append(error)
            raise

    job = scheduler.job(name="work")(work)
    scheduler.add("it", job, every("1h"))
    with scheduler.node():
        token = scheduler.run_now("it", key="k").token
        wait_until(lambda: errors != [], "it is told", within=WITHIN)
    assert [(error.token, error.attempt) for error in errors] == [(token, 1)]
    assert effects(engine) == []
    run = scheduler.run(token)
    assert (run.state, run.attempt, run.failures) == (RunState.RUNNING, 2, 0), "the other attempt's, untouched"


@on_all
def test_a_run_over_its_timeout_ends_as_failed_and_leaves_nothing(scheduler, engine):
    def work() -> None:
        with engine.begin() as connection, current_run().transaction(connection):
            if engine.dialect.name != "sqlite":  # there a write would keep the node from its own
                write(connection)
            wait_until(lambda: current_run().cancelled, "told", within=WITHIN)
            if engine.dialect.name == "sqlite":
                write(connection)

    run = carried_out(scheduler, work, timeout="100ms")
    assert run.state is RunState.FAILED
    assert "longer than its timeout" in (run.error or "")
    assert effects(engine) == []


@on_all
def test_whoever_holds_the_runs_row_is_waited_for(scheduler, engine):
    """An outcome in a group passes over a locked row and comes again; a transaction of the job has one chance."""
    if engine.dialect.name == "sqlite":
        lock = "UPDATE tickonce_runs SET attempt = attempt WHERE token = :token"
    else:
        lock = "SELECT token FROM tickonce_runs WHERE token = :token FOR UPDATE"
    locked, waits = threading.Event(), threading.Event()

    def hold(token: str) -> None:
        with engine.begin() as other:
            other.execute(sa.text(lock), {"token": token})
            locked.set()
            assert waits.wait(30)
            time.sleep(0.2)

    def work() -> None:
        holder = threading.Thread(target=hold, args=(current_run().token,))
        holder.start()
        assert locked.wait(30)
        with engine.connect() as connection:
            with current_run().transaction(connection):
                waits.set()
            write(connection)
            connection.commit()
        holder.join()

    run = carried_out(scheduler, work)
    assert (run.state, run.attempt) == (RunState.SUCCEEDED, 1)
    assert effects(engine) == [(run.token, 1)]


@on_all
def test_from_its_commit_on_the_run_is_over_also_while_its_function_goes_on(scheduler, engine):
    """Others see it as ended, as overlap does; its slot stays taken, and no beat makes a second run of it."""
    go_on = threading.Event()

    def work() -> None:
        if not effects(engine):
            with engine.begin() as connection, current_run().transaction(connection):
                write(connection)
            assert go_on.wait(30)

    job = scheduler.job(name="work")(work)
    scheduler.add("it", job, every("1h"))
    with scheduler.node(lease="3s", beat="300ms"):
        first = scheduler.run_now("it", key="1").token
        wait_until(lambda: scheduler.run(first).state is RunState.SUCCEEDED, "the first has ended", within=WITHIN)
        second = scheduler.run_now("it", key="2").token
        wait_until(lambda: scheduler.run(second).state is RunState.SUCCEEDED, "the second has ended", within=WITHIN)
        time.sleep(1)  # three beats
        go_on.set()
    assert {token for token, _ in effects(engine)} == {first}
    assert scheduler.run(first).attempt == 1


# -- which connections -----------------------------------------------------------------------------


@on_all
def test_the_drivers_own_connection(scheduler, engine, url, tmp_path):
    def work() -> None:
        path = url.removeprefix("sqlite:///").partition("?")[0]
        raw: Any = sqlite3.connect(path) if url.startswith("sqlite:") else connect(url)
        with closing(raw), closing(raw.cursor()) as cursor:
            with current_run().transaction(raw):
                cursor.execute(f"INSERT INTO effects (token, attempt) VALUES ('{current_run().token}', 1)")
            raw.commit()

    run = carried_out(scheduler, work)
    assert effects(engine) == [(run.token, 1)]


@on_postgresql
def test_an_asynchronous_session(scheduler, engine, url):
    own = create_async_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)

    async def work() -> None:
        async with AsyncSession(own) as session, session.begin(), current_run().transaction(session) as same:
            assert same is session
            run = current_run()
            await session.execute(
                sa.text("INSERT INTO effects (token, attempt) VALUES (:token, :attempt)"),
                {"token": run.token, "attempt": run.attempt},
            )

    run = carried_out(scheduler, work)
    assert run.state is RunState.SUCCEEDED
    assert effects(engine) == [(run.token, 1)]


@on_all
def test_what_commits_by_itself_is_refused_before_anything_is_written(scheduler, engine, url):
    def work() -> None:
        path = url.removeprefix("sqlite:///").partition("?")[0]
        raw = sqlite3.connect(path, isolation_level=None) if "sqlite:" in url else connect(url, autocommit=True)
        with closing(raw), current_run().transaction(raw):
            raise AssertionError("the block is not entered")

    run = carried_out(scheduler, work)
    assert run.state is RunState.FAILED
    assert "NotTransactional: the connection commits each statement by itself" in (run.error or "")


@on_sqlite
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda engine: engine, "an Engine has no transaction"),
        (lambda _: "sqlite:///shop.db", "takes a SQLAlchemy Connection or Session"),
        (lambda _: sa.create_engine("postgresql+psycopg://"), "an Engine has no transaction"),
    ],
)
def test_what_is_no_connection_is_refused(scheduler, engine, given, said):
    def work() -> None:
        with current_run().transaction(given(engine)):
            raise AssertionError("the block is not entered")

    run = carried_out(scheduler, work)
    assert "NotTransactional" in (run.error or "")
    assert said in (run.error or "")


@on_sqlite
def test_with_and_async_with_are_told_apart(scheduler, engine):
    async def work() -> None:
        with engine.connect() as connection, pytest.raises(NotTransactional, match="for a blocking connection write"):
            async with current_run().transaction(connection):
                raise AssertionError("the block is not entered")

    assert carried_out(scheduler, work).state is RunState.SUCCEEDED


@on_sqlite
def test_an_asynchronous_connection_wants_async_with(scheduler, engine):
    class Awaited:
        async def run_sync(self, step: Callable[..., object]) -> object:
            return step(None)

    def work() -> None:
        with pytest.raises(NotTransactional, match="async with"), current_run().transaction(Awaited()):
            raise AssertionError("the block is not entered")

    assert carried_out(scheduler, work).state is RunState.SUCCEEDED


@on_sqlite
def test_a_run_has_one_transaction(scheduler, engine):
    def work() -> None:
        with engine.begin() as connection, current_run().transaction(connection):
            write(connection)
        with pytest.raises(RunError, match="has had its transaction"):
            current_run().transaction(connection)

    run = carried_out(scheduler, work)
    assert effects(engine) == [(run.token, 1)]


def test_a_store_without_transactions_says_so():
    with Scheduler("memory:") as scheduler:
        errors: list[str] = []

        @scheduler.job(name="work")
        def work() -> None:
            try:
                with current_run().transaction(sqlite3.connect(":memory:")):
                    raise AssertionError("the block is not entered")
            except NotTransactional as error:
                errors.append(str(error))

        scheduler.add("it", work, every("1h"))
        with scheduler.node():
            scheduler.run_now("it", key="k")
            wait_until(lambda: errors != [], "refused", within=WITHIN)
    assert "the memory store cannot join a transaction" in errors[0]
