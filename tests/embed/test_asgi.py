"""uvicorn and Hypercorn for real: each worker is a node, and coroutine jobs run on the application's loop."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.embed.hosts import BIN, PATIENCE, Server, alive, ledger, wait_for_nodes
from tests.embed.watching import open_the_gate, wait_for_the_gate, watch
from tests.servers import wait_until
from tickonce import Scheduler
from tickonce.model import RunState

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

UVICORN = ["uvicorn", "shop_asgi:app", "--port", "{port}"]
UVICORN += ["--timeout-worker-healthcheck", "60"]  # in 5 s it would give a reload up on a busy machine
HYPERCORN = ["hypercorn", "shop_asgi:app", "-b", "127.0.0.1:{port}"]


def serving(words: list[str], folder: Path, store: str, *options: str) -> Server:
    return Server([str(BIN / words[0]), *words[1:], *options], store, folder)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/fleet.db"


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE  # until its parent asks
    except psutil.NoSuchProcess:
        return True


def test_four_workers_of_uvicorn_call_each_second_once(postgresql_database: str, tmp_path: Path) -> None:
    server = serving(UVICORN, tmp_path, postgresql_database, "--workers", "4")
    watch(server, postgresql_database, tmp_path, workers=4)


def test_four_workers_of_hypercorn_call_each_second_once(sqlite_url: str, tmp_path: Path) -> None:
    server = serving(HYPERCORN, tmp_path, sqlite_url, "--workers", "4")
    watch(server, sqlite_url, tmp_path, workers=4, replace=None, kill=False)  # it replaces no worker by itself


def test_what_runs_in_a_worker_of_hypercorn_ends_first_though_others_are_gone(sqlite_url: str, tmp_path: Path) -> None:
    """When the first of its workers has left, it ends the others by a signal that they do not handle."""
    with Scheduler(sqlite_url) as scheduler, serving(HYPERCORN, tmp_path, sqlite_url, "--workers", "3") as server:
        wait_until(server.answers, "an answer", within=PATIENCE)
        nodes = wait_for_nodes(scheduler, 3)
        server.get("/gated")
        wait_for_the_gate(tmp_path)
        (begun,) = ledger(tmp_path, "gated", event="begin")
        server.send(signal.SIGTERM)
        others = [node.pid for node in nodes if node.pid != begun.pid]
        wait_until(lambda: all(map(gone, others)), "the other workers are gone", within=PATIENCE)
        open_the_gate(tmp_path)
        server.ended()
        assert alive(scheduler) == []
        run = scheduler.runs(schedule_id="gated").items[0]
        assert (run.state, run.attempt) == (RunState.SUCCEEDED, 1)


def test_a_worker_of_hypercorn_that_is_told_itself_leaves_first(sqlite_url: str, tmp_path: Path) -> None:
    with Scheduler(sqlite_url) as scheduler, serving(HYPERCORN, tmp_path, sqlite_url, "--workers", "2") as server:
        wait_until(server.answers, "an answer", within=PATIENCE)
        wait_for_nodes(scheduler, 2)
        server.get("/gated")
        wait_for_the_gate(tmp_path)
        (begun,) = ledger(tmp_path, "gated", event="begin")
        os.kill(begun.pid, signal.SIGTERM)
        wait_for_nodes(scheduler, 1)
        open_the_gate(tmp_path)
        server.ended()  # Hypercorn ends as a whole when a worker was ended by a signal
        assert alive(scheduler) == []
        run = scheduler.runs(schedule_id="gated").items[0]
        assert (run.state, run.attempt) == (RunState.SUCCEEDED, 1)


def test_a_coroutine_that_runs_at_sigterm_ends_first(sqlite_url: str, tmp_path: Path) -> None:
    with Scheduler(sqlite_url) as scheduler, serving(UVICORN, tmp_path, sqlite_url) as server:
        wait_until(server.answers, "an answer", within=PATIENCE)
        wait_for_nodes(scheduler, 1)
        server.get("/gated")
        wait_for_the_gate(tmp_path)
        server.send(signal.SIGTERM)
        wait_for_nodes(scheduler, 0)
        open_the_gate(tmp_path)
        server.ended()
        assert ledger(tmp_path, "gated", event="end")
        assert scheduler.runs(schedule_id="gated").items[0].state is RunState.SUCCEEDED
