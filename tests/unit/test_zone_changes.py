"""Nodes whose zone data differ, or change: no time of day runs twice, none is lost, nothing moves back and forth.

The zones are written by the tests and read by zoneinfo: the same expression, by data of before and after a decree.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.planned import DAY, HOUR, MINUTE, SECOND, Counting, schedule, written
from tests.unit.zonedata import Differing, on_node, utc, write_zone, zone_data
from tickonce.editing import Amend, Pause, Recheck, Resume
from tickonce.model import Plan, Reason, Schedule, ScheduleState
from tickonce.planning import choose, following, plan, standing
from tickonce.triggers import Every, cron

ZONE = "Test/Decree"
#: From here on the newer data have another offset.
DECREE = utc(2026, 11, 22)
OLD, NEW = 0, 1


@pytest.fixture
def differing(tmp_path: Path) -> Callable[..., Differing]:
    """Return a trigger in a zone that is three hours ahead, and by newer data *shift* more from the decree on."""

    def make(expression: str, shift: timedelta, decree: datetime = DECREE, **more: str) -> Differing:
        return made(tmp_path, expression, shift, decree, **more)

    return make


def made(folder: Path, expression: str, shift: timedelta, decree: datetime = DECREE, **more: str) -> Differing:
    write_zone(folder / "old", ZONE, 3 * HOUR)
    write_zone(folder / "new", ZONE, 3 * HOUR, [(decree, 3 * HOUR + shift)])
    spec = {"kind": "cron", "version": 2, "dialect": "unix", "expression": expression, "tz": ZONE, **more}
    return Differing.of(spec, [folder / "old", folder / "new"])


def planned(row: Schedule, now: datetime, *, node: int, **options: bool) -> Plan | None:
    with on_node(node):
        return plan(row, now, **options)


def times(found: Plan | None) -> list[datetime]:
    return [] if found is None else [fire.scheduled_time for fire in found.fires]


def at_nine(differing: Callable[..., Differing], shift: timedelta, *, since: datetime, **fields: object) -> Schedule:
    """Return a schedule at nine each day that old data have planned."""
    return schedule(differing("0 9 * * *", shift), since=since, created_at=utc(2026, 1, 1), **fields)


# -- one fire ----------------------------------------------------------------------------------


def test_the_zones_are_what_they_are_meant_to_be(tmp_path):
    trigger = made(tmp_path, "0 9 * * *", -HOUR)
    for node, day in ((OLD, utc(2026, 11, 22, 6)), (NEW, utc(2026, 11, 22, 7))):
        with on_node(node):
            assert trigger.next_after(utc(2026, 11, 21, 6)) == day
    with zone_data(tmp_path / "new"):
        assert f"{utc(2026, 11, 22, 7).astimezone(ZoneInfo(ZONE)):%H:%M}" == "09:00"
    assert cron("0 9 * * *", tz="Asia/Tokyo").next_after(DECREE) is not None  # the usual data are back


def test_a_fire_that_is_later_now_moves_without_launching_and_runs_once(differing):
    row = at_nine(differing, -HOUR, since=utc(2026, 11, 21, 6))
    assert row.next_fire == utc(2026, 11, 22, 6)
    found = planned(row, row.next_fire, node=NEW)
    assert found is not None
    assert (found.fires, found.skips, found.watermark) == ((), (), row.watermark)
    assert (found.next_fire, found.due, found.state) == (utc(2026, 11, 22, 7), utc(2026, 11, 22, 7), "active")
    moved = written(choose(found, 0))
    assert planned(moved, utc(2026, 11, 22, 6, 59), node=NEW) is None
    then = planned(moved, utc(2026, 11, 22, 7), node=NEW)
    assert times(then) == [utc(2026, 11, 22, 7)]
    assert then is not None
    assert (then.next_fire, then.skips) == (utc(2026, 11, 23, 7), ())


def test_a_fire_that_is_earlier_now_runs_once_and_counts_as_on_time(differing):
    row = at_nine(differing, HOUR, since=utc(2026, 11, 21, 6), misfire="skip")
    found = planned(row, utc(2026, 11, 22, 6), node=NEW)
    assert times(found) == [utc(2026, 11, 22, 5)]
    assert found is not None
    assert (found.next_fire, found.skips) == (utc(2026, 11, 23, 5), ())
    start_by = found.fires[0].start_by
    assert start_by is not None
    assert start_by > utc(2026, 11, 22, 6)


def test_a_fire_that_is_earlier_now_is_late_after_an_outage_as_any_other(differing):
    row = at_nine(differing, HOUR, since=utc(2026, 11, 21, 6), misfire="skip")
    found = planned(row, utc(2026, 11, 22, 6, 0, 11), node=NEW)
    assert found is not None
    assert [(skip.reason, skip.count) for skip in found.skips] == [(Reason.MISFIRE, 1)]
    assert (found.fires, found.next_fire) == ((), utc(2026, 11, 23, 5))


def test_the_same_time_of_day_does_not_come_again_after_it_ran(differing):
    """Nine o'clock ran at 06:00Z by the old data; by the new ones it is 07:00Z, which was not yet."""
    row = at_nine(differing, -HOUR, since=utc(2026, 11, 22, 6))
    with on_node(NEW):
        assert following(row.definition, row.watermark) == utc(2026, 11, 22, 7)
        assert standing(row) == utc(2026, 11, 23, 7)
    moved = planned(row, utc(2026, 11, 23, 6), node=NEW)
    assert times(moved) == []
    assert moved is not None
    then = planned(written(choose(moved, 0)), utc(2026, 11, 23, 7), node=NEW)
    assert then is not None
    assert times(then) == [utc(2026, 11, 23, 7)]
    told = [(skip.reason, skip.first, skip.count) for skip in then.skips]
    assert told == [(Reason.RULES, utc(2026, 11, 22, 7), 1)]


