"""The store: its verbs, each handed to the lane whose connection carries it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from tickonce import forks
from tickonce.config import Retention
from tickonce.errors import DefinitionError
from tickonce.model import (
    Beat,
    Launched,
    Node,
    NodeId,
    Outcome,
    Page,
    Plan,
    Poll,
    Run,
    Schedule,
    Skip,
    Token,
)
from tickonce.partition import Share
from tickonce.ports import Ceiling, Clock, Decide, Joined, Notifier, RunFilter, ScheduleFilter, Serves
from tickonce.stores.sql import edits, launching, looking, nodes, reading, upkeep, work
from tickonce.stores.sql.address import Address
from tickonce.stores.sql.ceilings import LOOKS
from tickonce.stores.sql.connect import Duplicate, Lane, Refused
from tickonce.stores.sql.dialects import Dialect, dialect_of
from tickonce.stores.sql.rows import instant_of

_log = logging.getLogger("tickonce.store")

#: How long an edit goes on where its row is locked.
_PATIENCE = timedelta(seconds=5)


class SqlStore:
    """A store in tables of a database.

    At most three connections, each opened when it is first used: one for beats, so that nothing can keep a living
    node from saying so; one for ticks; one for all other work. A notifier has one more.
    """

    def __init__(self, address: Address, *, clock: Clock, dialect: Dialect | None = None) -> None:
        self._address = address
        self._dialect = dialect_of(address, clock) if dialect is None else dialect
        self._beat = Lane(self._dialect, "beats", timedelta(seconds=2))
        self._tick = Lane(self._dialect, "ticks", timedelta(seconds=10))
        self._work = Lane(self._dialect, "work", timedelta(seconds=10))
        self._pruned = upkeep.Place()

    # -- life ----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The store's address without its password."""
        return self._address.url

    @property
    def notifies(self) -> bool:
        """Whether a notifier tells of changes soon."""
        return self._dialect.notifies

    @property
    def local(self) -> bool:
        """Whether the store's clock is this machine's."""
        return self._dialect.local

    def prepare(self, *, make: bool = True) -> None:
        """Make the tables of an empty store, if so wanted; check existing ones."""
        with forks.undivided():
            from tickonce.stores.sql import schema
        schema.prepare(self._dialect, self._work, make=make)

    def close(self) -> None:
        """Give back connections."""
        for lane in (self._tick, self._work, self._beat):
            lane.close()

    def instant(self) -> datetime:
        """Return the store's clock."""
        return instant_of(self._work.read(nodes.now_us))

    def notifier(self) -> Notifier | None:
        """Return a new notifier, or None."""
        return self._dialect.notifier()

    def using(self, connection: object) -> Joined:
        """Return the steps as part of the transaction that *connection* is in."""
        from tickonce.stores.sql.using import joined

        return joined(self._dialect, connection)

    # -- edits ---------------------------------------------------------------------------------

    def change(self, schedule_id: str, decide: Decide) -> Schedule | None:
        """Lock the row, decide, write."""
        try:
            return self._work.write(lambda tx: edits.change(tx, schedule_id, decide), patience=_PATIENCE)
        except Refused as error:
            raise DefinitionError(f"schedule {schedule_id!r} holds text that no database takes: {error}") from error

    def get(self, schedule_id: str) -> Schedule | None:
        """Return the schedule, a tombstone too, or None."""
        return self._work.read(lambda tx: edits.get(tx, schedule_id))

    # -- nodes ---------------------------------------------------------------------------------

    def join(self, node: Node) -> Beat:
        """Insert the node's row; answer like a beat."""
        self._beat.write(lambda tx: nodes.insert(tx, node))
        return self.beat(node)

    def beat(self, node: Node) -> Beat:
        """Extend the node's life."""
        return self._beat.one(lambda tx: nodes.beat(tx, node))

    def expire(self, node_id: NodeId, dead: Collection[NodeId]) -> list[NodeId]:
        """Declare nodes dead whose lease is over."""
        return self._work.write(lambda tx: nodes.expire(tx, node_id, dead)) if dead else []

    def leave(self, node_id: NodeId) -> None:
        """Mark the node's row GONE."""
        self._beat.write(lambda tx: nodes.leave(tx, node_id))

    def nodes(self) -> list[Node]:
        """Return all rows of nodes."""
        return self._work.read(nodes.every_node)

    # -- ticking -------------------------------------------------------------------------------

    def due(
        self,
        shares: Sequence[Share],
        *,
        takeover_after: timedelta,
        serves: Serves,
        limit: int,
        low: datetime | None = None,
        leave_out: Collection[str] = (),
        horizon: timedelta = timedelta(minutes=1),
    ) -> Poll:
        """Look, without locking, at what is due here and when to look again."""
        return self._tick.read(
            lambda tx: looking.due(
                tx,
                shares,
                takeover_after=takeover_after,
                serves=serves,
                limit=limit,
                low=low,
                leave_out=leave_out,
                horizon=horizon,
            )
        )

    def launch(
        self,
        node_id: NodeId,
        plans: Sequence[Plan],
        *,
        slots: int,
        serves: Serves,
        until: datetime | None = None,
    ) -> Launched:
        """Write what the plans come to, each if its version still holds."""
        step = partial(launching.launch, node_id=node_id, serves=serves, until=until)
        launched = self._launched(step, plans, slots=slots)
        if len(launched) == 1:
            return launched[0]
        return _merged(launched)

    def _launched(
        self, step: Callable[..., Launched], plans: Sequence[Plan], *, slots: int, wary: bool = False
    ) -> list[Launched]:
        try:
            return [self._tick.write(lambda tx: step(tx, plans=plans, slots=slots, wary=wary))]
        except Duplicate:
            if wary:
                raise
            return self._launched(step, plans, slots=slots, wary=True)
        except Refused as error:
            if len(plans) == 1:
                return [Launched(instant=self.instant(), refused={plans[0].schedule.id: str(error)})]
        half = len(plans) // 2
        first = self._launched(step, plans[:half], slots=slots)
        left = slots - sum(len(each.claimed) for each in first)
        return first + self._launched(step, plans[half:], slots=left)

    def raise_watermarks(self, watermarks: Mapping[str, datetime]) -> list[str]:
        """Move watermarks forward to those given."""
        behind = self._tick.read(lambda tx: upkeep.behind(tx, watermarks)) if watermarks else []
        if not behind:
            return []
        return self._tick.write(lambda tx: upkeep.raise_watermarks(tx, watermarks, behind))

    # -- work ----------------------------------------------------------------------------------

    def claim(self, node_id: NodeId, *, serves: Serves, limit: int) -> list[Run]:
        """Take up to *limit* runs for the node."""
        tokens = self._work.read(lambda tx: work.candidates(tx, serves=serves, limit=limit))
        return self._work.write(lambda tx: work.claim(tx, node_id, tokens, limit=limit)) if tokens else []

    def held(self, node_id: NodeId) -> list[Run]:
        """Return the running runs that the node holds."""
        return self._work.read(lambda tx: work.held(tx, node_id))

    def began(self, node_id: NodeId, token: Token, attempt: int, *, at: datetime) -> bool:
        """Write that the attempt's function is about to be called."""
        return self._work.one(lambda tx: work.began(tx, node_id, token, attempt, at=at))

    def note(
        self, node_id: NodeId, token: Token, attempt: int, *, overdue: bool | None = None, progress: float | None = None
    ) -> bool:
        """Write how a running attempt is."""
        return self._work.one(lambda tx: work.note(tx, node_id, token, attempt, overdue=overdue, progress=progress))

    def finish(self, outcomes: Sequence[Outcome]) -> list[bool | None]:
        """Write how attempts ended."""
        if not outcomes:
            return []
        try:
            return self._work.write(lambda tx: work.finish(tx, outcomes))
        except Refused as error:
            if len(outcomes) == 1:
                return [self._finish_bare(outcomes[0], error)]
        half = len(outcomes) // 2
        return self.finish(outcomes[:half]) + self.finish(outcomes[half:])

    def _finish_bare(self, outcome: Outcome, refusal: Refused) -> bool | None:
        """Write an outcome whose content the database refuses: without its result, with an error that says so."""
        _log.error("the outcome of %r is written without its result: %s", outcome.token, refusal)
        try:
            return self._work.write(lambda tx: work.finish(tx, [outcome], bare=True))[0]
        except Refused:  # it is the token itself: there is no such run
            return False

    def recover(self, *, limit: int = 500) -> list[Run]:
        """Take running runs whose node is not alive away from it."""
        tokens = self._work.read(lambda tx: work.orphans(tx, limit=limit))
        return self._work.write(lambda tx: work.recover(tx, tokens)) if tokens else []

    def lapse(self, *, limit: int = 500) -> list[Run]:
        """End pending runs that are too late to start."""
        tokens = self._work.read(lambda tx: work.late(tx, limit=limit))
        return self._work.write(lambda tx: work.lapse(tx, tokens)) if tokens else []

    def cancel(self, token: Token, *, by: str = "") -> Run:
        """End a pending run, mark a running one."""
        return self._work.write(lambda tx: work.cancel(tx, token, by=by), patience=_PATIENCE)

    def retry(self, token: Token, *, by: str = "") -> Run:
        """Make an ended run pending again."""
        return self._work.write(lambda tx: work.retry(tx, token, by=by), patience=_PATIENCE)

    # -- reading -------------------------------------------------------------------------------

    def schedules(self, which: ScheduleFilter, *, limit: int = 100, cursor: str | None = None) -> Page[Schedule]:
        """Return schedules by id."""
        return self._work.read(lambda tx: reading.schedules(tx, which, limit=limit, cursor=cursor))

    def run(self, token: Token) -> Run | None:
        """Return one run, or None."""
        return self._work.read(lambda tx: work.get(tx, token))

    def runs(self, which: RunFilter, *, limit: int = 100, cursor: str | None = None) -> Page[Run]:
        """Return runs, newest scheduled time first."""
        return self._work.read(lambda tx: reading.runs(tx, which, limit=limit, cursor=cursor))

    def skips(self, schedule_id: str | None = None, *, limit: int = 100, cursor: str | None = None) -> Page[Skip]:
        """Return skip records, newest first."""
        return self._work.read(lambda tx: reading.skips(tx, schedule_id, limit=limit, cursor=cursor))

    def ids(self, like: str | None = None, *, limit: int = 10_000) -> list[str]:
        """Return ids of schedules that are not removed."""
        return self._work.read(lambda tx: reading.ids(tx, like, limit=limit))

    # -- upkeep --------------------------------------------------------------------------------

    def seen(self, ids: Collection[str], *, older_than: timedelta) -> None:
        """Write the instant as ``seen_at`` where that is older."""
        found = self._work.read(lambda tx: upkeep.unseen(tx, ids, older_than=older_than)) if ids else []
        if found:
            self._work.write(lambda tx: upkeep.seen(tx, found, older_than=older_than))

    def prune(self, retention: Retention, *, limit: int = 500) -> int:
        """Delete one small chunk of what is older than *retention*."""
        tokens = self._work.read(lambda tx: upkeep.old_runs(tx, retention, self._pruned, limit=limit))
        return self._work.write(lambda tx: upkeep.prune(tx, retention, tokens, limit=limit))

    def accept_clock(self) -> int:
        """Raise the clock epoch."""
        return self._work.write(nodes.accept_clock)

    def durability(self) -> list[str]:
        """Return a line for each setting that can lose confirmed commits."""
        return self._work.read(self._dialect.durability)

    def ceilings(self) -> list[Ceiling]:
        """Return how many connections the server takes."""
        return self._work.read(LOOKS[self._address.dialect])


def _merged(parts: Sequence[Launched]) -> Launched:
    return Launched(
        instant=parts[-1].instant,
        alive=all(part.alive for part in parts),
        claimed=tuple(run for part in parts for run in part.claimed),
        pending=tuple(token for part in parts for token in part.pending),
        changes=tuple(change for part in parts for change in part.changes),
        locked=tuple(each for part in parts for each in part.locked),
        lost=tuple(each for part in parts for each in part.lost),
        taken=tuple(token for part in parts for token in part.taken),
        refused={schedule_id: why for part in parts for schedule_id, why in part.refused.items()},
    )
