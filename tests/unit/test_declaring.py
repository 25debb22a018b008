"""Schedules written in code: deployed again and again, changed by people meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tickonce import Scheduler, cron
from tickonce.calendars import own_calendar
from tickonce.errors import ConfigError
from tickonce.model import ScheduleState
from tickonce.stores.memory import MemoryStore
from tickonce.testing import FakeClock
from tickonce.triggers.days import on_days


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 21, 9, tzinfo=UTC))


def tidy_up() -> None: ...


def program(store: MemoryStore, clock: FakeClock, trigger: str = "@daily", **more: Any) -> Scheduler:
    scheduler = Scheduler(store, clock=clock, name=more.pop("name", "deploy"), release=more.pop("release", None))
    scheduler.schedule(trigger, id="nightly", **more)(scheduler.job(name="tidy")(tidy_up))
    return scheduler


def test_declaring_twice_changes_nothing_and_a_change_in_code_is_an_edit(clock):
    store = MemoryStore(clock=clock)
    (first,) = program(store, clock).declare()
    assert (first.id, first.source, first.created_by) == ("nightly", "code", "deploy")
    assert program(store, clock).declare() == [first]
    (changed,) = program(store, clock, "@hourly").declare()
    assert (changed.trigger, changed.revision) == (cron("@hourly", tz="UTC"), 2)


def test_what_people_changed_survives_a_deployment_until_it_is_reverted(clock):
    store = MemoryStore(clock=clock)
    program(store, clock).declare()
    by_hand = Scheduler(store, clock=clock, name="ada")
    by_hand.update("nightly", priority=7)
    (after,) = program(store, clock, "@hourly", priority=1).declare()
    assert (after.definition.priority, after.trigger) == (7, cron("@hourly", tz="UTC"))
    assert by_hand.revert("nightly").definition.priority == 1


def test_one_whose_trigger_raises_keeps_no_other_from_starting(clock):
    store = MemoryStore(clock=clock)
    scheduler = program(store, clock)
    job = scheduler.job(name="other")(tidy_up)
    plant = own_calendar("plant", years=(2020, 2020), unknown="fail")
    scheduler.schedule(on_days(cron("@daily"), only_on=plant), id="bad")(job)
    scheduler.schedule("@hourly", id="last")(job)
    told = {schedule.id: (schedule.state, schedule.reason) for schedule in scheduler.declare()}
    assert told["nightly"] == told["last"] == (ScheduleState.ACTIVE, None)
    state, reason = told["bad"]
    assert state is ScheduleState.ASIDE
    assert reason is not None
    assert "has no data of 2026" in reason
    with scheduler.node():
        assert scheduler.alive


def test_what_people_removed_stays_removed(clock):
    store = MemoryStore(clock=clock)
    scheduler = program(store, clock)
    scheduler.declare()
    scheduler.remove("nightly")
    assert scheduler.declare() == []
    assert program(store, clock, "@hourly").declare() == []


def test_an_older_release_does_not_replace_a_newer_one(clock):
    store = MemoryStore(clock=clock)
    program(store, clock, "@hourly", release="1.10").declare()
    (kept,) = program(store, clock, "@daily", release="1.9").declare()
    assert kept.trigger == cron("@hourly", tz="UTC")
    (replaced,) = program(store, clock, "@daily", release="1.11").declare()
    assert replaced.trigger == cron("@daily", tz="UTC")


def test_declaring_goes_in_the_order_of_ids_and_refuses_too_short_a_grace(clock):
    scheduler = Scheduler(MemoryStore(clock=clock), clock=clock)
    tidy = scheduler.job(name="tidy")(tidy_up)
    for name in ("b", "a", "c"):
        scheduler.schedule("@daily", id=name)(tidy)
    assert [schedule.id for schedule in scheduler.declare()] == ["a", "b", "c"]
    scheduler.schedule("@daily", id="d", grace="1s")(tidy)
    with pytest.raises(ConfigError, match="schedule 'd': grace must be at least"):
        scheduler.declare()
