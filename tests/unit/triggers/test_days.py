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
from tickonce.triggers import Trigger, calendar_interval, cron, every, trigger_from_spec, union
from tickonce.triggers.days import HELD, OnDays, on_days
from tickonce.triggers.describe import describe
from tickonce.triggers.explain import next_fires

DAY = timedelta(days=1)
SHANGHAI = "Asia/Shanghai"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(trigger: Trigger, after: str, count: int = 3, tz: str = SHANGHAI) -> list[str]:
    return [f"{each.astimezone(ZoneInfo(tz)):%m-%d %H:%M}" for each in next_fires(trigger, count, after=utc(after))]


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
        return (worked or (not off and day.weekday() not in calendar.source.weekend)) is (condition == "only")

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
    assert describe(trigger) == "every day at 09:00, Asia/Shanghai time; only on working days of CN"
    assert describe(trigger, "zh") == "每天 09:00（Asia/Shanghai 时间）；仅限CN 的工作日"
    skip = on_days(MORNING, skip=holidays("DE", "BY"), move="next")
    assert describe(skip) == "every day at 09:00, Asia/Shanghai time; on holidays of DE-BY moved to the next other day"
    assert describe(skip, "zh") == "每天 09:00（Asia/Shanghai 时间）；遇DE-BY 的节假日则移到下一个其他日子"
