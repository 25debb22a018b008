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
from tickonce.engine.rechecks import Rechecks
from tickonce.engine.storetime import StoreTime
from tickonce.engine.worker import Worker
from tickonce.errors import StoreUnavailable
from tickonce.events import Event, EventKind, Events
from tickonce.model import Node, NodeState, Run, RunState, Schedule, ScheduleState
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
        self._members_changed = self._recovery_wanted = False
        self._rechecks = Rechecks(store, heart=heart)

    def members_changed(self) -> None:
        """The set of live nodes is another one now."""
        self._members_changed = self._recovery_wanted = True
        self._rechecks.members_changed()

    def step(self) -> timedelta:
        """Do what is due."""
        now = self._clock.monotonic()
        if not self._lease.holds(now):
            return self._config.blind_poll
        failed: Exception | None = None
        # Each is over only when it has succeeded, so what failed is tried again with the next pass, which comes soon.
        for duty in (
            self._judge,
            self._set_aside,
            self._recover,
            self._reconcile,
            self._lapse,
            self._seen,
            self._prune,
            self._rechecks.step,
        ):
            try:
                duty(now)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001  # raised below: one that fails keeps no other from being done
                failed = failed or error
        if failed is not None:
            raise failed
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
                if after is not None and (before is None or after.version != before.version):
                    changed += 1
                    self._tell_aside(after)
        if mine:
            self._store.seen(list(mine), older_than=_ZERO)
        return changed

    def _tell_aside(self, schedule: Schedule) -> None:
        """Say that a schedule whose trigger raised has been declared, and does nothing."""
        if schedule.state is ScheduleState.ASIDE:
            _log.error("schedule %r is set aside: %s", schedule.id, schedule.reason)
            self._events.emit(Event(kind="set_aside", schedule_id=schedule.id, reason=schedule.reason))

    # -- duties ------------------------------------------------------------------------------

    def _judge(self, _: timedelta) -> None:
        """Declare dead whose lease is over, if this node is a fit witness."""
        instant, now = self._time.now(), self._clock.monotonic()
        over = [node for node in self._heart.members if _lapsed(node, instant) and node.id != self._heart.node.id]
        dead = [node.id for node in over if self._witness.may_judge(node.lease, instant=instant, now=now)]
        if not dead:
            return
        for node_id in self._store.expire(self._heart.node.id, dead):
            _log.warning("node %s is dead: no beat for a whole lease; its runs are recovered", node_id)
            self._recover_at = _ZERO
        self._heart.soon()

    def _set_aside(self, _: timedelta) -> None:
        for _each in range(len(self._asides)):
            item = self._asides.popleft()
            try:
                self._store.change(item.schedule_id, item)
            except BaseException:
                self._asides.append(item)  # behind the others: a row that stays locked keeps none of them waiting
                raise
            self._events.emit(Event(kind="set_aside", schedule_id=item.schedule_id, reason=item.reason))

    def _recover(self, now: timedelta) -> None:
        # Each lease, whatever one knows of the nodes: one that came and went between two beats was never seen here.
        if now < self._recover_at and not self._recovery_wanted:
            return
        self._recovery_wanted = False  # first: somebody may leave while the answer is on its way
        try:
            recovered = self._all_of(self._store.recover)
        except BaseException:
            self._recovery_wanted = True
            raise
        if any(run.state is RunState.PENDING for run in recovered):
            self._worker.want_claim()
        self._recover_at = now + self._config.lease

    def _lapse(self, now: timedelta) -> None:
        # By a clock that is not believed nothing is late, nor is it old.
        if now >= self._lapse_at and not self._time.jumped:
            self._all_of(self._store.lapse)
            self._lapse_at = now + LAPSE_EVERY

    def _seen(self, now: timedelta) -> None:
        if now >= self._seen_at:
            self._store.seen([item.schedule_id for item in self._declares()], older_than=SEEN_EVERY / 2)
            self._seen_at = now + SEEN_EVERY

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

    def _reconcile(self, _: timedelta) -> None:
        """Put our definition where the store's is one that no live node declares: what is left of a rollout."""
        if not self._members_changed:
            return
        self._members_changed = False  # first: they may change once more meanwhile
        try:
            self._put_back()
        except BaseException:
            self._members_changed = True
            raise

    def _put_back(self) -> None:
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
                ours = mine[schedule_id]
                forced = replace(ours, forced=True, expected=declared, expected_revision=found.revision)
                after = self._store.change(schedule_id, forced)
                if after is not None and _declared_as(after, ours.hash):
                    _log.info("schedule %r: no live node declares what the store held; ours is in force", schedule_id)
                elif after is not None and after.revision != found.revision:
                    self._members_changed = True  # somebody has just edited it: look once more

    def _stored(self, ids: Iterable[str]) -> dict[str, Schedule]:
        found: dict[str, Schedule] = {}
        wanted = sorted(ids)
        for at in range(0, len(wanted), CHUNK):
            which = ScheduleFilter(ids=tuple(wanted[at : at + CHUNK]), removed=True)
            found.update((schedule.id, schedule) for schedule in self._store.schedules(which, limit=CHUNK).items)
        return found

    def _prune(self, now: timedelta) -> None:
        if now < self._prune_at or self._time.jumped:
            return
        retention = self._config.retention
        gone = 0 if retention is None else self._store.prune(retention, limit=CHUNK)
        self._prune_at = now + (PRUNE_PAUSE if gone >= CHUNK else PRUNE_EVERY)

    def _next(self) -> timedelta:
        at = min(self._recover_at, self._seen_at, self._rechecks.at)
        if self._time.jumped:
            at = min(at, self._clock.monotonic() + self._config.poll)
        else:
            at = min(at, self._lapse_at, self._prune_at)
        return min(at, self._next_judgement())

    def _next_judgement(self) -> timedelta:
        """Return when another node's lease may be over for all that is known now, and this one a fit witness of it."""
        others = [node for node in self._heart.members if node.id != self._heart.node.id]
        leases = [(node.alive_until, node.lease) for node in others if node.alive_until is not None]
        if not leases or not self._time.known:
            return timedelta.max
        now, instant = self._clock.monotonic(), self._time.now()
        soonest = min(max(now + (ends - instant), self._witness.fit_from(lease, now=now)) for ends, lease in leases)
        # When this is over and the row is not ours to judge yet all the same, looking again in half a second is enough.
        return max(soonest, now + timedelta(milliseconds=500))


def _lapsed(node: Node, now: datetime) -> bool:
    return node.alive_until is not None and node.alive_until <= now


def _declared_as(schedule: Schedule, hash: str) -> bool:
    return schedule.declaration is not None and schedule.declaration.hash == hash
