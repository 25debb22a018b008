"""What people write down, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from tickonce.errors import DefinitionError
from tickonce.model.identity import bucket_of, check_id
from tickonce.model.words import CutOff, Misfire, OnLost, Overlap, ScheduleState
from tickonce.retry import Retry
from tickonce.triggers import OpaqueTrigger, Trigger

NO_ARGUMENTS = '{"args":[],"kwargs":{}}'


_CHOICES: dict[str, type[StrEnum]] = {
    "misfire": Misfire,
    "overlap": Overlap,
    "on_lost": OnLost,
    "when_cut_off": CutOff,
}


#: No duration of a schedule is longer: a century, so that no sum with an instant leaves the calendar.
LONGEST = timedelta(days=36_525)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How fires of a schedule are launched and its runs carried out.

    Attributes:
        misfire: What happens to fires found more than *grace* late.
        overlap: What happens to a fire while a run of the schedule is open.
        grace: How late a fire may be found and still count as on time.
        catch_up: How far back ``misfire="all"`` reaches.
        start_within: A pending run not started this long after its due time ends as skipped. None: one period of
            the trigger, at least a minute and twice *grace*; with ``misfire="all"`` never.
        timeout: How long one attempt may take. None: the job's own, else no limit.
        retry: When and how often a failed run is tried again. None: the job's own, else never.
        on_lost: What happens to a run whose node is gone.
        max_losses: Losses after which a run is not rerun any more but ends as lost.
        when_cut_off: What a node does with the run when it is cut off from the store for a lease.
    """

    misfire: Misfire = Misfire.LATEST
    overlap: Overlap = Overlap.SKIP
    grace: timedelta = timedelta(seconds=10)
    catch_up: timedelta = timedelta(days=1)
    start_within: timedelta | None = None
    timeout: timedelta | None = None
    retry: Retry | None = None
    on_lost: OnLost = OnLost.RERUN
    max_losses: int = 2
    when_cut_off: CutOff = CutOff.FINISH

    def __post_init__(self) -> None:
        for name, kind in _CHOICES.items():
            try:
                object.__setattr__(self, name, kind(getattr(self, name)))
            except ValueError:
                words = ", ".join(repr(str(word)) for word in kind)
                raise DefinitionError(f"{name} must be one of {words}, got {getattr(self, name)!r}") from None
        for name in ("grace", "catch_up"):
            if getattr(self, name) < timedelta(0):
                raise DefinitionError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("start_within", "timeout"):
            value = getattr(self, name)
            if value is not None and value <= timedelta(0):
                raise DefinitionError(f"{name} must be longer than zero, got {value}")
        for name in ("grace", "catch_up", "start_within", "timeout"):
            value = getattr(self, name)
            if value is not None and value > LONGEST:
                raise DefinitionError(f"{name} must be at most {LONGEST.days} days, got {value}")
        if self.max_losses < 0:
            raise DefinitionError(f"max_losses must not be negative, got {self.max_losses}")

    @property
    def room(self) -> int | None:
        """How many runs of the schedule may be open at once; None is any number."""
        return 1 if self.overlap is Overlap.SKIP else None


