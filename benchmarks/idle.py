"""Idle: what a node costs that has nothing to do for hours."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from benchmarks.places import Place, fresh, schema
from benchmarks.processes import members
from benchmarks.wire import CountingProxy
from tickonce import Scheduler, at

#: Until joining, declaring and the first looks are over, in seconds.
_WARM_UP = 4


def idle(store: str, *, nodes: int = 1, seconds: int = 60, schedules: int = 20) -> dict[str, Any]:
    """Return what *nodes* with *schedules* due in hours ask of the server, and what they use of the machine."""
    with fresh(store) as place, ExitStack() as stack:
        schema(place)
        with Scheduler(place.url) as scheduler:
            for number in range(schedules):
                scheduler.add(f"idle-{number}", "nothing", at(f"2099-01-01T{number % 24:02}:00:00Z"))
        proxy = None if place.server is None else stack.enter_context(CountingProxy(place.server, place.kind))
        url = place.url if proxy is None else place.through(proxy.port)
        started = stack.enter_context(members(nodes, "node", store=url, trace=proxy is None))
        time.sleep(_WARM_UP)
        counted = _transactions(place)
        before = [member.ask("usage") for member in started], _statements(proxy)
        began = time.monotonic()
        time.sleep(seconds)
        after = [member.ask("usage") for member in started], _statements(proxy)
        took = time.monotonic() - began
        transactions = None if counted is None else (_transactions(place) or 0) - counted - 1
        whole = time.monotonic() - began
    used, was = after[0], before[0]
    if proxy is None:
        statements = sum(now["statements"] - then["statements"] for now, then in zip(used, was, strict=True))
    else:
        statements = after[1] - before[1]
    cpu = sum(now["cpu_s"] - then["cpu_s"] for now, then in zip(used, was, strict=True))
    return {
        "nodes": nodes,
        "schedules": schedules,
        "seconds": round(took),
        "statements_per_min": statements * 60 / took / nodes,
        "transactions_per_min": None if transactions is None else transactions * 60 / whole / nodes,
        "cpu_percent": 100 * cpu / took / nodes,
        "rss_mb": max(now["rss_mb"] for now in used),
        "threads": max(now["threads"] for now in used),
    }


def _statements(proxy: CountingProxy | None) -> int:
    return 0 if proxy is None else proxy.statements


def _transactions(place: Place) -> int | None:
    """Return how many transactions the server has counted in this database; only PostgreSQL counts by database."""
    if place.kind != "postgresql":
        return None
    time.sleep(1.2)  # sessions tell their counts at most once a second
    counted: int = place.value(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    )
    return counted
