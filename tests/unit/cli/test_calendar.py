"""``tickonce calendar``: what fires when."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pytest

from tickonce import Scheduler, cron
from tickonce.agenda import agenda
from tickonce.calendars import own_calendar
from tickonce.triggers.days import on_days

DAY = ["--from", "2099-01-01", "--to", "2099-01-01"]


@pytest.fixture
def shop(tickonce):
    tickonce("add", "often", "*/5 * * * *", "shop.sync", "--tag", "eu")
    tickonce("add", "nightly", "0 21 * * *", "shop.report", "--tz", "Asia/Shanghai", "--owner", "ann")
    tickonce("add", "brief", "every 1h", "shop.sync", "--start", "2099-01-01T22:00", "--end", "2099-01-02T01:00")
    return tickonce


def test_a_day_is_a_timeline_with_the_earliest_first(shop):
    said = shop("calendar", *DAY)
    assert said.stdout.splitlines() == [
        "2099-01-01 Thu",
        "  00:00 ... 23:55  often  (288 times)",
        "  13:00            nightly",
        "  22:00 23:00      brief",
    ]
    assert "2099-01-01 00:00:00Z to 2099-01-02 00:00:00Z, times in UTC" in said.stderr


def test_days_and_times_are_those_of_the_zone(shop):
    form = shop.json("calendar", *DAY, "--tz", "Asia/Shanghai", "--owner", "ann")
    assert (form["tz"], form["from"], form["to"]) == ("Asia/Shanghai", "2098-12-31T16:00:00Z", "2099-01-01T16:00:00Z")
    (day,) = form["days"]
    assert day["date"] == "2099-01-01"
    (entry,) = day["schedules"]
    assert entry == {
        "id": "nightly",
        "times": ["2099-01-01T13:00:00Z"],
        "last": "2099-01-01T13:00:00Z",
        "count": 1,
        "more": False,
        "moved": [],
    }


def test_an_instant_is_meant_exactly_and_a_length_from_now(shop):
    words = ["--from", "2099-01-01T21:10Z", "--to", "2099-01-01T22:00Z", "--tag", "eu"]
    assert shop("calendar", *words).stdout == "2099-01-01 Thu\n  21:10 ... 21:55  often  (10 times)\n"
    (form, *_) = shop.json("calendar", "--to", "2h", "--tag", "eu")["days"]
    assert form["schedules"][0]["count"] <= 24


def test_of_very_many_only_the_first_is_told(tickonce):
    tickonce("add", "beat", "every 1s", "shop.beat")
    assert tickonce("calendar", *DAY).stdout == "2099-01-01 Thu\n  00:00 ...  beat  (1000+ times)\n"
    ((entry,),) = (day["schedules"] for day in tickonce.json("calendar", *DAY)["days"])
    assert (entry["count"], entry["more"]) == (1000, True)


def test_without_words_it_is_the_next_week(shop):
    assert 7 <= len(shop.json("calendar")["days"]) <= 8


def test_paused_ones_are_named_and_those_that_go_on_by_themselves_are_shown_from_then_on(shop):
    shop("pause", "often")
    shop("pause", "nightly", "--until", "2099-01-03T00:00")
    said = shop("calendar", *DAY)
    assert said.stdout == "2099-01-01 Thu\n  22:00 23:00  brief\n"
    assert "Paused, and not shown: often" in said.stderr
    later = shop.json("calendar", "--from", "2099-01-02", "--to", "2099-01-03", "--owner", "ann")
    assert [day["date"] for day in later["days"]] == ["2099-01-03"]
    assert later["paused"] == []


def test_what_a_program_declares_needs_no_store(tickonce, monkeypatch):
    tickonce.program(
        "shop",
        "from tickonce import Scheduler, cron\n"
        "scheduler = Scheduler(tz='Asia/Shanghai')\n"
        "@scheduler.schedule(cron('0 21 * * *'), id='report')\n"
        "def report(): ...\n",
    )
    assert "tickonce calendar --declared" in tickonce("-A", "shop", "calendar", exit=9).stderr
    monkeypatch.delenv("TICKONCE_STORE")
    said = tickonce("-A", "shop", "calendar", "--declared", *DAY)
    assert said.stdout == "2099-01-01 Thu\n  21:00  report\n"
    assert "-A module:scheduler" in tickonce("calendar", "--declared", exit=2).stderr


def test_nothing_fires_is_said(shop):
    assert "No schedule matches" in shop("calendar", "--tag", "none").stderr
    shop("rm", "often", "-y")
    words = ["--from", "2099-01-01T14:00Z", "--to", "2099-01-01T15:00Z"]
    assert "Nothing fires from 2099-01-01 14:00:00Z" in shop("calendar", *words).stderr
    assert shop.json("calendar", *words)["days"] == []


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--from", "2099-01-02", "--to", "2099-01-01T00:00"], "must end after it begins"),
        (["--from", "2099-01-01", "--to", "2101-01-01"], "366"),
        (["--to", "soon"], "neither an instant"),
    ],
)
def test_a_span_that_cannot_be_shown_is_a_fault_of_usage(shop, words, hint):
    assert hint in shop("calendar", *words, exit=2).stderr


def test_a_schedule_that_this_release_cannot_read_keeps_the_others_in_view(shop):
    with closing(sqlite3.connect(shop.home / "tickonce.db")) as connection, connection:
        connection.execute(
            'UPDATE tickonce_schedules SET definition = replace(definition, \'"kind":"cron"\', \'"kind":"moon"\') '
            "WHERE id = 'often'"
        )
    said = shop("calendar", *DAY)
    assert "nightly" in said.stdout
    assert "often is not shown" in said.stderr
    assert "moon" in shop.json("calendar", *DAY)["unknown"]["often"]


@pytest.fixture
def plant(tickonce, monkeypatch):
    """A program with a schedule whose calendar refuses this year, and one whose calendar guesses at it."""
    tickonce.program(
        "plant",
        "from tickonce import Scheduler, cron\n"
        "from tickonce.calendars import own_calendar\n"
        "from tickonce.triggers.days import on_days\n"
        "scheduler = Scheduler()\n"
        "def of_plant(unknown):\n"
        "    return on_days(cron('0 9 * * *'), only_on=own_calendar('plant', years=(2020, 2021), unknown=unknown))\n"
        "@scheduler.schedule(of_plant('fail'), id='strict')\n"
        "def strict(): ...\n"
        "@scheduler.schedule(of_plant('weekday'), id='lax')\n"
        "def lax(): ...\n"
        "@scheduler.schedule(cron('0 21 * * *'), id='report')\n"
        "def report(): ...\n",
    )
    monkeypatch.delenv("TICKONCE_STORE")
    return tickonce


def test_a_schedule_that_cannot_be_shown_is_one_line_with_its_id(plant):
    said = plant("-A", "plant", "calendar", "--declared", *DAY)
    assert "21:00  report" in said.stdout
    assert "09:00  lax" in said.stdout
    assert "strict is not shown: set aside: trigger raised TriggerError: the calendar" in said.stderr
    assert "no data of" in plant.json("-A", "plant", "calendar", "--declared", *DAY)["unknown"]["strict"]


def test_a_trigger_that_raises_later_is_shown_up_to_there_and_hides_no_other():
    now = datetime(2026, 12, 30, tzinfo=UTC)
    store = Scheduler("memory:")
    strict = on_days(cron("0 9 * * *"), only_on=own_calendar("strict", years=(2026, 2026), unknown="fail"))
    shown = [
        store.add("strict", "job", strict, start=datetime(2026, 12, 30, tzinfo=UTC)),
        store.add("report", "job", "0 21 * * *"),
    ]
    found = agenda(shown, now, now + timedelta(days=5))
    assert [entry.id for entry in found.days[date(2026, 12, 31)]] == ["strict", "report"]
    assert [entry.id for entry in found.days[date(2027, 1, 2)]] == ["report"]
    assert "has no data of 2027" in found.unknown["strict"]
    store.close()


def test_years_that_a_calendar_does_not_know_are_one_line_with_the_id_of_the_schedule(plant):
    for words in (["calendar", "--declared", *DAY], ["next", "lax", "--declared", "--from", "2099-01-01", "-n", "2"]):
        lines = plant("-A", "plant", *words).stderr.splitlines()
        expected = "lax: the calendar of working days plant has no data of 2099: weekdays alone decide there"
        assert [line for line in lines if "2099: weekdays" in line] == [expected]
        chinese = plant("-A", "plant", *words, "--lang", "zh").stderr
        assert "lax：“plant”的工作日日历没有 2099 年的数据，仅按星期判断\n" in chinese
        assert not any("UnknownYear" in line or ".py" in line for line in lines)


@pytest.mark.filterwarnings("ignore:.*plant has no data of:tickonce.calendars.UnknownYear")  # until 2099
def test_fires_that_were_moved_have_a_sign(tickonce):
    plant = own_calendar("plant", holidays=["2099-01-01"], weekend=())
    tickonce.scheduler.add("daily", "job", on_days(cron("0 9 * * *"), only_on=plant, move="next"))
    tickonce.scheduler.add("monthly", "job", on_days(cron("0 8 1 * *"), only_on=plant, move="next"))
    tickonce.scheduler.add(
        "nightly", "job", cron("30 2 * * *", tz="America/New_York"), start=datetime(2099, 3, 1, tzinfo=UTC)
    )
    said = tickonce("calendar", "--from", "2099-01-01", "--to", "2099-01-03")
    assert said.stdout.splitlines() == [
        "2099-01-02 Fri",
        "  08:00*  monthly",
        "  09:00   daily",
        "2099-01-03 Sat",
        "  09:00  daily",
    ]
    assert "* moved, by a change of the clocks" in said.stderr
    form = tickonce.json("calendar", "--from", "2099-01-02", "--to", "2099-01-02")
    assert [each["moved"] for each in form["days"][0]["schedules"]] == [["2099-01-02T08:00:00Z"], []]
    spring = ["--from", "2099-03-08", "--to", "2099-03-09", "--tz", "America/New_York", "-q", "nightly"]
    assert tickonce("calendar", *spring).stdout.splitlines()[1::2] == ["  03:00*  nightly", "  02:30  nightly"]
    assert "* moved" not in tickonce("calendar", "--from", "2099-02-02", "--to", "2099-02-02").stderr


def test_a_calendar_in_chinese(shop, monkeypatch):
    shop("pause", "brief")
    monkeypatch.setenv("TICKONCE_LANG", "zh")
    said = shop("calendar", *DAY)
    assert said.stdout.splitlines() == [
        "2099-01-01 周四",
        "  00:00 ... 23:55  often  （288 次）",
        "  13:00            nightly",
    ]
    assert said.stderr.splitlines() == [
        "2099-01-01 00:00:00Z 至 2099-01-02 00:00:00Z，时间按 UTC",
        "已暂停，未显示：brief",
    ]
    assert "Thu" in shop("calendar", *DAY, "--lang", "en").stdout
