"""A ticker's look: what is due here and when to look again, in one statement."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from tickonce.clock import politely
from tickonce.errors import StoreError
from tickonce.model import Poll, Schedule
from tickonce.partition import STEPS, Share
from tickonce.ports import Serves
from tickonce.stores.sql.rows import SCHEDULE, instant_of, length, microseconds, schedule_of
from tickonce.stores.sql.tx import Tx

_log = logging.getLogger("tickonce.store")

#: How far the lower bound of the next look stays behind the instant: a caller's transaction that is still open may
#: hold a schedule that was due when it began.
_BEHIND = timedelta(seconds=30)
_ALL_TIME = -(2**62)
#: More queues than this are looked through together, a few in the order of their own index.
_FEW_QUEUES = 8

#: From a byte per bucket with this node's rank to one with how many times takeover_after it waits.
_STEP_OF_RANK = bytes(STEPS.get(rank, max(STEPS.values())) for rank in range(256))

_COLUMNS = ", ".join(f"s.{name}" for name in SCHEDULE)


def due(
    tx: Tx,
    shares: Sequence[Share],
    *,
    takeover_after: timedelta,
    serves: Serves,
    limit: int,
    low: datetime | None,
    leave_out: Collection[str],
    horizon: timedelta,
) -> Poll:
    """Look, without locking."""
    named = [share for share in shares if share.queues is not None]
    rest = next((share for share in shares if share.queues is None), None)
    steps = [share.ranks.translate(_STEP_OF_RANK) for share in (*named, *([rest] if rest else []))]
    present = tuple(sorted(set().union(*steps)))
    queues = sorted(serves.queues) if serves.jobs else []
    values: dict[str, Any] = {
        "low": _ALL_TIME if low is None else microseconds(low),
        "limit": limit + 1,
        "leave_out": list(leave_out),
        "takeover": length(takeover_after),
        "horizon": length(horizon),
        "jobs": sorted(serves.jobs),
        "queues": queues,
        **{f"queues{at}": sorted(share.queues or ()) for at, share in enumerate(named)},
        **{f"steps{at}": each for at, each in enumerate(steps)},
        **{f"queue{at}": queue for at, queue in enumerate(queues)},
    }
    text = _look_text(len(named), present, min(len(queues), _FEW_QUEUES + 1), alone=rest is not None)
    rows = tx.rows(text, **values)
    now_us, first_us, *others = rows[0][: 2 + len(present) + _runs_columns(len(queues))]
    here, runs = others[: len(present)], others[len(present) :]
    now = instant_of(now_us)
    found = [schedule for row in politely(rows) if (schedule := _read(row[-len(SCHEDULE) :])) is not None]
    floor = now - _BEHIND
    return Poll(
        instant=now,
        due=tuple(found[:limit]),
        more=len(rows) > limit,
        next_here=min((instant_of(us) for us in here if us is not None), default=None),
        next_run=min((instant_of(us) for us in runs if us is not None), default=None),
        low=floor if first_us is None else min(instant_of(first_us), floor),
    )


def _read(row: tuple[Any, ...]) -> Schedule | None:
    if row[0] is None:
        return None
    try:
        return schedule_of(row)
    except StoreError as error:
        # One row that nobody can read must not keep the others from being launched.
        _log.error("%s; it is passed over", error)  # the message says it all, at each look
        return None


def _runs_columns(queues: int) -> int:
    return queues if queues <= _FEW_QUEUES else 1


@lru_cache(maxsize=512)
def _look_text(named: int, present: tuple[int, ...], queues: int, *, alone: bool) -> str:
    """Return the statement for so many shares of named queues, these steps, so many queues to work for.

    Args:
        alone: Whether there is a share of all queues that are not named.
    """
    step = _step(named, rest=alone)
    # Where one step is all there is, nothing needs to be told apart: the one node of a fleet, or the last of many.
    single = named == 0 and alone and len(present) == 1
    out = "s.id <> ALL(:leave_out)"
    mine = {each: "" if single else f" AND {step} = {each}" for each in present}
    # Each step in the order of its index, so that it ends at the limit, however many are due at one instant: in the
    # order of ids as well, all of them would be sorted at each look. What the few steps come to is cut, then read.
    parts = [
        f"SELECT s.id, s.due_us + {each} * :takeover AS here_us FROM {{schedules}} s "
        f"WHERE s.due_us >= :low AND s.due_us <= {{at}} - {each} * :takeover{mine[each]} AND {out} "
        "ORDER BY s.due_us LIMIT :limit"
        for each in present
    ] or ["SELECT s.id, s.due_us AS here_us FROM {schedules} s WHERE 1 = 0"]
    found = parts[0]
    if len(parts) > 1:
        together = " UNION ALL ".join(f"SELECT * FROM ({part}) d{at}" for at, part in enumerate(parts))
        found = f"SELECT * FROM ({together}) d ORDER BY here_us LIMIT :limit"
    facts = ["now_us", "(SELECT min(s.due_us) FROM {schedules} s WHERE s.due_us >= :low)"]
    for each in present:
        late = f"{each} * :takeover"
        facts.append(
            f"(SELECT s.due_us + {late} FROM {{schedules}} s WHERE s.due_us >= :low AND s.due_us > {{at}} - {late} "
            f"AND s.due_us <= {{at}} + :horizon - {late}{mine[each]} AND {out} ORDER BY s.due_us LIMIT 1)"
        )
    few = queues <= _FEW_QUEUES
    facts += [
        f"(SELECT r.due_us FROM {{runs}} r WHERE r.state = 'pending' AND {where} AND r.due_us <= {{at}} + :horizon "
        "AND r.job = ANY(:jobs) AND (r.start_by_us IS NULL OR r.start_by_us > {at}) ORDER BY r.due_us LIMIT 1)"
        for where in ([f"r.queue = :queue{at}" for at in range(queues)] if few else ["r.queue = ANY(:queues)"])
    ]
    columns = ", ".join(f"{fact} AS f{at}" for at, fact in enumerate(facts))
    return (
        f"WITH clock AS (SELECT {{now}} AS now_us), found AS ({found}), "
        f"facts AS (SELECT {columns} FROM clock) SELECT facts.*, {_COLUMNS} FROM facts "
        "LEFT JOIN (SELECT found.here_us, s.* FROM found JOIN {schedules} s ON s.id = found.id) s ON 1 = 1 "
        "ORDER BY s.here_us, s.id"
    )


def _step(named: int, *, rest: bool) -> str:
    """Return how many times takeover_after this node waits for a schedule; NULL is not at all its own."""
    if named == 0:
        return _step_in(0) if rest else "NULL"
    cases = " ".join(f"WHEN s.queue = ANY(:queues{at}) THEN {_step_in(at)}" for at in range(named))
    return f"(CASE {cases}{f' ELSE {_step_in(named)}' if rest else ''} END)"


def _step_in(at: int) -> str:
    return f"{{step_of}}:steps{at}{{step_end}}"
