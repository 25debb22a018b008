"""Lateness: how long after its scheduled time a job's function is called, under a steady rate of fires."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.places import Place, fresh, schema, wait_for
from benchmarks.processes import Member, members
from benchmarks.report import percentile
from tickonce import Scheduler, every
from tickonce.model import token_of

#: So long after the last fire, in seconds, what was not called yet counts as behind.
_AFTER = 1.0
#: Fires of the first seconds are not judged: threads and caches are made then.
_WARM_UP = 2
_SAME_MACHINE = ("127.0.0.1", "localhost", "::1", "")


def lateness(
    store: str, *, nodes: int = 1, rate: int = 100, seconds: int = 20, busy: int = 0, slots: int = 10
) -> dict[str, Any]:
    """Return the figures of *rate* fires a second, evenly spread, beside *busy* threads that compute in each node.

    Fires that come after the last one was due are waited for with the threads at rest: their lateness counts, too.
    """
    with fresh(store) as place:
        schema(place)
        with Scheduler(place.url) as scheduler:
            ahead = _ahead(place, scheduler)
            for number in range(rate):
                anchor = datetime.fromtimestamp(0, UTC) + timedelta(seconds=number / rate)
                # None is skipped, however late: so each fire has a lateness, or is missed.
                scheduler.add(f"late-{number}", "note-time", every("1s", anchor=anchor), misfire="all", overlap="allow")
        node = {"slots": slots, "retention": None}
        with members(nodes, "node", store=place.url, node=node, busy=busy) as started:
            begin = int(time.time()) + _WARM_UP
            end = begin + seconds
            wanted = _fires(rate, begin, end)
            time.sleep(end + _AFTER - time.time())
            behind = len(wanted) - len(_called(started).keys() & wanted.keys())
            for member in started:
                member.ask("calm")
            with suppress(TimeoutError):
                wait_for(lambda: _called(started).keys() >= wanted.keys(), "every fire", patience=30, every=0.5)
            seen = [entry for member in started for entry in member.ask("ledger")["seen"]]
            for member in started:
                member.ask("stop")
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
        "behind": behind,
        "early": sum(value < 0 for value in late),
        "doubled": sum(count - 1 for token, count in calls.items() if token in wanted),
        "missed": len(wanted.keys() - calls.keys()),
    }


def _fires(rate: int, begin: int, end: int) -> dict[str, float]:
    """Return the scheduled time of each fire from *begin* to *end*, by its token."""
    return {
        token_of(f"late-{number}", datetime.fromtimestamp(second, UTC) + timedelta(seconds=number / rate)): second
        + number / rate
        for number in range(rate)
        for second in range(begin, end)
    }


def _called(started: list[Member]) -> Counter[str]:
    return Counter(token for member in started for token, _ in member.ask("ledger")["seen"])


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
