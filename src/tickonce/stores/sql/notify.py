"""Listening for changes. What is heard only shortens waits; nothing depends on it."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tickonce.errors import StoreUnavailable
from tickonce.ports import ALL_HINTS, Clock
from tickonce.stores.sql.connect import Forkable, abandon_after_fork, explained, leave_alone, unreachable
from tickonce.stores.sql.dialects.base import Dialect

if TYPE_CHECKING:
    from tickonce.stores.sql.dialects.postgresql import PostgresqlDialect

_ZERO = timedelta(0)
_UNKNOWN = -1


class _Listener(Forkable):
    """What listeners share."""

    def close(self) -> None:
        """End."""
        raise NotImplementedError

    def __del__(self) -> None:
        with suppress(Exception):  # what was never closed, also when the interpreter ends
            self.close()


class PostgresqlNotifier(_Listener):
    """Listens on a connection of its own."""

    def __init__(self, dialect: PostgresqlDialect) -> None:
        self._dialect = dialect
        self._raw: Any = None
        self._closed = threading.Event()
        self._waiting = threading.Lock()
        #: What ends a wait: written to by close(), from another thread.
        self._bell: tuple[socket.socket, socket.socket] | None = None
        abandon_after_fork(self)

    def wait(self, timeout: timedelta) -> frozenset[str]:
        """Wait for hints, at most *timeout*; return their kinds."""
        with self._waiting:
            if self._closed.is_set():
                return frozenset()
            try:
                return self._wait(timeout)
            except (psycopg_error(), OSError, ValueError) as error:
                self._drop()
                failure = self._dialect.failure(error)
                if failure is None:
                    raise StoreUnavailable(f"the listening connection was lost: {error}") from error
                raise explained(self._dialect, error, failure) from error
            finally:
                if self._closed.is_set():
                    self._end()

    def _wait(self, timeout: timedelta) -> frozenset[str]:
        if self._raw is None or self._bell is None:
            self._bell = self._bell or socket.socketpair()
            self._raw = self._listening()
            return ALL_HINTS  # what happened before we listened was not heard
        heard = self._heard()
        if not heard:
            select.select([self._raw.fileno(), self._bell[1]], [], [], max(timeout, _ZERO).total_seconds())
            heard = self._heard()
        return heard

    def _listening(self) -> Any:
        try:
            raw = self._dialect.open(timedelta(seconds=10))
        except psycopg_error() as error:
            raise unreachable(self._dialect, error) from error
        if raw.pooled:
            raw.close()
            raise StoreUnavailable("the server is behind a connection pooler now, which hands no notification on")
        raw.execute(f"LISTEN {self._dialect.address.names.channel}")
        return raw

    def _heard(self) -> frozenset[str]:
        connection = self._raw.pgconn
        connection.consume_input()
        kinds = set()
        while (note := connection.notifies()) is not None:
            kinds.add(note.extra.decode())
        return frozenset(kinds & ALL_HINTS)

    def close(self) -> None:
        """End; a wait in another thread returns at once."""
        self._closed.set()
        if (bell := self._bell) is not None:
            with suppress(OSError):
                bell[0].send(b"x")
        if self._waiting.acquire(blocking=False):  # else whoever waits ends it
            try:
                self._end()
            finally:
                self._waiting.release()

    def _end(self) -> None:
        self._drop()
        self._drop_bell()

    def _drop_bell(self) -> None:
        bell, self._bell = self._bell, None
        for end in bell or ():
            end.close()

    def _drop(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            with suppress(Exception):
                raw.close()

    def abandon(self) -> None:
        """Forget the parent's connection."""
        self._waiting = threading.Lock()
        leave_alone(self._raw)
        self._raw = None
        self._drop_bell()  # these are copies, the parent's own ends stay open


def psycopg_error() -> type[Exception]:
    """Return the base of psycopg's errors."""
    import psycopg

    return psycopg.Error


class SqliteNotifier(_Listener):
    """Sees that other connections have written: the file has a number that says so, read in a few microseconds."""

    _LOOK = timedelta(milliseconds=50)

    def __init__(self, open_file: Callable[[], Any], dialect: Dialect, clock: Clock) -> None:
        self._open = open_file
        self._dialect = dialect
        self._clock = clock
        self._raw: Any = None
        self._seen: int | None = None
        self._closed = threading.Event()
        self._waiting = threading.Lock()
        self.lock: threading.Lock = threading.Lock()
        abandon_after_fork(self)

    def wait(self, timeout: timedelta) -> frozenset[str]:
        """Look at the file until it has changed, at most *timeout*."""
        end = self._clock.monotonic() + timeout
        with self._waiting:
            try:
                while not self._closed.is_set():
                    if self._changed():
                        return ALL_HINTS  # what it was cannot be told
                    left = end - self._clock.monotonic()
                    if left <= _ZERO:
                        break
                    self._clock.sleep(min(left, self._LOOK))
                return frozenset()
            finally:
                if self._closed.is_set():
                    self.drop()

    def _changed(self) -> bool:
        import sqlite3

        try:
            with self.lock:
                if self._raw is None:
                    self._raw = self._open()
                ((version,),) = self._raw.execute("PRAGMA data_version")
        except sqlite3.Error as error:
            self.drop()
            raise unreachable(self._dialect, error) from error
        before, self._seen = self._seen, int(version)
        return before is not None and before != version

    def close(self) -> None:
        """End; a wait in another thread returns soon."""
        self._closed.set()
        if self._waiting.acquire(blocking=False):  # else whoever waits ends it
            try:
                self.drop()
            finally:
                self._waiting.release()

    def drop(self) -> None:
        """Close the file; the next look opens it, and takes it for changed."""
        raw, self._raw = self._raw, None
        if raw is not None:
            self._seen = _UNKNOWN
            with suppress(Exception):
                raw.close()

    def abandon(self) -> None:
        """Forget the parent's connection."""
        self._waiting, self.lock = threading.Lock(), threading.Lock()
        leave_alone(self._raw)
        self._raw = self._seen = None
