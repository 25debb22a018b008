"""What a job sees of its run: ``current_run()``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from math import isnan
from typing import Any, TypeVar, overload

from tickonce.durations import parse_duration
from tickonce.errors import LeaseLost, NotInRun, RunCancelled, RunError
from tickonce.model import LONGEST, NodeId, Run, Token
from tickonce.ports import Clock, Signal
from tickonce.transaction import RunTransaction

C = TypeVar("C")
T = TypeVar("T")

_log = logging.getLogger("tickonce.run")
_current: ContextVar[RunContext] = ContextVar("tickonce_run")
_NONE_GIVEN = object()
_making = threading.Lock()


def _nothing_to_check(connection: object) -> None:
    del connection


def _ends_elsewhere(connection: object) -> bool:
    """Where a test carries a job out, its transaction is its own: the run ends when the job does."""
    del connection
    return True


class RunContext:
    """One attempt at a run, as its job sees it. The engine makes it; jobs get it from :func:`current_run`.

    Its methods may be called from any thread.

    Attributes:
        token: Key of the run; the same at each attempt, so it serves as idempotency key towards other systems.
        schedule_id: The schedule whose fire this is.
        job: Name of the job.
        scheduled_time: When it was scheduled, in UTC; the same at each attempt, however late this one is.
        attempt: 1 at the first try; each retry and rerun raises it.
        failures: How often the run has failed before.
        shard: Always None; kept free for runs that are split.
        node: The node that carries it out.
        source: ``schedule`` or ``manual``.
    """

    def __init__(
        self,
        run: Run,
        *,
        clock: Clock,
        report: Callable[..., None],
        ready: Callable[[object], None] = _nothing_to_check,
        end: Callable[[object], bool] = _ends_elsewhere,
    ) -> None:
        self.token: Token = run.token
        self.schedule_id: str = run.schedule_id
        self.job: str = run.job
        self.scheduled_time: datetime = run.scheduled_time
        self.attempt: int = run.attempt
        self.failures: int = run.failures
        self.shard: int | None = None
        self.node: NodeId | None = run.node
        self.source: str = run.source
        self._clock = clock
        self._report, self._ready, self._end = report, ready, end
        self._reason: str | None = None
        self._in_transaction = False
        # Made when a job first uses them: few jobs do, and each run would pay for them.
        self._log: logging.LoggerAdapter[logging.Logger] | None = None
        self._wake: Signal | None = None

    def __repr__(self) -> str:
        return f"<run {self.token}, attempt {self.attempt}>"

    # -- for the job ---------------------------------------------------------------------------

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """Logger ``tickonce.run`` whose records carry token, attempt, schedule_id and job as ``extra``."""
        if self._log is None:
            extra = {
                "token": self.token,
                "attempt": self.attempt,
                "schedule_id": self.schedule_id,
                "job": self.job,
            }
            self._log = _RunLog(_log, extra)
        return self._log

    def progress(self, fraction: float, message: str = "") -> None:
        """Tell people how far the run is: *fraction* from 0 to 1; what lies outside is taken as the nearest bound.

        Cheap: the node writes the newest one at most once a second.
        """
        self._report(progress=min(1.0, max(0.0, float(fraction))), message=message)

    @property
    def cancelled(self) -> bool:
        """Whether the run was asked to stop, for whatever reason."""
        return self._reason is not None

    @property
    def cancel_reason(self) -> str | None:
        """Why it was asked to stop: ``cancelled``, ``timeout``, ``cut off`` or ``stopping``; None while it was not."""
        return self._reason

    def check(self) -> None:
        """Go on, or end here if the run was asked to stop. Call it wherever the job can be left.

        Raises:
            RunCancelled: The run was asked to stop. Let it pass through: it ends the attempt in order.
        """
        if self._reason is not None:
            raise RunCancelled(self.token, reason=self._reason)

    def sleep(self, duration: timedelta | str | float) -> None:
        """Wait for *duration* (a number is seconds), or until the run is asked to stop.

        Raises:
            RunCancelled: The run was asked to stop, before or meanwhile.
            RunError: It was called on an event loop, which would stand still: ``await run.asleep(...)`` there.
        """
        if _on_event_loop():
            raise RunError("run.sleep() would stop the event loop for all jobs; write: await run.asleep(...)")
        self._wait(_length(duration))

    async def asleep(self, duration: timedelta | str | float) -> None:
        """Wait for *duration* (a number is seconds) without stopping the event loop.

        A coroutine that is asked to stop is cancelled by its node, which ends this wait, too.

        Raises:
            RunCancelled: The run was asked to stop before.
        """
        self.check()
        await self._await(_length(duration))
        self.check()

    def transaction(self, connection: C) -> RunTransaction[C]:
        """Let the run end in the transaction that *connection* is in: what the job writes there counts once, or not.

        At the end of the block the run is written down as succeeded, as the last statement of the caller's transaction,
        and only if this attempt still owns the run. Commit right behind it; a result that the job returns later is not
        kept. If the block or the commit fails nothing has happened, and the run fails or is tried again, as ever::

            with engine.begin() as connection, current_run().transaction(connection):
                connection.execute(...)

        Args:
            connection: As for ``Scheduler.using``: SQLAlchemy's, Django's or the driver's own, to the store's database.
                With ``async with``, SQLAlchemy's ``AsyncConnection`` or ``AsyncSession``.

        Raises:
            NotTransactional: The store, or this kind of connection, cannot do that, or it is in no transaction.
            LeaseLost: At the end of the block: another attempt owns the run. Let it pass, so that all is rolled back.
            RunCancelled: At the end of the block: the run is over its timeout.
            RunError: The run has had its transaction.
        """
        if self._in_transaction:
            raise RunError(f"run {self.token} has had its transaction; a run ends once")
        self._in_transaction = True
        return RunTransaction(connection, ready=self._ready, end=self._end_within)

    def _end_within(self, connection: object) -> None:
        if self._reason == "timeout":
            self.check()
        if not self._end(connection):
            raise LeaseLost(self.token, attempt=self.attempt)

    async def _await(self, duration: timedelta) -> None:
        import asyncio

        await asyncio.sleep(duration.total_seconds())

    def _wait(self, duration: timedelta) -> None:
        wake = self._waking()
        until = self._clock.monotonic() + duration
        while True:
            self.check()
            left = until - self._clock.monotonic()
            if left <= timedelta(0):
                return
            if wake.wait(left):
                wake.set()  # other threads of this job may sleep, too

    def _waking(self) -> Signal:
        """Return what wakes those who sleep. Made before they look for a reason to stop, so that none is missed."""
        with _making:
            if self._wake is None:
                self._wake = self._clock.signal()
            return self._wake

    # -- for the engine ------------------------------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        """Whether the job has asked to end its run in a transaction of its own, committed or not."""
        return self._in_transaction

    def cancel(self, reason: str) -> None:
        """Ask the job to stop. The first reason stays."""
        if self._reason is None:
            self._reason = reason
        # Read after the reason is written: one who has not made it yet will see the reason.
        if self._wake is not None:
            self._wake.set()

    @contextmanager
    def entered(self) -> Iterator[RunContext]:
        """Make this the current run of the thread or task, for the length of the block."""
        before = _current.set(self)
        try:
            yield self
        finally:
            _current.reset(before)


@overload
def current_run() -> RunContext: ...
@overload
def current_run(default: T) -> RunContext | T: ...
def current_run(default: Any = _NONE_GIVEN) -> Any:
    """Return the run that is being carried out here.

    A thread that the job starts does not know it, unless the job hands its context on:
    ``Thread(target=contextvars.copy_context().run, args=(function,))``. Tasks and ``asyncio.to_thread`` do so by
    themselves.

    Args:
        default: Returned outside a run, for code that is also used elsewhere: ``current_run(None)``.

    Raises:
        NotInRun: There is no run here and no *default* was given.

    Example:
        >>> current_run(None) is None
        True
    """
    found = _current.get(None)
    if found is not None:
        return found
    if default is _NONE_GIVEN:
        raise NotInRun
    return default


class _RunLog(logging.LoggerAdapter[logging.Logger]):
    """Adds what identifies the run to ``extra`` and keeps what the caller puts there."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, {**kwargs, "extra": {**(kwargs.get("extra") or {}), **(self.extra or {})}}


def _length(duration: timedelta | str | float) -> timedelta:
    if not isinstance(duration, int | float):
        return min(parse_duration(duration, "sleep", error=RunError), LONGEST)
    if isnan(duration):
        raise RunError("sleep: NaN is no length of time")
    return timedelta(seconds=min(max(0.0, duration), LONGEST.total_seconds()))


def _on_event_loop() -> bool:
    import sys

    asyncio = sys.modules.get("asyncio")  # without it no loop can run, and it need not be imported to know
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
