"""Combinations: sets of fires, however they are searched, and never for long."""

from __future__ import annotations

import copy
import pickle
import time
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import pairwise
from timeit import repeat
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.unit.triggers.oracle import CHANGES, daily, walk, windows
from tickonce.calendars import holidays, workdays
from tickonce.errors import TriggerError
from tickonce.triggers import (
    OpaqueTrigger,
    Trigger,
    at,
    but_not,
    calendar_interval,
    cron,
    every,
    intersection,
    trigger_from_spec,
    union,
)
from tickonce.triggers.days import on_days
from tickonce.triggers.rrule import rrule

NOW = datetime(2026, 11, 21, 7, 33, 12, 345, tzinfo=UTC)  # a Saturday


def fires(trigger: Trigger, count: int = 3, after: datetime = NOW) -> list[str]:
    found = []
    for _ in range(count):
        instant = trigger.next_after(after)
        if instant is None:
            break
        found.append(f"{instant:%Y-%m-%d %H:%M}".removesuffix(" 00:00"))
        after = instant
    return found


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (union(cron("0 9 * * 1-5"), cron("0 11 * * 6,0")), ["2026-11-21 11:00", "2026-11-22 11:00"]),
        (union(cron("0 9 * * *"), every("12h")), ["2026-11-21 09:00", "2026-11-21 12:00", "2026-11-22"]),
        (union(at("2026-12-01T00:00Z"), at("2026-11-30T00:00Z")), ["2026-11-30", "2026-12-01"]),
        (intersection(cron("0 9 13 * *"), cron("0 9 * * fri")), ["2027-08-13 09:00", "2028-10-13 09:00"]),
        (intersection(every("8h"), every("6h")), ["2026-11-22", "2026-11-23", "2026-11-24"]),
        (intersection(cron("0 9 * * *"), at("2026-12-01T09:00Z", "2026-12-02T10:00Z")), ["2026-12-01 09:00"]),
        (
            intersection(calendar_interval(weeks=2, at="09:00", anchor="2026-01-06"), cron("0 9 * 12 *")),
            ["2026-12-08 09:00", "2026-12-22 09:00", "2027-12-07 09:00"],
        ),
        (but_not(cron("0 9 * * *"), cron("0 9 * * 0,6")), ["2026-11-23 09:00", "2026-11-24 09:00"]),
        (but_not(cron("0 9 * * 1"), at("2026-11-23T09:00Z")), ["2026-11-30 09:00", "2026-12-07 09:00"]),
        (but_not(every("1h"), cron("* 0-8 * * *"), cron("* * * * 0")), ["2026-11-21 09:00", "2026-11-21 10:00"]),
        (but_not(cron("0 0 1 1 *"), cron("* * * * *")), None),
    ],
)
def test_next_fires(trigger, expected):
    if expected is None:
        with pytest.raises(TriggerError, match="nearly all of its fires are excluded"):
            trigger.next_after(NOW)
    else:
        assert fires(trigger)[: len(expected)] == expected


def test_long_runs_of_excluded_fires_are_jumped_over():
    """A million seconds of them, in the time of a few questions."""
    quiet = but_not(every("1s"), cron("* * * * 11,12 *", dialect="unix"))
    ask = quiet.next_after
    assert ask(NOW) == datetime(2027, 1, 1, tzinfo=UTC)
    assert min(repeat(lambda: ask(NOW), number=1, repeat=7)) < 0.001
    working = but_not(cron("* * * * *", tz="Europe/Paris"), cron("* 0-8,18-23 * * *"), cron("* * * * sat,sun"))
    assert fires(working, 2) == ["2026-11-23 09:00", "2026-11-23 09:01"]


SHANGHAI = "Asia/Shanghai"
EVE = datetime(2026, 9, 30, 15, 50, tzinfo=UTC)  # of seven days off in China
FRIDAY = datetime(2026, 11, 20, 15, 50, tzinfo=UTC)  # ten minutes to Saturday in Shanghai
nights = union(cron("* 0-8 * * *", tz=SHANGHAI), cron("* * * * 6,0", tz=SHANGHAI))
weekends: list[Trigger] = [
    cron("* * * * 6,0", tz=SHANGHAI),
    cron("0-59 0-23 * * 6,0", tz=SHANGHAI),
    cron("*/5 * * * 6,0", tz=SHANGHAI),
    rrule("DTSTART:20260101T000000 RRULE:FREQ=MINUTELY;BYDAY=SA,SU", tz=SHANGHAI),
    union(cron("* 0-11 * * 6,0", tz=SHANGHAI), cron("* 12-23 * * 6,0", tz=SHANGHAI)),
    intersection(cron("* * * * 6-1", tz=SHANGHAI), cron("* * * * 4-7", tz=SHANGHAI)),
    but_not(every("1m"), cron("* * * * 1-5", tz=SHANGHAI)),
    on_days(every("1m"), skip=workdays("CN"), tz=SHANGHAI),
]


