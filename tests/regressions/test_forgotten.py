"""Fires that peers forget: each scene, and that every fire ends in a run or in a skip record that says why."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from tests.chaos.crew import Crew, until
from tests.chaos.ledger import read_ledger
from tests.regressions.scenes import (
    DAY,
    EVERY_FIRE,
    HOUR,
    MINUTE,
    SECOND,
    calls_of,
    declared,
    each_once,
    fires_of,
    none_forgotten,
    times,
    utc,
)
from tickonce import Scheduler
from tickonce.config import NodeConfig
from tickonce.editing import RunNow
from tickonce.jobs import Jobs
from tickonce.model import RunState, ScheduleState
from tickonce.triggers import every

CONFIG = NodeConfig()
LEASE = CONFIG.lease


class TestFiresInTheMemoryOfAProcess:
    """What was due is in a timer wheel or in a pool's queue, and nowhere else."""

    def test_a_crash_with_launched_fires_that_have_not_begun(self, fleet, jobs, add):
        made = [add(f"nightly-{number}", every("1h")) for number in range(40)]
        fleet.takes = SECOND
        victim = fleet.node(jobs, config=NodeConfig(slots=25))
        fleet.run_until(utc(2026, 11, 21, 14))
        held = [run for run in fleet.runs() if run.node == victim.id]
        assert len(held) == 25
        victim.crash()
        assert fleet.ledger == [], "they were in its memory alone"
        fleet.node(jobs, config=NodeConfig(slots=100))
        fleet.run_for(3 * LEASE)
        for schedule in made:
            each_once(fleet, schedule.id, schedule.created_at)
        assert sorted(run.token for run in fleet.runs() if run.losses) == sorted(run.token for run in held)

    def test_a_pool_that_is_full(self, fleet, jobs, add):
        fleet.takes = 20 * SECOND
        made = [add(f"nightly-{number}", every("1h")) for number in range(30)]
        for _ in range(2):
            fleet.node(jobs, config=NodeConfig(slots=1))
        fleet.run_until(utc(2026, 11, 21, 14, 6))
        for schedule in made:
            each_once(fleet, schedule.id, schedule.created_at)

    def test_a_pool_that_stays_full_says_what_it_did_not_start(self, fleet, jobs, add):
        """Twice as much comes as one slot can do: what is too late to start is told of, and the backlog has an end."""
        fleet.takes = 10 * SECOND
        made = [add(f"every-{number}", every("1m"), overlap="allow") for number in range(12)]
        node = fleet.node(jobs, config=NodeConfig(slots=1))
        fleet.run_for(20 * MINUTE)
        for schedule in made:
            none_forgotten(fleet.store, schedule)
        runs = fleet.runs()
        skipped = [run for run in runs if run.state is RunState.SKIPPED]
        assert {run.reason for run in skipped} == {"too late"}
        assert len(skipped) > 60
        assert len([event for event in node.events if event.kind == "skipped"]) == len(skipped)
        oldest = min(run.scheduled_time for run in runs if run.state.open)
        assert oldest >= fleet.clock.wall() - 2 * MINUTE - 10 * SECOND


@pytest.mark.parametrize("verb", ["due", "launch"])
@pytest.mark.parametrize("misfire", ["skip", "latest", "all"])
def test_the_database_refuses_the_insert_after_the_next_time_was_reckoned(fleet, jobs, add, verb, misfire):
    """Where the next time is kept in memory, it has moved on, and nobody comes back to the fire."""
    made = add("beat", every("10s"), misfire=misfire)
    node = fleet.node(jobs)
    for _ in range(6):
        fleet.run_until(fires_of(every("10s"), fleet.clock.wall(), fleet.clock.wall() + MINUTE)[0] - SECOND)
        node.faults.refuse(verb, times=10)
        fleet.run_for(10 * SECOND)
        assert node.faults._fail[verb] == 0
    fleet.run_for(SECOND)
    assert len(each_once(fleet, "beat", made.created_at)) >= 6


