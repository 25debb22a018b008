"""The values that travel between people, planner, engine and stores; frozen, without behaviour that reads a clock.

All instants are aware datetimes in UTC with microseconds. One meaning a word: see the table of words in the docs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Generic, TypeAlias, TypeVar

from tickonce.errors import BadId, DefinitionError
from tickonce.retry import Retry
from tickonce.triggers import OpaqueTrigger, Trigger

BUCKETS = 1024
NO_ARGUMENTS = '{"args":[],"kwargs":{}}'
MAX_ID_BYTES = 190
MAX_TOKEN_BYTES = 255
_ILLEGAL = frozenset("@#~/?")

NodeId: TypeAlias = str
Token: TypeAlias = str

T = TypeVar("T")


class Misfire(StrEnum):
    """What happens to fires found more than ``grace`` late."""

    LATEST = "latest"  # the newest of them, if no on-time fire follows
    ALL = "all"  # each one within the catch-up window, oldest first
    SKIP = "skip"  # none


class Overlap(StrEnum):
    """What happens to a fire while a run of its schedule is open."""

    SKIP = "skip"
    ALLOW = "allow"


class OnLost(StrEnum):
    """What happens to a run whose node is gone."""

    RERUN = "rerun"  # pending again, under the same token
    FAIL = "fail"  # ends as lost, once its function had been called


class CutOff(StrEnum):
    """What a node does with a run when it cannot reach the store within its lease."""

    FINISH = "finish"  # goes on, the outcome is kept and offered; the store's fence decides
    CANCEL = "cancel"


class ScheduleState(StrEnum):
    """States of a schedule."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"  # no fire is left
    ASIDE = "aside"  # its trigger raised; resume() brings it back
    REMOVED = "removed"  # a tombstone: keeps watermark and version


class RunState(StrEnum):
    """States of a run. Open ones count for overlap."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    SKIPPED = "skipped"

    @property
    def open(self) -> bool:
        """Whether the run may still do work."""
        return self in OPEN


OPEN = frozenset({RunState.PENDING, RunState.RUNNING})


class NodeState(StrEnum):
    """States of a node's row. Only ALIVE and LEAVING hold runs."""

    ALIVE = "alive"
    LEAVING = "leaving"  # finishes what runs, takes nothing new
    GONE = "gone"  # left in order
    DEAD = "dead"  # declared dead by a witness; never comes back


class Reason(StrEnum):
    """Why fires were not run: the reasons of skip records and of skipped runs."""

    MISFIRE = "misfire"
    CATCH_UP = "catch-up window"
    OVERLAP = "overlap"
    PAUSED = "paused"
    REMOVED = "removed"
    ORPHANED = "orphaned"
    TOO_LATE = "too late"


# -- definitions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How fires of a schedule are launched and its runs carried out.

    Attributes:
        misfire: What happens to fires found more than *grace* late.
        overlap: What happens to a fire while a run of the schedule is open.
        grace: How late a fire may be found and still count as on time.
        catch_up: How far back ``misfire="all"`` reaches.
        start_within: A pending run not started this long after its due time ends as skipped. None: one period of
            the trigger, at least a minute; with ``misfire="all"`` never.
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
        for name in ("grace", "catch_up"):
            if getattr(self, name) < timedelta(0):
                raise DefinitionError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("start_within", "timeout"):
            value = getattr(self, name)
            if value is not None and value <= timedelta(0):
                raise DefinitionError(f"{name} must be longer than zero, got {value}")
        if self.max_losses < 0:
            raise DefinitionError(f"max_losses must not be negative, got {self.max_losses}")

    @property
    def room(self) -> int | None:
        """How many runs of the schedule may be open at once; None is any number."""
        return 1 if self.overlap is Overlap.SKIP else None


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
    policy: Policy = Policy()
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
        if self.jitter < timedelta(0):
            raise DefinitionError(f"jitter must not be negative, got {self.jitter}")
        for name in ("start", "end"):
            value: datetime | None = getattr(self, name)
            if value is not None and value.tzinfo is None:
                raise DefinitionError(
                    f"{name} must be aware, got {value!r}; write {value!r}.astimezone() or add a zone"
                )
        if self.start is not None and self.end is not None and self.end < self.start:
            raise DefinitionError(f"end must not be before start, got {self.start} and {self.end}")
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
    def bucket(self) -> int:
        """Part of the work that the schedule belongs to."""
        return bucket_of(self.id)


