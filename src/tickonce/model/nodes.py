"""Processes that take part, and what a store answers them."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Generic, TypeVar

from tickonce.model.identity import NodeId, Token
from tickonce.model.runs import Change, Run
from tickonce.model.schedules import Schedule
from tickonce.model.words import NodeState

T = TypeVar("T")


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
        facts: For people and ``doctor``: versions, zone data, clock offset, jobs, the process that it was forked from.
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


@lru_cache(maxsize=8)
def job_marks(jobs: frozenset[str]) -> str:
    """Return *jobs* as four letters each: the fact ``jobs`` of a node.

    A row is written anew with each beat, and a program may have a thousand jobs with long names.

    >>> job_marks(frozenset({"shop.sync", "shop.close"}))
    'yH7Bz6y5'
    """
    return "".join(sorted(_mark(job) for job in jobs))


def knows_job(node: Node, job: str) -> bool | None:
    """Whether *node* has said that it can carry out *job*; None where it has said nothing of jobs.

    A job that it does not have is taken for one of a thousand that it has in one of 16,000 cases.
    """
    marks = node.facts.get("jobs")
    if not isinstance(marks, str):
        return None
    mark = _mark(job)
    return any(marks[at : at + len(mark)] == mark for at in range(0, len(marks), len(mark)))


def _mark(job: str) -> str:
    return urlsafe_b64encode(blake2b(job.encode(), digest_size=3).digest()).decode()


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
        due: Schedules that this node has to deal with now, first those that became due here first.
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
        refused: Schedules whose fires the store does not take for their content, with what it said.
    """

    instant: datetime
    alive: bool = True
    claimed: tuple[Run, ...] = ()
    pending: tuple[Token, ...] = ()
    changes: tuple[Change, ...] = ()
    locked: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    taken: tuple[Token, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a longer list.

    Attributes:
        items: The part; to go through the page goes through them.
        cursor: Give it back to read on; None at the end.
    """

    items: tuple[T, ...]
    cursor: str | None = None

    def __iter__(self) -> Iterator[T]:
        """Yield the items of this part."""
        return iter(self.items)
