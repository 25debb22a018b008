"""What happens in a node, told to callbacks of the program."""

from __future__ import annotations

import inspect
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias, get_args

from tickonce.errors import ConfigError, did_you_mean
from tickonce.model import Outcome, Run, Skip
from tickonce.threads import begin, hearing_signals

_log = logging.getLogger("tickonce.events")

EventKind: TypeAlias = Literal[
    "succeeded",  # a run ended well
    "failed",  # a run failed and is not tried again
    "retrying",  # a run failed and is tried again
    "cancelled",  # a run ended because it was asked to
    "lost",  # a run ended because its node was gone
    "recovered",  # a run whose node was gone is pending again
    "overdue",  # a run is over its timeout and its thread still runs
    "skipped",  # fires were not run, or a run was too late to start
    "set_aside",  # a schedule was put aside because its trigger raised
    "rewound",  # the store went back in time: it had forgotten what it had confirmed
    "clock_jump",  # the store's clock moved against this node's clocks: nothing is launched until that is settled
]

Callback: TypeAlias = "Callable[[Event], object]"

#: Events that wait for slow callbacks at most; what comes then is dropped, and said so in the log.
WAITING = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in this node.

    Attributes:
        kind: What, see ``EventKind``.
        schedule_id: The schedule that it is about, if any.
        run: The run that it is about, as it was when this node took it.
        outcome: How the attempt ended; its ``error`` holds the traceback.
        skip: The skip record, for fires that never became runs.
        reason: Why, for people.
    """

    kind: EventKind
    schedule_id: str | None = None
    run: Run | None = None
    outcome: Outcome | None = None
    skip: Skip | None = None
    reason: str | None = None


class Events:
    """Hands events to callbacks, in a daemon thread of its own: a slow or broken callback delays and harms nobody else.

    The thread is started by the first event that somebody listens to.

    Args:
        waiting: Events that wait at most; what comes then is dropped, and told.
        around: What each call of a callback is surrounded by.
    """

    def __init__(
        self, *, waiting: int = WAITING, around: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self._limit, self._around = waiting, around
        self._callbacks: dict[str, tuple[Callback, ...]] = {}
        self._changed = threading.Condition(threading.Lock())
        self._queue: deque[Event] = deque()
        self._thread: threading.Thread | None = None
        self._busy = False
        self._dropped = 0

    def on(self, kind: EventKind, callback: Callback) -> None:
        """Call *callback* with each event of *kind* that happens from now on in this process.

        Raises:
            ConfigError: There is no such kind, or *callback* is not a plain function.
        """
        kinds = get_args(EventKind)
        if kind not in kinds:
            raise ConfigError(
                f"no event is called {kind!r}.{did_you_mean(str(kind), kinds)} There are: {', '.join(kinds)}"
            )
        given: object = callback
        if not callable(given) or inspect.iscoroutinefunction(given):
            raise ConfigError(f"the callback for {kind!r} must be a plain function of one argument, got {callback!r}")
        self._callbacks[kind] = (*self._callbacks.get(kind, ()), callback)

    def wanted(self, kind: EventKind) -> bool:
        """Whether anybody listens to events of *kind*; for those that come with every run."""
        return kind in self._callbacks

    def emit(self, event: Event) -> None:
        """Hand *event* on; never raises, never waits."""
        if event.kind not in self._callbacks:
            return
        with self._changed:
            if len(self._queue) >= self._limit:
                self._dropped += 1
                first = self._dropped == 1
            else:
                first = False
                self._queue.append(event)
            start = self._thread is None
            if start:
                self._thread = threading.Thread(target=self._deliver, name="tickonce-events", daemon=True)
            thread = self._thread
            self._changed.notify_all()
        if first:
            _log.warning("callbacks are too slow: %d events wait, what comes now is dropped", self._limit)
        if start and thread is not None:
            try:
                begin(thread)
            except RuntimeError:  # the interpreter is ending
                _log.debug("event %s is not delivered", event.kind, exc_info=True)
                self.forget()

    def flush(self, timeout: timedelta = timedelta(seconds=5)) -> bool:
        """Wait until callbacks have seen all events so far, at most *timeout*; return whether they have."""
        if threading.current_thread() is self._thread:
            return False  # a callback cannot wait for itself
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._queue and not self._busy, timeout=max(0.0, timeout.total_seconds())
            )

    def close(self, timeout: timedelta = timedelta(seconds=5)) -> bool:
        """Flush, then end the thread; a later event starts a new one. Return whether all were delivered."""
        done = self.flush(timeout)
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if done and thread is not None:
            thread.join(max(0.0, timeout.total_seconds()))
        return done

    def forget(self) -> None:
        """Begin anew with nothing waiting and no thread, as a process must after a fork; callbacks stay."""
        self._changed = threading.Condition(threading.Lock())
        self._queue = deque()
        self._thread = None
        self._busy = False
        self._dropped = 0

    def _deliver(self) -> None:
        while (event := self._next()) is not None:
            for callback in self._callbacks.get(event.kind, ()):
                try:
                    with self._around(), hearing_signals():
                        callback(event)
                except BaseException:  # noqa: BLE001 - also SystemExit: it must not end the thread for all callbacks
                    _log.exception("a callback for %r raised", event.kind)

    def _next(self) -> Event | None:
        """Wait for the next event; None when the thread is to end."""
        me = threading.current_thread()
        with self._changed:
            dropped = 0 if self._queue else self._dropped
            self._dropped -= dropped
        if dropped:
            _log.warning("%d events were dropped", dropped)
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._queue or self._thread is not me)
            if self._thread is not me:
                return None
            self._busy = True
            return self._queue.popleft()