# -- fires, plans, runs ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fire:
    """One occurrence of a schedule.

    Attributes:
        scheduled_time: The identity, together with the schedule.
        due: When it may start.
        start_by: When it is too late to start, or None.
    """

    schedule_id: str
    scheduled_time: datetime
    due: datetime
    start_by: datetime | None = None

    @property
    def token(self) -> Token:
        """Text of the fire and key of its run."""
        return token_of(self.schedule_id, self.scheduled_time)


@dataclass(frozen=True, slots=True)
class Skip:
    """Consecutive fires that were not run, with the reason.

    Attributes:
        count: How many; a lower bound when *more* is set.
    """

    schedule_id: str
    reason: str
    first: datetime
    last: datetime
    count: int
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do with a schedule's due fires; decided without knowing how many runs are open.

    Attributes:
        schedule: The schedule as it was read; the plan holds only while its version does.
        fires: To be launched in this order, as far as there is room.
        skips: Dropped whatever is open; all of them before *fires*.
        watermark: Where the schedule stands afterwards.
        next_fire: Its next fire afterwards, or None.
        due: When that one is due.
        state: The schedule's state afterwards.
    """

    schedule: Schedule
    fires: tuple[Fire, ...]
    skips: tuple[Skip, ...]
    watermark: datetime
    next_fire: datetime | None
    due: datetime | None
    state: ScheduleState


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an atomic step writes: the schedule's row, new runs, skip records.

    Attributes:
        schedule: The row as it becomes; the store raises the version itself.
        runs: Fires that get a pending (or fused) run.
        manual: Runs started by hand, pending.
        skips: Skip records, oldest first.
        extends: ``first`` of the record that the first of *skips* continues, or None: each is a record of its own.
    """

    schedule: Schedule
    runs: tuple[Fire, ...] = ()
    manual: tuple[Run, ...] = ()
    skips: tuple[Skip, ...] = ()
    extends: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A fire being carried out, or carried out.

    Attributes:
        token: Key of the run.
        attempt: Raised by every claim; a fence, never compared with a limit.
        failures: How often it failed.
        losses: How often its node was gone.
        node: Who holds it while it runs, or held it when it ended.
        due: When it may start: the fire's due time, or a retry's.
        start_by: When it is too late to start, or None.
        overdue: Its thread ignored the timeout and still runs.
        cancelling: It was asked to stop.
        source: ``schedule``, ``manual``, later ``backfill``.
        result: What the job returned, as JSON text, at most 64 KB.
        error: Traceback or message of the last failure, at most 64 KB.
        reason: Why it was skipped or cancelled.
    """

    token: Token
    schedule_id: str
    job: str
    arguments: str
    scheduled_time: datetime
    due: datetime
    state: RunState = RunState.PENDING
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    node: NodeId | None = None
    queue: str = "default"
    priority: int = 0
    policy: Policy = Policy()
    start_by: datetime | None = None
    source: str = "schedule"
    created_at: datetime | None = None
    created_by: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    overdue: bool = False
    cancelling: bool = False
    progress: float | None = None
    result: str | None = None
    error: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended. Accepted only while node, attempt and state still match.

    Attributes:
        state: SUCCEEDED, FAILED, CANCELLED, LOST; PENDING for a retry (``failed=True``) or a hand-back.
        due: When a retry may start.
        failed: Whether the attempt counts as a failure.
    """

    token: Token
    attempt: int
    node: NodeId
    state: RunState
    started_at: datetime | None = None
    finished_at: datetime | None = None
    due: datetime | None = None
    failed: bool = False
    result: str | None = None
    error: str | None = None
    reason: str | None = None


