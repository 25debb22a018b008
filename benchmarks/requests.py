"""Requests: what those feel that are served by the processes of a fleet while it has a heavy tick.

Two servers of one application stand beside each other, one with a node in each worker. Again and again each of them is
asked while nothing is due, and each while many schedules are due at one instant. So all is measured in one run, on a
machine that is as busy for one as for the other; and what requests feel because a node lives in *their* process stands
apart from what they feel because the nodes, the database and they share the machine.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.places import Place, fresh, schema, wait_for
from benchmarks.report import percentile
from tickonce import Scheduler, every
from tickonce.model import NodeState

_ROOT = Path(__file__).parent.parent
#: The share of a phase in which it is asked, so that no request reaches into the next.
_ASKED = 0.875
_CONNECTIONS = 8

#: When each request was to be sent, and how long it took from then on in milliseconds.
Asked: TypeAlias = list[tuple[float, float]]


def requests(
    store: str,
    *,
    schedules: int = 1_000,
    workers: int = 4,
    rate: int = 60,
    ticks: int = 10,
    job_ms: float = 5,
    phase_s: float = 2,
    settings: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return how long requests take, without a node, with one that rests, and while *schedules* are due at once.

    Args:
        workers: Of each server.
        rate: Requests a second, sent when their time has come, whatever became of those before.
        ticks: How many are measured for each server; one more comes before, for threads and connections to be made.
        job_ms: How long each job waits, computing nothing.
        phase_s: A tick and what follows it, then as long a time with nothing due; longer than a tick lasts.
        settings: Settings of the nodes.
    """
    with fresh(store) as place:
        schema(place)
        given = {"store": place.url, "workers": workers, "job_s": job_ms / 1000, "settings": settings or {}}
        with _serving(given, node=False) as without, _serving(given, node=True) as with_nodes:
            _wait_for_nodes(place, workers)
            period = 2 * phase_s
            begin = float((time.time() + 2) // period * period + period)
            ids = [f"due-{number}" for number in range(schedules)]
            place.fill(ids, "wait", every(timedelta(seconds=period), anchor=datetime.fromtimestamp(begin, UTC)))
            place.settle()
            asked: dict[str, Asked] = {"without": [], "with": []}
            for number in range(2 * ticks + 2):  # the first two are for threads and connections to be made
                server, port = (("without", without), ("with", with_nodes))[number % 2]
                for phase in range(2):
                    at = begin + number * period + phase * phase_s
                    found = _asked(port, at, rate, phase_s * _ASKED)
                    asked[server] += found if number > 1 else []
            fires = _fires(place, begin + 2 * period, begin + (2 * ticks + 2) * period)
    return _rows(asked, fires, schedules, begin, phase_s)


def _rows(
    asked: dict[str, Asked], fires: dict[float, tuple[int, float]], schedules: int, begin: float, phase_s: float
) -> list[dict[str, Any]]:
    """Return a row for each server and each kind of time.

    ``of_quiet`` is the ratio to the server without nodes while nothing is due; ``of_without`` to that server at the
    same kind of time, so what the node in the same process is to blame for.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for server, each in asked.items():
        for at, took in each:
            quiet = int((at - begin + 0.001) // phase_s) % 2
            found.setdefault((server, "nothing due" if quiet else "from a tick on"), []).append(took)
            if any(tick <= at < end for tick, (_, end) in fires.items()):
                found.setdefault((server, "while it lasts"), []).append(took)
    times = {key: sorted(each) for key, each in found.items()}
    lasted = sorted(1000 * (end - tick) for tick, (_, end) in fires.items())
    rows: list[dict[str, Any]] = []
    for (server, when), ms in times.items():
        row: dict[str, Any] = {"node": server, "when": when, "requests": len(ms)}
        row |= {f"p{share}_ms": percentile(ms, share / 100) for share in (50, 95, 99)}
        for share in (50, 95):
            row[f"p{share}_of_quiet"] = row[f"p{share}_ms"] / percentile(times["without", "nothing due"], share / 100)
        for share in (50, 95):
            same = times.get(("without", when))
            row[f"p{share}_of_without"] = row[f"p{share}_ms"] / percentile(same, share / 100) if same else None
        rows.append(row | {"tick_ms": percentile(lasted, 0.5)})
    rows.sort(key=lambda row: (row["node"] == "with", row["when"]))
    missed = sum(schedules - count for count, _ in fires.values())
    return [row | {"ticks": len(fires), "missed": missed} for row in rows]


def _fires(place: Place, begin: float, end: float) -> dict[float, tuple[int, float]]:
    """Return for each tick from *begin* to *end* how many runs succeeded, and when the last one had."""
    ask = (
        "SELECT scheduled_us, count(*), max(finished_us) FROM tickonce_runs "
        f"WHERE state = 'succeeded' AND scheduled_us BETWEEN {_us(begin)} AND {_us(end) - 1} GROUP BY scheduled_us"
    )
    with closing(place.connect()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(ask)
        return {int(at) / 1e6: (int(count), int(end) / 1e6) for at, count, end in cursor.fetchall()}


def _us(at: float) -> int:
    return round(at * 1_000_000)


# -- asking ----------------------------------------------------------------------------------------


def _asked(port: int, at: float, rate: int, seconds: float) -> Asked:
    """Ask *rate* times a second from *at* on."""
    count = max(1, round(seconds * rate))
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        turns = [range(number, count, _CONNECTIONS) for number in range(_CONNECTIONS)]
        parts = pool.map(lambda mine: _one_connection(port, [at + turn / rate for turn in mine]), turns)
        return [each for part in parts for each in part]


def _one_connection(port: int, dues: list[float]) -> Asked:
    if not dues:
        return []
    time.sleep(max(0.0, dues[0] - 0.2 - time.time()))
    found = []
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.connect()
        clock = time.time() - time.perf_counter()
        for due in dues:
            time.sleep(max(0.0, due - clock - time.perf_counter()))
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"the application answered {answer.status}")
            found.append((due, 1000 * (time.perf_counter() + clock - due)))
    return found


# -- serving ---------------------------------------------------------------------------------------


@contextmanager
def _serving(given: dict[str, Any], *, node: bool) -> Iterator[int]:
    """Serve the application, with a node in each worker or without; give the port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = int(probe.getsockname()[1])
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "python:benchmarks.served"],
        env={
            **os.environ,
            "PYTHONPATH": path,
            "TICKONCE_BENCHMARK": json.dumps({**given, "port": port, "node": node}),
        },
    )
    try:
        wait_for(lambda: process.poll() is not None or _answers(port), "an answer of the application")
        if process.poll() is not None:
            raise RuntimeError(f"gunicorn ended with code {process.returncode}")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", "/alive")
        return connection.getresponse().status == 200
    return False


def _wait_for_nodes(place: Place, number: int) -> None:
    with Scheduler(place.url) as scheduler:
        wait_for(lambda: sum(node.state is NodeState.ALIVE for node in scheduler.nodes()) == number, f"{number} nodes")
