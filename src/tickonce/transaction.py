"""``run.transaction()``: what a job writes, and that its run has succeeded, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from tickonce.errors import NotTransactional

C = TypeVar("C")
#: Takes a connection that blocks.
Step = Callable[[Any], None]


class RunTransaction(Generic[C]):
    """A block at whose end the run ends, if its transaction is committed. ``RunContext.transaction`` makes it.

    ``with`` is for connections that block, ``async with`` for SQLAlchemy's ``AsyncConnection`` and ``AsyncSession``.
    It neither begins nor commits nor rolls back: whoever began the transaction does.
    """

    def __init__(self, connection: C, *, ready: Step, end: Step) -> None:
        self._connection, self._ready, self._end = connection, ready, end

    def __enter__(self) -> C:
        """Check that the connection is in a transaction which the run can join."""
        if hasattr(self._connection, "run_sync"):
            raise NotTransactional(f"{self._kind} is asynchronous; write: async with run.transaction(...)")
        self._ready(self._connection)
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run in the transaction, unless the block was left by an error."""
        if kind is None:
            self._end(self._connection)

    async def __aenter__(self) -> C:
        """Check that the connection is in a transaction which the run can join."""
        await self._run_sync(self._ready)
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run in the transaction, unless the block was left by an error."""
        if kind is None:
            await self._run_sync(self._end)

    async def _run_sync(self, step: Step) -> None:
        run_sync = getattr(self._connection, "run_sync", None)
        if run_sync is None:
            raise NotTransactional(
                f"async with run.transaction() takes SQLAlchemy's AsyncSession or AsyncConnection, not {self._kind}; "
                "for a blocking connection write: with run.transaction(...)"
            )
        await run_sync(step)

    @property
    def _kind(self) -> str:
        return type(self._connection).__name__
