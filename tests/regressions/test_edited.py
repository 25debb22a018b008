"""Edits, deletions and deployments that make peers fire at once, forget, or begin again from now."""

from __future__ import annotations

import threading

import pytest

from tests.regressions.scenes import (
    CALM,
    DAY,
    EVERY_FIRE,
    HOUR,
    MINUTE,
    SECOND,
    at_once,
    calls_of,
    declared,
    each_once,
    times,
    utc,
)
from tickonce.config import NodeConfig
from tickonce.editing import Amend, Remove, RunNow
from tickonce.model import RunState, Schedule
from tickonce.stores.sql.store import SqlStore
from tickonce.testing.contract.making import row_of
from tickonce.testing.fleet import Fleet
from tickonce.triggers import cron, every

LEASE = NodeConfig().lease


class TestTheCronIsEdited:
    """It is one o'clock. A peer takes a time of day that is over for one that it has missed, and runs it at once."""

    @pytest.mark.parametrize("text", ["0 12 * * *", "0 13 * * *", "59 12 * * *", "*/7 * * * *", "0 0 1 1 *"])
    def test_to_a_time_that_is_over_nothing_fires_at_once(self, fleet, jobs, add, text):
        made = add("report", cron("0 9 * * *"))
        fleet.node(jobs, config=CALM)
        fleet.run_for(5 * SECOND)
        fleet.store.change("report", Amend(schedule_id="report", changes={"trigger": cron(text, tz="UTC")}))
        edited = fleet.clock.wall()
        fleet.run_until(utc(2026, 11, 21, 13, 6, 59))
        assert fleet.ledger == []
        fleet.run_for(DAY)
        each_once(fleet, "report", edited)
        assert made.created_at < edited

    def test_just_after_a_fire_that_nobody_has_launched_yet_that_fire_is_not_lost(self, fleet, jobs, add):
        add("report", cron("2 13 * * *"))
        node = fleet.node(jobs, config=CALM)
        fleet.run_until(utc(2026, 11, 21, 13, 1, 59))
        node.paused = True
        fleet.run_for(2 * SECOND)
        fleet.store.change("report", Amend(schedule_id="report", changes={"trigger": cron("0 9 * * *", tz="UTC")}))
        node.paused = False
        fleet.run_until(utc(2026, 11, 23))
        assert times(fleet.runs("report")) == [utc(2026, 11, 21, 13, 2), utc(2026, 11, 22, 9)]
        assert set(calls_of(fleet, "report").values()) == {1}

    @pytest.mark.parametrize("hints", [True, False])
    def test_a_running_process_follows_without_a_restart(self, fleet, jobs, add, hints):
        fleet.hints = hints
        add("report", cron("0 9 * * *"))
        fleet.node(jobs)
        fleet.run_for(20 * SECOND)
        for minute in (2, 5, 3, 9):  # later, sooner, later
            to = Amend(schedule_id="report", changes={"trigger": cron(f"{minute} 13 * * *", tz="UTC")})
            fleet.store.change("report", to)
            fleet.run_for(MINUTE / 2)
        fleet.run_until(utc(2026, 11, 21, 13, 10))
        assert times(fleet.runs("report")) == [utc(2026, 11, 21, 13, 9)]


class TestDeletedAndMadeAnewBetweenTwoLooks:
    @pytest.fixture(autouse=True)
    def nobody_tells(self, fleet: Fleet) -> None:
        fleet.hints = False

    def test_the_new_one_runs_and_the_old_one_does_not(self, fleet, jobs, add):
        made = add("sync", every("10s"), **EVERY_FIRE)
        fleet.node(jobs)
        fleet.run_for(21 * SECOND)
        fleet.store.change("sync", Remove(schedule_id="sync"))
        anew = add("sync", every("3s"), priority=9, **EVERY_FIRE)
        fleet.run_for(30 * SECOND)
        runs = fleet.runs("sync")
        assert [run.priority for run in runs] == [0] * 2 + [9] * 10
        assert len(calls_of(fleet, "sync")) == len(runs)
        assert times(runs)[2:] == [at for at in times(runs) if at > anew.created_at]
        assert made.revision < anew.revision

    def test_a_launch_on_its_way_is_of_no_effect(self, fleet, jobs, add):
        add("sync", every("10s"))
        node = fleet.node(jobs)

        def meanwhile() -> None:
            fleet.store.change("sync", Remove(schedule_id="sync"))
            add("sync", every("10s"), priority=9)

        node.faults.before("launch", meanwhile)
        fleet.run_for(30 * SECOND)
        assert {run.priority for run in fleet.runs("sync")} == {9}
        assert [(skip.reason, skip.count) for skip in fleet.store.skips("sync").items] == [("removed", 1)]


