"""Every so many months, weeks or days, at a time of day."""

from __future__ import annotations

import calendar
import copy
import pickle
from datetime import UTC, date, datetime, time
from timeit import repeat
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triggers.oracle import walk, windows
from tests.unit.triggers.oracle_walls import fires_of
from tickonce.errors import TriggerError
from tickonce.triggers import CalendarInterval, Trigger, calendar_interval, trigger_from_spec

NOW = datetime(2026, 11, 21, 7, 33, 12, 345, tzinfo=UTC)


def fires(trigger: CalendarInterval, count: int = 4, after: datetime = NOW) -> list[str]:
    found = []
    for _ in range(count):
        instant = trigger.next_after(after)
        assert instant is not None
        found.append(f"{instant:%Y-%m-%d %H:%M}".removesuffix(" 00:00"))
        after = instant
    return found


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"days": 1, "at": "07:33"}, ["2026-11-22 07:33", "2026-11-23 07:33", "2026-11-24 07:33", "2026-11-25 07:33"]),
        ({"days": 10, "anchor": "2027-01-01"}, ["2026-11-22", "2026-12-02", "2026-12-12", "2026-12-22"]),
        ({"weeks": 1}, ["2026-11-23", "2026-11-30", "2026-12-07", "2026-12-14"]),  # Mondays
        ({"weeks": 2, "anchor": "2026-01-06"}, ["2026-11-24", "2026-12-08", "2026-12-22", "2027-01-05"]),
        ({"months": 1}, ["2026-12-01", "2027-01-01", "2027-02-01", "2027-03-01"]),
        ({"months": 3, "anchor": "2026-02-15"}, ["2027-02-15", "2027-05-15", "2027-08-15", "2027-11-15"]),
        # each from the anchor, not from the one before
        ({"months": 1, "anchor": "2026-01-31"}, ["2026-11-30", "2026-12-31", "2027-01-31", "2027-02-28"]),
        (
            {"months": 1, "anchor": "2026-01-31", "overflow": "skip"},
            ["2026-12-31", "2027-01-31", "2027-03-31", "2027-05-31"],
        ),
        ({"years": 1, "anchor": "2024-02-29"}, ["2027-02-28", "2028-02-29", "2029-02-28", "2030-02-28"]),
        (
            {"years": 1, "anchor": "2024-02-29", "overflow": "skip"},
            ["2028-02-29", "2032-02-29", "2036-02-29", "2040-02-29"],
        ),
        ({"years": 1, "months": 6, "anchor": "2000-01-01"}, ["2027-01-01", "2028-07-01", "2030-01-01", "2031-07-01"]),
        ({"months": 2, "anchor": "2030-03-05"}, ["2027-01-05", "2027-03-05", "2027-05-05", "2027-07-05"]),
    ],
)
def test_next_fires(given_, expected):
    assert fires(calendar_interval(**given_)) == expected


def test_where_clocks_change_the_wall_is_right_and_the_policies_hold():
    after = datetime(2024, 3, 9, 12, tzinfo=UTC)
    zone = ZoneInfo("America/New_York")

    def days(**policy: str) -> list[str]:
        trigger = calendar_interval(days=1, at="02:30", tz="America/New_York", **policy)  # type: ignore[arg-type]
        return [f"{each.astimezone(zone):%d %H:%M}" for each in walk(trigger, after, datetime(2024, 3, 12, tzinfo=UTC))]

    assert days() == ["10 03:00", "11 02:30"]
    assert days(gap="skip") == ["11 02:30"]


lasting = st.builds(
    lambda unit, number, at, anchor: (unit, number, at, anchor),
    st.sampled_from(["days", "months"]),
    st.integers(1, 40),
    st.times().map(lambda each: each.replace(microsecond=0)),
    st.dates(date(1900, 1, 1), date(2100, 1, 1)),
)
policies = st.tuples(st.sampled_from(["after", "skip"]), st.sampled_from(["once", "both"]))


