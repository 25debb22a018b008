"""What the demo's jobs did, in a file of its own: none of tickonce's tables, and no index that could hide a double."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_TABLE = """CREATE TABLE IF NOT EXISTS ledger (
    schedule_id TEXT NOT NULL, scheduled_time TEXT NOT NULL, attempt INTEGER NOT NULL, node TEXT NOT NULL,
    started_at TEXT NOT NULL, fetched INTEGER NOT NULL
)"""
_COLUMNS = "schedule_id, scheduled_time, attempt, node, started_at, fetched"


@dataclass(frozen=True, slots=True)
class Row:
    """One tick that was carried out.

    Attributes:
        node: Name of the process that did it.
        started_at: This machine's clock when the job began.
        fetched: Rows that it read from the feed.
    """

    schedule_id: str
    scheduled_time: datetime
    attempt: int
    node: str
    started_at: datetime
    fetched: int


def create(path: Path) -> None:
    """Make an empty ledger."""
    with closing(_open(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(_TABLE)


def insert(path: Path, row: Row) -> None:
    """Add a row; nothing stops the same one from being added again."""
    values = (
        row.schedule_id,
        row.scheduled_time.isoformat(),
        row.attempt,
        row.node,
        row.started_at.isoformat(),
        row.fetched,
    )
    with closing(_open(path)) as connection:
        connection.execute(f"INSERT INTO ledger ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", values)  # noqa: S608 - our own columns


def read(path: Path) -> list[Row]:
    """Return all rows, in the order in which they were added."""
    with closing(_open(path)) as connection:
        found = connection.execute(f"SELECT {_COLUMNS} FROM ledger ORDER BY rowid").fetchall()  # noqa: S608 - our own columns
    return [
        Row(schedule_id, datetime.fromisoformat(scheduled), attempt, node, datetime.fromisoformat(started), fetched)
        for schedule_id, scheduled, attempt, node, started, fetched in found
    ]


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    # A killed process loses nothing that it has written; only a power cut could.
    connection.execute("PRAGMA synchronous=OFF")
    return connection
