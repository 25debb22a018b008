"""MySQL 8 and MariaDB 10.6 or newer, by PyMySQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tickonce import forks
from tickonce.errors import ConfigError, MissingExtra
from tickonce.stores.sql.dialects.base import Dialect, Failure, Link, Mode, Send
from tickonce.stores.sql.text import Insert, Update
from tickonce.stores.sql.tx import Tx

if TYPE_CHECKING:
    from tickonce.stores.sql.tx import Row

T = TypeVar("T")

CONNECT_S = 5
#: How long a statement of ours waits for a row that somebody else has locked; the few that wait at all.
LOCK_S = 1
#: How long a process that is stopped in the midst of a step may hold its rows.
_IDLE_S = 10
#: Sizes at which a bulk statement is cut: max_allowed_packet may be as little as 1 MB.
_CHUNK_ROWS = 250
_CHUNK_CHARS = 200_000


def _yes(text: str) -> bool:
    return text.lower() in ("1", "true", "yes")


_OPTIONS: dict[str, Callable[[str], object]] = {
    "unix_socket": str,
    "ssl_ca": str,
    "ssl_cert": str,
    "ssl_key": str,
    "ssl_verify_cert": _yes,
    "ssl_verify_identity": _yes,
    "ssl_disabled": _yes,
}

_FAILURES = {
    **dict.fromkeys((1213, 1020, 3101), Failure.TRANSIENT),  # deadlock; changed since read; group replication
    **dict.fromkeys((1205, 3572), Failure.BUSY),
    **dict.fromkeys((2006, 2013, 2014, 2027, 2055, 1053, 1317, 1927), Failure.LOST),
    **dict.fromkeys((1969, 3024), Failure.TIMEOUT),
    **dict.fromkeys((1021, 1040, 1041, 1114, 1203, 1226, 1290, 1792, 1836, 3100), Failure.DOWN),
    **dict.fromkeys((1146, 1054), Failure.SCHEMA),
    **dict.fromkeys((1062, 1586), Failure.DUPLICATE),
    **dict.fromkeys((1153, 1264, 1300, 1366, 1406, 3854), Failure.CONTENT),
}


class MysqlDialect(Dialect):
    """MySQL's words and ways."""

    title: ClassVar[str] = "MySQL/MariaDB"
    extra: ClassVar[str] = "mysql"
    look_first: ClassVar[bool] = True
    stale_reads: ClassVar[bool] = True
    value: ClassVar[str] = "%({})s"
    any_of: ClassVar[str] = "IN %({})s"
    any_int: ClassVar[str] = "IN %({})s"
    none_of: ClassVar[str] = "NOT IN %({})s"
    words: ClassVar[Mapping[str, str]] = {
        # When the statement began, in UTC whatever the session's zone is. UNIX_TIMESTAMP() would go by the zone.
        "now": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))",
        "at": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))",
        "lock": "FOR UPDATE",
        "lock_or_fail": "FOR UPDATE NOWAIT",
        "lock_or_skip": "FOR UPDATE SKIP LOCKED",
        "lock_to_delete": "FOR UPDATE SKIP LOCKED",
        "share": "LOCK IN SHARE MODE",  # the form that both products know
        "hint": "NULL",
        "step_of": "ORD(SUBSTRING(",
        "step_end": ", s.bucket + 1, 1))",
        "fold": "LOWER(",
        "folded": ")",
        "find": "INSTR",
    }

    def listed(self, values: list[Any]) -> list[Any]:
        """Return a list that is not empty: no id, token or name is."""
        return values or [""]

    # -- bulk ----------------------------------------------------------------------------------

    def many(self, send: Send, what: Insert | Update, rows: Sequence[Row]) -> None:
        """Insert or update a few hundred rows a statement."""
        write = self._insert_values if isinstance(what, Insert) else self._update_values
        for chunk in _chunks(rows):
            send(write(what, len(chunk)), [value for row in chunk for value in row])  # type: ignore[arg-type]

    def _insert_values(self, what: Insert, count: int) -> str:
        key = (what, count)
        found = self._texts.get(key)
        if found is None:
            row = f"({', '.join(['%s'] * len(what.columns))})"
            found = (
                f"INSERT INTO {self.table(what.table)} ({', '.join(what.columns)}) VALUES {', '.join([row] * count)}"
            )
            if what.merge:
                sets = ", ".join(f"{name} = GREATEST({name}, VALUES({name}))" for name in what.merge)
                found += f" ON DUPLICATE KEY UPDATE {sets}"
            self._texts[key] = found
        return found

    def _update_values(self, what: Update, count: int) -> str:
        key = (what, count)
        found = self._texts.get(key)
        if found is None:
            first = "SELECT " + ", ".join(f"%s AS {name}" for name in what.columns)
            more = " UNION ALL SELECT " + ", ".join(["%s"] * len(what.columns))
            sets = ", ".join(f"r.{name} = {to}" for name, to in what.sets.items())
            where = " AND ".join(f"r.{name} = v.{name}" for name in what.key)
            # The values first, each finding its row by key. Left to itself the server reads a small table whole, and
            # waits for the rows in it that others have locked.
            found = self._texts[key] = (
                f"UPDATE ({first}{more * (count - 1)}) AS v STRAIGHT_JOIN {self.table(what.table)} AS r "
                f"FORCE INDEX (PRIMARY) ON {where} SET {sets}"
            )
        return found

    def insert_new(self, cursor: Any, insert: Insert, row: Row) -> bool:
        """Insert one row. A refused one is undone alone; the transaction goes on."""
        try:
            cursor.execute(self._insert_values(insert, 1), row)
        except Exception as error:
            if self.failure(error) is not Failure.DUPLICATE:
                raise
            return False
        return True

    # -- connections ---------------------------------------------------------------------------

    def connect(self, deadline: timedelta) -> Link:
        """Connect to the server."""
        return MysqlLink(self, self.open(deadline))

    def open(self, deadline: timedelta) -> Any:
        """Return a new connection, set up as all of ours are."""
        try:
            with forks.undivided():
                import pymysql
                from pymysql.constants import CLIENT
        except ImportError:
            raise MissingExtra("a MySQL or MariaDB store", extra=self.extra) from None
        address, seconds = self.address, deadline.total_seconds()
        return pymysql.connect(
            host=address.host or "localhost",
            port=address.port or 3306,
            user=address.user,
            password=address.password or "",
            database=address.database,
            charset="utf8mb4",
            collation="utf8mb4_bin",
            connect_timeout=CONNECT_S,
            read_timeout=seconds,
            write_timeout=seconds,
            autocommit=True,
            client_flag=CLIENT.FOUND_ROWS,  # counts are of rows found, not of rows that changed
            init_command=(
                "SET SESSION time_zone = '+00:00', "
                "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO', "
                f"innodb_lock_wait_timeout = {LOCK_S}, "
                # A process that is stopped in the middle of a step must not hold its rows for hours. An idle connection
                # ends with it, too, and is made anew at its next use.
                f"wait_timeout = {int(max(30, 3 * seconds))}"
            ),
            **self._options(),
        )

    def _options(self) -> dict[str, Any]:
        told = {name: value for name, value in self.address.options.items() if name != "charset"}
        unknown = told.keys() - _OPTIONS.keys()
        if unknown:
            known = ", ".join(["prefix", *_OPTIONS])
            raise ConfigError(f"a MySQL store has no option {min(unknown)!r}; it knows {known}")
        return {name: _OPTIONS[name](value) for name, value in told.items()}

    def failure(self, error: BaseException) -> Failure | None:
        """Say what an error means, by its number."""
        if isinstance(error, UnicodeEncodeError):
            return Failure.CONTENT
        # By name, not by class: a caller's connection may be mysqlclient's.
        names = {base.__name__ for base in type(error).__mro__ if base.__module__.startswith(("pymysql", "MySQLdb"))}
        if "Error" not in names:
            return None
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        if number == 2013 and "timed out" in str(error):
            return Failure.TIMEOUT
        if number in _FAILURES:
            return _FAILURES[number]
        if "InterfaceError" in names:
            return Failure.LOST
        return Failure.CONTENT if "DataError" in names else Failure.OTHER

    def durability(self, tx: Tx) -> list[str]:
        """Look at the server's settings."""
        risky = {
            "innodb_flush_log_at_trx_commit": ("1", "a crash of the machine loses the last second of commits"),
            "innodb_doublewrite": ("ON", "a crash of the machine can destroy pages"),
            "sync_binlog": ("1", "a crash of the machine can lose commits from replicas"),
        }
        rows = tx.rows(
            "SHOW GLOBAL VARIABLES WHERE Variable_name "
            "IN ('innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'sync_binlog', 'log_bin')"
        )
        found: dict[str, str] = {name: value for name, value in rows}  # noqa: C416  # a row is not a pair for mypy
        if found.get("log_bin") != "ON":
            found.pop("sync_binlog", None)
        return [
            f"{self.title}: {name} is {found[name]}, not {good}: {why}; what was lost is launched again"
            for name, (good, why) in risky.items()
            if name in found and found[name] != good
        ]


