"""Slots and the door: what a node carries out, and how much of it at a time."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial

from tickonce.config import NodeConfig
from tickonce.engine.attempt import Attempt
from tickonce.engine.door import Door, Key
from tickonce.engine.lease import Lease
from tickonce.engine.pace import LONGEST_WAIT, Pace
from tickonce.engine.storetime import StoreTime
from tickonce.engine.writer import Writer
from tickonce.errors import StoreError
from tickonce.events import Event, Events
from tickonce.jobs import Jobs
from tickonce.model import CutOff, Held, NodeId, OnLost, Outcome, Run, RunState
from tickonce.ports import Clock, Runner, Serves, Store, Surroundings

_log = logging.getLogger("tickonce.run")


#: How long a job that was told of its timeout may take to end before it is called overdue.
TOLD = timedelta(seconds=1)

_NOTHING = Serves(jobs=frozenset(), queues=frozenset())


class Worker:
    """Carries out runs that the store says this node holds, at most *slots* at a time.

    While its runs end fast it takes a few more than it has slots for, see ``Pace``; these wait here, for a second at
    most.

    A slot is busy from the moment a run is handed to a runner until its function has ended, whatever the store thinks
    of it meanwhile: a job that ignores its timeout, or that a dead incarnation left behind, still takes its place.
    """

    def __init__(
        self,
        store: Store,
        jobs: Jobs,
        *,
        config: NodeConfig,
        clock: Clock,
        time: StoreTime,
        lease: Lease,
        writer: Writer,
        events: Events,
        runners: Mapping[str, Runner],
        around: Surroundings | None = None,
    ) -> None:
        self._store, self._jobs, self._config = store, jobs, config
        self._clock, self._time, self._lease = clock, time, lease
        self._writer, self._events, self._runners, self._around = writer, events, runners, around
        self._door = Door()
        self._lock = threading.Lock()
        self._active: dict[Key, Attempt] = {}
        self._waiting: deque[Attempt] = deque()
        self._pace = Pace()
        self._reserved = 0
        self._node: NodeId = ""
        self._stopping = False
        self._fuse = True
        self._claim_wanted = False
        self._adoption_wanted = False
        self.idle = clock.signal()
        writer.on_written = self._written

    # -- what the node can take --------------------------------------------------------------

    @property
    def serves(self) -> Serves:
        """Jobs and queues that this node carries out."""
        if not self._config.slots:
            return _NOTHING
        return Serves(jobs=self._jobs.names(), queues=frozenset(self._config.queues))

    @property
    def busy(self) -> int:
        """Slots in use."""
        return len(self._active)

    @property
    def room(self) -> int:
        """How many runs a claim could bring."""
        with self._lock:
            return self._room()

    def reserve(self) -> int:
        """Take all the room there is for a launch, or none while older runs are waiting to be claimed."""
        with self._lock:
            if self._stopping or not self._fuse:
                return 0
            room = self._room()
            self._reserved += room
            return room

    def release(self, reserved: int) -> None:
        """Give back room that a launch did not use."""
        if reserved:
            with self._lock:
                self._reserved -= reserved

    def incarnation(self, node: NodeId) -> None:
        """Work for a new incarnation: what the old one had not begun is not ours any more."""
        with self._lock:
            if self._node and self._node != node:
                self._waiting.clear()
            self._node = node

    def _room(self) -> int:
        taken = len(self._active) + len(self._waiting) + self._reserved
        return max(0, self._config.slots + self._pace.ahead(self._clock.monotonic()) - taken)

    # -- work comes in -----------------------------------------------------------------------

    def start(self, runs: Iterable[Run], *, reserved: int = 0) -> None:
        """Take runs that the store gave to this node, each attempt once, and begin as many as there are slots."""
        new = [attempt for run in runs if (attempt := self._entered(run)) is not None]
        with self._lock:
            self._reserved -= reserved
            back = new if self._stopping else []
            if not self._stopping:
                self._waiting.extend(new)
            begin = self._next()
        self._hand_back(back)
        self._begin(begin)

    def unknown(self, held: Iterable[Held]) -> bool:
        """Whether the store says that we hold what never came through the door, or ended long ago."""
        keys = [(item.token, item.attempt) for item in held]
        return any(not self._door.knows(*key) or self._forgotten(key) is not None for key in keys)

    def want_adoption(self) -> None:
        """The store says that we hold something that we do not know."""
        self._adoption_wanted = True
        self._writer.wake()

    def adopt(self) -> None:
        """Start what the store says we hold and we do not know: the reply that told us was lost."""
        if not self._adoption_wanted:
            return
        self._adoption_wanted = False  # first: the next beat may ask for it again meanwhile
        try:
            runs = self._store.held(self._node)
        except BaseException:
            self._adoption_wanted = True
            raise
        for run in runs:
            if (state := self._forgotten((run.token, run.attempt))) is not None:
                self._offer_again(run, state)
        found = [run for run in runs if not self._door.knows(run.token, run.attempt)]
        if found:
            _log.warning("adopting %d run(s) whose launch or claim got no answer: %s", len(found), found[0].token)
            self.start(found)

    def _forgotten(self, key: Key) -> RunState | None:
        """Return how an attempt ended whose outcome the store has lost: written longer ago than a beat takes."""
        return self._door.ended_as(*key, before=self._clock.monotonic() - self._config.lease)

    def _offer_again(self, run: Run, state: RunState) -> None:
        _log.warning(
            "run %s: the store has lost that it ended (%s); saying so again, without its result", run.token, state
        )
        self._writer.add(
            Outcome(
                token=run.token,
                attempt=run.attempt,
                node=self._node,
                state=state,
                reason="the store had lost this outcome; its result is gone",
            ),
            run,
        )

    def hear(self, held: Iterable[Held]) -> None:
        """Pass on to running attempts that they were asked to cancel."""
        for item in held:
            if item.cancelling:
                self._cancel((item.token, item.attempt))

    def want_claim(self) -> None:
        """Something may be pending that this node can carry out."""
        self._claim_wanted = True
        self._writer.wake()

    def claim(self) -> None:
        """Fill the room there is with pending runs, if there may be any; the work thread calls this at each pass."""
        if not self._claim_wanted or self._stopping or not self._lease.holds(self._clock.monotonic()):
            return
        with self._lock:
            limit = self._room()
            self._reserved += limit
        if not limit:
            return
        self._claim_wanted = False
        try:
            runs = self._store.claim(self._node, serves=self.serves, limit=limit)
        except BaseException:
            self._claim_wanted = True
            self.release(limit)
            raise
        # A full claim says that more is waiting: those are older than what is due next, and go first. A hint that came
        # meanwhile stays.
        full = len(runs) == limit
        self._claim_wanted = self._claim_wanted or full
        self._fuse = not full
        self.start(runs, reserved=limit)

    def _entered(self, run: Run) -> Attempt | None:
        node = self._node  # once: what this incarnation was given must not begin as another's
        if run.node != node:  # given to an incarnation that is dead by now: others have it, or soon will
            return None
        if not self._door.enter(run.token, run.attempt):
            return None
        job = self._jobs.find(run.job)
        if job is None:
            _log.error("run %s: job %r is not registered here; handing it back", run.token, run.job)
            self._writer.add(Outcome(token=run.token, attempt=run.attempt, node=node, state=RunState.PENDING), run)
            return None
        return Attempt(
            run,
            job,
            node,
            clock=self._clock,
            time=self._time,
            gate=self._gate,
            ended=self._ended,
            report=partial(self._writer.progress, run, node),
            using=self._store.using,
            around=self._around,
        )

    def _next(self) -> list[Attempt]:
        """Move waiting attempts into free slots; under the lock."""
        begin: list[Attempt] = []
        if self._lease.holds(self._clock.monotonic()):
            while self._waiting and len(self._active) < self._config.slots:
                attempt = self._waiting.popleft()
                self._active[attempt.key] = attempt
                begin.append(attempt)
        return begin

    def _begin(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            kind = "coroutine" if attempt.job.is_async else "function"
            try:
                self._runners[kind].start(attempt)
            except Exception:  # noqa: BLE001  # no thread to be had: what is not begun must not count as running
                _log.exception("run %s cannot be begun just now", attempt.run.token, extra=attempt.extra)
                self._put_back(attempt)

    # -- a run goes its way ------------------------------------------------------------------

    def _gate(self, attempt: Attempt) -> bool:
        """Whether the attempt's function may be called now; otherwise it waits here, or is handed back."""
        if attempt.node != self._node:
            self._forget(attempt)
            return False
        if attempt.context.cancel_reason is not None or self._stopping:
            self._ended(attempt, attempt.outcome(RunState.PENDING, reason="handed back"))
            return False
        ready = self._lease.holds(self._clock.monotonic())
        if ready and attempt.run.policy.on_lost is OnLost.FAIL:
            # Such a run must not be called twice: that it begins is written before it does.
            try:
                held = self._store.began(attempt.node, *attempt.key, at=self._time.now())
            except StoreError:
                ready = False
            else:
                if not held:
                    self._forget(attempt)
                    return False
                ready = self._lease.holds(self._clock.monotonic())
        if not ready:
            self._put_back(attempt)
            return False
        attempt.begin()
        if attempt.deadline is not None or attempt.run.policy.when_cut_off is CutOff.CANCEL:
            self._writer.wake()  # the watch has one more moment to wake for
        return True

    def _put_back(self, attempt: Attempt) -> None:
        """Let the attempt wait once more, or hand it back if this node is on its way out."""
        with self._lock:
            stopping = self._stopping
            if not stopping:
                self._active.pop(attempt.key, None)
                self._waiting.appendleft(attempt)
        if stopping:
            self._ended(attempt, attempt.outcome(RunState.PENDING, reason="handed back"))

    def _hand_back(self, attempts: Iterable[Attempt]) -> None:
        for attempt in attempts:
            self._ended(attempt, attempt.outcome(RunState.PENDING, reason="handed back"))

    def _ended(self, attempt: Attempt, outcome: Outcome) -> None:
        self._writer.add(outcome, attempt.run, perhaps=attempt.context.in_transaction)
        self._forget(attempt)

    def _forget(self, attempt: Attempt) -> None:
        with self._lock:
            if self._active.pop(attempt.key, None) is not None and attempt.begun:
                self._pace.ended()
            begin = self._next()
            idle = not self._active and not self._waiting
        self._begin(begin)
        if self._claim_wanted:
            self._writer.wake()
        if idle:
            self.idle.set()

    def _written(self, outcomes: list[Outcome]) -> None:
        self._door.ended({(item.token, item.attempt): item.state for item in outcomes}, now=self._clock.monotonic())

    def _cancel(self, key: Key) -> None:
        attempt = self._active.get(key)
        if attempt is not None:
            attempt.stop("cancelled")
            return
        with self._lock:
            found = next((item for item in self._waiting if item.key == key), None)
            if found is not None:
                self._waiting.remove(found)
        if found is not None:
            self._ended(found, found.outcome(RunState.CANCELLED, reason="cancelled"))

    # -- watching ----------------------------------------------------------------------------

    def watch(self) -> timedelta | None:
        """Stop what is over its timeout or cut off; begin what waited for the lease; return when to look again."""
        if not self._active and not self._waiting:
            return None
        now = self._clock.monotonic()
        until = self._lease.until
        holds = now < until
        soonest: timedelta | None = None
        for attempt in self._running():
            if attempt.begun and attempt.run.policy.when_cut_off is CutOff.CANCEL and not attempt.context.cancelled:
                if holds:  # told at that moment, not at the next pass: others may begin the run a margin later
                    soonest = until if soonest is None else min(soonest, until)
                else:
                    attempt.stop("cut off")
            if attempt.deadline is None or attempt.overdue:
                continue
            if attempt.deadline <= now:
                self._overdue(attempt)
            elif soonest is None or attempt.deadline < soonest:
                soonest = attempt.deadline
        if holds and self._waiting:
            soonest = self._attend(now, soonest)
        return None if soonest is None else soonest - now

    def _attend(self, now: timedelta, soonest: timedelta | None) -> timedelta | None:
        """Begin what waits, as far as there are slots; hand back what has waited for too long."""
        with self._lock:
            begin = self._next()
            back = [attempt for attempt in self._waiting if attempt.came + LONGEST_WAIT <= now]
            for attempt in back:
                self._waiting.remove(attempt)
            oldest = min((attempt.came for attempt in self._waiting), default=None)
        self._begin(begin)
        self._hand_back(back)
        if oldest is None:
            return soonest
        return oldest + LONGEST_WAIT if soonest is None else min(soonest, oldest + LONGEST_WAIT)

    def _overdue(self, attempt: Attempt) -> None:
        if not attempt.context.cancelled:
            attempt.stop("timeout")
            # Told; whoever asks for it, or lets itself be cancelled, ends soon and is not called overdue.
            attempt.deadline = self._clock.monotonic() + TOLD
            self._writer.wake()
            return
        attempt.overdue = True
        _log.warning(
            "run %s is over its timeout; its %s is told and keeps its slot until it ends",
            attempt.run.token,
            "coroutine" if attempt.job.is_async else "thread",
            extra=attempt.extra,
        )
        self._events.emit(Event(kind="overdue", schedule_id=attempt.run.schedule_id, run=attempt.run))
        self._writer.overdue(attempt.run, attempt.node)

    # -- leaving -----------------------------------------------------------------------------

    def stop_taking(self) -> None:
        """Take nothing more, and hand back what has not begun."""
        with self._lock:
            self._stopping = True
            back, self._waiting = list(self._waiting), deque()
        self._hand_back(back)
        if not self._active:
            self.idle.set()

    def interrupt_all(self) -> None:
        """Ask all that runs to stop."""
        for attempt in self._running():
            attempt.stop("stopping")

    def abandon(self, thread: int) -> None:
        """Hand back what *thread* carries out: the process ends within it, so nothing of that goes on."""
        for attempt in self._running():
            if attempt.thread == thread:
                self._ended(attempt, attempt.cut_off(attempt.context.cancel_reason or "its process ended"))

    def _running(self) -> list[Attempt]:
        with self._lock:
            return list(self._active.values())

    def close(self) -> None:
        """Let go of threads and loop."""
        for runner in self._runners.values():
            runner.close()
