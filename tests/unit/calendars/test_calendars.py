"""Which days count: by countries, by what is written down, and where nothing is known."""

from __future__ import annotations

import json
import pickle
import sys
import warnings
from datetime import date, timedelta

import chinese_calendar
import holidays as library
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tickonce.calendars import (
    Calendar,
    UnknownYear,
    calendar_from_spec,
    holidays,
    own_calendar,
    read_calendar,
    workdays,
)
from tickonce.calendars.base import _warn
from tickonce.calendars.china import _years
from tickonce.errors import MissingExtra, TriggerError, UnknownTrigger

DAY = timedelta(days=1)


def days_of(year: int) -> list[date]:
    return [date(year, 1, 1) + number * DAY for number in range((date(year + 1, 1, 1) - date(year, 1, 1)).days)]


# -- countries ---------------------------------------------------------------------------------


def test_china_works_on_make_up_days_and_rests_on_its_holidays():
    china = workdays("CN")
    assert china.includes(date(2026, 10, 10)) is True  # a Saturday, worked for the National Day
    assert china.includes(date(2026, 10, 1)) is False
    assert china.includes(date(2026, 11, 21)) is False
    assert china.includes(date(2026, 11, 23)) is True


def test_china_agrees_with_its_source_on_every_day_that_it_knows():
    china, off = workdays("CN"), holidays("CN")
    for year in sorted(_years()):
        for day in days_of(year):
            assert china.includes(day) == chinese_calendar.is_workday(day), day
            assert off.includes(day) == (
                chinese_calendar.get_holiday_detail(day)[1] is not None and chinese_calendar.is_holiday(day)
            ), day


@pytest.mark.parametrize(("country", "subdivision"), [("DE", ""), ("DE", "BY"), ("US", "CA"), ("JP", ""), ("BR", "SP")])
def test_countries_agree_with_their_source(country, subdivision):
    found = library.country_holidays(country, subdiv=subdivision or None, years=[2026, 2027])
    off, working = holidays(country, subdivision), workdays(country, subdivision)
    for day in (*days_of(2026), *days_of(2027)):
        assert off.includes(day) == (day in found)
        assert working.includes(day) == (day not in found and day.weekday() < 5)


def test_the_weekend_is_that_of_the_country():
    assert workdays("IL").includes(date(2026, 11, 20)) is False  # a Friday
    assert workdays("IL").includes(date(2026, 11, 22)) is True


def test_codes_may_be_small_and_unknown_ones_are_refused_with_advice():
    assert workdays("de", "by") == workdays("DE", "BY")
    with pytest.raises(TriggerError, match=r"no holidays are known for 'XX'; countries have ISO codes"):
        workdays("XX")
    with pytest.raises(TriggerError, match=r"no holidays are known for 'DE-ZZ'; its parts are BB, BE"):
        holidays("DE", "ZZ")
    for code in ("", "x" * 1_000, None):
        with pytest.raises(TriggerError, match=r"country: "):
            workdays(code)  # type: ignore[arg-type]


@pytest.mark.parametrize(("module", "country"), [("chinese_calendar", "CN"), ("holidays", "DE")])
def test_a_missing_library_is_named_with_its_extra_and_left_to_nodes_that_have_it(module, country, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    _years.cache_clear()
    with pytest.raises(MissingExtra, match=r'pip install "tickonce\[calendars\]"'):
        workdays(country)
    with pytest.raises(UnknownTrigger, match="tickonce"):
        calendar_from_spec({"days": "working", "country": country, "unknown": "weekday"})
    monkeypatch.undo()
    _years.cache_clear()


# -- years without data ------------------------------------------------------------------------


def own(**more: object) -> Calendar:
    return own_calendar("plant", holidays=["2026-12-24", "2026-12-25"], **more)  # type: ignore[arg-type]


def test_weekdays_alone_decide_in_an_unknown_year_and_a_warning_says_so_once():
    _warn.cache_clear()
    calendar = own()
    with pytest.warns(UnknownYear, match="the calendar of working days plant has no data of 2031: weekdays alone"):
        assert calendar.includes(date(2031, 12, 24)) is True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert calendar.includes(date(2031, 12, 27)) is False


def test_other_policies_hold_or_fail():
    assert own(unknown="hold").includes(date(2027, 1, 4)) is None
    assert own(unknown="hold").next_day(date(2027, 1, 4)) is None
    with pytest.raises(TriggerError, match=r"no data of 2027, and unknown='fail': upgrade"):
        own(unknown="fail").includes(date(2027, 1, 4))
    with pytest.raises(TriggerError, match="unknown: 'guess' is not a policy"):
        own(unknown="guess")


# -- one's own ---------------------------------------------------------------------------------


def test_days_that_are_written_down():
    calendar = own(workdays=[date(2026, 12, 19)], years=(2026, 2027))
    assert calendar.includes(date(2026, 12, 19)) is True
    assert calendar.includes(date(2026, 12, 24)) is False
    assert calendar.includes(date(2027, 12, 24)) is True
    friday_off = own(weekend=[4])
    assert friday_off.includes(date(2026, 11, 20)) is False
    assert friday_off.includes(date(2026, 11, 21)) is True


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"name": ""}, "name: a calendar needs one"),
        ({"holidays": []}, "has no day; say which years"),
        ({"holidays": ["2026-02-30"]}, "'2026-02-30' is not a date"),
        ({"holidays": [5]}, "5 is not a date"),
        ({"holidays": ["2026-12-24"], "workdays": ["2026-12-24"]}, "as a holiday and as a working day"),
        ({"years": (2027, 2026)}, "are no years"),
        ({"weekend": [7]}, "weekend: weekdays are 0"),
        ({"holidays": [date(2000, 1, 1) + number * DAY for number in range(5_000)]}, "more than 4000 days"),
        ({"days": "halves"}, "days: 'halves' is not known"),
    ],
)
def test_what_makes_no_sense_is_refused(given_, said):
    with pytest.raises(TriggerError, match=said):
        own_calendar(**{"name": "plant", "holidays": ["2026-12-24"], **given_})