class TestTheRowIsDeletedWhileItsRunGoesOn:
    def test_the_run_ends_as_any_run_and_nothing_follows(self, fleet, jobs, add):
        fleet.takes = 20 * SECOND
        add("slow", every("1h"))
        fleet.node(jobs)
        fleet.store.change("slow", RunNow(schedule_id="slow", key="k"))
        fleet.run_for(5 * SECOND)
        fleet.store.change("slow", Remove(schedule_id="slow"))
        fleet.run_for(2 * HOUR)
        assert [(run.state, run.attempt) for run in fleet.runs("slow")] == [(RunState.SUCCEEDED, 1)]

    def test_and_its_process_dies(self, fleet, jobs, add):
        fleet.takes = 20 * SECOND
        add("slow", every("1h"))
        victim = fleet.node(jobs)
        fleet.store.change("slow", RunNow(schedule_id="slow", key="k"))
        fleet.run_for(5 * SECOND)
        fleet.store.change("slow", Remove(schedule_id="slow"))
        victim.crash()
        fleet.node(jobs)
        fleet.run_for(5 * LEASE)
        assert [(run.state, run.attempt) for run in fleet.runs("slow")] == [(RunState.SUCCEEDED, 2)]


class TestADeploymentRegistersItsSchedulesAgain:
    """Replacing them resets their clocks at every deployment; leaving them alone never picks up an edit."""

    def test_a_daily_job_does_not_run_at_every_deployment(self, fleet, jobs):
        daily = declared("daily", every("1d"))
        fleet.node(jobs, declares=[daily]).leave()
        made = fleet.schedule("daily")
        for _ in range(30):  # every two hours
            node = fleet.node(jobs, declares=[daily])
            fleet.run_for(3 * SECOND)
            node.leave()
            fleet.clock.advance(2 * HOUR)
        fleet.node(jobs, declares=[daily])
        fleet.run_for(3 * SECOND)
        assert len(each_once(fleet, "daily", made.created_at)) == 3

    def test_nor_does_an_overdue_fire_vanish_with_a_changed_definition(self, fleet, jobs):
        fleet.node(jobs, declares=[declared("daily", every("1d"))]).leave()
        made = fleet.schedule("daily")
        fleet.clock.advance(12 * HOUR)  # midnight comes, and nobody is there
        fleet.node(jobs, declares=[declared("daily", every("6h"))], config=CALM)
        fleet.run_for(12 * HOUR)
        runs = fleet.runs("daily")
        assert times(runs) == [utc(2026, 11, 22), utc(2026, 11, 22, 6), utc(2026, 11, 22, 12)]
        assert calls_of(fleet, "daily") == dict.fromkeys((run.token for run in runs), 1)
        assert made.trigger != fleet.schedule("daily").trigger

    def test_many_processes_that_start_at_once_make_each_schedule_once(self, store: SqlStore, another):
        """They collide on the same key, or each resets the others' clocks."""
        wanted = [declared(f"declared-{number}", every("1h"), job="work") for number in range(20)]
        stores = [another() for _ in range(8)]
        gate = threading.Barrier(len(stores))
        seen: list[Schedule] = []

        def start(mine: SqlStore) -> None:
            gate.wait(20)
            for item in wanted:
                after = mine.change(item.schedule_id, item)
                assert after is not None
                seen.append(after)

        at_once([lambda mine=mine: start(mine) for mine in stores])  # type: ignore[misc]
        kept = [row_of(store, item.schedule_id) for item in wanted]
        assert len(seen) == 160
        assert {row.revision for row in kept} == {1}
        assert {(row.id, row.version) for row in seen} == {(row.id, row.version) for row in kept}


@pytest.mark.parametrize("period", ["1h", "30m"], ids=["unchanged", "changed"])
def test_a_definition_that_was_removed_by_a_person_is_not_brought_back_by_the_next_start(fleet, jobs, period) -> None:
    fleet.node(jobs, declares=[declared("daily", every("1h"))])
    fleet.store.change("daily", Remove(schedule_id="daily", by="ann"))
    fleet.node(jobs, declares=[declared("daily", every(period))])
    fleet.run_for(3 * HOUR)
    assert fleet.runs("daily") == []
