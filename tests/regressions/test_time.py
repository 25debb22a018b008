"""Clocks and calendars: daylight saving, new rules of a zone, and clocks that are set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.regressions.scenes import CALM, DAY, EVERY_FIRE, HOUR, MINUTE, SECOND, each_once, put, times, utc
from tests.unit.zonedata import Differing, on_node, write_zone
from tickonce.jobs import Jobs
from tickonce.stores.memory import MemoryStore
from tickonce.testing.clock import FakeClock
from tickonce.testing.fleet import Fleet, FleetNode
from tickonce.triggers import cron, every

NEW_YORK = "America/New_York"
SPRING, AUTUMN = utc(2026, 3, 8), utc(2026, 11, 1)


class TestDaylightSaving:
    """In New York 02:00 becomes 03:00 on 8 March 2026 (07:00Z), and 02:00 becomes 01:00 on 1 November (06:00Z)."""

    @pytest.mark.parametrize("start", [SPRING - 2 * DAY, AUTUMN - 2 * DAY], ids=["spring", "autumn"])
    def test_a_time_of_day_comes_each_day_also_where_it_does_not_exist_or_comes_twice(self, fleet, jobs, add, start):
        for text in ("30 2 * * *", "0 2 * * *", "30 1 * * *", "59 23 * * *", "0 2,3 * * *"):
            add(text.replace(" ", "_").replace("*", "x"), cron(text, tz=NEW_YORK))
        fleet.node(jobs, config=CALM)
        fleet.run_until(start + 4 * DAY)
        for schedule_id in fleet.store.ids():
            runs = each_once(fleet, schedule_id, start)
            days = [run.scheduled_time.astimezone(ZoneInfo(NEW_YORK)).date() for run in runs]
            assert len(set(days)) == 4, "no day without one"
            # Two that fall together in the gap are one instant, and so one fire.
            assert len(days) == ((7 if start < AUTUMN - 9 * DAY else 8) if "," in schedule_id else 4)

    @pytest.mark.parametrize("start", [SPRING + 5 * HOUR, AUTUMN + 4 * HOUR], ids=["spring", "autumn"])
    @pytest.mark.parametrize("text", ["*/5 * * * *", "* * * * *"])
    def test_what_recurs_neither_falls_silent_for_an_hour_nor_comes_in_a_flood(self, fleet, jobs, add, start, text):
        add("often", cron(text, tz=NEW_YORK), **EVERY_FIRE)
        fleet.node(jobs, config=CALM)
        fleet.run_for(5 * HOUR)
        runs = each_once(fleet, "often", start)
        step = MINUTE if text.startswith("* ") else 5 * MINUTE
        assert {after - before for before, after in pairwise(times(runs))} == {step}
        assert len(runs) == 5 * HOUR / step

    @pytest.mark.parametrize("start", [SPRING - DAY])
    def test_two_hours_of_which_one_does_not_exist_still_fire_that_day(self, fleet, jobs, add, start):
        """A peer gave no fire at all for 02:00 and 03:00 on the day on which 02:00 does not come."""
        add("both", cron("0 2,3 * * *", tz=NEW_YORK))
        fleet.node(jobs, config=CALM)
        fleet.run_until(SPRING + DAY)
        assert times(each_once(fleet, "both", start)) == [utc(2026, 3, 7, 7), utc(2026, 3, 7, 8), utc(2026, 3, 8, 7)]


class TestNewRulesOfAZone:
    """From 22 November on a zone is an hour behind where it was: some processes know, others do not yet."""

    @pytest.fixture
    def start_with(
        self, fleet: Fleet, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[int], FleetNode]:
        """Start a process that has the old (0) or the new (1) rules."""
        changes = ((), ((utc(2026, 11, 22), 2 * HOUR),))
        for number, change in enumerate(changes):
            write_zone(tmp_path / str(number), "Test/Decree", 3 * HOUR, change)
        spec = {"kind": "cron", "version": 1, "dialect": "unix", "expression": "0 9 * * *", "tz": "Test/Decree"}
        put(fleet.store, "nine", Differing.of(spec, [tmp_path / "0", tmp_path / "1"]))

        def starting(number: int) -> FleetNode:
            with on_node(number):
                node = fleet.node(jobs, config=CALM)
            step = node.step

            def stepping() -> bool:
                with on_node(number):
                    return step()

            monkeypatch.setattr(node, "step", stepping)
            return node

        return starting

    def test_a_rollout_of_new_rules_leaves_each_day_its_one_run(self, fleet, start_with):
        old = start_with(0)
        fleet.run_until(utc(2026, 11, 22, 5))
        start_with(1)
        fleet.run_until(utc(2026, 11, 22, 6, 30))  # nine by the old rules is over, by the new ones it is to come
        old.leave()
        fleet.run_until(utc(2026, 11, 25))
        runs = times(fleet.runs("nine"))
        assert [run.day for run in runs] == [22, 23, 24]
        assert [run.hour for run in runs[1:]] == [7, 7]
        assert len(fleet.ledger) == len(set(fleet.ledger)) == 3

    def test_old_and_new_rules_side_by_side_for_days(self, fleet, start_with):
        first, second = start_with(0), start_with(1)
        for day in range(6):
            first.paused, second.paused = day % 3 == 1, day % 3 == 2
            fleet.run_until(utc(2026, 11, 22) + day * DAY)
        assert [run.day for run in times(fleet.runs("nine"))] == [22, 23, 24, 25, 26]
        assert len(fleet.ledger) == len(set(fleet.ledger)) == 5


class TestAClockIsSet:
    @pytest.mark.parametrize("ahead", [HOUR, -HOUR, 20 * SECOND, -20 * SECOND])
    def test_of_a_process_that_is_wrong_about_the_time(self, clock: FakeClock, jobs: Jobs, fleet: Fleet, ahead) -> None:
        """The machine's own clock decides nothing: no fire is early, late or doubled by it."""
        fleet.store = _Elsewhere(clock)
        made = put(fleet.store, "beat", every("1s"), **EVERY_FIRE)
        fleet.node(jobs)
        fleet.run_for(20 * SECOND)
        clock.jump(ahead)
        fleet.node(jobs)  # one more, which knows no other time
        fleet.run_for(20 * SECOND)
        clock.jump(-ahead)
        fleet.run_for(20 * SECOND)
        runs = each_once(fleet, "beat", made.created_at)
        assert len(runs) == 60
        lateness = [run.created_at - run.scheduled_time for run in runs if run.created_at is not None]
        assert min(lateness) >= timedelta(0)
        assert max(lateness) <= 100 * timedelta(milliseconds=1)

    @pytest.mark.parametrize("step", [40 * SECOND, -40 * SECOND, HOUR, -HOUR])
    def test_of_the_store_and_set_right_again(self, clock, fleet, jobs, add, step):
        made = add("beat", **EVERY_FIRE)
        nodes = [fleet.node(jobs) for _ in range(2)]
        fleet.run_for(30 * SECOND)
        clock.jump(step)
        fleet.run_for(30 * SECOND)
        clock.jump(-step)
        fleet.run_for(2 * MINUTE)
        runs = fleet.runs("beat")
        assert len(fleet.ledger) == len(set(fleet.ledger)) == len(runs)
        assert each_once(fleet, "beat", made.created_at, until=max(times(runs)))
        assert clock.wall() - 2 * SECOND <= max(times(runs)) <= clock.wall(), "neither silent nor ahead of time"
        assert all(run.losses == 0 for run in runs)
        assert {row.id for row in fleet.store.nodes() if row.state == "alive"} == {node.id for node in nodes}


class _Elsewhere(MemoryStore):
    """A store with a clock of its own, which goes right whatever becomes of the machine's."""

    local = False

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self._began = clock.wall() - clock.monotonic()

    def instant(self) -> datetime:
        return self._began + self._clock.monotonic()