DEFAULT_POLICY = Policy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What people write down of a schedule: job, trigger, arguments, policy.

    Attributes:
        job: Name of the job.
        trigger: When; resolved, so that it means the same on every node.
        arguments: The job's arguments as JSON text, see ``codec.encode_arguments``.
        jitter: Fires become due up to this long after their scheduled time, by a hash of the fire.
        start: No fire is scheduled before this instant.
        end: No fire is scheduled after this instant.
        queue: Nodes that serve this queue carry the runs out.
        priority: Of pending runs the highest goes first.
        extra: Fields that newer code wrote and this code does not know; kept as they are.
    """

    job: str
    trigger: Trigger
    arguments: str = NO_ARGUMENTS
    policy: Policy = DEFAULT_POLICY
    jitter: timedelta = timedelta(0)
    start: datetime | None = None
    end: datetime | None = None
    queue: str = "default"
    priority: int = 0
    tags: tuple[str, ...] = ()
    owner: str = ""
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def known(self) -> bool:
        """Whether this code understands all of it; if not, the schedule is left to nodes that do."""
        return not self.extra and not isinstance(self.trigger, OpaqueTrigger)

    def __post_init__(self) -> None:
        check_id(self.queue)
        if self.jitter > LONGEST:
            raise DefinitionError(f"jitter must be at most {LONGEST.days} days, got {self.jitter}")
        if self.jitter < timedelta(0):
            raise DefinitionError(f"jitter must not be negative, got {self.jitter}")
        for name in ("start", "end"):
            value: datetime | None = getattr(self, name)
            if value is not None and value.tzinfo is None:
                raise DefinitionError(
                    f"{name} must be aware, got the naive {value.isoformat()}: it is a different instant in each zone; "
                    "give it one: replace(tzinfo=ZoneInfo(...)), or astimezone() for this machine's"
                )
        if self.start is not None and self.end is not None and self.end < self.start:
            raise DefinitionError(
                f"end must not be before start, got {self.start.isoformat()} and {self.end.isoformat()}"
            )
        if not -32768 <= self.priority <= 32767:
            raise DefinitionError(f"priority must be -32768 to 32767, got {self.priority}")


#: Fields of a definition that decide when fires are scheduled: an edit of any other leaves the clock alone.
TIMING = ("trigger", "jitter", "start", "end")


@dataclass(frozen=True, slots=True)
class Fold:
    """The newest skip record of a schedule, while nothing but skips of its reason followed."""

    reason: str
    first: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What code says of a schedule, kept beside the definition so that edits by people can be given back.

    Attributes:
        hash: Of the definition as declared.
        form: The definition as declared, in its JSON form.
        release: The program's release, when it names one; an older one never replaces a newer.
        overrides: Names of fields that people changed since; code leaves them alone.
        seen_at: When a live node last declared the schedule.
    """

    hash: str
    form: Mapping[str, Any]
    release: str | None = None
    overrides: frozenset[str] = frozenset()
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A definition under its id, with where it stands.

    Attributes:
        version: Opaque, raised by every write, never used twice for an id.
        revision: For people: raised by edits only.
        watermark: The newest scheduled time that has been dealt with; nothing at or before it is ever launched.
        next_fire: Scheduled time of the next fire, or None.
        due: When nodes act on it: *next_fire* plus jitter. None while nothing is to be done.
        reason: Why it is paused or set aside.
        paused_until: When a pause ends by itself.
        declaration: What code says of it, when code declared it.
    """

    id: str
    definition: Definition
    state: ScheduleState = ScheduleState.ACTIVE
    version: int = 0
    revision: int = 1
    watermark: datetime
    next_fire: datetime | None
    due: datetime | None
    fold: Fold | None = None
    reason: str | None = None
    paused_until: datetime | None = None
    source: str = "api"
    declaration: Declaration | None = None
    created_at: datetime
    created_by: str = ""
    updated_at: datetime
    updated_by: str = ""

    @property
    def job(self) -> str:
        """Name of the job."""
        return self.definition.job

    @property
    def trigger(self) -> Trigger:
        """When."""
        return self.definition.trigger

    @property
    def policy(self) -> Policy:
        """How fires are launched and runs carried out."""
        return self.definition.policy

    @property
    def queue(self) -> str:
        """Nodes that serve this queue carry the runs out."""
        return self.definition.queue

    @property
    def tags(self) -> tuple[str, ...]:
        """Words to find it by."""
        return self.definition.tags

    @property
    def owner(self) -> str:
        """Who answers for it."""
        return self.definition.owner

    @property
    def description(self) -> str:
        """What people wrote about it."""
        return self.definition.description

    @property
    def bucket(self) -> int:
        """Part of the work that the schedule belongs to."""
        return bucket_of(self.id)

    def stepped(
        self,
        *,
        version: int,
        watermark: datetime,
        next_fire: datetime | None,
        due: datetime | None,
        state: ScheduleState,
        reason: str | None,
    ) -> Schedule:
        """Return the schedule as a launch leaves it, its pause over if it had one.

        Written out, as ``dataclasses.replace`` takes twice as long, and this happens at every fire.
        """
        return Schedule(
            id=self.id,
            definition=self.definition,
            state=state,
            version=version,
            revision=self.revision,
            watermark=watermark,
            next_fire=next_fire,
            due=due,
            fold=self.fold,
            reason=reason,
            source=self.source,
            declaration=self.declaration,
            created_at=self.created_at,
            created_by=self.created_by,
            updated_at=self.updated_at,
            updated_by=self.updated_by,
        )
