"""Jobs and schedules of a program, carried out in the thread of a test: no node, no threads, no waiting."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar, overload

from tickonce.codec import decode_arguments, encode_result
from tickonce.context import RunContext
from tickonce.durations import parse_duration
from tickonce.engine.attempt import Attempt
from tickonce.engine.storetime import StoreTime
from tickonce.errors import ConfigError, ResultError
from tickonce.events import Event, EventKind
from tickonce.jobs import Call, Job
from tickonce.model import BUCKETS, Node, OnLost, Outcome, Poll, Run, RunState, Token, token_of
from tickonce.partition import Share
from tickonce.planning import plan
from tickonce.ports import ScheduleFilter, Serves
from tickonce.scheduler import Scheduler
from tickonce.settings import aware
from tickonce.testing.clock import FakeClock

R = TypeVar("R")

_START = datetime(2026, 1, 1, tzinfo=UTC)
#: Long enough for any test: this node does not beat.
_LEASE = timedelta(days=365 * 100)
_ALL = (Share(None, bytes(BUCKETS)),)
_KINDS: dict[RunState, EventKind] = {
    RunState.SUCCEEDED: "succeeded",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.PENDING: "retrying",
}


@overload
def run_inline(
    job: Job[..., Coroutine[Any, Any, R]],
    /,
    *args: Any,
    scheduled_time: datetime = ...,
    attempt: int = ...,
    **kwargs: Any,
) -> R: ...
@overload
def run_inline(
    job: Job[..., R], /, *args: Any, scheduled_time: datetime = ..., attempt: int = ..., **kwargs: Any
) -> R: ...
@overload
def run_inline(job: Call, /, *, scheduled_time: datetime = ..., attempt: int = ...) -> Any: ...
def run_inline(
    job: Job[..., Any] | Call, /, *args: Any, scheduled_time: datetime = _START, attempt: int = 1, **kwargs: Any
) -> Any:
    """Call a job's function here, inside a run, and return what it returns; coroutines too.

    The arguments pass through JSON as they do in a fleet, and the result has to be JSON. What the function raises comes
    out unchanged. ``run.sleep`` returns at once.

    Args:
        job: The job; or ``job.bind(...)``, where a parameter has the name of one of these.
        *args: Its arguments.
        scheduled_time: Of its run; aware.
        attempt: Number of the attempt; those before have failed.
        **kwargs: Its arguments by name.

    Raises:
        DefinitionError: *scheduled_time* is naive.
        BadArguments: They do not fit the job's signature, or are not JSON.
        ResultError: The result is not JSON.

    Example:
        >>> from tickonce import Jobs, current_run
        >>> jobs = Jobs("shop.")
        >>> @jobs.job(name="sync")
        ... def sync(shop: str) -> str:
        ...     return f"{shop} as of {current_run().scheduled_time:%Y-%m-%d}"
        >>> run_inline(sync, "eu", scheduled_time=datetime(2026, 11, 21, tzinfo=UTC))
        'eu as of 2026-11-21'
    """
    call = job if isinstance(job, Call) else job.bound(args, kwargs)
    clock = FakeClock(_aware(scheduled_time, "scheduled_time"), waiting_passes=True)
    instant = clock.wall()
    run = Run(
        token=token_of("inline", instant),
        schedule_id="inline",
        job=call.job_name,
        arguments=call.arguments,
        scheduled_time=instant,
        due=instant,
        state=RunState.RUNNING,
        attempt=attempt,
        failures=attempt - 1,
        node="inline",
    )
    read_args, read_kwargs = decode_arguments(call.arguments)
    with _InlineContext(run, clock=clock, report=_unheard).entered():
        result = call.job(*read_args, **read_kwargs)
        if call.job.is_async:
            result = asyncio.run(result)
    try:
        encode_result(result)
    except ValueError as error:
        raise ResultError(f"the result of job {call.job_name!r} cannot be kept: {error}") from error
    return result


def run_due(scheduler: Scheduler, *, until: datetime | timedelta | str, start: datetime | None = None) -> list[Run]:
    """Let time pass until *until*: launch and carry out all that comes due, in order, in this thread.

    Misfire and overlap policies, retries with their waits and ``start_within`` apply as in a fleet; timeouts do not. A
    run takes no time, unless it sleeps by ``run.sleep``; fires that fall into that time are dealt with when the run
    ends. All queues are served. Callbacks of ``scheduler.on`` are called before this returns.

    Args:
        scheduler: One on a memory store, with a ``FakeClock(waiting_passes=True)`` for both, such as the fixture
            ``tickonce_scheduler``.
        until: An instant, or how far from now.
        start: Instant to begin at, not in the past: what comes due before it is found late, as after an outage.

    Returns:
        The runs that were carried out, as they are then, in the order in which they began.

    Raises:
        ConfigError: The scheduler's clock is no FakeClock.
        DefinitionError: *until* or *start* is naive.
    """
    clock = scheduler.clock
    if not isinstance(clock, FakeClock):
        raise ConfigError(
            "run_due() moves the clock, so the Scheduler needs a FakeClock; see the fixture tickonce_scheduler"
        )
    return due_runs(scheduler, clock, until=until, start=start)


def due_runs(
    scheduler: Scheduler,
    clock: FakeClock,
    *,
    until: datetime | timedelta | str,
    start: datetime | None = None,
    perform: Callable[[Callable[[], Coroutine[Any, Any, None]]], object] | None = None,
) -> list[Run]:
    """Do what :func:`run_due` does; *perform* carries a coroutine function out, ``asyncio.run`` by default."""
    begin = None if start is None else _aware(start, "start")
    fixed_end = _aware(until, "until") if isinstance(until, datetime) else None
    scheduler.declare()
    if begin is not None:
        clock.advance_to(begin)
    end = fixed_end or clock.wall() + parse_duration(until, "until")  # type: ignore[arg-type]  # no datetime here
    inline = _Inline(scheduler, clock, perform or (lambda work: asyncio.run(work())))
    try:
        while True:
            worked, soonest = inline.step(end)
            if worked:
                continue
            if soonest is None or soonest > end:
                break
            clock.advance_to(soonest)
        clock.advance_to(max(end, clock.wall()))
    finally:
        inline.leave()
    scheduler.events.flush()
    return [scheduler.run(token) for token in inline.begun]


def _aware(value: datetime, name: str) -> datetime:
    found = aware(value, name)
    assert found is not None  # noqa: S101 - it is None for None only
    return found


class _InlineContext(RunContext):
    """A run whose coroutine sleeps on the test's clock, too."""

    async def _await(self, duration: timedelta) -> None:
        self._wait(duration)


