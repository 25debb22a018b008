"""What other readers of cron expressions answer.

cronsim follows Debian's cron as we do. Where we differ from it, from croniter and from APScheduler, on purpose (the
table of docs/explanation/time.md has the same numbers):

1. Where midnight falls into a gap, recurring times (``* 0 * * *``) are not due at a time that the wall does not
   show; cronsim may answer with the time that does not exist, or lose the hour behind the gap (``* 1 * * 0``).
2. Asked within the second pass of an hour that comes twice, we go on from that instant; cronsim, for fixed times,
   goes on from the wall time and may answer with an instant that has passed.
3. ``sat-sun`` and other ranges that end with ``sun`` are read as if they ended with 7.
4. ``5-5/15`` is 5; cronsim reads it as ``5/15``.
5. Steps longer than the field (``*/90``) are refused; cronsim takes them, and only the first value matches.
6. Offsets with seconds (before about 1972): the first instant after a gap, not the next full minute.
7. Where clocks change by half an hour, recurring times begin when the hour begins; cronsim may begin at its half.
8. With seconds in front Debian's rule holds as without; cronsim drops it, so 02:30:00 is lost in a gap.
9. ``L/2`` is refused; cronsim reads it as ``L``.
10. croniter reads six fields with the seconds last; we refuse those that can be read both ways.
11. croniter runs a fixed time twice where the hour comes twice, and ``0 */2`` at 03:00 where 02:00 does not come.
12. croniter's last Friday is ``L5``; ours, as Quartz's and cronsim's, is ``5L``.
13. APScheduler counts weekdays from Monday as 0, so its ``1`` is Tuesday.
14. APScheduler wants both of day of month and day of week to match.
15. APScheduler runs a time that does not come at the same distance from midnight (03:30), not right after the gap.
16. APScheduler runs a fixed time twice where the hour comes twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger
from croniter import croniter
from cronsim import CronSim, CronSimError
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from tests.unit.triggers.oracle import CHANGES, Expression, daily, expressions, plain, windows
from tickonce.errors import TriggerError
from tickonce.triggers import Cron, cron

instants = st.datetimes(datetime(1975, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


def ours(trigger: Cron, after: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    for _ in range(count):
        instant = trigger.next_after(found[-1] if found else after)
        assert instant is not None
        found.append(instant)
    return found


def theirs(expression: str, after: datetime, count: int) -> list[datetime]:
    return [each.astimezone(UTC) for each in islice(CronSim(expression, after), count)]


def made(text: str, tz: str) -> Cron:
    elements = text.replace(" ", ",").split(",")
    assume(not any("/" in element and _one_value(element) for element in elements))  # difference 4
    try:
        return cron(text, tz=tz)
    except TriggerError as error:
        if "never matches" in str(error):
            with pytest.raises(CronSimError):
                CronSim(text, datetime(2026, 1, 1, tzinfo=UTC))
            reject()
        raise


def _one_value(element: str) -> bool:
    first, dash, last = element.partition("/")[0].partition("-")
    return bool(dash) and first == last


@settings(max_examples=200, deadline=None)
@given(expressions, instants)
def test_in_utc_cronsim_agrees(expression, after):
    trigger = made(expression.text, "UTC")
    expected = theirs(expression.text, after, 4)
    assert ours(trigger, after, len(expected)) == expected


MIDNIGHT_GAPS = {"America/Sao_Paulo", "America/Havana", "Africa/Cairo", "Pacific/Apia"}  # Apia: a whole day


def agree(expression: Expression, tz: str, after: datetime) -> None:
    trigger = made(expression.text, tz)
    zone = ZoneInfo(tz)
    local = after.astimezone(zone)
    assume(not local.fold)  # difference 2
    expected = theirs(expression.text, local, 12)
    if not expression.fixed:
        assume(tz != "Australia/Lord_Howe")  # difference 7
        assume(tz not in MIDNIGHT_GAPS)  # difference 1
    assert ours(trigger, after, len(expected)) == expected


@settings(max_examples=300, deadline=None)
@given(daily, windows())
def test_where_clocks_change_cronsim_agrees(expression, window):
    tz, after, _ = window
    agree(expression, tz, after)


@settings(max_examples=100, deadline=None)
@given(daily, st.sampled_from(sorted(CHANGES)), instants)
def test_at_any_time_of_any_zone_cronsim_agrees(expression, tz, after):
    agree(expression, tz, after.replace(second=0, microsecond=0))


@settings(max_examples=60, deadline=None)
@given(plain, instants)
def test_in_utc_croniter_agrees(expression, after):
    """Where it means the same: it reads steps, ``5-5`` and ``*`` beside other values in ways of its own."""
    trigger = made(expression.text, "UTC")
    expected = [each.astimezone(UTC) for each in islice(croniter(expression.text, after).all_next(datetime), 3)]
    assert ours(trigger, after, 3) == expected


numbers = st.one_of(st.integers(1, 31).map(str), st.sampled_from(["L", "LW"]))
weekdays_of_cronsim = st.one_of(
    st.integers(0, 7).map(str),
    st.integers(0, 7).map("{}L".format),
    st.builds("{}#{}".format, st.integers(0, 7), st.integers(1, 5)),
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["", "0 ", "5,35 ", "*/20 "]),
    st.lists(numbers, min_size=1, max_size=3).map(",".join) | st.just("*"),
    st.lists(weekdays_of_cronsim, min_size=1, max_size=3).map(",".join) | st.just("*"),
    instants,
)
def test_in_utc_cronsim_agrees_about_all_of_its_dialect(second, number, weekday, after):
    """Seconds in front, L, LW, 5L and 1#2."""
    text = f"{second}7,50 3,21 {number} * {weekday}"
    trigger = Cron(text, "UTC", "unix")
    expected = theirs(text, after, 4)
    assert ours(trigger, after, len(expected)) == expected


