"""A burst: many schedules due at one instant; how long until each has run once and its history is written."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.places import Place, fresh, schema, wait_for
from benchmarks.processes import Member, members
from tickonce import cron, every
from tickonce.model import token_of

#: How long before the instant everything stands ready, in seconds.
_AHEAD = 3
#: Longer than any benchmark takes: a burst is not late, it is busy.
_PERIOD = "6h"


def burst(
    store: str,
    *,
    nodes: int = 2,
    schedules: int = 20_000,
    slots: int = 500,
    batch: int = 500,
    coroutines: bool = False,
    arguments: bool = False,
    trigger: str = "every",
    ceiling: bool = True,
) -> dict[str, Any]:
    """Return the figures of one burst beside the database's own ceiling.

    Args:
        coroutines: Whether the job is a coroutine rather than a function.
        arguments: Whether each schedule has arguments of its own.
        trigger: ``every``, or ``cron``, for which the next full minute is waited for.
        ceiling: Whether the ceiling is measured.
    """
    found: dict[str, Any] = {"nodes": nodes, "schedules": schedules, "slots": slots, "batch": batch}
    if coroutines or arguments or trigger != "every":
        marks = {"coroutines": coroutines, "arguments": arguments, "cron": trigger == "cron"}
        found["variant"] = "+".join(name for name, given in marks.items() if given)
    most = _ceiling(store, nodes, schedules, batch) if ceiling else None
    with fresh(store) as place:
        job = "nothing-async" if coroutines else "nothing"
        node = {"slots": slots, "batch": batch, "retention": None}
        schema(place)
        with members(nodes, "node", store=place.url, node=node) as started:
            at = _next_instant(trigger, schedules)
            ids = [f"burst-{number}" for number in range(schedules)]
            chosen = every(_PERIOD, anchor=at) if trigger == "every" else cron("* * * * *")
            place.fill(ids, job, chosen, arguments=_arguments if arguments else None)
            place.settle()
            late = _ready(at)
            seconds = _finished(place, started, at, schedules)
            calls = Counter(token for member in started for token in member.ask("ledger")["calls"])
    wanted = {token_of(schedule_id, at) for schedule_id in ids}
    fires_per_s = schedules / seconds
    return {
        **found,
        "seconds": seconds,
        "fires_per_s": fires_per_s,
        "ceiling_per_s": most,
        "ratio": None if most is None else fires_per_s / most,
        "doubled": sum(calls[token] - 1 for token in wanted if calls[token] > 1),
        "missed": len(wanted - calls.keys()),
        **({"not_ready_s": late} if late else {}),
    }


def _ceiling(store: str, nodes: int, schedules: int, batch: int) -> float:
    """Return how many fires a second raw processes reach, as many as there are nodes."""
    with fresh(store) as place:
        schema(place)
        at = _next_instant("every", schedules)
        place.fill([f"burst-{number}" for number in range(schedules)], "nothing", every(_PERIOD, anchor=at))
        place.settle()
        with members(nodes, "ceiling", store=place.url, kind=place.kind) as started:
            begin = max(at.timestamp(), time.time() + 0.5)
            for number, member in enumerate(started):
                member.tell("go", number=number, of=nodes, batch=batch, at=begin)
            answers = [member.answer() for member in started]
        done = place.value("SELECT count(*) FROM tickonce_runs WHERE state = 'succeeded'")
    total = sum(answer["fires"] for answer in answers)
    if total != schedules or done != schedules:
        raise RuntimeError(f"the ceiling launched {total} and finished {done} of {schedules} fires")
    return float(schedules / (max(answer["ended"] for answer in answers) - begin))


def _next_instant(trigger: str, schedules: int) -> datetime:
    """Return an instant by which all schedules are stored and everybody waits."""
    soonest = datetime.now(UTC) + timedelta(seconds=_AHEAD + schedules / 5_000)
    step = 60 if trigger == "cron" else 1
    return datetime.fromtimestamp((soonest.timestamp() // step + 1) * step, UTC)


def _ready(at: datetime) -> float:
    """Wait for the instant; return by how much it had passed already."""
    left = (at - datetime.now(UTC)).total_seconds()
    time.sleep(max(0.0, left))
    return max(0.0, -left)


def _finished(place: Place, started: list[Member], at: datetime, schedules: int) -> float:
    """Wait until every fire is called and its history written; return the seconds since *at*."""
    wait_for(
        lambda: sum(member.ask("count")["calls"] for member in started) >= schedules,
        "all fires called",
        patience=30 + schedules / 200,
        every=0.05,
    )
    # Only now is the database asked: until here nobody but the nodes has put work upon it.
    with closing(place.connect()) as connection, closing(connection.cursor()) as cursor:

        def none_open() -> bool:
            cursor.execute("SELECT count(*) FROM tickonce_runs WHERE state IN ('pending', 'running')")
            return bool(cursor.fetchone()[0] == 0)

        wait_for(none_open, "all runs finished", every=0.005)
    return time.time() - at.timestamp()


def _arguments(number: int) -> str:
    return f'{{"args":["shop-{number}",{number}],"kwargs":{{}}}}'
