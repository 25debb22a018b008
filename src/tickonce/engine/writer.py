"""Outcomes are written in groups: all that has gathered since the last write, in one transaction."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from tickonce.errors import StoreError
from tickonce.events import Event, EventKind, Events
from tickonce.model import NodeId, Outcome, Run, RunState
from tickonce.ports import Clock, Signal, Store

_log = logging.getLogger("tickonce.run")

#: Outcomes written in one transaction at most.
GROUP = 500
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

    Without load an outcome is written at once; under load hundreds share a transaction, without any waiting on purpose.
    """

    def __init__(self, store: Store, *, clock: Clock, events: Events, signal: Signal) -> None:
        self._store, self._clock, self._events, self._signal = store, clock, events, signal
        self._outcomes: deque[tuple[Outcome, Run]] = deque()
        self._notes: dict[tuple[str, int], tuple[NodeId, dict[str, object]]] = {}
        self._unanswered: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        self._progress_at = timedelta(days=-1)
        self.on_written: Callable[[list[Outcome]], None] = lambda _: None

    def wake(self) -> None:
        """There is something for the work thread to do."""
        self._signal.set()

    def add(self, outcome: Outcome, run: Run) -> None:
        """Keep *outcome* for the next write."""
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
        """Outcomes that the store has not taken yet."""
        return len(self._outcomes)

    def write(self) -> None:
        """Write a group of what has gathered; what the store does not answer for is kept and offered again.

        An outcome offered twice is harmless: the second time, attempt and state do not match any more.
        """
        group: list[tuple[Outcome, Run]] = []
        while self._outcomes and len(group) < GROUP:
            group.append(self._outcomes.popleft())
        if not group:
            return
        outcomes = [outcome for outcome, _ in group]
        try:
            accepted = self._store.finish(outcomes)
        except BaseException:
            self._outcomes.extendleft(reversed(group))
            self._unanswered.update((item.token, item.attempt) for item in outcomes)
            raise
        self.on_written(outcomes)
        for (outcome, run), taken in zip(group, accepted, strict=True):
            self._tell(outcome, run, taken=taken or self._taken_before(outcome))

    def write_notes(self) -> timedelta | None:
        """Write notes on running attempts, progress at most once a second; return when there is more to write."""
        if not self._notes:
            return None
        now = self._clock.monotonic()
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

    def _taken_before(self, outcome: Outcome) -> bool:
        """Whether an outcome that does not match any more was written by a call whose reply was lost."""
        if (outcome.token, outcome.attempt) not in self._unanswered:
            return False
        self._unanswered.discard((outcome.token, outcome.attempt))
        try:
            found = self._store.run(outcome.token)
        except StoreError:
            return False
        return found is not None and (found.attempt, found.state) == (outcome.attempt, outcome.state)

    def _note(self, run: Run, node: NodeId, **fields: object) -> None:
        with self._lock:
            _, noted = self._notes.setdefault((run.token, run.attempt), (node, {}))
            noted.update(fields)

    def _tell(self, outcome: Outcome, run: Run, *, taken: bool) -> None:
        if not taken:
            # Also the ordinary end of an outcome that was offered again after a lost reply.
            _log.info(
                "the outcome of run %s (attempt %d) was dropped: the attempt is not ours any more",
                run.token,
                run.attempt,
                extra={"token": run.token, "attempt": run.attempt, "schedule_id": run.schedule_id, "job": run.job},
            )
            return
        kind = "retrying" if outcome.failed and outcome.state is RunState.PENDING else _KINDS.get(outcome.state)
        if kind is not None and self._events.wanted(kind):
            self._events.emit(
                Event(kind=kind, schedule_id=run.schedule_id, run=run, outcome=outcome, reason=outcome.reason)
            )
