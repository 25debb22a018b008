"""Plain threads of our own for blocking functions."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from tickonce.ports import Work
from tickonce.threads import begin

_log = logging.getLogger("tickonce.node")


class ThreadRunner:
    """Carries out work in daemon threads, made when needed and kept.

    Not ``concurrent.futures``: its exit hook joins threads and refuses work in an order that we do not decide, which is
    where "cannot schedule new futures after interpreter shutdown" comes from.

    Args:
        name: How the names of the threads begin.
        ends: Called in each of them when it ends, to give back what is the thread's own.
    """

    def __init__(self, *, name: str, ends: Callable[[], None] | None = None) -> None:
        self._name, self._ends = name, ends
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()  # by its module: gevent replaces it there
        self._lock = threading.Lock()
        self._idle = 0
        self._queued = 0
        self._made = 0

    def start(self, work: Work) -> None:
        """Carry out *work* in a thread. There is always one free: the caller counts slots.

        Raises:
            RuntimeError: The system gives no more threads; *work* was not taken.
        """
        with self._lock:
            self._queued += 1
            make = self._queued > self._idle
            if make:
                self._made += 1
                self._idle += 1
            number = self._made
        if make:
            try:
                begin(threading.Thread(target=self._serve, name=f"{self._name}-{number}", daemon=True))
            except RuntimeError:  # the system has no more of them
                with self._lock:
                    self._queued -= 1
                    self._made -= 1
                    self._idle -= 1
                raise
        self._queue.put(work)

    def close(self) -> None:
        """Let idle threads end; busy ones end after their work."""
        for _ in range(self._made):
            self._queue.put(None)

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None:
            with self._lock:
                self._idle -= 1
                self._queued -= 1
            try:
                work.perform()
            except BaseException:  # noqa: BLE001  # it promised not to raise; a thread that dies would keep its slot
                _log.exception("work raised past its guard")
            # The frame would keep the last work's objects alive while the thread waits.
            work = None
            with self._lock:
                self._idle += 1
        if self._ends is not None:
            try:
                self._ends()
            except Exception:  # noqa: BLE001  # the program's; the thread has nothing more to do, and says so
                _log.exception("a thread of jobs could not give back what is its own")
