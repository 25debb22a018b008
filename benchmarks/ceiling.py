"""What the database alone can do: ``python -m benchmarks.ceiling SETTINGS`` is one process of it.

The statements that a launch and a finish need at the very least, in batches as a node makes them, with the same
columns, indexes and durable commits: read what is due; lock it in the order of ids, move it, insert the runs, commit;
lock the runs in the order of tokens, write how they ended, commit. No planning, no clock, no door, no job, no beat:
whatever a node needs on top of this is tickonce's own cost.

Runs are inserted by one thread and finished by another, each with a connection of its own, as in a node.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.places import Place
from benchmarks.processes import Parent

_PERIOD_US = 6 * 3600 * 1_000_000
_POLICY = '{"grace":3600.0}'
_READ = (
    "id, definition, state, version, revision, watermark_us, next_fire_us, due_us, fold_reason, fold_first_us, reason,"
    " paused_until_us, source, declared_hash, declared_form, declared_release, overrides, seen_us, created_us,"
    " created_by, updated_us, updated_by"
)
_MOVED = ("id", "version", "watermark_us", "next_fire_us", "due_us", "state")
_RUN = (
    "token", "schedule_id", "job", "arguments", "scheduled_us", "due_us", "state", "attempt", "node", "queue",
    "priority", "policy", "start_by_us", "created_us",
)  # fmt: skip
_ENDED = ("token", "state", "started_us", "finished_us", "result")

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Part:
    """The part of the work that is one process's."""

    number: int
    of: int
    batch: int
    now_us: int


class Raw(Protocol):
    """The statements on one connection."""

    def due(self, part: Part) -> list[Row]:
        """Read what is due."""

    def launch(self, moved: Sequence[Row], runs: Sequence[Row]) -> None:
        """Move schedules, insert runs, commit."""

    def finish(self, ended: Sequence[Row]) -> None:
        """Write how runs ended, commit."""


class RawPostgresql:
    """psycopg: rows as arrays, each transaction in one pipeline; rows found by index, as the store has it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        connection.execute("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")

    def due(self, part: Part) -> list[Row]:
        text = (
            f"SELECT {_READ} FROM tickonce_schedules WHERE due_us <= %s AND bucket %% %s = %s ORDER BY due_us LIMIT %s"
        )
        rows: list[Row] = self._connection.execute(text, (part.now_us, part.of, part.number, part.batch)).fetchall()
        return rows

    def launch(self, moved: Sequence[Row], runs: Sequence[Row]) -> None:
        ids = [row[0] for row in moved]
        with self._connection.pipeline():
            self._connection.execute("BEGIN")
            locked = self._connection.execute(
                "SELECT id, version FROM tickonce_schedules WHERE id = ANY(%s) ORDER BY id"
                " FOR NO KEY UPDATE SKIP LOCKED",
                (_array(ids),),
            )
            sets = ", ".join(f"{name} = v.{name}" for name in _MOVED[1:])
            self._connection.execute(
                f"UPDATE tickonce_schedules AS s SET {sets} FROM unnest({_types(_MOVED)}) AS v ({', '.join(_MOVED)})"
                " WHERE s.id = v.id",
                _arrays(moved),
            )
            self._connection.execute(
                f"INSERT INTO tickonce_runs ({', '.join(_RUN)}) SELECT * FROM unnest({_types(_RUN)})", _arrays(runs)
            )
            self._connection.execute("COMMIT")
            assert len(locked.fetchall()) == len(ids)

    def finish(self, ended: Sequence[Row]) -> None:
        with self._connection.pipeline():
            self._connection.execute("BEGIN")
            self._connection.execute(
                "SELECT token, attempt, node, state FROM tickonce_runs WHERE token = ANY(%s) ORDER BY token"
                " FOR NO KEY UPDATE",
                (_array([row[0] for row in ended]),),
            )
            sets = ", ".join(f"{name} = v.{name}" for name in _ENDED[1:])
            self._connection.execute(
                f"UPDATE tickonce_runs AS r SET {sets} FROM unnest({_types(_ENDED)}) AS v ({', '.join(_ENDED)})"
                " WHERE r.token = v.token",
                _arrays(ended),
            )
            self._connection.execute("COMMIT")


class RawSqlite:
    """sqlite3: row by row in one transaction."""

    mark = "?"
    begin = "BEGIN IMMEDIATE"
    lock = ""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def due(self, part: Part) -> list[Row]:
        text = (
            f"SELECT {_READ} FROM tickonce_schedules WHERE due_us <= {self.mark} AND bucket % {self.mark} ="
            f" {self.mark} ORDER BY due_us LIMIT {self.mark}"
        )
        cursor = self._connection.cursor()
        cursor.execute(text, (part.now_us, part.of, part.number, part.batch))
        return list(cursor.fetchall())

    def launch(self, moved: Sequence[Row], runs: Sequence[Row]) -> None:
        cursor = self._connection.cursor()
        self._begin(cursor)
        self._lock(cursor, "SELECT id, version FROM tickonce_schedules WHERE id", [row[0] for row in moved], "id")
        self._move(cursor, moved)
        cursor.executemany(
            f"INSERT INTO tickonce_runs ({', '.join(_RUN)}) VALUES ({', '.join([self.mark] * len(_RUN))})", runs
        )
        cursor.execute("COMMIT")

    def finish(self, ended: Sequence[Row]) -> None:
        cursor = self._connection.cursor()
        self._begin(cursor)
        text = "SELECT token, attempt, node, state FROM tickonce_runs WHERE token"
        self._lock(cursor, text, [row[0] for row in ended], "token")
        self._end(cursor, ended)
        cursor.execute("COMMIT")

    def _begin(self, cursor: Any) -> None:
        import random
        import sqlite3

        while True:
            try:
                cursor.execute(self.begin)
            except sqlite3.OperationalError:
                time.sleep(random.uniform(0.0005, 0.0025))  # as the store waits
            else:
                return

    def _lock(self, cursor: Any, text: str, keys: Sequence[str], by: str) -> None:
        cursor.execute(f"{text} IN ({', '.join([self.mark] * len(keys))}) ORDER BY {by} {self.lock}", keys)
        cursor.fetchall()

    def _move(self, cursor: Any, moved: Sequence[Row]) -> None:
        sets = ", ".join(f"{name} = {self.mark}" for name in _MOVED[1:])
        cursor.executemany(
            f"UPDATE tickonce_schedules SET {sets} WHERE id = {self.mark}", [(*row[1:], row[0]) for row in moved]
        )

    def _end(self, cursor: Any, ended: Sequence[Row]) -> None:
        sets = ", ".join(f"{name} = {self.mark}" for name in _ENDED[1:])
        cursor.executemany(
            f"UPDATE tickonce_runs SET {sets} WHERE token = {self.mark}", [(*row[1:], row[0]) for row in ended]
        )


class RawMysql(RawSqlite):
    """PyMySQL: many rows a statement."""

    mark = "%s"
    begin = "START TRANSACTION"
    lock = "FOR UPDATE SKIP LOCKED"

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        connection.cursor().execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

    def due(self, part: Part) -> list[Row]:
        text = (
            f"SELECT {_READ} FROM tickonce_schedules WHERE due_us <= %s AND bucket %% %s = %s ORDER BY due_us LIMIT %s"
        )
        cursor = self._connection.cursor()
        cursor.execute(text, (part.now_us, part.of, part.number, part.batch))
        return list(cursor.fetchall())

    def _begin(self, cursor: Any) -> None:
        cursor.execute(self.begin)

    def _move(self, cursor: Any, moved: Sequence[Row]) -> None:
        self._join(cursor, "tickonce_schedules", _MOVED, moved)

    def _end(self, cursor: Any, ended: Sequence[Row]) -> None:
        self._join(cursor, "tickonce_runs", _ENDED, ended)

    @staticmethod
    def _join(cursor: Any, table: str, names: Sequence[str], rows: Sequence[Row]) -> None:
        first = "SELECT " + ", ".join(f"%s AS {name}" for name in names)
        more = " UNION ALL SELECT " + ", ".join(["%s"] * len(names))
        sets = ", ".join(f"r.{name} = v.{name}" for name in names[1:])
        cursor.execute(
            f"UPDATE ({first}{more * (len(rows) - 1)}) AS v STRAIGHT_JOIN {table} AS r ON r.{names[0]} = v.{names[0]}"
            f" SET {sets}",
            [value for row in rows for value in row],
        )


_RAW: dict[str, type[RawPostgresql | RawSqlite]] = {
    "postgresql": RawPostgresql,
    "mysql": RawMysql,
    "sqlite": RawSqlite,
}


def carry_out(place: Place, part: Part) -> int:
    """Launch and finish this part's fires; return how many."""
    batches: queue.SimpleQueue[list[Row] | None] = queue.SimpleQueue()
    finisher = threading.Thread(target=_finish_all, args=(place, batches))
    finisher.start()
    try:
        with closing(place.connect()) as connection:
            return _launch_all(_RAW[place.kind](connection), part, batches)
    finally:
        batches.put(None)
        finisher.join()


