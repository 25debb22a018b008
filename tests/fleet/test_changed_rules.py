"""Zone data and calendars that change under a fleet: in a rollout, for ever, and after an outage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.zonedata import Differing, on_node, utc, write_zone
from tickonce.calendars import base, china, workdays
from tickonce.config import NodeConfig
from tickonce.definitions import definition_of, form_of
from tickonce.editing import Create
from tickonce.jobs import Jobs
from tickonce.model import Definition, Policy, RunState, Schedule
from tickonce.stores.memory import MemoryStore
from tickonce.testing.clock import FakeClock
from tickonce.testing.fleet import Fleet, FleetNode
from tickonce.triggers import Trigger, cron
from tickonce.triggers.days import on_days
from tickonce.triggers.instants import HELD

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DECREE = utc(2026, 11, 22)
OLD, NEW = 0, 1


#: Days pass here, so all is slower than by default.
MINUTE = timedelta(minutes=1)
SLOW = NodeConfig(lease=5 * MINUTE, beat=MINUTE, poll=MINUTE, blind_poll=MINUTE)
GRACE = 5 * MINUTE


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(utc(2026, 11, 20, 12))


@pytest.fixture
def fleet(clock: FakeClock) -> Fleet:
    return Fleet(MemoryStore(clock=clock), clock, config=SLOW)


@pytest.fixture
def differing(tmp_path: Path) -> Callable[[str, timedelta], Differing]:
    def make(expression: str, shift: timedelta) -> Differing:
        write_zone(tmp_path / "old", "Test/Decree", 3 * HOUR)
        write_zone(tmp_path / "new", "Test/Decree", 3 * HOUR, [(DECREE, 3 * HOUR + shift)])
        spec = {"kind": "cron", "version": 1, "dialect": "unix", "expression": expression, "tz": "Test/Decree"}
        return Differing.of(spec, [tmp_path / "old", tmp_path / "new"])

    return make


@pytest.fixture
def start(fleet: Fleet, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], FleetNode]:
    """Start a node that has one of the data, and says so."""

    def starting(number: int) -> FleetNode:
        monkeypatch.setattr("tickonce.engine.node._tzdata_version", lambda: f"test-{number}")
        with on_node(number):
            node = fleet.node(jobs)
        step = node.step

        def stepping() -> bool:
            with on_node(number):
                return step()

        monkeypatch.setattr(node, "step", stepping)
        return node

    return starting


def create(fleet: Fleet, trigger: Trigger, **policy: Any) -> None:
    definition = Definition(job="note", trigger=trigger, policy=Policy(grace=GRACE, **policy))
    fleet.store.change("nine", Create(schedule_id="nine", definition=definition))


def launched(fleet: Fleet) -> list[datetime]:
    """Return the scheduled times of all runs, each of which ran once."""
    runs = fleet.runs("nine")
    assert Counter(token for token, _ in fleet.ledger) == Counter(run.token for run in runs)
    assert all(run.state is RunState.SUCCEEDED for run in runs)
    return [run.scheduled_time for run in runs]


def nines(*hours: int) -> list[datetime]:
    """Return instants from 21 November on, one a day."""
    return [utc(2026, 11, 21 + day, hour) for day, hour in enumerate(hours)]


@pytest.mark.parametrize("misfire", ["skip", "latest", "all"])
@pytest.mark.parametrize(("shift", "hour"), [(-HOUR, 7), (HOUR, 5)])
def test_a_rollout_of_new_zone_data_leaves_each_day_its_one_run_on_time(  # noqa: PLR0917 - by name
    fleet, differing, start, shift, hour, misfire
):
    create(fleet, differing("0 9 * * *", shift), misfire=misfire)
    old = start(OLD)
    fleet.run_until(utc(2026, 11, 21, 12))
    start(NEW)
    fleet.run_for(timedelta(minutes=1))
    assert fleet.schedule("nine").next_fire == utc(2026, 11, 22, hour)
    old.leave()
    fleet.run_until(utc(2026, 11, 24, 12))
    assert launched(fleet) == nines(6, hour, hour, hour)
    assert fleet.store.skips("nine").items == ()


def test_the_data_change_between_a_fire_and_its_new_time(fleet, differing, start):
    """Nine ran at 06:00Z; by the data of the node that comes at half past it is at 07:00Z."""
    create(fleet, differing("0 9 * * *", -HOUR))
    old = start(OLD)
    fleet.run_until(utc(2026, 11, 22, 6, 30))
    old.crash()
    start(NEW)
    fleet.run_until(utc(2026, 11, 24, 12))
    assert launched(fleet) == nines(6, 6, 7, 7)


@pytest.mark.parametrize("shift", [-HOUR, HOUR, timedelta(minutes=-30), 3 * HOUR])
def test_a_fleet_with_two_databases_for_ever_runs_each_day_once(fleet, differing, start, shift):
    """Whoever owns the bucket plans by what it has; now one node sleeps, now the other."""
    create(fleet, differing("0 9 * * *", shift), misfire="skip")
    first, second = start(OLD), start(NEW)
    for day in range(1, 9):
        first.paused, second.paused = bool(day & 1), bool(day & 2) and not day & 1
        fleet.run_until(utc(2026, 11, 20, 12) + day * DAY)
    found = launched(fleet)
    assert len(found) == 8
    assert [each.day for each in found] == list(range(21, 29))


def test_an_outage_over_the_change_ends_as_any_outage(fleet, differing, start):
    create(fleet, differing("0 9 * * *", -HOUR), misfire="all", catch_up=10 * DAY, overlap="allow")
    old = start(OLD)
    fleet.run_until(utc(2026, 11, 21, 5))
    old.crash()
    fleet.run_until(utc(2026, 11, 24, 12))
    start(NEW)
    fleet.run_until(utc(2026, 11, 25, 12))
    assert launched(fleet) == nines(6, 7, 7, 7, 7)


def test_of_many_nodes_with_the_same_rules_the_oldest_asks_again_and_once(fleet, jobs, differing):
    create(fleet, differing("0 9 * * *", -HOUR))
    nodes = [fleet.node(jobs) for _ in range(4)]
    fleet.run_for(HOUR)
    assert [node.engine.upkeep._rechecks._over for node in nodes].count(True) == 1
    next(node for node in nodes if node.engine.upkeep._rechecks._over).crash()
    fleet.run_for(HOUR)
    assert [node.engine.upkeep._rechecks._over for node in nodes if not node.crashed].count(True) == 1


def test_a_trigger_that_raises_does_not_keep_others_from_being_asked(fleet, jobs, differing, start):
    class Broken(Differing):
        def next_after(self, after: datetime) -> datetime | None:
            if Differing.here == NEW:
                raise ZeroDivisionError
            return utc(2026, 12, 1)

    definition = Definition(job="note", trigger=Broken(()))
    fleet.store.change("a-first", Create(schedule_id="a-first", definition=definition))
    create(fleet, differing("0 9 * * *", HOUR))
    start(OLD).crash()
    fleet.run_until(utc(2026, 11, 21, 12))
    start(NEW)
    fleet.run_for(timedelta(minutes=1))
    assert fleet.schedule("a-first").state == "active"
    assert fleet.schedule("nine").next_fire is not None
    assert fleet.schedule("nine").next_fire.hour == 5


# -- calendars ---------------------------------------------------------------------------------


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Let the calendar of China be known up to a year, as with a release of its library."""
    real = china._years()
    week = {date(2027, 1, 1), date(2027, 1, 2), date(2027, 1, 3)}

    def up_to(last: int) -> None:
        years = {year: days for year, days in real.items() if year <= min(last, 2026)}
        if last == 2027:
            years[2027] = base.Year(frozenset(week), frozenset(), frozenset({5, 6}))
        monkeypatch.setattr(china, "_years", lambda: years)
        base._mask_of.cache_clear()

    yield up_to
    base._mask_of.cache_clear()