@pytest.mark.parametrize(
    ("trigger", "after", "expected"),
    [
        (but_not(every("1m"), nights), FRIDAY, "2026-11-23 01:00"),
        *((but_not(every("5m"), each), FRIDAY + timedelta(minutes=5), "2026-11-22 16:00") for each in weekends),
        (
            but_not(every("1m"), on_days(cron("* * * * *", tz=SHANGHAI), only_on=holidays("CN"))),
            EVE,
            "2026-10-07 16:00",
        ),
        (
            but_not(on_days(every("1m"), only_on=workdays("CN"), tz=SHANGHAI), cron("* 0-8 * * *", tz=SHANGHAI)),
            FRIDAY,
            "2026-11-23 01:00",
        ),
        (but_not(cron("0 9 * * *"), cron("0 9 * 12,1-10 *")), datetime(2026, 12, 1, tzinfo=UTC), "2027-11-01 09:00"),
        (but_not(every("5m"), cron("*/5 * * 12,1-10 *")), datetime(2026, 12, 1, tzinfo=UTC), "2027-11-01"),
        (
            but_not(on_days(cron("0 9 * * *"), only_on=workdays("CN"), move="next"), cron("* * * 12,1-10 *")),
            datetime(2026, 12, 1, tzinfo=UTC),
            "2027-11-01 09:00",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::tickonce.calendars.UnknownYear")
def test_a_long_exclusion_ends_however_it_is_written(trigger, after, expected):
    instant: datetime | None = after
    for _ in range(15):  # the last fires before it, and over it
        instant = trigger.next_after(instant)
        if instant is None or instant - after > timedelta(hours=1):
            break
        after = instant
    assert instant is not None
    assert f"{instant:%Y-%m-%d %H:%M}".removesuffix(" 00:00") == expected


never = intersection(cron("0 * * * *"), cron("30 * * * *"))


def test_a_part_that_never_comes_keeps_no_other_from_being_found():
    assert fires(union(cron("0 9 * * *"), never), 2) == ["2026-11-21 09:00", "2026-11-22 09:00"]
    assert fires(union(never, cron("0 9 1 1 *")), 2) == ["2027-01-01 09:00", "2028-01-01 09:00"]
    assert fires(but_not(cron("0 9 * * *"), never), 2) == ["2026-11-21 09:00", "2026-11-22 09:00"]
    assert fires(union(at("2026-12-01T00:00Z"), but_not(every("1s"), every("1s"))), 2) == ["2026-12-01"]


parts = st.one_of(
    st.builds(lambda each, zone: cron(each.text, tz=zone), daily, st.sampled_from(sorted(CHANGES))),
    st.sampled_from(["7m", "30m", "1h", "90m", "5h", "1d"]).map(every),
    st.builds(
        lambda days, zone: calendar_interval(days=days, at="02:30", tz=zone),
        st.integers(1, 3),
        st.sampled_from(sorted(CHANGES)),
    ),
    st.sampled_from(
        ["MINUTELY;BYDAY=SA,SU,MO", "HOURLY;INTERVAL=3;BYMINUTE=0,30", "DAILY;BYHOUR=1,2,3;BYMINUTE=0,30"]
    ).flatmap(
        lambda text: st.sampled_from(sorted(CHANGES)).map(
            lambda zone: rrule(f"DTSTART:19700101T000000 RRULE:FREQ={text}", tz=zone)
        )
    ),
    st.sampled_from(["* 0-8 * * *", "* * * * 0,6", "*/2 * * * *", "* 2 * * *", "30 2 * * *", "0 0-23 * * *"]).flatmap(
        lambda text: st.sampled_from(sorted(CHANGES)).map(lambda zone: cron(text, tz=zone))
    ),
)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from([union, intersection, but_not]), st.lists(parts, min_size=2, max_size=3), windows(days=1))
def test_fires_are_the_union_intersection_or_difference_of_the_sets(combine, some, window):
    """In any zone and around any change of the clocks: no fire is lost by jumping, none is made up."""
    _, after, until = window
    sets = [set(walk(each, after, until)) for each in some]
    expected = {
        union: set.union(*sets),
        intersection: set.intersection(*sets),
        but_not: reduce(set.difference, sets),
    }[combine]
    trigger = combine(*some)
    found: list[datetime] = []
    instant: datetime | None = after
    while instant is not None and instant < until:
        try:
            instant = trigger.next_after(instant)
        except TriggerError:
            # It gave up: then what it has not found is far away, and the search was long.
            assert not any(instant < each <= instant + timedelta(hours=1) for each in expected)
            coming = [each for each in expected if each > instant]
            if not coming:
                break
            instant = min(coming) - timedelta(microseconds=1)
            continue
        if instant is not None and instant <= until:
            found.append(instant)
    assert found == sorted(expected)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([union, intersection, but_not]),
    st.sampled_from([union, intersection, but_not]),
    st.lists(parts, min_size=2, max_size=2),
    parts,
    windows(days=2),
)
def test_so_are_combinations_of_combinations(outer, inner, two, one, window):
    _, after, until = window
    act: dict[Any, Any] = {union: set.union, intersection: set.intersection, but_not: set.difference}
    first, second, third = (set(walk(each, after, until)) for each in (*two, one))
    for trigger, expected in (
        (outer(inner(*two), one), act[outer](act[inner](first, second), third)),
        (outer(one, inner(*two)), act[outer](third, act[inner](first, second))),
    ):
        try:
            found = walk(trigger, after, until)
        except TriggerError:
            continue  # it gave up, far away
        assert found == sorted(expected)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([union, intersection, but_not]), st.lists(parts, min_size=2, max_size=4))
