"""Recurrence rules of RFC 5545."""

from __future__ import annotations

import copy
import pickle
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from timeit import repeat
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.unit.triggers.oracle import CHANGES, walk
from tests.unit.triggers.oracle_walls import instants_of
from tickonce.errors import TriggerError
from tickonce.triggers import Trigger, parse_trigger, trigger_from_spec, union
from tickonce.triggers.describe import describe
from tickonce.triggers.explain import explain
from tickonce.triggers.rrule import RRule, rrule
from tickonce.triggers.rruletext import _WINDOWS

HOUR = timedelta(hours=1)
START = "DTSTART:20260131T090000 RRULE:"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(text: str, count: int = 4, after: str = "2026-11-21") -> list[str]:
    trigger, at = RRule(text), utc(after)
    found: list[str] = []
    while len(found) < count and (instant := trigger.next_after(at)) is not None:
        found.append(f"{instant:%Y-%m-%d %H:%M}".removesuffix(" 09:00"))
        at = instant
    return found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=DAILY", ["2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24"]),
        ("FREQ=DAILY;INTERVAL=10", ["2026-11-27", "2026-12-07", "2026-12-17", "2026-12-27"]),
        ("FREQ=WEEKLY", ["2026-11-21", "2026-11-28", "2026-12-05", "2026-12-12"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH", ["2026-11-30", "2026-12-03", "2026-12-14", "2026-12-17"]),
        ("FREQ=MONTHLY", ["2026-12-31", "2027-01-31", "2027-03-31", "2027-05-31"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", ["2026-11-30", "2026-12-31", "2027-01-31", "2027-02-28"]),
        ("FREQ=MONTHLY;BYDAY=2TU,-1FR", ["2026-11-27", "2026-12-08", "2026-12-25", "2027-01-12"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2026-11-30", "2026-12-31", "2027-01-29", "2027-02-26"]),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", ["2027-08-13", "2028-10-13", "2029-04-13", "2029-07-13"]),
        ("FREQ=YEARLY", ["2027-01-31", "2028-01-31", "2029-01-31", "2030-01-31"]),
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", ["2026-11-26", "2027-11-25", "2028-11-23", "2029-11-22"]),
        ("FREQ=YEARLY;BYYEARDAY=100,-1", ["2026-12-31", "2027-04-10", "2027-12-31", "2028-04-09"]),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO", ["2027-01-04", "2028-01-03", "2029-01-01", "2029-12-31"]),
        (
            "FREQ=DAILY;BYHOUR=9,17;BYMINUTE=0,30",
            ["2026-11-21", "2026-11-21 09:30", "2026-11-21 17:00", "2026-11-21 17:30"],
        ),
        ("FREQ=DAILY;COUNT=296", ["2026-11-21", "2026-11-22"]),
        ("FREQ=DAILY;UNTIL=20261122T090000", ["2026-11-21", "2026-11-22"]),
        ("FREQ=DAILY;UNTIL=20261122T085959", ["2026-11-21"]),
        ("FREQ=DAILY;UNTIL=20261122", ["2026-11-21", "2026-11-22"]),  # a date includes its day
        ("FREQ=DAILY EXDATE:20261122T090000,20261123T090000", ["2026-11-21", "2026-11-24", "2026-11-25", "2026-11-26"]),
    ],
)
def test_next_fires(rule, expected):
    assert fires(START + rule) == expected


def test_nothing_is_due_before_dtstart_nor_on_it_unless_the_rule_says_so():
    assert fires("DTSTART:20270101T090000 RRULE:FREQ=WEEKLY;BYDAY=MO", 1) == ["2027-01-04"]


# -- dateutil, where it means the same ---------------------------------------------------------

numbers = st.integers


def some(values: st.SearchStrategy[int], size: int = 3) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=size, unique=True).map(lambda found: ",".join(map(str, found)))


def signed(most: int) -> st.SearchStrategy[int]:
    return numbers(1, most) | numbers(-most, -1)


DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
plain_days = st.lists(st.sampled_from(DAYS), min_size=1, max_size=4, unique=True).map(",".join)


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY"]))
    parts = [f"FREQ={frequency}"]

    def maybe(name: str, values: st.SearchStrategy[str]) -> None:
        if draw(st.integers(0, 3)) == 0:
            parts.append(f"{name}={draw(values)}")

    maybe("INTERVAL", numbers(1, 5).map(str))
    maybe("WKST", st.sampled_from(["MO", "SU"]))
    maybe("BYMONTH", some(numbers(1, 12)))
    if frequency != "WEEKLY":
        maybe("BYMONTHDAY", some(signed(31)))
    if frequency == "YEARLY":
        maybe("BYYEARDAY", some(signed(366)))
    if frequency in {"YEARLY", "MONTHLY"}:
        nth = st.builds("{}{}".format, signed(5), st.sampled_from(DAYS))
        maybe("BYDAY", plain_days | st.lists(nth, min_size=1, max_size=3, unique=True).map(",".join))
    else:
        maybe("BYDAY", plain_days)
    maybe("BYHOUR", some(numbers(0, 23), 2))
    maybe("BYMINUTE", some(numbers(0, 59), 2))
    maybe("BYSECOND", some(numbers(0, 59), 2))
    if len(parts) > 1 and any(part.startswith("BY") for part in parts):
        maybe("BYSETPOS", some(signed(4), 2))
    return ";".join(parts)


@st.composite
def short_rules(draw: st.DrawFn) -> str:
    """Rules whose periods are hours, minutes or seconds."""
    frequency = draw(st.sampled_from(["HOURLY", "MINUTELY", "SECONDLY"]))
    parts = [f"FREQ={frequency}"]

    def maybe(name: str, values: st.SearchStrategy[str]) -> None:
        if draw(st.integers(0, 2)) == 0:
            parts.append(f"{name}={draw(values)}")

    common = {"HOURLY": [6, 8, 24, 36], "MINUTELY": [5, 20, 90, 1440, 1500], "SECONDLY": [30, 3600, 86400, 90000]}
    maybe("INTERVAL", (numbers(1, 50) | st.sampled_from(common[frequency])).map(str))
    maybe("BYMONTH", some(numbers(1, 12), 6))
    maybe("BYMONTHDAY", some(signed(31), 6))
    maybe("BYYEARDAY", some(signed(366), 9))
    maybe("BYDAY", plain_days)
    maybe("BYHOUR", some(numbers(0, 23), 6))
    maybe("BYMINUTE", some(numbers(0, 59), 9))
    maybe("BYSECOND", some(numbers(0, 59), 9))
    if any(part.startswith(("BYMINUTE", "BYSECOND")) for part in parts) and frequency != "SECONDLY":
        maybe("BYSETPOS", some(signed(4), 2))
    return ";".join(parts)


starts = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)).map(lambda each: each.replace(microsecond=0))


