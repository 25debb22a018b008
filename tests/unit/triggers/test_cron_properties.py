"""Promises about every cron expression, checked on random ones."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from tests.unit.triggers.oracle import CHANGES, Expression, daily, expressions, fires_between, walk, windows
from tickonce.errors import TriggerError
from tickonce.triggers import Cron, cron, trigger_from_spec

zones = st.sampled_from(sorted(CHANGES))
instants = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
whole_range = st.datetimes(timezones=st.just(UTC))


def made(expression: Expression, zone: str) -> Cron:
    try:
        return cron(expression.text, tz=zone)
    except TriggerError as error:
        if "never matches" in str(error):
            reject()
        raise


@settings(max_examples=400, deadline=None)
@given(daily, windows())
def test_fires_are_those_that_a_search_minute_by_minute_finds(expression, window):
    """Around a change of the clocks, each fire that Debian's rule asks for comes once, and no other."""
    zone, after, until = window
    assert walk(made(expression, zone), after, until) == fires_between(expression, ZoneInfo(zone), after, until)


@settings(max_examples=100, deadline=None)
@given(expressions, windows(days=5))
def test_rare_expressions_fire_as_a_search_finds_them(expression, window):
    """Days, months and weekdays mean what they say, wherever the clocks stand."""
    zone, after, until = window
    assert walk(made(expression, zone), after, until) == fires_between(expression, ZoneInfo(zone), after, until)


@settings(max_examples=200, deadline=None)
@given(expressions, instants)
def test_days_are_those_that_a_search_day_by_day_finds(expression, after):
    """However far away the next day is, it is the first one that matches."""
    trigger = made(expression, "UTC")
    found = trigger.next_after(after)
    assert found is not None
    assert expression.matches(found)
    day = datetime(after.year, after.month, after.day, tzinfo=UTC)
    probe = {
        "hour": min(expression.hour.values),
        "minute": min(expression.minute.values),
    }
    for _ in range(3_000):
        day += timedelta(days=1)
        if expression.matches(day.replace(**probe)):
            break
    else:
        assume(False)  # further away than this test looks
    if found.date() == after.date():
        assert found > after
    else:
        assert found == day.replace(**probe)


@settings(max_examples=200, deadline=None)
@given(expressions, zones, whole_range)
def test_fires_strictly_increase(expression, zone, after):
    """A fire is later than the instant it was asked for, in any year."""
    trigger = made(expression, zone)
    for _ in range(5):
        found = trigger.next_after(after)
        if found is None:
            assert after.year > 9_950
            return
        assert found > after
        assert found.tzinfo is UTC
        after = found


@settings(max_examples=200, deadline=None)
@given(daily, windows(), st.floats(0, 1))
def test_fires_do_not_depend_on_when_they_are_asked_for(expression, window, part):
    """The fires in (a, c] are those in (a, b] and those in (b, c], wherever b falls."""
    zone, after, until = window
    between = after + (until - after) * part
    trigger = made(expression, zone)
    assert walk(trigger, after, until) == walk(trigger, after, between) + walk(trigger, between, until)


@settings(max_examples=200, deadline=None)
@given(daily, windows(), st.integers(0, 999_999))
def test_the_question_may_be_asked_in_any_zone_and_fraction_of_a_second(expression, window, fraction):
    """An instant is an instant: its zone changes nothing, and a fraction of a second rounds nothing away."""
    zone, after, _ = window
    trigger = made(expression, zone)
    found = trigger.next_after(after)
    assert trigger.next_after(after.astimezone(ZoneInfo(zone))) == found
    assert trigger.next_after(after.astimezone(timezone(timedelta(hours=-5, minutes=-30)))) == found
    assert trigger.next_after(after + timedelta(microseconds=fraction)) == found
    assert found is not None
    assert trigger.next_after(found - timedelta(microseconds=1)) == found


@settings(max_examples=200, deadline=None)
@given(expressions, zones)
def test_a_trigger_survives_json_and_pickle(expression, zone):
    trigger = made(expression, zone)
    assert trigger_from_spec(trigger.spec()) == trigger
    assert pickle.loads(pickle.dumps(trigger)) == trigger
    assert hash(trigger_from_spec(trigger.spec())) == hash(trigger)
    assert eval(repr(trigger), {"Cron": Cron}) == trigger
