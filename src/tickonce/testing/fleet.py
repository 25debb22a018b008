"""Several nodes on one fake clock, driven by hand: the real engine without its threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tickonce.config import NodeConfig
from tickonce.editing import Declare
from tickonce.engine.node import EngineNode
from tickonce.errors import StoreError, StoreUnavailable
from tickonce.events import Event, EventKind, Events
from tickonce.jobs import Jobs
from tickonce.model import Page, Run, Schedule
from tickonce.ports import Notifier, RunFilter, Store, Work
from tickonce.testing.clock import FakeClock

_ZERO = timedelta(0)
#: What the loops of a real node wait after an error.
_AFTER_ERROR = timedelta(milliseconds=100)
#: Passes at one instant after which a loop is called hot.
_HOT = 10_000


class Faults:
    """A store as one node sees it: passes everything on, but for the faults that a test asks for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cut: dict[str, int] = {}
        self._fail: dict[str, int] = {}
        self._before: dict[str, list[Callable[[], None]]] = {}
        self.down = False
        self.calls: list[str] = []

    def cut_reply(self, verb: str, *, times: int = 1) -> None:
        """Let the next calls of *verb* happen, and lose their replies."""
        self._cut[verb] = times

    def refuse(self, verb: str, *, times: int = 1) -> None:
        """Lose the next calls of *verb* before they happen."""
        self._fail[verb] = times

    def before(self, verb: str, action: Callable[[], None]) -> None:
        """Call *action* once, just before the next call of *verb* reaches the store."""
        self._before.setdefault(verb, []).append(action)

    def __getattr__(self, verb: str) -> Any:
        found = getattr(self._store, verb)
        return partial(self._call, verb, found) if callable(found) else found

    def _call(self, verb: str, found: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.calls.append(verb)
        for action in self._before.pop(verb, ()):
            action()
        if self.down or self._spend(self._fail, verb):
            raise StoreUnavailable(f"{verb}: no connection (injected)")
        answer = found(*args, **kwargs)
        if self._spend(self._cut, verb):
            raise StoreUnavailable(f"{verb}: the reply was lost (injected)")
        return answer

    @staticmethod
    def _spend(budget: dict[str, int], verb: str) -> bool:
        if budget.get(verb, 0) <= 0:
            return False
        budget[verb] -= 1
        return True


class StepRunner:
    """Carries work out in the driving thread: at once, or when the time that a test gives it is over."""

    def __init__(self, clock: FakeClock, takes: timedelta) -> None:
        self._clock, self.takes = clock, takes
        self._works: list[tuple[timedelta, Work]] = []

    def start(self, work: Work) -> None:
        """Keep *work* until its time is over."""
        self._works.append((self._clock.monotonic() + self.takes, work))

    def close(self) -> None:
        """Nothing to let go of."""

    @property
    def next_end(self) -> timedelta | None:
        """When the next work ends."""
        return min((end for end, _ in self._works), default=None)

    def perform(self) -> bool:
        """Carry out what is over by now; return whether there was any."""
        now = self._clock.monotonic()
        over = [item for item in self._works if item[0] <= now]
        self._works = [item for item in self._works if item[0] > now]
        for _, work in over:
            work.perform()
        return bool(over)


class FleetNode:
    """One node of a fleet, with what the test may do to it.

    Attributes:
        faults: The store as this node sees it.
        paused: Stopped in its tracks, as by SIGSTOP: time passes, it does nothing.
        events: What it told its callbacks.
    """

    def __init__(self, fleet: Fleet, jobs: Jobs, declares: Sequence[Declare], config: NodeConfig, **more: Any) -> None:
        self.faults = Faults(fleet.store)
        self.runner = StepRunner(fleet.clock, fleet.takes)
        self.paused = False
        self.crashed = False
        self.events: list[Event] = []
        self._fleet, self._declares = fleet, declares
        events = _Kept(self.events)
        self.engine = EngineNode(
            self.faults,  # it passes every verb on
            jobs,
            config=config,
            clock=fleet.clock,
            events=events,
            declares=lambda: self._declares,
            runners={"function": self.runner, "coroutine": self.runner},
            **more,
        )
        self.engine.join()
        self._wakes = dict.fromkeys(self.engine.loops, fleet.clock.monotonic())
        self._notifier: Notifier | None = fleet.store.notifier() if fleet.hints else None

    @property
    def id(self) -> str:
        """The incarnation that it is now."""
        return self.engine.id

    def step(self) -> bool:
        """Do each loop's pass that is due; return whether there was any."""
        if self.paused or self.crashed:
            return False
        now = self._fleet.clock.monotonic()
        done = self.runner.perform()
        if self._notifier is not None and (hints := self._notifier.wait(_ZERO)):
            self.engine.hint(hints)
        for name, step in self.engine.loops.items():
            if not self.engine.signals[name].wait(_ZERO) and self._wakes[name] > now:
                continue
            done = True
            try:
                wait = step()
            except StoreError:
                wait = _AFTER_ERROR
            self._wakes[name] = now + wait
        return done

    @property
    def next_wake(self) -> timedelta | None:
        """When it has something to do by itself."""
        if self.paused or self.crashed:
            return None
        ends = [] if self.runner.next_end is None else [self.runner.next_end]
        return min([*self._wakes.values(), *ends])

    def crash(self) -> None:
        """End without a word, as by SIGKILL."""
        self.crashed = True

    def leave(self) -> None:
        """Leave in order, without waiting for what runs."""
        self.engine.leave(drain=_ZERO, patience=_ZERO)
        self.crashed = True


class Fleet:
    """Nodes on one store and one clock, in one thread; the same calls give the same history.

    Args:
        store: Where they meet; its clock is *clock*.
        takes: How long every run takes.
        hints: Whether the store's notifications reach the nodes.

    Attributes:
        ledger: (token, attempt) of each call of a job's function, written by the jobs themselves.
    """

    def __init__(
        self,
        store: Store,
        clock: FakeClock,
        *,
        config: NodeConfig | None = None,
        takes: timedelta = _ZERO,
        hints: bool = True,
    ) -> None:
        self.store, self.clock, self.takes, self.hints = store, clock, takes, hints
        self.config = config or NodeConfig()
        self.nodes: list[FleetNode] = []
        self.ledger: list[tuple[str, int]] = []

    def node(
        self, jobs: Jobs, *, declares: Sequence[Declare] = (), config: NodeConfig | None = None, **more: Any
    ) -> FleetNode:
        """Start one more node."""
        node = FleetNode(self, jobs, declares, config or self.config, **more)
        self.nodes.append(node)
        return node

    def run_for(self, duration: timedelta) -> list[Run]:
        """Let time pass; return all runs that there are then."""
        self.run_until(self.clock.wall() + duration)
        return self.runs()

    def run_until(self, instant: datetime) -> None:
        """Let time pass until *instant*, each node doing what it does at its moments.

        Raises:
            AssertionError: A node spins without time passing.
        """
        passes = 0
        while True:
            if any([node.step() for node in self.nodes]):  # noqa: C419  # each must have its pass
                passes += 1
                if passes > _HOT:
                    raise AssertionError("a loop is hot: it does not let time pass")
                continue
            passes = 0
            left = instant - self.clock.wall()
            if left <= _ZERO:
                return
            wakes = [wake for node in self.nodes if (wake := node.next_wake) is not None]
            step = min([left, *(wake - self.clock.monotonic() for wake in wakes)])
            self.clock.advance(max(step, _ZERO))

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Take the store away from all nodes."""
        for node in self.nodes:
            node.faults.down = True
        yield
        for node in self.nodes:
            node.faults.down = False

    def runs(self, schedule_id: str | None = None) -> list[Run]:
        """Return all runs, oldest first."""
        found: list[Run] = []
        cursor: str | None = None
        while True:
            page: Page[Run] = self.store.runs(RunFilter(schedule_id=schedule_id), limit=1000, cursor=cursor)
            found.extend(page.items)
            cursor = page.cursor
            if cursor is None:
                return found[::-1]

    def schedule(self, schedule_id: str) -> Schedule:
        """Return a schedule that exists."""
        found = self.store.get(schedule_id)
        assert found is not None, schedule_id  # noqa: S101  # this is a tool of tests
        return found


class _Kept(Events):
    """Events kept in a list, in the thread where they happen."""

    def __init__(self, kept: list[Event]) -> None:
        super().__init__()
        self._kept = kept

    def wanted(self, kind: EventKind) -> bool:  # noqa: ARG002  # all are
        """Keep every kind."""
        return True

    def emit(self, event: Event) -> None:
        """Keep *event*."""
        self._kept.append(event)


__all__ = ["EventKind", "Faults", "Fleet", "FleetNode", "StepRunner"]