@pytest.mark.parametrize(
    "calendar",
    [
        workdays("CN"),
        workdays("DE", "BY", unknown="hold"),
        holidays("US", unknown="fail"),
        own(),
        own(workdays=["2026-12-19"], years=(2020, 2030), weekend=[6], days="holidays", unknown="hold"),
    ],
)
def test_a_calendar_is_a_value_with_a_json_form(calendar):
    assert calendar_from_spec(json.loads(json.dumps(calendar.spec()))) == calendar
    assert pickle.loads(pickle.dumps(calendar)) == calendar
    assert hash(pickle.loads(pickle.dumps(calendar))) == hash(calendar)


OWN = own().spec()


@pytest.mark.parametrize(
    "spec",
    [
        OWN | {"colour": "red"},
        {"days": "working", "country": "CN", "unknown": "weekday", "source": "other"},
        {"days": "working", "country": "CN", "unknown": "hold", "known": 2999},
    ],
)
def test_what_newer_code_or_data_may_know_is_unknown_not_wrong(spec):
    with pytest.raises(UnknownTrigger):
        calendar_from_spec(spec)


@pytest.mark.parametrize(
    "spec",
    [None, "CN", [], {}, OWN | {"years": [2026]}, OWN | {"years": "2026"}, OWN | {"holidays": "x"}, OWN | {"name": 1},
     OWN | {"known": 2026}, OWN | {"weekend": [True]}, OWN | {"unknown": None}, OWN | {"days": 5},
     {"days": "working", "country": 5, "unknown": "weekday"}],
)  # fmt: skip
def test_what_is_known_and_wrong_is_refused(spec):
    with pytest.raises(TriggerError) as caught:
        calendar_from_spec(spec)
    assert not isinstance(caught.value, UnknownTrigger)


# -- files -------------------------------------------------------------------------------------

ICS = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
DTSTART;VALUE=DATE:20261001
DTEND;VALUE=DATE:20261008
SUMMARY:National Day (
 seven days)
END:VEVENT
BEGIN:VEVENT
DTSTART:20261010T000000
SUMMARY;LANGUAGE=zh:国庆节补班
END:VEVENT
END:VCALENDAR
"""
CSV = "date,kind,name\n2026-10-01,holiday,National Day\n# a remark\n\n2026/10/02\n2026-10-10,补班\n"
JSON = '{"holidays": ["2026-10-01", "2026-10-02"], "workdays": ["2026-10-10"]}'


@pytest.mark.parametrize(
    ("text", "form"), [(ICS, "ics"), (ICS.replace("\n", "\r\n"), "ics"), (CSV, "csv"), (JSON, "json")]
)
def test_a_calendar_from_a_file(text, form):
    calendar = read_calendar(text, form, name="CN 2026")
    assert [calendar.includes(date(2026, 10, day)) for day in (1, 2, 9, 10, 11)] == [False, False, True, True, False]


def test_a_list_of_dates_is_json_enough():
    assert read_calendar('["2026-10-01"]', "json", name="x").includes(date(2026, 10, 1)) is False


@pytest.mark.parametrize(
    ("text", "form", "said"),
    [
        ("2026-13-01", "csv", "line 1: '2026-13-01' is not a date"),
        ("2026-10-01,party", "csv", "line 1: 'party' is neither 'holiday' nor 'workday'"),
        ("", "csv", "has no day"),
        ("{", "json", "this is no JSON"),
        ("5", "json", "write a JSON object"),
        ('{"days": []}', "json", "write a JSON object"),
        ('{"holidays": "x"}', "json", "holidays: a list of dates"),
        ('["2026-10-01", 5]', "json", "holidays, entry 2: 5 is not a date"),
        ("[" * 100_000, "json", "this is no JSON"),
        ("BEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT", "ics", "the event at line 1: '' is not a date"),
        ("BEGIN:VEVENT\nDTSTART:20261001\nRRULE:FREQ=YEARLY\nEND:VEVENT", "ics", "line 1 recurs; give each year"),
        ("BEGIN:VEVENT\nDTSTART:20261001\nDTEND:20260901\nEND:VEVENT", "ics", "lasts -30 days"),
        ("BEGIN:VEVENT\nDTSTART:20260101\nDTEND:20991231\nEND:VEVENT", "ics", "allowed are 1 to 400"),
        ("BEGIN:VEVENT\nDTSTART:20261301\nEND:VEVENT", "ics", "'20261301' is not a date"),
        ("BEGIN:VEVENT\nDTSTART:20261001", "ics", "the event at line 1 has no end"),
        ("x" * 1_000_001, "csv", "has 1000001 characters"),
        ("", "xml", "form: 'xml' is not read"),
    ],
    ids=lambda value: value[:30],
)
def test_what_cannot_be_read_is_refused_with_its_line(text, form, said):
    with pytest.raises(TriggerError, match=said):
        read_calendar(text, form, name="x")


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=200) | st.lists(st.sampled_from(ICS.splitlines())).map("\n".join),
    st.sampled_from(["ics", "csv", "json"]),
)
@example("BEGIN:VEVENT\n" * 1_000, "ics")
def test_any_text_is_a_calendar_or_refused(text, form):
    try:
        calendar = read_calendar(text, form, name="x")
    except TriggerError:
        return
    assert calendar_from_spec(calendar.spec()) == calendar
