"""What the engine and the scheduler need from the outside; the docstrings are the contracts.

The contract suite in ``tickonce.testing`` has a test per sentence, and every store passes it, the memory store
included. Words used below: *the instant* is the store's own clock inside the step; *alive* is a node whose row is in
state ALIVE or LEAVING. A method that writes is one atomic step: all of it happens or none, and no two steps on one row
overlap. Any of them may raise StoreUnavailable, StoreBusy or StoreError; after StoreUnavailable the step may have
happened or not.

Whenever the due time of a run moves (a retry, a hand-back, a recovery), its ``start_by`` moves by the same distance:
the time that a run has to start counts from its due time. *Too late* is a run whose ``start_by`` is at or before the
instant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from tickonce.config import Retention
from tickonce.model import (
    Beat,
    Change,
    Launched,
    Node,
    NodeId,
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
)
from tickonce.partition import Share

Decide: TypeAlias = Callable[[datetime, Schedule | None, int], Change | None]
"""``decide(instant, schedule, open_runs)``: pure; called inside the step, with the row locked and its open runs
counted.

The schedule is None when the id has no row; a tombstone is handed over like any row. None returned: nothing is written.
What it raises leaves the store unchanged and reaches the caller. A store may call it again when the step is retried.
"""


class Signal(Protocol):
    """A wake-up call between threads that remembers being set until somebody has waited for it."""

    def set(self) -> None:
        """Wake whoever waits, or the next who does."""

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait until set or until *timeout* is over; return whether it was set, and clear it."""


class Clock(Protocol):
    """Time and waiting. The only source of both, so that tests step time instead of sleeping."""

    def wall(self) -> datetime:
        """Return the machine's idea of the time of day, in UTC. It may jump."""

    def monotonic(self) -> timedelta:
        """Return time since some fixed moment; it never jumps. Whether it goes on while the machine sleeps is open."""

    def boottime(self) -> timedelta | None:
        """Return time since some fixed moment, in which the machine may have slept; None where it cannot be known."""

    def signal(self) -> Signal:
        """Return a new signal whose waits this clock times."""

    def sleep(self, duration: timedelta) -> None:
        """Wait for *duration*."""


#: Every kind of hint: what a notifier says that sees only that something has changed.
ALL_HINTS = frozenset({"schedules", "runs", "nodes", "cancels"})


class Notifier(Protocol):
    """Hints that the store has changed. They only shorten waits: a lost, late or repeated one changes nothing else."""

    def wait(self, timeout: timedelta) -> frozenset[str]:
        """Wait for hints, at most *timeout*; return their kinds; empty when none came.

        Kinds are ``schedules``, ``runs``, ``nodes``, and ``cancels`` for running runs that were asked to stop.

        Raises:
            StoreUnavailable: The connection is gone; the next call makes a new one.
        """

    def close(self) -> None:
        """End; a wait in another thread returns or raises soon."""


class Work(Protocol):
    """One attempt at a run, ready to be carried out. Neither form raises, but for the cancellation of its task."""

    #: Set by a runner that can stop the work from outside; called by the engine, from any thread.
    interrupt: Callable[[], None] | None

    def perform(self) -> None:
        """Carry it out here and now."""

    async def perform_async(self) -> None:
        """Carry it out as a coroutine."""


class Surroundings(Protocol):
    """What a host puts around each job, and around callbacks. What it raises, the job is taken to have raised."""

    def of_function(self) -> AbstractContextManager[object]:
        """Return what surrounds a function, in its thread."""

    def of_coroutine(self) -> AbstractAsyncContextManager[object]:
        """Return what surrounds a coroutine, in its task."""