def to_apscheduler(expression: Expression) -> CronTrigger:
    minute, hour, day, month, weekday = expression.text.split()
    if weekday != "*":
        weekday = ",".join(
            ["sun", "mon", "tue", "wed", "thu", "fri", "sat"][each] for each in expression.weekday.values
        )
    return CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=weekday, timezone="UTC")


@settings(max_examples=60, deadline=None)
@given(plain, instants)
def test_in_utc_apscheduler_agrees(expression, after):
    """Where at most one of day of month and day of week is restricted, and weekdays go by name."""
    assume(expression.day.starred or expression.weekday.starred)
    expected, at = [], after
    for _ in range(3):
        at = to_apscheduler(expression).get_next_fire_time(None, at + timedelta(microseconds=1))
        expected.append(at)
    assert ours(made(expression.text, "UTC"), after, 3) == expected


# -- the differences, one by one ---------------------------------------------------------------

NEW_YORK = ZoneInfo("America/New_York")


def test_difference_1_a_midnight_that_does_not_exist():
    zone = ZoneInfo("America/Sao_Paulo")
    after = datetime(2017, 10, 14, 12, tzinfo=zone)
    imaginary = next(CronSim("* 0 15 * *", after))
    assert f"{imaginary:%d %H:%M}" == "15 00:00"
    assert f"{imaginary.astimezone(UTC).astimezone(zone):%d %H:%M}" == "15 01:00"
    found = cron("* 0 15 * *", tz="America/Sao_Paulo").next_after(after)
    assert found == datetime(2017, 11, 15, 2, tzinfo=UTC)


def test_difference_2_the_second_pass_of_an_hour():
    after = datetime(2024, 11, 3, 1, 10, tzinfo=NEW_YORK, fold=1)
    assert next(CronSim("30 1 * * *", after)).astimezone(UTC) < after.astimezone(UTC)
    found = cron("30 1 * * *", tz="America/New_York").next_after(after)
    assert found == datetime(2024, 11, 4, 6, 30, tzinfo=UTC)


def test_difference_1_the_hour_behind_a_midnight_that_does_not_exist():
    zone = ZoneInfo("America/Havana")
    after = datetime(2024, 3, 9, 19, tzinfo=zone)
    assert f"{next(CronSim('* 1 * * 0', after)):%d %H:%M}" == "17 01:00"
    assert f"{ours(cron('* 1 * * 0', tz='America/Havana'), after, 1)[0].astimezone(zone):%d %H:%M}" == "10 01:00"


@pytest.mark.parametrize("expression", ["0 0 * * sat-sun", "0 0 * * fri-Sun"])
def test_difference_3_a_week_ends_with_sunday(expression):
    with pytest.raises(CronSimError):
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    cron(expression)


def test_difference_4_a_range_of_one_value():
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert [each.minute for each in islice(CronSim("5-5/15 * * * *", after), 2)] == [5, 20]
    assert [each.minute for each in ours(cron("5-5/15 * * * *"), after, 2)] == [5, 5]


def test_difference_5_long_steps():
    assert next(CronSim("*/90 * * * *", datetime(2026, 1, 1, tzinfo=UTC))).hour == 1
    with pytest.raises(TriggerError, match="90m"):
        cron("*/90 * * * *")


def test_difference_6_offsets_with_seconds():
    zone = ZoneInfo("Africa/Monrovia")
    after = datetime(1972, 1, 6, 12, tzinfo=zone)
    assert f"{next(CronSim('0 0 * * *', after)):%H:%M:%S}" == "00:45:00"
    found = cron("0 0 * * *", tz="Africa/Monrovia").next_after(after)
    assert found is not None
    assert f"{found.astimezone(zone):%H:%M:%S}" == "00:44:30"


def test_difference_7_clocks_that_change_by_half_an_hour():
    zone = ZoneInfo("Australia/Lord_Howe")
    after = datetime(2024, 4, 7, 0, 30, tzinfo=zone)
    assert f"{next(CronSim('* 2 * * *', after)):%H:%M}" == "02:30"
    found = cron("* 2 * * *", tz="Australia/Lord_Howe").next_after(after)
    assert found is not None
    assert f"{found.astimezone(zone):%H:%M}" == "02:00"