def test_a_time_of_day_that_comes_into_being_runs(differing):
    """The fire before is one by both data, so what stands between it and the next is new."""
    row = schedule(differing("30 9 * * *", -HOUR, utc(2026, 11, 22, 6), gap="skip"), since=utc(2026, 11, 20, 6, 30))
    twice = differing("30 8 * * *", -HOUR, utc(2026, 11, 22, 6), fold="both")
    row = replace(row, definition=replace(row.definition, trigger=twice), watermark=utc(2026, 11, 22, 5, 30))
    row = replace(row, next_fire=utc(2026, 11, 23, 5, 30))
    with on_node(NEW):
        assert standing(row) == utc(2026, 11, 22, 6, 30)
    assert times(planned(row, utc(2026, 11, 23, 5, 30), node=NEW)) == [utc(2026, 11, 22, 6, 30)]


def test_a_zone_that_no_longer_has_the_last_fire_ends_the_schedule(differing):
    trigger = differing("0 9 22 11 *", HOUR)
    row = schedule(trigger, since=utc(2026, 11, 21), end=utc(2026, 11, 22, 6), start=utc(2026, 11, 22, 5, 30))
    assert row.next_fire == utc(2026, 11, 22, 6)
    found = planned(row, row.next_fire, node=NEW)
    assert found is not None
    assert (found.fires, found.next_fire, found.due, found.state) == ((), None, None, ScheduleState.ENDED)


def test_elapsed_time_knows_no_zones(differing):
    """What recurs comes at the same instants whatever the wall shows, so nothing is moved and nothing is left out."""
    for expression in ("*/5 * * * *", "17 * * * *"):
        row = schedule(differing(expression, -HOUR), since=utc(2026, 11, 22, 5, 59))
        now = row.next_fire
        assert now is not None
        assert planned(row, now, node=NEW) == planned(row, now, node=OLD)


def test_jitter_stays_within_the_new_times(differing):
    row = at_nine(differing, -HOUR, since=utc(2026, 11, 21, 6), jitter=30 * MINUTE)
    assert row.due is not None
    found = planned(row, row.due, node=NEW)
    assert found is not None
    assert (found.fires, found.next_fire) == ((), utc(2026, 11, 22, 7))
    assert found.due is not None
    assert utc(2026, 11, 22, 7) <= found.due <= utc(2026, 11, 22, 7, 30)
    assert times(planned(written(choose(found, 0)), found.due, node=NEW)) == [utc(2026, 11, 22, 7)]


