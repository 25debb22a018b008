"""PostgreSQL, by psycopg 3. Many rows travel as arrays in one statement, statements of a step in one pipeline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from tickonce import forks
from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import ConfigError, MissingExtra
from tickonce.ports import Clock, Notifier
from tickonce.stores.sql.address import Address
from tickonce.stores.sql.dialects import sessions
from tickonce.stores.sql.dialects.base import Dialect, Failure, Link, Mode, Send
from tickonce.stores.sql.text import Insert, Kind, Update
from tickonce.stores.sql.tx import PipelinedTx, Tx

if TYPE_CHECKING:
    from tickonce.stores.sql.tx import Row

T = TypeVar("T")

_log = logging.getLogger("tickonce.store")

CONNECT_S = 5

_TRANSIENT = {"40001", "40P01"}
_BUSY = {"55P03"}
_TIMEOUT = {"57014"}
#: Cannot serve now: read-only (a standby), too many connections, disk full, starting or shutting down.
_DOWN_CLASSES = ("25006", "53", "57P", "58")
_SCHEMA = {"42P01", "42703", "3F000"}


class PostgresqlDialect(Dialect):
    """PostgreSQL's words and ways."""

    title: ClassVar[str] = "PostgreSQL"
    extra: ClassVar[str] = "postgresql"
    updates_in_queries: ClassVar[bool] = True
    value: ClassVar[str] = "%({})s"
    any_of: ClassVar[str] = "= ANY(%({})s::text[])"
    any_int: ClassVar[str] = "= ANY(%({})s::bigint[])"
    none_of: ClassVar[str] = "<> ALL(%({})s::text[])"
    words: ClassVar[Mapping[str, str]] = {
        # Never now(): that is when the transaction began, and an edit may have waited for its row since.
        "now": "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        # Read once a statement: an index wants a value, not a function that differs from row to row.
        "at": "(SELECT now_us FROM clock)",
        # FOR UPDATE would stop foreign keys of the application's own from referring to the row.
        "lock": "FOR NO KEY UPDATE",
        "lock_or_fail": "FOR NO KEY UPDATE NOWAIT",
        "lock_or_skip": "FOR NO KEY UPDATE SKIP LOCKED",
        "lock_to_delete": "FOR UPDATE SKIP LOCKED",
        "share": "",
        # In a beat: tell others when a node begins to leave or gets stuck. The query sees its row as it was.
        "hint": (
            "(SELECT pg_notify(:channel, 'nodes')::text FROM {nodes} WHERE id = :id "
            "AND state IN ('alive', 'leaving') AND (state <> :state OR serving <> :serving))"
        ),
        "step_of": "get_byte(",
        "step_end": ", s.bucket)",
        # Columns of ids are ordered by bytes (collation C), which knows small letters of ASCII only.
        "fold": "lower(",
        "folded": ' COLLATE "default")',
        "find": "strpos",
    }

    def __init__(self, address: Address, clock: Clock) -> None:
        super().__init__(address, clock)
        self.notifies = not address.pooled
        self._conninfo = ""

    def listed(self, values: list[Any]) -> str:
        """Return a list as the text of an array."""
        return _number_array(values) if values and type(values[0]) is int else _text_array(values)

    # -- bulk ----------------------------------------------------------------------------------

    def many(self, send: Send, what: Insert | Update, rows: Sequence[Row]) -> None:
        """Insert or update from arrays, a column each."""
        text = self._insert_arrays(what) if isinstance(what, Insert) else self._update_arrays(what)
        columns = zip(*rows, strict=True)
        send(text, [_ARRAYS[kind](column) for kind, column in zip(what.columns.values(), columns, strict=True)])

    def _insert_arrays(self, what: Insert) -> str:
        found = self._texts.get(what)
        if found is None:
            table = self.table(what.table)
            arrays = ", ".join(f"%s::{kind.value}[]" for kind in what.columns.values())
            found = f"INSERT INTO {table} ({', '.join(what.columns)}) SELECT * FROM unnest({arrays})"
            if what.merge:
                plain = f"{self.address.names.prefix}{what.table}"
                sets = ", ".join(f"{name} = greatest({plain}.{name}, excluded.{name})" for name in what.merge)
                found += f" ON CONFLICT ({', '.join(what.key)}) DO UPDATE SET {sets}"
            self._texts[what] = found
        return found

    def _update_arrays(self, what: Update) -> str:
        found = self._texts.get(what)
        if found is None:
            arrays = ", ".join(f"%s::{kind.value}[]" for kind in what.columns.values())
            sets = ", ".join(f"{name} = {to}" for name, to in what.sets.items())
            where = " AND ".join(f"r.{name} = v.{name}" for name in what.key)
            found = self._texts[what] = (
                f"UPDATE {self.table(what.table)} AS r SET {sets} "
                f"FROM unnest({arrays}) AS v ({', '.join(what.columns)}) WHERE {where}"
            )
        return found

    def insert_new(self, cursor: Any, insert: Insert, row: Row) -> bool:
        """Insert one row; an error would spoil the transaction, so a conflict must not be one."""
        key = (insert, "new")
        text = self._texts.get(key)
        if text is None:
            values = ", ".join(f"%s::{kind.value}" for kind in insert.columns.values())
            text = self._texts[key] = (
                f"INSERT INTO {self.table(insert.table)} ({', '.join(insert.columns)}) VALUES ({values}) "
                f"ON CONFLICT ({', '.join(insert.key)}) DO NOTHING RETURNING 1"
            )
        cursor.execute(text, row)
        return bool(cursor.fetchall())

    # -- connections ---------------------------------------------------------------------------

    def connect(self, deadline: timedelta) -> Link:
        """Connect to the server."""
        return PostgresqlLink(self, self.open(deadline), deadline)

    def open(self, deadline: timedelta) -> Any:
        """Return a new connection, set up as all of ours are."""
        try:
            kind = _bounded_connection()
        except ImportError:
            raise MissingExtra("a PostgreSQL store", extra=self.extra) from None
        raw = kind.connect(self._parameters(deadline), autocommit=True)
        raw.budget = deadline
        try:
            opening = sessions.opening(raw.info.backend_pid, deadline, pooled=self.address.pooled)
            raw.pooled = raw.execute(opening).fetchone()[0]
            if raw.pooled:
                self._lent(raw)
        except BaseException:
            raw.close()
            raise
        return raw

    def _lent(self, raw: Any) -> None:
        """Note that a pooler lends us a session for each transaction: nothing may rely on the session."""
        if raw.info.options:
            raise ConfigError(
                f"{self.title} at {self.address.place} is behind a connection pooler, which does not hand on `options` "
                "(of the URL or PGOPTIONS): take it out. For a schema of its own write ?schema=name; set defaults by "
                "ALTER ROLE or ALTER DATABASE"
            )
        raw.prepare_threshold = None  # a prepared statement stays behind in the session in which it was made
        if self.notifies:
            self.notifies = False
            _log.info(
                "%s at %s is behind a connection pooler: settings are given with each transaction, and nodes look for "
                "changes each second, as no notification arrives",
                self.title,
                self.address.place,
            )

    def _parameters(self, deadline: timedelta) -> str:
        if not self._conninfo:
            with forks.undivided():
                from psycopg.conninfo import make_conninfo

            address = self.address
            told: dict[str, str | int | None] = {
                "connect_timeout": CONNECT_S,
                # Without these a connection whose other end has vanished looks alive for hours.
                "keepalives": 1,
                "keepalives_idle": 10,
                "keepalives_interval": 3,
                "keepalives_count": 3,
                "tcp_user_timeout": 2 * deadline // timedelta(milliseconds=1),
                "application_name": "tickonce",
                "host": address.host,
                "port": address.port,
                "user": address.user,
                "password": address.password,
                "dbname": address.database,
                **address.options,
            }
            if "," in address.place:  # libpq takes several hosts, and tries one after the other
                hosts, ports = zip(*[_host_port(item) for item in address.place.split(",")], strict=True)
                told["host"], told["port"] = ",".join(hosts), ",".join(ports)
            self._conninfo = make_conninfo("", **{name: value for name, value in told.items() if value is not None})
        return self._conninfo

    def failure(self, error: BaseException) -> Failure | None:
        """Say what an error means, by its SQLSTATE."""
        if isinstance(error, UnicodeEncodeError):
            return Failure.CONTENT
        if isinstance(error, DeadlinePassed):
            return Failure.TIMEOUT
        # By name, not by class: a caller's connection may be psycopg2's.
        names = {base.__name__ for base in type(error).__mro__ if base.__module__.startswith("psycopg")}
        if "Error" not in names:
            return None
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
        for states, failure in (
            (_TRANSIENT, Failure.TRANSIENT),
            (_BUSY, Failure.BUSY),
            (_TIMEOUT, Failure.TIMEOUT),
            (_SCHEMA, Failure.SCHEMA),
        ):
            if state in states:
                return failure
        if state.startswith(_DOWN_CLASSES):
            return Failure.LOST if state.startswith("57P") else Failure.DOWN
        if state == "23505":
            return Failure.DUPLICATE
        if state.startswith("22") or state in ("54000", "54001") or "DataError" in names:
            return Failure.CONTENT
        if state.startswith("08") or (not state and names & {"OperationalError", "InterfaceError"}):
            return Failure.LOST
        return Failure.OTHER

    # -- hints and reports ---------------------------------------------------------------------

    def notify(self, tx: Tx, kind: str) -> None:
        """Notify with the commit."""
        tx.tell("SELECT pg_notify(:channel, :kind)", channel=self.address.names.channel, kind=kind)

    def notifier(self) -> Notifier | None:
        """Return a listener; None behind a pooler, where nothing would be heard."""
        if not self.notifies:
            return None
        from tickonce.stores.sql.notify import PostgresqlNotifier

        return PostgresqlNotifier(self)

    def durability(self, tx: Tx) -> list[str]:
        """Look at the server's settings."""
        risky = {
            "fsync": "a crash of the machine can lose or destroy anything",
            "full_page_writes": "a crash of the machine can destroy pages",
            "synchronous_commit": "a crash loses the last commits, and their fires are launched again",
        }
        found = tx.rows("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)", names=list(risky))
        return [f"PostgreSQL: {name} is off: {risky[name]}" for name, setting in sorted(found) if setting == "off"]


