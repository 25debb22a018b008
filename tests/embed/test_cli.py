"""The command as people start it: real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.embed.hosts import PATIENCE
from tests.servers.waiting import wait_until
from tickonce.stores.sql.dialects.postgresql import CONNECT_S

PROGRAM = """
import sys
from tickonce import Scheduler, current_run

scheduler = Scheduler(poll="200ms", blind_poll="100ms")

@scheduler.schedule("every 1s", id="tick")
def tick() -> str:
    return current_run().token

@scheduler.job(name="fail")
def fail() -> None:
    raise LookupError("no such shop")

@scheduler.job(name="block")
def block() -> None:
    current_run().sleep("30s")
"""


class Shell:
    """Somebody with a program, a store and a prompt."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "shop.py").write_text(PROGRAM, encoding="utf-8")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TICKONCE_")}
        self.environment = {**clean, "TICKONCE_STORE": f"sqlite:///{home}/tickonce.db", "PYTHONDONTWRITEBYTECODE": "1"}

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "tickonce", *words],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def serving(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Have a node for the length of the block."""
        node = subprocess.Popen(
            [sys.executable, "-m", "tickonce", "serve", "-A", "shop", *words],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            wait_until(lambda: self("healthcheck").returncode == 0, what="a live node")
            yield node
        finally:
            node.kill()
            node.communicate()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_node_is_served_steered_and_stopped(shell: Shell) -> None:
    with shell.serving("--slots", "3", "--queues", "default,slow", "--lease", "6s", "--beat", "1s") as node:
        (row,) = json.loads(shell("nodes", "-o", "json").stdout)
        assert (row["pid"], row["slots"], row["queues"], row["lease_s"]) == (node.pid, 3, ["default", "slow"], 6)
        done = json.loads(shell("run-now", "tick", "--wait", "--timeout", "20s", "-o", "json").stdout)
        assert done["result"] == done["token"]
        assert shell("-A", "shop", "add", "fails", "every 1d", "fail").returncode == 0
        failed = shell("run-now", "fails", "--wait", "--timeout", "20s")
        assert failed.returncode == 7
        assert "LookupError: no such shop" in failed.stdout
        node.send_signal(signal.SIGTERM)
        _, said = node.communicate(timeout=20)
    assert node.returncode == 0
    assert "tickonce serves sqlite:///" in said
    assert "ERROR   tickonce.run" in said  # what failed is logged with its traceback
    assert shell("healthcheck").returncode == 1


def test_ctrl_c_drains_and_what_does_not_end_in_time_is_told_by_the_exit_code(shell: Shell) -> None:
    with shell.serving("--drain-timeout", "100ms") as node:
        shell("-A", "shop", "add", "blocks", "every 1d", "block")
        token = shell("run-now", "blocks").stdout.strip()
        wait_until(lambda: "running" in shell("show", token).stdout, what="the run to begin")
        node.send_signal(signal.SIGINT)
        _, said = node.communicate(timeout=20)
    assert "did not end in time" in said
    assert node.returncode == 1


def test_a_node_without_a_program_launches_and_carries_nothing_out(shell: Shell) -> None:
    shell("add", "sync", "every 1s", "shop.tick")
    node = subprocess.Popen(
        [sys.executable, "-m", "tickonce", "serve", "--poll", "100ms"],
        cwd=shell.home,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: "pending" in shell("runs").stdout, what="a launched run")
        assert shell("doctor").returncode == 10
    finally:
        node.terminate()
        _, said = node.communicate(timeout=20)
    assert "No program is named" in said


def test_a_node_on_a_store_of_its_own_says_that_nobody_shares_it(shell: Shell) -> None:
    (shell.home / "lone.py").write_text("from tickonce import Scheduler\nscheduler = Scheduler('memory:')\n")
    node = subprocess.Popen(
        [sys.executable, "-m", "tickonce", "serve", "-A", "lone"],
        cwd=shell.home,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert node.stderr is not None
    try:
        assert "nobody shares it" in node.stderr.readline()
        assert any("tickonce serves memory:" in line for line in iter(node.stderr.readline, ""))
    finally:
        node.terminate()
        node.communicate(timeout=20)
    assert node.returncode == 0


def test_healthcheck_ends_in_time_where_the_store_gives_no_answer(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute, ThreadPoolExecutor(1) as pool:
        port = mute.getsockname()[1]
        waited = pool.submit(_seconds_of_a_call, mute)
        found = shell("healthcheck", "--timeout", "1s", "--store", f"postgresql://a@127.0.0.1:{port}/shop")
        assert (found.returncode, "no answer from the store within 1s" in found.stderr) == (8, True)
        assert waited.result(PATIENCE.total_seconds()) < CONNECT_S, "the driver alone would wait for that long"


def _seconds_of_a_call(mute: socket.socket) -> float:
    """Return how long somebody waits for the answer that never comes: Python's start is not in it."""
    mute.settimeout(PATIENCE.total_seconds())
    call, _ = mute.accept()
    began = time.monotonic()
    with call:
        while call.recv(1024):
            pass
    return time.monotonic() - began


def test_what_is_shown_can_be_piped(shell: Shell) -> None:
    shell("add", "sync", "every 1d", "shop.tick")
    piped = subprocess.run(
        f"{sys.executable} -m tickonce next 'every 1s' -n 10000 | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=shell.home,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert piped.stdout.startswith("SCHEDULED")
    assert "Traceback" not in piped.stderr


def test_starting_is_quick_and_loads_no_more_than_is_needed(shell: Shell) -> None:
    code = "import sys; from tickonce.cli.root import root; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], env=shell.environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name.partition(".")[0] for name in loaded} & {"rich", "sqlalchemy", "alembic", "http"} == set()
