"""A second signal ends the process at once, whatever its store does."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.chaos

#: A second, and half of one for a busy machine. What is measured alone is about 0.6 s.
AT_ONCE_S = 1.5

SERVES = """
import sys, time
from tickonce import Scheduler, every

print("begun", flush=True)
with Scheduler(sys.argv[1]) as scheduler:
    @scheduler.schedule(every("1s"), id="beat", overlap="allow")
    @scheduler.job(name="beat")
    def beat():
        print("ran", flush=True)
        time.sleep(3)

    scheduler.serve()
"""


@contextmanager
def served(url: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVES, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ends_at_the_second_signal(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    time.sleep(0.7)  # sooner it would count as the same request
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    assert time.monotonic() - began < AT_ONCE_S


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_while_the_server_is_frozen(request: pytest.FixtureRequest, kind: str) -> None:
    server = request.getfixturevalue(f"private_{kind}")
    with served(server.url) as process:
        assert [said(process), said(process)] == ["begun", "ran"]
        server.pause()
        try:
            time.sleep(1.2)  # so that every loop is in the midst of a statement
            ends_at_the_second_signal(process)
        finally:
            server.resume()


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_while_the_server_is_frozen_before_the_node_has_joined(request: pytest.FixtureRequest, kind: str) -> None:
    server = request.getfixturevalue(f"private_{kind}")
    server.pause()
    try:
        with served(server.url) as process:
            assert said(process) == "begun"
            time.sleep(1)
            ends_at_the_second_signal(process)
    finally:
        server.resume()


def test_while_another_program_holds_the_lock_of_the_file(tmp_path: Path) -> None:
    with served(f"sqlite:///{tmp_path}/t.db") as process:
        assert [said(process), said(process)] == ["begun", "ran"]
        with closing(sqlite3.connect(tmp_path / "t.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(1.2)
            ends_at_the_second_signal(process)
