"""Gunicorn for real: a node in each worker, however workers come and go."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path

import pytest

from tests.embed.hosts import BIN, PATIENCE, SITE, Server, alive, check_each_once, ledger, wait_for_nodes
from tests.embed.watching import LONGER, ROUNDS, SECOND, open_the_gate, wait_for_calls, wait_for_the_gate, watch
from tests.servers import wait_until
from tests.servers.databases import fresh_database
from tickonce import Scheduler
from tickonce.contrib.gunicorn import hooks
from tickonce.errors import ConfigError
from tickonce.model import RunState

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

CONFIG = """\
from tickonce.contrib.gunicorn import hooks

post_worker_init, worker_int, worker_exit = hooks({app!r})
"""
UVICORN = ["-k", "uvicorn_worker.UvicornWorker"]


def gunicorn(
    folder: Path, store: str, *options: str, app: str = "shop_wsgi:application", name: str = "gunicorn", **more: str
) -> Server:
    config = folder / f"{name}.conf.py"
    config.write_text(CONFIG.format(app="shop_jobs:scheduler") if "SHOP_STARTS" not in more else "")
    command = [str(BIN / "gunicorn"), "-c", str(config), "-b", "127.0.0.1:{port}", *options, app]
    return Server(command, store, folder, name=name, more=more)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/fleet.db"


# -- each second once ----------------------------------------------------------------------------


#: Sync workers without preload are watched with Flask.
KINDS = [("gthread", True), ("gevent", True)]
MORE_KINDS = [("sync", False), ("sync", True), ("gthread", False), ("gevent", False)]


@pytest.mark.parametrize(("kind", "preload"), [*KINDS, *(MORE_KINDS if LONGER else [])])
def test_four_workers_call_each_second_once(kind: str, preload: bool, postgresql_database: str, tmp_path: Path) -> None:
    options = ["-w", "4", "-k", kind, *(["--preload"] if preload else [])]
    server = gunicorn(tmp_path, postgresql_database, *options, SHOP_DECLARES="yes")
    watch(server, postgresql_database, tmp_path, workers=4)


def test_two_servers_on_one_database_call_each_second_once(postgresql_database: str, tmp_path: Path) -> None:
    with (
        gunicorn(tmp_path, postgresql_database, "-w", "2", name="first") as first,
        gunicorn(tmp_path, postgresql_database, "-w", "2", "-k", "gthread", name="second") as second,
        Scheduler(postgresql_database) as scheduler,
    ):
        wait_for_nodes(scheduler, 4)
        wait_for_calls(tmp_path, "tick", 4)
        first.send(signal.SIGHUP)
        wait_for_calls(tmp_path, "tick", len(ledger(tmp_path, "tick")) + 3)
        assert {server.terminate() for server in (first, second)} == {0}
    check_each_once(ledger(tmp_path, "tick"), period=SECOND)


def test_workers_that_are_recycled_all_the_time_miss_nothing(sqlite_url: str, tmp_path: Path) -> None:
    with (
        gunicorn(tmp_path, sqlite_url, "-w", "2", "--max-requests", "3") as server,
        Scheduler(sqlite_url) as scheduler,
    ):
        wait_until(server.answers, "an answer", within=PATIENCE)
        pids: set[str] = set()
        while len(pids) < 6:
            with_pid = server.get()
            pids.add(with_pid.split()[0])
        wait_for_calls(tmp_path, "tick", len(ledger(tmp_path, "tick")) + 3)
        assert server.terminate() == 0
        assert alive(scheduler) == []
    check_each_once(ledger(tmp_path, "tick"), period=SECOND)


# -- starting ------------------------------------------------------------------------------------


@pytest.mark.timeout(180 + 15 * ROUNDS)
@pytest.mark.parametrize(("kind", "rounds"), [("postgresql", 3), ("mysql", 1), ("sqlite", 1)])
def test_workers_that_declare_at_the_same_moment_do_not_collide(
    kind: str, rounds: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    for number in range(ROUNDS or rounds):
        folder = tmp_path / str(number)
        folder.mkdir()
        if kind == "sqlite":
            _declare_at_once(f"sqlite:///{folder}/fleet.db", folder)
        else:
            with fresh_database(request.getfixturevalue(f"{kind}_url")) as store:
                _declare_at_once(store, folder)


def _declare_at_once(store: str, folder: Path) -> None:
    with gunicorn(folder, store, "-w", "4") as server:
        wait_until(lambda: _nodes(store) == 4, "four nodes", within=PATIENCE)
        assert server.terminate() == 0
        for word in ("Traceback", "IntegrityError", "eadlock", "tried again"):
            assert word not in server.log, server.log


def _nodes(store: str) -> int:
    with Scheduler(store) as scheduler:
        return len(scheduler.nodes())


def test_a_master_that_starts_a_node_shares_it_with_no_worker_or_gives_each_its_own(
    sqlite_url: str, tmp_path: Path
) -> None:
    for kind, nodes in (("none", 1), ("start", 3)):
        folder = tmp_path / kind
        folder.mkdir()
        with (
            gunicorn(folder, sqlite_url, "-w", "2", "--preload", SHOP_STARTS=kind) as server,
            Scheduler(sqlite_url) as scheduler,
        ):
            wait_until(server.answers, "an answer", within=PATIENCE)
            found = wait_for_nodes(scheduler, nodes)
            assert server.process is not None
            assert server.process.pid in {node.pid for node in found}
            wait_for_calls(folder, "tick", 3)
            assert server.terminate() == 0
            assert alive(scheduler) == []
        check_each_once(ledger(folder, "tick"), period=SECOND)


def test_with_reload_a_changed_file_gives_new_nodes(sqlite_url: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for name in ("shop_jobs.py", "shop_wsgi.py"):
        (site / name).write_text((SITE / name).read_text())
    server = gunicorn(tmp_path, sqlite_url, "-w", "1", "--reload", "--reload-engine", "poll")
    server.cwd = site
    with server, Scheduler(sqlite_url) as scheduler:
        (before,) = wait_for_nodes(scheduler, 1)
        broken = site / "shop_jobs.py"
        text = broken.read_text()
        broken.write_text(text + "\nthis is no Python\n")
        wait_for_nodes(scheduler, 0)
        server.wait_for("has no node")
        broken.write_text(text)
        wait_for_nodes(scheduler, 1, but=[before.id])
        assert server.terminate() == 0
        assert alive(scheduler) == []


def test_a_worker_serves_also_while_the_store_does_not_answer(private_postgresql, tmp_path: Path) -> None:
    private_postgresql.stop()
    with gunicorn(tmp_path, private_postgresql.url, "-w", "1") as server:
        wait_until(server.answers, "an answer", within=PATIENCE)
        server.wait_for("tried again until the store answers")
        private_postgresql.start()
        wait_until(lambda: "True" in server.get(), "the node has joined", within=PATIENCE)
        assert server.terminate() == 0


def test_a_program_that_names_no_store_does_not_begin_to_serve(tmp_path: Path) -> None:
    with gunicorn(tmp_path, "", "-w", "1") as server:
        assert server.ended() != 0
        assert "no store is named" in server.log


def test_hooks_have_to_be_told_which_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TICKONCE_APP", raising=False)
    with pytest.raises(ConfigError, match="no Scheduler is named"):
        hooks()


# -- ending --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sync", "gevent", "uvicorn", *(["gthread", "asgi"] if LONGER else [])])
def test_what_runs_at_sigterm_ends_first(kind: str, sqlite_url: str, tmp_path: Path) -> None:
    app = "shop_plain_asgi:application" if kind in {"uvicorn", "asgi"} else "shop_wsgi:application"
    options = UVICORN if kind == "uvicorn" else ["-k", kind]
    with gunicorn(tmp_path, sqlite_url, *options, app=app) as server, Scheduler(sqlite_url) as scheduler:
        wait_until(server.answers, "an answer", within=PATIENCE)
        wait_for_nodes(scheduler, 1)
        server.get("/gated")
        wait_for_the_gate(tmp_path)
        server.send(signal.SIGTERM)
        wait_for_nodes(scheduler, 0)
        open_the_gate(tmp_path)
        assert server.ended() == 0
        assert ledger(tmp_path, "gated", event="end")
        assert scheduler.runs(schedule_id="gated").items[0].state is RunState.SUCCEEDED


def test_what_outlasts_the_graceful_timeout_is_handed_back_in_time(sqlite_url: str, tmp_path: Path) -> None:
    with (
        gunicorn(tmp_path, sqlite_url, "--graceful-timeout", "5") as server,
        Scheduler(sqlite_url) as scheduler,
    ):
        wait_until(server.answers, "an answer", within=PATIENCE)
        wait_for_nodes(scheduler, 1)
        server.get("/long")
        wait_until(lambda: ledger(tmp_path, "long", event="begin"), "the job runs", within=PATIENCE)
        assert server.terminate() == 0
        run = scheduler.runs(schedule_id="long").items[0]
        assert (run.state, run.losses) == (RunState.PENDING, 0), "another worker carries it out, nothing is counted"
        assert alive(scheduler) == []


def test_at_sigint_nobody_waits(sqlite_url: str, tmp_path: Path) -> None:
    with gunicorn(tmp_path, sqlite_url) as server, Scheduler(sqlite_url) as scheduler:
        wait_until(server.answers, "an answer", within=PATIENCE)
        wait_for_nodes(scheduler, 1)
        server.get("/long")
        wait_until(lambda: ledger(tmp_path, "long", event="begin"), "the job runs", within=PATIENCE)
        server.send(signal.SIGINT)
        assert server.ended(timedelta(seconds=25)) == 0, "where it waited, the run would go on for 27 s"
        assert alive(scheduler) == []