def test_difference_8_seconds_in_front_keep_debians_rule():
    after = datetime(2024, 3, 9, 12, tzinfo=NEW_YORK)
    assert f"{next(CronSim('0 30 2 * * *', after)):%d %H:%M}" == "11 02:30"
    found = cron("0 30 2 * * *", tz="America/New_York", dialect="unix").next_after(after)
    assert found == cron("30 2 * * *", tz="America/New_York").next_after(after)


def test_difference_9_a_step_from_the_last_day():
    assert next(CronSim("0 0 L/2 * *", datetime(2026, 1, 1, tzinfo=UTC))).day == 31
    with pytest.raises(TriggerError, match="not understood"):
        cron("0 0 L/2 * *")


def test_difference_10_seconds_last():
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert [f"{each:%M:%S}" for each in islice(croniter("0 * * * * 15", after).all_next(datetime), 2)] == [
        "00:15",
        "00:15",
    ]
    with pytest.raises(TriggerError, match="seconds last; here they come first: write '15 0"):
        cron("0 * * * * 15")
    with pytest.raises(TriggerError, match="can mean two things"):
        cron("0 * * * * 5")


def test_difference_11_fixed_times_where_clocks_change():
    twice = islice(croniter("30 1 * * *", datetime(2024, 11, 2, 12, tzinfo=NEW_YORK)).all_next(datetime), 2)
    assert [f"{each:%d %H:%M}" for each in twice] == ["03 01:30", "03 01:30"]
    gap = islice(croniter("0 */2 * * *", datetime(2024, 3, 10, 0, 30, tzinfo=NEW_YORK)).all_next(datetime), 2)
    assert [f"{each:%H:%M}" for each in gap] == ["03:00", "04:00"]
    mine = ours(cron("0 */2 * * *", tz="America/New_York"), datetime(2024, 3, 10, 0, 30, tzinfo=NEW_YORK), 1)
    assert [f"{each.astimezone(NEW_YORK):%H:%M}" for each in mine] == ["04:00"]
    mine = ours(cron("30 1 * * *", tz="America/New_York"), datetime(2024, 11, 2, 12, tzinfo=NEW_YORK), 2)
    assert [f"{each.astimezone(NEW_YORK):%d %H:%M}" for each in mine] == ["03 01:30", "04 01:30"]


def test_difference_12_the_last_friday():
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert next(croniter("0 0 * * L5", after).all_next(datetime)).day == 30
    assert ours(cron("0 0 * * 5L"), after, 1)[0].day == 30
    with pytest.raises(TriggerError, match="5L"):
        cron("0 0 * * L5")


def test_difference_13_weekdays_count_from_sunday():
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert f"{CronTrigger.from_crontab('0 0 * * 1', 'UTC').get_next_fire_time(None, after):%a}" == "Tue"
    assert f"{ours(cron('0 0 * * 1'), after, 1)[0]:%a}" == "Mon"


def test_difference_14_either_day_is_enough():
    after = datetime(2026, 1, 1, tzinfo=UTC)
    theirs_says = CronTrigger(day="1-7", day_of_week="mon", timezone="UTC").get_next_fire_time(None, after)
    assert f"{theirs_says:%d}" == "05"
    assert f"{ours(cron('0 0 1-7 * mon'), after, 1)[0]:%d}" == "02"


def test_difference_15_right_after_the_gap():
    after = datetime(2024, 3, 9, 12, tzinfo=NEW_YORK)
    theirs_says = CronTrigger(hour=2, minute=30, timezone="America/New_York").get_next_fire_time(None, after)
    assert f"{theirs_says.astimezone(UTC).astimezone(NEW_YORK):%d %H:%M}" == "10 03:30"
    mine = ours(cron("30 2 * * *", tz="America/New_York"), after, 1)[0]
    assert f"{mine.astimezone(NEW_YORK):%d %H:%M}" == "10 03:00"


def test_difference_16_a_fixed_time_comes_once():
    trigger = CronTrigger(hour=1, minute=30, timezone="America/New_York")
    first = trigger.get_next_fire_time(None, datetime(2024, 11, 2, 12, tzinfo=NEW_YORK))
    second = trigger.get_next_fire_time(first, first.astimezone(UTC) + timedelta(minutes=1))
    assert [f"{each.astimezone(NEW_YORK):%d %H:%M}" for each in (first, second)] == ["03 01:30", "03 01:30"]
    mine = ours(cron("30 1 * * *", tz="America/New_York"), datetime(2024, 11, 2, 12, tzinfo=NEW_YORK), 2)
    assert [f"{each.astimezone(NEW_YORK):%d %H:%M}" for each in mine] == ["03 01:30", "04 01:30"]


def test_we_are_several_times_as_fast():
    """A bound that holds on a busy machine; benchmarks have the figures."""
    from timeit import repeat

    after = datetime(2026, 11, 21, 7, 33, tzinfo=NEW_YORK)
    trigger, instant = cron("*/5 * * * *", tz="America/New_York"), after.astimezone(UTC)
    mine = min(repeat(lambda: trigger.next_after(instant), number=100, repeat=20))
    other = min(repeat(lambda: next(CronSim("*/5 * * * *", after)), number=100, repeat=5))
    assert mine * 4 < other, (mine, other)
    assert timedelta(seconds=mine / 100) < timedelta(microseconds=40)