class PostgresqlLink(Link):
    """One connection to the server."""

    def __init__(self, dialect: PostgresqlDialect, raw: Any, deadline: timedelta) -> None:
        self.raw = raw
        self._dialect = dialect
        # Of each transaction; None where they are the session's.
        self._settings = sessions.with_each(deadline) if raw.pooled else None

    def step(self, work: Callable[[Tx], T], mode: Mode) -> T:
        """Carry out *work*: alone, or between BEGIN and COMMIT in a pipeline."""
        self.committing = False
        raw, settings = self.raw, self._settings
        try:
            if mode is not Mode.WRITE:
                with raw.cursor() as cursor:
                    tx = Tx(self._dialect, cursor if settings is None else sessions.AloneCursor(raw, cursor, settings))
                    result = work(tx)
                    tx.send_hints()
                return result
            with sessions.pipelined(raw) as pipeline:
                # Never prepared, so that both stay readable on the wire and in the server's log.
                raw.execute("BEGIN" if settings is None else sessions.BEGIN, prepare=False)
                if settings is not None:
                    raw.execute(settings)
                tx = PipelinedTx(self._dialect, raw, pipeline)
                result = work(tx)
                tx.send_hints()
                self.committing = True
                raw.execute("COMMIT", prepare=False)
        except BaseException:
            self._roll_back()
            raise
        return result

    def _roll_back(self) -> None:
        import psycopg

        if self.raw.closed:
            return
        with suppress(psycopg.Error):
            if self.raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self.raw.execute("ROLLBACK", prepare=False)

    def plain(self) -> Any:
        """Give the driver's connection away."""
        if self._settings is not None:
            import psycopg

            self.raw.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        self.raw.autocommit = False
        return self.raw

    def close(self) -> None:
        """Close the connection."""
        with suppress(Exception):
            self.raw.close()