def _unheard(**noted: object) -> None:
    del noted


class _Inline:
    """What a node does, step by step."""

    def __init__(
        self,
        scheduler: Scheduler,
        clock: FakeClock,
        perform: Callable[[Callable[[], Coroutine[Any, Any, None]]], object],
    ) -> None:
        self._perform = perform
        self._scheduler, self._clock, self._store = scheduler, clock, scheduler.store
        self._node = Node(id=f"inline-{os.urandom(4).hex()}", host="inline", lease=_LEASE)
        self._store.join(self._node)
        self.begun: dict[Token, None] = {}

    def leave(self) -> None:
        """Take no part any more."""
        self._store.leave(self._node.id)

    def step(self, end: datetime) -> tuple[bool, datetime | None]:
        """Do what is due now; return whether there was anything, and when there is more to do."""
        serves = self._serves()
        poll, launched = self._tick(serves, end)
        self._store.lapse()
        # A run that slept may have taken the clock past the end: what comes due behind that is left alone.
        some = launched or (poll.next_run is not None and poll.next_run <= end)
        runs = self._store.claim(self._node.id, serves=serves, limit=1) if some else []
        for run in runs:
            self._carry_out(run, serves, end)
        now = self._clock.wall()
        later = [each for each in (poll.next_here, poll.next_run) if each is not None and each > now]
        return launched or bool(runs), min(later, default=None)

    def _tick(self, serves: Serves, end: datetime) -> tuple[Poll, bool]:
        """Launch what is due; whether there was anything."""
        horizon = max(end - self._clock.wall(), timedelta(0)) + timedelta(microseconds=1)
        poll = self._store.due(_ALL, takeover_after=timedelta(0), serves=serves, limit=500, horizon=horizon)
        plans = [plan(schedule, min(poll.instant, end)) for schedule in poll.due if schedule.definition.known]
        launched = self._store.launch(
            self._node.id, [each for each in plans if each is not None], slots=0, serves=serves
        )
        for change in launched.changes:
            for skip in change.skips:
                self._emit(Event(kind="skipped", schedule_id=skip.schedule_id, skip=skip, reason=skip.reason))
        return poll, bool(launched.changes)

    def _carry_out(self, run: Run, serves: Serves, end: datetime) -> None:
        self.begun.setdefault(run.token)
        job = self._scheduler.jobs.find(run.job)
        assert job is not None, run.job  # noqa: S101 - it was claimed because it is known
        time = StoreTime(self._clock)
        time.learned(self._store.instant(), sent=self._clock.monotonic())
        outcomes: list[Outcome] = []
        attempt = Attempt(
            run,
            job,
            self._node.id,
            clock=self._clock,
            time=time,
            gate=self._gate,
            ended=lambda _, outcome: outcomes.append(outcome),
            report=_unheard,
            using=self._store.using,
        )
        attempt.context = _InlineContext(run, clock=self._clock, report=partial(self._note, run))
        if job.is_async:
            self._perform(attempt.perform_async)
        else:
            attempt.perform()
        self._tick(serves, end)  # while the run is still open: overlap counts it
        self._store.finish(outcomes)
        for outcome in outcomes:
            kind = _KINDS[outcome.state]
            self._emit(Event(kind=kind, schedule_id=run.schedule_id, run=run, outcome=outcome, reason=outcome.reason))

    def _gate(self, attempt: Attempt) -> bool:
        attempt.begin()
        run = attempt.run
        if run.policy.on_lost is OnLost.FAIL:
            self._store.began(self._node.id, run.token, run.attempt, at=self._store.instant())
        return True

    def _note(self, run: Run, *, progress: float, message: str) -> None:
        del message  # kept nowhere yet
        self._store.note(self._node.id, run.token, run.attempt, progress=progress)

    def _serves(self) -> Serves:
        queues: set[str] = set()
        cursor: str | None = None
        while True:
            page = self._store.schedules(ScheduleFilter(removed=True), limit=1000, cursor=cursor)
            queues.update(schedule.definition.queue for schedule in page.items)
            cursor = page.cursor
            if cursor is None:
                return Serves(jobs=self._scheduler.jobs.names(), queues=frozenset(queues))

    def _emit(self, event: Event) -> None:
        self._scheduler.events.emit(event)
