"""The store's verbs: each takes its step under one lock. An edit holds the row of its schedule for longer than that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import attrgetter

from tickonce.clock import SYSTEM_CLOCK
from tickonce.config import Retention
from tickonce.errors import NoRun, NotTransactional, RunExists, RunOpen, WrongState
from tickonce.model import (
    Beat,
    Change,
    Definition,
    Held,
    Launched,
    Node,
    NodeId,
    NodeState,
    Outcome,
    Page,
    Plan,
    Poll,
    Run,
    RunState,
    Schedule,
    ScheduleState,
    Skip,
    Token,
    change_with,
    node_with,
    run_with,
    schedule_with,
)
from tickonce.partition import Share
from tickonce.planning import choose, moved_past
from tickonce.ports import Ceiling, Clock, Decide, Joined, Notifier, RunFilter, ScheduleFilter, Serves
from tickonce.stores.memory import listing, transitions
from tickonce.stores.memory.looking import Look
from tickonce.stores.memory.notifier import Board
from tickonce.stores.memory.tables import ALIVE, Tables


class MemoryStore:
    """A store for the threads of one process; what it holds ends with the process.

    Args:
        clock: Its wall time is the store's instant.
    """

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._tables = Tables()
        self._board = Board()

    # -- life ----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The store's address."""
        return "memory:"

    @property
    def notifies(self) -> bool:
        """Changes are announced."""
        return True

    @property
    def local(self) -> bool:
        """Its clock is this machine's."""
        return True

    def prepare(self, *, make: bool = True) -> None:
        """There is nothing to make."""
        del make

    def close(self) -> None:
        """There is nothing to give back: what the store holds stays with the object."""

    def instant(self) -> datetime:
        """Return the store's clock."""
        return self._clock.wall()

    def notifier(self) -> Notifier | None:
        """Return a new notifier."""
        return self._board.listener(self._clock)

    def using(self, connection: object) -> Joined:
        """Refuse: there are no transactions to join."""
        raise NotTransactional(
            f"the memory store cannot join a transaction of {type(connection).__name__}; use a store in that database"
        )

    # -- edits ---------------------------------------------------------------------------------

    def change(self, schedule_id: str, decide: Decide) -> Schedule | None:
        """Hold the schedule's row, call *decide*, write what it says."""
        with self._tables.held_row(schedule_id):
            with self._tables.guard:
                before, now = self._tables.schedules.get(schedule_id), self.instant()
                open_runs = self._tables.open_count(schedule_id)
            try:
                change = decide(now, before, open_runs)
            except RunOpen as refused:
                if refused.token in self._tables.runs:
                    raise RunExists(refused.token) from None
                raise
            if change is None:
                return before
            with self._tables.guard:
                made = [*_runs_of(change, before, now), *(run_with(run, created_at=now) for run in change.manual)]
                for run in made:
                    if run.token in self._tables.runs:
                        raise RunExists(run.token)
                after = self._tables.write(change, before)
                for run in made:
                    self._tables.keep(run)
        self._board.announce("schedules", *(["runs"] if made else []))
        return after

    def get(self, schedule_id: str) -> Schedule | None:
        """Return the schedule, a tombstone too, or None."""
        with self._tables.guard:
            return self._tables.schedules.get(schedule_id)

    # -- nodes ---------------------------------------------------------------------------------

    def join(self, node: Node) -> Beat:
        """Insert the node's row, alive for its lease from the instant on; when it is there already, this is a beat."""
        with self._tables.guard:
            now = self.instant()
            if node.id not in self._tables.nodes:
                self._tables.nodes[node.id] = node_with(node, started_at=node.started_at or now)
            answer = self._beat(node, now)
        self._board.announce("nodes")
        return answer

    def beat(self, node: Node) -> Beat:
        """Extend the node's life to the instant plus its lease and write how it is."""
        with self._tables.guard:
            before = self._tables.nodes.get(node.id)
            answer = self._beat(node, self.instant())
        if answer.alive and before is not None and (before.state, before.serving) != (node.state, node.serving):
            self._board.announce("nodes")
        return answer

    def _beat(self, node: Node, now: datetime) -> Beat:
        nodes = self._tables.nodes
        alive = self._tables.alive(node.id)
        if alive:
            nodes[node.id] = node_with(
                nodes[node.id],
                state=node.state,
                busy=node.busy,
                serving=node.serving,
                ticked_at=node.ticked_at,
                facts=dict(node.facts),
                beat_at=now,
                alive_until=now + node.lease,
            )
        return Beat(
            instant=now,
            alive=alive,
            nodes=tuple(_for_members(row) for row in nodes.values() if row.state in ALIVE),
            held=tuple(Held(run.token, run.attempt, run.cancelling) for run in self._held(node.id)),
            clock_epoch=self._tables.epoch,
        )

    def expire(self, node_id: NodeId, dead: Collection[NodeId]) -> list[NodeId]:
        """Declare nodes dead whose lease is over by the instant; return those that this call declared dead."""
        with self._tables.guard:
            if not self._tables.alive(node_id):
                return []
            now, nodes = self.instant(), self._tables.nodes
            found = [each for each in sorted(set(dead)) if self._tables.alive(each) and _lease_over(nodes[each], now)]
            for each in found:
                nodes[each] = node_with(nodes[each], state=NodeState.DEAD)
        if found:
            self._board.announce("nodes")
        return found

    def leave(self, node_id: NodeId) -> None:
        """Mark the node's row GONE, if it is alive."""
        with self._tables.guard:
            if not self._tables.alive(node_id):
                return
            gone = node_with(self._tables.nodes[node_id], state=NodeState.GONE, beat_at=self.instant())
            self._tables.nodes[node_id] = gone
        self._board.announce("nodes")

    def nodes(self) -> list[Node]:
        """Return all rows of nodes that are kept, oldest first."""
        with self._tables.guard:
            return sorted(self._tables.nodes.values(), key=attrgetter("started_at"))

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
        look = Look(
            shares=shares,
            takeover_after=takeover_after,
            serves=serves,
            limit=limit,
            low=low,
            leave_out=leave_out,
            horizon=horizon,
        )
        with self._tables.guard:
            return look.at(self._tables.schedules.values(), self._tables.open_runs(RunState.PENDING), self.instant())

    def launch(
        self,
        node_id: NodeId,
        plans: Sequence[Plan],
        *,
        slots: int,
        serves: Serves,
        until: datetime | None = None,
    ) -> Launched:
        """For each plan whose version still holds: count open runs, write ``choose(plan, open)``."""
        claimed: list[Run] = []
        pending: list[Token] = []
        changes: list[Change] = []
        locked: list[str] = []
        lost: list[str] = []
        taken: list[Token] = []
        with self._tables.guard:
            now = self.instant()
            if not self._tables.alive(node_id):
                return Launched(instant=now, alive=False)
            if until is not None and now > until:
                return Launched(instant=now, lost=tuple(plan.schedule.id for plan in plans))
            for plan in plans:
                schedule_id = plan.schedule.id
                before = self._tables.schedules.get(schedule_id)
                if self._tables.locked(schedule_id):
                    locked.append(schedule_id)
                    continue
                if before is None or before.version != plan.schedule.version:
                    lost.append(schedule_id)
                    continue
                change = choose(plan, self._tables.open_count(schedule_id))
                if conflicts := [fire.token for fire in change.runs if fire.token in self._tables.runs]:
                    taken.extend(conflicts)
                    continue
                changes.append(change_with(change, schedule=self._tables.write(change, before)))
                for run in _runs_of(change, before, now):
                    if len(claimed) < slots and serves.takes(run.job, run.queue) and transitions.free(run, now):
                        claimed.append(self._tables.keep(transitions.claimed(run, node_id)))
                    else:
                        pending.append(self._tables.keep(run).token)
        if pending:
            self._board.announce("runs")
        return Launched(
            instant=now,
            claimed=tuple(claimed),
            pending=tuple(pending),
            changes=tuple(changes),
            locked=tuple(locked),
            lost=tuple(lost),
            taken=tuple(taken),
        )

    def raise_watermarks(self, watermarks: Mapping[str, datetime]) -> list[str]:
        """Move watermarks that are older than those given forward to them, and tell of the fires passed so."""
        behind: list[str] = []
        for schedule_id, watermark in watermarks.items():
            with self._tables.held_row(schedule_id), self._tables.guard:
                row = self._tables.schedules.get(schedule_id)
                if row is not None and row.watermark < watermark:
                    runs = self._tables.run_times(row, until=watermark)
                    self._tables.write(moved_past(row, watermark, runs), row)
                    behind.append(schedule_id)
        if behind:
            self._board.announce("schedules")
        return behind

    # -- work ----------------------------------------------------------------------------------

    def claim(self, node_id: NodeId, *, serves: Serves, limit: int) -> list[Run]:
        """Take up to *limit* runs for the node, highest priority first, then by due time."""
        with self._tables.guard:
            if not self._tables.alive(node_id):
                return []
            now, pending = self.instant(), self._tables.open_runs(RunState.PENDING)
            free = [run for run in pending if transitions.free(run, now) and serves.takes(run.job, run.queue)]
            free.sort(key=lambda run: (-run.priority, run.due, run.token))
            return [self._tables.keep(transitions.claimed(run, node_id)) for run in free[:limit]]

    def held(self, node_id: NodeId) -> list[Run]:
        """Return the running runs that the store says *node_id* holds."""
        with self._tables.guard:
            return self._held(node_id)

    def _held(self, node_id: NodeId) -> list[Run]:
        return [run for run in self._tables.open_runs(RunState.RUNNING) if run.node == node_id]

    def began(self, node_id: NodeId, token: Token, attempt: int, *, at: datetime) -> bool:
        """Write that the attempt's function is about to be called."""
        with self._tables.guard:
            run = self._tables.attempt(node_id, token, attempt)
            if run is not None:
                self._tables.keep(run_with(run, started_at=at))
            return run is not None

    def note(
        self, node_id: NodeId, token: Token, attempt: int, *, overdue: bool | None = None, progress: float | None = None
    ) -> bool:
        """Write how a running attempt is."""
        with self._tables.guard:
            run = self._tables.attempt(node_id, token, attempt)
            if run is not None:
                overdue = run.overdue if overdue is None else overdue
                self._tables.keep(
                    run_with(run, overdue=overdue, progress=run.progress if progress is None else progress)
                )
            return run is not None

    def finish(self, outcomes: Sequence[Outcome]) -> list[bool | None]:
        """Write how attempts ended; an answer per outcome."""
        answers: list[bool | None] = []
        with self._tables.guard:
            now = self.instant()
            for outcome in outcomes:
                run = self._tables.attempt(outcome.node, outcome.token, outcome.attempt)
                if run is not None:
                    self._tables.keep(transitions.finished(run, outcome, now))
                answers.append(run is not None)
        if any(outcome.state is RunState.PENDING for outcome in outcomes):
            self._board.announce("runs")
        return answers

    def recover(self, *, limit: int = 500) -> list[Run]:
        """Take every running run whose node is not alive away from it."""
        with self._tables.guard:
            now, alive = self.instant(), self._tables.alive
            found = self._tables.sweep(
                RunState.RUNNING, lambda run: not alive(run.node), lambda run: transitions.recovered(run, now), limit
            )
        if found:
            self._board.announce("runs")
        return found

    def lapse(self, *, limit: int = 500) -> list[Run]:
        """End pending runs that are too late to start as skipped."""
        with self._tables.guard:
            now = self.instant()
            return self._tables.sweep(
                RunState.PENDING,
                lambda run: transitions.too_late(run, now),
                lambda run: transitions.lapsed(run, now),
                limit,
            )

    def cancel(self, token: Token, *, by: str = "") -> Run:
        """End a pending run as cancelled at once; mark a running one."""
        with self._tables.guard:
            run = self._tables.runs.get(token)
            if run is None:
                raise NoRun(token)
            if not run.state.open:
                raise WrongState(f"run {token}", state=run.state, wanted="pending or running")
            after = self._tables.keep(transitions.cancelled(run, self.instant(), by=by))
        self._board.announce("cancels")
        return after

    def retry(self, token: Token, *, by: str = "") -> Run:
        """Make an ended run pending again, due at the instant."""
        found = self.run(token)
        if found is None:
            raise NoRun(token)
        with self._tables.held_row(found.schedule_id), self._tables.guard:
            run = self._tables.runs.get(token)
            if run is None:
                raise NoRun(token)
            if run.state.open or run.state is RunState.SUCCEEDED:
                raise WrongState(f"run {token}", state=run.state, wanted="failed, cancelled, lost or skipped")
            row = self._tables.schedules.get(run.schedule_id)
            room = run.policy.room if row is None else row.policy.room
            open_runs = self._tables.open_count(run.schedule_id)
            if room is not None and open_runs >= room:
                raise RunOpen(run.schedule_id, open=open_runs)
            if row is not None:
                self._tables.write(Change(schedule=row), row)
            after = self._tables.keep(transitions.retried(run, self.instant(), by=by))
        self._board.announce("runs")
        return after

    # -- reading -------------------------------------------------------------------------------

    def schedules(self, which: ScheduleFilter, *, limit: int = 100, cursor: str | None = None) -> Page[Schedule]:
        """Return schedules by id."""
        with self._tables.guard:
            rows = [row for row in self._tables.schedules.values() if listing.shows_schedule(which, row)]
        return listing.page(rows, listing.by_id, limit=limit, cursor=cursor)

    def run(self, token: Token) -> Run | None:
        """Return one run, or None."""
        with self._tables.guard:
            return self._tables.runs.get(token)

    def runs(self, which: RunFilter, *, limit: int = 100, cursor: str | None = None) -> Page[Run]:
        """Return runs, newest scheduled time first."""
        with self._tables.guard:
            rows = [run for run in self._tables.runs.values() if listing.shows_run(which, run)]
        return listing.page(rows, listing.by_time, limit=limit, cursor=cursor)

    def skips(self, schedule_id: str | None = None, *, limit: int = 100, cursor: str | None = None) -> Page[Skip]:
        """Return skip records, newest first."""
        with self._tables.guard:
            skips = self._tables.skips
            of = list(skips) if schedule_id is None else [schedule_id]
            kept = [skip for each in of for skip in skips.get(each, ())]
        return listing.page(kept, listing.by_first, limit=limit, cursor=cursor)

    def ids(self, like: str | None = None, *, limit: int = 10_000) -> list[str]:
        """Return ids of schedules that are not removed."""
        with self._tables.guard:
            rows = [row for row in self._tables.schedules.values() if row.state is not ScheduleState.REMOVED]
        return sorted(row.id for row in rows if listing.within(like or "", row.id))[:limit]

    # -- upkeep --------------------------------------------------------------------------------

    def seen(self, ids: Collection[str], *, older_than: timedelta) -> None:
        """Write the instant as ``seen_at`` of declared schedules whose one is older than that; versions do not move."""
        with self._tables.guard:
            now, rows = self.instant(), self._tables.schedules
            for schedule_id in ids:
                row = rows.get(schedule_id)
                if row is None or row.declaration is None or self._tables.locked(schedule_id):
                    continue
                if row.declaration.seen_at < now - older_than:
                    rows[schedule_id] = schedule_with(row, declaration=replace(row.declaration, seen_at=now))

    def prune(self, retention: Retention, *, limit: int = 500) -> int:
        """Delete one small chunk of what is older than *retention*; return how many rows went."""
        with self._tables.guard:
            return self._tables.prune(retention, self.instant(), limit)

    def accept_clock(self) -> int:
        """Raise the clock epoch."""
        with self._tables.guard:
            self._tables.epoch += 1
            return self._tables.epoch

    def durability(self) -> list[str]:
        """Say the obvious."""
        return ["memory: everything is lost when the process ends"]

    def ceilings(self) -> list[Ceiling]:
        """Nothing is connected to."""
        return []


def _runs_of(change: Change, before: Schedule | None, now: datetime) -> list[Run]:
    """Return the runs of the fires in *change*, by the definition that scheduled them: the one before the change."""
    definition: Definition = (change.schedule if before is None else before).definition
    return [transitions.pending(fire, definition, now) for fire in change.runs]


def _for_members(node: Node) -> Node:
    return node_with(node, declares={}, facts={}) if node.declares or node.facts else node


def _lease_over(node: Node, now: datetime) -> bool:
    return node.alive_until is not None and node.alive_until <= now
