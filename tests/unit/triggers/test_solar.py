"""Events of the sun."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from timeit import repeat

import ephem
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triggers.oracle import walk
from tickonce.errors import TriggerError
from tickonce.triggers import Solar, Trigger, solar, trigger_from_spec
from tickonce.triggers.describe import describe
from tickonce.triggers.sun import EVENTS

HEIGHTS = {name: str(height) for name, (height, _) in EVENTS.items()}
events = st.sampled_from(sorted(EVENTS))
longitudes = st.floats(-180, 180)
instants = st.datetimes(datetime(1950, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


def by_ephem(trigger: Solar, near: datetime) -> datetime:
    """Return the event nearest to *near*, an event by our reckoning."""
    observer = ephem.Observer()
    observer.lat, observer.lon = str(trigger.latitude), str(trigger.longitude)
    observer.pressure = 0  # the height says all about refraction
    observer.date = (near - timedelta(hours=6)).replace(tzinfo=None)
    sun = ephem.Sun()
    if trigger.event == "solar_noon":
        found = observer.next_transit(sun)
    else:
        observer.horizon = HEIGHTS[trigger.event]
        rising = EVENTS[trigger.event][1]
        found = (observer.next_rising if rising else observer.next_setting)(sun, use_center=True)
    at: datetime = found.datetime()
    return at.replace(tzinfo=UTC)


@settings(max_examples=200, deadline=None)
@given(events, st.floats(-45, 45), longitudes, instants)
def test_ephem_agrees_to_some_seconds(event, latitude, longitude, after):
    trigger = Solar(event, latitude, longitude)
    found = trigger.next_after(after)
    assert found is not None
    assert abs(found - by_ephem(trigger, found)) < timedelta(seconds=25)


def test_shanghai_at_the_end_of_autumn():
    names = ["dawn_astronomical", "dawn_nautical", "dawn_civil", "sunrise", "solar_noon", "sunset", "dusk_civil"]
    found = [solar(name, 31.23, 121.47).next_after(datetime(2026, 11, 20, 16, tzinfo=UTC)) for name in names]
    china = [f"{each + timedelta(hours=8):%H:%M}" for each in found if each is not None]
    assert china == ["05:01", "05:30", "06:00", "06:26", "11:39", "16:53", "17:19"]


@settings(max_examples=150, deadline=None)
@given(events, st.floats(-90, 90), longitudes, st.datetimes(timezones=st.just(UTC)))
def test_fires_strictly_increase_anywhere_and_in_any_year(event, latitude, longitude, after):
    trigger = Solar(event, latitude, longitude)
    for _ in range(4):
        found = trigger.next_after(after)
        if found is None:
            return
        assert found > after
        assert found.microsecond == 0
        after = found


@settings(max_examples=60, deadline=None)
@given(events, st.floats(-85, 85), longitudes, instants, st.floats(0, 1))
def test_fires_do_not_depend_on_when_they_are_asked_for(event, latitude, longitude, after, part):
    trigger = Solar(event, latitude, longitude)
    until = after + timedelta(days=40)
    between = after + (until - after) * part
    whole = walk(trigger, after, until)
    assert whole == walk(trigger, after, between) + walk(trigger, between, until)
    assert all(timedelta(hours=11) < late - early for early, late in pairwise(whole))


def test_on_polar_days_and_nights_it_does_not_come():
    sunsets = walk(solar("sunset", 69.65, 18.96), datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    gaps = [(early, late) for early, late in pairwise(sunsets) if late - early > timedelta(days=2)]
    assert [(f"{early:%m}", f"{late:%m}") for early, late in gaps] == [("05", "07")]
    assert f"{sunsets[0]:%m} {sunsets[-1]:%m}" == "01 11"


@pytest.mark.parametrize("latitude", [-90, -89.9, -70, 0, 31.23, 66.5, 78, 89.99, 90])
def test_no_question_takes_a_millisecond(latitude):
    for event in EVENTS:
        trigger = solar(event, latitude, 121.47)
        for month in (1, 4, 6, 9, 12):
            after = datetime(2026, month, 21, tzinfo=UTC)
            assert min(repeat(lambda: trigger.next_after(after), number=1, repeat=5)) < 0.001  # noqa: B023


def test_it_is_a_value():
    trigger = solar("sunset", 31, 121)
    assert isinstance(trigger, Trigger)
    assert trigger == solar("sunset", 31.0, 121.0) == copy.deepcopy(trigger) == pickle.loads(pickle.dumps(trigger))
    assert trigger_from_spec(trigger.spec()) == trigger == eval(repr(trigger))
    assert trigger.resolved(schedule_id="a", tz="UTC") is trigger
    assert hash(trigger) == hash(solar("sunset", 31.0, 121.0))


def test_in_words():
    assert describe(solar("dawn_civil", 31.23, 121.47)) == "every day at civil dawn at 31.23°N 121.47°E"
    assert describe(solar("solar_noon", -33.9, -70)) == "every day at solar noon at 33.9°S 70°W"
    assert describe(solar("sunrise", 31.23, 121.47), "zh") == "每天日出时（31.23°N 121.47°E）"
    assert len({describe(solar(event, 1, 2), "zh") for event in EVENTS}) == 9


@pytest.mark.parametrize(
    ("event", "latitude", "longitude", "said"),
    [
        ("moonrise", 1, 2, "event: 'moonrise' is not known; allowed dawn_astronomical"),
        ("sunrize", 1, 2, "Did you mean 'sunrise'"),
        (None, 1, 2, "event: None"),
        ("sunrise", 91, 2, "latitude: degrees from -90 to 90 are needed, got 91"),
        ("sunrise", 1, 181, "longitude: degrees from -180"),
        ("sunrise", float("nan"), 2, "latitude"),
        ("sunrise", 10**400, 2, "latitude"),
        ("sunrise", [10**5_000], 2, "latitude: .* thousands of digits"),
        ("sunrise", "1", 2, "latitude"),
    ],
)
def test_what_makes_no_sense_is_refused(event, latitude, longitude, said):
    with pytest.raises(TriggerError, match=said):
        solar(event, latitude, longitude)
