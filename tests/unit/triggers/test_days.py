"""Triggers on the days of a calendar alone."""

from __future__ import annotations

import json
import pickle
import warnings
from datetime import UTC, date, datetime, timedelta
from timeit import repeat
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triggers.oracle import CHANGES, walk
from tests.unit.triggers.oracle_walls import instants_of
from tickonce.calendars import Calendar, UnknownYear, holidays, own_calendar, workdays
from tickonce.errors import TriggerError, UnknownTrigger
from tickonce.triggers import (
    Trigger,
    but_not,
    calendar_interval,
    cron,
    every,
    intersection,
    trigger_from_spec,
    union,
)
from tickonce.triggers.daylight import Gap
from tickonce.triggers.days import OnDays, on_days
from tickonce.triggers.describe import describe
from tickonce.triggers.explain import next_fires
from tickonce.triggers.instants import HELD

DAY = timedelta(days=1)
SHANGHAI = "Asia/Shanghai"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(trigger: Trigger, after: str, count: int = 3, tz: str = SHANGHAI) -> list[str]:
    return [f"{each.astimezone(ZoneInfo(tz)):%m-%d %H:%M}" for each in next_fires(trigger, count, after=utc(after))]


POLICIES: tuple[Gap, Gap] = ("after", "skip")
MORNING = cron("0 9 * * *", tz=SHANGHAI)


def test_only_on_the_working_days_of_china_with_its_make_up_days():
    trigger = on_days(MORNING, only_on=workdays("CN"))
    assert fires(trigger, "2026-09-29T12:00", 4) == ["09-30 09:00", "10-08 09:00", "10-09 09:00", "10-10 09:00"]


def test_never_on_holidays():
    trigger = on_days(cron("0 9 * * 1-5", tz="Europe/Berlin"), skip=holidays("DE"))
    assert fires(trigger, "2026-12-23T12:00", tz="Europe/Berlin") == ["12-24 09:00", "12-28 09:00", "12-29 09:00"]


def test_moved_to_the_next_or_previous_working_day():
    month_end = cron("0 18 31 * *", tz=SHANGHAI)  # 31 January and 31 October 2026 are Saturdays
    assert fires(on_days(month_end, only_on=workdays("CN"), move="next"), "2026-01-01", 1) == ["02-02 18:00"]
    assert fires(on_days(month_end, only_on=workdays("CN"), move="previous"), "2026-01-01", 1) == ["01-30 18:00"]


def test_fires_that_are_moved_to_one_instant_are_one():
    trigger = on_days(MORNING, only_on=own_calendar("x", years=(2026, 2026)), move="next")
    assert fires(trigger, "2026-11-20T12:00") == ["11-23 09:00", "11-24 09:00", "11-25 09:00"]


def test_the_day_is_that_of_the_zone():
    late = cron("0 23 * * *", tz="UTC")  # 07:00 of the next day in Shanghai
    trigger = on_days(late, only_on=own_calendar("x", holidays=["2026-11-25"]), tz=SHANGHAI)
    assert fires(trigger, "2026-11-23", 2, tz="UTC") == ["11-23 23:00", "11-25 23:00"]
    assert trigger.resolved(schedule_id="x", tz="Europe/Paris").tz == SHANGHAI


@pytest.mark.filterwarnings("ignore::tickonce.calendars.UnknownYear")
def test_what_only_data_can_bring_is_held_until_there_are_more():
    """Make-up weekends: none are known of years to come."""
    for move in (None, "next"):
        weekends = on_days(cron("0 10 * * 6,0", tz=SHANGHAI), only_on=workdays("CN"), move=move)
        assert fires(weekends, "2026-01-01", 1) == ["01-04 10:00"]
    weekends = on_days(cron("0 10 * * 6,0", tz=SHANGHAI), only_on=workdays("CN"))
    assert weekends.next_after(utc("2026-11-21")) == HELD
    never = on_days(cron("0 10 * * 6,0"), only_on=own_calendar("x", years=(1, 9999)))
    with pytest.raises(TriggerError, match="the search ends here"):
        never.next_after(utc("2026-11-21"))


