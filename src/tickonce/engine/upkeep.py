"""Standing duties of every node: declare the dead, recover their runs, keep declarations and history in order."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tickonce.config import NodeConfig
from tickonce.editing import Declare, SetAside
from tickonce.engine.beat import Heart
from tickonce.engine.lease import Lease, Witness
from tickonce.engine.storetime import StoreTime
from tickonce.engine.worker import Worker
from tickonce.events import Event, EventKind, Events
from tickonce.model import Node, NodeState, Run, RunState, Schedule
from tickonce.ports import Clock, ScheduleFilter, Store

_log = logging.getLogger("tickonce.node")

#: How often pending runs are ended that are too late to start.
LAPSE_EVERY = timedelta(seconds=60)
#: How often the schedules that this node declares are marked as seen.
SEEN_EVERY = timedelta(minutes=10)
#: How often history is pruned, and how long between two chunks of it.
PRUNE_EVERY = timedelta(hours=1)
PRUNE_PAUSE = timedelta(milliseconds=200)
CHUNK = 500

_KINDS: dict[RunState, EventKind] = {
    RunState.PENDING: "recovered",
    RunState.LOST: "lost",
    RunState.SKIPPED: "skipped",
}

_ZERO = timedelta(0)


class Upkeep:
    """One pass is ``step()``: it does what is due and returns how long nothing is."""

    def __init__(
        self,
        store: Store,
        *,
        config: NodeConfig,
        clock: Clock,
        time: StoreTime,
        lease: Lease,
        witness: Witness,
        heart: Heart,
        worker: Worker,
        events: Events,
        declares: Callable[[], Sequence[Declare]],
        asides: deque[SetAside],
    ) -> None:
        self._store, self._config, self._clock = store, config, clock
        self._time, self._lease, self._witness = time, lease, witness
        self._heart, self._worker, self._events = heart, worker, events
        self._declares, self._asides = declares, asides
        now = clock.monotonic()
        self._recover_at = now
        self._lapse_at = now + LAPSE_EVERY
        self._seen_at = now + SEEN_EVERY
        self._prune_at = now + PRUNE_EVERY / 20
        self._members_changed = False

    def members_changed(self) -> None:
        """The set of live nodes is another one now."""
        self._members_changed = True

    def step(self) -> timedelta:
        """Do what is due."""
        now = self._clock.monotonic()
        if not self._lease.holds(now):
            return self._config.blind_poll
        self._judge()
        self._set_aside()
        if self._members_changed:
            self._recover_at = now
            self._members_changed = False
            try:
                self._reconcile()
            except BaseException:
                self._members_changed = True
                raise
        if now >= self._recover_at:
            # Each lease, whatever one knows of the nodes: one that came and went between two beats was never seen here.
            self._recover_at = now + self._config.lease
            self._recover()
        if now >= self._lapse_at:
            self._lapse_at = now + LAPSE_EVERY
            self._all_of(self._store.lapse)
        if now >= self._seen_at:
            self._seen_at = now + SEEN_EVERY
            self._store.seen([item.schedule_id for item in self._declares()], older_than=SEEN_EVERY / 2)
        if now >= self._prune_at:
            self._prune(now)
        return max(_ZERO, self._next() - self._clock.monotonic())

    def declare(self) -> int:
        """Write what code declares; return how many schedules were new or changed."""
        mine = {item.schedule_id: item for item in self._declares()}
        found = self._stored(mine)
        changed = 0
        for schedule_id, item in sorted(mine.items()):
            before = found.get(schedule_id)
            if before is None or not _declared_as(before, item.hash):
                after = self._store.change(schedule_id, item)
                changed += after is not None and (before is None or after.version != before.version)
        if mine:
            self._store.seen(list(mine), older_than=_ZERO)
        return changed

    # -- duties ------------------------------------------------------------------------------

    def _judge(self) -> None:
        """Declare dead whose lease is over, if this node is a fit witness."""
        now = self._time.now()
        over = [node for node in self._heart.members if _lapsed(node, now) and node.id != self._heart.node.id]
        dead = [node.id for node in over if self._witness.may_judge(node.lease)]
        if not dead:
            return
        for node_id in self._store.expire(self._heart.node.id, dead):
            _log.warning("node %s is dead: no beat for a whole lease; its runs are recovered", node_id)
            self._recover_at = _ZERO
        self._heart.soon()

    def _set_aside(self) -> None:
        while self._asides:
            item = self._asides[0]
            self._store.change(item.schedule_id, item)
            self._asides.popleft()
            self._events.emit(Event(kind="set_aside", schedule_id=item.schedule_id, reason=item.reason))

    def _recover(self) -> None:
        if any(run.state is RunState.PENDING for run in self._all_of(self._store.recover)):
            self._worker.want_claim()

    def _all_of(self, step: Callable[..., list[Run]]) -> list[Run]:
        """Repeat *step*, a chunk at a time, until nothing is left for it."""
        found: list[Run] = []
        while True:
            runs = step(limit=CHUNK)
            self._tell(runs)
            found += runs
            if len(runs) < CHUNK:
                return found

    def _tell(self, runs: Sequence[Run]) -> None:
        for run in runs:
            kind = _KINDS.get(run.state, "cancelled")
            _log.warning("run %s: %s (%s)", run.token, kind, run.reason or "its node is gone")
            self._events.emit(Event(kind=kind, schedule_id=run.schedule_id, run=run, reason=run.reason))

    def _reconcile(self) -> None:
        """Put our definition where the store's is one that no live node declares: what is left of a rollout."""
        mine = {item.schedule_id: item for item in self._declares()}
        differing = {
            schedule_id: schedule
            for schedule_id, schedule in self._stored(mine).items()
            if schedule.declaration is not None and not _declared_as(schedule, mine[schedule_id].hash)
        }
        if not differing:
            return
        alive = [node for node in self._store.nodes() if node.state is NodeState.ALIVE]
        for schedule_id, found in sorted(differing.items()):
            declared = "" if found.declaration is None else found.declaration.hash
            if all(node.declares.get(schedule_id) != declared for node in alive):
                self._store.change(schedule_id, replace(mine[schedule_id], forced=True, expected=declared))
                _log.info("schedule %r: no live node declares what the store held; ours is in force", schedule_id)

    def _stored(self, ids: Iterable[str]) -> dict[str, Schedule]:
        found: dict[str, Schedule] = {}
        wanted = sorted(ids)
        for at in range(0, len(wanted), CHUNK):
            which = ScheduleFilter(ids=tuple(wanted[at : at + CHUNK]), removed=True)
            found.update((schedule.id, schedule) for schedule in self._store.schedules(which, limit=CHUNK).items)
        return found

    def _prune(self, now: timedelta) -> None:
        retention = self._config.retention
        gone = 0 if retention is None else self._store.prune(retention, limit=CHUNK)
        self._prune_at = now + (PRUNE_PAUSE if gone >= CHUNK else PRUNE_EVERY)

    def _next(self) -> timedelta:
        at = min(self._recover_at, self._lapse_at, self._seen_at, self._prune_at)
        me = self._heart.node.id
        ends = [node.alive_until for node in self._heart.members if node.id != me and node.alive_until is not None]
        if ends and self._time.known:
            soonest = min(ends) - self._time.now()
            # While no fit witness itself, or the row is not ours to judge yet, looking again in half a second is
            # enough.
            at = min(at, self._clock.monotonic() + max(soonest, timedelta(milliseconds=500)))
        return at


def _lapsed(node: Node, now: datetime) -> bool:
    return node.alive_until is not None and node.alive_until <= now


def _declared_as(schedule: Schedule, hash: str) -> bool:
    return schedule.declaration is not None and schedule.declaration.hash == hash
