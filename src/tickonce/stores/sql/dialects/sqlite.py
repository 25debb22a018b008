"""SQLite: a file for the processes of one machine. 3.31 or newer; so no RETURNING, no UPDATE FROM."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import ConfigError, StoreBusy
from tickonce.ports import Notifier
from tickonce.stores.sql.dialects.base import LOCKED_PAUSE_US, Dialect, Failure, Link, Locked, Mode, Send
from tickonce.stores.sql.rows import microseconds
from tickonce.stores.sql.text import Insert, Update
from tickonce.stores.sql.tx import Tx

if TYPE_CHECKING:
    from tickonce.stores.sql.tx import Row

T = TypeVar("T")

_OLDEST = (3, 31)
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DUPLICATE = {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE}
_DOWN = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
}
_LOCKED = (
    "the SQLite file stayed locked for {:g} s, usually by a transaction that an application left open; "
    "keep those short, or use a server"
)


class SqliteDialect(Dialect):
    """SQLite's words and ways. The store's clock is the machine's, as all processes are on one."""

    title: ClassVar[str] = "SQLite"
    notifies = True
    local: ClassVar[bool] = True
    whole_file: ClassVar[bool] = True
    value: ClassVar[str] = ":{}"
    any_of: ClassVar[str] = "IN (SELECT value FROM json_each(:{}))"
    any_int: ClassVar[str] = "IN (SELECT value FROM json_each(:{}))"
    none_of: ClassVar[str] = "NOT IN (SELECT value FROM json_each(:{}))"
    words: ClassVar[Mapping[str, str]] = {
        "now": ":now_us",
        "at": ":now_us",
        "lock": "",  # BEGIN IMMEDIATE has locked the file
        "lock_or_fail": "",
        "lock_or_skip": "",
        "lock_to_delete": "",
        "share": "",
        "hint": "NULL",
        "step_of": "CAST(hex(substr(",
        "step_end": ", s.bucket + 1, 1)) AS INTEGER)",
        "fold": "tickonce_fold(",
        "folded": ")",
        "find": "instr",
    }

    def bound(self, values: dict[str, Any]) -> Any:
        """Return *values*, the instant among them."""
        values["now_us"] = microseconds(self.clock.wall())
        return super().bound(values)

    def listed(self, values: list[Any]) -> str:
        """Return a list as JSON text."""
        return json.dumps(values, ensure_ascii=False)

    def take_lock(self, tx: Tx, schedule_id: str) -> None:
        """Lock the file by an update that changes nothing, unless the transaction is ours and began with the lock."""
        if not tx.own:
            tx.tell("UPDATE {schedules} SET version = version WHERE id = :id", id=schedule_id)

    # -- bulk ----------------------------------------------------------------------------------

    def many(self, send: Send, what: Insert | Update, rows: Sequence[Row]) -> None:
        """Insert or update row by row: there is no round trip to save."""
        send(self._insert(what) if isinstance(what, Insert) else self._update(what), rows, many=True)

    def insert_new(self, cursor: Any, insert: Insert, row: Row) -> bool:
        """Insert one row. A refused one leaves the transaction as it was."""
        try:
            cursor.execute(self._insert(insert), row)
        except sqlite3.IntegrityError as error:
            if self.failure(error) is not Failure.DUPLICATE:
                raise
            return False
        return True

    def _insert(self, what: Insert) -> str:
        found = self._texts.get(what)
        if found is None:
            table = self.table(what.table)
            found = f"INSERT INTO {table} ({', '.join(what.columns)}) VALUES ({', '.join('?' * len(what.columns))})"
            if what.merge:
                sets = ", ".join(f"{name} = max({table}.{name}, excluded.{name})" for name in what.merge)
                found += f" ON CONFLICT ({', '.join(what.key)}) DO UPDATE SET {sets}"
            self._texts[what] = found
        return found

    def _update(self, what: Update) -> str:
        found = self._texts.get(what)
        if found is None:
            at = {name: f"?{place}" for place, name in enumerate(what.columns, start=1)}
            sets = ", ".join(f"{name} = {_placed(to, at)}" for name, to in what.sets.items())
            where = " AND ".join(f"r.{name} = {at[name]}" for name in what.key)
            found = self._texts[what] = f"UPDATE {self.table(what.table)} AS r SET {sets} WHERE {where}"
        return found

    # -- connections ---------------------------------------------------------------------------

    def connect(self, deadline: timedelta) -> Link:
        """Open the file."""
        del deadline  # a statement on a file has none of its own; the lane knows how long it waits for the lock
        return SqliteLink(self, self.open())

    def open(self) -> sqlite3.Connection:
        """Return a new connection to the file, set up as all of ours are."""
        if sqlite3.sqlite_version_info < _OLDEST:
            raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old: 3.31 or newer is needed")
        raw = sqlite3.connect(self.address.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            raw.create_function("tickonce_fold", 1, str.casefold, deterministic=True)
            patiently(lambda: raw.execute("PRAGMA journal_mode = WAL"), timedelta(seconds=10))
            # NORMAL may lose the last commits when power fails; their fires would be launched again.
            raw.execute(f"PRAGMA synchronous = {self.address.sync}")
        except BaseException:
            raw.close()
            raise
        return raw

    def empty(self) -> bool:
        """Whether there is no file, or none of our tables in it: to open it as ours makes it, or changes its mode."""
        path = Path(self.address.path)
        try:
            if not path.exists():
                return True
            raw = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1, isolation_level=None)
            try:
                named = (self.address.names.revision_table,)
                return raw.execute("SELECT 1 FROM sqlite_master WHERE name = ?", named).fetchone() is None
            finally:
                raw.close()
        except (OSError, sqlite3.Error):
            return False  # who opens it is told what is wrong

    def failure(self, error: BaseException) -> Failure | None:
        """Say what an error means."""
        if isinstance(error, UnicodeEncodeError | OverflowError):
            return Failure.CONTENT
        if not isinstance(error, sqlite3.Error):
            return None
        code = getattr(error, "sqlite_errorcode", 0)
        if code in _DUPLICATE:
            return Failure.DUPLICATE
        if code & 0xFF in _BUSY:
            return Failure.TRANSIENT
        if code & 0xFF in _DOWN:
            return Failure.DOWN
        if code & 0xFF == sqlite3.SQLITE_TOOBIG or isinstance(error, sqlite3.DataError):
            return Failure.CONTENT
        if "no such table" in str(error) or "no such column" in str(error):
            return Failure.SCHEMA
        return Failure.OTHER

    def notifier(self) -> Notifier | None:
        """Return a listener that sees the file change."""
        from tickonce.stores.sql.notify import SqliteNotifier

        return SqliteNotifier(self.open, self, self.clock)

    def durability(self, tx: Tx) -> list[str]:
        """Look at what is synced at a commit."""
        del tx
        if self.address.sync == "full":
            return []
        return ["SQLite: synchronous=NORMAL (?sync=normal) can lose the last commits when the power fails"]


