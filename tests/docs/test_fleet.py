"""The README's program as a reader starts it: three processes on one file, each tick once, one of them killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, blocks
from tests.servers import wait_until
from tickonce import Scheduler
from tickonce.model import NodeState, Run

PROGRAM = next(block for block in blocks(ROOT / "README.md") if block.options.get("file") == "app.py")
WITHIN = timedelta(seconds=20)

pytestmark = pytest.mark.chaos


class Terminals:
    """Terminals in which the program was started, and what each of them shows."""

    def __init__(self, home: Path, store: str) -> None:
        self.home = home
        (home / "app.py").write_text(PROGRAM.text, encoding="utf-8")
        self.processes: list[subprocess.Popen[bytes]] = []
        for number in range(3):
            with (home / f"terminal-{number}").open("wb") as shown:
                self.processes.append(
                    subprocess.Popen(
                        [sys.executable, "app.py"],
                        cwd=home,
                        env={**os.environ, "TICKONCE_STORE": store},
                        stdout=shown,
                        stderr=subprocess.STDOUT,
                    )
                )

    def shown(self, number: int) -> list[str]:
        """Return the tokens that a terminal shows."""
        lines = (self.home / f"terminal-{number}").read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line.startswith("app.sync@")]

    def all(self) -> list[str]:
        """Return the tokens that all of them show."""
        return [token for number in range(len(self.processes)) for token in self.shown(number)]

    def close(self) -> None:
        """Ctrl-C in each."""
        for process in self.processes:
            process.send_signal(signal.SIGINT)
        for process in self.processes:
            process.wait(15)


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/tickonce.db"


@pytest.fixture
def terminals(tmp_path: Path, store: str) -> Iterator[Terminals]:
    found = Terminals(tmp_path, store)
    try:
        yield found
    finally:
        found.close()


def test_the_program_of_the_readme_shows_each_tick_once_and_outlives_a_kill(terminals: Terminals, store: str) -> None:
    with Scheduler(store) as scheduler:
        wait_until(lambda: _alive(scheduler) == 3, "three nodes alive", within=WITHIN)
        # A kill in the middle of a run is what tests/chaos is for: here it comes between two.
        wait_until(lambda: bool(_done(scheduler)) and not _open(scheduler), "a tick", within=WITHIN)
        printing = next(number for number in range(3) if terminals.shown(number))
        terminals.processes[printing].kill()
        others = [number for number in range(3) if number != printing]
        wait_until(
            lambda: sum(len(terminals.shown(number)) for number in others) >= 1, "another one goes on", within=WITHIN
        )
        runs = [run.scheduled_time for run in scheduler.runs(schedule_id="app.sync").items]
        assert scheduler.skips().items == ()
        assert len(scheduler.schedules().items) == 2, "three processes declared them, once"
    assert max(Counter(terminals.all()).values()) == 1
    steps = {after - before for after, before in pairwise(runs)}
    assert steps == {timedelta(seconds=2)}, "no tick is missing"
    missing = {run for run in runs if f"app.sync@{run:%Y-%m-%dT%H:%M:%SZ}" not in terminals.all()}
    assert missing <= {runs[0]}, "the newest may be running just now"


def test_the_program_of_the_readme_has_about_twelve_lines() -> None:
    assert len([line for line in PROGRAM.text.splitlines() if line.strip()]) <= 12


@pytest.mark.server
def test_the_same_program_runs_on_postgresql(tmp_path: Path, postgresql_database: str) -> None:
    """What the tutorial says in the end: nothing in the program changes."""
    shop = next(block for block in blocks(DOCS / "tutorial.md") if block.options.get("file") == "shop.py")
    (tmp_path / "shop.py").write_text(shop.text, encoding="utf-8")
    environment = {**os.environ, "TICKONCE_STORE": postgresql_database}
    serving = subprocess.Popen([sys.executable, "shop.py"], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    try:
        with Scheduler(postgresql_database) as scheduler:
            wait_until(lambda: len(scheduler.runs(job="shop.sync").items) >= 2, "two ticks", within=WITHIN)
            run = scheduler.run_now("report", key="by-hand", kwargs={"day": "2026-11-21"})
            wait_until(lambda: not scheduler.run(run.token).state.open, "the run by hand", within=WITHIN)
            assert scheduler.run(run.token).result == '"report of 2026-11-21"'
    finally:
        began = time.monotonic()
        serving.terminate()
        assert serving.wait(15) == 0
    assert time.monotonic() - began < 10


def _done(scheduler: Scheduler) -> tuple[Run, ...]:
    return scheduler.runs(states=["succeeded"]).items


def _open(scheduler: Scheduler) -> tuple[Run, ...]:
    return scheduler.runs(states=["pending", "running"]).items


def _alive(scheduler: Scheduler) -> int:
    return sum(node.state is NodeState.ALIVE for node in scheduler.nodes())