class TestARestartAtTheSecondOfTheFire:
    @pytest.mark.parametrize("gap", [*product([-0.7, -0.001, 0.0, 0.001], [0.002, 0.7, 9.0])], ids=str)
    @pytest.mark.parametrize("end", ["leave", "crash"])
    def test_the_fire_between_two_processes_is_run_once(self, fleet, jobs, add, gap, end):
        stopped, started = gap
        made = add("daily", every("1h"), misfire="skip")  # even so: it is on time
        noon = utc(2026, 11, 21, 14)
        old = fleet.node(jobs)
        fleet.run_until(noon + timedelta(seconds=stopped))
        getattr(old, end)()
        fleet.run_until(noon + timedelta(seconds=started))
        fleet.node(jobs)
        fleet.run_until(noon + 2 * HOUR)
        assert times(each_once(fleet, "daily", made.created_at)) == [noon, noon + HOUR, noon + 2 * HOUR]

    def test_the_new_process_is_there_before_the_old_one_goes(self, fleet, jobs, add):
        made = add("beat", every("1s"), misfire="skip")
        for _ in range(20):  # a rolling deploy, one process after the other
            old = fleet.node(jobs)
            fleet.run_for(timedelta(seconds=1.3))
            new = fleet.node(jobs)
            fleet.run_for(timedelta(seconds=0.7))
            old.leave()
            fleet.run_for(timedelta(seconds=0.9))
            new.leave()
        assert len(each_once(fleet, "beat", made.created_at)) == 58


def test_an_interval_longer_than_any_process_lives(fleet, jobs):
    """Where the next time is counted from the start, a weekly job never runs if there is a deploy a day."""
    weekly = declared("weekly", every("7d"))
    fleet.node(jobs, declares=[weekly]).leave()
    made = fleet.schedule("weekly")
    for _ in range(30):
        node = fleet.node(jobs, declares=[weekly])
        fleet.run_for(5 * SECOND)
        node.leave()
        fleet.clock.advance(DAY - 10 * SECOND)
    fleet.node(jobs, declares=[weekly])
    fleet.run_for(SECOND)
    assert len(each_once(fleet, "weekly", made.created_at)) == 4


class TestManyMissed:
    def test_more_than_a_hundred_missed_fires_do_not_end_the_schedule(self, fleet, jobs, add):
        made = add("minutely", every("1m"))
        fleet.clock.advance(7 * DAY)
        fleet.node(jobs)
        fleet.run_for(10 * MINUTE)
        runs = fleet.runs()
        assert times(runs) == fires_of(made.trigger, fleet.clock.wall() - 11 * MINUTE, fleet.clock.wall())
        (skip,) = fleet.store.skips("minutely").items
        assert (skip.reason, skip.first, skip.more) == ("misfire", made.next_fire, True)
        assert skip.last == runs[0].scheduled_time - MINUTE

    def test_all_of_more_than_a_hundred_are_run_where_that_is_wanted(self, fleet, jobs, add):
        made = add("minutely", every("1m"), catch_up=DAY, **EVERY_FIRE)
        fleet.clock.advance(10 * HOUR)
        fleet.node(jobs)
        fleet.run_for(2 * MINUTE)
        assert len(each_once(fleet, "minutely", made.created_at)) == 602

    def test_a_machine_that_wakes_from_sleep_sends_no_burst(self, fleet, jobs, add):
        made = [add(f"beat-{number}", every("1m")) for number in range(5)]
        fleet.node(jobs)
        fleet.run_for(5 * MINUTE)
        for _ in range(3):
            fleet.clock.suspend(8 * HOUR)
            before = len(fleet.ledger)
            fleet.run_for(5 * SECOND)
            assert len(fleet.ledger) - before <= 5, "one a schedule"
        fleet.run_for(2 * MINUTE)
        for schedule in made:
            runs, skips = none_forgotten(fleet.store, schedule)
            assert sum(skip.count for skip in skips) > 1400
            assert calls_of(fleet, schedule.id) == dict.fromkeys((run.token for run in runs), 1)


@pytest.mark.chaos
def test_a_process_that_starts_as_another_dies_with_its_lease_fires_at_once(tmp_path) -> None:
    """A peer's successor never fired what the dead one had leased: real processes, the first one killed."""
    url = f"sqlite:///{tmp_path}/fleet.db"
    with Crew(url, tmp_path) as crew, Scheduler(url) as scheduler:
        made = scheduler.add("beat", "note", every("250ms"), **EVERY_FIRE)
        crew.start(1)
        until(lambda: len(read_ledger(crew.ledger)) >= 3, "the first fires", every=0.01)
        crew.members[0].kill()
        crew.members[0].wait()
        before = len(read_ledger(crew.ledger))
        died = scheduler.store.instant()
        crew.start(1)
        until(lambda: len(read_ledger(crew.ledger)) >= before + 12, "its successor fires", patience=10, every=0.05)
        assert scheduler.store.instant() - died < LEASE - SECOND, "nobody has waited for the lease"
        crew.stop_all()
        calls = [call.token for call in read_ledger(crew.ledger)]
        runs, skips = none_forgotten(scheduler.store, made)
    assert len(calls) == len(set(calls))
    assert skips == []
    # What the dead one held waits for the end of its lease; what it had not launched waits for nobody.
    after = {run.state for run in runs if run.scheduled_time > died}
    assert RunState.SUCCEEDED in after
    assert RunState.RUNNING not in after


