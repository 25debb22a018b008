"""What happened: the ledger that jobs wrote, and what the store says of runs and skips."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from tickonce.model import Page, Run, RunState, Skip, Token
from tickonce.ports import RunFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A line of the ledger: one call of a job's function, written by the job itself.

    Attributes:
        node: Who called it, by the name under which harm to it is known.
        began: When, by the clock of the ledger.
        ended: When it returned or raised; None when nobody knows.
        failed: Whether it raised.
        interrupted: Whether it was told to stop and did.
        heeds: Whether it ends soon once it is told to stop, as far as that is known.
        order: Rises, where calls and writes of one instant have a known order.
    """

    token: Token
    schedule_id: str
    scheduled_time: datetime
    attempt: int
    node: str
    began: datetime
    ended: datetime | None = None
    failed: bool = False
    interrupted: bool = False
    heeds: bool = False
    by_hand: bool = False
    order: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """What the store took of an attempt: an outcome or an effect under the fence. A stale attempt must achieve none.

    Attributes:
        state: What the run is afterwards. PENDING: the attempt is over, it was given back or taken away.
        by_store: Nobody offered it: the store took the run away, or ended it while it waited.
        loss: The store took it from a node that is gone.
        order: Rises, where calls and writes of one instant have a known order.
    """

    token: Token
    attempt: int
    state: RunState
    at: datetime
    by_store: bool = False
    loss: bool = False
    order: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The store gave an attempt to a node."""

    token: Token
    attempt: int
    at: datetime


@dataclass(slots=True, kw_only=True)
class Evidence:
    """All that is known of what happened.

    Attributes:
        writes: What the store took of attempts; empty where nobody could listen.
        grants: Attempts that the store gave away, as far as somebody listened.
        launches: When a launch was asked for, or the edit that brought it, by token; where somebody listened.
    """

    calls: list[Call] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    launches: dict[Token, datetime] = field(default_factory=dict)


class Readable(Protocol):
    """The part of a store that is read here."""

    def runs(self, which: RunFilter, *, limit: int = 100, cursor: str | None = None) -> Page[Run]:
        """Return runs."""

    def skips(self, schedule_id: str | None = None, *, limit: int = 100, cursor: str | None = None) -> Page[Skip]:
        """Return skip records."""


def evidence_of(store: Readable, calls: Iterable[Call], *, ids: Collection[str] | None = None) -> Evidence:
    """Return the ledger together with all runs and skips of the store, or of the schedules *ids*."""
    wanted: list[str | None] = [None] if ids is None else [*sorted(ids)]
    return Evidence(
        calls=list(calls),
        runs=[run for each in wanted for run in _runs(store, each)],
        skips=[skip for each in wanted for skip in _skips(store, each)],
    )


def _runs(store: Readable, schedule_id: str | None) -> Iterator[Run]:
    cursor: str | None = None
    while True:
        page = store.runs(RunFilter(schedule_id=schedule_id), limit=1000, cursor=cursor)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def _skips(store: Readable, schedule_id: str | None) -> Iterator[Skip]:
    cursor: str | None = None
    while True:
        page = store.skips(schedule_id, limit=1000, cursor=cursor)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return
