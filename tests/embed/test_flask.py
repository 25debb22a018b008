"""Flask: settings, context around jobs, commands; and behind Gunicorn, for real."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask, appcontext_pushed, current_app, g, has_app_context

from tests.embed.hosts import BIN, Server
from tests.embed.watching import watch
from tests.servers import wait_until
from tickonce import Scheduler, every
from tickonce.contrib.flask import FlaskScheduler
from tickonce.errors import ConfigError, TriggerError
from tickonce.model import Run

WITHIN = timedelta(seconds=15)


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    app = Flask("shop")
    app.config.update(TICKONCE_STORE=f"sqlite:///{tmp_path}/fleet.db", TICKONCE_TZ="Asia/Shanghai")
    return app


@pytest.fixture
def scheduler(app: Flask) -> Iterator[FlaskScheduler]:
    with FlaskScheduler("memory:") as scheduler:
        scheduler.init_app(app)
        yield scheduler


def test_the_application_says_store_and_zone(app, scheduler, tmp_path):
    assert scheduler.store.url == f"sqlite:///{tmp_path}/fleet.db"
    assert scheduler.tz == "Asia/Shanghai"
    assert app.extensions["tickonce"] is scheduler
    app.config["TICKONCE_TZ"] = "Mars/Olympus"
    with pytest.raises(TriggerError, match="Mars/Olympus"):
        FlaskScheduler().init_app(app)


def test_a_scheduler_may_belong_to_another_application_before_its_node_starts(app, scheduler, tmp_path):
    scheduler.declare()
    app.config["TICKONCE_STORE"] = f"sqlite:///{tmp_path}/other.db"
    scheduler.init_app(app)
    assert scheduler.store.url.endswith("/other.db")
    with scheduler.node(), pytest.raises(ConfigError, match="before the node is started"):
        scheduler.init_app(app)


def test_without_an_application_there_is_no_node(tmp_path):
    with FlaskScheduler(f"sqlite:///{tmp_path}/fleet.db") as scheduler, pytest.raises(ConfigError, match="init_app"):
        scheduler.start()


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_each_job_has_a_context_of_its_own(app, scheduler, kind):
    torn: list[str] = []

    @app.teardown_appcontext
    def note(error: BaseException | None) -> None:
        torn.append(g.get("who", "nobody"))

    @scheduler.job(name="function")
    def function(who: str) -> str:
        assert "who" not in g
        g.who = who
        return str(current_app.name)

    @scheduler.job(name="coroutine")
    async def coroutine(who: str) -> str:
        assert "who" not in g
        g.who = who
        return str(current_app.name)

    scheduler.add("it", kind, "every 1h", kwargs={"who": "eu"})
    with scheduler.node():
        for who in ("eu", "us"):
            assert ended(scheduler, scheduler.run_now("it", key=who, kwargs={"who": who}).token).result == '"shop"'
    assert sorted(torn) == ["eu", "us"]
    assert not has_app_context()


def ended(scheduler: Scheduler, token: str) -> Run:
    wait_until(lambda: not scheduler.run(token).state.open, "it has ended", within=WITHIN)
    return scheduler.run(token)


def sync() -> None: ...


def test_flask_tickonce_has_the_commands_of_tickonce(app, scheduler):
    scheduler.job(name="sync")(sync)
    runner = app.test_cli_runner()
    assert "Usage: flask tickonce" in runner.invoke(args=["tickonce", "--help"]).output
    added = runner.invoke(args=["tickonce", "add", "nightly", "0 9 * * *", "sync"])
    assert added.exit_code == 0, added.output
    assert "Asia/Shanghai" in repr(scheduler.get("nightly").definition.trigger)
    assert "nightly" in runner.invoke(args=["tickonce", "ls"]).output
    missing = runner.invoke(args=["tickonce", "show", "weekly"])
    assert (missing.exit_code, "No schedule" in missing.output) == (3, True)
    assert "List them with: flask tickonce ls" in missing.output
    assert "-> flask tickonce serve\n" in runner.invoke(args=["tickonce", "doctor"]).output
    both = runner.invoke(args=["tickonce", "ls", "--store", "memory:"])
    assert 'set app.config["TICKONCE_STORE"] instead' in both.output


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_four_workers_of_gunicorn_call_each_second_once(postgresql_database: str, tmp_path: Path) -> None:
    config = tmp_path / "gunicorn.conf.py"
    config.write_text(
        "from tickonce.contrib.gunicorn import hooks\n\n"
        'post_worker_init, worker_int, worker_exit = hooks("shop_flask:scheduler")\n'
    )
    command = [str(BIN / "gunicorn"), "-c", str(config), "-b", "127.0.0.1:{port}", "-w", "4", "shop_flask:create_app()"]
    server = Server(command, "", tmp_path, more={"SHOP_STORE": postgresql_database})
    watch(server, postgresql_database, tmp_path, workers=4)
    calls, torn = (tmp_path / "ledger").read_text(), (tmp_path / "ledger.torn").read_text()
    assert len(torn.splitlines()) >= calls.count("call tick@") - 1, "one at most was killed in the midst"


@pytest.mark.chaos
def test_flask_tickonce_serve_is_a_node(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/fleet.db"
    command = [str(BIN / "flask"), "--app", "shop_flask:create_app", "tickonce", "serve"]
    with Server(command, "", tmp_path, more={"SHOP_STORE": store}) as server, Scheduler(store) as scheduler:
        wait_until((tmp_path / "ledger").exists, "a call", within=WITHIN)
        assert server.process is not None
        assert [node.pid for node in scheduler.nodes()] == [server.process.pid]
        assert server.terminate() == 0


def test_callbacks_are_called_in_the_applications_context(app, scheduler):
    seen: list[str] = []
    scheduler.on("succeeded", lambda _: seen.append(current_app.name))
    scheduler.add("it", scheduler.job(name="work")(lambda: None), every("1h"))
    with scheduler.node():
        scheduler.run_now("it")
        wait_until(lambda: seen != [], "the callback", within=WITHIN)
    assert seen == ["shop"]


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_a_context_that_cannot_be_made_is_the_jobs_failure(app, scheduler, kind):
    """The slot is free again, and the run is over: it would have been running for ever."""
    broken = [True]

    def refuse(sender: Flask, **_: object) -> None:
        if broken:
            raise OSError("no database for the context")

    def function() -> None: ...

    async def coroutine() -> None: ...

    scheduler.add("it", scheduler.job(name="work")(function if kind == "function" else coroutine), every("1h"))
    with appcontext_pushed.connected_to(refuse, app), scheduler.node(slots=1):
        first = scheduler.run_now("it").token
        wait_until(lambda: not scheduler.run(first).state.open, "the first is over", within=WITHIN)
        broken.clear()
        second = scheduler.run_now("it").token
        wait_until(lambda: not scheduler.run(second).state.open, "the second is over", within=WITHIN)
    assert (scheduler.run(first).state, scheduler.run(second).state) == ("failed", "succeeded")
    assert "no database for the context" in (scheduler.run(first).error or "")


def test_a_second_application_that_says_nothing_has_what_the_scheduler_was_made_with(app, tmp_path):
    with FlaskScheduler(f"sqlite:///{tmp_path}/own.db", tz="Europe/Paris") as scheduler:
        scheduler.init_app(app)
        scheduler.init_app(Flask("other"))
        assert (scheduler.store.url, scheduler.tz) == (f"sqlite:///{tmp_path}/own.db", "Europe/Paris")


def test_none_is_as_if_nothing_was_said_and_other_things_are_refused(app, scheduler):
    app.config["TICKONCE_TZ"] = None
    scheduler.init_app(app)
    assert scheduler.tz == "UTC"
    app.config["TICKONCE_STORE"] = 123
    with pytest.raises(ConfigError, match="must be the URL of a store, got 123"):
        scheduler.init_app(app)