def _launch_all(raw: Raw, part: Part, batches: queue.SimpleQueue[list[Row] | None]) -> int:
    node, total, now_us = f"raw-{part.number}", 0, part.now_us
    while rows := raw.due(part):
        runs = []
        moved = []
        for row in rows:
            schedule_id, at = row[0], row[6]
            token = f"{schedule_id}@{at}-as-long-as-ours"
            runs.append(
                (token, schedule_id, "nothing", '{"args":[],"kwargs":{}}', at, at, "running", 1, node, "default", 0,
                 _POLICY, at + _PERIOD_US, now_us)
            )  # fmt: skip
            moved.append((schedule_id, row[3] + 1, at, at + _PERIOD_US, at + _PERIOD_US, "active"))
        raw.launch(moved, runs)
        batches.put([(run[0], "succeeded", now_us, now_us, None) for run in runs])
        total += len(rows)
    return total


def _finish_all(place: Place, batches: queue.SimpleQueue[list[Row] | None]) -> None:
    with closing(place.connect()) as connection:
        raw = _RAW[place.kind](connection)
        while (ended := batches.get()) is not None:
            raw.finish(ended)


def _types(names: Sequence[str]) -> str:
    return ", ".join(f"%s::{_type(name)}[]" for name in names)


def _type(name: str) -> str:
    return "bigint" if name.endswith("_us") or name in ("version", "attempt", "priority") else "text"


def _arrays(rows: Sequence[Row]) -> list[str]:
    return [_array(column) for column in zip(*rows, strict=True)]


def _array(values: Sequence[Any]) -> str:
    # As text, which is several times as fast as a value at a time.
    if isinstance(values[0], int):
        return "{" + ",".join(map(str, values)) + "}"
    parts = [
        "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values
    ]
    return "{" + ",".join(parts) + "}"


def main() -> None:
    """Wait for the instant that the parent names, then carry out a part."""
    parent = Parent()
    settings = parent.settings
    place = Place(settings["store"], settings["kind"])
    parent.say(ready=True)
    for asked in parent.asked():
        time.sleep(max(0.0, asked["at"] - time.time()))
        part = Part(asked["number"], asked["of"], asked["batch"], round(asked["at"] * 1_000_000))
        fires = carry_out(place, part)
        parent.say(fires=fires, ended=time.time())


if __name__ == "__main__":
    main()