class MysqlLink(Link):
    """One connection to the server."""

    def __init__(self, dialect: MysqlDialect, raw: Any) -> None:
        self.raw = raw
        self._dialect = dialect
        with raw.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL read committed")
            if "MariaDB" in raw.get_server_info():  # MySQL has only wait_timeout, which ends idle connections, too
                cursor.execute(f"SET SESSION idle_transaction_timeout = {_IDLE_S}")

    def step(self, work: Callable[[Tx], T], mode: Mode) -> T:
        """Carry out *work*: alone, or in a transaction that any error rolls back whole."""
        self.committing = False
        with self.raw.cursor() as cursor:
            tx = Tx(self._dialect, cursor)
            if mode is not Mode.WRITE:
                return work(tx)
            try:
                cursor.execute("START TRANSACTION")
                result = work(tx)
                self.committing = True
                cursor.execute("COMMIT")
            except BaseException:
                # Also after an error that undid its statement alone: what is half done must never be committed.
                self._roll_back()
                raise
            return result

    def _roll_back(self) -> None:
        import pymysql

        try:
            if self.raw.open:
                self.raw.rollback()
        except (pymysql.err.Error, OSError):
            self.close()

    def plain(self) -> Any:
        """Give the driver's connection away."""
        self.raw.autocommit(False)
        return self.raw

    def close(self) -> None:
        """Close the connection."""
        with suppress(Exception):
            self.raw.close()


def _chunks(rows: Sequence[Row]) -> list[Sequence[Row]]:
    chunks: list[Sequence[Row]] = []
    start = size = 0
    for at, row in enumerate(rows):
        weight = sum(len(value) for value in row if type(value) is str)
        if at > start and (at - start >= _CHUNK_ROWS or size + weight > _CHUNK_CHARS):
            chunks.append(rows[start:at])
            start, size = at, 0
        size += weight
    chunks.append(rows[start:])
    return chunks