def made(text: str, **more: str) -> RRule:
    try:
        return RRule(text, **more)
    except TriggerError as error:
        if "never matches" in str(error):
            reject()
        raise


@settings(max_examples=250, deadline=None)
@given(rules(), starts, st.integers(0, 4_000))
def test_dateutil_agrees(rule, start, days):
    """Of the same rule, the same times: it reads RFC 5545 by itself, and walks where we jump."""
    text = f"DTSTART:{start:%Y%m%dT%H%M%S} RRULE:{rule}"
    trigger = made(text)
    theirs = rrulestr(rule, dtstart=start)
    # dateutil cuts the week of DTSTART short before it counts BYSETPOS.
    after = start + timedelta(days=days + 7)
    expected = list(islice(theirs.xafter(after), 5))
    found: list[datetime] = []
    at = after.replace(tzinfo=UTC)
    while len(found) < len(expected) and (instant := trigger.next_after(at)) is not None:
        found.append(instant.replace(tzinfo=None))
        at = instant
    assert found == expected


@settings(max_examples=300, deadline=None)
@given(short_rules(), starts, st.integers(0, 300_000), st.integers(1, 60))
def test_dateutil_agrees_about_hours_minutes_and_seconds(rule, start, seconds, count):
    """Near DTSTART, and from there on as long as a walk in its steps can follow."""
    trigger = made(f"DTSTART:{start:%Y%m%dT%H%M%S} RRULE:{rule};COUNT={count}")
    whole = made(f"DTSTART:{start:%Y%m%dT%H%M%S} RRULE:{rule}")
    end = start + timedelta(days=20)
    theirs = rrulestr(f"{rule};UNTIL={end:%Y%m%dT%H%M%S}", dtstart=start)
    after = start + timedelta(seconds=seconds)
    expected = list(islice(theirs.xafter(after - timedelta(seconds=1)), 8))
    found = list(islice(_wall_times(whole, after - timedelta(seconds=1), end), 8))
    assert found == expected
    first = list(islice(theirs, count))
    counted = list(_wall_times(trigger, start - timedelta(seconds=1), end))
    assert counted == first


