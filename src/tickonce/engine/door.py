"""The one door through which all work enters a node."""

from __future__ import annotations

import threading
from datetime import timedelta

from tickonce.model import Token

#: How long an attempt is remembered after its outcome was written. A reply that still speaks of it as held is
#: older than that writing, and no statement lives that long.
REMEMBERED = timedelta(minutes=10)


class Door:
    """Lets each (token, attempt) through once, however often the store says that this node holds it.

    A launch's reply, a claim's reply and the answer to "what do I hold" may all bring the same attempt; whichever is
    first starts it, also when it has ended meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._passed: dict[tuple[Token, int], timedelta | None] = {}
        self._ended: list[tuple[timedelta, tuple[Token, int]]] = []

    def enter(self, token: Token, attempt: int) -> bool:
        """Whether this is the first time that the attempt comes here."""
        key = (token, attempt)
        with self._lock:
            if key in self._passed:
                return False
            self._passed[key] = None
            return True

    def knows(self, token: Token, attempt: int) -> bool:
        """Whether the attempt has come here before."""
        return (token, attempt) in self._passed

    def ended(self, keys: list[tuple[Token, int]], *, now: timedelta) -> None:
        """The outcomes of these attempts are written; forget what ended long ago."""
        with self._lock:
            self._ended.extend((now, key) for key in keys)
            if self._ended and now - self._ended[0][0] > 2 * REMEMBERED:
                kept = [(at, key) for at, key in self._ended if now - at <= REMEMBERED]
                for _, key in self._ended[: len(self._ended) - len(kept)]:
                    self._passed.pop(key, None)
                self._ended = kept
