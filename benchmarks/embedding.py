"""Embedding: what a node costs the process of a web application that has it, in memory, start-up and time.

Each figure is of a fresh process that has imported what such an application has: a framework, and SQLAlchemy with the
driver of the store where *host* says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median
from typing import Any

from benchmarks.places import fresh

_HOSTS = {
    "flask": "import flask",
    "flask and SQLAlchemy": "import flask, sqlalchemy.orm, sqlalchemy.dialects.sqlite, sqlalchemy.dialects.postgresql",
}

_PROGRAM = """
import json, sys, time
{host}
import psutil
process = psutil.Process()
memory, began = process.memory_info().rss, time.perf_counter()
from tickonce import Scheduler
scheduler = Scheduler(sys.argv[1])
scheduler.job(name="nothing")(lambda: None)
scheduler.start(wait=False)
started = time.perf_counter()
while not scheduler.alive:
    time.sleep(0.001)
alive = time.perf_counter()
time.sleep(2)
cpu, at = time.process_time(), time.perf_counter()
time.sleep(10)
idle = (time.process_time() - cpu) / (time.perf_counter() - at)
for number in range({schedules}):
    scheduler.add(f"it-{{number}}", "nothing", "every 1s", overlap="allow")
time.sleep(2)
cpu, at = time.process_time(), time.perf_counter()
time.sleep(10)
busy = (time.process_time() - cpu) / (time.perf_counter() - at)
held = process.memory_info().rss
scheduler.stop()
print(json.dumps([started - began, alive - began, held - memory, idle, busy]))
"""


def embedding(store: str, *, schedules: int = 100, times: int = 3) -> list[dict[str, Any]]:
    """Return for each host what a node adds: start-up in ms, memory in MB, CPU of one core in per cent.

    Args:
        store: Where the node works.
        schedules: How many are due each second, of a job that does nothing, in the last measurement.
        times: Processes of each host; figures are medians.
    """
    return [_measured(store, host, schedules, times) for host in _HOSTS]


def _measured(store: str, host: str, schedules: int, times: int) -> dict[str, Any]:
    program = _PROGRAM.format(host=_HOSTS[host], schedules=schedules)
    found = []
    for _ in range(times):
        with fresh(store) as mine:
            ended = subprocess.run(
                [sys.executable, "-c", program, mine.url], check=True, capture_output=True, text=True
            )
        found.append(json.loads(ended.stdout))
    started, alive, memory, idle, busy = (median(column) for column in zip(*found, strict=True))
    return {
        "host": host,
        "times": times,
        "start_ms": 1000 * started,
        "alive_ms": 1000 * alive,
        "memory_mb": memory / 2**20,
        "idle_cpu_percent": 100 * idle,
        "per_second": schedules,
        "busy_cpu_percent": 100 * busy,
    }
