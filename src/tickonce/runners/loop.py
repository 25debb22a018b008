"""One event loop in a thread for coroutines."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from tickonce.ports import Work
from tickonce.threads import begin, hear_signals


class LoopRunner:
    """Carries out coroutines on one event loop: of its own, begun with the first of them, or on one that is given.

    Args:
        name: Of the thread of its own loop.
        loop: A loop that runs already; it is left running.
    """

    def __init__(self, *, name: str, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._given = loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Work) -> None:
        """Carry out *work* as a task; its ``interrupt`` cancels the task.

        Raises:
            RuntimeError: There is no thread to be had, or the loop that was given is closed; *work* was not taken.
        """
        loop = self._running()
        box: list[asyncio.Task[None]] = []
        stopped = threading.Event()

        def begin() -> None:
            task = loop.create_task(work.perform_async())
            self._tasks.add(task)  # the loop itself keeps only weak references
            task.add_done_callback(self._tasks.discard)
            box.append(task)
            if stopped.is_set():
                task.cancel()

        def cancel() -> None:
            stopped.set()
            if box:
                with suppress(RuntimeError):  # the loop was given, and its owner has closed it
                    loop.call_soon_threadsafe(box[0].cancel)

        work.interrupt = cancel
        loop.call_soon_threadsafe(begin)

    def close(self) -> None:
        """Stop the loop; tasks that still run are abandoned."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._given is not None:
            return self._given
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                try:
                    begin(threading.Thread(target=self._serve, args=(loop,), name=self._name, daemon=True))
                except RuntimeError:  # the system has no more of them
                    loop.close()
                    raise
                self._loop = loop
            return self._loop

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        hear_signals()
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()