def test_a_moved_fire_keeps_to_what_its_trigger_says_of_gaps():
    """02:30 of 8 March 2026 does not come in New York."""
    off = own_calendar("x", holidays=["2026-03-07"], weekend=(), years=(2026, 2026))
    after = utc("2026-03-01")
    plain, skipping = (cron("30 2 7 3 *", tz="America/New_York", gap=gap) for gap in POLICIES)
    for base, expected in ((plain, utc("2026-03-08T07:00")), (skipping, utc("2027-03-07T07:30"))):
        trigger = on_days(base, only_on=off, move="next")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnknownYear)
            assert trigger.next_after(after) == expected


own = st.builds(
    lambda off, worked, weekend: own_calendar(
        "x", holidays=off - worked, workdays=worked - off, years=(2020, 2030), weekend=weekend
    ),
    st.sets(st.dates(date(2024, 2, 20), date(2024, 4, 10)), max_size=25),
    st.sets(st.dates(date(2024, 2, 20), date(2024, 4, 10)), max_size=8),
    st.sets(st.integers(0, 6), max_size=3),
)
bases = st.one_of(
    st.sampled_from(["0 9 * * *", "30 2 * * *", "0 0 * * *", "15 1,23 * * *", "0 9 1,15 * *", "0 12 * * 6,0"]).map(
        cron
    ),
    st.sampled_from([calendar_interval(days=3, at="02:30"), every("9h"), every("1d")]),
)


@pytest.mark.filterwarnings("ignore::tickonce.calendars.UnknownYear")  # where no day is allowed, a search goes there
@settings(max_examples=250, deadline=None)
@given(
    bases,
    own,
    st.sampled_from(["only", "skip"]),
    st.sampled_from([None, "next", "previous"]),
    st.sampled_from(sorted(CHANGES)),
)
def test_fires_are_those_that_a_search_day_by_day_finds(base, calendar, condition, move, tz):
    """Dropped or moved, in any zone and around any change of the clocks: by the plain rule, one day after the other."""
    zone = ZoneInfo(tz)
    base = base.resolved(schedule_id="x", tz=tz)
    trigger = OnDays(trigger=base, calendar=calendar, condition=condition, move=move, tz=tz)
    begin, end = utc("2024-03-01"), utc("2024-04-02")

    def allowed(day: date) -> bool:
        worked, off = day in calendar.source.workdays, day in calendar.source.holidays
        return (worked or (not off and day.weekday() not in calendar.source.weekend())) is (condition == "only")

    expected = set()
    for fire in walk(base, begin - 32 * DAY, end + 32 * DAY):
        local = fire.astimezone(zone)
        day = local.date()
        while not allowed(day) and move is not None and abs((day - local.date()).days) < 31:
            day += DAY if move == "next" else -DAY
        if allowed(day):
            shift = day - local.date()
            wall = local.replace(tzinfo=None, fold=0) + shift
            expected.add(fire if not shift else instants_of(wall, zone, gap="after", fold="once")[0])
    try:
        found = walk(trigger, begin, end)
    except TriggerError as error:
        assert "would be moved to one day" in str(error) or "the search ends here" in str(error)  # noqa: PT017
        return
    assert found == sorted(each for each in expected if begin < each <= end)


@settings(max_examples=100, deadline=None)
@given(bases, own, st.sampled_from(["only", "skip"]), st.sampled_from([None, "next", "previous"]))
def test_it_is_a_value_with_a_json_form(base, calendar, condition, move):
    trigger = OnDays(trigger=base, calendar=calendar, condition=condition, move=move)
    assert isinstance(trigger, Trigger)
    for each in (trigger, trigger.resolved(schedule_id="a", tz=SHANGHAI), union(trigger, every("1h"))):
        assert trigger_from_spec(json.loads(json.dumps(each.spec()))) == each
        assert pickle.loads(pickle.dumps(each)) == each
        assert hash(pickle.loads(pickle.dumps(each))) == hash(each)
    resolved = trigger.resolved(schedule_id="a", tz=SHANGHAI)
    assert resolved.tz == SHANGHAI
    assert resolved.resolved(schedule_id="b", tz="UTC") is resolved


# -- years without data ------------------------------------------------------------------------


def plant(last: int, unknown: str) -> Calendar:
    return own_calendar("plant", holidays=["2026-12-25"], years=(2026, last), unknown=unknown)  # type: ignore[arg-type]