def _wall_times(trigger: RRule, after: datetime, until: datetime) -> Iterator[datetime]:
    at = after.replace(tzinfo=UTC)
    while (instant := trigger.next_after(at)) is not None and instant.replace(tzinfo=None) <= until:
        yield instant.replace(tzinfo=None)
        at = instant


@settings(max_examples=50, deadline=None)
@given(rules(), starts, st.integers(1, 40))
def test_dateutil_agrees_about_counts(rule, start, count):
    if "WEEKLY" in rule and "BYSETPOS" in rule:
        reject()  # see above
    trigger = made(f"DTSTART:{start:%Y%m%dT%H%M%S} RRULE:{rule};COUNT={count}")
    expected = list(islice(rrulestr(f"{rule};COUNT={count}", dtstart=start), 50))
    found = walk(trigger, start.replace(tzinfo=UTC) - timedelta(seconds=1), datetime(2900, 1, 1, tzinfo=UTC))
    # A rule that is due very seldom ends here before its count, when years without it are too many.
    assert [each.replace(tzinfo=None) for each in found] == [each for each in expected if each.year < 2900]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(sorted(CHANGES)),
    st.sampled_from(["after", "skip"]),
    st.sampled_from(["once", "both"]),
    st.integers(0, 47),
)
def test_where_clocks_change_the_policies_hold(tz, gap, fold, half_hour):
    zone = ZoneInfo(tz)
    for text in CHANGES[tz]:
        change = utc(text)
        start = datetime(change.year, 1, 1) + timedelta(minutes=30 * half_hour)
        trigger = RRule(f"DTSTART:{start:%Y%m%dT%H%M%S} RRULE:FREQ=DAILY", tz, gap, fold)
        begin, end = change - timedelta(days=3), change + timedelta(days=3)
        expected = set()
        for day in range(400):
            expected.update(instants_of(start + timedelta(days=day), zone, gap=gap, fold=fold))
        assert walk(trigger, begin, end) == sorted(each for each in expected if begin < each <= end)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(sorted(CHANGES)),
    st.sampled_from(["after", "skip"]),
    st.sampled_from(["once", "both"]),
    st.sampled_from(
        [("HOURLY", 1), ("HOURLY", 2), ("HOURLY", 5), ("MINUTELY", 20), ("MINUTELY", 45), ("SECONDLY", 700)]
    ),
)
def test_where_clocks_change_the_policies_hold_for_hours_and_minutes(tz, gap, fold, period):
    frequency, interval = period
    zone, length = ZoneInfo(tz), {"HOURLY": HOUR, "MINUTELY": HOUR / 60, "SECONDLY": HOUR / 3600}[frequency]
    for text in CHANGES[tz]:
        change = utc(text)
        start = datetime(change.year, change.month, 1, 0, 30) - timedelta(days=9)
        rule = f"DTSTART:{start:%Y%m%dT%H%M%S} RRULE:FREQ={frequency};INTERVAL={interval}"
        trigger = RRule(rule, tz, gap, fold)
        begin, end = change - timedelta(days=1), change + timedelta(days=2)
        expected, wall = set(), start
        while wall.replace(tzinfo=UTC) < end + timedelta(days=2):
            if wall.replace(tzinfo=UTC) > begin - timedelta(days=3):
                expected.update(instants_of(wall, zone, gap=gap, fold=fold))
            wall += length * interval
        assert walk(trigger, begin, end) == sorted(each for each in expected if begin < each <= end)


