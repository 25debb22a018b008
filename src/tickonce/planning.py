"""The decision what to do with a schedule's due fires: pure, no clock, no store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice

from tickonce.errors import UnknownTrigger
from tickonce.model import (
    Change,
    Definition,
    Fire,
    Fold,
    Misfire,
    Plan,
    Policy,
    Reason,
    Schedule,
    ScheduleState,
    Skip,
    change_with,
    schedule_with,
)

#: Fires that one plan launches at most; the rest stays due and is planned by the next pass.
PASS_LIMIT = 100
#: Where the counting of skipped fires gives up: the record then says "1000+".
COUNT_LIMIT = 1000
#: The least time that a pending run is given by default.
LEAST_START_WITHIN = timedelta(minutes=1)

#: Zones are at most this far apart: the farthest that new rules of a zone can move a time of day.
_LONGEST_SHIFT = timedelta(hours=26)

_TICK = timedelta(microseconds=1)
_LAST = datetime.max.replace(tzinfo=UTC)


def plan(
    schedule: Schedule, now: datetime, *, limit: int = PASS_LIMIT, settle: bool = False, orphaned: bool = False
) -> Plan | None:
    """Decide which fires launch, which are skipped and why, and when next; None when nothing is due.

    The trigger has the last word: where rules of its zone or calendar are others than those by which the stored next
    fire was found, the plan starts from :func:`standing`, and may do no more than move the schedule there.

    Args:
        schedule: As read from the store.
        now: The store's instant.
        limit: Fires launched at most; what is left stays due.
        settle: Deal with every fire scheduled at or before *now*, also with one whose jitter still runs: what an edit
            owes to the old definition.
        orphaned: No live node has declared the schedule for an hour: its fires are skipped with that reason.
    """
    if schedule.next_fire is None or schedule.state not in (ScheduleState.ACTIVE, ScheduleState.PAUSED):
        return None
    stored = schedule.next_fire
    lapsed: tuple[Skip, ...] = ()
    if schedule.state is ScheduleState.PAUSED:
        if schedule.paused_until is None or schedule.paused_until > now:
            return None
        lapsed = skipped(schedule, after=schedule.watermark, until=schedule.paused_until, reason=Reason.PAUSED)
    if stored > now and not settle:
        return None
    asked = following(schedule.definition, _dealt_with(schedule))
    first = _become(schedule, asked)
    if asked is None or first is None or first > now:
        return None if stored > now else _moved(schedule, first, lapsed)
    if asked < first:
        lapsed = (*lapsed, *skipped(schedule, after=asked - _TICK, until=first - _TICK, reason=Reason.RULES))
    grace = schedule.policy.grace if first == stored else _grace(schedule, first, now)
    plain = not (lapsed or orphaned or schedule.definition.jitter)
    if plain and (usual := _usual(schedule, first, now, grace=grace)) is not None:
        return usual
    newest = _newest_ripe(schedule, first, now, settle=settle)
    if newest is None:
        return None
    if orphaned:
        gone = _span(schedule, first, newest, Reason.ORPHANED)
        return _result(schedule, (), (*lapsed, gone), newest, grace=grace)
    late, on_time = _divide(schedule, first, newest, now - grace, limit=limit)
    fires, skips = _late(schedule, late, now, followed=bool(on_time), limit=limit)
    fires = (*fires, *on_time)
    cut = fires[:limit]
    # A full pass may have cut the enumeration of on-time fires short, too: then it ends at the last one launched.
    watermark = cut[-1] if len(cut) == limit else newest
    return _result(schedule, cut, (*lapsed, *skips), watermark, grace=grace)


def standing(schedule: Schedule) -> datetime | None:
    """Return the next fire of *schedule* by the rules of zones and calendars as they are here and now, or None.

    It is the one that the store holds unless these rules have changed since that was found.
    """
    return _become(schedule, following(schedule.definition, _dealt_with(schedule)))


def choose(plan: Plan, open_runs: int, *, version: int | None = None) -> Change:
    """Turn *plan* into what is written, now that the number of open runs is known.

    Called inside the atomic step, after the schedule's row is locked and its open runs are counted.

    Args:
        plan: What was decided without that number.
        open_runs: The number.
        version: The schedule's version afterwards, where the caller knows it; else it stays for the caller to raise.
    """
    room = plan.schedule.policy.room
    free = len(plan.fires) if room is None else max(0, room - open_runs)
    runs, over = plan.fires[:free], plan.fires[free:]
    skips = plan.skips
    if over:
        first, last = over[0].scheduled_time, over[-1].scheduled_time
        skips = (*skips, Skip(plan.schedule.id, Reason.OVERLAP, first, last, len(over)))
    after = plan.schedule.stepped(
        version=plan.schedule.version if version is None else version,
        watermark=plan.watermark,
        next_fire=plan.next_fire,
        due=plan.due,
        state=plan.state,
        reason=None if plan.schedule.state is ScheduleState.PAUSED else plan.schedule.reason,
    )
    return folded(plan.schedule, Change(schedule=after, runs=runs, skips=skips))


def moved_past(schedule: Schedule, watermark: datetime, runs: Sequence[datetime]) -> Change:
    """Return what is written where a store went back in time: the watermark moves forward to one that it had before.

    A fire passed so that has no run has a skip record: whether it ran is what the store has lost. A pause that the row
    shows is no reason: it was over when the schedule got that far, and since when is lost, too. A trigger that raises,
    or that newer code alone knows, leaves the next fire where it is, to be moved by who plans next; then the record
    tells the span alone.

    Args:
        schedule: As the store has it.
        watermark: Later than the schedule's.
        runs: Scheduled times, oldest first, of runs that the store has of fires in between; of more than COUNT_LIMIT
            the oldest ones.
    """
    after = schedule_with(schedule, watermark=watermark)
    dealt_with = schedule.state in (ScheduleState.ENDED, ScheduleState.REMOVED)
    ahead = schedule.state is ScheduleState.ACTIVE and (schedule.next_fire is None or schedule.next_fire > watermark)
    skips: tuple[Skip, ...] = ()
    try:
        if not schedule.definition.known:
            raise UnknownTrigger(f"schedule {schedule.id!r} is of a newer release")
        if not (dealt_with or ahead):
            skips = _without_run(schedule, watermark, runs)
        if schedule.next_fire is not None and schedule.next_fire <= watermark:
            next_fire, due = next_due(schedule.id, schedule.definition, watermark)
            state = schedule.state if next_fire is not None else ScheduleState.ENDED
            after = schedule_with(after, next_fire=next_fire, due=due, state=state)
    except Exception:  # noqa: BLE001  # whatever a trigger raises harms its schedule alone
        skips = () if dealt_with or ahead else (untold(schedule, watermark, Reason.REWOUND),)
    return folded(schedule, Change(schedule=after, skips=skips), beside=runs)


def folded(before: Schedule, change: Change, *, beside: Sequence[datetime] = ()) -> Change:
    """Let consecutive skips of one reason share a record, across changes.

    A record grows while nothing but skips of its reason follows: *change* extends the open one when its oldest event is
    such a skip, and leaves one open when its newest event is a skip. *beside* are scheduled times of runs that are
    there already, in between.
    """
    if not change.skips and before.fold is None and change.schedule.fold is None:
        return change
    runs = [*(fire.scheduled_time for fire in change.runs), *beside]
    skips = _merged(change.skips, runs)
    oldest_run, newest_run = min(runs, default=None), max(runs, default=None)
    extends = None
    if (
        skips
        and before.fold is not None
        and before.fold.reason == skips[0].reason
        and (oldest_run is None or skips[0].first < oldest_run)
    ):
        extends = before.fold.first
    fold = before.fold
    if skips and (newest_run is None or skips[-1].last > newest_run):
        first = extends if extends is not None and len(skips) == 1 else skips[-1].first
        fold = Fold(skips[-1].reason, first)
    elif runs:
        fold = None
    return change_with(change, schedule=schedule_with(change.schedule, fold=fold), skips=skips, extends=extends)


def following(definition: Definition, after: datetime) -> datetime | None:
    """Return the first scheduled time later than *after*, within start and end, or None."""
    if definition.start is not None and after < definition.start:
        after = definition.start - _TICK
    found = definition.trigger.next_after(after)
    if found is None or (definition.end is not None and found > definition.end):
        return None
    return found


def due_time(schedule_id: str, definition: Definition, scheduled_time: datetime) -> datetime:
    """Return when a fire may start: its scheduled time plus jitter, before the next fire is scheduled."""
    if not definition.jitter:
        return scheduled_time
    longest = min(definition.jitter, _LAST - scheduled_time)  # no due time is later than a datetime can be
    after = following(definition, scheduled_time)
    if after is not None:
        longest = min(longest, after - scheduled_time - _TICK)
    digest = blake2b(f"{schedule_id}@{scheduled_time.isoformat()}".encode(), digest_size=6).digest()
    return scheduled_time + longest * (int.from_bytes(digest) / 2**48)


def next_due(schedule_id: str, definition: Definition, after: datetime) -> tuple[datetime | None, datetime | None]:
    """Return scheduled and due time of the first fire later than *after*; both None at the end."""
    found = following(definition, after)
    return found, None if found is None else due_time(schedule_id, definition, found)


def skipped(schedule: Schedule, *, after: datetime, until: datetime, reason: str) -> tuple[Skip, ...]:
    """Return one skip record of all fires scheduled later than *after* up to *until*, or none."""
    first = following(schedule.definition, after)
    if first is None or first > until:
        return ()
    return (_span(schedule, first, _newest(schedule.definition, first, until), reason),)


def untold(schedule: Schedule, until: datetime, reason: str) -> Skip:
    """Return a record of the fires up to *until* that are not dealt with, where the trigger cannot say which."""
    return Skip(schedule.id, reason, min(schedule.watermark + _TICK, until), until, 0, more=True)


# -- steps of plan() ---------------------------------------------------------------------------


def _dealt_with(schedule: Schedule) -> datetime:
    """Return the instant after which fires have not been dealt with: the watermark, or the end of a pause."""
    return max(schedule.watermark, schedule.paused_until or schedule.watermark)


def _become(schedule: Schedule, asked: datetime | None) -> datetime | None:
    """Return what has become of the stored next fire, where the trigger says *asked* for what is to be dealt with next.

    That is the same unless rules have changed, and then no fire that has run may come again under another instant:
    where the newest one dealt with is no fire any more, and the trigger names one more before the stored one, that is
    what ran already, only moved. So the schedule goes on with the fire that is nearest to the stored one.
    """
    definition, stored, watermark = schedule.definition, schedule.next_fire, schedule.watermark
    if asked is None or stored is None or asked >= stored or schedule.state is ScheduleState.PAUSED:
        return asked
    if asked - watermark > _LONGEST_SHIFT or following(definition, watermark - _TICK) == watermark:
        return asked
    nearest = _newest(definition, asked, stored)
    later = following(definition, stored)
    if later is not None and later - stored < stored - nearest:
        nearest = later
    return nearest if abs(nearest - stored) <= _LONGEST_SHIFT else asked


def _moved(schedule: Schedule, first: datetime | None, lapsed: tuple[Skip, ...]) -> Plan:
    """Return the plan where the stored next fire is none any more: the schedule goes to *first*, nothing launches."""
    return Plan(
        schedule=schedule,
        fires=(),
        skips=lapsed,
        watermark=_dealt_with(schedule),
        next_fire=first,
        due=None if first is None else due_time(schedule.id, schedule.definition, first),
        state=ScheduleState.ENDED if first is None else ScheduleState.ACTIVE,
    )


def _grace(schedule: Schedule, first: datetime, now: datetime) -> timedelta:
    """Return how late fires may be: *first*, if it stands alone in the place of a stored one, as late as that one."""
    stored, grace = schedule.next_fire, schedule.policy.grace
    if stored is None or now - stored > grace or not first < stored <= first + _LONGEST_SHIFT:
        return grace
    after = following(schedule.definition, first)
    return now - first if after is None or after > now else grace


def _usual(schedule: Schedule, first: datetime, now: datetime, *, grace: timedelta) -> Plan | None:
    """Return the plan of a single fire that is on time and has no jitter, or None when it is not that.

    What the steps below come to in this case, with one look at the trigger instead of about ten: it is nearly every
    case.
    """
    after = following(schedule.definition, first)
    if now - first > grace or (after is not None and after <= now):
        return None
    return Plan(
        schedule=schedule,
        fires=(Fire(schedule.id, first, first, _start_by(schedule.policy, first, first, after, grace=grace)),),
        skips=(),
        watermark=first,
        next_fire=after,
        due=None if after is None else due_time(schedule.id, schedule.definition, after),
        state=ScheduleState.ACTIVE if after is not None else ScheduleState.ENDED,
    )


def _newest_ripe(schedule: Schedule, first: datetime, now: datetime, *, settle: bool) -> datetime | None:
    newest = _newest(schedule.definition, first, now)
    if settle or due_time(schedule.id, schedule.definition, newest) <= now:
        return newest
    # Only the newest fire's jitter can still run: a fire is due before the next one is scheduled.
    return None if newest == first else _newest(schedule.definition, first, newest - _TICK)


def _divide(
    schedule: Schedule, first: datetime, newest: datetime, border: datetime, *, limit: int
) -> tuple[tuple[datetime, datetime] | None, list[datetime]]:
    """Return the span of late fires, as (first, last) or None, and the on-time fires, oldest first, at most *limit*.

    Those that were due before *border* are late.
    """
    definition = schedule.definition
    start: datetime | None = first
    if first <= border:
        # Of the fires up to the border only the newest can be due after it: a fire is due before the next one.
        start = _newest(definition, first, border)
        if due_time(schedule.id, definition, start) < border:
            start = following(definition, start)
    if start is None or start > newest:
        return (first, newest), []
    on_time = list(islice(_fires(definition, start, newest), limit))
    return (None if start == first else (first, _newest(definition, first, start - _TICK))), on_time


def _late(
    schedule: Schedule, late: tuple[datetime, datetime] | None, now: datetime, *, followed: bool, limit: int
) -> tuple[tuple[datetime, ...], tuple[Skip, ...]]:
    """Apply the misfire policy to the late fires: which are launched, which are skipped."""
    if late is None:
        return (), ()
    first, last = late
    definition, policy = schedule.definition, schedule.policy
    match policy.misfire:
        case Misfire.SKIP:
            return (), (_span(schedule, first, last, Reason.MISFIRE),)
        case Misfire.LATEST:
            if followed:
                return (), (_span(schedule, first, last, Reason.MISFIRE),)
            if first == last:
                return (last,), ()
            return (last,), (_span(schedule, first, _newest(definition, first, last - _TICK), Reason.MISFIRE),)
        case Misfire.ALL:
            start = following(definition, max(first, now - policy.catch_up) - _TICK)
            if start is None or start > last:
                return (), (_span(schedule, first, last, Reason.CATCH_UP),)
            fires = tuple(islice(_fires(definition, start, last), limit))
            if start == first:
                return fires, ()
            return fires, (_span(schedule, first, _newest(definition, first, start - _TICK), Reason.CATCH_UP),)


def _result(
    schedule: Schedule, times: tuple[datetime, ...], skips: tuple[Skip, ...], watermark: datetime, *, grace: timedelta
) -> Plan:
    definition = schedule.definition
    next_fire, due = next_due(schedule.id, definition, watermark)
    return Plan(
        schedule=schedule,
        fires=tuple(fire_of(schedule, time, grace=grace) for time in times),
        skips=skips,
        watermark=watermark,
        next_fire=next_fire,
        due=due,
        state=ScheduleState.ACTIVE if next_fire is not None else ScheduleState.ENDED,
    )


def fire_of(schedule: Schedule, scheduled_time: datetime, *, grace: timedelta | None = None) -> Fire:
    """Return the fire at *scheduled_time*, with its due time and the instant at which it is too late to start.

    *grace* is the policy's own unless given.
    """
    definition, policy = schedule.definition, schedule.policy
    due = due_time(schedule.id, definition, scheduled_time)
    timed = policy.start_within is not None or policy.misfire is Misfire.ALL
    after = None if timed else following(definition, scheduled_time)
    grace = policy.grace if grace is None else grace
    return Fire(schedule.id, scheduled_time, due, _start_by(policy, due, scheduled_time, after, grace=grace))


def _start_by(
    policy: Policy, due: datetime, scheduled_time: datetime, after: datetime | None, *, grace: timedelta
) -> datetime | None:
    """Return when a fire is too late to start, given the scheduled time of the next one."""
    within = policy.start_within
    if within is None and policy.misfire is not Misfire.ALL and after is not None:
        # What is found on time, up to *grace* late, must still have time to start.
        within = max(after - scheduled_time, LEAST_START_WITHIN, 2 * grace)
    return None if within is None else due + within


# -- counting and searching --------------------------------------------------------------------


def _fires(definition: Definition, first: datetime, last: datetime) -> Iterator[datetime]:
    at: datetime | None = first
    while at is not None and at <= last:
        yield at
        at = following(definition, at)


def _span(schedule: Schedule, first: datetime, last: datetime, reason: str) -> Skip:
    """Return a record of the fires from *first* to *last*; the count gives up at COUNT_LIMIT."""
    count = sum(1 for _ in islice(_fires(schedule.definition, first, last), COUNT_LIMIT + 1))
    return Skip(schedule.id, reason, first, last, min(count, COUNT_LIMIT), more=count > COUNT_LIMIT)


def _without_run(schedule: Schedule, until: datetime, runs: Sequence[datetime]) -> tuple[Skip, ...]:
    """Return records of the fires after the watermark up to *until* that have no run: one of each stretch of them."""
    found: list[Skip] = []
    after = schedule.watermark
    for at in runs:
        found += skipped(schedule, after=after, until=at - _TICK, reason=Reason.REWOUND)
        after = at
    rest = skipped(schedule, after=after, until=until, reason=Reason.REWOUND)
    if len(runs) >= COUNT_LIMIT:  # there may be more of them, which nobody has asked for
        rest = tuple(replace(skip, count=0, more=True) for skip in rest)
    return (*found, *rest)


def _newest(definition: Definition, first: datetime, until: datetime) -> datetime:
    """Return the newest fire at or before *until*; *first* is a fire at or before it.

    Looks back from *until* in doubling steps until a fire is found, then halves the distance: about two logarithms of
    the gap, never a walk through a month of seconds.
    """
    low, back = first, timedelta(milliseconds=1)
    while until - back > first:
        found = following(definition, until - back)
        if found is not None and found <= until:
            low = found
            break
        back *= 2
    # Now low is a fire; close in on the last one.
    while True:
        after = following(definition, low)
        if after is None or after > until:
            return low
        low = after
        middle = low + (until - low) / 2
        found = following(definition, middle)
        if found is not None and found <= until:
            low = found
        else:
            until = middle


def _merged(skips: tuple[Skip, ...], runs: Sequence[datetime]) -> tuple[Skip, ...]:
    merged: list[Skip] = []
    for skip in skips:
        last = merged[-1] if merged else None
        if last is not None and last.reason == skip.reason and not any(last.last < at < skip.first for at in runs):
            merged[-1] = replace(last, last=skip.last, count=last.count + skip.count, more=last.more or skip.more)
        else:
            merged.append(skip)
    return tuple(merged)