def test_weekdays_alone_decide_and_a_warning_says_so():
    trigger = on_days(MORNING, only_on=own_calendar("plain rule", holidays=["2026-12-25"]))
    with pytest.warns(UnknownYear, match="no data of 2027"):
        assert fires(trigger, "2026-12-31T12:00", 1) == ["01-01 09:00"]


def test_a_held_trigger_is_due_in_the_year_9000_which_no_list_of_fires_shows():
    trigger = on_days(MORNING, only_on=plant(2026, "hold"))
    assert trigger.next_after(utc("2026-12-31T12:00")) == HELD
    assert trigger.next_after(HELD) is None
    assert fires(trigger, "2026-12-30T12:00") == ["12-31 09:00"]
    for move in ("next", "previous"):
        assert on_days(MORNING, only_on=plant(2026, "hold"), move=move).next_after(utc("2026-12-31T12:00")) == HELD


def test_a_part_that_is_held_holds_a_combination():
    held = on_days(MORNING, only_on=plant(2026, "hold"))
    for trigger in (intersection(MORNING, held), intersection(held, MORNING), but_not(held, cron("0 0 13 * *"))):
        assert fires(trigger, "2026-12-29T12:00") == ["12-30 09:00", "12-31 09:00"]
        assert trigger.next_after(utc("2026-12-31T12:00")) == HELD


def test_days_that_are_years_apart_are_found():
    rare = own_calendar("leap", workdays=["2028-02-29", "2064-02-29"], weekend=range(7), years=(2026, 2099))
    trigger = on_days(MORNING, only_on=rare)
    assert trigger.next_after(utc("2026-11-21")) == utc("2028-02-29T01:00")
    assert trigger.next_after(utc("2028-03-01")) == utc("2064-02-29T01:00")
    assert on_days(cron("0 9 29 2 *", tz="UTC"), only_on=rare).next_after(utc("2028-03-01")) == utc("2064-02-29T09:00")


def test_in_years_without_data_the_calendars_own_weekend_decides():
    friday_off = own_calendar("gulf", holidays=["2026-12-24"], weekend=(4, 5))
    with pytest.warns(UnknownYear, match="no data of 2029"):
        assert not friday_off.includes(date(2029, 6, 1))  # a Friday
    assert friday_off.includes(date(2029, 6, 3))
    with pytest.warns(UnknownYear, match="no data of 2150"):
        assert not workdays("SA").includes(date(2150, 6, 5))


@settings(max_examples=200, deadline=None)
@given(own, st.dates(date(2019, 1, 1), date(2031, 12, 31)), st.booleans(), st.sampled_from([1, -1]))
@pytest.mark.filterwarnings("ignore::tickonce.calendars.UnknownYear")
def test_the_next_day_is_the_first_that_counts(calendar, day, including, step):
    found, at = calendar.next_day(day, including=including, step=step), day
    for _ in range(1_500):
        if calendar.includes(at) is including:
            assert found == at
            return
        at += timedelta(days=step)
    assert found is None or abs(found - day) >= timedelta(days=1_500)


def test_newer_data_make_a_new_definition_which_starts_a_held_trigger_again():
    """A deploy declares its schedules again; what has changed is an edit, and an edit asks for the next fire anew."""
    before = on_days(MORNING, only_on=plant(2026, "hold")).resolved(schedule_id="a", tz="UTC")
    after = on_days(MORNING, only_on=plant(2027, "hold")).resolved(schedule_id="a", tz="UTC")
    assert (before.calendar.known, after.calendar.known) == (2026, 2027)
    assert before.spec() != after.spec()
    assert after.next_after(utc("2026-12-31T12:00")) == utc("2027-01-01T01:00")


def test_data_that_arrive_in_time_are_used_as_they_are():
    """The year known when it was resolved is the least that code must know, not the most."""
    china = on_days(MORNING, only_on=workdays("CN", unknown="hold")).resolved(schedule_id="a", tz="UTC")
    spec = json.loads(json.dumps(china.spec()))
    spec["calendar"]["known"] -= 1
    assert trigger_from_spec(spec).next_after(utc("2026-11-21")) == china.next_after(utc("2026-11-21"))
    spec["calendar"]["known"] += 2
    with pytest.raises(UnknownTrigger, match="is known up to"):
        trigger_from_spec(spec)