def test_short_frequencies_recur_as_cron_expressions_do():
    hourly = rrule("DTSTART;TZID=America/New_York:20260101T003000 RRULE:FREQ=HOURLY")
    cron = parse_trigger("CRON_TZ=America/New_York 30 * * * *")
    for day in ("2026-03-08", "2026-11-01"):
        window = utc(day), utc(day) + timedelta(days=1)
        assert walk(hourly, *window) == walk(cron, *window)
    assert hourly.policies == ("skip", "both")
    assert rrule(hourly.rule, gap="skip", fold="both") == hourly
    assert rrule(hourly.rule, fold="once").policies == ("skip", "once")
    assert explain(hourly, 9, after=utc("2026-03-08T04:00")).notes == ()


@settings(max_examples=150, deadline=None)
@given(rules() | short_rules(), starts)
def test_a_rule_survives_json_and_pickle_and_its_fires_increase(rule, start):
    trigger = made(f"DTSTART;TZID=Europe/Paris:{start:%Y%m%dT%H%M%S}\nRRULE:{rule}")
    assert isinstance(trigger, Trigger)
    assert trigger_from_spec(trigger.spec()) == trigger == pickle.loads(pickle.dumps(trigger)) == copy.copy(trigger)
    assert hash(pickle.loads(pickle.dumps(trigger))) == hash(trigger)
    assert eval(repr(trigger)) == trigger
    at = start.replace(tzinfo=UTC)
    for _ in range(4):
        found = trigger.next_after(at)
        if found is None:
            break
        assert found > at
        at = found


# -- zones -------------------------------------------------------------------------------------


def test_the_zone_is_that_of_dtstart_else_the_one_given():
    named = RRule("DTSTART;TZID=Asia/Shanghai:20260101T090000 RRULE:FREQ=DAILY")
    assert named.tz == "Asia/Shanghai"
    assert named.resolved(schedule_id="a", tz="UTC") is named
    assert RRule("DTSTART:20260101T090000Z RRULE:FREQ=DAILY").tz == "UTC"
    floating = RRule("DTSTART:20260101T090000 RRULE:FREQ=DAILY")
    assert floating.resolved(schedule_id="a", tz="Asia/Shanghai").next_after(utc("2026-11-21")) == utc(
        "2026-11-21T01:00"
    )
    with pytest.raises(TriggerError, match="by its DTSTART"):
        RRule("DTSTART;TZID=Asia/Shanghai:20260101T090000 RRULE:FREQ=DAILY", "UTC")
    with pytest.raises(TriggerError, match="no zone is called"):
        RRule("DTSTART;TZID=Mars/Base:20260101T090000 RRULE:FREQ=DAILY")


def test_an_until_in_utc_is_an_instant():
    trigger = RRule("DTSTART;TZID=Asia/Shanghai:20260101T090000 RRULE:FREQ=DAILY;UNTIL=20261121T010000Z")
    assert trigger.next_after(utc("2026-11-20T12:00")) == utc("2026-11-21T01:00")
    assert trigger.next_after(utc("2026-11-21T01:00")) is None


def test_text_words_and_notes():
    trigger = parse_trigger("dtstart;tzid=America/New_York:20260101T023000 rrule:freq=daily")
    assert trigger == RRule("DTSTART;TZID=America/New_York:20260101T023000\nRRULE:FREQ=DAILY")
    assert (
        describe(trigger) == "by the recurrence rule RRULE:FREQ=DAILY from 2026-01-01 02:30:00, America/New_York time"
    )
    assert "按重复规则" in describe(trigger, "zh")
    assert "02:30 does not exist" in explain(trigger, 1, after=utc("2026-03-08")).fires[0].note
    assert trigger_from_spec(union(trigger, rrule(START + "FREQ=DAILY")).spec()) == union(
        trigger, rrule(START + "FREQ=DAILY")
    )


