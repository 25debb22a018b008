"""Schedules for tests of the pure core, at instants of their own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tickonce.model import Change, Definition, Policy, Schedule
from tickonce.planning import next_due
from tickonce.triggers import Every, Trigger

T0 = datetime(2026, 11, 21, 13, tzinfo=UTC)
US = timedelta(microseconds=1)
MS = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def schedule(trigger: Trigger | str = "1m", *, since: datetime = T0, **fields: Any) -> Schedule:
    """Return a schedule that has dealt with everything up to *since*."""
    policy = {name: fields.pop(name) for name in list(fields) if name in Policy.__dataclass_fields__}
    own = {name: fields.pop(name) for name in list(fields) if name in Definition.__dataclass_fields__}
    schedule_id = fields.pop("id", "nightly")
    trigger = Every(trigger, anchor=T0) if isinstance(trigger, str) else trigger
    definition = Definition(**{"job": "work", "trigger": trigger, "policy": Policy(**policy), **own})
    next_fire, due = next_due(schedule_id, definition, since)
    row: dict[str, Any] = {
        "id": schedule_id,
        "definition": definition,
        "watermark": since,
        "next_fire": next_fire,
        "due": due,
        "created_at": since,
        "updated_at": since,
    }
    return Schedule(**{**row, **fields})


def written(change: Change) -> Schedule:
    """Return the row as a store would keep it."""
    return replace(change.schedule, version=change.schedule.version + 1)


@dataclass(frozen=True)
class At:
    """Fires at given instants; unlike the real one also at none."""

    instants: tuple[datetime, ...]

    def next_after(self, after: datetime) -> datetime | None:
        return next((instant for instant in self.instants if instant > after), None)

    def spec(self) -> Any:
        return {"kind": "test", "version": 1}

    def resolved(self, *, schedule_id: str, tz: str) -> At:
        return self


@dataclass(frozen=True)
class Counting:
    """Another trigger, whose questions are counted."""

    inner: Trigger
    asked: list[datetime] = field(default_factory=list, compare=False)

    def next_after(self, after: datetime) -> datetime | None:
        self.asked.append(after)
        return self.inner.next_after(after)

    def spec(self) -> Any:
        return self.inner.spec()

    def resolved(self, *, schedule_id: str, tz: str) -> Counting:
        return self


@dataclass(frozen=True)
class Broken:
    """Raises, as a trigger with a bug does."""

    def next_after(self, after: datetime) -> datetime | None:
        raise ZeroDivisionError("no month 13")

    def spec(self) -> Any:
        return {"kind": "broken", "version": 1}

    def resolved(self, *, schedule_id: str, tz: str) -> Broken:
        return self
