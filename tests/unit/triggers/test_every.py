"""Periods of elapsed time."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.triggers.oracle import walk
from tickonce.errors import TriggerError
from tickonce.triggers import Every, Trigger, every, trigger_from_spec

NOW = datetime(2026, 11, 21, 7, 33, 12, 345, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

periods = st.timedeltas(timedelta(milliseconds=1), timedelta(days=4_000)) | st.timedeltas(timedelta(milliseconds=1))
instants = st.datetimes(timezones=st.just(UTC))
anchors = st.none() | instants


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("5m", datetime(2026, 11, 21, 7, 35, tzinfo=UTC)),
        ("1h30m", datetime(2026, 11, 21, 9, 0, tzinfo=UTC)),
        ("1d", datetime(2026, 11, 22, tzinfo=UTC)),
        ("250ms", datetime(2026, 11, 21, 7, 33, 12, 250_000, tzinfo=UTC)),
        ("90s", datetime(2026, 11, 21, 7, 34, 30, tzinfo=UTC)),
        (timedelta(weeks=1), datetime(2026, 11, 26, tzinfo=UTC)),  # the epoch was a Thursday
    ],
)
def test_fires_are_aligned_to_the_epoch(period, expected):
    assert every(period).next_after(NOW) == expected


def test_an_anchor_is_itself_due_and_fires_lie_on_both_sides_of_it():
    trigger = every("1h", anchor="2026-11-21T09:20+08:00")
    assert trigger.next_after(NOW) == datetime(2026, 11, 21, 8, 20, tzinfo=UTC)
    assert trigger.next_after(datetime(2026, 11, 21, 1, 19, 59, tzinfo=UTC)) == datetime(
        2026, 11, 21, 1, 20, tzinfo=UTC
    )
    assert trigger.next_after(datetime(2020, 1, 1, tzinfo=UTC)) == datetime(2020, 1, 1, 0, 20, tzinfo=UTC)


def test_periods_are_elapsed_time_where_clocks_change():
    zone = ZoneInfo("America/New_York")
    trigger = every("1d", anchor=datetime(2024, 3, 9, 9, tzinfo=zone))
    found = trigger.next_after(datetime(2024, 3, 9, 12, tzinfo=zone))
    assert found == datetime(2024, 3, 10, 10, tzinfo=zone)


def test_a_fire_is_strictly_later():
    trigger = every("5m")
    assert trigger.next_after(EPOCH) == EPOCH + timedelta(minutes=5)
    assert trigger.next_after(EPOCH - timedelta(microseconds=1)) == EPOCH


@given(periods, anchors, instants)
def test_a_fire_is_the_first_whole_period_later(period, anchor, after):
    """No fire drifts: each lies a whole number of periods from the anchor, and none is left out."""
    found = every(period, anchor=anchor).next_after(after)
    if found is None:
        assert LAST - after < period
    else:
        assert timedelta(0) < found - after <= period
        assert (found - (anchor or EPOCH)) % period == timedelta(0)


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=2)), anchors, instants, st.integers(1, 10), st.floats(0, 1))
def test_fires_do_not_depend_on_when_they_are_asked_for(period, anchor, after, count, part):
    trigger = every(period, anchor=anchor)
    try:
        until = after + period * count
    except OverflowError:
        return
    between = after + (until - after) * part
    found = walk(trigger, after, until)
    assert found == walk(trigger, after, between) + walk(trigger, between, until)
    assert len(found) == count


def test_beyond_the_ends_of_time_there_is_nothing():
    assert every("1ms").next_after(LAST) is None
    assert every(timedelta.max).next_after(EPOCH) is None
    assert every(timedelta.max).next_after(FIRST) == EPOCH
    assert every("1d").next_after(FIRST) == FIRST + timedelta(days=1)
    west = timezone(timedelta(hours=-12))
    assert every("1d").next_after(LAST.replace(tzinfo=west)) is None


# -- spreading ---------------------------------------------------------------------------------


def test_spreading_shifts_by_a_hash_of_the_id():
    trigger = every("1h", spread=True)
    assert trigger.next_after(NOW) == every("1h").next_after(NOW)
    first, second = (trigger.resolved(schedule_id=each, tz="UTC") for each in ("a", "b"))
    assert first != second
    assert first.next_after(NOW) != second.next_after(NOW)
    assert first == trigger.resolved(schedule_id="a", tz="Asia/Tokyo")


def test_the_shift_of_an_id_never_changes():
    """Stored schedules and other versions rely on it."""
    shifts = {each: every("1h", spread=True).resolved(schedule_id=each, tz="UTC").shift for each in ("nightly", "日报")}
    assert shifts == SHIFTS


def test_resolving_is_idempotent():
    trigger = every("1h", spread=True).resolved(schedule_id="a", tz="UTC")
    assert trigger.resolved(schedule_id="b", tz="UTC") is trigger
    assert every("1h").resolved(schedule_id="a", tz="UTC") == every("1h")


@given(periods, st.text(min_size=1))
def test_a_shift_is_shorter_than_the_period_and_on_full_seconds_where_they_suffice(period, schedule_id):
    shift = every(period, spread=True).resolved(schedule_id=schedule_id, tz="UTC").shift
    assert shift is not None
    assert timedelta(0) <= shift < period
    step = timedelta(seconds=1) if period >= timedelta(minutes=1) else timedelta(milliseconds=1)
    assert shift % step == timedelta(0)


def test_schedules_are_spread_evenly():
    trigger = every("1m", spread=True)
    found = Counter(trigger.resolved(schedule_id=f"shop-{number}", tz="UTC").shift for number in range(6_000))
    assert len(found) == 60
    assert max(found.values()) < 150  # 100 on average


# -- values ------------------------------------------------------------------------------------


def test_a_trigger_is_a_value():
    assert isinstance(every("5m"), Trigger)
    assert every("5m") == Every(timedelta(minutes=5)) == every("300s")
    assert hash(every("5m")) == hash(every("300s"))
    assert every("5m") != every("5m", spread=True)
    assert every("1h", anchor="2026-01-01T09:00+08:00") == every("1h", anchor=datetime(2026, 1, 1, 1, tzinfo=UTC))
    with pytest.raises(dataclasses.FrozenInstanceError):
        every("5m").spread = True  # type: ignore[misc]


@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        (every("90s"), "Every('1m30s')"),
        (every("1h", anchor="2026-01-01T09:00+08:00"), "Every('1h', anchor='2026-01-01T01:00:00Z')"),
        (every("1h", spread=True), "Every('1h', spread=True)"),
        (Every("1h", spread=True, shift="4m5s"), "Every('1h', spread=True, shift='4m5s')"),
    ],
)
def test_repr_reads_like_the_constructor(trigger, text):
    assert repr(trigger) == text
    assert eval(text, {"Every": Every}) == trigger


@given(periods, anchors, st.booleans())
def test_a_trigger_survives_json_pickle_and_copies(period, anchor, spread):
    trigger = every(period, anchor=None if spread else anchor, spread=spread)
    for each in (trigger, trigger.resolved(schedule_id="a", tz="UTC")):
        assert trigger_from_spec(each.spec()) == each
        assert pickle.loads(pickle.dumps(each)) == each
        assert copy.deepcopy(each) == each


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: every("0s"), "period: 0s is too short, at least 1ms"),
        (lambda: every("999us"), "period: 999us is too short"),
        (lambda: every(timedelta(seconds=-1)), "period: .* is negative"),
        (lambda: every(5), "period: 5 is neither"),  # type: ignore[arg-type]
        (lambda: every("5"), "period: '5' has a number without a unit"),
        (lambda: every("5m", anchor=datetime(2026, 1, 1)), "anchor: 2026-01-01T00:00:00 has no UTC offset"),
        (lambda: every("5m", anchor="tomorrow"), "anchor: 'tomorrow' is not an instant"),
        (lambda: every("5m", anchor=7), "anchor: 7 is neither"),  # type: ignore[arg-type]
        (lambda: every("5m", anchor="0001-01-01T00:00+01:00"), "anchor: .* not within the years"),
        (lambda: every("5m", anchor=NOW, spread=True), "anchor and spread exclude each other"),
        (lambda: Every("5m", shift="1s"), "shift: 1s needs spread=True"),
        (lambda: Every("5m", spread=True, shift="5m"), "shift: 5m needs"),
        (lambda: every("5m").next_after(datetime(2026, 1, 1)), "is naive"),
    ],
)
def test_refuses_with_advice(make, said):
    with pytest.raises(TriggerError, match=said):
        make()


SHIFTS = {"nightly": timedelta(seconds=2838), "日报": timedelta(seconds=1240)}