class TestAFaultThatEndsThePeersProcess:
    def test_a_trigger_that_raises(self, fleet, jobs, add):
        class Broken:
            raises = False

            def next_after(self, after):
                if self.raises:
                    raise UnboundLocalError("next_fire_time")
                return every("1s").next_after(after)

            def spec(self):
                return {"kind": "broken", "version": 1}

            def resolved(self, *, schedule_id, tz):
                return self

        trigger = Broken()
        made = add("beat", **EVERY_FIRE)
        add("broken", trigger)
        nodes = [fleet.node(jobs) for _ in range(2)]
        trigger.raises = True
        fleet.run_for(10 * SECOND)
        nodes.append(fleet.node(jobs))  # nor does it keep another from starting
        fleet.run_for(10 * SECOND)
        assert fleet.schedule("broken").state is ScheduleState.ASIDE
        assert "UnboundLocalError" in (fleet.schedule("broken").reason or "")
        assert all(row.state == "alive" for row in fleet.store.nodes())
        each_once(fleet, "beat", made.created_at)

    def test_a_job_that_only_newer_code_can_import(self, fleet, jobs, add):
        """In a rolling deploy the old processes see the new schedules first."""
        made = add("beat", **EVERY_FIRE)
        old = fleet.node(jobs)
        new = add("new", job="new-code", **EVERY_FIRE)
        fleet.run_for(10 * SECOND)
        assert [run.state for run in fleet.runs("new")] == [RunState.PENDING] * 10
        newer = Jobs()
        newer.job(name="new-code")(jobs.find("note").function)
        newer.job(name="note")(jobs.find("note").function)
        fleet.node(newer)
        fleet.run_for(5 * SECOND)
        old.leave()
        fleet.run_for(10 * SECOND)
        each_once(fleet, "beat", made.created_at)
        each_once(fleet, "new", new.created_at)


class TestAQueueThatNobodyServes:
    """A job for an executor that no process has keeps its place for ever, and its task is blocked."""

    def test_only_what_needs_it_waits_and_says_so(self, fleet, jobs, add):
        elsewhere = add("render", every("1m"), queue="gpu")
        made = add("beat", every("1m"))  # the same job, in a queue that is served
        fleet.node(jobs)
        fleet.run_for(10 * MINUTE)
        each_once(fleet, "beat", made.created_at)
        runs, _ = none_forgotten(fleet.store, elsewhere)
        assert {(run.state, run.reason) for run in runs[:-1]} == {(RunState.SKIPPED, "too late")}

    def test_the_first_process_that_serves_it_goes_on_where_the_schedule_stands(self, fleet, jobs, add):
        made = add("render", every("1m"), queue="gpu")
        fleet.node(jobs)
        fleet.run_for(10 * MINUTE)
        fleet.node(jobs, config=NodeConfig(queues=("gpu",)))
        since = fleet.clock.wall()
        fleet.run_for(5 * MINUTE)
        runs, _ = none_forgotten(fleet.store, made)
        assert [run.state for run in runs if run.scheduled_time > since] == [RunState.SUCCEEDED] * 5


def test_a_run_over_the_limit_is_told_of_and_leaves_no_backlog(fleet, jobs, add):
    """A peer queues what may not run yet, and works it off for hours afterwards."""
    fleet.takes = timedelta(seconds=10.5)
    made = add("beat")
    fleet.node(jobs)
    for _ in range(60):
        fleet.run_for(SECOND)
        assert len([run for run in fleet.runs() if run.state.open]) <= 1
    fleet.takes = timedelta(0)
    runs, skips = none_forgotten(fleet.store, made)
    assert {skip.reason for skip in skips} == {"overlap"}
    assert (len(runs), sum(skip.count for skip in skips)) == (6, 54)
    assert fleet.runs()[-1].scheduled_time >= fleet.clock.wall() - 11 * SECOND


def test_processes_that_hear_nothing_of_each_other_find_new_work_by_looking(fleet, jobs, add):
    """A peer's worker waits for an event that no broker brings, without any limit."""
    fleet.hints = False
    for _ in range(3):
        fleet.node(jobs)
    fleet.run_for(MINUTE)
    made = add("beat", every("5s"), **EVERY_FIRE)
    fleet.store.change("beat", RunNow(schedule_id="beat", key="by-hand"))
    fleet.run_for(CONFIG.poll)
    assert calls_of(fleet, "beat")["beat@run-by-hand"] == 1
    fleet.run_for(MINUTE)
    runs, skips = none_forgotten(fleet.store, made)
    assert skips == []
    assert calls_of(fleet, "beat") == dict.fromkeys(["beat@run-by-hand", *(run.token for run in runs)], 1)
