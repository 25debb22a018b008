"""Every kind of trigger is a value: equal, hashable, copied and shared at will, in any year and from any thread."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triggers.oracle import CHANGES, windows
from tickonce.calendars import holidays, own_calendar, workdays
from tickonce.errors import TriggerError
from tickonce.model import Definition
from tickonce.planning import due_time, following
from tickonce.triggers import (
    Trigger,
    at,
    but_not,
    calendar_interval,
    cron,
    every,
    intersection,
    load_trigger,
    solar,
    union,
)
from tickonce.triggers.days import on_days
from tickonce.triggers.rrule import rrule

PLANT = own_calendar("plant", holidays=["2026-12-24"], weekend=(), years=(1, 9999))
NINE = cron("0 9 * * *", tz="Asia/Shanghai")
KINDS: list[Trigger] = [
    NINE,
    cron("H H * * *"),
    cron("*/7 3 L * *", tz="America/New_York", gap="after"),
    cron("0 0 12 ? * 6#3 2027", dialect="quartz", tz="UTC"),
    every("5m"),
    every("1h", spread=True).resolved(schedule_id="x", tz="UTC"),
    calendar_interval(months=1, at="09:00", anchor="2026-01-31", tz="Africa/Cairo"),
    calendar_interval(days=10, tz="Pacific/Apia"),
    at("2026-12-01T09:00Z", "8999-12-31T23:59:59.999999Z"),
    rrule("DTSTART;TZID=Europe/Paris:20260101T090000 RRULE:FREQ=HOURLY;INTERVAL=6"),
    rrule("DTSTART:20260101T090000 RRULE:FREQ=MONTHLY;BYDAY=-1FR", tz="UTC"),
    solar("sunset", 31.23, 121.47),
    union(every("5m"), NINE),
    intersection(every("5m"), every("7m")),
    but_not(every("5m"), NINE),
    on_days(NINE, only_on=workdays("CN", unknown="hold")),
    on_days(NINE, only_on=PLANT, move="next"),
    on_days(every("1h"), skip=holidays("DE", "BE"), tz="Europe/Berlin"),
]
NOW = datetime(2026, 11, 21, 7, 33, tzinfo=UTC)
kinds = pytest.mark.parametrize("trigger", KINDS, ids=repr)


@kinds
def test_a_copy_is_equal_and_answers_alike(trigger):
    for same in (
        copy.copy(trigger),
        copy.deepcopy(trigger),
        pickle.loads(pickle.dumps(trigger)),
        load_trigger(trigger.spec()),
    ):
        assert same == trigger
        assert hash(same) == hash(trigger)
        assert type(same) is type(trigger)
        assert same.next_after(NOW) == trigger.next_after(NOW)
    assert [other for other in KINDS if other == trigger] == [trigger]
    with pytest.raises((AttributeError, TypeError)):
        trigger.tz = "UTC"


@kinds
@pytest.mark.parametrize("instant", [datetime(2026, 1, 1), date(2026, 1, 1), None, "2026-01-01T00:00Z", 5], ids=repr)
def test_what_is_no_instant_is_refused(trigger, instant):
    with pytest.raises(TriggerError, match=r"naive|an aware datetime is needed"):
        trigger.next_after(instant)


EDGES = [
    datetime(1, 1, 1),
    datetime(1, 1, 1, 0, 0, 0, 1),
    datetime(1, 1, 2),
    datetime(8999, 12, 31, 23),
    datetime(9000, 1, 1),
    datetime(9999, 12, 30),
    datetime(9999, 12, 31, 23, 59, 59),
    datetime(9999, 12, 31, 23, 59, 59, 999_999),
]
ZONES = [UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12)), ZoneInfo("Asia/Shanghai")]


@kinds
@pytest.mark.filterwarnings("ignore::tickonce.calendars.UnknownYear")
def test_the_ends_of_time_are_instants_as_others(trigger):
    for edge in EDGES:
        for zone in ZONES:
            after = edge.replace(tzinfo=zone)
            found = trigger.next_after(after)
            assert found is None or (found > after and found.tzinfo is UTC)


def test_threads_share_a_trigger():
    """What a trigger remembers of years and zones is replaced whole, so that nobody reads half of it."""
    trigger = KINDS[2]
    begin = datetime(1990, 1, 1, tzinfo=UTC)

    def walked(seed: int) -> list[Any]:
        chance, found, instant = Random(seed), [], begin
        for _ in range(300):
            if seed:
                trigger.next_after(datetime(chance.randint(1, 9_000), 1, 1, tzinfo=UTC))
            instant = trigger.next_after(instant) or instant
            found.append(instant)
        return found

    expected = walked(0)
    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(walked, range(1, 9)))


def test_what_several_parts_say_is_one_fire():
    twice = union(every("5m"), every("5m"), every("10m"), cron("*/5 * * * *", tz="Asia/Kolkata"))
    fires = [NOW]
    for _ in range(4):
        fires.append(twice.next_after(fires[-1]) or NOW)
    assert [f"{each:%H:%M}" for each in fires[1:]] == ["07:35", "07:40", "07:45", "07:50"]


@kinds
@pytest.mark.filterwarnings("ignore::tickonce.calendars.UnknownYear")
def test_bounds_that_fall_on_a_fire_include_it(trigger):
    first = trigger.next_after(NOW)
    second = None if first is None else trigger.next_after(first)
    if first is None or second is None:
        return
    tick = timedelta(microseconds=1)
    between = Definition(job="job", trigger=trigger, start=first, end=second)
    assert following(between, NOW - timedelta(days=400)) == first
    assert following(between, first) == second
    assert following(between, second) is None
    assert following(Definition(job="job", trigger=trigger, start=first + tick), NOW) == second
    assert following(Definition(job="job", trigger=trigger, end=first - tick), NOW) is None


@settings(max_examples=200, deadline=None)
@given(
    windows(),
    st.sampled_from(["30 2 * * *", "30 1 * * *", "*/20 * * * *", "0 */2 * * *", "0 0 * * *"]),
    st.sampled_from([timedelta(seconds=1), timedelta(minutes=50), timedelta(days=3)]),
    st.text("abc", min_size=1, max_size=3),
)
def test_jitter_keeps_the_order_of_fires_where_clocks_change(window, expression, jitter, name):
    """A fire is due before the next one is scheduled, however short the clocks make the distance."""
    tz, after, until = window
    assert tz in CHANGES
    definition = Definition(job="job", trigger=cron(expression, tz=tz), jitter=jitter)
    fire = following(definition, after)
    while fire is not None and fire < until:
        later = following(definition, fire)
        due = due_time(name, definition, fire)
        assert fire <= due <= fire + jitter
        assert later is not None
        assert due < later
        fire = later
