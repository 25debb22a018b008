"""Schedules asked again where they stand, when a node comes with other rules of zones or calendars than there were."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tickonce.editing import Recheck
from tickonce.engine.beat import Heart
from tickonce.errors import StoreError
from tickonce.model import NodeState, ScheduleState
from tickonce.ports import ScheduleFilter, Store

_log = logging.getLogger("tickonce.node")

#: Schedules of one look, and how long until the next one: at a hundred thousand of them this takes ten seconds.
CHUNK = 500
PAUSE = timedelta(milliseconds=50)
#: Facts of a node that say by which rules its triggers answer.
RULES = ("tickonce", "tzdata", "calendars")

_NEVER = timedelta.max
_FIRST = datetime.min.replace(tzinfo=UTC)


class Rechecks:
    """One pass is ``step()``. Each node asks once in its life, and not at all while an older one lives by its rules.

    A launch asks again by itself; this is for what must not wait for one: a fire that has become earlier, a schedule
    that a calendar held for want of data.
    """

    def __init__(self, store: Store, *, heart: Heart) -> None:
        self._store, self._heart = store, heart
        self._over = self._asking = self._members_changed = False
        self._cursor: str | None = None
        self._moved = 0
        self.at = _NEVER

    def members_changed(self) -> None:
        """The set of live nodes is another one now: this may be the oldest with its rules."""
        self._members_changed = True

    def step(self, now: timedelta) -> None:
        """Do what is due; ``at`` says when to come again."""
        if self._over:
            return
        if not self._asking:
            if not self._members_changed:
                return
            self._asking = self._is_oldest()
            self._members_changed = False
        if self._asking and (self.at == _NEVER or now >= self.at):
            self.at = now + PAUSE
            self._ask()

    def _ask(self) -> None:
        which = ScheduleFilter(states=(ScheduleState.ACTIVE,))
        page = self._store.schedules(which, limit=CHUNK, cursor=self._cursor)
        for schedule in page.items:
            recheck = Recheck(schedule_id=schedule.id)
            try:
                if recheck(schedule.updated_at, schedule, 0) is not None:  # the instant plays no part
                    after = self._store.change(schedule.id, recheck)
                    self._moved += after is not None and after.version != schedule.version
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001  # a trigger that raises does so again when it is due
                _log.debug("schedule %r cannot be asked where it stands: %s", schedule.id, error)
        self._cursor = page.cursor
        if self._cursor is None:
            self._over, self.at = True, _NEVER
            if self._moved:
                _log.info("rules of zones or calendars have changed: %d schedule(s) stand elsewhere now", self._moved)

    def _is_oldest(self) -> bool:
        me = self._heart.node.id
        nodes = [node for node in self._store.nodes() if node.state is NodeState.ALIVE]
        mine = next((_rules(node.facts) for node in nodes if node.id == me), None)
        alike = [node for node in nodes if _rules(node.facts) == mine]
        return bool(alike) and min(alike, key=lambda node: (node.started_at or _FIRST, node.id)).id == me


def _rules(facts: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(facts.get(name)) for name in RULES)
