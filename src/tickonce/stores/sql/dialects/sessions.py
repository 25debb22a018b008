"""What PostgreSQL is set to for us: once in a session of our own, else with each transaction.

A pooler in transaction mode (PgBouncer) lends each transaction whichever session of the server is free. What one sets
for the session then reaches strangers, and is not there for the next transaction of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

#: How long a statement of ours waits for a row that somebody else has locked; the few that wait at all.
LOCK_S = 1

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"

_MILLISECOND = timedelta(milliseconds=1)


def opening(pid: int, deadline: timedelta, *, pooled: bool) -> str:
    """Return the first statement on a new connection; it answers whether a pooler stands between.

    A server tells each client at the start, for cancelling, which of its processes serves it. A pooler answers in the
    server's place, with a number of its own. Only where the session is ours, the settings outlive the statement.

    Args:
        pid: What we were told at the start.
        deadline: How long a statement may take.
        pooled: Whether to take a pooler for granted.
    """
    lent = "true" if pooled else f"pg_backend_pid() <> {pid}"
    settings = {
        # The role or the database may have other defaults, and steps rely on each of these.
        "default_transaction_isolation": "read committed",
        "TimeZone": "UTC",
        "bytea_output": "hex",
        **_limits(deadline),
    }
    return f"SELECT {lent}, {_set(settings, local=lent)}"


def with_each(deadline: timedelta) -> str:
    """Return the statement that follows BEGIN in a session that is lent for one transaction."""
    # NULL takes back what another client of the pool may have left: it would lead to other tables, or lose commits.
    return f"SELECT {_set({'search_path': None, 'synchronous_commit': None, **_limits(deadline)}, local='true')}"


def _limits(deadline: timedelta) -> dict[str, str | None]:
    timeout_ms = str(deadline // _MILLISECOND)
    return {
        "lock_timeout": f"{LOCK_S}s",
        "statement_timeout": timeout_ms,
        # A process that is stopped in the midst of a step must not hold its rows for longer.
        "idle_in_transaction_session_timeout": timeout_ms,
        # Our statements find their rows by index. Statistics from when a table was small, or from before a burst,
        # would have whole tables read for a few rows, and what that seems to cost, compiled.
        "enable_seqscan": "off",
        "enable_bitmapscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "jit": "off",
    }


def _set(settings: dict[str, str | None], *, local: str) -> str:
    return ", ".join(
        f"set_config('{name}', {'NULL' if value is None else repr(value)}, {local})" for name, value in settings.items()
    )


@contextmanager
def pipelined(raw: Any) -> Iterator[Any]:
    """Give psycopg's pipeline. Of several errors the first is raised, and its log stays free of those that follow."""
    first: BaseException | None = None
    try:
        with raw.pipeline() as pipeline:
            try:
                yield pipeline
            except BaseException as error:  # noqa: BLE001  # raised below, once the pipeline has ended
                first = error
    except Exception as error:  # noqa: BLE001  # of the first, which is raised below
        if first is None:
            # That a pipeline cannot be ended any more is but what follows, too.
            before = error.__context__
            raise before if isinstance(before, raw.Error) else error from None
    if first is not None:
        raise first


class AloneCursor:
    """A cursor in a lent session: each statement is a transaction with our settings, sent and answered in one go."""

    def __init__(self, raw: Any, cursor: Any, settings: str) -> None:
        self._raw, self._cursor, self._settings = raw, cursor, settings

    def execute(self, text: str, values: Any) -> None:
        """Carry out one statement."""
        raw = self._raw
        with pipelined(raw):
            raw.execute(BEGIN)
            raw.execute(self._settings)
            self._cursor.execute(text, values)
            raw.execute("COMMIT")

    def fetchall(self) -> list[Any]:
        """Return all rows."""
        return list(self._cursor.fetchall())

    @property
    def rowcount(self) -> int:
        """How many rows the statement found."""
        return int(self._cursor.rowcount)