# -- what is refused, and bounds ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "one DTSTART is needed, got 0"),
        ("RRULE:FREQ=DAILY", "one DTSTART is needed, got 0"),
        ("DTSTART:20260101T090000", "one RRULE is needed, got 0"),
        (START + "FREQ=DAILY RRULE:FREQ=WEEKLY", "one RRULE is needed, got 2"),
        ("DTSTART:20261301T090000 RRULE:FREQ=DAILY", "DTSTART: '20261301T090000' is not understood"),
        (START + "INTERVAL=2", "FREQ is needed"),
        (START + "FREQ=HOURLY;INTERVAL=100000", "INTERVAL: '100000' is out of range, allowed 1 to 99999"),
        (START + "FREQ=MINUTELY;INTERVAL=99991", "repeat only after more than 1000 days; take an interval up to 1000"),
        (START + "FREQ=HOURLY;BYWEEKNO=1", "BYWEEKNO needs"),
        (START + "FREQ=SECONDLY;BYSETPOS=2", "never matches"),
        (START + "FREQ=HOURLY;INTERVAL=2;BYHOUR=10", "never matches"),
        (START + "FREQ=DAYLY", "Did you mean 'DAILY'"),
        (START + "FREQ=DAILY;INTERVAL=0", "INTERVAL: '0' is out of range, allowed 1 to 1000"),
        (START + "FREQ=DAILY;COUNT=1001", "COUNT: '1001' is out of range"),
        (START + "FREQ=DAILY;COUNT=2;UNTIL=20270101", "exclude each other"),
        (START + "FREQ=DAILY;BYDAY=2MO", "needs FREQ=MONTHLY or YEARLY"),
        (START + "FREQ=MONTHLY;BYDAY=6MO", "allowed 1 to 5 or -5 to -1"),
        (START + "FREQ=MONTHLY;BYDAY=XX", "BYDAY: 'XX' is not understood"),
        (START + "FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY: '0' is out of range, allowed 1 to 31 or -31 to -1"),
        (START + "FREQ=MONTHLY;BYEASTER=1", "'BYEASTER' is not known; allowed FREQ"),
        (START + "FREQ=DAILY;FREQ=DAILY", "FREQ stands there twice"),
        (START + "FREQ=DAILY;BYHOUR", "'BYHOUR' is not understood"),
        (START + "FREQ=WEEKLY;BYMONTHDAY=1", "no meaning with FREQ=WEEKLY"),
        (START + "FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY needs FREQ=YEARLY, HOURLY"),
        (START + "FREQ=YEARLY;BYWEEKNO=1", "BYWEEKNO needs"),
        (START + "FREQ=WEEKLY;WKST=XX", "WKST: 'XX' is no weekday"),
        (START + "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1;COUNT=500", "at most 100 together with BYSETPOS"),
        (START + "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never matches"),
        (START + "FREQ=DAILY RDATE:20260101T090000", "RDATE is not read; use union"),
        (START + "FREQ=DAILY EXRULE:FREQ=WEEKLY", "EXRULE is not read; use but_not"),
        ("hello", "'HELLO' is not understood"),
        (5, "is text"),
    ],
)
def test_what_cannot_be_read_is_refused_with_advice(text, said):
    with pytest.raises(TriggerError, match=said):
        RRule(text)


SLOW = [
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
    "FREQ=YEARLY;INTERVAL=7;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=DAILY;INTERVAL=9;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=WEEKLY;INTERVAL=53;BYMONTH=1;BYDAY=MO",
    "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1,100",
    "FREQ=YEARLY;BYWEEKNO=53,-53;BYDAY=SU",
    "FREQ=MONTHLY;INTERVAL=11;BYDAY=5FR",
    "FREQ=DAILY;BYHOUR=" + ",".join(map(str, range(24))) + ";BYMINUTE=" + ",".join(map(str, range(60))),
    "FREQ=SECONDLY",
    "FREQ=SECONDLY;INTERVAL=90000;BYDAY=SU;BYMONTH=2",
    "FREQ=SECONDLY;INTERVAL=7;BYSECOND=3;BYMINUTE=59;BYHOUR=23;BYMONTHDAY=31",
    "FREQ=MINUTELY;INTERVAL=997;BYHOUR=9;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=HOURLY;INTERVAL=997;BYHOUR=9;BYMONTHDAY=13",
    "FREQ=HOURLY;BYMINUTE=" + ",".join(map(str, range(60))) + ";BYSECOND=" + ",".join(map(str, range(60))),
]


