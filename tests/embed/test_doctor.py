"""``tickonce doctor`` beside real servers: it sees whose workers have no node, and says what gives them one."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.embed.hosts import BIN, PATIENCE, SITE, Server, wait_for_nodes
from tests.servers import wait_until
from tickonce import Scheduler

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

HOOKED = "from tickonce.contrib.gunicorn import hooks\npost_worker_init, worker_int, worker_exit = hooks('shop_jobs')\n"


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/fleet.db"


def gunicorn(folder: Path, store: str, config: str = "", *, app: str = "shop_wsgi:application", **more: str) -> Server:
    (folder / "guni.py").write_text(config)
    command = [str(BIN / "gunicorn"), "-c", str(folder / "guni.py"), "-b", "127.0.0.1:{port}", "-w", "2", app]
    return Server(command, store, folder, name="gunicorn", more=more)


def uwsgi(folder: Path, store: str, config: str, **more: str) -> Server:
    if not (BIN / "uwsgi").exists():
        required = "uwsgi" in os.environ.get("TICKONCE_TEST_REQUIRE", "").split(",")
        (pytest.fail if required else pytest.skip)("uWSGI is not here: make servers, which needs a C compiler")
    text = f"[uwsgi]\nmaster = true\nprocesses = 2\ndie-on-term = true\nneed-app = true\npythonpath = .\n{config}\n"
    (folder / "shop.ini").write_text(text)
    command = [str(BIN / "uwsgi"), "--ini", str(folder / "shop.ini"), "--http-socket", "127.0.0.1:{port}"]
    return Server([*command, "--home", str(BIN.parent)], store, folder, name="uwsgi", more=more)


def doctor(server: Server, *words: str) -> list[dict[str, Any]]:
    """Return what the doctor says of servers: of this one, where it names a process."""
    line = [str(BIN / "tickonce"), "doctor", "--store", server.store, "-o", "json", *words]
    answer = subprocess.run(line, check=False, cwd=SITE, capture_output=True, text=True, timeout=60)
    assert answer.returncode in {0, 10}, answer.stderr
    found = [each for each in json.loads(answer.stdout)["findings"] if each["check"] == "servers"]
    main = server.main
    assert main is not None
    return [each for each in found if "(pid " not in each["found"] or f"(pid {main.pid}" in each["found"]]


def answered(server: Server) -> None:
    wait_until(server.answers, "an answer", within=PATIENCE)


@pytest.mark.parametrize("config", [HOOKED, f"preload_app = True\n{HOOKED}"], ids=["", "preload"])
def test_workers_of_gunicorn_that_are_nodes_are_counted(config: str, store: str, tmp_path: Path) -> None:
    with gunicorn(tmp_path, store, config) as server, Scheduler(store) as scheduler:
        answered(server)
        wait_for_nodes(scheduler, 2)
        (finding,) = doctor(server)
        assert finding["level"] == "ok"
        assert "2 of its 3 processes are nodes" in finding["found"]


@pytest.mark.parametrize("kind", ["none", "start"])
def test_a_node_in_the_master_of_gunicorn_is_told_unless_its_workers_have_their_own(
    kind: str, store: str, tmp_path: Path
) -> None:
    with (
        gunicorn(tmp_path, store, "preload_app = True", SHOP_STARTS=kind) as server,
        Scheduler(store) as scheduler,
    ):
        answered(server)
        nodes = wait_for_nodes(scheduler, 1 if kind == "none" else 3)
        found = doctor(server)
        if kind == "start":
            assert [finding["level"] for finding in found] == ["ok"] * len(found)
        else:
            (finding,) = found
            assert finding["level"] == "warning"
            assert f"{nodes[0].id} was started in Gunicorn before that forks" in finding["found"]
            assert "hooks('module:scheduler')" in finding["mend"]


def test_a_node_of_a_worker_that_started_it_itself_is_not_taken_for_the_masters(store: str, tmp_path: Path) -> None:
    with gunicorn(tmp_path, store, SHOP_STARTS="none") as server, Scheduler(store) as scheduler:
        answered(server)
        wait_for_nodes(scheduler, 2)
        assert [finding["level"] for finding in doctor(server)] == ["ok"]


def test_preload_without_anything_that_starts_a_node_is_told(store: str, tmp_path: Path) -> None:
    Scheduler(store).open()
    with gunicorn(tmp_path, store, "preload_app = True") as server:
        answered(server)
        (finding,) = doctor(server)
        assert finding["level"] == "warning"
        assert "guni.py) loads the program before it forks, and nothing starts a node" in finding["found"]
        (tmp_path / "mended.py").write_text(f"preload_app = True\n{finding['mend'].partition(': ')[2]}\n")
        (_, mended) = doctor(server, "--server-config", str(tmp_path / "mended.py"))
        assert mended["level"] == "ok", "the line that mends it is one that it knows"


def test_a_node_that_was_started_before_uwsgi_forks_is_told(store: str, tmp_path: Path) -> None:
    config = "module = shop_wsgi:application\nenable-threads = true"
    with uwsgi(tmp_path, store, config, SHOP_STARTS="none") as server, Scheduler(store) as scheduler:
        server.wait_for("spawned uWSGI worker 2")  # it may never answer: what a thread held at the fork stays held
        (node,) = wait_for_nodes(scheduler, 1)
        (finding,) = doctor(server)
        assert finding["level"] == "warning"
        assert f"{node.id} was started in uWSGI before that forks" in finding["found"]
        assert "attach(scheduler)" in finding["mend"]


def test_uwsgi_without_threads_is_told_where_it_has_no_node(store: str, tmp_path: Path) -> None:
    Scheduler(store).open()
    with uwsgi(tmp_path, store, "module = shop_wsgi:application") as server:
        answered(server)
        (finding,) = doctor(server)
        assert finding["level"] == "warning"
        assert "goes without enable-threads" in finding["found"]
        assert finding["mend"] == "enable-threads = true"
    with uwsgi(tmp_path, store, f"module = shop_wsgi:application\n{finding['mend']}") as server:
        answered(server)
        assert doctor(server) == []


@pytest.mark.parametrize("lazy", ["false", "true"])
def test_workers_of_uwsgi_that_are_nodes_are_counted(lazy: str, store: str, tmp_path: Path) -> None:
    config = f"module = shop_uwsgi:application\nenable-threads = true\nlazy-apps = {lazy}"
    with uwsgi(tmp_path, store, config) as server, Scheduler(store) as scheduler:
        answered(server)
        wait_for_nodes(scheduler, 2)
        (finding,) = doctor(server)
        assert finding["level"] == "ok"
        assert "2 of its 3 processes are nodes" in finding["found"]
        assert server.terminate(timedelta(seconds=30)) == 0
