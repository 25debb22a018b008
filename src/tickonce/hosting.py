"""The node of this process: started, served until a signal, stopped, forgotten after a fork."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from tickonce.clock import SYSTEM_CLOCK
from tickonce.context import current_run
from tickonce.errors import ConfigError, WrongState

if TYPE_CHECKING:
    from tickonce.engine.node import EngineNode

_log = logging.getLogger("tickonce.scheduler")

#: How long a node that nobody stopped may drain when the interpreter ends.
DRAIN_AT_EXIT = timedelta(seconds=5)

#: A signal so soon after the first is no second request.
ECHO = timedelta(milliseconds=500)

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name))
_STOPPED = 0


class Host:
    """At most one node in this process, for one Scheduler."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._node: EngineNode | None = None
        self._inbox: SimpleQueue[int] | None = None
        self._ended = True
        self._previous: dict[int, Any] = {}
        _hosts.add(self)

    @property
    def node(self) -> EngineNode | None:
        """The node, while there is one."""
        return self._node

    @property
    def alive(self) -> bool:
        """Whether the node does its work."""
        node = self._node
        return node is not None and node.alive

    def start(self, make: Callable[[], EngineNode]) -> EngineNode:
        """Start a node in the background.

        Raises:
            WrongState: There is one already.
            StoreError: The store cannot be reached or used; nothing was started.
        """
        with self._lock:
            if self._node is not None:
                raise WrongState("the node of this Scheduler", state="running", wanted="stopped; stop() it first")
            node = make()
            node.start()
            self._node = node
            return node

    def stop(self, drain: timedelta | None) -> bool:
        """Stop the node, if there is one; return whether all that ran has ended.

        Asked for by a job of its own, it returns at once, with False: the job would wait for itself.
        """
        run, node = current_run(None), self._node
        # The first run may be faster than start(), which then holds the lock. In a child that a job has forked, the
        # run is still the parent's.
        if run is not None and (self._lock.locked() if node is None else run.node == node.id):
            threading.Thread(target=self._stop, args=(drain,), name="tickonce-stop", daemon=True).start()
            return False
        return self._stop(drain)

    def _stop(self, drain: timedelta | None) -> bool:
        try:
            with self._lock:
                if self._node is not None:
                    self._ended = self._node.stop(drain)
                    self._node = None
                return self._ended
        finally:
            inbox = self._inbox  # read last: serve() may have been on its way
            if inbox is not None:
                inbox.put(_STOPPED)

    def serve(self, make: Callable[[], EngineNode], *, drain: timedelta | None, ready: Callable[[], None]) -> bool:
        """Start a node and wait for SIGTERM, SIGINT, or a ``stop`` in another thread; return whether all ended in time.

        The first signal drains, the second stops at once. Afterwards the signals do again what they did before.

        Raises:
            ConfigError: This is not the main thread.
        """
        if threading.current_thread() is not threading.main_thread():
            raise ConfigError("serve() takes over signals, so it works in the main thread only; elsewhere use start()")
        # A queue, not an Event: a signal is taken between any two steps of this very thread, and an Event's lock may be
        # held there. SimpleQueue.put is made for that.
        inbox: SimpleQueue[int] = SimpleQueue()
        with self._signals(inbox):
            self._inbox = inbox  # before the node: a stop() that comes while it starts must be heard
            node = None
            try:
                node = self.start(make)
                ready()
                first = _next(inbox)
                if first != _STOPPED:
                    _log.info("%s: the node stops; once more stops it at once", signal.Signals(first).name)
                    threading.Thread(target=self._stop, args=(drain,), name="tickonce-stop", daemon=True).start()
                    since = SYSTEM_CLOCK.monotonic()
                    while (again := _next(inbox)) != _STOPPED:
                        if SYSTEM_CLOCK.monotonic() - since < ECHO:
                            continue  # one request by two ways: timeout(1) and others signal the whole group, too
                        _log.warning("%s again: the node stops at once", signal.Signals(again).name)
                        node.abort()
            finally:
                self._inbox = None
                if node is not None and self._node is node:  # *ready* raised, or a stop() came before the node
                    self._stop(drain)
        return self._ended

    def forget(self) -> None:
        """Begin anew without a node, as a process must after a fork: the parent's node has no threads here."""
        self._lock = threading.Lock()
        self._node = None
        self._inbox = None
        self._ended = True
        # A child that kept serve()'s handlers could not be terminated any more.
        for number, before in self._previous.items():
            signal.signal(number, before)
        self._previous = {}

    @contextmanager
    def _signals(self, inbox: SimpleQueue[int]) -> Iterator[None]:
        def taken(number: int, frame: object) -> None:
            del frame
            inbox.put(number)

        for number in _SIGNALS:
            before = signal.signal(number, taken)
            self._previous[number] = signal.SIG_DFL if before is None else before  # None: set by other than Python
        try:
            yield
        finally:
            previous, self._previous = self._previous, {}
            for number, before in previous.items():
                signal.signal(number, before)


def _next(inbox: SimpleQueue[int]) -> int:
    """Wait for what comes next."""
    if os.name != "nt":
        return inbox.get()
    while True:  # on Windows no signal interrupts a wait for a lock
        try:
            return inbox.get(timeout=0.5)
        except Empty:
            continue


_hosts: WeakSet[Host] = WeakSet()


@atexit.register
def _drain_at_exit() -> None:
    for host in list(_hosts):
        host.stop(DRAIN_AT_EXIT)
