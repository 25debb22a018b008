"""Scale: what a million stored schedules cost a node, beside a thousand."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.places import fresh, schema, wait_for
from benchmarks.processes import Member
from benchmarks.report import percentile
from benchmarks.wire import CountingProxy
from tickonce import at, every

#: Schedules that are due while the node runs.
_DUE = 100
_LOOKS = 100


def scale(store: str, *, schedules: int = 1_000_000) -> dict[str, Any]:
    """Return what a start beside *schedules* due far ahead costs, and finding the few that are due."""
    with fresh(store) as place, ExitStack() as stack:
        schema(place)
        began = time.monotonic()
        far = datetime(2099, 1, 1, tzinfo=UTC)
        place.fill([f"scale-{number}" for number in range(schedules)], "nothing", every("365d", anchor=far))
        place.settle()
        filled = time.monotonic() - began
        proxy = None if place.server is None else stack.enter_context(CountingProxy(place.server, place.kind))
        url = place.url if proxy is None else place.through(proxy.port)
        spawned = time.time()
        member = Member("node", store=url, trace=proxy is None, node={"retention": None})
        stack.callback(member.end)
        ready = member.answer()
        started = time.time() - spawned
        statements = member.ask("usage")["statements"] if proxy is None else proxy.statements
        looks = member.ask("look", times=_LOOKS)["ms"]
        soon = datetime.now(UTC) + timedelta(seconds=2)
        place.fill([f"soon-{number}" for number in range(_DUE)], "nothing", at(soon))
        wait_for(lambda: member.ask("count")["calls"] >= _DUE, "what is due runs")
        usage = member.ask("usage")
    return {
        "schedules": schedules,
        "fill_s": filled,
        "start_s": started,
        "join_s": ready["join_s"],
        "statements": statements,
        "due_p50_ms": percentile(looks, 0.5),
        "due_max_ms": looks[-1],
        "rss_mb": usage["rss_mb"],
    }