class Runner(Protocol):
    """Carries out work somewhere: in threads, on an event loop."""

    def start(self, work: Work) -> None:
        """Begin without waiting for it. The engine counts slots; a runner raises only when it cannot begin at all."""

    def close(self) -> None:
        """Let go of idle threads; work that still runs goes on or is abandoned with the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serves:
    """What a node can carry out: jobs that it knows, of queues that it serves."""

    jobs: frozenset[str]
    queues: frozenset[str]

    def takes(self, job: str, queue: str) -> bool:
        """Whether a run of *job* in *queue* can be carried out."""
        return job in self.jobs and queue in self.queues


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How many connections a server takes.

    Attributes:
        name: As the server calls it.
        most: The setting.
        reserved: How many of those are not for programs such as ours.
        used: How many there are now, the one that looks included.
        raised: The line that sets it anew, with ``{}`` for the number.
    """

    name: str
    most: int
    reserved: int
    used: int
    raised: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFilter:
    """Which schedules to list. Empty fields do not restrict; all others must match.

    Attributes:
        text: Part of the id, the job or the description, upper and lower case alike.
        removed: Whether tombstones are listed too.
        ended: Whether schedules without any fire left are listed too.
    """

    ids: tuple[str, ...] = ()
    states: tuple[ScheduleState, ...] = ()
    job: str | None = None
    queue: str | None = None
    tag: str | None = None
    owner: str | None = None
    source: str | None = None
    text: str | None = None
    due_before: datetime | None = None
    removed: bool = False
    ended: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list. Empty fields do not restrict; all others must match.

    Attributes:
        scheduled_from: The first scheduled time that is listed.
        scheduled_until: The last scheduled time that is listed.
    """

    schedule_id: str | None = None
    job: str | None = None
    states: tuple[RunState, ...] = ()
    queue: str | None = None
    node: NodeId | None = None
    scheduled_from: datetime | None = None
    scheduled_until: datetime | None = None
    overdue: bool | None = None


class Edits(Protocol):
    """The steps that can also belong to a caller's transaction."""

    def change(self, schedule_id: str, decide: Decide) -> Schedule | None:
        """Lock the schedule's row, call *decide*, write what it says; return the row as it is then.

        Runs in the change become pending, manual runs too. Those of fires are made from the definition in the row as
        it was before the change, which scheduled them; for a new row, from its own. The version is raised; a new row's
        starts at random. The first skip record continues the one named by ``extends``, or stands alone if that one is
        gone.

        Raises:
            RunExists: The token of a run, by hand or not, is there already; nothing was changed. Also when *decide*
                refuses a run as RunOpen: who asks once more, as the first answer was lost, hears of the run and not
                of its being open.
        """

    def get(self, schedule_id: str) -> Schedule | None:
        """Return the schedule, a tombstone too, or None."""


class Joined(Edits, Protocol):
    """The steps as part of the transaction that a caller's connection is in; they never commit, loop or roll back."""

    def ready(self) -> None:
        """Check that there is a transaction to be part of.

        Raises:
            NotTransactional: The connection commits each statement by itself.
        """

    def end(self, outcome: Outcome) -> bool:
        """Write how an attempt ended, once the run's row is free; False: it is not its run any more."""