class DeadlinePassed(Exception):
    """The server said nothing for as long as we wait; what was asked of it may still happen."""


def _bounded_connection() -> Any:
    """Return a psycopg connection class that never waits longer than its budget for the server to say something."""
    global _connection_class  # noqa: PLW0603  # made once psycopg is imported
    if _connection_class is None:
        with forks.undivided():
            import psycopg

        class BoundedConnection(psycopg.Connection[Any]):
            """A connection whose every wait ends: also at a server that is frozen behind a healthy network."""

            budget = timedelta(seconds=CONNECT_S)
            #: Whether each transaction may be in another session.
            pooled = False

            def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
                try:
                    return super().wait(_bounded(gen, self.budget), *args, **kwargs)
                except DeadlinePassed:
                    self.close()  # else the end of a pipeline waits once more
                    raise

        _connection_class = BoundedConnection
    return _connection_class


_connection_class: Any = None


def _bounded(gen: Generator[Any, Any, T], budget: timedelta) -> Generator[Any, Any, T]:
    # psycopg sends a false value whenever its own interval (0.1 s) has passed without news.
    try:
        wanted = next(gen)
        end = None
        while True:
            ready = yield wanted
            if not ready:
                now = SYSTEM_CLOCK.monotonic()
                end = end or now + budget
                if now >= end:
                    with suppress(Exception):  # the end of a pipeline would go on
                        gen.close()
                    raise DeadlinePassed(f"no answer within {budget.total_seconds():g} s")
            wanted = gen.send(ready)
    except StopIteration as ended:
        result: T = ended.value
        return result


def _host_port(item: str) -> tuple[str, str]:
    host, _, port = item.partition(":")
    return host, port or "5432"


# -- arrays as text: several times as fast as a value at a time -----------------------------------


def _text_array(values: Sequence[str | None]) -> str:
    if None not in values:
        # Hardly ever is there anything to be escaped, and looking for it once is much faster than value by value.
        joined = '","'.join(cast("Sequence[str]", values))
        if "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
            return f'{{"{joined}"}}'
    parts = [
        "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values
    ]
    return "{" + ",".join(parts) + "}"


def _number_array(values: Sequence[float | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def _bool_array(values: Iterable[bool | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else "t" if value else "f" for value in values]) + "}"


_ARRAYS: dict[Kind, Callable[[Any], str]] = {
    Kind.TEXT: _text_array,
    Kind.INT: _number_array,
    Kind.FLOAT: _number_array,
    Kind.BOOL: _bool_array,
}
