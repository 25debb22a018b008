"""Look, plan, launch: the loop that turns due schedules into runs."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from tickonce.clock import politely
from tickonce.codec import keep
from tickonce.config import NodeConfig
from tickonce.editing import SetAside
from tickonce.engine.lease import Lease
from tickonce.engine.storetime import StoreTime
from tickonce.engine.worker import Worker
from tickonce.errors import StoreUnavailable, UnknownTrigger
from tickonce.events import Event, Events
from tickonce.model import Launched, NodeId, Plan, Poll, Schedule
from tickonce.partition import Share, delay_steps
from tickonce.planning import plan
from tickonce.ports import Clock, Store

_log = logging.getLogger("tickonce.tick")

#: First and longest wait before a schedule that could not be applied is tried again.
FIRST_WAIT = timedelta(milliseconds=50)
LONGEST_WAIT = timedelta(seconds=1)
#: How long a schedule that this code does not understand is left to others.
LEFT_TO_OTHERS = timedelta(minutes=1)
#: How far ahead a look sees at least; it sees as far as the next one, in any case.
SHORTEST_HORIZON = timedelta(minutes=1)
#: How often the lower bound of the due query is dropped.
UNBOUNDED_EVERY = timedelta(minutes=1)
#: How long moved watermarks are remembered, against a store that goes back in time.
REMEMBERED = timedelta(minutes=10)
#: A pass that takes longer says that this node does not keep up: it then owns no buckets.
STUCK_AFTER = timedelta(seconds=2)
#: Fires launched in one step at most, or a plan's more: after a long outage a batch may owe a hundred for each of its
#: schedules, which is more than a store writes before the step's deadline.
MOST_FIRES = 1_000

_ZERO = timedelta(0)


class Ticker:
    """One pass is ``step()``: it launches all that is due here and returns how long nothing more will be."""

    def __init__(
        self,
        store: Store,
        *,
        config: NodeConfig,
        clock: Clock,
        time: StoreTime,
        lease: Lease,
        worker: Worker,
        events: Events,
        on_unknown: Callable[[], None],
        on_aside: Callable[[], None],
    ) -> None:
        self._store, self._config, self._clock = store, config, clock
        self._time, self._lease, self._worker, self._events = time, lease, worker, events
        self._on_unknown, self._on_aside = on_unknown, on_aside
        self._waits: dict[str, tuple[timedelta, timedelta]] = {}
        self._moved: dict[str, tuple[datetime, timedelta]] = {}
        self._low: datetime | None = None
        self._unbounded_at = timedelta(days=-1)
        self._forgot_at = _ZERO
        self._cut = False
        self.asides: deque[SetAside] = deque()
        self._run_wait = FIRST_WAIT
        self._began: timedelta | None = None
        self._wakes_at: timedelta | None = None
        self.node: NodeId = ""
        self.leaving = False
        self.up_since: datetime | None = None
        self.shares: tuple[Share, ...] = ()
        self.ticked_at: datetime | None = None

    def step(self) -> timedelta:
        """Launch what is due; return how long to wait before there is more to do."""
        now = self._clock.monotonic()
        holds = self._lease.holds(now)
        if not holds:
            self._on_unknown()  # after a sleep of the machine the next beat would be seconds away
        if not holds or self._time.jumped or self.leaving or not self.shares:
            # Not a failure: the beat will change it, and wakes this thread when it does.
            return self._sleep(self._config.blind_poll)
        self._began = now
        try:
            poll = self._look(now)
            wait = self._deal(poll, now)
        except BaseException:
            self._low = None
            raise
        finally:
            self._began = None
        self.ticked_at = poll.instant
        return self._sleep(wait)

    def serving(self, now: timedelta) -> bool:
        """Whether the loop keeps up: it is neither stuck in a pass nor late to wake."""
        began, wakes_at = self._began, self._wakes_at
        if began is not None:
            return now - began < STUCK_AFTER
        return wakes_at is None or now - wakes_at < STUCK_AFTER

    @property
    def _poll_every(self) -> timedelta:
        # Asked anew: a store may find out only when it connects that it hears nothing.
        return self._config.poll if self._store.notifies else self._config.blind_poll

    # -- one pass ----------------------------------------------------------------------------

    def _look(self, now: timedelta) -> Poll:
        if now - self._unbounded_at >= UNBOUNDED_EVERY:
            self._low = None
        poll = self._store.due(
            self.shares,
            takeover_after=self._config.takeover_after,
            serves=self._worker.serves,
            limit=self._config.batch,
            low=self._low,
            leave_out=self._left_out(now),
            horizon=max(SHORTEST_HORIZON, self._poll_every),
        )
        self._time.learned(poll.instant, sent=now)
        if self.ticked_at is not None and poll.instant < self.ticked_at:
            self._low = None  # the store's clock was set back: what is new may lie before the bound
            poll = replace(poll, more=True)
        if self._low is None:
            self._unbounded_at = now
            self._low = poll.low
        return poll

    def _deal(self, poll: Poll, now: timedelta) -> timedelta:
        if self._time.jumped:  # the look itself has shown it: what it calls due is not to be believed
            return self._config.blind_poll
        plans = self._plans(poll)
        soonest = poll.next_here
        if plans:
            launched = self._launch(plans, poll.instant + self._config.lease)
            self._after(launched, plans, now)
            soonest = self._soonest(launched, soonest)
        if now - self._forgot_at >= UNBOUNDED_EVERY:
            self._forget(now)
        return self._next(poll, soonest)

    def _plans(self, poll: Poll) -> list[Plan]:
        plans: list[Plan] = []
        behind: dict[str, datetime] = {}
        self._cut = False
        fires = 0
        for schedule in politely(poll.due):
            if fires >= MOST_FIRES:
                self._cut = True  # the rest in the next pass, at once
                break
            moved = self._moved.get(schedule.id)
            if moved is not None and schedule.watermark < moved[0]:
                behind[schedule.id] = moved[0]
            elif not schedule.definition.known:
                self._leave(schedule.id, LEFT_TO_OTHERS)
            else:
                planned = self._plan(schedule, poll.instant)
                if planned is not None:
                    plans.append(planned)
                    fires += len(planned.fires)
        if behind:
            self._rewound(behind)
        return plans

    def _plan(self, schedule: Schedule, now: datetime) -> Plan | None:
        try:
            planned = plan(schedule, now, orphaned=self._orphaned(schedule, now))
        except UnknownTrigger:
            self._leave(schedule.id, LEFT_TO_OTHERS)
        except Exception as error:  # noqa: BLE001  # whatever a trigger raises harms its schedule alone
            self._put_off(schedule.id)
            self._set_aside(schedule, f"trigger raised {told(error)}", error)
        else:
            if planned is None:
                self._put_off(schedule.id)
            return planned
        return None

    def _set_aside(self, schedule: Schedule, reason: str, error: BaseException | None = None) -> None:
        if any(item.schedule_id == schedule.id for item in list(self.asides)):  # a copy: the upkeep takes from them
            return
        _log.error("schedule %r is set aside: %s", schedule.id, reason, exc_info=error)
        # Written by the upkeep: a caller's transaction may hold the row, and nobody else's fires wait for that.
        self.asides.append(SetAside(schedule_id=schedule.id, version=schedule.version, reason=reason[:500]))
        self._on_aside()

    def _orphaned(self, schedule: Schedule, now: datetime) -> bool:
        """Whether no live node has declared it for an hour, as far as this node has been up to see that."""
        if schedule.declaration is None or self.up_since is None:
            return False
        border = now - self._config.orphan_after
        return schedule.declaration.seen_at < border and self.up_since < border

    def _launch(self, plans: list[Plan], until: datetime) -> Launched:
        """Launch what was planned, unless the launch comes to the store so late that this node has slept meanwhile."""
        slots, node = self._worker.reserve(), self.node
        sent = self._clock.monotonic()
        try:
            launched = self._store.launch(node, plans, slots=slots, serves=self._worker.serves, until=until)
        except BaseException as error:
            self._worker.release(slots)
            if isinstance(error, StoreUnavailable):
                self._on_unknown()  # it may have happened: ask what we hold
            for planned in plans:
                self._put_off(planned.schedule.id)
            raise
        self._time.learned(launched.instant, sent=sent)
        self._worker.start(launched.claimed, reserved=slots)
        if not launched.alive and node == self.node:  # a new incarnation has a lease of its own
            self._lease.lost()
        return launched

    def _after(self, launched: Launched, plans: list[Plan], now: timedelta) -> None:
        if not launched.alive:
            self._on_unknown()
        for planned in plans:
            if (fault := launched.refused.get(planned.schedule.id)) is not None:
                self._put_off(planned.schedule.id)
                self._set_aside(planned.schedule, f"the store refused its fires: {keep(fault)}")
        for change in launched.changes:
            schedule = change.schedule
            self._waits.pop(schedule.id, None)
            self._moved[schedule.id] = (schedule.watermark, now)
            for skip in change.skips:
                self._events.emit(Event(kind="skipped", schedule_id=schedule.id, skip=skip, reason=skip.reason))
        for schedule_id in (*launched.locked, *launched.lost):
            self._put_off(schedule_id)
        if launched.pending:
            self._worker.want_claim()
        if launched.taken:
            _log.error("run %s exists already though its schedule had not dealt with it", launched.taken[0])
            taken = set(launched.taken)
            self._rewound(
                {
                    planned.schedule.id: fire.scheduled_time
                    for planned in plans
                    for fire in planned.fires
                    if fire.token in taken
                }
            )

    def _rewound(self, behind: dict[str, datetime]) -> None:
        """The store went back in time (a restored backup, a lost commit): write the watermarks back, and say so."""
        ids = self._store.raise_watermarks(behind)
        if ids:
            _log.error(
                "the store went back in time: watermarks of %d schedule(s) were written back, %r first",
                len(ids),
                ids[0],
            )
        for schedule_id in ids:
            self._events.emit(Event(kind="rewound", schedule_id=schedule_id, reason="the store went back in time"))

    # -- waiting -----------------------------------------------------------------------------

    def _soonest(self, launched: Launched, soonest: datetime | None) -> datetime | None:
        """Return when this node is needed next, by what was launched just now as well: no look has seen that yet."""
        mine = self.shares  # once: the beat may take them away at any moment
        for change in launched.changes:
            schedule = change.schedule
            if schedule.due is None or (soonest is not None and schedule.due >= soonest):
                continue
            if mine:
                steps = delay_steps(mine, schedule.definition.queue, schedule.bucket)
                here = schedule.due + steps * self._config.takeover_after
                soonest = here if soonest is None else min(soonest, here)
        return soonest

    def _next(self, poll: Poll, soonest: datetime | None) -> timedelta:
        if poll.more or self._cut:
            return _ZERO
        instant, now = self._time.now(), self._clock.monotonic()
        wait = self._poll_every
        if soonest is not None:
            wait = min(wait, soonest - instant)
        if poll.next_run is not None:
            wait = min(wait, self._run_due(poll.next_run, instant))
        for until, _ in self._waits.values():
            if until > now:
                wait = min(wait, until - now)
        return max(_ZERO, wait)

    def _run_due(self, due: datetime, instant: datetime) -> timedelta:
        if due > instant:
            self._run_wait = FIRST_WAIT
            return due - instant
        self._worker.want_claim()
        if not self._worker.room:
            return self._poll_every  # the slot that becomes free claims by itself
        # Should the claim bring nothing (rows locked, another node faster), look again, less and less often.
        wait, self._run_wait = self._run_wait, min(self._run_wait * 2, LONGEST_WAIT)
        return wait

    def _sleep(self, wait: timedelta) -> timedelta:
        self._wakes_at = self._clock.monotonic() + wait
        return wait

    def _put_off(self, schedule_id: str) -> None:
        """Leave a schedule that could not be applied out for a while: no hot loop, and nobody waits behind it."""
        _, last = self._waits.get(schedule_id, (_ZERO, _ZERO))
        self._leave(schedule_id, min(max(last * 2, FIRST_WAIT), LONGEST_WAIT))

    def _leave(self, schedule_id: str, wait: timedelta) -> None:
        self._waits[schedule_id] = (self._clock.monotonic() + wait, wait)

    def _left_out(self, now: timedelta) -> tuple[str, ...]:
        return tuple(schedule_id for schedule_id, (until, _) in self._waits.items() if until > now)

    def _forget(self, now: timedelta) -> None:
        """Drop what has been remembered for long enough."""
        self._forgot_at = now
        self._waits = {key: value for key, value in self._waits.items() if value[0] + LONGEST_WAIT > now}
        self._moved = {key: value for key, value in self._moved.items() if now - value[1] <= REMEMBERED}


def told(error: BaseException) -> str:
    """Return what *error* says, as a database takes it, also where its text cannot be had."""
    try:
        return keep(f"{type(error).__name__}: {error}")
    except Exception:  # noqa: BLE001  # an exception whose text raises is one more fault of the same program
        return type(error).__name__
