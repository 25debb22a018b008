"""What the scenes share: schedules as people write them, and what is observable afterwards."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from tickonce.config import NodeConfig
from tickonce.definitions import form_of, hash_of
from tickonce.editing import Create, Declare
from tickonce.model import Definition, Policy, Run, RunState, Schedule, Skip
from tickonce.ports import Store
from tickonce.testing.contract.making import runs_of, skips_of
from tickonce.testing.fleet import Fleet
from tickonce.triggers import Trigger

MS = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

#: Each fire gets its run, however late and whatever is open.
EVERY_FIRE: dict[str, Any] = {"misfire": "all", "overlap": "allow"}

#: For scenes of days, where no process dies: nobody looks every few seconds.
CALM = NodeConfig(lease=3 * HOUR, beat=HOUR, poll=MINUTE, blind_poll=MINUTE)

_POLICY = frozenset(item.name for item in fields(Policy))

Add = Callable[..., Schedule]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def defined(trigger: Trigger, *, job: str = "note", **settings: Any) -> Definition:
    """Return a definition; *settings* are fields of its policy or its own."""
    policy = {name: settings.pop(name) for name in list(settings) if name in _POLICY}
    return Definition(job=job, trigger=trigger, policy=Policy(**policy), **settings)


def put(store: Store, schedule_id: str, trigger: Trigger, **settings: Any) -> Schedule:
    """Add a schedule."""
    after = store.change(schedule_id, Create(schedule_id=schedule_id, definition=defined(trigger, **settings)))
    assert after is not None
    return after


def declared(schedule_id: str, trigger: Trigger, **settings: Any) -> Declare:
    """Return what code says when it declares a schedule."""
    definition = defined(trigger, **settings)
    return Declare(schedule_id=schedule_id, definition=definition, hash=hash_of(definition), form=form_of(definition))


def fires_of(trigger: Trigger, after: datetime, until: datetime) -> list[datetime]:
    """Return the fires later than *after* and not later than *until*."""
    found: list[datetime] = []
    at = trigger.next_after(after)
    while at is not None and at <= until:
        found.append(at)
        at = trigger.next_after(at)
    return found


def times(runs: Iterable[Run]) -> list[datetime]:
    """Return the scheduled times."""
    return [run.scheduled_time for run in runs]


def each_once(fleet: Fleet, schedule_id: str, after: datetime, *, until: datetime | None = None) -> list[Run]:
    """Check that every fire later than *after*, up to *until* or now, has one run that was called once and succeeded.

    Returns:
        The runs, oldest first.
    """
    runs = fleet.runs(schedule_id)
    trigger = fleet.schedule(schedule_id).trigger
    assert times(runs) == fires_of(trigger, after, fleet.clock.wall() if until is None else until)
    assert {run.state for run in runs} <= {RunState.SUCCEEDED}
    assert calls_of(fleet, schedule_id) == Counter(run.token for run in runs)
    return runs


def calls_of(fleet: Fleet, schedule_id: str) -> Counter[str]:
    """Return how often the job was called for each token of the schedule, by the ledger that the jobs wrote."""
    return Counter(token for token, _ in fleet.ledger if token.startswith(f"{schedule_id}@"))


def none_forgotten(store: Store, schedule: Schedule) -> tuple[list[Run], list[Skip]]:
    """Check that each fire from the making of *schedule* to its watermark has either a run or a skip record.

    Returns:
        The runs of fires and the skip records, oldest first.
    """
    now = store.get(schedule.id)
    assert now is not None
    runs = [run for run in runs_of(store, schedule.id) if run.source == "schedule"]
    skips = skips_of(store, schedule.id)
    expected = fires_of(schedule.trigger, schedule.created_at, now.watermark)
    told = [at for at in expected if any(skip.first <= at <= skip.last for skip in skips)]
    assert sorted([*times(runs), *told]) == expected
    assert not any(skip.more for skip in skips)
    assert sum(skip.count for skip in skips) == len(told)
    return runs, skips


def at_once(works: list[Callable[[], None]]) -> None:
    """Do all of them at the same time; raise what any of them raised."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    if errors:
        raise errors[0]
