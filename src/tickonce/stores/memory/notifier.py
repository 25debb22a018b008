"""Hints between threads of one process that the store has changed."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import timedelta

from tickonce.ports import Clock


class MemoryNotifier:
    """One listener's hints, kept until it has waited for them."""

    def __init__(self, board: Board, clock: Clock) -> None:
        self._board = board
        self._signal = clock.signal()
        self._lock = threading.Lock()
        self._kinds: set[str] = set()
        self._closed = False

    def add(self, kinds: Iterable[str]) -> None:
        """Leave hints and wake the listener."""
        with self._lock:
            self._kinds.update(kinds)
        self._signal.set()

    def wait(self, timeout: timedelta) -> frozenset[str]:
        """Wait for hints, at most *timeout*; return their kinds."""
        if not self._closed:
            self._signal.wait(timeout)
        with self._lock:
            kinds = frozenset(self._kinds)
            self._kinds.clear()
        return kinds

    def close(self) -> None:
        """End; a wait in another thread returns."""
        self._closed = True
        self._board.remove(self)
        self._signal.set()


class Board:
    """All who listen to a store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[MemoryNotifier] = []

    def listener(self, clock: Clock) -> MemoryNotifier:
        """Return a new listener."""
        made = MemoryNotifier(self, clock)
        with self._lock:
            self._listeners.append(made)
        return made

    def remove(self, listener: MemoryNotifier) -> None:
        """Forget a listener."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def announce(self, *kinds: str) -> None:
        """Tell all listeners."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.add(kinds)
