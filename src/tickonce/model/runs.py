"""Fires, what is decided about them, and the runs that carry them out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tickonce.model.identity import NodeId, Token, token_of
from tickonce.model.schedules import DEFAULT_POLICY, Policy, Schedule
from tickonce.model.words import RunState, ScheduleState


@dataclass(frozen=True, slots=True)
class Fire:
    """One occurrence of a schedule.

    Attributes:
        scheduled_time: The identity, together with the schedule.
        due: When it may start.
        start_by: When it is too late to start, or None.
    """

    schedule_id: str
    scheduled_time: datetime
    due: datetime
    start_by: datetime | None = None

    @property
    def token(self) -> Token:
        """Text of the fire and key of its run."""
        return token_of(self.schedule_id, self.scheduled_time)


@dataclass(frozen=True, slots=True)
class Skip:
    """Consecutive fires that were not run, with the reason.

    Attributes:
        count: How many; a lower bound when *more* is set.
    """

    schedule_id: str
    reason: str
    first: datetime
    last: datetime
    count: int
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do with a schedule's due fires; decided without knowing how many runs are open.

    Attributes:
        schedule: The schedule as it was read; the plan holds only while its version does.
        fires: To be launched in this order, as far as there is room.
        skips: Dropped whatever is open; all of them before *fires*.
        watermark: Where the schedule stands afterwards.
        next_fire: Its next fire afterwards, or None.
        due: When that one is due.
        state: The schedule's state afterwards.
    """

    schedule: Schedule
    fires: tuple[Fire, ...]
    skips: tuple[Skip, ...]
    watermark: datetime
    next_fire: datetime | None
    due: datetime | None
    state: ScheduleState


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an atomic step writes: the schedule's row, new runs, skip records.

    Attributes:
        schedule: The row as it becomes; the store raises the version itself.
        runs: Fires that get a pending (or fused) run.
        manual: Runs started by hand, pending.
        skips: Skip records, oldest first.
        extends: ``first`` of the record that the first of *skips* continues, or None: each is a record of its own.
    """

    schedule: Schedule
    runs: tuple[Fire, ...] = ()
    manual: tuple[Run, ...] = ()
    skips: tuple[Skip, ...] = ()
    extends: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A fire being carried out, or carried out.

    Attributes:
        token: Key of the run.
        attempt: Raised by every claim; a fence, never compared with a limit.
        failures: How often it failed.
        losses: How often its node was gone.
        node: Who holds it while it runs, or held it when it ended.
        due: When it may start: the fire's due time, or a retry's.
        start_by: When it is too late to start, or None.
        overdue: Its thread ignored the timeout and still runs.
        cancelling: It was asked to stop.
        source: ``schedule``, or ``manual`` for one started by hand.
        result: What the job returned, as JSON text, at most 64 KB.
        error: Traceback or message of the last failure, at most 64 KB.
        reason: Why it was skipped or cancelled.
    """

    token: Token
    schedule_id: str
    job: str
    arguments: str
    scheduled_time: datetime
    due: datetime
    state: RunState = RunState.PENDING
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    node: NodeId | None = None
    queue: str = "default"
    priority: int = 0
    policy: Policy = DEFAULT_POLICY
    start_by: datetime | None = None
    source: str = "schedule"
    created_at: datetime | None = None
    created_by: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    overdue: bool = False
    cancelling: bool = False
    progress: float | None = None
    result: str | None = None
    error: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended. Accepted only while node, attempt and state still match.

    Attributes:
        state: SUCCEEDED, FAILED, CANCELLED, LOST; PENDING for a retry (``failed=True``) or a hand-back.
        due: When a retry may start.
        failed: Whether the attempt counts as a failure.
    """

    token: Token
    attempt: int
    node: NodeId
    state: RunState
    started_at: datetime | None = None
    finished_at: datetime | None = None
    due: datetime | None = None
    failed: bool = False
    result: str | None = None
    error: str | None = None
    reason: str | None = None
