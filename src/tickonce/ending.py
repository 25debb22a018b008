"""A SIGTERM that nobody in this process hears: it would end the process in the midst of what its node is about."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

_log = logging.getLogger("tickonce.scheduler")


class UnheardEnd:
    """Lets the node leave before such a signal ends the process, from ``with`` to the end of the block.

    Hypercorn's workers are told of the end by other means than a signal. As soon as the first of them is gone, though,
    the others get a SIGTERM, for which they have no handler: runs that were to end first would be cut off. A server
    that has a handler keeps it, here nothing is done then. Neither is it outside the main thread.

    Args:
        leave: Stops the node and waits for that; called in a thread.
    """

    def __init__(self, leave: Callable[[], object]) -> None:
        self._leave = leave
        self._leaving = self._left = self._ends = False
        self._ours = False
        self._pid = os.getpid()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._heard)
            self._ours = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._ours and signal.getsignal(signal.SIGTERM) == self._heard:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def begins(self) -> None:
        """The server ends the application itself: from now on the signal has nothing new to say."""
        self._ends = True

    def _heard(self, number: int, frame: FrameType | None) -> None:
        del frame
        forked = os.getpid() != self._pid  # a child has no node that could leave
        if self._ends and not forked:
            return
        if self._left or forked:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        elif not self._leaving:
            self._leaving = True
            threading.Thread(target=self._leave_first, args=(number,), name="tickonce-stop", daemon=True).start()

    def _leave_first(self, number: int) -> None:
        try:
            self._leave()
        except Exception:  # noqa: BLE001  # the process ends, whatever this says
            _log.exception("the node could not leave before the process ends")
        self._left = True
        os.kill(os.getpid(), number)  # once more, for the main thread, which alone may let the default have its way
