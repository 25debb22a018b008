"""One step on one cursor: the verbs of the store are written against this, whoever's transaction it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tickonce.stores.sql.dialects.base import Dialect
from tickonce.stores.sql.text import Insert, Update

Row = tuple[Any, ...]


class Answer(Protocol):
    """What a statement will have answered; reading it may wait."""

    def rows(self) -> list[Row]:
        """Return the rows."""


class Tx:
    """Statements of one step, each answered at once.

    Attributes:
        dialect: How this database is spoken to.
        own: Whether the transaction is ours; if not, it is a caller's.
        hints: Kinds of notifications to be sent with the commit.
    """

    def __init__(self, dialect: Dialect, cursor: Any, *, own: bool = True) -> None:
        self.dialect = dialect
        self.own = own
        self.hints: set[str] = set()
        self._cursor = cursor

    # -- one statement -------------------------------------------------------------------------

    def ask(self, text: str, /, **values: Any) -> Answer:
        """Send a statement whose rows are wanted; several may be on their way before the first is read."""
        return _Known(self.rows(text, **values))

    def rows(self, text: str, /, **values: Any) -> list[Row]:
        """Return all rows."""
        self._execute(text, values)
        return list(self._cursor.fetchall())

    def row(self, text: str, /, **values: Any) -> Row | None:
        """Return the first row, or None."""
        found = self.rows(text, **values)
        return found[0] if found else None

    def only(self, text: str, /, **values: Any) -> Row:
        """Return the row of a statement that always has one."""
        return self.rows(text, **values)[0]

    def tell(self, text: str, /, **values: Any) -> None:
        """Send a statement without an answer."""
        self._execute(text, values)

    def count(self, text: str, /, **values: Any) -> int:
        """Return how many rows an update or delete found."""
        self._execute(text, values)
        return int(self._cursor.rowcount)

    def insert_new(self, insert: Insert, row: Row) -> bool:
        """Insert one row unless its key is there; return whether it was inserted. The transaction stays usable."""
        return self.dialect.insert_new(self._cursor, insert, row)

    # -- many rows -----------------------------------------------------------------------------

    def insert_many(self, insert: Insert, rows: Sequence[Row]) -> None:
        """Insert rows."""
        if rows:
            self.dialect.many(self._send, insert, rows)

    def update_many(self, update: Update, rows: Sequence[Row]) -> None:
        """Update rows, each with values of its own."""
        if rows:
            self.dialect.many(self._send, update, rows)

    # -- hints ---------------------------------------------------------------------------------

    def announce(self, *kinds: str) -> None:
        """Tell listeners, once the transaction is committed, that something of these kinds has changed."""
        self.hints.update(kinds)

    def send_hints(self) -> None:
        """Send what was announced, one notification a kind; they arrive with the commit."""
        for kind in sorted(self.hints):
            self.dialect.notify(self, kind)
        self.hints.clear()

    # -- sending -------------------------------------------------------------------------------

    def _execute(self, text: str, values: dict[str, Any]) -> None:
        self._cursor.execute(self.dialect.text(text), self.dialect.bound(values))

    def _send(self, text: str, values: Any, *, many: bool = False) -> None:
        (self._cursor.executemany if many else self._cursor.execute)(text, values)


class PipelinedTx(Tx):
    """Statements of one step on a connection in pipeline mode: sent at once, answers read when they are asked for."""

    def __init__(self, dialect: Dialect, connection: Any, pipeline: Any) -> None:
        super().__init__(dialect, None)
        self._connection = connection
        self._pipeline = pipeline

    def ask(self, text: str, /, **values: Any) -> Answer:
        """Send a statement whose rows are wanted."""
        return self._ask(self.dialect.text(text), self.dialect.bound(values))

    def rows(self, text: str, /, **values: Any) -> list[Row]:
        """Return all rows."""
        return self.ask(text, **values).rows()

    def tell(self, text: str, /, **values: Any) -> None:
        """Send a statement without an answer; what is wrong with it shows at the next answer, or at the end."""
        self._connection.execute(self.dialect.text(text), self.dialect.bound(values))

    def count(self, text: str, /, **values: Any) -> int:
        """Refuse: counting would need a round trip of its own."""
        raise NotImplementedError(f"count rows outside a pipeline, or use RETURNING: {text[:40]}")

    def insert_new(self, insert: Insert, row: Row) -> bool:
        """Insert one row unless its key is there; return whether it was inserted."""
        return self.dialect.insert_new(_PipelinedCursor(self._ask), insert, row)

    def _ask(self, text: str, values: Any) -> _Coming:
        return _Coming(self._connection.execute(text, values), self._pipeline)

    def _send(self, text: str, values: Any, *, many: bool = False) -> None:
        del many  # never: many rows travel as arrays, in one statement
        self._connection.execute(text, values)


class _Known:
    __slots__ = ("_rows",)

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def rows(self) -> list[Row]:
        return self._rows


class _Coming:
    __slots__ = ("_cursor", "_pipeline")

    def __init__(self, cursor: Any, pipeline: Any) -> None:
        self._cursor = cursor
        self._pipeline = pipeline

    def rows(self) -> list[Row]:
        if self._cursor.pgresult is None:
            # A sync, not a flush: only then does the server count us as idle in a transaction while we decide, and let
            # go of our rows should we be stopped for good in the midst of it.
            self._pipeline.sync()
        return list(self._cursor.fetchall())


class _PipelinedCursor:
    """As much of a cursor as an insert needs."""

    __slots__ = ("_ask", "_coming")

    def __init__(self, ask: Callable[[str, Any], _Coming]) -> None:
        self._ask = ask

    def execute(self, text: str, values: Any) -> None:
        self._coming = self._ask(text, values)

    def fetchall(self) -> list[Row]:
        return self._coming.rows()
