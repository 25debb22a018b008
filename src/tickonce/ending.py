"""Signals that nobody in this process hears: they would end it in the midst of what its node is about."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from tickonce import forks

_log = logging.getLogger("tickonce.scheduler")


class UnheardEnd:
    """Lets the node leave before a signal that nobody hears ends the process, from ``with`` to the end of the block.

    Hypercorn's workers are told of the end by other means than a signal. As soon as the first of them is gone, though,
    the others get a SIGTERM, for which they have no handler: runs that were to end first would be cut off. A server
    that has a handler keeps it, here nothing is done then. Neither is it outside the main thread.

    Args:
        leave: Stops the node and waits for that; called in a thread.
    """

    def __init__(self, leave: Callable[[], object]) -> None:
        self.leave = leave
        self.begun = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            _process.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _process.remove(self)

    def begins(self) -> None:
        """The server ends the application itself: from now on the signal has nothing new to say."""
        self.begun = True


class _Process:
    """What is to leave before this process ends, and which signals are ours."""

    def __init__(self) -> None:
        self._ends: list[UnheardEnd] = []
        self._ours: set[int] = set()
        self._leaving = self._left = False
        self._pid = os.getpid()

    def add(self, end: UnheardEnd) -> None:
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._heard)
                self._ours.add(number)
        self._ends.append(end)

    def remove(self, end: UnheardEnd) -> None:
        if end not in self._ends:
            return
        self._ends.remove(end)
        if not self._ends:
            for number in self._ours:
                if signal.getsignal(number) == self._heard:
                    signal.signal(number, signal.SIG_DFL)
            self._ours.clear()

    def _heard(self, number: int, frame: FrameType | None) -> None:
        del frame
        forked = os.getpid() != self._pid  # a child has no node that could leave
        if not forked and any(end.begun for end in self._ends):
            return
        if self._left or forked:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        elif not self._leaving:
            self._leaving = True
            threading.Thread(target=self._leave_first, args=(number,), name="tickonce-stop", daemon=True).start()

    def _leave_first(self, number: int) -> None:
        leaving = [threading.Thread(target=_left, args=(end,), name="tickonce-stop", daemon=True) for end in self._ends]
        for thread in leaving:
            thread.start()
        for thread in leaving:
            thread.join()
        self._left = True
        os.kill(os.getpid(), number)  # once more, for the main thread, which alone may let the default have its way


def _left(end: UnheardEnd) -> None:
    try:
        end.leave()
    except Exception:  # noqa: BLE001  # the process ends, whatever this says
        _log.exception("a node could not leave before the process ends")


_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_process = _Process()


def _anew() -> None:
    global _process  # noqa: PLW0603  # what the parent has is not ours
    _process = _Process()


forks.in_child(_anew)