def test_a_pause_that_ends_is_told_though_nothing_is_due_yet(differing):
    row = at_nine(differing, -HOUR, since=utc(2026, 11, 19, 6))
    paused = Pause(schedule_id=row.id, until=utc(2026, 11, 22, 5))(utc(2026, 11, 19, 7), row, 0)
    assert paused is not None
    row = paused.schedule
    assert row.next_fire == utc(2026, 11, 22, 6)
    found = planned(row, row.next_fire, node=NEW)
    assert found is not None
    assert [(skip.reason, skip.count) for skip in found.skips] == [(Reason.PAUSED, 2)]
    after = written(choose(found, 0))
    assert (after.state, after.paused_until) == (ScheduleState.ACTIVE, None)
    assert (after.watermark, after.next_fire) == (utc(2026, 11, 22, 5), utc(2026, 11, 22, 7))


def test_after_an_outage_the_missed_fires_are_those_of_the_present_data(differing):
    row = at_nine(differing, -HOUR, since=utc(2026, 11, 20, 6), misfire="all", catch_up=10 * DAY)
    found = planned(row, utc(2026, 11, 24, 12), node=NEW)
    expected = [utc(2026, 11, 21, 6), *(utc(2026, 11, day, 7) for day in (22, 23, 24))]
    assert times(found) == expected


@pytest.mark.parametrize("shift", [HOUR, -HOUR])
def test_an_edit_settles_by_the_present_data(differing, shift):
    row = at_nine(differing, shift, since=utc(2026, 11, 21, 6))
    now = utc(2026, 11, 22, 6)
    with on_node(NEW):
        change = Amend(schedule_id=row.id, changes={"trigger": Every("1h")})(now, row, 0)
    assert change is not None
    assert [fire.scheduled_time for fire in change.runs] == ([utc(2026, 11, 22, 5)] if shift > timedelta(0) else [])
    with on_node(NEW):
        early = Amend(schedule_id=row.id, changes={"trigger": Every("1h")})(now - 30 * MINUTE, row, 0)
        paused = Pause(schedule_id=row.id)(now - 30 * MINUTE, row, 0)
    assert early is not None
    assert paused is not None
    assert [fire.scheduled_time for fire in early.runs] == ([utc(2026, 11, 22, 5)] if shift > timedelta(0) else [])
    assert [skip.first for skip in paused.skips] == ([utc(2026, 11, 22, 5)] if shift > timedelta(0) else [])


def test_resume_goes_by_the_present_data(differing):
    row = at_nine(differing, -HOUR, since=utc(2026, 11, 21, 6))
    paused = Pause(schedule_id=row.id)(utc(2026, 11, 21, 7), row, 0)
    assert paused is not None
    with on_node(NEW):
        change = Resume(schedule_id=row.id, missed="latest")(utc(2026, 11, 22, 8), paused.schedule, 0)
    assert change is not None
    assert [fire.scheduled_time for fire in change.runs] == [utc(2026, 11, 22, 7)]


# -- asked again when a node starts ------------------------------------------------------------


def recheck(row: Schedule, now: datetime, *, node: int) -> Schedule | None:
    with on_node(node):
        change = Recheck(schedule_id=row.id)(now, row, 0)
    assert change is None or not (change.runs or change.skips)
    return None if change is None else change.schedule


def test_a_node_with_new_data_moves_what_it_finds_before_it_is_due(differing):
    row = at_nine(differing, HOUR, since=utc(2026, 11, 21, 6))
    after = recheck(row, utc(2026, 11, 21, 12), node=NEW)
    assert after is not None
    assert (after.next_fire, after.due, after.watermark) == (utc(2026, 11, 22, 5), utc(2026, 11, 22, 5), row.watermark)
    assert (after.revision, after.updated_at) == (row.revision, row.updated_at)  # nobody has edited it
    assert recheck(after, utc(2026, 11, 21, 12), node=NEW) is None
    assert times(planned(after, utc(2026, 11, 22, 5), node=NEW)) == [utc(2026, 11, 22, 5)]


