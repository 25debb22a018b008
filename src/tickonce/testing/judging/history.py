"""What was asked for: definitions, edits, and the store's instants at which they took effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from tickonce.model import Token, manual_token
from tickonce.testing.judging.rhythm import Rhythm

EditKind: TypeAlias = Literal["add", "change", "pause", "resume", "remove"]
Mode: TypeAlias = Literal["active", "paused"]

#: Histories of one schedule that are looked at; what is more uncertain than this cannot be judged.
MOST_HISTORIES = 20_000


class TooUncertain(Exception):
    """So many edits of one schedule may or may not have happened that nothing can be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A definition, as far as it decides what has to happen.

    Attributes:
        jitter: Fires are due up to this long after their scheduled time.
        retries: Tries after the first one.
        waits: The longest wait before each of them, where it is known; each may be shorter by a share of *wait_varies*.
        start_within: How long after its due time a run may begin. None: what the misfire policy says.
        timeout: How long a call may take.
        sure: False for a definition that may fail to tell its fires: they may come, once, and need not.
    """

    rhythm: Rhythm
    misfire: str = "latest"
    overlap: str = "skip"
    grace: timedelta = timedelta(seconds=10)
    catch_up: timedelta = timedelta(days=1)
    jitter: timedelta = timedelta(0)
    retries: int = 0
    on_lost: str = "rerun"
    max_losses: int = 2
    waits: tuple[timedelta, ...] = ()
    wait_varies: float = 0.0
    start_within: timedelta | None = None
    timeout: timedelta | None = None
    sure: bool = True

    def timed_like(self, other: Terms) -> bool:
        """Whether both have the same fires, so that going from one to the other settles nothing."""
        return (self.rhythm, self.jitter) == (other.rhythm, other.jitter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Something that somebody did to a schedule.

    Attributes:
        earliest: The store's instant at which it took effect, or the first possible one.
        latest: The last possible one.
        sure: False when the reply was lost: it may not have happened.
        until: When a pause ends by itself.
        missed: What a resume asked for: ``latest``, ``all`` or None.
    """

    kind: EditKind
    earliest: datetime
    latest: datetime
    sure: bool = True
    terms: Terms | None = None
    until: datetime | None = None
    missed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time in which one definition was in force and the schedule was active or paused.

    Attributes:
        begin: Fires later than this belong to it,
        end: up to this one.
        closed: The edit that ended it; None: a pause ended by itself, or the history is over.
    """

    mode: Mode
    terms: Terms
    begin: datetime
    end: datetime
    closed: Edit | None = None


@dataclass(slots=True)
class History:
    """What was asked for so far, told by whoever edits.

    An edit's instant is the store's. Where it is not known exactly it took effect between *at* and *latest*; where the
    reply was lost it is not *sure*.
    """

    schedules: dict[str, list[Edit]] = field(default_factory=dict)
    by_hand: dict[Token, bool] = field(default_factory=dict)
    cancelled: set[Token] = field(default_factory=set)
    told: dict[Token, datetime] = field(default_factory=dict)
    retried: dict[Token, datetime] = field(default_factory=dict)

    def add(
        self, schedule_id: str, terms: Terms, at: datetime, *, latest: datetime | None = None, sure: bool = True
    ) -> None:
        """The schedule was made, or made anew."""
        self._edit(schedule_id, Edit(kind="add", earliest=at, latest=latest or at, sure=sure, terms=terms))

    def change(
        self, schedule_id: str, terms: Terms, at: datetime, *, latest: datetime | None = None, sure: bool = True
    ) -> None:
        """Its definition became another one."""
        self._edit(schedule_id, Edit(kind="change", earliest=at, latest=latest or at, sure=sure, terms=terms))

    def pause(
        self,
        schedule_id: str,
        at: datetime,
        *,
        until: datetime | None = None,
        latest: datetime | None = None,
        sure: bool = True,
    ) -> None:
        """It was paused, until *until* if given."""
        self._edit(schedule_id, Edit(kind="pause", earliest=at, latest=latest or at, sure=sure, until=until))

    def resume(
        self,
        schedule_id: str,
        at: datetime,
        *,
        missed: str | None = None,
        latest: datetime | None = None,
        sure: bool = True,
    ) -> None:
        """It goes on."""
        self._edit(schedule_id, Edit(kind="resume", earliest=at, latest=latest or at, sure=sure, missed=missed))

    def remove(self, schedule_id: str, at: datetime, *, latest: datetime | None = None, sure: bool = True) -> None:
        """It was removed."""
        self._edit(schedule_id, Edit(kind="remove", earliest=at, latest=latest or at, sure=sure))

    def run_now(self, schedule_id: str, key: str, *, sure: bool = True) -> None:
        """A run was started by hand; *sure* when the store said so."""
        token = manual_token(schedule_id, key)
        self.by_hand[token] = self.by_hand.get(token, False) or sure

    def cancel(self, token: Token, *, running_at: datetime | None = None) -> None:
        """Somebody asked for a run to be cancelled; *running_at* that instant a node had it, where that is known."""
        self.cancelled.add(token)
        if running_at is not None:
            self.told.setdefault(token, running_at)

    def retry(self, token: Token, at: datetime) -> None:
        """Somebody asked for an ended run to be tried again."""
        self.retried[token] = at

    def possible(self, schedule_id: str, until: datetime) -> Iterator[list[Stretch]]:
        """Yield every course that the schedule may have taken up to *until*, one list of stretches each.

        Raises:
            TooUncertain: There are too many of them.
        """
        for number, stretches in enumerate(_courses(self._of(schedule_id), _Course(), until)):
            if number >= MOST_HISTORIES:
                raise TooUncertain(f"{schedule_id}: more than {MOST_HISTORIES} possible histories")
            yield stretches

    def fires(self, schedule_id: str, until: datetime) -> list[datetime]:
        """Return the fires up to *until* that are to be launched, if each edit took effect as early as it may have."""
        course = next(_courses([replace(edit, sure=True) for edit in self._of(schedule_id)], _Course(), until))
        active = [each for each in course if each.mode == "active"]
        return [at for each in active for at in each.terms.rhythm.between(each.begin, each.end)]

    def _of(self, schedule_id: str) -> list[Edit]:
        return self.schedules.get(schedule_id, [])

    def _edit(self, schedule_id: str, edit: Edit) -> None:
        self.schedules.setdefault(schedule_id, []).append(edit)


@dataclass(frozen=True, slots=True)
class _Course:
    """How a schedule stands after some of its edits: the open stretch, and those that are over."""

    stretches: tuple[Stretch, ...] = ()
    mode: Mode | None = None
    terms: Terms | None = None
    begin: datetime | None = None
    until: datetime | None = None

    def closed(self, at: datetime, edit: Edit | None) -> tuple[Stretch, ...]:
        """Return the stretches up to *at*; a pause that is over by then has an active one behind it."""
        if self.mode is None or self.terms is None or self.begin is None:
            return self.stretches
        at = max(at, self.begin)
        last = Stretch(mode=self.mode, terms=self.terms, begin=self.begin, end=at, closed=edit)
        if self.mode == "paused" and self.until is not None and self.until < at:
            over = max(self.until, self.begin)
            # The pause was over by itself; only a resume that asks for the missed ones still reaches into it.
            paused = replace(last, end=over, closed=edit if edit is not None and edit.missed is not None else None)
            return (*self.stretches, paused, replace(last, mode="active", begin=over))
        return (*self.stretches, last)

    def after(self, edit: Edit, at: datetime) -> _Course:
        """Return how it stands after *edit* took effect at *at*."""
        at = at if self.begin is None else max(at, self.begin)
        ended = self.closed(at, edit)
        paused = self.mode == "paused" and not (self.until is not None and self.until <= at)
        match edit.kind:
            case "add":
                return _Course(ended, "active", edit.terms, at)
            case "change" if paused:
                return _Course(ended, "paused", edit.terms, at, self.until)
            case "change":
                return _Course(ended, None if self.mode is None else "active", edit.terms, at)
            case "pause":
                return _Course(ended, None if self.mode is None else "paused", self.terms, at, edit.until)
            case "resume":
                return _Course(ended, None if self.mode is None else "active", self.terms, at)
            case "remove":
                return _Course(ended)


def _courses(edits: Sequence[Edit], course: _Course, until: datetime) -> Iterator[list[Stretch]]:
    if not edits:
        stretches = course.closed(until, None)
        yield [replace(each, end=min(each.end, until)) for each in stretches if each.begin < until]
        return
    edit, rest = edits[0], edits[1:]
    if not edit.sure:
        yield from _courses(rest, course, until)
    for at in _instants(edit, course):
        yield from _courses(rest, course.after(edit, at), until)


def _instants(edit: Edit, course: _Course) -> list[datetime]:
    """Return instants that stand for all possible ones: only on which side of each fire an edit lies matters."""
    if edit.latest <= edit.earliest:
        return [edit.earliest]
    found = {edit.earliest}
    for terms in (course.terms, edit.terms):
        if terms is not None:
            found.update(terms.rhythm.between(edit.earliest, edit.latest))
    return sorted(found)
