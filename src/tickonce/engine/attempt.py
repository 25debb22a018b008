"""One attempt at a run: calls the job's function and says how it ended."""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import timedelta

from tickonce.codec import decode_arguments, encode_result, keep
from tickonce.context import RunContext
from tickonce.engine.storetime import StoreTime
from tickonce.errors import BadArguments, ResultError, RunCancelled, RunTimeout
from tickonce.jobs import Job
from tickonce.model import NodeId, OnLost, Outcome, Run, RunState
from tickonce.ports import Clock, Joined, Surroundings
from tickonce.retry import NO_RETRIES
from tickonce.threads import hearing_signals

_log = logging.getLogger("tickonce.run")

_NOTHING = nullcontext()


class Attempt:
    """Work for a runner. It asks *gate* once more just before the function is called, and hands its outcome to *ended*.

    Attributes:
        came: Monotonic time at which the node took it.
        deadline: Monotonic time at which its timeout is over, once it has begun.
        overdue: It ignored its timeout and still runs.
        thread: In which it is carried out, once that has begun; tasks of a loop share one.
    """

    def __init__(
        self,
        run: Run,
        job: Job[..., object],
        node: NodeId,
        *,
        clock: Clock,
        time: StoreTime,
        gate: Callable[[Attempt], bool],
        ended: Callable[[Attempt, Outcome], None],
        report: Callable[..., None],
        using: Callable[[object], Joined],
        around: Surroundings | None = None,
    ) -> None:
        self.run, self.job, self.node = run, job, node
        self.context = RunContext(run, clock=clock, report=report, ready=self._may_end_within, end=self._end_within)
        self.interrupt: Callable[[], None] | None = None
        self.deadline: timedelta | None = None
        self.overdue = False
        self.begun = False
        self.thread: int | None = None
        self.came = clock.monotonic()
        self._clock, self._time, self._gate, self._ended, self._using = clock, time, gate, ended, using
        self._around = around
        self._started_at = run.started_at

    @property
    def key(self) -> tuple[str, int]:
        """Token and attempt."""
        return self.run.token, self.run.attempt

    @property
    def timeout(self) -> timedelta | None:
        """How long it may take."""
        return self.run.policy.timeout or self.job.options.timeout

    def stop(self, reason: str) -> None:
        """Ask it to stop: coroutines are cancelled, functions are told."""
        self.context.cancel(reason)
        # One that has not begun meets the gate, which sees the reason; a task cancelled before its first step would end
        # without a word.
        if self.begun and self.interrupt is not None:
            self.interrupt()

    def begin(self) -> None:
        """Start its time; the gate calls this when it lets the attempt through."""
        self._started_at = self._time.now()
        if self.timeout is not None:
            self.deadline = self._clock.monotonic() + self.timeout
        self.begun = True
        if _log.isEnabledFor(logging.DEBUG):  # few look, and each run would pay for the record
            with suppress(Exception):  # a log filter of the program
                _log.debug("run %s begins (attempt %d)", self.run.token, self.run.attempt, extra=self.extra)

    def perform(self) -> None:
        """Carry it out in this thread."""
        self.thread = threading.get_ident()
        if not self._gate(self):
            return
        try:
            args, kwargs = self._arguments()
            around = _NOTHING if self._around is None else self._around.of_function()
            with self.context.entered(), around, hearing_signals():
                result = self.job.function(*args, **kwargs)
            outcome = self._success(result)
        except BaseException as error:  # noqa: BLE001  # SystemExit in a job ends the job, not the node
            outcome = self._failed(error)
        self._end(outcome)

    async def perform_async(self) -> None:
        """Carry it out on this event loop."""
        self.thread = threading.get_ident()
        if self.run.policy.on_lost is OnLost.FAIL:
            # Here the gate asks the store, and the loop must not wait for that.
            through = await self._gated()
        else:
            through = self._gate(self)
        if not through:
            return
        try:
            if self.context.cancel_reason is not None:
                raise asyncio.CancelledError
            args, kwargs = self._arguments()
            around = _NOTHING if self._around is None else self._around.of_coroutine()
            with self.context.entered():
                async with around:
                    result = await self.job.function(*args, **kwargs)  # type: ignore[misc]  # it is a coroutine function
            outcome = self._success(result)
        except BaseException as error:  # noqa: BLE001  # a cancelled task, too, has an outcome
            outcome = self._failed(error)
        self._end(outcome)

    def _may_end_within(self, connection: object) -> None:
        self._using(connection).ready()

    def _end_within(self, connection: object) -> bool:
        """Say in the job's own transaction that it has succeeded; whether that counts is seen when it commits."""
        return self._using(connection).end(self.outcome(RunState.SUCCEEDED))

    def _end(self, outcome: Outcome) -> None:
        if _log.isEnabledFor(logging.DEBUG):
            with suppress(Exception):  # a log filter of the program; the outcome must not be lost for it
                text = "run %s ends: %s (attempt %d)"
                _log.debug(text, self.run.token, outcome.state, self.run.attempt, extra=self.extra)
        self._ended(self, outcome)

    async def _gated(self) -> bool:
        """Ask the gate in a thread. A cancel meanwhile is heard behind it: what has begun must have an outcome."""
        asked = asyncio.ensure_future(asyncio.to_thread(self._gate, self))
        while not asked.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(asked)
        return asked.result()

    def outcome(self, state: RunState, **more: object) -> Outcome:
        """Return an outcome of this attempt."""
        return Outcome(
            token=self.run.token,
            attempt=self.run.attempt,
            node=self.node,
            state=state,
            started_at=self._started_at,
            finished_at=self._time.now(),
            **more,  # type: ignore[arg-type]
        )

    def _arguments(self) -> tuple[tuple[object, ...], dict[str, object]]:
        try:
            return decode_arguments(self.run.arguments)
        except ValueError as error:
            raise BadArguments(self.run.job, reason=str(error)) from error

    def _success(self, result: object) -> Outcome:
        if self.context.cancel_reason == "timeout":
            raise self._timed_out()
        try:
            text = None if result is None else encode_result(result)
        except ValueError as error:
            raise ResultError(
                f"the job ended well, but its result cannot be kept: {error}; return None or plain JSON values"
            ) from error
        return self.outcome(RunState.SUCCEEDED, result=text)

    def _failed(self, error: BaseException) -> Outcome:
        """Return the outcome of a failure, whatever goes wrong in telling of it: a run without one is never over."""
        try:
            return self._failure(error)
        except BaseException as fault:  # noqa: BLE001  # a log filter, a __str__, a traceback that cannot be formatted
            text = f"{type(error).__name__}; its traceback could not be told: {type(fault).__name__}"
            return self.outcome(RunState.FAILED, failed=True, error=text)

    def _failure(self, error: BaseException) -> Outcome:
        reason = self.context.cancel_reason
        if reason == "timeout" and not isinstance(error, RunTimeout):
            late = self._timed_out()
            late.__cause__ = error
            error = late
        if isinstance(error, asyncio.CancelledError | RunCancelled) and reason is not None:
            return self.cut_off(reason)
        text = keep("".join(traceback.format_exception(error)))
        failures = self.run.failures + 1
        retry = self.run.policy.retry or self.job.options.retry or NO_RETRIES
        wait = retry.wait(failures, token=self.run.token)
        then = "no retry is left" if wait is None else f"retry in {wait.total_seconds():.1f} s"
        _log.error(
            "run %s failed (attempt %d, failure %d; %s)",
            self.run.token,
            self.run.attempt,
            failures,
            then,
            exc_info=error,
            extra=self.extra,
        )
        if wait is None:
            return self.outcome(RunState.FAILED, failed=True, error=text)
        return self.outcome(RunState.PENDING, failed=True, error=text, due=self._time.now() + wait)

    def cut_off(self, reason: str) -> Outcome:
        """Return the outcome where it does not come to its own end."""
        if reason == "cancelled":
            return self.outcome(RunState.CANCELLED, reason=reason)
        if self.run.policy.on_lost is OnLost.FAIL:
            return self.outcome(RunState.LOST, reason=f"interrupted: {reason}")
        return self.outcome(RunState.PENDING, reason=reason)

    def _timed_out(self) -> RunTimeout:
        return RunTimeout(self.run.token, seconds=(self.timeout or timedelta(0)).total_seconds())

    @property
    def extra(self) -> dict[str, object]:
        """What log records about this attempt carry."""
        run = self.run
        return {"token": run.token, "attempt": run.attempt, "schedule_id": run.schedule_id, "job": run.job}
