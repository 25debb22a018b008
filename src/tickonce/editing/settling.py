"""The steps of an edit: what it owes to the fires that are due, and where the schedule stands afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from tickonce.codec import keep
from tickonce.errors import DefinitionError, NoSchedule, UnknownTrigger
from tickonce.model import TIMING, Change, Definition, Policy, Reason, Schedule, ScheduleState, Skip
from tickonce.planning import choose, folded, next_due, plan, skipped, standing, untold

#: Fires that an edit settles at most; what is left beyond is a skip record.
SETTLE_LIMIT = 10_000

FIELDS = frozenset(item.name for item in fields(Definition))
POLICY_FIELDS = frozenset(item.name for item in fields(Policy))

#: What is for people alone: no fire is another one for it.
LABELS = frozenset({"tags", "owner", "description"})


def existing(schedule_id: str, schedule: Schedule | None) -> Schedule:
    """Return the schedule that an edit is about.

    Raises:
        NoSchedule: There is none, or it was removed.
    """
    if schedule is None or schedule.state is ScheduleState.REMOVED:
        raise NoSchedule(schedule_id)
    return schedule


def make(
    schedule_id: str,
    definition: Definition,
    now: datetime,
    tombstone: Schedule | None,
    *,
    source: str,
    by: str,
    aside: str | None = None,
) -> Schedule:
    """Return a new schedule, in the place of a tombstone if there is one; set *aside* for that reason, if given."""
    # A tombstone's watermark stays: what was dealt with under the old definition is not launched by the new one.
    watermark = now if tombstone is None else max(now, tombstone.watermark)
    next_fire, due = (None, None) if aside is not None else next_due(schedule_id, definition, watermark)
    going_on = ScheduleState.ENDED if next_fire is None else ScheduleState.ACTIVE
    return Schedule(
        id=schedule_id,
        definition=definition,
        state=going_on if aside is None else ScheduleState.ASIDE,
        reason=aside,
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


def amend(
    now: datetime, schedule: Schedule, wanted: Definition, open_runs: int, *, by: str, person: bool
) -> Change | None:
    """Replace the definition; None when nothing differs."""
    changed = differing(schedule.definition, wanted)
    if not changed:
        return None
    base = touch(schedule, now, by)
    if person and base.declaration is not None:
        overrides = base.declaration.overrides | changed
        base = replace(base, declaration=replace(base.declaration, overrides=overrides))
    if not changed.intersection((*TIMING, "extra")):  # what is not known here may have decided, too
        bare = Change(schedule=replace(base, definition=wanted))
        if changed <= LABELS or not _owes(schedule, now):
            return bare
        try:
            return _settled(now, base, wanted, open_runs)
        except Exception:  # noqa: BLE001  # a broken trigger is set aside by the next launch; it must not forbid this edit
            return bare
    if schedule.state is ScheduleState.PAUSED and not pause_over(schedule, now):
        skips = lapsed(schedule, now, Reason.PAUSED)
        after = replace(base, definition=wanted, watermark=max(schedule.watermark, now))
        next_fire, due = (None, None) if after.paused_until is None else next_due_of(after, wanted, after.paused_until)
        return folded(schedule, Change(schedule=replace(after, next_fire=next_fire, due=due), skips=skips))
    return _settled(now, base, wanted, open_runs)


def _owes(schedule: Schedule, now: datetime) -> bool:
    """Whether a fire is due that no launch has dealt with yet."""
    active = schedule.state is ScheduleState.ACTIVE or pause_over(schedule, now)
    return active and schedule.definition.known and schedule.next_fire is not None and schedule.next_fire <= now


def _settled(now: datetime, schedule: Schedule, wanted: Definition, open_runs: int) -> Change:
    """Settle what is due by the definition as it stands, and go on by *wanted*."""
    settled = settle(now, schedule, open_runs)
    return replace(settled, schedule=move_on(replace(settled.schedule, definition=wanted), now))


def settle(now: datetime, schedule: Schedule, open_runs: int) -> Change:
    """Deal with every fire at or before *now* by the definition as it stands."""
    if schedule.state is ScheduleState.ASIDE:
        return folded(schedule, Change(schedule=schedule, skips=lapsed(schedule, now, Reason.PAUSED)))
    if schedule.state is not ScheduleState.ACTIVE and not pause_over(schedule, now):
        return Change(schedule=schedule)
    if not schedule.definition.known:
        return folded(schedule, Change(schedule=schedule, skips=lapsed(schedule, now, "not known to this release")))
    try:
        planned = plan(schedule, now, limit=SETTLE_LIMIT, settle=True)
        if planned is None:
            # Not even the first fire after a pause has come; those within it are still to be recorded.
            paused = schedule.state is ScheduleState.PAUSED
            skips = lapsed(schedule, now, Reason.PAUSED) if paused else ()
            return folded(schedule, Change(schedule=schedule, skips=skips))
        rest = skipped(schedule, after=planned.watermark, until=now, reason=Reason.CATCH_UP)
    except Exception as error:  # noqa: BLE001  # the old trigger is broken: an edit is how people mend it
        lost = untold(schedule, now, f"trigger raised {error!r}"[:200])
        return folded(schedule, Change(schedule=schedule, skips=(lost,)))
    change = choose(planned, open_runs)
    if rest:
        change = folded(schedule, replace(change, skips=(*change.skips, *rest)))
    return change


def pause_over(schedule: Schedule, now: datetime) -> bool:
    """Whether the schedule is paused, but only until an instant that has passed: the next launch lifts the pause."""
    paused = schedule.state is ScheduleState.PAUSED
    return paused and schedule.paused_until is not None and schedule.paused_until <= now


def lapsed(schedule: Schedule, now: datetime, reason: str) -> tuple[Skip, ...]:
    """Return the skip record of the fires up to *now* that the schedule has not dealt with."""
    if schedule.state is ScheduleState.ENDED:
        return ()
    active = schedule.state is ScheduleState.ACTIVE
    if schedule.state is ScheduleState.ASIDE:
        reason = "set aside"
    ahead = active and (schedule.next_fire is None or schedule.next_fire > now)
    if not schedule.definition.known:  # newer code knows which fires these are
        return () if ahead else (untold(schedule, now, reason),)
    try:
        if active and ((first := standing(schedule)) is None or first > now):
            return ()
        return skipped(schedule, after=schedule.watermark, until=now, reason=reason)
    except Exception:  # noqa: BLE001  # a broken trigger cannot say; people may still pause or remove it
        return () if ahead else (untold(schedule, now, reason),)


def move_on(schedule: Schedule, now: datetime) -> Schedule:
    """Return the schedule as active, with its watermark at *now* and its next fire after it."""
    watermark = max(schedule.watermark, now)
    next_fire, due = next_due_of(schedule, schedule.definition, watermark)
    return replace(
        schedule,
        watermark=watermark,
        next_fire=next_fire,
        due=due,
        state=ScheduleState.ENDED if next_fire is None else ScheduleState.ACTIVE,
        paused_until=None,
        reason=None,
    )


def next_due_of(schedule: Schedule, definition: Definition, after: datetime) -> tuple[datetime | None, datetime | None]:
    """Return scheduled and due time of the first fire later than *after*; both None at the end.

    Raises:
        UnknownTrigger: The definition has something that this code does not know, and that may decide.
    """
    if definition.extra:
        names = ", ".join(sorted(definition.extra))
        raise UnknownTrigger(f"schedule {schedule.id!r} has fields of a newer release ({names}); edit it with that one")
    return next_due(schedule.id, definition, after)


def touch(schedule: Schedule, now: datetime, by: str) -> Schedule:
    """Return the schedule as edited now."""
    return replace(schedule, revision=schedule.revision + 1, updated_at=now, updated_by=by)


def with_changes(definition: Definition, changes: Mapping[str, Any]) -> Definition:
    """Return *definition* with fields of its own and of its policy replaced."""
    unknown = changes.keys() - FIELDS - POLICY_FIELDS
    if unknown:
        raise DefinitionError(f"a schedule has no field {min(unknown)!r}")
    policy = {name: value for name, value in changes.items() if name in POLICY_FIELDS}
    own = {name: value for name, value in changes.items() if name in FIELDS}
    if policy and "policy" in definition.extra:
        raise DefinitionError("its policy was written by a newer release; edit it with that one")
    if policy:
        own["policy"] = replace(own.get("policy", definition.policy), **policy)
    return replace(definition, **own) if own else definition


def value_of(definition: Definition, name: str) -> Any:
    """Return the field of *definition* or of its policy."""
    return getattr(definition, name) if name in FIELDS else getattr(definition.policy, name)


def set_aside(now: datetime, schedule: Schedule, wanted: Definition, open_runs: int, *, by: str, reason: str) -> Change:
    """Replace the definition by one whose trigger raised: what is due is settled by the old one, then nothing is."""
    change = settle(now, touch(schedule, now, by), open_runs)
    after = replace(
        change.schedule,
        definition=wanted,
        watermark=max(change.schedule.watermark, now),
        next_fire=None,
        due=None,
        paused_until=None,
        state=ScheduleState.ASIDE,
        reason=reason,
    )
    return replace(change, schedule=after)


def raised(schedule_id: str, definition: Definition, now: datetime) -> str | None:
    """Return the reason for setting a schedule aside whose trigger raises when it is asked, or None."""
    try:
        next_due(schedule_id, definition, now)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is this schedule's alone
        return keep(f"trigger raised {type(error).__name__}: {error}")[:500]
    return None


def differing(old: Definition, new: Definition) -> frozenset[str]:
    """Return the names of the fields that differ, those of the policy by their own names."""
    names = {name for name in FIELDS - {"policy", "arguments"} if getattr(old, name) != getattr(new, name)}
    if json.loads(old.arguments) != json.loads(new.arguments):  # the same may be written in several ways
        names.add("arguments")
    return frozenset(names | {name for name in POLICY_FIELDS if getattr(old.policy, name) != getattr(new.policy, name)})
