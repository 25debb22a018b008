"""What a trigger is, and its JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias, runtime_checkable

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"
#: A trigger as JSON: ``kind`` and ``version``, then the fields of that kind, those at their default left out.
Spec: TypeAlias = "Mapping[str, JSON]"


@runtime_checkable
class Trigger(Protocol):
    """When something is due: a frozen value, a pure function of time.

    Triggers are hashable, picklable, and equal when the same is written: ``0 9 * * mon`` and ``0 9 * * 1`` are due
    at the same times and are not equal. They read no clock: the same question has the same answer on every node and at
    any time, as far as the nodes agree about the rules of time zones.
    """

    def next_after(self, after: datetime) -> datetime | None:
        """Return the first fire strictly later than *after*, in UTC, or None when there is none.

        *after* is aware, in any zone. A fire outside of the years 1 to 9999 is none.

        Raises:
            TriggerError: *after* is naive.
        """

    def spec(self) -> Spec:
        """Return the JSON form, from which ``trigger_from_spec`` makes an equal trigger."""

    def resolved(self, *, schedule_id: str, tz: str) -> Trigger:
        """Return the same trigger with all filled in that depends on its surroundings.

        *tz* is the zone for a trigger that names none; *schedule_id* chooses the place of one that is spread. A
        resolved trigger returns itself, whatever the arguments. Only resolved triggers are stored and planned.

        Raises:
            TriggerError: *tz* is needed and is no zone.
        """
