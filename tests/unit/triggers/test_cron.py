"""Cron triggers as values, their fires in UTC, and the ends of time."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from tests.unit.triggers.oracle import walk
from tickonce.errors import TriggerError
from tickonce.triggers import Cron, Trigger, cron

NOW = datetime(2026, 11, 21, 7, 33, 12, 345, tzinfo=UTC)  # a Saturday
FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def fires(expression: str, tz: str | None = None, *, after: datetime = NOW, count: int = 3) -> list[str]:
    trigger = cron(expression, tz=tz)
    found = []
    for _ in range(count):
        instant = trigger.next_after(after)
        assert instant is not None
        found.append(f"{instant:%Y-%m-%d %H:%M}")
        after = instant
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", ["2026-11-21 07:34", "2026-11-21 07:35", "2026-11-21 07:36"]),
        ("*/5 * * * *", ["2026-11-21 07:35", "2026-11-21 07:40", "2026-11-21 07:45"]),
        ("33 7 * * *", ["2026-11-22 07:33", "2026-11-23 07:33", "2026-11-24 07:33"]),
        ("0 9 * * 1-5", ["2026-11-23 09:00", "2026-11-24 09:00", "2026-11-25 09:00"]),
        ("0 0 * * 7", ["2026-11-22 00:00", "2026-11-29 00:00", "2026-12-06 00:00"]),
        ("0 0 1 * *", ["2026-12-01 00:00", "2027-01-01 00:00", "2027-02-01 00:00"]),
        ("0 0 31 * *", ["2026-12-31 00:00", "2027-01-31 00:00", "2027-03-31 00:00"]),
        ("59 23 31 12 *", ["2026-12-31 23:59", "2027-12-31 23:59", "2028-12-31 23:59"]),
        ("0 0 29 2 *", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
        # either day of month or weekday, when both are restricted
        ("0 0 1-7 * 1", ["2026-11-23 00:00", "2026-11-30 00:00", "2026-12-01 00:00"]),
        ("0 0 13 * fri", ["2026-11-27 00:00", "2026-12-04 00:00", "2026-12-11 00:00"]),
        ("0 0 31 2 1", ["2027-02-01 00:00", "2027-02-08 00:00", "2027-02-15 00:00"]),
        # both, when one starts with a star
        ("0 0 */7 * 1", ["2027-02-01 00:00", "2027-02-08 00:00", "2027-02-15 00:00"]),
        ("0 0 13 * */5", ["2026-12-13 00:00", "2027-06-13 00:00", "2027-08-13 00:00"]),
        ("0 0 29 2 */7", ["2032-02-29 00:00", "2060-02-29 00:00", "2088-02-29 00:00"]),
    ],
)
def test_next_fires(expression, expected):
    assert fires(expression) == expected


def test_a_fire_is_strictly_later():
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    trigger = cron("0 12 * * *")
    assert trigger.next_after(noon - timedelta(microseconds=1)) == noon
    assert trigger.next_after(noon) == noon + timedelta(days=1)


def test_leap_days_keep_the_rule_of_centuries():
    leap_days = walk(cron("0 0 29 2 *"), datetime(1890, 1, 1, tzinfo=UTC), datetime(2110, 1, 1, tzinfo=UTC))
    expected = [year for year in range(1892, 2110, 4) if year not in {1900, 2100}]
    assert [each.year for each in leap_days] == expected


@pytest.mark.parametrize(("expression", "month", "day"), [("@yearly", 1, 1), ("0 0 31 12 *", 12, 31)])
def test_no_year_is_left_out(expression, month, day):
    trigger = cron(expression)
    found = walk(trigger, datetime(1896, 6, 1, tzinfo=UTC), datetime(2106, 6, 1, tzinfo=UTC))
    year = 1897 if month == 1 else 1896
    assert found == [datetime(each, month, day, tzinfo=UTC) for each in range(year, year + len(found))]
    assert len(found) == 210


def test_going_back_in_time_asks_the_same_trigger_as_well():
    trigger = cron("0 0 1 1 *")
    for year in (2030, 2000, 2030, 1904, 2029, 2028):
        assert trigger.next_after(datetime(year, 12, 31, tzinfo=UTC)) == datetime(year + 1, 1, 1, tzinfo=UTC)


# -- the ends of time --------------------------------------------------------------------------


@pytest.mark.parametrize("tz", ["UTC", "Asia/Shanghai", "America/New_York", "Pacific/Apia", "Pacific/Niue"])
@pytest.mark.parametrize("expression", ["* * * * *", "0 0 * * *", "*/5 3 * * *", "0 0 29 2 *", "0 12 31 12 *"])
def test_the_ends_of_time_are_no_error(tz, expression):
    trigger = cron(expression, tz=tz)
    assert trigger.next_after(LAST) is None
    assert trigger.next_after(LAST - timedelta(seconds=1)) is None
    for hours in range(0, 72, 5):
        for instant in (FIRST + timedelta(hours=hours), LAST - timedelta(hours=hours)):
            found = trigger.next_after(instant)
            assert found is None or found > instant


def test_the_last_fires_there_are():
    end = [datetime(9999, 12, 31, 23, 59, tzinfo=UTC), None]
    assert [cron("* * * * *").next_after(LAST - timedelta(minutes=each)) for each in (1, 0)] == end
    # in Shanghai the year 9999 ends eight hours earlier, and no wall shows 10000
    assert cron("0 * * * *", tz="Asia/Shanghai").next_after(datetime(9999, 12, 31, 15, tzinfo=UTC)) is None
    assert cron("0 0 29 2 *").next_after(datetime(9996, 3, 1, tzinfo=UTC)) is None


def test_instants_whose_own_zone_is_beyond_the_ends_of_time():
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
    assert cron("* * * * *").next_after(LAST.replace(tzinfo=west)) is None
    assert cron("0 0 1 1 *").next_after(FIRST.replace(tzinfo=east)) == FIRST


# -- values ------------------------------------------------------------------------------------


def test_a_trigger_is_a_value():
    trigger = cron("0 9 * * 1-5", tz="Asia/Shanghai")
    assert isinstance(trigger, Trigger)
    assert trigger == Cron("0 9 * * 1-5", ZoneInfo("Asia/Shanghai"))
    assert hash(trigger) == hash(Cron("0 9 * * 1-5", "Asia/Shanghai"))
    assert trigger != cron("0 9 * * 1-5", tz="Asia/Tokyo")
    assert trigger != cron("0 9 * * mon-fri", tz="Asia/Shanghai")
    with pytest.raises(dataclasses.FrozenInstanceError):
        trigger.tz = "UTC"  # type: ignore[misc]


def test_repr_reads_like_the_constructor():
    assert repr(cron("@daily")) == "Cron('@daily')"
    assert repr(cron("0 9 * * *", tz="Asia/Shanghai")) == "Cron('0 9 * * *', tz='Asia/Shanghai')"


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_is_equal_and_works(duplicate):
    trigger = cron("0 9 * * 1-5", tz="Asia/Shanghai")
    trigger.next_after(NOW)
    assert duplicate(trigger) == trigger
    assert duplicate(trigger).next_after(NOW) == trigger.next_after(NOW)


def test_a_pickle_holds_the_constructor_and_no_tables():
    assert len(pickle.dumps(cron("*/5 * * * *", tz="America/New_York"))) < 150


def test_resolving_fills_in_the_zone_once():
    trigger = cron("0 9 * * *")
    resolved = trigger.resolved(schedule_id="a", tz="Asia/Shanghai")
    assert resolved == cron("0 9 * * *", tz="Asia/Shanghai")
    assert resolved.resolved(schedule_id="b", tz="Europe/Paris") is resolved


def test_a_trigger_without_a_zone_answers_in_utc():
    assert cron("0 9 * * *").next_after(NOW) == cron("0 9 * * *", tz="UTC").next_after(NOW)


def test_an_unknown_zone_is_refused():
    with pytest.raises(TriggerError, match="Did you mean 'Europe/Paris'"):
        cron("@daily", tz="Europe/Pariss")
    with pytest.raises(TriggerError, match="no zone"):
        cron("@daily").resolved(schedule_id="a", tz="Nowhere/Land")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (datetime(2026, 1, 1), "is naive.*datetime.now\\(UTC\\)"),
        (date(2026, 1, 1), "an aware datetime is needed"),
        ("2026-01-01", "an aware datetime is needed"),
        (None, "an aware datetime is needed"),
    ],
)
def test_what_is_no_instant_is_refused(after, said):
    with pytest.raises(TriggerError, match=said):
        cron("@daily").next_after(after)