@settings(max_examples=250, deadline=None)
@given(lasting, st.sampled_from(["last", "skip"]), windows(days=40), policies)
def test_fires_are_those_that_a_search_day_by_day_finds(lasts, overflow, window, policy):
    """Each date that is due comes once, and no other, whatever anchor, distance, zone and policy."""
    unit, number, at, anchor = lasts
    zone, after, until = window
    gap, fold = policy

    def on(day: date) -> bool:
        if unit == "days":
            return bool((day - anchor).days % number == 0)
        if (day.year * 12 + day.month - anchor.year * 12 - anchor.month) % number:
            return False
        length = calendar.monthrange(day.year, day.month)[1]
        return bool(day.day == anchor.day) or (overflow == "last" and day.day == length < anchor.day)

    trigger = CalendarInterval(
        **{unit: number},
        at=at,
        anchor=anchor,
        overflow=overflow if unit == "months" else "last",
        tz=zone,
        gap=gap,
        fold=fold,
    )
    assert walk(trigger, after, until) == fires_of(on, [at], ZoneInfo(zone), after, until, gap=gap, fold=fold)
    assert trigger_from_spec(trigger.spec()) == trigger
    assert pickle.loads(pickle.dumps(trigger)) == trigger == eval(repr(trigger))
    assert hash(pickle.loads(pickle.dumps(trigger))) == hash(trigger)


@settings(max_examples=200, deadline=None)
@given(lasting, st.datetimes(timezones=st.just(UTC)))
def test_fires_strictly_increase_in_any_year_and_quickly(lasts, after):
    unit, number, at, anchor = lasts
    trigger = CalendarInterval(**{unit: number}, at=at, anchor=anchor, tz="America/New_York")
    for _ in range(3):
        found = trigger.next_after(after)
        assert found is None or found > after
        if found is None:
            assert after.year > 9_990
            return
        after = found


@pytest.mark.parametrize("years", [1, 25, 100, 133, 999])
def test_no_question_takes_a_millisecond(years):
    trigger = calendar_interval(years=years, anchor="2000-02-29", overflow="skip", tz="America/New_York")
    for after in (
        NOW,
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(2001, 1, 1, tzinfo=UTC),
        datetime(9990, 1, 1, tzinfo=UTC),
    ):
        assert min(repeat(lambda: trigger.next_after(after), number=1, repeat=7)) < 0.001  # noqa: B023


def test_a_trigger_is_a_value_and_resolving_fills_in_the_zone_once():
    trigger = calendar_interval(months=1, at=time(9))
    assert isinstance(trigger, Trigger)
    resolved = trigger.resolved(schedule_id="a", tz="Asia/Shanghai")
    assert resolved == calendar_interval(months=1, at="09:00", anchor=date(1970, 1, 1), tz=ZoneInfo("Asia/Shanghai"))
    assert resolved.resolved(schedule_id="b", tz="Europe/Paris") is resolved
    assert copy.deepcopy(resolved) == resolved
    assert trigger.next_after(NOW) == trigger.resolved(schedule_id="a", tz="UTC").next_after(NOW)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({}, "how often\\? Give months or days"),
        ({"months": 1, "days": 1}, "do not mix"),
        ({"months": -1}, "months: a whole number from 1"),
        ({"months": 1.0}, "months: a whole number"),
        ({"months": True}, "months: a whole number"),
        ({"months": 20_000}, "from 1 to 12000"),
        ({"weeks": -1}, "weeks: a whole number"),
        ({"years": "1"}, "years: a whole number"),
        ({"days": 1, "at": "24:00"}, "'24:00' is not a time of day; write '09:00'"),
        ({"days": 1, "at": "9"}, "is not a time of day"),
        ({"days": 1, "at": 9}, "is not a time of day"),
        ({"days": 1, "at": time(9, tzinfo=UTC)}, "plain time of day"),
        ({"days": 1, "at": time(9, 0, 0, 5)}, "whole seconds"),
        ({"days": 1, "anchor": "2026-02-30"}, "anchor: '2026-02-30' is not a date"),
        ({"days": 1, "anchor": NOW}, "is an instant; a date is needed"),
        ({"days": 1, "overflow": "skip"}, "never overflow"),
        ({"months": 1, "overflow": "first"}, "overflow: 'first' is not known"),
        ({"days": 1, "tz": "Mars/Base"}, "no zone is called"),
        ({"days": 1, "gap": "before"}, "gap: 'before'"),
    ],
)
def test_what_makes_no_sense_is_refused(given_, said):
    with pytest.raises(TriggerError, match=said):
        calendar_interval(**given_)