class Store(Edits, Protocol):
    """Where schedules, runs and nodes are kept: about thirty verbs of the domain."""

    # -- life ----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The store's address without its password, for people."""

    @property
    def notifies(self) -> bool:
        """Whether changes are announced by a notifier soon enough to poll seldom; a connection may take that back."""

    @property
    def local(self) -> bool:
        """Whether the instant is the wall clock of this very machine, which then bears no witness of its own."""

    def prepare(self, *, make: bool = True) -> None:
        """Make the tables of an empty store, once however many processes ask; check an existing one.

        Args:
            make: Without, nothing is made: no table, no file.

        Raises:
            SchemaError: The tables are too old or too new for this code, with what to do; or there are none, and none
                were to be made.
        """

    def close(self) -> None:
        """Give back connections. The store opens them again when it is used."""

    def instant(self) -> datetime:
        """Return the store's clock."""

    def notifier(self) -> Notifier | None:
        """Return a new notifier, or None if the store has none."""

    def using(self, connection: object) -> Joined:
        """Return the steps as part of the transaction that *connection* is in.

        Raises:
            NotTransactional: The store or this kind of connection cannot do that.
        """

    # -- nodes ---------------------------------------------------------------------------------

    def join(self, node: Node) -> Beat:
        """Insert the node's row, alive for its lease from the instant on; answer like a beat.

        Joining again under the same id, as after a lost reply, is a beat.
        """

    def beat(self, node: Node) -> Beat:
        """Extend the node's life to the instant plus its lease and write how it is.

        Written are state, busy, serving, ticked_at and facts.

        Accepted while the row is alive, also when its lease is over but nobody declared it dead. Not accepted once it
        is DEAD, GONE or absent; then nothing is written, and no later beat is accepted either.
        """

    def expire(self, node_id: NodeId, dead: Collection[NodeId]) -> list[NodeId]:
        """Declare nodes dead whose lease is over by the instant; return those that this call declared dead.

        Nothing is done unless *node_id* is alive, and nothing to a node that has beaten meanwhile.
        """

    def leave(self, node_id: NodeId) -> None:
        """Mark the node's row GONE, if it is alive. Its running runs are then found by ``recover``."""

    def nodes(self) -> list[Node]:
        """Return all rows of nodes that are kept, with declares and facts, oldest first."""

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
        """Look, without locking, at what is due here and when to look again.

        A schedule is due here when the instant is at or past its ``due`` plus this node's delay for its bucket: none
        for the owner, *takeover_after* for the second, twice that for the third, five times for the rest. The *limit*
        of them that became due here first are returned, none of *leave_out*; those do not count for ``next_here``
        either. *low* may hide schedules that are due before it, and nothing else. ``next_here`` and ``next_run`` are
        looked for up to *horizon* ahead. A run that is too late to start does not count for ``next_run``.
        """

    def launch(
        self,
        node_id: NodeId,
        plans: Sequence[Plan],
        *,
        slots: int,
        serves: Serves,
        until: datetime | None = None,
    ) -> Launched:
        """Write ``choose(plan, open_runs)`` for each plan whose schedule's version is still the one read.

        The open runs are counted inside the step. For a plan whose version has moved nothing is written. Plans are
        independent: one that cannot be applied harms no other. There is one a schedule; of several, one at most is
        applied and the others are reported as lost. A row locked by somebody else is reported as locked, not
        waited for. Up to *slots* of the runs that *serves* takes, that are due and not too late, are inserted as
        claimed by the node: running, attempt 1; the rest as pending, attempt 0. Nothing is done unless *node_id* is
        alive. Past the instant *until* nothing is written and all plans are lost: what was on time when they were made
        may be late by now. A token that exists already leaves its schedule unchanged and is reported as taken; so does
        text that the store does not take, and is reported as refused with what the store said.
        """

    def raise_watermarks(self, watermarks: Mapping[str, datetime]) -> list[str]:
        """Move watermarks forward to those given; return the ids of the schedules that were behind.

        For a store that went back in time: next fire and due move past the watermark, too. Of the fires passed so,
        those that have no run get a skip record that says so (``Reason.REWOUND``); a schedule that has ended or was
        removed owes none.
        """

    # -- work ----------------------------------------------------------------------------------

    def claim(self, node_id: NodeId, *, serves: Serves, limit: int) -> list[Run]:
        """Take up to *limit* runs for the node, highest priority first, then by due time.

        Free means pending, due at or before the instant, not too late to start, and taken by *serves*. A run is never
        handed to two callers; each claim raises its attempt by one. Rows locked by somebody else are passed over.
        Nothing is done unless *node_id* is alive.
        """

    def held(self, node_id: NodeId) -> list[Run]:
        """Return the running runs that the store says *node_id* holds."""

    def began(self, node_id: NodeId, token: Token, attempt: int, *, at: datetime) -> bool:
        """Write that the attempt's function is about to be called; False if the attempt is not held any more."""

    def note(
        self, node_id: NodeId, token: Token, attempt: int, *, overdue: bool | None = None, progress: float | None = None
    ) -> bool:
        """Write how a running attempt is; False if it is not held any more."""

    def finish(self, outcomes: Sequence[Outcome]) -> list[bool | None]:
        """Write how attempts ended; an answer per outcome: False when node, attempt and state did not match any more.

        None when the run is locked by somebody else's transaction just now, which keeps no other outcome waiting: to be
        offered again.
        A retry (PENDING, failed) counts a failure and sets due; a hand-back (PENDING, not failed) sets due to the
        instant. A run that is asked to cancel is neither retried nor handed back: it ends as cancelled. An error stays
        until the next one; why an earlier attempt was cut short is forgotten when one succeeds or fails, but for a
        cancel. The node stays with a run that has ended, not with one that is pending again. One outcome
        that the store refuses for its content harms no other: it is written with its result dropped and its error
        telling why.
        """

    def recover(self, *, limit: int = 500) -> list[Run]:
        """Take every running run whose node is not alive away from it; return the runs as they are then.

        A standing query: whenever the run came to be. Each counts a loss. It becomes pending, due at the instant; or
        cancelled if it was asked to; or lost when its function had been called and the policy is ``on_lost="fail"``, or
        when its losses exceed ``max_losses``.
        """

    def lapse(self, *, limit: int = 500) -> list[Run]:
        """End pending runs that are too late to start as skipped, reason ``too late``; return them."""

    def cancel(self, token: Token, *, by: str = "") -> Run:
        """End a pending run as cancelled at once; mark a running one, whose node then hears of it at its next beat.

        *by* stands in the run's reason.

        Raises:
            NoRun: There is no such run.
            WrongState: It has ended.
        """

    def retry(self, token: Token, *, by: str = "") -> Run:
        """Make an ended run pending again, due at the instant; failures and losses start anew.

        Locks the schedule's row, counts its open runs and raises its version. The attempt is not set back. A run whose
        schedule is not there any more goes by its own policy.

        Raises:
            NoRun: There is no such run.
            WrongState: It is open, or succeeded.
            RunOpen: The schedule's overlap policy forbids one more open run.
        """

    # -- reading -------------------------------------------------------------------------------

    def schedules(self, which: ScheduleFilter, *, limit: int = 100, cursor: str | None = None) -> Page[Schedule]:
        """Return schedules by id."""

    def run(self, token: Token) -> Run | None:
        """Return one run, or None."""

    def runs(self, which: RunFilter, *, limit: int = 100, cursor: str | None = None) -> Page[Run]:
        """Return runs, newest scheduled time first."""

    def skips(self, schedule_id: str | None = None, *, limit: int = 100, cursor: str | None = None) -> Page[Skip]:
        """Return skip records, newest first."""

    def ids(self, like: str | None = None, *, limit: int = 10_000) -> list[str]:
        """Return ids of schedules that are not removed, in order: all, or those with *like* in them in any case."""

    # -- upkeep --------------------------------------------------------------------------------

    def seen(self, ids: Collection[str], *, older_than: timedelta) -> None:
        """Write the instant as ``seen_at`` of declared schedules whose one is older than that; versions do not move."""

    def prune(self, retention: Retention, *, limit: int = 500) -> int:
        """Delete one small chunk of what is older than *retention*; return how many rows went.

        The watermark of a schedule that may still fire stays. One that has ended goes when its last fire, its last edit
        and its last declaration are older than ``retention.runs`` and none of its runs is open. Of a schedule that is
        not there any more, no runs are kept beyond ``retention.runs``. The tombstone of a removed one goes when its
        removal and its last declaration are older than ``retention.tombstones``.
        """

    def accept_clock(self) -> int:
        """Raise the clock epoch: nodes then accept the store's clock as it is."""

    def durability(self) -> list[str]:
        """Return a line for each setting of the server that can lose confirmed commits."""

    def ceilings(self) -> list[Ceiling]:
        """Return how many connections the server takes: from all first, then into this database, of this user.

        A ceiling that is not set is left out; without a server, or with a pooler before it, there is none.
        """
