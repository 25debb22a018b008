"""Outcomes are written in groups: all that has gathered since the last write, in one transaction."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import StoreError
from tickonce.events import Event, EventKind, Events
from tickonce.model import NodeId, Outcome, Run, RunState
from tickonce.ports import Clock, Signal, Store

_log = logging.getLogger("tickonce.run")

#: Outcomes written in one transaction at most.
GROUP = 500
#: While they come in groups, a group has this long to gather, from the last one on: a transaction costs more than most
#: of what it carries, and whoever shares process and machine with the node wants them, too.
GATHER = timedelta(milliseconds=20)
#: How soon, and how seldom at most, an outcome is offered again whose run somebody else has locked.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(milliseconds=50), timedelta(seconds=1)
#: Progress is written at most this often.
PROGRESS_EVERY = timedelta(seconds=1)

_KINDS: dict[RunState, EventKind] = {
    RunState.SUCCEEDED: "succeeded",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.LOST: "lost",
}


class Writer:
    """Keeps outcomes until the store has taken them: an outage delays them, it does not lose them.

    Without load an outcome is written at once; under load many share a transaction.

    Attributes:
        gathers_by: Whose time groups gather in: the machine's, since it is the machine that is spared. On a clock that
            only a test moves, outcomes must not wait for that.
    """

    def __init__(self, store: Store, *, clock: Clock, events: Events, signal: Signal) -> None:
        self._store, self._clock, self._events, self._signal = store, clock, events, signal
        self._outcomes: deque[tuple[Outcome, Run]] = deque()
        self._asked: list[tuple[Outcome, Run]] = []
        self._locked: list[tuple[Outcome, Run]] = []
        self._locked_until = self._pause = timedelta(0)
        self._notes: dict[tuple[str, int], tuple[NodeId, dict[str, object]]] = {}
        #: Attempts whose end may be written already: no answer came, or their job was to write it with its own work.
        self._perhaps: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        self._progress_at = timedelta(days=-1)
        self.gathers_by: Clock = SYSTEM_CLOCK
        self._gathers_until = timedelta(0)
        self.on_written: Callable[[list[Outcome]], None] = lambda _: None

    def wake(self) -> None:
        """There is something for the work thread to do."""
        self._signal.set()

    def add(self, outcome: Outcome, run: Run, *, perhaps: bool = False) -> None:
        """Keep *outcome* for the next write; *perhaps* the end of the run is written already, as a success."""
        if perhaps:
            self._perhaps.add((outcome.token, outcome.attempt))
        self._outcomes.append((outcome, run))
        self._signal.set()

    def overdue(self, run: Run, node: NodeId) -> None:
        """Note that the run is over its timeout and still runs."""
        self._note(run, node, overdue=True)
        self._signal.set()

    def progress(self, run: Run, node: NodeId, *, progress: float, message: str = "") -> None:
        """Note how far the run is; only the newest note is written. *message* goes to the log."""
        if message:
            _log.info("run %s: %s", run.token, message)
        self._note(run, node, progress=progress)

    @property
    def kept(self) -> int:
        """Outcomes that the store has not taken yet, for all that is known: also those whose answer has not come."""
        return len(self._outcomes) + len(self._locked) + len(self._asked)

    @property
    def wait(self) -> timedelta | None:
        """How long until there is an outcome to be written; None: there is none."""
        if self._outcomes:
            return timedelta(0)
        if self._locked:
            return max(timedelta(0), self._locked_until - self._clock.monotonic())
        return None

    def gather(self) -> None:
        """Wait a moment when the last write was one of several outcomes, so that the next one is, too."""
        left = self._gathers_until - self.gathers_by.monotonic()
        if left > timedelta(0):
            self.gathers_by.sleep(left)

    def write(self) -> None:
        """Write a group of what has gathered; what the store does not answer for is kept and offered again.

        An outcome offered twice is harmless: the second time, attempt and state do not match any more.
        """
        if self._locked and self._clock.monotonic() >= self._locked_until:
            self._outcomes.extendleft(reversed(self._locked))
            self._locked.clear()
        group: list[tuple[Outcome, Run]] = []
        while self._outcomes and len(group) < GROUP:
            group.append(self._outcomes.popleft())
        if not group:
            return
        if len(group) > 1:
            self._gathers_until = self.gathers_by.monotonic() + GATHER
        outcomes = [outcome for outcome, _ in group]
        self._asked = group
        try:
            accepted = self._store.finish(outcomes)
        except BaseException:
            self._outcomes.extendleft(reversed(group))
            self._asked = []
            self._perhaps.update((item.token, item.attempt) for item in outcomes)
            raise
        answered = [(item, taken) for item, taken in zip(group, accepted, strict=True) if taken is not None]
        self._keep([item for item, taken in zip(group, accepted, strict=True) if taken is None])
        self._asked = []
        self.on_written([outcome for (outcome, _), _ in answered])
        for (outcome, run), taken in answered:
            perhaps = (outcome.token, outcome.attempt) in self._perhaps
            self._perhaps.discard((outcome.token, outcome.attempt))
            written = outcome if taken else self._written_before(outcome) if perhaps else None
            self._tell(outcome, run, written)

    def _keep(self, locked: list[tuple[Outcome, Run]]) -> None:
        if locked:
            self._pause = min(2 * self._pause, LONGEST_PAUSE) if self._pause else FIRST_PAUSE
            self._locked_until = self._clock.monotonic() + self._pause
            self._locked.extend(locked)
        elif not self._locked:
            self._pause = timedelta(0)

    def write_all(self, *, patience: timedelta) -> None:
        """Write all that has gathered; wait at most *patience* for runs that somebody else has locked."""
        until = self._clock.monotonic() + patience
        while (wait := self.wait) is not None and (not wait or self._clock.monotonic() + wait <= until):
            if wait:
                self._clock.sleep(wait)
            self.write()

    def write_notes(self) -> timedelta | None:
        """Write notes on running attempts, progress at most once a second; return when there is more to write."""
        if not self._notes:
            return None
        now = self._clock.monotonic()
        with self._lock:  # jobs add to them meanwhile
            rush = any("overdue" in fields for _, fields in self._notes.values())
        if not rush and now < self._progress_at + PROGRESS_EVERY:
            return self._progress_at + PROGRESS_EVERY - now
        with self._lock:
            notes, self._notes = self._notes, {}
        self._progress_at = now
        for (token, attempt), (node, fields) in notes.items():
            try:
                self._store.note(node, token, attempt, **fields)  # type: ignore[arg-type]
            except StoreError:
                _log.debug("a note on %s was not written; it is kept", token, exc_info=True)
                with self._lock:
                    kept = self._notes.get((token, attempt), (node, {}))[1]
                    self._notes[token, attempt] = (node, {**fields, **kept})
                return PROGRESS_EVERY
        return None

    def _written_before(self, outcome: Outcome) -> Outcome | None:
        """Return what the store has of an attempt that is not open any more: as it was told before, or as a success.

        That is what a call wrote whose reply was lost, or the job itself in its transaction, whatever it raised later.
        """
        try:
            found = self._store.run(outcome.token)
        except StoreError:
            return None
        if found is None or found.attempt != outcome.attempt:
            return None
        if found.state is outcome.state:
            return outcome
        if found.state is not RunState.SUCCEEDED:
            return None
        return replace(outcome, state=RunState.SUCCEEDED, failed=False, error=None, reason=None, result=None, due=None)

    def _note(self, run: Run, node: NodeId, **fields: object) -> None:
        with self._lock:
            _, noted = self._notes.setdefault((run.token, run.attempt), (node, {}))
            noted.update(fields)

    def _tell(self, told: Outcome, run: Run, outcome: Outcome | None) -> None:
        if outcome is None:
            # Also the ordinary end of an outcome that was offered again after a lost reply.
            _log.info(
                "the outcome of run %s (attempt %d) was dropped: the attempt is not ours any more",
                run.token,
                run.attempt,
                extra=_extra(run),
            )
            return
        if told.failed and outcome is not told:
            text = "run %s (attempt %d) had succeeded in its transaction when its job failed; it is not tried again"
            _log.warning(text, run.token, run.attempt, extra=_extra(run))
        kind = "retrying" if outcome.failed and outcome.state is RunState.PENDING else _KINDS.get(outcome.state)
        if kind is not None and self._events.wanted(kind):
            self._events.emit(
                Event(kind=kind, schedule_id=run.schedule_id, run=run, outcome=outcome, reason=outcome.reason)
            )


def _extra(run: Run) -> dict[str, object]:
    return {"token": run.token, "attempt": run.attempt, "schedule_id": run.schedule_id, "job": run.job}
