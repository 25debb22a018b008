"""Where everything of one simulation meets: time, store, what was asked for, and what was seen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from tickonce.editing import Amend, Create, Declare, Pause, Remove, Resume, RunNow
from tickonce.model import Change, Run, RunState, Schedule, ScheduleState
from tickonce.ports import ALL_HINTS, Decide, Store
from tickonce.retry import Retry
from tickonce.stores.memory import MemoryStore
from tickonce.stores.memory.notifier import Board
from tickonce.stores.memory.tables import Tables
from tickonce.testing.judging import Call, Grant, History, Period, Rhythm, Span, Terms, Trouble, Within, Write
from tickonce.testing.simulation.broken import Broken
from tickonce.testing.simulation.scenario import REFUSED
from tickonce.testing.simulation.world import START, World
from tickonce.triggers import Every


class StoreClock:
    """The store's clock: true time, but for the steps that an incident makes it take.

    Its wall clock is set from outside; whoever asks for hours that always rise asks for :meth:`risen`.

    Attributes:
        offset: How far it is ahead of true time.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.offset = timedelta(0)
        self._began = self._floor = START
        self._since: int | None = None

    def wall(self) -> datetime:
        """Return the store's instant."""
        return self._began + timedelta(0, 0, self._world.now)

    def risen(self) -> datetime:
        """Return the latest instant that the store has ever shown.

        While the store's clock, set back, has not come there again, this one creeps: what comes later is later.
        """
        if self._since is None:  # as in most simulations it has never been set
            return self._began + timedelta(0, 0, self._world.now)
        return max(self._floor + timedelta(0, 0, (self._world.now - self._since) // 1000), self.wall())

    def step(self, by: timedelta) -> None:
        """Set the clock."""
        self._floor, self._since = self.risen(), self._world.now
        self.offset += by
        self._began += by

    def monotonic(self) -> timedelta:
        """Return true elapsed time."""
        return timedelta(microseconds=self._world.now)

    def boottime(self) -> timedelta | None:
        """Return true elapsed time."""
        return self.monotonic()

    def sleep(self, duration: timedelta) -> None:
        """Refuse: a step of the store takes no time of its own."""
        raise NotImplementedError(f"the store waits for {duration}")

    def signal(self) -> Any:
        """Refuse: nobody waits inside the store."""
        raise NotImplementedError


class Work:
    """How the runs of one schedule go: as long as a hash of seed, token and attempt says."""

    def __init__(self, seed: int, takes: tuple[float, float], *, fails: float, stubborn: bool) -> None:
        self._seed, self._takes, self._fails = seed, takes, fails
        self.stubborn = stubborn

    def takes_us(self, token: str, attempt: int) -> int:
        """Return how long that attempt takes."""
        low, high = self._takes
        return int((low + (high - low) * self._chance("takes", token, attempt) ** 2) * 1e6)

    def fails(self, token: str, attempt: int) -> bool:
        """Whether that attempt raises."""
        return self._chance("fails", token, attempt) < self._fails

    def _chance(self, what: str, token: str, attempt: int) -> float:
        digest = blake2b(f"{self._seed}:{what}:{token}:{attempt}".encode(), digest_size=6).digest()
        return int.from_bytes(digest) / 2**48


@dataclass(slots=True)
class Scene:
    """What one run has to live through: the first one that is called, whatever its attempt.

    Attributes:
        times: At how many calls something happens.
        happens: Takes the process that called and the token of the run.
        takes_us: How long such a call takes at least: what happens to it finds it at work.
    """

    times: int
    happens: Callable[[str, str], None]
    takes_us: int = 20_000
    token: str | None = None

    def meets(self, process: str, token: str) -> bool:
        """Whether this call is one of them: then it happens."""
        self.token = self.token or token
        if token != self.token or not self.times:
            return False
        self.times -= 1
        self.happens(process, token)
        return True


class Site:
    """What one simulation holds.

    Attributes:
        clock: The store's.
        down: Why no call reaches the store: ``refusing``, ``silent`` (no answer, nothing happens) or ``mute`` (what is
            asked for happens, no answer comes).
        asked_at: When the call that is at the store was sent.
        odd: What must not happen and no ledger shows: a loop that died, an error nobody expected.
        tell: Takes lines of the trace; None: nobody reads it.
        scenes: What the next run of a schedule has to live through, by schedule.
        board: Where hints are pinned up.
        tables: The rows of a store in memory; None for any other.
    """

    def __init__(
        self, world: World, store: Store, clock: StoreClock, *, lease: timedelta, refused_from_us: int
    ) -> None:
        self.world, self.store, self.clock, self.lease = world, store, clock, lease
        self._refused_from_us = refused_from_us
        self.history = History()
        self.calls: list[Call] = []
        self.writes: list[Write] = []
        self.grants: list[Grant] = []
        self.launches: dict[str, datetime] = {}
        self.asked_at = self.time()
        self.stepped: list[Span] = []
        self.work: dict[str, Work] = {}
        self.scenes: dict[str, Scene] = {}
        self.harmed: dict[str, list[Span]] = defaultdict(list)
        self.troubles: list[Trouble] = []
        self.orphaned: set[str] = set()
        self.faults: Counter[str] = Counter()
        self.odd: list[str] = []
        self.down: str | None = None
        self.terms: dict[str, Terms] = {}
        self.tell: Callable[[str], None] | None = None
        memory = store if isinstance(store, MemoryStore) else None
        self.tables: Tables | None = None if memory is None else memory._tables  # noqa: SLF001  # to hold and tear rows
        self.board = Board() if memory is None else memory._board  # noqa: SLF001
        self._beaten: dict[str, int] = {}
        self._order = 0

    # -- time and notes --------------------------------------------------------------------------

    def time(self) -> datetime:
        """Return the store's instant, as one that never falls back: what ledger and judge go by."""
        return self.clock.risen()

    def order(self) -> int:
        """Return a number that rises: what comes first has the smaller one."""
        self._order += 1
        return self._order

    def say(self, who: str, text: str) -> None:
        """Note something in the trace."""
        if self.tell is not None:
            self.tell(f"{self.world.now / 1e6:12.6f}s {self.clock.wall():%H:%M:%S.%f} {who:<8} {text}")

    def harm(self, who: str, begin: datetime, end: datetime) -> None:
        """Note that a node was not well, and could be given up until a lease after that."""
        self.harmed[who].append(Span(begin, end + 2 * self.lease))

    def trouble(self, begin: datetime, end: datetime, *, schedules: frozenset[str] | None = None) -> None:
        """Note that fires could not be expected to be on time, and for a lease after that."""
        self.troubles.append(Trouble(begin=begin, end=end + self.lease, schedules=schedules))

    def written(self) -> None:
        """Something was written: a store that has no hints of its own says so without saying what, as files do."""
        if self.tables is None:
            self.board.announce(*ALL_HINTS)

    # -- what was asked for ------------------------------------------------------------------------

    def noted(self, decide: Decide) -> tuple[Decide, Callable[[], None]]:
        """Return *decide* as something that remembers its last answer, and what writes that into the history."""
        seen: list[tuple[datetime, Schedule | None, Change | None]] = []

        def listening(now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
            change = decide(now, schedule, open_runs)
            for fire in () if change is None else change.runs:
                self.launches[fire.token] = self.time()
            seen.append((now, schedule, change))
            return change

        def happened() -> None:
            if seen:
                self._happened(decide, *seen[-1])

        return listening, happened

    def _happened(self, decide: Decide, now: datetime, before: Schedule | None, change: Change | None) -> None:
        """An edit took effect at the store's instant *now*.

        After a step back of its clock, at the watermark: fires that were dealt with before the step do not come again.
        """
        if change is not None:
            now = max(now, min(change.schedule.watermark, self.clock.risen()))
        match decide:
            case Create() | Declare() if change is not None:
                after = change.schedule
                terms = terms_of(after)
                if before is None or before.state is ScheduleState.REMOVED:
                    self.history.add(after.id, terms, now)
                else:
                    self.history.change(after.id, terms, now)
                self.terms[after.id] = terms
            case Amend() if change is not None:
                terms = self._amended(decide)
                self.history.change(decide.schedule_id, terms, now)
                if terms != terms_of(change.schedule):
                    self.odd.append(f"{decide.schedule_id}: an edit of {sorted(decide.changes)} changed something else")
                self.terms[decide.schedule_id] = terms
            case Pause():
                self.history.pause(decide.schedule_id, now, until=decide.until)
            case Resume() if change is not None:
                self.history.resume(decide.schedule_id, now, missed=decide.missed)
            case Remove():
                self.history.remove(decide.schedule_id, now)
            case RunNow():
                self.history.run_now(decide.schedule_id, decide.key)

    def _amended(self, edit: Amend) -> Terms:
        """Return what the terms become, by what was asked for alone."""
        fields: dict[str, Any] = {}
        for name, value in edit.changes.items():
            if name == "trigger":
                fields["rhythm"] = rhythm_of(value)
                fields["sure"] = _sure(edit.schedule_id, value)
            elif name in ("misfire", "overlap", "on_lost"):
                fields[name] = str(value)
            elif name in ("grace", "catch_up", "jitter", "max_losses", "start_within", "timeout"):
                fields[name] = value
        return replace(self.terms[edit.schedule_id], **fields)

    def refuses(self, schedule_id: str) -> bool:
        """Whether the store does not take runs of that schedule, for their content."""
        return schedule_id.startswith(REFUSED) and self.world.now >= self._refused_from_us

    # -- leases ------------------------------------------------------------------------------------

    def beaten(self, who: str) -> None:
        """The store took a beat of that process."""
        self._beaten[who] = self.world.now

    def begins(self, who: str, token: str) -> None:
        """A process calls a function: it must have beaten within its lease."""
        since = timedelta(microseconds=self.world.now - self._beaten.get(who, 0))
        if since > self.lease:
            self.odd.append(f"{who} begins {token} {since} after its last beat")

    # -- what the store took -------------------------------------------------------------------------

    def wrote(self, token: str, attempt: int, state: RunState, *, by_store: bool = False, loss: bool = False) -> None:
        """The store took an outcome of an attempt, or did something to the run by itself."""
        self.writes.append(
            Write(
                token=token,
                attempt=attempt,
                state=state,
                at=self.time(),
                by_store=by_store,
                loss=loss,
                order=self.order(),
            )
        )

    def gave(self, runs: Iterable[Run]) -> None:
        """The store gave attempts to a node."""
        self.grants += [Grant(token=run.token, attempt=run.attempt, at=self.time()) for run in runs]

    def ended(self, runs: Iterable[Run], *, loss: bool = False) -> None:
        """The store itself ended runs, or took them away from nodes that are gone: a *loss*."""
        for run in runs:
            self.wrote(run.token, run.attempt, run.state, by_store=True, loss=loss)


def rhythm_of(trigger: object) -> Rhythm:
    """Return when a trigger has its fires, read from its fields."""
    match trigger:
        case Every():
            return Period(trigger.period) if trigger.anchor is None else Period(trigger.period, trigger.anchor)
        case Broken():
            return Period(trigger.period)
    raise TypeError(f"no rhythm is known for {trigger!r}")


def terms_of(schedule: Schedule) -> Terms:
    """Return what a schedule's definition asks for."""
    definition = schedule.definition
    policy, rhythm = definition.policy, rhythm_of(definition.trigger)
    if definition.start is not None or definition.end is not None:
        rhythm = Within(rhythm, definition.start, definition.end)
    return Terms(
        rhythm=rhythm,
        misfire=str(policy.misfire),
        overlap=str(policy.overlap),
        grace=policy.grace,
        catch_up=policy.catch_up,
        jitter=definition.jitter,
        retries=0 if policy.retry is None else policy.retry.times,
        waits=() if policy.retry is None else tuple(_waits(policy.retry)),
        wait_varies=0.0 if policy.retry is None else policy.retry.jitter,
        start_within=policy.start_within,
        timeout=policy.timeout,
        on_lost=str(policy.on_lost),
        max_losses=policy.max_losses,
        sure=_sure(schedule.id, definition.trigger),
    )


def _waits(retry: Retry) -> Iterator[timedelta]:
    """Yield the longest wait before each retry."""
    wait = retry.delay
    for _ in range(retry.times):
        yield min(wait, retry.limit)
        if retry.kind == "exponential":
            wait *= 2


def _sure(schedule_id: str, trigger: object) -> bool:
    """Whether nothing can set the schedule aside."""
    return not isinstance(trigger, Broken) and not schedule_id.startswith(REFUSED)