class SqliteLink(Link):
    """One connection to the file."""

    def __init__(self, dialect: SqliteDialect, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self._dialect = dialect

    def step(self, work: Callable[[Tx], T], mode: Mode) -> T:
        """Carry out *work*; one that writes holds the file's lock from its beginning."""
        self.committing = False
        cursor = self.raw.cursor()
        tx = Tx(self._dialect, cursor)
        if mode is Mode.READ:
            return work(tx)
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY:
                raise
            raise Locked(_LOCKED) from error
        try:
            result = work(tx)
            self.committing = True
            cursor.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # it may have rolled back by itself
                if self.raw.in_transaction:
                    self.raw.rollback()
            raise
        return result

    def plain(self) -> Any:
        """Give the driver's connection away."""
        return self.raw

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):
            self.raw.close()


def patiently(begin: Callable[[], object], deadline: timedelta) -> None:
    """Try until the file's lock is ours. Short jittered waits: ``busy_timeout`` backs off so far that it starves.

    The waits are real ones whatever the store's clock, for what holds the lock is another process.
    """
    end = SYSTEM_CLOCK.monotonic() + deadline
    while True:
        try:
            begin()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY:
                raise
            if SYSTEM_CLOCK.monotonic() >= end:
                raise StoreBusy(_LOCKED.format(deadline.total_seconds())) from error
        else:
            return
        SYSTEM_CLOCK.sleep(timedelta(microseconds=random.randint(*LOCKED_PAUSE_US)))


def _placed(text: str, at: Mapping[str, str]) -> str:
    # Longest first: v.due_us before v.due.
    for name in sorted(at, key=len, reverse=True):
        text = text.replace(f"v.{name}", at[name])
    return text
