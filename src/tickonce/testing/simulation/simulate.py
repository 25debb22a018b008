"""One simulation: a scenario is carried out, comes to rest, and is judged."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from greenlet import GreenletExit

from tickonce.model import NodeState, RunState, ScheduleState
from tickonce.ports import RunFilter, ScheduleFilter, Store
from tickonce.stores import open_store
from tickonce.stores.memory import MemoryStore
from tickonce.testing.judging import ALWAYS, Conditions, Evidence, Kind, Trouble, Verdict, Violation, evidence_of, judge
from tickonce.testing.simulation.incidents import Director
from tickonce.testing.simulation.link import Link
from tickonce.testing.simulation.member import Member
from tickonce.testing.simulation.scenario import NEW_JOB, NEW_TRIGGER, Scenario
from tickonce.testing.simulation.site import Site, StoreClock
from tickonce.testing.simulation.world import START, World

_SECOND_US = 1_000_000
#: How often a schedule's runs may be refused: after each time that people resume it, and to each of many nodes at once,
#: with pauses of 50 ms that grow to 1 s, until one of them has set it aside. That may wait for a statement of the same
#: loop that gets no answer: 10 s.
MOST_REFUSED = 25
MOST_REFUSED_EACH = 16


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a simulation.

    Attributes:
        simulated: How long the fleet lived.
        trace: A hash over what the nodes did, to see that two runs of one seed are one.
    """

    scenario: Scenario
    verdict: Verdict
    simulated: timedelta
    events: int
    trace: int


def simulate(scenario: Scenario, *, tell: Callable[[str], None] | None = None, folder: Path | None = None) -> Outcome:
    """Carry out a scenario and judge it.

    Args:
        tell: Takes the lines of a trace.
        folder: Where to keep a SQLite store; None is the memory store.
    """
    if folder is not None:
        scenario = scenario.storable()
    world = World(str(scenario.seed))
    clock = StoreClock(world)
    store = _store(clock, folder)
    site = Site(world, store, clock, lease=scenario.config.lease, refused_from_us=scenario.refused_from_us)
    site.tell = tell
    names = [f"n{number}" for number in range(1, scenario.nodes + 1)]
    members = {name: Member(site, scenario, name, number=number) for number, name in enumerate(names)}
    director = Director(site, scenario, members)
    errors: list[str] = []
    with _listening(errors):
        director.begin()
        try:
            world.run(scenario.length_us)
            until = clock.risen()
            director.end()
            _come_to_rest(site, scenario, until, members)
            director.settled()
            site.odd += _odd(site, members)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told with its seed
            until = START
            site.odd.append(f"{type(error).__name__}: {error}")
        finally:
            world.end()
    verdict = _judged(site, scenario, until)
    for text in [*site.odd, *errors]:
        verdict.violations.append(Violation(Kind.UNFOUNDED, "", "fleet", text))
    verdict.faults = site.faults
    trace = hash((world.events, world.now, tuple((call.token, call.attempt, call.node) for call in site.calls)))
    store.close()
    return Outcome(
        scenario=scenario,
        verdict=verdict,
        simulated=timedelta(microseconds=world.now),
        events=world.events,
        trace=trace,
    )


def _store(clock: StoreClock, folder: Path | None) -> Store:
    if folder is None:
        return MemoryStore(clock=clock)
    store = open_store(f"sqlite:///{folder}/simulation.db?sync=normal", clock=clock)
    store.prepare()
    return store


def _come_to_rest(site: Site, scenario: Scenario, until: datetime, members: dict[str, Member]) -> None:
    """Let time pass until all that was scheduled by *until* is over, or until it must have been."""
    world, lease_us = site.world, int(scenario.config.lease.total_seconds() * _SECOND_US)
    behind = int((until - site.clock.wall()).total_seconds() * _SECOND_US)
    # A lease and a bit until the dead are found; sweeps come once a minute; jobs, retries and losses have their time.
    least = world.now + max(0, behind) + 2 * lease_us
    most = least + 12 * lease_us + 240 * _SECOND_US
    at = least
    while True:
        world.run(at)
        back = all(member.fit for member in members.values())
        if at >= most or (back and _at_rest(site.store, until) and _living(site.store) == _running(members)):
            return
        at += lease_us


