"""What people do to a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from tickonce.editing.settling import (
    amend,
    existing,
    lapsed,
    make,
    move_on,
    next_due_of,
    pause_over,
    settle,
    touch,
    with_changes,
)
from tickonce.errors import DefinitionError, RevisionMismatch, RunOpen, ScheduleExists, WrongState
from tickonce.model import (
    Change,
    Definition,
    Misfire,
    Reason,
    Run,
    Schedule,
    ScheduleState,
    manual_token,
)
from tickonce.planning import folded, next_due


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Add a schedule; *if_exists* says what a schedule with that id means."""

    schedule_id: str
    definition: Definition
    if_exists: Literal["error", "keep", "update"] = "error"
    by: str = ""

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        if schedule is not None and schedule.state is not ScheduleState.REMOVED:
            if self.if_exists == "error":
                raise ScheduleExists(self.schedule_id)
            if self.if_exists == "keep":
                return None
            return amend(now, schedule, self.definition, open_runs, by=self.by, person=True)
        made = make(self.schedule_id, self.definition, now, schedule, source="api", by=self.by)
        if made.state is ScheduleState.ENDED:
            raise DefinitionError(f"schedule {self.schedule_id!r} would never fire: nothing is due after {now}")
        return Change(schedule=made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amend:
    """Change fields of a definition or of its policy.

    Attributes:
        changes: By name: fields of ``Definition`` and of ``Policy``.
        expected_revision: Refuse if somebody edited the schedule since.
    """

    schedule_id: str
    changes: Mapping[str, Any]
    expected_revision: int | None = None
    by: str = ""

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        found = existing(self.schedule_id, schedule)
        if self.expected_revision is not None and found.revision != self.expected_revision:
            raise RevisionMismatch(self.schedule_id, expected=self.expected_revision, found=found.revision)
        return amend(now, found, with_changes(found.definition, self.changes), open_runs, by=self.by, person=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Pause, until *until* if given; pausing again changes reason and end."""

    schedule_id: str
    reason: str = ""
    until: datetime | None = None
    by: str = ""

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        del open_runs  # what runs goes on
        found = existing(self.schedule_id, schedule)
        if found.state is ScheduleState.ENDED:
            raise WrongState(f"schedule {self.schedule_id!r}", state="ended", wanted="active")
        if self.until is not None and self.until <= now:
            raise DefinitionError(f"until must be in the future, got {self.until}; it is {now}")
        skips = lapsed(found, now, Reason.PAUSED)
        next_fire, due = (None, None) if self.until is None else next_due_of(found, found.definition, self.until)
        after = replace(
            touch(found, now, self.by),
            state=ScheduleState.PAUSED,
            reason=self.reason or None,
            paused_until=self.until,
            watermark=max(found.watermark, now),
            next_fire=next_fire,
            due=due,
        )
        return folded(found, Change(schedule=after, skips=skips))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Go on after a pause, or after the schedule was set aside.

    Attributes:
        missed: What happens to the fires since: one skip record (None), the newest runs, or all within the catch-up
            window.
    """

    schedule_id: str
    missed: Literal["latest", "all"] | None = None
    by: str = ""

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        found = existing(self.schedule_id, schedule)
        if found.state is ScheduleState.ACTIVE:
            return None
        if found.state is ScheduleState.ENDED:
            raise WrongState(f"schedule {self.schedule_id!r}", state="ended", wanted="paused")
        touched = touch(found, now, self.by)
        if self.missed is None and pause_over(found, now):
            settled = settle(now, touched, open_runs)
            return replace(settled, schedule=move_on(settled.schedule, now))
        base = replace(touched, state=ScheduleState.ACTIVE, reason=None, paused_until=None)
        if self.missed is None:
            return folded(found, Change(schedule=move_on(base, now), skips=lapsed(found, now, Reason.PAUSED)))
        policy = replace(found.policy, misfire=Misfire(self.missed), grace=timedelta(0))
        asked = replace(base, definition=replace(found.definition, policy=policy), fold=found.fold)
        asked = replace(asked, next_fire=next_due(found.id, found.definition, found.watermark)[0])
        settled = settle(now, asked, open_runs)
        return replace(settled, schedule=replace(move_on(settled.schedule, now), definition=found.definition))


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Remove: a tombstone stays, so that nothing is launched twice and code does not bring it back."""

    schedule_id: str
    by: str = ""

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        del open_runs  # what is open goes on
        found = existing(self.schedule_id, schedule)
        skips = lapsed(found, now, Reason.PAUSED if found.state is ScheduleState.PAUSED else Reason.REMOVED)
        after = replace(
            touch(found, now, self.by),
            state=ScheduleState.REMOVED,
            watermark=max(found.watermark, now),
            next_fire=None,
            due=None,
            paused_until=None,
        )
        return folded(found, Change(schedule=after, skips=skips))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNow:
    """Start one run by hand; watermark and next fire stay as they are.

    Attributes:
        key: Starts one run only, however often it is given.
        arguments: Instead of the schedule's own, as JSON text.
    """

    schedule_id: str
    key: str
    arguments: str | None = None
    by: str = ""

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        found = existing(self.schedule_id, schedule)
        token = manual_token(self.schedule_id, self.key)
        room = found.policy.room
        if room is not None and open_runs >= room:
            raise RunOpen(self.schedule_id, open=open_runs, token=token)
        definition = found.definition
        run = Run(
            token=token,
            schedule_id=self.schedule_id,
            job=definition.job,
            arguments=definition.arguments if self.arguments is None else self.arguments,
            scheduled_time=now,
            due=now,
            queue=definition.queue,
            priority=definition.priority,
            policy=definition.policy,
            source="manual",
            created_by=self.by,
        )
        return Change(schedule=found, manual=(run,))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Put a schedule aside whose trigger raised, visibly, unless it was changed meanwhile."""

    schedule_id: str
    version: int
    reason: str

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        del open_runs
        if schedule is None or schedule.version != self.version or schedule.state is ScheduleState.REMOVED:
            return None
        after = replace(
            schedule, state=ScheduleState.ASIDE, reason=self.reason, next_fire=None, due=None, updated_at=now
        )
        return Change(schedule=after)