def test_what_is_right_or_takes_no_part_is_left_alone(differing):
    now = utc(2026, 11, 21, 12)
    row = at_nine(differing, HOUR, since=utc(2026, 11, 21, 6))
    assert recheck(row, now, node=OLD) is None
    for state in (ScheduleState.PAUSED, ScheduleState.ENDED, ScheduleState.ASIDE, ScheduleState.REMOVED):
        assert recheck(replace(row, state=state), now, node=NEW) is None
    assert Recheck(schedule_id="gone")(now, None, 0) is None


def test_what_ended_by_new_data_ends_before_it_is_due(differing):
    trigger = differing("0 9 22 11 *", HOUR)
    row = schedule(trigger, since=utc(2026, 11, 21), end=utc(2026, 11, 22, 6), start=utc(2026, 11, 22, 5, 30))
    after = recheck(row, utc(2026, 11, 21), node=NEW)
    assert after is not None
    assert (after.state, after.next_fire, after.due) == (ScheduleState.ENDED, None, None)


# -- any mixture -------------------------------------------------------------------------------

SHIFTS = [timedelta(minutes=minutes) for minutes in (-1440, -180, -60, -30, 15, 30, 60, 120)]


@settings(max_examples=300, deadline=None)
@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    shift=st.sampled_from(SHIFTS),
    decree=st.integers(0, 48).map(lambda hours: DECREE + hours * HOUR),
    seed=st.integers(0, 2**32),
    late=st.sampled_from([timedelta(0), SECOND, 20 * MINUTE, 26 * HOUR]),
    rechecks=st.booleans(),
)
def test_whoever_plans_with_whatever_data_each_day_has_one_run(  # noqa: PLR0917 - by name
    tmp_path_factory, hour, minute, shift, decree, seed, late, rechecks
):
    """A fleet in which nodes with old and with new data take turns, for ever, and now and then sleep."""
    folder = tmp_path_factory.getbasetemp() / "decree"
    trigger = made(folder, f"{minute} {hour} * * *", shift, decree)
    chance = random.Random(seed)
    row = schedule(trigger, since=utc(2026, 11, 18), created_at=utc(2026, 1, 1), misfire="all", overlap="allow")
    row = replace(row, definition=replace(row.definition, policy=replace(row.policy, catch_up=30 * DAY)))
    runs: list[datetime] = []
    moves, now = 0, row.watermark
    while row.next_fire is not None and row.next_fire < utc(2026, 11, 28):
        if rechecks and chance.random() < 0.5:
            row = recheck(row, now, node=chance.choice((OLD, NEW))) or row
            assert row.next_fire is not None
        now = max(now, row.next_fire + late * chance.random())
        found = planned(row, now, node=chance.choice((OLD, NEW)))
        assert found is not None
        moves = 0 if found.fires else moves + 1
        assert rechecks or moves <= 2  # no to and fro, but for nodes that start in between
        runs += times(found)
        row = written(choose(found, 0))
        assert found.fires or row.next_fire is None or row.next_fire > now
    if abs(shift) < DAY:
        distances = [late - early for early, late in pairwise(runs)]
        assert min(distances) >= DAY - 2 * abs(shift)
        assert max(distances) <= DAY + 2 * abs(shift)
        assert len(runs) == (runs[-1] - runs[0] + DAY / 2) // DAY + 1
    assert runs == sorted(set(runs))


def test_the_question_costs_one_look_at_the_trigger():
    trigger = Counting(cron("*/5 * * * *"))
    row = schedule(trigger, since=utc(2026, 11, 21, 13))
    trigger.asked.clear()
    assert row.next_fire is not None
    assert times(plan(row, row.next_fire)) == [row.next_fire]
    assert len(trigger.asked) == 2
