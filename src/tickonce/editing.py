"""What people and code do to a schedule: pure decisions, applied by a store inside one atomic step.

Every edit settles first: it deals with the fires at or before the instant by the old definition, and applies to fires
after it. So an edit never fires at once, never loses a fire and never doubles one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from tickonce.definitions import definition_of
from tickonce.errors import (
    DefinitionError,
    NoSchedule,
    RevisionMismatch,
    RunOpen,
    ScheduleExists,
    TriggerError,
    WrongState,
)
from tickonce.model import (
    TIMING,
    Change,
    Declaration,
    Definition,
    Misfire,
    Policy,
    Reason,
    Run,
    Schedule,
    ScheduleState,
    Skip,
    manual_token,
)
from tickonce.planning import choose, folded, next_due, plan, skipped

#: Fires that an edit settles at most; what is left beyond is a skip record.
SETTLE_LIMIT = 10_000

_GONE = ScheduleState.REMOVED
_FIELDS = frozenset(item.name for item in fields(Definition))
_POLICY_FIELDS = frozenset(item.name for item in fields(Policy))


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Add a schedule; *if_exists* says what a schedule with that id means."""

    schedule_id: str
    definition: Definition
    if_exists: Literal["error", "keep", "update"] = "error"
    by: str = ""

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        if schedule is not None and schedule.state is not _GONE:
            if self.if_exists == "error":
                raise ScheduleExists(self.schedule_id)
            if self.if_exists == "keep":
                return None
            return _amended(now, schedule, self.definition, open_runs, by=self.by, person=True)
        made = _made(self.schedule_id, self.definition, now, schedule, source="api", by=self.by)
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
        found = _existing(self.schedule_id, schedule)
        if self.expected_revision is not None and found.revision != self.expected_revision:
            raise RevisionMismatch(self.schedule_id, expected=self.expected_revision, found=found.revision)
        return _amended(now, found, _with(found.definition, self.changes), open_runs, by=self.by, person=True)


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
        found = _existing(self.schedule_id, schedule)
        if found.state is ScheduleState.ENDED:
            raise WrongState(f"schedule {self.schedule_id!r}", state="ended", wanted="active")
        if self.until is not None and self.until <= now:
            raise DefinitionError(f"until must be in the future, got {self.until}; it is {now}")
        skips = _lapsed(found, now, Reason.PAUSED)
        next_fire, due = (None, None) if self.until is None else next_due(found.id, found.definition, self.until)
        after = replace(
            _touched(found, now, self.by),
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
        found = _existing(self.schedule_id, schedule)
        if found.state is ScheduleState.ACTIVE:
            return None
        if found.state is ScheduleState.ENDED:
            raise WrongState(f"schedule {self.schedule_id!r}", state="ended", wanted="paused")
        base = replace(_touched(found, now, self.by), state=ScheduleState.ACTIVE, reason=None, paused_until=None)
        if self.missed is None:
            return folded(found, Change(schedule=_moved(base, now), skips=_lapsed(found, now, Reason.PAUSED)))
        policy = replace(found.policy, misfire=Misfire(self.missed), grace=timedelta(0))
        asked = replace(base, definition=replace(found.definition, policy=policy), fold=found.fold)
        asked = replace(asked, next_fire=next_due(found.id, found.definition, found.watermark)[0])
        settled = _settled(now, asked, open_runs)
        return replace(settled, schedule=replace(_moved(settled.schedule, now), definition=found.definition))


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Remove: a tombstone stays, so that nothing is launched twice and code does not bring it back."""

    schedule_id: str
    by: str = ""

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        del open_runs  # what is open goes on
        found = _existing(self.schedule_id, schedule)
        skips = _lapsed(found, now, Reason.PAUSED if found.state is ScheduleState.PAUSED else Reason.REMOVED)
        after = replace(
            _touched(found, now, self.by),
            state=_GONE,
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
        found = _existing(self.schedule_id, schedule)
        room = found.policy.room
        if room is not None and open_runs >= room:
            raise RunOpen(self.schedule_id, open=open_runs)
        definition = found.definition
        run = Run(
            token=manual_token(self.schedule_id, self.key),
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
class Declare:
    """Say what code says. An unchanged declaration touches nothing; a changed one is an edit.

    Attributes:
        hash: Of *definition*, with its form.
        release: The program's release. An older one never replaces a newer, unless *forced*.
        forced: No live node declares what the store holds: what is left of a rollout replaces it.
        expected: With *forced*: the declared hash that was found in the store; another one is left alone.
    """

    schedule_id: str
    definition: Definition
    hash: str
    form: Mapping[str, Any]
    release: str | None = None
    forced: bool = False
    expected: str | None = None
    by: str = ""

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        if schedule is None or (schedule.state is _GONE and schedule.declaration is None):
            declaration = self._declaration(now, frozenset())
            made = _made(self.schedule_id, self.definition, now, schedule, source="code", by=self.by)
            return Change(schedule=replace(made, declaration=declaration))
        before = schedule.declaration
        if schedule.state is _GONE or (before is not None and before.hash == self.hash):
            return None
        if before is not None and self.forced and before.hash != self.expected:
            return None
        if before is not None and not self.forced and older(self.release, before.release):
            return None
        overrides = before.overrides if before is not None else frozenset()
        kept = {name: _value(schedule.definition, name) for name in overrides}
        wanted = _with(self.definition, kept)
        change = _amended(now, schedule, wanted, open_runs, by=self.by, person=False)
        change = Change(schedule=schedule) if change is None else change
        return replace(
            change,
            schedule=replace(change.schedule, source="code", declaration=self._declaration(now, overrides)),
        )

    def _declaration(self, now: datetime, overrides: frozenset[str]) -> Declaration:
        return Declaration(hash=self.hash, form=self.form, release=self.release, overrides=overrides, seen_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revert:
    """Give back what people changed of a declared schedule: it is then what code says."""

    schedule_id: str
    by: str = ""

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        found = _existing(self.schedule_id, schedule)
        if found.declaration is None:
            raise WrongState(f"schedule {self.schedule_id!r}", state="not declared in code", wanted="declared in code")
        if not found.declaration.overrides:
            return None
        bare = replace(found, declaration=replace(found.declaration, overrides=frozenset()))
        declared = definition_of(found.declaration.form)
        return _amended(now, bare, declared, open_runs, by=self.by, person=False) or Change(schedule=bare)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Put a schedule aside whose trigger raised, visibly, unless it was changed meanwhile."""

    schedule_id: str
    version: int
    reason: str

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        del open_runs
        if schedule is None or schedule.version != self.version or schedule.state is _GONE:
            return None
        after = replace(
            schedule, state=ScheduleState.ASIDE, reason=self.reason, next_fire=None, due=None, updated_at=now
        )
        return Change(schedule=after)


def older(mine: str | None, theirs: str | None) -> bool:
    """Return whether release *mine* is older than *theirs*; numbers inside them compare as numbers.

    >>> older("1.9", "1.10"), older("2026-11-21", "2026-11-20"), older(None, "1")
    (True, False, False)
    """
    if mine is None or theirs is None:
        return False
    return _release_key(mine) < _release_key(theirs)


def _release_key(release: str) -> list[tuple[int, int, str]]:
    parts: list[tuple[int, int, str]] = []
    text = ""
    for char in [*release, ""]:
        if text and (not char or char.isdecimal() != text[-1].isdecimal()):
            parts.append((1, int(text), "") if text.isdecimal() else (0, 0, text))
            text = ""
        text += char
    return parts


# -- steps -------------------------------------------------------------------------------------


def _existing(schedule_id: str, schedule: Schedule | None) -> Schedule:
    if schedule is None or schedule.state is _GONE:
        raise NoSchedule(schedule_id)
    return schedule


def _made(
    schedule_id: str, definition: Definition, now: datetime, tombstone: Schedule | None, *, source: str, by: str
) -> Schedule:
    # A tombstone's watermark stays: what was dealt with under the old definition is not launched by the new one.
    watermark = now if tombstone is None else max(now, tombstone.watermark)
    next_fire, due = next_due(schedule_id, definition, watermark)
    return Schedule(
        id=schedule_id,
        definition=definition,
        state=ScheduleState.ENDED if next_fire is None else ScheduleState.ACTIVE,
        version=0 if tombstone is None else tombstone.version,
        revision=1 if tombstone is None else tombstone.revision + 1,
        watermark=watermark,
        next_fire=next_fire,
        due=due,
        source=source,
        created_at=now,
        created_by=by,
        updated_at=now,
        updated_by=by,
    )


def _amended(
    now: datetime, schedule: Schedule, wanted: Definition, open_runs: int, *, by: str, person: bool
) -> Change | None:
    """Replace the definition; None when nothing differs."""
    changed = _differing(schedule.definition, wanted)
    if not changed:
        return None
    base = _touched(schedule, now, by)
    if person and base.declaration is not None:
        overrides = base.declaration.overrides | changed
        base = replace(base, declaration=replace(base.declaration, overrides=overrides))
    if not changed.intersection(TIMING):
        return Change(schedule=replace(base, definition=wanted))
    if schedule.state is ScheduleState.PAUSED:
        skips = _lapsed(schedule, now, Reason.PAUSED)
        after = replace(base, definition=wanted, watermark=max(schedule.watermark, now))
        next_fire, due = (
            (None, None) if after.paused_until is None else next_due(after.id, wanted, max(after.paused_until, now))
        )
        return folded(schedule, Change(schedule=replace(after, next_fire=next_fire, due=due), skips=skips))
    settled = _settled(now, base, open_runs)
    after = _moved(replace(settled.schedule, definition=wanted), now)
    return replace(settled, schedule=after)


def _settled(now: datetime, schedule: Schedule, open_runs: int) -> Change:
    """Deal with every fire at or before *now* by the definition as it stands."""
    if schedule.state is not ScheduleState.ACTIVE:
        return Change(schedule=schedule)
    try:
        planned = plan(schedule, now, limit=SETTLE_LIMIT, settle=True)
        if planned is None:
            return Change(schedule=schedule)
        rest = skipped(schedule, after=planned.watermark, until=now, reason=Reason.CATCH_UP)
    except TriggerError:
        raise
    except Exception as error:  # noqa: BLE001  # the old trigger is broken: an edit is how people mend it
        return Change(schedule=schedule, skips=(_unknown(schedule, now, f"trigger raised {error!r}"[:200]),))
    change = choose(planned, open_runs)
    if rest:
        change = folded(schedule, replace(change, skips=(*change.skips, *rest)))
    return change


def _lapsed(schedule: Schedule, now: datetime, reason: str) -> tuple[Skip, ...]:
    """Return the skip record of the fires up to *now* that the schedule has not dealt with."""
    if schedule.state is ScheduleState.ENDED:
        return ()
    if schedule.state is ScheduleState.ASIDE:
        reason = "set aside"
    try:
        return skipped(schedule, after=schedule.watermark, until=now, reason=reason)
    except Exception:  # noqa: BLE001  # a broken trigger cannot say which fires these were; people may still pause or remove it
        return (_unknown(schedule, now, reason),)


def _unknown(schedule: Schedule, now: datetime, reason: str) -> Skip:
    return Skip(schedule.id, reason, schedule.watermark, now, 0, more=True)


def _moved(schedule: Schedule, now: datetime) -> Schedule:
    """Return the schedule with its watermark at *now* and its next fire after it."""
    watermark = max(schedule.watermark, now)
    next_fire, due = next_due(schedule.id, schedule.definition, watermark)
    state = ScheduleState.ENDED if next_fire is None else ScheduleState.ACTIVE
    return replace(schedule, watermark=watermark, next_fire=next_fire, due=due, state=state)


def _touched(schedule: Schedule, now: datetime, by: str) -> Schedule:
    return replace(schedule, revision=schedule.revision + 1, updated_at=now, updated_by=by)


def _with(definition: Definition, changes: Mapping[str, Any]) -> Definition:
    """Return *definition* with fields of its own and of its policy replaced."""
    unknown = changes.keys() - _FIELDS - _POLICY_FIELDS
    if unknown:
        raise DefinitionError(f"a schedule has no field {min(unknown)!r}")
    policy = {name: value for name, value in changes.items() if name in _POLICY_FIELDS}
    own = {name: value for name, value in changes.items() if name in _FIELDS}
    if policy:
        own["policy"] = replace(own.get("policy", definition.policy), **policy)
    return replace(definition, **own) if own else definition


def _value(definition: Definition, name: str) -> Any:
    return getattr(definition, name) if name in _FIELDS else getattr(definition.policy, name)


def _differing(old: Definition, new: Definition) -> frozenset[str]:
    """Return the names of the fields that differ, those of the policy by their own names."""
    names = {name for name in _FIELDS - {"policy"} if getattr(old, name) != getattr(new, name)}
    return frozenset(
        names | {name for name in _POLICY_FIELDS if getattr(old.policy, name) != getattr(new.policy, name)}
    )
