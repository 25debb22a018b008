"""A ticker's look at the rows: what is due here, and when to look again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from tickonce.model import Poll, Run, Schedule
from tickonce.partition import STEPS, Share
from tickonce.ports import Serves
from tickonce.stores.memory import transitions


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a ticker asks for; the fields are the arguments of ``Store.due``."""

    shares: Sequence[Share]
    takeover_after: timedelta
    serves: Serves
    limit: int
    low: datetime | None
    leave_out: Collection[str]
    horizon: timedelta

    def at(self, schedules: Iterable[Schedule], pending: Iterable[Run], now: datetime) -> Poll:
        """Answer from the rows as they are at *now*."""
        found: list[tuple[datetime, Schedule]] = []
        later: list[datetime] = []
        # Never past the instant: what is added after this look is due after it, and the next look must see it.
        oldest, low, seen_until = now, self.low, now + self.horizon
        delays = _delays(self.takeover_after)
        for row in schedules:
            due = row.due
            if due is None:
                continue
            oldest = min(oldest, due)
            if due > seen_until or row.id in self.leave_out or (low is not None and due < low):
                continue
            share = self._share_of(row.definition.queue)
            if share is None:
                continue
            here = due + delays[share.ranks[row.bucket]]
            if here <= now:
                found.append((here, row))
            elif here <= seen_until:
                later.append(here)
        found.sort(key=lambda item: (item[0], item[1].id))
        return Poll(
            instant=now,
            due=tuple(row for _, row in found[: self.limit]),
            more=len(found) > self.limit,
            next_here=min(later, default=None),
            next_run=min((run.due for run in pending if self._startable(run, now)), default=None),
            low=oldest,
        )

    def _startable(self, run: Run, now: datetime) -> bool:
        soon = run.due <= now + self.horizon
        return soon and self.serves.takes(run.job, run.queue) and not transitions.too_late(run, now)

    def _share_of(self, queue: str) -> Share | None:
        everything: Share | None = None
        for share in self.shares:
            if share.queues is None:
                everything = everything or share
            elif queue in share.queues:
                return share
        return everything


@lru_cache(maxsize=16)
def _delays(takeover_after: timedelta) -> Mapping[int, timedelta]:
    """Return by rank how long after a fire's time a node steps in."""
    return {rank: takeover_after * step for rank, step in STEPS.items()}
