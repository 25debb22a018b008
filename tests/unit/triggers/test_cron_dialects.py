"""Seconds, years, days that depend on their month, Quartz, H: what they mean and what is refused."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.unit.triggers.oracle import walk, windows
from tests.unit.triggers.oracle_walls import Said, fires_of, said
from tickonce.errors import TriggerError
from tickonce.triggers import Cron, cron, parse_trigger, trigger_from_spec

NOW = datetime(2026, 11, 21, 7, 33, 12, 345, tzinfo=UTC)  # a Saturday


def fires(expression: str, dialect: str | None = None, *, count: int = 3, after: datetime = NOW) -> list[str]:
    trigger = Cron(expression, None, dialect)
    found = []
    for _ in range(count):
        instant = trigger.next_after(after)
        assert instant is not None
        found.append(f"{instant:%Y-%m-%d %H:%M:%S}".removesuffix(":00").removesuffix(" 00:00"))
        after = instant
    return found


@pytest.mark.parametrize(
    ("expression", "dialect", "expected"),
    [
        # the last day, days before it, working days (the crontab(5) of Jenkins, Quartz and cronsim agree)
        ("0 0 L * *", None, ["2026-11-30", "2026-12-31", "2027-01-31"]),
        ("0 0 L 2 *", None, ["2027-02-28", "2028-02-29", "2029-02-28"]),
        ("0 0 L-3 * *", None, ["2026-11-27", "2026-12-28", "2027-01-28"]),
        ("0 0 L-30 * *", None, ["2026-12-01", "2027-01-01", "2027-03-01"]),
        ("0 0 LW * *", None, ["2026-11-30", "2026-12-31", "2027-01-29"]),
        ("0 0 L-2W * *", None, ["2026-11-27", "2026-12-29", "2027-01-29"]),
        ("0 0 15W * *", None, ["2026-12-15", "2027-01-15", "2027-02-15"]),
        ("0 0 1W * *", None, ["2026-12-01", "2027-01-01", "2027-02-01"]),
        ("0 0 1W 5 *", None, ["2027-05-03", "2028-05-01", "2029-05-01"]),  # 1 May 2027 is a Saturday
        ("0 0 31W * *", None, ["2026-12-31", "2027-01-29", "2027-03-31"]),  # only in months that have a 31st
        ("0 0 1,15,L * *", None, ["2026-11-30", "2026-12-01", "2026-12-15"]),
        ("0 0 * * 5L", None, ["2026-11-27", "2026-12-25", "2027-01-29"]),
        ("0 0 * * friL", None, ["2026-11-27", "2026-12-25", "2027-01-29"]),
        ("0 0 * * 1#2", None, ["2026-12-14", "2027-01-11", "2027-02-08"]),
        ("0 0 * * 7#1", None, ["2026-12-06", "2027-01-03", "2027-02-07"]),
        ("0 0 * * Mon#5", None, ["2026-11-30", "2027-03-29", "2027-05-31"]),
        ("0 0 13 * 5L", None, ["2026-11-27", "2026-12-13", "2026-12-25"]),  # either, when both are restricted
        # ranges past the end
        ("0 22-1 * * *", None, ["2026-11-21 22:00", "2026-11-21 23:00", "2026-11-22"]),
        ("0 0 * * fri-mon", None, ["2026-11-22", "2026-11-23", "2026-11-27"]),
        ("0 0 30-2 * *", None, ["2026-11-30", "2026-12-01", "2026-12-02"]),
        ("0 0 1 nov-feb *", None, ["2026-12-01", "2027-01-01", "2027-02-01"]),
        ("50-10/10 8 * * *", None, ["2026-11-21 08:00", "2026-11-21 08:10", "2026-11-21 08:50"]),
        # seconds first
        ("*/20 * * * * sat", None, ["2026-11-21 07:33:20", "2026-11-21 07:33:40", "2026-11-21 07:34"]),
        ("15 0 9 * * *", "unix", ["2026-11-21 09:00:15", "2026-11-22 09:00:15", "2026-11-23 09:00:15"]),
        ("* * * * * *", None, ["2026-11-21 07:33:13", "2026-11-21 07:33:14", "2026-11-21 07:33:15"]),
        # Quartz: 1 is Sunday; the examples of its tutorial
        ("0 0 12 * * ?", "quartz", ["2026-11-21 12:00", "2026-11-22 12:00", "2026-11-23 12:00"]),
        ("0 15 10 ? * 2-6", "quartz", ["2026-11-23 10:15", "2026-11-24 10:15", "2026-11-25 10:15"]),
        ("0 15 10 ? * MON-FRI", "quartz", ["2026-11-23 10:15", "2026-11-24 10:15", "2026-11-25 10:15"]),
        ("0 15 10 * * ? 2028", "quartz", ["2028-01-01 10:15", "2028-01-02 10:15", "2028-01-03 10:15"]),
        ("0 0/5 14,18 * * ?", "quartz", ["2026-11-21 14:00", "2026-11-21 14:05", "2026-11-21 14:10"]),
        ("0 /30 8 * * ?", "quartz", ["2026-11-21 08:00", "2026-11-21 08:30", "2026-11-22 08:00"]),
        ("0 10,44 14 ? 3 WED", "quartz", ["2027-03-03 14:10", "2027-03-03 14:44", "2027-03-10 14:10"]),
        ("0 15 10 L * ?", "quartz", ["2026-11-30 10:15", "2026-12-31 10:15", "2027-01-31 10:15"]),
        ("0 15 10 L-2 * ?", "quartz", ["2026-11-28 10:15", "2026-12-29 10:15", "2027-01-29 10:15"]),
        ("0 15 10 ? * 6L", "quartz", ["2026-11-27 10:15", "2026-12-25 10:15", "2027-01-29 10:15"]),
        ("0 15 10 ? * 6#3", "quartz", ["2026-12-18 10:15", "2027-01-15 10:15", "2027-02-19 10:15"]),
        ("0 0 0 ? * L", "quartz", ["2026-11-28", "2026-12-05", "2026-12-12"]),  # by itself it is Saturday
        ("0 0 0 ? * sat-sun", "quartz", ["2026-11-22", "2026-11-28", "2026-11-29"]),
        ("0 0 0 29 2 ? 2030-2040", "quartz", ["2032-02-29", "2036-02-29", "2040-02-29"]),
        ("0 0 0 1 1 * 2027/10", "quartz", ["2027-01-01", "2037-01-01", "2047-01-01"]),
    ],
)
def test_next_fires(expression, dialect, expected):
    assert fires(expression, dialect) == expected


def test_years_come_to_an_end():
    trigger = cron("0 0 12 1 1 ? 2027", dialect="quartz")
    assert trigger.next_after(NOW) == datetime(2027, 1, 1, 12, tzinfo=UTC)
    assert trigger.next_after(datetime(2027, 1, 1, 12, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("expression", "dialect", "said"),
    [
        ("0 0 9 * * 1-5", None, "two things. Seconds first: second 0, minute 0, hour 9, day of week 1-5. Seconds last"),
        ("0 * * * * *", None, "can mean two things"),
        ("0 9 * * 1-5 30", None, "seconds last; here they come first: write '30 0 9 \\* \\* 1-5'"),
        ("0 0 12 ? * MON", None, "has a '\\?', which Quartz writes; say so: dialect='quartz'"),
        ("0 0 12 * * ? 2027", None, "has seven fields, as Quartz writes them"),
        ("0 0 12 * * 2027 *", "unix", "has 7 field.*dialect='quartz'"),
        ("CRON_TZ=Asia/Tokyo 0 5 * * *", None, "give the zone as tz="),
        ("0 9 * * 1-5", "quartz", "has 5 field.*Quartz has six or seven.*with seconds first it is '0 0 9"),
        ("0 0 12 1 * 2", "quartz", "write '\\?' for one of them"),
        ("0 0 12 ? * ?", "quartz", "has '\\?' twice"),
        ("0 0 12 ? * 0", "quartz", "Sunday is 1 in Quartz"),
        ("0 0 12 ? * 8", "quartz", "Saturday is 7"),
        ("0 0 12 1 1 ? 1969", "quartz", "year: 1969 is out of range, allowed 1970-2099"),
        ("0 0 12 29 2 ? 2027", "quartz", "never matches.*of year '2027'"),
        ("0 0 12 31 2 ?", "quartz", "never matches"),
        ("60 * * * * mon", None, "second: 60 is out of range, allowed 0-59; the full minute is 0"),
        ("0 0 L-31 * *", None, "allowed L-0 to L-30"),
        ("0 0 0W * *", None, "day of month: 0 is out of range"),
        ("0 0 W * *", None, "day of month: 'W' is not understood; allowed 1-31, L, L-3, LW or 15W"),
        ("0 0 L/2 * *", None, "not understood"),
        ("0 0 * * L", None, "'L' needs a weekday before it, such as 5L"),
        ("0 0 * * 1#6", None, "write 1#1 to 1#5"),
        ("0 0 * * 1#", None, "write 1#1 to 1#5"),
        ("0 0 * * 8L", None, "day of week: 8 is out of range"),
        ("0 0 * * #2", None, "day of week: a value is missing"),
        ("0 0 L-30 2 *", None, "never matches"),
        ("0 9 */16 * 5L", None, r"never matches: day of month '\*/16' .* begins with '\*', so a day must match both"),
        ("49 17 */18 */3 friL", None, r"must match both, and none does[^?]*$"),
        ("0 0 0 H * ? H", "quartz", "year: H would choose a single year"),
        ("H(30-10) * * * *", None, "runs backwards"),
        ("H(0-60) * * * *", None, "minute: 60 is out of range"),
        ("H/61 * * * *", None, "the step in 'H/61' must be 1 to 60"),
        ("H(0-9)/20 * * * *", None, "the step in 'H\\(0-9\\)/20' must be 1 to 10"),
        ("H- * * * *", None, "H is written H, H/15"),
        ("0 9 * * *", "cronie", "dialect: 'cronie' is not known; allowed unix, quartz"),
        ("0 9 * * *", "quarts", "Did you mean 'quartz'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_advice(expression, dialect, said):
    with pytest.raises(TriggerError, match=said):
        Cron(expression, None, dialect)


def test_six_fields_that_can_only_be_meant_one_way_need_no_dialect():
    for text in ("* * * * * *", "0 30 9 15 * *", "0 0 9 * * mon-fri", "0 0 0 1 jan *"):
        assert cron(text) == cron(text, dialect="unix")


def test_a_nickname_is_the_same_in_every_dialect():
    assert cron("@daily", dialect="quartz") == cron("@daily")


# -- H -----------------------------------------------------------------------------------------


def test_the_id_of_the_schedule_chooses_and_what_it_chose_is_stored():
    trigger = cron("H H(0-5) * * *").resolved(schedule_id="nightly", tz="Asia/Shanghai")
    assert trigger == cron("1 1 * * *", tz="Asia/Shanghai")
    assert trigger.spec()["version"] == 1  # older nodes can plan it
    assert trigger.resolved(schedule_id="other", tz="UTC") is trigger


def test_schedules_do_not_come_at_once():
    minutes = [
        int(cron("H * * * *").resolved(schedule_id=f"job-{number}", tz="UTC").expression.split()[0])
        for number in range(3_000)
    ]
    assert set(minutes) == set(range(60))
    assert max(minutes.count(minute) for minute in range(60)) < 90


def test_minute_and_hour_are_chosen_apart():
    pairs = {
        tuple(cron("H H * * *").resolved(schedule_id=f"job-{number}", tz="UTC").expression.split()[:2])
        for number in range(1_000)
    }
    assert len(pairs) > 600


@pytest.mark.parametrize(
    ("expression", "low", "high"),
    [("0 0 H * *", 1, 28), ("0 0 1 H *", 1, 12), ("0 0 * * H", 0, 6), ("H(5-9) * * * *", 5, 9)],
)
def test_what_is_chosen_is_in_its_range(expression, low, high):
    chosen = set()
    for number in range(300):
        resolved = cron(expression).resolved(schedule_id=f"job-{number}", tz="UTC").expression.split()
        place = next(at for at, part in enumerate(expression.split()) if part.startswith("H"))
        chosen.add(int(resolved[place]))
    assert chosen == set(range(low, high + 1))


def test_a_step_from_a_chosen_start():
    trigger = cron("H/15 * * * *").resolved(schedule_id="nightly", tz="UTC")
    assert trigger.expression == "1/15 * * * *"
    for number in range(50):
        resolved = cron("0 0 H/10 * H/3").resolved(schedule_id=f"job-{number}", tz="UTC")
        assert len(walk(resolved, NOW, NOW + timedelta(days=60))) > 3


def test_until_the_id_is_known_the_smallest_values_stand_for_h():
    assert fires("H H * * *") == fires("0 0 * * *")
    assert trigger_from_spec(cron("H * * * *").spec()) == cron("H * * * *")


# -- properties --------------------------------------------------------------------------------


def made(expression: Said, zone: str, gap: str | None = None, fold: str | None = None) -> Cron:
    try:
        return Cron(expression.text, zone, expression.dialect, gap, fold)
    except TriggerError as error:
        if "never matches" in str(error):
            reject()
        raise


dialects = st.sampled_from(["unix", "quartz"]).flatmap(said)
policies = st.tuples(st.sampled_from(["after", "skip"]), st.sampled_from(["once", "both"]))


@settings(max_examples=250, deadline=None)
@given(dialects, windows(days=3), policies)
def test_fires_are_those_that_a_search_day_by_day_finds(expression, window, policy):
    """In every dialect and under every policy, each fire comes once and no other, wherever the clocks stand."""
    zone, after, until = window
    gap, fold = policy
    trigger = made(expression, zone, gap, fold)
    expected = fires_of(expression.on, expression.times, ZoneInfo(zone), after, until, gap=gap, fold=fold)
    assert walk(trigger, after, until) == expected


@settings(max_examples=150, deadline=None)
@given(dialects, windows(days=20))
def test_the_default_policy_is_that_of_fixed_or_recurring_times(expression, window):
    zone, after, until = window
    gap, fold = ("after", "once") if expression.fixed else ("skip", "both")
    expected = fires_of(expression.on, expression.times[:40], ZoneInfo(zone), after, until, gap=gap, fold=fold)
    trigger = made(expression, zone)
    if len(expression.times) <= 40:
        assert walk(trigger, after, until) == expected
    assert trigger == made(expression, zone, gap, fold)


@settings(max_examples=150, deadline=None)
@given(dialects, windows(), policies, st.floats(0, 1))
def test_fires_do_not_depend_on_when_they_are_asked_for(expression, window, policy, part):
    """The fires in (a, c] are those in (a, b] and those in (b, c], under every policy."""
    zone, after, until = window
    between = after + (until - after) * part
    trigger = made(expression, zone, *policy)
    assert walk(trigger, after, until) == walk(trigger, after, between) + walk(trigger, between, until)


@settings(max_examples=150, deadline=None)
@given(dialects, policies)
def test_a_trigger_survives_json_pickle_and_repr(expression, policy):
    trigger = made(expression, "Europe/Paris", *policy)
    assert trigger_from_spec(trigger.spec()) == trigger
    assert pickle.loads(pickle.dumps(trigger)) == trigger
    assert eval(repr(trigger), {"Cron": Cron}) == trigger
    assert hash(pickle.loads(pickle.dumps(trigger))) == hash(trigger)


@pytest.mark.parametrize(
    "expression", ["H H H(29-31) 2 *", "0 0 31 H *", "0 0 H(28-31) H *", "quartz 0 0 0 H(30-31) H ?"]
)
def test_h_chooses_among_days_that_come(expression):
    trigger = parse_trigger(expression)
    for number in range(60):
        resolved = trigger.resolved(schedule_id=f"job-{number}", tz="UTC")
        assert resolved.next_after(datetime(2026, 11, 21, tzinfo=UTC)) is not None
        assert resolved.resolved(schedule_id="other", tz="UTC") is resolved


def test_equal_is_what_is_written_alike():
    by_name, by_number = cron("0 9 * * mon"), cron("0 9 * * 1")
    assert by_name != by_number
    assert by_name == cron("0  9 * *  mon")
    after = datetime(2026, 11, 21, tzinfo=UTC)
    assert by_name.next_after(after) == by_number.next_after(after)
