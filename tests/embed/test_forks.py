"""Forks while a node is at work in the parent."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tickonce import Scheduler, every

#: Enough that some of them meet a thread inside SQLite.
FORKS = 40
PATIENCE_S = 20.0


@pytest.mark.chaos
def test_a_child_forked_from_a_busy_node_can_use_the_same_sqlite_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/fleet.db"
    with Scheduler(url) as scheduler:
        scheduler.job(name="idle")(_idle)
        scheduler.add("busy", "idle", every("50ms"), overlap="allow", misfire="all")
        scheduler.start()
        for _ in range(FORKS):
            assert _ended(_forked(scheduler, url)) == 0
        assert scheduler.alive


def _idle() -> None:
    """Nothing."""


def _forked(scheduler: Scheduler, url: str) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            mine = scheduler.schedules().items  # the client that was inherited
            own = Scheduler(url).schedules().items
            code = int(not (len(mine) == len(own) == 1 and scheduler.node_id is None))
        finally:
            os._exit(code)
    return child


def _ended(child: int) -> int:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise TimeoutError("the child hangs")
