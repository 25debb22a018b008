"""Single instants."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.triggers.oracle import walk
from tickonce.errors import TriggerError
from tickonce.triggers import At, Trigger, at, trigger_from_spec

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
instants = st.datetimes(timezones=st.just(UTC))


def test_an_instant_is_due_once():
    trigger = at("2026-12-01T12:00Z")
    assert trigger.next_after(NOON - timedelta(microseconds=1)) == NOON
    assert trigger.next_after(NOON) is None


@pytest.mark.parametrize(
    "instant",
    [
        "2026-12-01T20:00+08:00",
        "2026-12-01 20:00:00+08:00",
        " 2026-12-01T12:00:00Z ",
        "20261201T120000Z",
        datetime(2026, 12, 1, 12, tzinfo=timezone.utc),  # noqa: UP017 - both spellings
        datetime(2026, 12, 1, 20, tzinfo=ZoneInfo("Asia/Shanghai")),
    ],
)
def test_forms_of_one_instant(instant):
    assert at(instant) == at(NOON)
    assert at(instant).instants[0].tzinfo is UTC


def test_instants_are_kept_in_order_and_once_each():
    trigger = at("2026-12-03T00:00Z", "2026-12-01T12:00Z", "2026-12-01T20:00+08:00")
    assert trigger.instants == (NOON, datetime(2026, 12, 3, tzinfo=UTC))
    assert walk(trigger, NOON - timedelta(days=1), NOON + timedelta(days=9)) == list(trigger.instants)


def test_an_hour_that_comes_twice_has_two_instants():
    zone = ZoneInfo("America/New_York")
    first, second = (datetime(2024, 11, 3, 1, 30, tzinfo=zone, fold=fold) for fold in (0, 1))
    assert at(first, second).instants[1] - at(first, second).instants[0] == timedelta(hours=1)


def test_a_datetime_of_a_subclass_becomes_a_plain_one():
    class Stamp(datetime):
        pass

    assert type(at(Stamp(2026, 12, 1, 12, tzinfo=UTC)).instants[0]) is datetime


@given(st.lists(instants, min_size=1, max_size=8), instants)
def test_the_next_instant_is_the_smallest_later_one(given_instants, after):
    later = [each for each in given_instants if each > after]
    assert at(*given_instants).next_after(after) == (min(later) if later else None)


@given(st.lists(instants, min_size=1, max_size=8))
def test_a_trigger_survives_json_pickle_and_copies(given_instants):
    trigger = at(*given_instants)
    assert trigger_from_spec(trigger.spec()) == trigger
    assert pickle.loads(pickle.dumps(trigger)) == trigger
    assert copy.deepcopy(trigger) == trigger
    assert hash(trigger_from_spec(trigger.spec())) == hash(trigger)


def test_a_trigger_is_a_value():
    assert isinstance(at(NOON), Trigger)
    assert at(NOON).resolved(schedule_id="a", tz="Asia/Tokyo") == at(NOON)
    with pytest.raises(dataclasses.FrozenInstanceError):
        at(NOON).instants = ()  # type: ignore[misc]


def test_repr_reads_like_the_constructor_and_stays_short():
    assert repr(at(NOON)) == "At('2026-12-01T12:00:00Z')"
    assert eval(repr(at(NOON)), {"At": At}) == at(NOON)
    many = at(*(NOON + timedelta(microseconds=each) for each in range(1_000)))
    assert repr(many).endswith("... 996 more)")


@pytest.mark.parametrize(
    ("instants", "said"),
    [
        ((), "an instant is needed"),
        ((datetime(2026, 12, 1, 9),), "2026-12-01T09:00:00 has no UTC offset.*write '2026-12-01T09:00:00Z'"),
        (("2026-12-01T09:00",), "has no UTC offset.*'2026-12-01T09:00:00\\+08:00'"),
        (("2026-12-01",), "has no UTC offset"),
        (("tomorrow",), "'tomorrow' is not an instant; write ISO 8601 with an offset"),
        (("2026-13-01T00:00Z",), "is not an instant"),
        ((20261201,), "20261201 is neither"),
        ((None,), "None is neither"),
        (("9999-12-31T23:00-05:00",), "not within the years 1 to 9999"),
        (("0001-01-01T00:00+05:00",), "not within the years 1 to 9999"),
        (("x" * 1_000_000,), "is not an instant"),
    ],
)
def test_refuses_with_advice(instants, said):
    with pytest.raises(TriggerError, match=said):
        at(*instants)


def test_the_question_needs_an_aware_datetime():
    with pytest.raises(TriggerError, match="is naive"):
        at(NOON).next_after(datetime(2026, 1, 1))