def test_a_combination_survives_json_and_pickle(combine, some):
    trigger = combine(*some)
    assert isinstance(trigger, Trigger)
    nested = union(trigger, every("1h", spread=True))
    for each in (trigger, nested):
        assert trigger_from_spec(each.spec()) == each
        assert pickle.loads(pickle.dumps(each)) == each == copy.deepcopy(each)
        assert hash(pickle.loads(pickle.dumps(each))) == hash(each)


def test_resolving_fills_in_all_parts_once():
    trigger = union(cron("H 9 * * *"), but_not(every("1h", spread=True), cron("0 0 * * *", tz="UTC")))
    resolved = trigger.resolved(schedule_id="nightly", tz="Asia/Shanghai")
    assert resolved == union(
        cron("1 9 * * *", tz="Asia/Shanghai"),
        but_not(every("1h", spread=True).resolved(schedule_id="nightly", tz=""), cron("0 0 * * *", tz="UTC")),
    )
    assert resolved.resolved(schedule_id="b", tz="UTC") is resolved


def test_kinds_differ_and_order_counts():
    first, second = cron("0 9 * * *"), every("1h")
    assert len({union(first, second), union(second, first), intersection(first, second), but_not(first, second)}) == 4
    assert repr(but_not(first, second)) == "but_not(Cron('0 9 * * *'), Every('1h'))"


# -- bounds ------------------------------------------------------------------------------------

HARD = [
    intersection(every("1000003us"), every("999983us")),
    intersection(cron("0 9 * * *"), cron("1 9 * * *")),
    intersection(*(every(f"{number}ms") for number in (1009, 1013, 1019, 1021, 1031, 1033, 1039, 1049))),
    but_not(every("1ms"), every("1ms")),
    but_not(every("1s"), every("1s"), cron("* * * * *")),
    but_not(cron("* * * * *"), cron("0-59 0-23 * * *")),
    union(*(intersection(every(f"{number}ms"), every("1s")) for number in range(1_000_003, 1_000_035))),
    union(*(but_not(every("1ms"), every("1ms")) for _ in range(30))),
    intersection(*(union(cron(f"{minute} * * * *"), cron(f"{minute} 1 * * *")) for minute in range(30))),
    reduce(lambda whole, _: union(whole, intersection(whole, every("7s"))), range(3), every("5s")),  # type: ignore[arg-type, return-value]
]


