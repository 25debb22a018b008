"""What code says of a schedule, and how that goes together with what people changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tickonce.definitions import definition_of
from tickonce.editing.settling import (
    FIELDS,
    POLICY_FIELDS,
    amend,
    existing,
    make,
    raised,
    set_aside,
    value_of,
    with_changes,
)
from tickonce.errors import WrongState
from tickonce.model import Change, Declaration, Definition, Schedule, ScheduleState


@dataclass(frozen=True, slots=True, kw_only=True)
class Declare:
    """Say what code says. An unchanged declaration touches nothing; a changed one is an edit.

    One whose trigger raises is written all the same, set aside with the reason: it must not keep the others from
    starting, and it must be seen.

    Attributes:
        hash: Of *definition*, with its form.
        release: The program's release. An older one never replaces a newer, unless *forced*.
        forced: No live node declares what the store holds: what is left of a rollout replaces it.
        expected: With *forced*: the declared hash that was found in the store; another one is left alone.
        expected_revision: With *forced*: the revision at which it was found. What comes to the store late must not
            undo a rollout that has gone back to that hash meanwhile.
    """

    schedule_id: str
    definition: Definition
    hash: str
    form: Mapping[str, Any]
    release: str | None = None
    forced: bool = False
    expected: str | None = None
    expected_revision: int | None = None
    by: str = ""

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        """Decide."""
        if schedule is None or (schedule.state is ScheduleState.REMOVED and schedule.declaration is None):
            declaration = self._declaration(now, frozenset())
            since = now if schedule is None else max(now, schedule.watermark)
            aside = raised(self.schedule_id, self.definition, since)
            made = make(self.schedule_id, self.definition, now, schedule, source="code", by=self.by, aside=aside)
            return Change(schedule=replace(made, declaration=declaration))
        before = schedule.declaration
        if schedule.state is ScheduleState.REMOVED or (before is not None and before.hash == self.hash):
            return None
        found = None if before is None else (before.hash, schedule.revision)
        if found is not None and self.forced and found != (self.expected, self.expected_revision):
            return None
        if before is not None and not self.forced and older(self.release, before.release):
            return None
        overrides = before.overrides if before is not None else frozenset()
        # Newer code may have overrides of fields that are not known here: they stay its affair.
        known = overrides & (FIELDS | POLICY_FIELDS)
        kept = {name: value_of(schedule.definition, name) for name in known}
        wanted = with_changes(self.definition, kept)
        try:
            change = amend(now, schedule, wanted, open_runs, by=self.by, person=False)
        except Exception:
            reason = raised(self.schedule_id, wanted, max(now, schedule.watermark))
            if reason is None:
                raise
            change = set_aside(now, schedule, wanted, open_runs, by=self.by, reason=reason)
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
        found = existing(self.schedule_id, schedule)
        if found.declaration is None:
            raise WrongState(f"schedule {self.schedule_id!r}", state="not declared in code", wanted="declared in code")
        if not found.declaration.overrides:
            return None
        bare = replace(found, declaration=replace(found.declaration, overrides=frozenset()))
        declared = definition_of(found.declaration.form)
        return amend(now, bare, declared, open_runs, by=self.by, person=False) or Change(schedule=bare)


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
