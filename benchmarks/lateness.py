"""Lateness: how long after its scheduled time a job's function is called, under a steady rate of fires."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.places import Place, fresh, schema
from benchmarks.processes import members
from benchmarks.report import percentile
from tickonce import Scheduler, every
from tickonce.model import token_of

#: Fires of the first seconds are not judged: threads and caches are made then.
_WARM_UP = 2
_SAME_MACHINE = ("127.0.0.1", "localhost", "::1", "")


def lateness(
    store: str, *, nodes: int = 1, rate: int = 100, seconds: int = 20, busy: int = 0, slots: int = 10
) -> dict[str, Any]:
    """Return the figures of *rate* fires a second, evenly spread, beside *busy* threads that compute in each node."""
    with fresh(store) as place:
        schema(place)
        with Scheduler(place.url) as scheduler:
            ahead = _ahead(place, scheduler)
            for number in range(rate):
                anchor = datetime.fromtimestamp(0, UTC) + timedelta(seconds=number / rate)
                scheduler.add(f"late-{number}", "note-time", every("1s", anchor=anchor))
        node = {"slots": slots, "retention": None}
        with members(nodes, "node", store=place.url, node=node, busy=busy) as started:
            begin = int(time.time()) + _WARM_UP
            end = begin + seconds
            time.sleep(end + 1.5 - time.time())
            seen = [entry for member in started for entry in member.ask("ledger")["seen"]]
            for member in started:
                member.ask("stop")
    wanted = {
        token_of(f"late-{number}", datetime.fromtimestamp(second, UTC) + timedelta(seconds=number / rate)): second
        + number / rate
        for number in range(rate)
        for second in range(begin, end)
    }
    calls = Counter(token for token, _ in seen)
    late = sorted((wall + ahead - wanted[token]) * 1000 for token, wall in seen if token in wanted)
    return {
        "nodes": nodes,
        "rate": rate,
        "busy": busy,
        "fires": len(late),
        "p50_ms": percentile(late, 0.5),
        "p90_ms": percentile(late, 0.9),
        "p99_ms": percentile(late, 0.99),
        "max_ms": late[-1],
        "early": sum(value < 0 for value in late),
        "doubled": sum(count - 1 for token, count in calls.items() if token in wanted),
        "missed": len(wanted.keys() - calls.keys()),
    }


def _ahead(place: Place, scheduler: Scheduler) -> float:
    """Return by how much the store's clock is ahead of ours, in seconds; none on one machine, which has one clock."""
    if place.server is None or place.server[0] in _SAME_MACHINE:
        return 0.0
    best: tuple[float, float] | None = None
    for _ in range(20):
        sent = time.time()
        instant = scheduler.store.instant().timestamp()
        taken = time.time() - sent
        if best is None or taken < best[0]:
            best = taken, instant - sent - taken / 2
    assert best is not None
    return best[1]
