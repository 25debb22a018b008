"""FastAPI and Starlette: lifespan, dependency, sessions, the application's event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.servers import wait_until
from tickonce import AsyncScheduler, Scheduler
from tickonce.contrib import starlette
from tickonce.contrib.fastapi import Scheduled, lifespan
from tickonce.errors import ConfigError, NoSchedule, StoreUnavailable, WrongState

WITHIN = timedelta(seconds=15)


@pytest.fixture
def scheduler(tmp_path: Path) -> AsyncScheduler:
    return AsyncScheduler(f"sqlite:///{tmp_path}/fleet.db")


def test_an_endpoint_is_given_the_scheduler_and_the_node_lives_with_the_application(scheduler):
    app = FastAPI(lifespan=lifespan(scheduler, wait=True))
    scheduler.job(name="sync")(lambda: None)

    @app.post("/shops/{name}")
    async def open_shop(name: str, scheduler: Scheduled) -> str:
        return (await scheduler.add(name, "sync", "every 1h")).id

    with TestClient(app) as client:
        assert scheduler.alive
        assert client.post("/shops/eu").json() == "eu"
    assert not scheduler.alive
    assert scheduler.node_id is None
    with TestClient(app):
        assert scheduler.alive, "an application may be started again"


def test_an_application_may_only_edit(scheduler):
    with TestClient(FastAPI(lifespan=lifespan(scheduler, node=False))):
        assert scheduler.node_id is None


def test_the_applications_own_lifespan_goes_around(scheduler):
    seen: list[str] = []

    @asynccontextmanager
    async def own(app: Any) -> AsyncIterator[dict[str, str]]:
        seen.append(f"entered without {scheduler.node_id}")
        yield {"pool": "the pool"}
        seen.append(f"left without {scheduler.node_id}")

    app = FastAPI(lifespan=lifespan(scheduler, own, wait=True))

    @app.get("/")
    async def home(request: Request, scheduler: Scheduled) -> str:
        return f"{request.state.pool} {scheduler.alive}"

    with TestClient(app) as client:
        assert client.get("/").json() == "the pool True"
    assert seen == ["entered without None", "left without None"]


def test_starlette_has_it_too(scheduler):
    async def home(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(starlette.current_scheduler(request) is scheduler))

    app = Starlette(routes=[Route("/", home)], lifespan=starlette.lifespan(scheduler, wait=True))
    with TestClient(app) as client:
        assert client.get("/").text == "True"
    with TestClient(Starlette(routes=[Route("/", home)])) as client, pytest.raises(RuntimeError, match="lifespan="):
        client.get("/")


@pytest.mark.parametrize("on_app_loop", [True, False])
def test_coroutines_run_on_the_loop_that_was_asked_for(scheduler, on_app_loop):
    loops: list[asyncio.AbstractEventLoop] = []
    done = threading.Event()

    @scheduler.job(name="where")
    async def where() -> None:
        loops.append(asyncio.get_running_loop())
        done.set()

    app = FastAPI(lifespan=lifespan(scheduler, wait=True, on_app_loop=on_app_loop))

    @app.get("/")
    async def home(scheduler: Scheduled) -> None:
        loops.append(asyncio.get_running_loop())
        await scheduler.add("it", "where", "every 1h")
        await scheduler.run_now("it")

    with TestClient(app) as client:
        client.get("/")
        assert done.wait(15)
    assert (loops[0] is loops[1]) is on_app_loop


def test_a_coroutine_on_the_applications_loop_is_stopped_with_it(scheduler):
    running = asyncio.Event()

    @scheduler.job(name="endless")
    async def endless() -> None:
        running.set()
        await asyncio.sleep(3600)

    async def life() -> None:
        async with scheduler, scheduler.node(loop=asyncio.get_running_loop(), drain_timeout="100ms"):
            await scheduler.add("it", "endless", "every 1h")
            run = await scheduler.run_now("it")
            await asyncio.wait_for(running.wait(), 15)
            await scheduler.stop()
            assert (await scheduler.run(run.token)).state == "pending", "handed back"

    asyncio.run(life())


def test_a_node_outlives_a_loop_that_its_owner_has_closed(scheduler, caplog):
    """What was to run there is handed back instead of being lost in silence."""
    scheduler.job(name="late")(_late)

    async def life() -> None:
        await scheduler.start(loop=asyncio.get_running_loop())

    asyncio.run(life())
    sync: Scheduler = scheduler.sync
    sync.add("it", "late", "every 1h")
    run = sync.run_now("it")
    wait_until(lambda: "cannot be begun just now" in caplog.text, "it is said", within=WITHIN)
    assert sync.stop("100ms")
    assert sync.run(run.token).state == "pending"
    sync.close()


async def _late() -> None: ...


def test_an_application_that_waits_does_not_start_without_its_node(scheduler, monkeypatch):
    def unreachable(*, make: bool = True) -> None:
        raise StoreUnavailable("injected")

    monkeypatch.setattr(scheduler.sync._named(), "prepare", unreachable)
    with pytest.raises(StoreUnavailable), TestClient(FastAPI(lifespan=lifespan(scheduler, wait=True))):
        pass
    with TestClient(FastAPI(lifespan=lifespan(scheduler))):
        assert not scheduler.alive


def test_a_row_and_its_schedule_are_both_written_or_neither(scheduler, tmp_path):
    scheduler.job(name="sync")(lambda: None)
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/fleet.db")
    sessions = async_sessionmaker(engine)
    app = FastAPI(lifespan=lifespan(scheduler, node=False))

    @app.post("/shops/{name}")
    async def open_shop(name: str, scheduler: Scheduled, *, fail: bool = False) -> None:
        async with sessions.begin() as session:
            await session.execute(sa.text("INSERT INTO shops VALUES (:name)"), {"name": name})
            await scheduler.using(session).add(name, "sync", "every 5m")
            if fail:
                raise LookupError(name)

    async def make() -> None:
        await scheduler.declare()
        async with engine.begin() as connection:
            await connection.execute(sa.text("CREATE TABLE shops (name TEXT PRIMARY KEY)"))
        await engine.dispose()

    asyncio.run(make())
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.post("/shops/eu").status_code == 200
        assert client.post("/shops/us?fail=true").status_code == 500
        asyncio.run(engine.dispose())
    with scheduler.sync as sync:
        assert sync.get("eu").job == "sync"
        with pytest.raises(NoSchedule):
            sync.get("us")


def test_of_two_applications_that_share_a_scheduler_each_ends_what_it_has_begun(scheduler):
    public, internal = (
        FastAPI(lifespan=lifespan(scheduler, wait=True)),
        FastAPI(lifespan=lifespan(scheduler, node=False)),
    )
    with TestClient(public):
        with TestClient(internal):
            assert scheduler.alive
        assert scheduler.alive, "the second has not started it"
        with pytest.raises(WrongState), TestClient(FastAPI(lifespan=lifespan(scheduler, wait=True))):
            raise AssertionError("there is a node already")
        assert scheduler.alive, "nor has the third"
    assert not scheduler.alive


def test_a_scheduler_that_blocks_is_refused(tmp_path):
    given: Any = Scheduler("memory:")
    with pytest.raises(ConfigError, match="takes an AsyncScheduler, got Scheduler"):
        lifespan(given)
