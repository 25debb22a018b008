"""What a node asks again when it starts: rules of zones and calendars may be newer than those that planned last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from tickonce.model import Change, Schedule, ScheduleState
from tickonce.planning import due_time, standing
from tickonce.triggers.newest import with_newest_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """Let the next fire stand where the trigger says it is by the rules known here; nothing is launched or left out.

    A schedule that a calendar holds wakes when there are data for it.
    """

    schedule_id: str

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        del now, open_runs  # what is due now is the launch's affair
        if schedule is None or schedule.state is not ScheduleState.ACTIVE or not schedule.definition.known:
            return None
        trigger = with_newest_data(schedule.definition.trigger)
        if trigger is not schedule.definition.trigger:
            schedule = replace(schedule, definition=replace(schedule.definition, trigger=trigger))
        elif standing(schedule) == schedule.next_fire:
            return None
        first = standing(schedule)
        after = replace(
            schedule,
            next_fire=first,
            due=None if first is None else due_time(schedule.id, schedule.definition, first),
            state=ScheduleState.ENDED if first is None else ScheduleState.ACTIVE,
        )
        return Change(schedule=after)