class Reloading(MemoryStore):
    """The memory store, read as a database is: a definition is what the reader makes of its JSON form."""

    def due(self, *args: Any, **kwargs: Any) -> Any:
        poll = super().due(*args, **kwargs)
        return replace(poll, due=tuple(map(_read, poll.due)))

    def schedules(self, *args: Any, **kwargs: Any) -> Any:
        page = super().schedules(*args, **kwargs)
        return replace(page, items=tuple(map(_read, page.items)))

    def change(self, schedule_id: str, decide: Any) -> Any:
        def reading(now: datetime, schedule: Schedule | None, open_runs: int) -> Any:
            return decide(now, None if schedule is None else _read(schedule), open_runs)

        return super().change(schedule_id, reading)


def _read(schedule: Schedule) -> Schedule:
    return replace(schedule, definition=definition_of(form_of(schedule.definition)))


MORNING = on_days(cron("0 9 * * *", tz="Asia/Shanghai"), only_on=workdays("CN", unknown="hold"))


@pytest.fixture
def held(clock: FakeClock, known: Callable[[int], None]) -> Fleet:
    """A fleet whose data end with 2026, on the last day of it."""
    known(2026)
    clock.advance(utc(2026, 12, 31, 12) - clock.wall())
    return Fleet(Reloading(clock=clock), clock, config=SLOW)


def noting(fleet: Fleet) -> Jobs:
    jobs = Jobs()
    jobs.job(name="note")(lambda: None)
    return jobs


def facts(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("tickonce.engine.node._version", lambda package: f"{package} {name}")


def test_a_held_schedule_wakes_when_a_node_brings_the_data(held, known, monkeypatch):
    """Added by hand, declared nowhere: the node that starts with newer data asks again."""
    facts(monkeypatch, "2026")
    create(held, MORNING.resolved(schedule_id="nine", tz="UTC"))
    node = held.node(noting(held))
    held.run_for(3 * DAY)
    assert held.schedule("nine").next_fire == HELD
    assert held.schedule("nine").definition.trigger.calendar.known == 2026
    node.crash()
    known(2027)
    facts(monkeypatch, "2027")
    held.node(noting(held))
    held.run_until(utc(2027, 1, 6, 12))
    assert [run.scheduled_time for run in held.runs("nine")] == [utc(2027, 1, day, 1) for day in (4, 5, 6)]
    assert held.schedule("nine").definition.trigger.calendar.known == 2027


def test_a_node_with_older_data_leaves_what_was_woken_to_newer_ones(held, known, monkeypatch):
    facts(monkeypatch, "2026")
    create(held, MORNING.resolved(schedule_id="nine", tz="UTC"))
    nodes = {2026: held.node(noting(held))}
    held.run_for(HOUR)
    known(2027)
    facts(monkeypatch, "2027")
    nodes[2027] = held.node(noting(held))
    for year, node in nodes.items():
        step = node.step

        def stepping(year: int = year, step: Callable[[], bool] = step) -> bool:
            known(year)
            return step()

        monkeypatch.setattr(node, "step", stepping)
    held.run_until(utc(2027, 1, 5, 12))
    assert [run.scheduled_time for run in held.runs("nine")] == [utc(2027, 1, day, 1) for day in (4, 5)]
