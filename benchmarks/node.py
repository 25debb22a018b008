"""A node process of a benchmark: ``python -m benchmarks.node SETTINGS``. It keeps what its jobs saw in memory."""

from __future__ import annotations

import resource
import sqlite3
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.processes import Parent
from tickonce import Scheduler, current_run


class Node:
    """A Scheduler with a node, and the ledger of its jobs.

    Attributes:
        calls: A token a call, in the order of the calls. To append is one step for all threads, so a second call of a
            fire cannot hide, and nothing slows the job down.
        seen: Token and wall clock at each call of the job that keeps the time.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.calls: list[str] = []
        self.seen: list[tuple[str, float]] = []
        self.statements = 0
        if settings.get("trace"):
            self._trace_sqlite()
        self.scheduler = Scheduler(settings["store"], **settings.get("node", {}))
        calls, seen = self.calls, self.seen

        @self.scheduler.job(name="nothing")
        def nothing(*_: Any) -> None:
            calls.append(current_run().token)

        @self.scheduler.job(name="nothing-async")
        async def nothing_async(*_: Any) -> None:
            calls.append(current_run().token)

        @self.scheduler.job(name="note-time")
        def note_time() -> None:
            now = time.time()
            seen.append((current_run().token, now))

        self.calm = threading.Event()
        for _ in range(settings.get("busy", 0)):
            threading.Thread(target=_compute, args=(self.calm,), daemon=True).start()

    def start(self) -> dict[str, float]:
        """Start the node; return how long it took, and how long until all that was due had been looked at once."""
        began = time.perf_counter()
        self.scheduler.start()
        joined = time.perf_counter()
        ticker = self.engine.ticker
        while ticker.ticked_at is None:
            time.sleep(0.0005)
        return {"join_s": joined - began, "tick_s": time.perf_counter() - began}

    @property
    def engine(self) -> Any:
        """The node within; benchmarks may look at what users need not see."""
        engine = self.scheduler._host.node
        assert engine is not None
        return engine

    def look(self, times: int) -> list[float]:
        """Return how long the look for what is due takes, in milliseconds, on a connection of its own."""
        ticker, worker = self.engine.ticker, self.engine.worker
        found = []
        with Scheduler(self.scheduler.store.url) as other:
            store = other.store
            ask = {"takeover_after": timedelta(seconds=1), "serves": worker.serves, "limit": 500}
            low = store.due(ticker.shares, **ask).low
            for _ in range(times):
                began = time.perf_counter()
                store.due(ticker.shares, low=low, **ask)
                found.append((time.perf_counter() - began) * 1000)
        return sorted(found)

    def usage(self) -> dict[str, Any]:
        """Return what the process has used."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "cpu_s": used.ru_utime + used.ru_stime,
            "rss_mb": _resident_mb(used.ru_maxrss),
            "threads": threading.active_count(),
            "statements": self.statements,
        }

    def _trace_sqlite(self) -> None:
        """Count what SQLite carries out: a file has no server that would."""
        connect = sqlite3.connect

        def count(statement: str) -> None:
            # The look at the file's own counter, twenty times a second, is what stands for notifications here.
            self.statements += not statement.startswith("PRAGMA data_version")

        def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*args, **kwargs)
            connection.set_trace_callback(count)
            return connection

        sqlite3.connect = traced  # type: ignore[assignment]


def _compute(calm: threading.Event) -> None:
    number = 0
    while not calm.is_set():
        for _ in range(1_000):
            number = (number * 1_103_515_245 + 12_345) % 2_147_483_648


def _resident_mb(most: int) -> float:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Be a node until the parent has no more to ask."""
    began = time.time()
    parent = Parent()
    node = Node(parent.settings)
    started = node.start()
    parent.say(ready=True, began=began, **started)
    for asked in parent.asked():
        match asked["do"]:
            case "count":
                parent.say(calls=len(node.calls), seen=len(node.seen))
            case "ledger":
                parent.say(calls=node.calls, seen=node.seen)
            case "usage":
                parent.say(**node.usage())
            case "look":
                parent.say(ms=node.look(asked["times"]))
            case "calm":
                node.calm.set()
                parent.say(calm=True)
            case "stop":
                parent.say(ended=node.scheduler.stop())
    node.scheduler.close()


if __name__ == "__main__":
    main()