# -- nodes -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One process that takes part.

    Attributes:
        id: Its incarnation: new at each start, after each fork and after being declared dead.
        host: Name of the machine, for people.
        lease: How long it counts as alive after a beat.
        alive_until: Written by the store's clock at each beat.
        ticks: Whether it launches schedules.
        serving: Whether its ticker keeps up; one that is stuck owns no buckets.
        ticked_at: When its ticker last completed a pass.
        queues: Queues whose runs it carries out.
        declares: Hash of each definition that its code declares, by schedule id.
        facts: For people and ``doctor``: versions, zone data, clock offset.
    """

    id: NodeId
    host: str = ""
    pid: int = 0
    state: NodeState = NodeState.ALIVE
    lease: timedelta = timedelta(seconds=15)
    started_at: datetime | None = None
    beat_at: datetime | None = None
    alive_until: datetime | None = None
    ticks: bool = True
    serving: bool = True
    ticked_at: datetime | None = None
    slots: int = 10
    busy: int = 0
    queues: tuple[str, ...] = ("default",)
    release: str | None = None
    declares: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """One run that the store says a node holds."""

    token: Token
    attempt: int
    cancelling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The answer to a beat.

    Attributes:
        instant: The store's clock.
        alive: Whether the beat was accepted; False once the node was declared dead.
        nodes: The rows of all nodes in state ALIVE or LEAVING, without ``declares`` and ``facts``.
        held: What the store says this node holds.
        clock_epoch: Raised when an operator accepts a jump of the store's clock.
    """

    instant: datetime
    alive: bool
    nodes: tuple[Node, ...]
    held: tuple[Held, ...]
    clock_epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What a look at the store shows a ticker.

    Attributes:
        instant: The store's clock.
        due: Schedules that this node has to deal with now, oldest first.
        more: Whether the limit cut *due* short.
        next_here: The next instant at which a schedule needs this node, its takeover delays included, or None.
        next_run: The due time of the first pending run that this node can carry out; may be past; or None.
        low: No schedule is due before this instant, nor is it past *instant*: the lower bound for the next look.
    """

    instant: datetime
    due: tuple[Schedule, ...]
    more: bool
    next_here: datetime | None
    next_run: datetime | None
    low: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """What a launch did.

    Attributes:
        instant: The store's clock.
        alive: False when the node's row is not alive: nothing was launched.
        claimed: Runs that the node holds now and must start.
        pending: Tokens left for whoever claims them.
        changes: What was written, one a schedule.
        locked: Schedules whose row was locked by somebody else.
        lost: Schedules whose version had moved.
        taken: Tokens that existed already though watermark and version held: a store that went back in time.
    """

    instant: datetime
    alive: bool = True
    claimed: tuple[Run, ...] = ()
    pending: tuple[Token, ...] = ()
    changes: tuple[Change, ...] = ()
    locked: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    taken: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a longer list.

    Attributes:
        items: The part.
        cursor: Give it back to read on; None at the end.
    """

    items: tuple[T, ...]
    cursor: str | None = None


# -- identity ----------------------------------------------------------------------------------


def token_of(schedule_id: str, scheduled_time: datetime) -> Token:
    """Return the token of a fire.

    >>> token_of("nightly", datetime(2026, 11, 21, 13, tzinfo=UTC))
    'nightly@2026-11-21T13:00:00Z'
    >>> token_of("fast", datetime(2026, 11, 21, 13, 0, 0, 250_000, tzinfo=UTC))
    'fast@2026-11-21T13:00:00.250000Z'
    """
    return f"{schedule_id}@{scheduled_time.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def manual_token(schedule_id: str, key: str) -> Token:
    """Return the token of a run started by hand under an idempotency *key*.

    Raises:
        BadId: The key has illegal characters, or the token would be longer than 255 bytes.
    """
    check_id(key)
    token = f"{schedule_id}@run-{key}"
    if len(token.encode()) > MAX_TOKEN_BYTES:
        raise BadId(key, reason=f"with the schedule's id the token is longer than {MAX_TOKEN_BYTES} bytes")
    return token


def bucket_of(schedule_id: str) -> int:
    """Return the bucket of a schedule: the first two bytes (big-endian) of blake2b-64 of its id, modulo 1024."""
    return int.from_bytes(blake2b(schedule_id.encode(), digest_size=8).digest()[:2]) % BUCKETS


def check_id(id: str) -> str:
    """Return *id* when it is legal.

    Raises:
        BadId: It is empty, longer than 190 bytes, not NFC, or has one of ``@ # ~ / ?``, white space or control
            characters.
    """
    if not isinstance(id, str):
        raise BadId(str(id), reason=f"ids are text, not {type(id).__name__}")
    if not id:
        raise BadId(id, reason="it is empty")
    try:
        size = len(id.encode())
    except UnicodeEncodeError:
        raise BadId(id, reason="it is not valid Unicode") from None
    if size > MAX_ID_BYTES:
        raise BadId(id[:40] + "...", reason=f"it has {size} bytes, allowed are {MAX_ID_BYTES}")
    for char in id:
        if char in _ILLEGAL or char.isspace() or unicodedata.category(char).startswith("C"):
            raise BadId(id, reason=f"{char!r} is not allowed (nor @ # ~ / ?, white space, control characters)")
    if not unicodedata.is_normalized("NFC", id):
        raise BadId(id, reason="it is not in Unicode form NFC; write unicodedata.normalize('NFC', id)")
    return id
