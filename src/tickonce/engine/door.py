"""The one door through which all work enters a node."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import TypeAlias

from tickonce.model import RunState, Token

Key: TypeAlias = tuple[Token, int]

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
        # With each attempt how and when it ended, if its outcome was written.
        self._passed: dict[Key, tuple[RunState, timedelta] | None] = {}
        self._ended: list[tuple[timedelta, Key]] = []

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

    def ended_as(self, token: Token, attempt: int, *, before: timedelta) -> RunState | None:
        """Return the state that was written for an attempt before that moment, if any was."""
        written = self._passed.get((token, attempt))
        return None if written is None or written[1] >= before else written[0]

    def ended(self, states: Mapping[Key, RunState], *, now: timedelta) -> None:
        """These states are written as the attempts' outcomes; forget what ended long ago."""
        with self._lock:
            for key, state in states.items():
                self._ended.append((now, key))
                self._passed[key] = (state, now)
            if self._ended and now - self._ended[0][0] > 2 * REMEMBERED:
                kept = [(at, key) for at, key in self._ended if now - at <= REMEMBERED]
                for _, key in self._ended[: len(self._ended) - len(kept)]:
                    self._passed.pop(key, None)
                self._ended = kept
