"""Several threads and processes on one SQLite file: peers lose schedules there, or end with an error of the driver."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.regressions.scenes import EVERY_FIRE, at_once, none_forgotten
from tests.servers import wait_until
from tickonce import Scheduler, current_run, every
from tickonce.model import RunState
from tickonce.ports import RunFilter
from tickonce.testing.contract.making import MINUTE, list_all

ADDS = """
import sys

from tickonce import Scheduler, every

with Scheduler(sys.argv[1]) as scheduler:
    for number in range(40):
        scheduler.add(f"{sys.argv[2]}-{number}", "work", every("1h"))
        scheduler.run_now(f"{sys.argv[2]}-{number}", key="k")
"""

pytestmark = pytest.mark.chaos


def test_threads_and_processes_write_to_one_file_while_it_is_served(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/fleet.db?sync=normal"
    called: list[str] = []
    lock = threading.Lock()
    with Scheduler(url, slots=20) as scheduler:

        @scheduler.job(name="work")
        def work() -> None:
            with lock:
                called.append(current_run().token)

        made = scheduler.add("beat", work, every("100ms"), **EVERY_FIRE)
        scheduler.start()
        names = [f"process-{number}" for number in range(3)]
        processes = [subprocess.Popen([sys.executable, "-c", ADDS, url, name]) for name in names]

        def add(thread: int) -> None:
            """With the connections that the node uses at the same time."""
            for number in range(40):
                scheduler.add(f"thread-{thread}-{number}", work, every("1h"))
                scheduler.run_now(f"thread-{thread}-{number}", key="k")

        at_once([lambda thread=thread: add(thread) for thread in range(4)])  # type: ignore[misc]
        assert [process.wait(60) for process in processes] == [0, 0, 0]
        expected = {
            f"{name}-{number}" for name in (*names, *(f"thread-{each}" for each in range(4))) for number in range(40)
        }
        assert set(scheduler.store.ids()) == expected | {"beat"}
        by_hand = {f"{schedule_id}@run-k" for schedule_id in expected}
        wait_until(lambda: by_hand <= set(called), "all have run", within=MINUTE)
        # However quick the others were: the schedule has had fires of its own beside them.
        wait_until(lambda: len(called) >= len(by_hand) + 5, "some fires", within=MINUTE)
        scheduler.stop()
        runs, skips = none_forgotten(scheduler.store, made)
        ended = list_all(lambda at: scheduler.store.runs(RunFilter(states=(RunState.SUCCEEDED,)), cursor=at))
    assert skips == []
    assert len(runs) >= 5
    assert sorted(called) == sorted(run.token for run in ended)
