"""What becomes of a run: a pure function for each arrow between its states."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tickonce.codec import keep
from tickonce.model import Definition, Fire, NodeId, OnLost, Outcome, Reason, Run, RunState, run_with


def pending(fire: Fire, definition: Definition, now: datetime) -> Run:
    """Return the run of *fire*, free to be claimed once it is due."""
    return Run(
        token=fire.token,
        schedule_id=fire.schedule_id,
        job=definition.job,
        arguments=definition.arguments,
        scheduled_time=fire.scheduled_time,
        due=fire.due,
        queue=definition.queue,
        priority=definition.priority,
        policy=definition.policy,
        start_by=fire.start_by,
        created_at=now,
    )


def free(run: Run, now: datetime) -> bool:
    """Whether a node may take the run: pending, due, not too late to start."""
    return run.state is RunState.PENDING and run.due <= now and not too_late(run, now)


def too_late(run: Run, now: datetime) -> bool:
    """Whether the run's time to start is over."""
    return run.start_by is not None and run.start_by <= now


def claimed(run: Run, node_id: NodeId) -> Run:
    """Return the run as a new attempt of the node, whose function is not called yet."""
    return run_with(
        run,
        state=RunState.RUNNING,
        attempt=run.attempt + 1,
        node=node_id,
        started_at=None,
        overdue=False,
        progress=None,
    )


def again(run: Run, due: datetime, **more: Any) -> Run:
    """Return the run as pending from *due* on, and *more* of it changed. Its time to start counts from the due time."""
    return run_with(
        run,
        state=RunState.PENDING,
        due=due,
        start_by=None if run.start_by is None else run.start_by + (due - run.due),
        node=None,
        started_at=None,
        finished_at=None,
        overdue=False,
        progress=None,
        **more,
    )


def finished(run: Run, outcome: Outcome, now: datetime) -> Run:
    """Return the run after an attempt that ended like *outcome*."""
    # Why an earlier attempt was cut short says nothing about one that came to an end of its own.
    of_its_own = outcome.failed or outcome.state in (RunState.SUCCEEDED, RunState.FAILED)
    before = None if of_its_own and not run.cancelling else run.reason
    reason = before if outcome.reason is None else keep(outcome.reason)
    error = run.error if outcome.error is None else keep(outcome.error)
    failures = run.failures + outcome.failed
    if outcome.state is RunState.PENDING and not run.cancelling:
        # A hand-back is free at once, whatever it says.
        due = outcome.due if outcome.failed and outcome.due is not None else now
        return again(run, due, failures=failures, error=error, reason=reason)
    result = outcome.result
    if result is not None and not _storable(result):
        result, error = None, "the result was dropped: it holds NUL or a lone surrogate, which databases refuse"
    return ended(
        run,
        RunState.CANCELLED if outcome.state is RunState.PENDING else outcome.state,
        outcome.finished_at or now,
        reason=reason,
        failures=failures,
        started_at=outcome.started_at or run.started_at,
        result=result,
        error=error,
    )


def ended(run: Run, state: RunState, at: datetime, **more: Any) -> Run:
    """Return the run in a final state, and *more* of it changed. Its node stays, for people."""
    return run_with(run, state=state, finished_at=at, overdue=False, **more)


def recovered(run: Run, now: datetime) -> Run:
    """Return the run after its node was found to be gone."""
    losses = run.losses + 1
    if run.cancelling:
        return ended(run, RunState.CANCELLED, now, losses=losses)
    called = run.started_at is not None
    if (called and run.policy.on_lost is OnLost.FAIL) or losses > run.policy.max_losses:
        return ended(run, RunState.LOST, now, losses=losses)
    return again(run, now, losses=losses)


def lapsed(run: Run, now: datetime) -> Run:
    """Return the run after its time to start was over."""
    return ended(run, RunState.SKIPPED, now, reason=Reason.TOO_LATE)


def cancelled(run: Run, now: datetime, *, by: str) -> Run:
    """Return the run after somebody wanted it to stop: ended if it waits, marked if a node has it."""
    reason = f"cancelled by {by}" if by else "cancelled"
    if run.state is RunState.PENDING:
        return ended(run, RunState.CANCELLED, now, reason=reason)
    return run_with(run, cancelling=True, reason=reason)


def retried(run: Run, now: datetime, *, by: str) -> Run:
    """Return an ended run as pending again; only the attempt, being a fence, goes on counting."""
    reason = f"retried by {by}" if by else None
    return again(run, now, failures=0, losses=0, cancelling=False, result=None, error=None, reason=reason)


def _storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text