@pytest.mark.parametrize("rule", SLOW, ids=lambda rule: rule[:45])
def test_no_question_takes_a_millisecond(rule):
    trigger = RRule(START + rule, "America/New_York")
    for after in (utc("1800-01-01"), utc("2026-11-21"), utc("2096-03-01"), utc("9990-01-01")):
        assert min(repeat(lambda: trigger.next_after(after), number=1, repeat=7)) < 0.001  # noqa: B023


pieces = ["DTSTART:", "RRULE:", "FREQ=", "DAILY", ";", "BYDAY=", "MO", "-1", ",", "20260101", " ", "COUNT=", "9"]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.lists(st.sampled_from(pieces)).map("".join))
def test_any_text_is_a_rule_or_refused(text):
    for each in (text, START + "FREQ=YEARLY;" + text):
        try:
            RRule(each)
        except TriggerError as error:
            assert len(str(error)) < 700  # noqa: PT017


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        START + "FREQ=DAILY;BYDAY=" + "MO," * 5_000,
        START + "FREQ=DAILY EXDATE:" + "20260101," * 2_000,
        START + "FREQ=DAILY;COUNT=1000",
        START + "FREQ=YEARLY;BYDAY=MO;BYSETPOS=366;COUNT=100",
        START + "FREQ=YEARLY;BYSETPOS=300;BYDAY=MO",
        START + "FREQ=SECONDLY;COUNT=1000",
        START + "FREQ=MINUTELY;INTERVAL=997;COUNT=1000",
        START + "FREQ=HOURLY;BYMINUTE=" + ",".join(map(str, range(60))) + ";BYSETPOS=-60,-1;COUNT=100",
        START + "FREQ=SECONDLY;INTERVAL=99360;BYSECOND=0;BYMINUTE=0;BYHOUR=9;BYMONTH=2;BYMONTHDAY=29",
    ],
    ids=lambda text: text[:60],
)
def test_no_text_takes_long_to_read(text):
    from tickonce.triggers.rruletext import read_rule
    from tickonce.triggers.ruletimes import walls_of

    def read() -> None:
        walls_of.cache_clear()
        read_rule.cache_clear()
        with suppress(TriggerError):
            RRule(text)

    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        read()
    finally:
        sys.setprofile(None)
    assert calls < 80_000  # begun and ended: of a thousand days, which are written out, 51,000
    assert min(repeat(read, number=1, repeat=3, timer=time.process_time)) < 1  # and no call by itself takes long


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('"Asia/Shanghai"', "Asia/Shanghai"),
        ("China Standard Time", "Asia/Shanghai"),
        ('"W. Europe Standard Time"', "Europe/Berlin"),
    ],
)
def test_a_zone_as_other_programs_export_it_is_kept_by_its_iana_name(written, name):
    """RFC 5545 allows quotes; Outlook writes the names of Windows."""
    lines = "DTSTART;TZID={0}:20260101T090000\r\nRRULE:FREQ=DAILY\r\nEXDATE;TZID={0}:20260102T090000"
    assert RRule(lines.format(written)) == RRule(lines.format(name))
    assert RRule(lines.format(written)).spec() == RRule(lines.format(name)).spec()


def test_each_name_of_windows_that_is_known_is_that_of_a_zone():
    for name in _WINDOWS:
        assert RRule(f"DTSTART;TZID={name}:20260101T090000 RRULE:FREQ=DAILY").tz == _WINDOWS[name]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("DTSTART;TZID=Moon Standard Time:20260101T090000 RRULE:FREQ=DAILY", "no IANA name .Outlook.*TZID=Asia"),
        (START + "FREQ=DAILY;UNTIL=20200101", "UNTIL is before DTSTART"),
        (START + "FREQ=DAILY;UNTIL=20200101T000000Z", "UNTIL is before DTSTART"),
    ],
)
def test_what_others_export_and_cannot_be_says_why(rule, message):
    with pytest.raises(TriggerError, match=message):
        RRule(rule)
