"""SIGTERM drains, a second one stops at once; what a stopped node held is carried out by another.

How soon a killed node's runs are is measured in test_storm.py.
"""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.crew import Crew, until
from tickonce import Scheduler, every
from tickonce.model import RunState

LEASE_S = 6
SETTINGS = {"lease": f"{LEASE_S}s", "beat": "2s"}

pytestmark = pytest.mark.chaos


def lines(crew: Crew) -> list[dict[str, Any]]:
    """Return the lines of the ledger that calls began with, oldest first."""
    found = [json.loads(line) for path in crew.ledger.glob("*.jsonl") for line in path.read_text().splitlines()]
    return sorted((line for line in found if line["event"] == "began"), key=lambda line: float(line["wall"]))


def started(crew: Crew, scheduler: Scheduler, *, takes: float) -> tuple[str, int]:
    """Start a run on one of two members; return its token and which of them has it."""
    scheduler.add("slow", "note", every("1d"), kwargs={"takes": takes})
    crew.start(2)
    until(lambda: crew.joined() == 2, "two nodes have joined")
    token = scheduler.run_now("slow", key="k").token
    until(lambda: bool(lines(crew)), "the run has begun")
    pid = lines(crew)[0]["pid"]
    return token, [member.pid for member in crew.members].index(pid)


def test_sigterm_lets_what_runs_end(store_url: str, tmp_path: Path) -> None:
    with Crew(store_url, tmp_path, **SETTINGS) as crew, Scheduler(store_url) as scheduler:
        token, member = started(crew, scheduler, takes=3)
        crew.send(member, signal.SIGTERM)
        assert crew.members[member].wait(20) == 0
        run = scheduler.run(token)
        assert (run.state, run.attempt, run.losses) == (RunState.SUCCEEDED, 1, 0)
        crew.stop_all()
        assert len(lines(crew)) == 1


def test_a_second_sigterm_stops_at_once_and_another_node_takes_over(store_url: str, tmp_path: Path) -> None:
    with Crew(store_url, tmp_path, **SETTINGS) as crew, Scheduler(store_url) as scheduler:
        token, member = started(crew, scheduler, takes=5)
        crew.send(member, signal.SIGTERM)
        time.sleep(1)  # the first is a request; it is taken before the second
        began = time.monotonic()
        crew.send(member, signal.SIGTERM)
        crew.members[member].wait(20)
        assert time.monotonic() - began < 4
        until(lambda: len(lines(crew)) == 2, "the run has begun anew", patience=LEASE_S + 5)
        until(lambda: not scheduler.run(token).state.open, "the run has ended")
        run = scheduler.run(token)
        assert (run.state, run.attempt, run.losses) == (RunState.SUCCEEDED, 2, 1)
