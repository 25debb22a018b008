"""Listening for changes. What is heard only shortens waits; nothing depends on it."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tickonce.errors import StoreUnavailable
from tickonce.ports import Clock
from tickonce.stores.sql.connect import Forkable, abandon_after_fork, explained, leave_alone, unreachable
from tickonce.stores.sql.dialects.base import Dialect

if TYPE_CHECKING:
    from tickonce.stores.sql.dialects.postgresql import PostgresqlDialect

KINDS = frozenset({"schedules", "runs", "nodes"})
_ZERO = timedelta(0)


class PostgresqlNotifier(Forkable):
    """Listens on a connection of its own."""

    def __init__(self, dialect: PostgresqlDialect) -> None:
        self._dialect = dialect
        self._raw: Any = None
        self._closed = False
        self._wake, self._woken = socket.socketpair()
        abandon_after_fork(self)

    def wait(self, timeout: timedelta) -> frozenset[str]:
        """Wait for hints, at most *timeout*; return their kinds."""
        if self._closed:
            return frozenset()
        import psycopg

        try:
            if self._raw is None:
                self._raw = self._listening()
                return KINDS  # what happened before we listened was not heard
            heard = self._heard()
            if not heard:
                select.select([self._raw.fileno(), self._woken], [], [], max(timeout, _ZERO).total_seconds())
                heard = self._heard() if not self._closed else frozenset()
        except (psycopg.Error, OSError, ValueError) as error:
            self._drop()
            if self._closed:
                return frozenset()
            failure = self._dialect.failure(error)
            if failure is None:
                raise StoreUnavailable(f"the listening connection was lost: {error}") from error
            raise explained(self._dialect, error, failure) from error
        return heard

    def _listening(self) -> Any:
        import psycopg

        try:
            raw = self._dialect.open(timedelta(seconds=10))
        except psycopg.Error as error:
            raise unreachable(self._dialect, error) from error
        raw.execute(f"LISTEN {self._dialect.address.names.channel}")
        return raw

    def _heard(self) -> frozenset[str]:
        connection = self._raw.pgconn
        connection.consume_input()
        kinds = set()
        while (note := connection.notifies()) is not None:
            kinds.add(note.extra.decode())
        return frozenset(kinds & KINDS)

    def close(self) -> None:
        """End; a wait in another thread returns at once."""
        self._closed = True
        with suppress(OSError):
            self._wake.send(b"x")

    def _drop(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            with suppress(Exception):
                raw.close()

    def abandon(self) -> None:
        """Forget the parent's connection."""
        if self._raw is not None:
            leave_alone(self._raw)
            self._raw = None
        leave_alone(self._wake)
        leave_alone(self._woken)
        self._wake, self._woken = socket.socketpair()


class SqliteNotifier(Forkable):
    """Sees that other connections have written, by a number that the file's header gives for a few microseconds' work."""

    _LOOK = timedelta(milliseconds=50)

    def __init__(self, open_file: Callable[[], Any], dialect: Dialect, clock: Clock) -> None:
        self._open = open_file
        self._dialect = dialect
        self._clock = clock
        self._raw: Any = None
        self._seen: int | None = None
        self._closed = False
        abandon_after_fork(self)

    def wait(self, timeout: timedelta) -> frozenset[str]:
        """Look at the file until it has changed, at most *timeout*."""
        end = self._clock.monotonic() + timeout
        while not self._closed:
            if self._changed():
                # What has changed cannot be told; nodes are read with every beat anyway.
                return frozenset({"schedules", "runs"})
            left = end - self._clock.monotonic()
            if left <= _ZERO:
                break
            self._clock.sleep(min(left, self._LOOK))
        if self._closed:
            self._drop()
        return frozenset()

    def _changed(self) -> bool:
        import sqlite3

        try:
            if self._raw is None:
                self._raw = self._open()
            ((version,),) = self._raw.execute("PRAGMA data_version")
        except sqlite3.Error as error:
            self._drop()
            raise unreachable(self._dialect, error) from error
        before, self._seen = self._seen, version
        return before is not None and before != version

    def close(self) -> None:
        """End; a wait in another thread returns soon."""
        self._closed = True

    def _drop(self) -> None:
        raw, self._raw, self._seen = self._raw, None, None
        if raw is not None:
            with suppress(Exception):
                raw.close()

    def abandon(self) -> None:
        """Forget the parent's connection."""
        if self._raw is not None:
            leave_alone(self._raw)
            self._raw = self._seen = None