@pytest.mark.parametrize("trigger", HARD, ids=lambda each: repr(each)[:50])
def test_no_search_takes_long_and_one_that_is_hopeless_says_so(trigger):
    def ask() -> None:
        try:
            found = trigger.next_after(NOW)
            assert found is None or found > NOW
        except TriggerError as error:
            assert "the search ends here" in str(error)  # noqa: PT017
            assert len(str(error)) < 500  # noqa: PT017

    # A bound, not a speed: it is paid once, as the schedule is set aside then. Time of the processor, busy or not.
    assert min(repeat(ask, number=1, repeat=3, timer=time.process_time)) < 2


def nested(depth: int) -> dict[str, Any]:
    spec: dict[str, Any] = {"kind": "every", "version": 1, "period": "5m"}
    for _ in range(depth):
        spec = {"kind": "union", "version": 1, "triggers": [spec, {"kind": "every", "version": 1, "period": "7m"}]}
    return spec


def test_combinations_go_only_so_deep():
    assert len(fires(trigger_from_spec(nested(8)))) == 3
    for depth in (9, 300):
        with pytest.raises(TriggerError, match=r"too deep|too much in one trigger"):
            trigger_from_spec(nested(depth))


def test_combinations_are_only_so_wide():
    many = union(*(every(f"{number}s") for number in range(1, 65)))
    with pytest.raises(TriggerError, match=r"65 parts, 2 deep.*Make it several schedules"):
        union(many, every("5m"))
    with pytest.raises(TriggerError, match="too much"):
        union(*(every("5m") for _ in range(5_000)))


@pytest.mark.parametrize("some", [(), (every("5m"),), (every("5m"), "0 9 * * *"), (None, None)])
def test_what_is_no_combination_is_refused(some):
    for combine in (union, intersection):
        with pytest.raises(TriggerError, match=r"two triggers or more|each part must be a trigger"):
            combine(*some)


def test_a_naive_instant_is_refused_and_an_unknown_part_is_not_hidden():
    with pytest.raises(TriggerError, match="is naive"):
        union(every("5m"), every("7m")).next_after(datetime(2026, 1, 1))
    unknown = OpaqueTrigger({"kind": "moon", "version": 1})
    with pytest.raises(TriggerError, match="upgrade"):
        union(every("5m"), unknown).next_after(NOW)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([union, intersection, but_not]), st.lists(parts, min_size=2, max_size=3), windows(), st.floats(0, 1)
)
def test_fires_do_not_depend_on_when_they_are_asked_for(combine, some, window, part):
    _, after, until = window
    between = after + (until - after) * part
    trigger = combine(*some)
    try:
        whole = walk(trigger, after, until)
        halves = walk(trigger, after, between) + walk(trigger, between, until)
    except TriggerError:
        reject()
    assert whole == halves
    assert all(early < late for early, late in pairwise(whole))


# -- periods that meet -------------------------------------------------------------------------

periods = st.builds(
    lambda ms, anchor: every(timedelta(milliseconds=ms), anchor=NOW + timedelta(milliseconds=anchor)),
    st.integers(1, 400),
    st.integers(0, 400),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(periods, min_size=2, max_size=3))
def test_periods_come_together_when_a_search_millisecond_by_millisecond_says_so(parts):
    found = intersection(*parts).next_after(NOW)
    starts = [(part.origin_us // 1000, part.period // timedelta(milliseconds=1)) for part in parts]
    begin = (NOW - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    (first, length), *others = starts
    at = begin + 1 + (first - begin - 1) % length
    for _ in range(400 * 400):
        if all((at - origin) % period == 0 for origin, period in others):
            assert found is not None
            assert (found - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == at
            return
        at += length
    assert found is None


def test_periods_that_meet_seldom_or_never_are_found_at_once():
    assert fires(intersection(every("997s"), every("991s")), 2) == ["2026-12-02 17:38", "2026-12-14 04:05"]
    odd, even = every("2s"), every("2s", anchor="2026-01-01T00:00:01Z")
    assert intersection(odd, even).next_after(NOW) is None
    assert intersection(odd, even, cron("* * * * *")).next_after(NOW) is None
    assert fires(intersection(every("7s"), cron("0 9 * * *"), every("11s")), 1) == fires(
        intersection(every("77s"), cron("0 9 * * *")), 1
    )