def _at_rest(store: Store, until: datetime) -> bool:
    open_ones = RunFilter(states=(RunState.PENDING, RunState.RUNNING), scheduled_until=until)
    if store.runs(open_ones, limit=1).items:
        return False
    rows = store.schedules(ScheduleFilter(due_before=until + timedelta(microseconds=1)), limit=100).items
    return not rows


def _living(store: Store) -> set[str]:
    """Return the nodes that the store counts as alive."""
    return {node.id for node in store.nodes() if node.state is NodeState.ALIVE}


def _running(members: dict[str, Member]) -> set[str]:
    """Return the nodes that are."""
    return {member.node.id for member in members.values() if member.node is not None}


def _odd(site: Site, members: dict[str, Member]) -> list[str]:
    """Return what must not be at the end, and that no ledger shows."""
    found: list[str] = []
    for member in members.values():
        if member.node is None or not member.fit:
            found.append(f"{member.name} has not come back")
        found += [f"{member.name}: its {task.name} loop has ended" for task in member.loops if task.ended]
    # Whoever is to set it aside offers it until that is written, which each fault of an edit delays.
    delays = sum(number for name, number in site.faults.items() if name.endswith(" change"))
    if site.faults["refused row"] > max(MOST_REFUSED, MOST_REFUSED_EACH * len(members)) * (1 + delays):
        found.append("what the store refuses is offered to it again and again")
    alive, running = _living(site.store), _running(members)
    if alive != running:
        found.append(f"the store says that {sorted(alive)} live, and {sorted(running)} do")
    for schedule_id, wanted in next(iter(members.values())).declared().items():
        row = site.store.get(schedule_id)
        if row is None or (row.state is not ScheduleState.REMOVED and row.definition != wanted):
            found.append(f"{schedule_id} is not what the code that is left declares")
    return found


def _judged(site: Site, scenario: Scenario, until: datetime) -> Verdict:
    found = evidence_of(site.store, site.calls)
    evidence = Evidence(calls=found.calls, runs=found.runs, skips=found.skips, writes=site.writes)
    evidence.grants, evidence.launches = site.grants, site.launches
    second = timedelta(seconds=scenario.scale)
    # What only newer code knows waits for it; and where a slot must become free first, fires wait for that.
    newer = frozenset(each.id for each in scenario.planned if each.id.startswith((NEW_TRIGGER, NEW_JOB)))
    always = [Trouble(begin=ALWAYS.begin, end=ALWAYS.end, schedules=newer)]
    if scenario.config.slots < 10:
        always = [Trouble(begin=ALWAYS.begin, end=ALWAYS.end)]
    conditions = Conditions(
        until=until,
        harmed={name: tuple(spans) for name, spans in site.harmed.items()},
        troubles=(*site.troubles, *always),
        prompt=7 * second + timedelta(seconds=2),
        stepped=tuple(site.stepped),
        orphaned=dict.fromkeys(scenario.declared, (ALWAYS,)),
    )
    return judge(site.history, evidence, conditions)


class _Unexpected(logging.Handler):
    """Keeps what the engine says when something happened that nobody expected."""

    def __init__(self, kept: list[str]) -> None:
        super().__init__(level=logging.ERROR)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if "unexpected" in record.msg:
            error = record.exc_info[1] if record.exc_info else None
            if isinstance(error, GreenletExit):  # a process that was killed
                return
            self._kept.append(f"{record.getMessage()}: {type(error).__name__}: {error}")


@contextmanager
def _listening(kept: list[str]) -> Iterator[None]:
    logger = logging.getLogger("tickonce")
    handler, level, propagate = _Unexpected(kept), logger.level, logger.propagate
    frames = getattr(sys, "tracebacklimit", 1_000)
    sys.tracebacklimit = 0  # jobs fail all the time, and nobody reads where
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield
    finally:
        sys.tracebacklimit = frames
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


__all__ = ["Link", "Outcome", "simulate"]