def test_a_trigger_that_fails_does_so_when_it_is_asked_for_such_a_year():
    trigger = on_days(MORNING, only_on=plant(2026, "fail"))
    assert fires(trigger, "2026-12-30T12:00", 1) == ["12-31 09:00"]
    with pytest.raises(TriggerError, match="unknown='fail'"):
        trigger.next_after(utc("2026-12-31T12:00"))


def test_a_calendar_without_further_days_is_an_end():
    trigger = on_days(MORNING, only_on=own_calendar("x", holidays=["2026-12-25"], days="holidays"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownYear)
        assert fires(trigger, "2026-01-01") == ["12-25 09:00"]


@pytest.mark.parametrize("move", [None, "next", "previous"])
def test_the_ends_of_time_are_no_error(move):
    trigger = on_days(cron("0 9 * * *", tz=SHANGHAI), only_on=plant(2026, "weekday"), move=move)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownYear)
        for year in (1, 2, 3, 8999, 9000, 9999):
            for after in (datetime(year, 1, 1, tzinfo=UTC), datetime(year, 12, 31, 23, 59, tzinfo=UTC)):
                found = trigger.next_after(after)
                assert found is None or found > after


# -- bounds and refusals -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "trigger",
    [
        on_days(MORNING, only_on=workdays("CN")),
        on_days(MORNING, only_on=holidays("DE")),
        on_days(cron("* * * * *"), skip=workdays("CN")),
        on_days(cron("0 9 1 * *"), only_on=workdays("CN"), move="next"),
        on_days(cron("0 9 31 * *"), only_on=workdays("CN"), move="previous"),
        on_days(cron("0 9 1 1 *"), only_on=workdays("DE", unknown="hold")),
        on_days(cron("* * * * *"), only_on=workdays("CN"), move="next"),
        on_days(MORNING, only_on=own_calendar("x", holidays=["2026-01-01"], days="holidays", years=(2020, 2090))),
    ],
    ids=lambda each: describe(each)[:60],
)
def test_no_question_takes_long(trigger):
    def ask() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnknownYear)
            try:
                trigger.next_after(utc("2026-11-21"))
            except TriggerError as error:
                assert "ends here" in str(error) or "moved to one day" in str(error)  # noqa: PT017

    assert min(repeat(ask, number=1, repeat=7)) < 0.0015


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: on_days(MORNING), "give one of only_on= and skip="),
        (lambda: on_days(MORNING, only_on=plant(2026, "hold"), skip=plant(2026, "hold")), "give one of"),
        (lambda: on_days(MORNING, only_on="CN"), "a calendar is needed, such as workdays"),  # type: ignore[arg-type]
        (lambda: on_days("0 9 * * *", skip=plant(2026, "hold")), "a trigger is needed"),  # type: ignore[arg-type]
        (lambda: on_days(MORNING, skip=plant(2026, "hold"), move="later"), "move: 'later'"),  # type: ignore[arg-type]
        (lambda: on_days(on_days(MORNING, skip=plant(2026, "hold")), skip=plant(2026, "hold")), "another calendar"),
        (lambda: on_days(MORNING, skip=plant(2026, "hold")).next_after(datetime(2026, 1, 1)), "is naive"),
    ],
)
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(TriggerError, match=said):
        make()


def test_in_words():
    trigger = on_days(MORNING, only_on=workdays("CN"))
    assert describe(trigger) == "every day at 09:00, Asia/Shanghai time; only on working days of China"
    assert describe(trigger, "zh") == "每天 09:00（Asia/Shanghai 时间），仅限中国的工作日"
    skip = on_days(MORNING, skip=holidays("DE", "BY"), move="next")
    assert describe(skip) == (
        "every day at 09:00, Asia/Shanghai time; if that is a holiday of Germany (BY), "
        "on the next day that is no holiday instead"
    )
    assert describe(skip, "zh") == "每天 09:00（Asia/Shanghai 时间），遇德国（BY）的节假日顺延至下一个非节假日"
    payday = on_days(cron("0 18 25 * *"), only_on=workdays("CN"), move="previous")
    assert describe(payday) == (
        "at 18:00 on day 25 of the month; if that is not a working day of China, on the previous working day instead"
    )
    assert describe(payday, "zh") == "每月 25 日 18:00，遇中国的非工作日提前至上一个工作日"
    assert describe(on_days(every("1h"), only_on=plant(2026, "hold")), "zh") == "每小时，仅限“plant”的工作日"
