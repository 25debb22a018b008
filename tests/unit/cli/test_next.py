"""``tickonce next``: with an expression it needs nothing set up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from tickonce import cron
from tickonce.cli.wording import wording
from tickonce.model import ScheduleState
from tickonce.triggers.describe import Lang


@pytest.fixture
def nothing(tickonce, monkeypatch):
    monkeypatch.delenv("TICKONCE_STORE")
    return tickonce


def test_an_expression_needs_no_store_and_says_its_zone(nothing):
    said = nothing("next", "0 9 * * mon-fri", "--tz", "Asia/Shanghai", "-n", "2", "--from", "2026-11-21T00:00")
    assert "0 9 * * mon-fri (Asia/Shanghai): at 09:00 on Monday to Friday, Asia/Shanghai time\n" in said.stderr
    lines = said.stdout.splitlines()
    assert lines[0].split() == ["SCHEDULED", "TIME", "UTC"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["Mon", "2026-11-23", "09:00:00+08:00"],
        ["Tue", "2026-11-24", "09:00:00+08:00"],
    ]


def test_without_a_zone_it_is_utc_and_that_is_said(nothing):
    assert "every day at 00:00, UTC time (another zone: --tz" in nothing("next", "@daily", "-n", "1").stderr


def test_json_names_trigger_zone_and_fires(nothing):
    form = nothing.json("next", "every 90s", "-n", "2", "--from", "2026-01-01T00:00:10Z")
    assert form == {
        "trigger": {"kind": "every", "version": 1, "period": "1m30s"},
        "text": "every 1 minute and 30 seconds",
        "tz": "UTC",
        "after": "2026-01-01T00:00:10Z",
        "fires": ["2026-01-01T00:01:30Z", "2026-01-01T00:03:00Z"],
    }


def test_an_instant_without_an_offset_is_meant_in_the_zone(nothing):
    form = nothing.json("next", "every 1h", "-n", "1", "--tz", "Asia/Tokyo", "--from", "2026-01-01T09:30")
    assert form["fires"] == ["2026-01-01T01:00:00Z"]


def test_an_instant_that_comes_twice_wants_an_offset(nothing):
    said = nothing("next", "every 1h", "--tz", "Europe/Berlin", "--from", "2026-10-25T02:30", exit=2)
    assert "twice or not at all" in said.stderr


def test_no_fire_is_left(nothing):
    said = nothing("next", "at 2020-01-01T00:00Z")
    assert "No fire is left" in said.stderr
    assert said.stdout == ""


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["next", "5m"], "Did you mean 'every 5m'?"),
        (["next", "evry 5m"], "Did you mean 'every 5m'?"),
        (["next", "0 0 9 * * ?"], "quartz 0 0 9 * * ?"),
        (["next", "@daily", "--tz", "CST"], "Asia/Shanghai, America/Chicago"),
        (["next", "@daily", "--lang", "de"], "'en', 'zh'"),
        (["next", "nightly"], "name its store"),
        (["next", "* * * *"], "five"),
        (["next", "@daily", "--tz", "Asia/Shangai"], "Did you mean 'Asia/Shanghai'?"),
        (["next", "@daily", "--from", "soon"], "neither an instant"),
        (["next", "@daily", "-n", "0"], "1<=x<=10000"),
    ],
)
def test_what_cannot_be_read_is_a_fault_of_usage_with_a_hint(nothing, words, hint):
    assert hint in nothing(*words, exit=2).stderr


def test_a_schedule_is_shown_in_its_own_zone(tickonce):
    tickonce.scheduler.add("nightly", "shop.report", "0 21 * * *", tz="Asia/Shanghai")
    said = tickonce("next", "nightly", "-n", "1")
    assert "21:00:00+08:00" in said.stdout
    assert json.loads(tickonce("-o", "json", "next", "nightly", "-n", "1").stdout)["tz"] == "Asia/Shanghai"


def test_a_paused_schedule_says_so(tickonce):
    tickonce.scheduler.add("nightly", "shop.report", "0 21 * * *", paused=True)
    assert "nightly is paused" in tickonce("next", "nightly").stderr


@pytest.mark.parametrize(
    ("expression", "fire"),
    [
        ("0 9 * * 1", "2026-11-23T09:00:00Z"),
        ("unix 30 0 9 * * 1", "2026-11-23T09:00:30Z"),
        ("quartz 0 0 9 ? * 2", "2026-11-23T09:00:00Z"),
        ("quartz 0 0 9 ? * 2 2027", "2027-01-04T09:00:00Z"),
        ("CRON_TZ=Asia/Shanghai 0 9 * * 1", "2026-11-23T01:00:00Z"),
        ("@every 1h", "2026-11-21T01:00:00Z"),
        ("every 2 weeks at 09:00 from 2026-11-23", "2026-11-23T09:00:00Z"),
        ("solar sunrise 31.23 121.47", "2026-11-21T22:27:01Z"),
        ("DTSTART:20260101T090000 RRULE:FREQ=WEEKLY", "2026-11-26T09:00:00Z"),
        ("at 2026-12-01T09:00+08:00", "2026-12-01T01:00:00Z"),
    ],
)
def test_all_that_one_line_can_say_is_understood(nothing, expression, fire):
    form = nothing.json("next", expression, "-n", "1", "--from", "2026-11-21T00:00Z")
    assert form["fires"] == [fire]
    assert form["text"]


def test_the_words_are_chinese_where_wanted(nothing):
    said = nothing("next", "0 9 * * 1-5", "--tz", "Asia/Shanghai", "--lang", "zh")
    assert "每周一至周五 09:00" in said.stderr
    form = nothing.json(
        "next", "30 2 * * *", "--tz", "America/New_York", "--from", "2027-03-13", "-n", "2", "--lang", "zh", "--explain"
    )
    (note,) = form["notes"]
    assert note["fire"] == "2027-03-14T07:00:00Z"
    assert "2027 年 3 月 14 日" in note["note"]


def test_only_fires_that_a_change_of_the_clocks_affects_have_a_note(nothing):
    words = ["next", "30 2 * * *", "--tz", "America/New_York", "--from", "2027-03-13", "-n", "3"]
    _, first, second, third = nothing(*words, "--explain").stdout.splitlines()
    assert second.endswith("02:30 does not exist in America/New_York, runs at 03:00")
    assert "exist" not in first + third
    assert "exist" not in nothing(*words).stdout
    assert "notes" not in nothing.json(*words)
    quiet = nothing("next", "30 2 * * *", "--tz", "America/New_York", "--from", "2027-06-01", "--explain")
    assert "NOTE" not in quiet.stdout


def test_times_that_are_left_out_between_fires_are_told(tickonce):
    leaping = cron("30 2 * * *", tz="Europe/Berlin", gap="skip")
    tickonce.scheduler.add("leaping", "job", leaping, start=datetime(2099, 3, 28, tzinfo=UTC))
    words = ["next", "leaping", "-n", "2", "--explain"]
    (note,) = tickonce.json(*words)["notes"]
    assert note["fire"] is None
    assert "02:30" in note["note"]
    assert note["note"] in tickonce(*words).stderr


def test_a_schedule_ends_where_its_end_is(tickonce):
    tickonce("add", "brief", "every 1h", "job", "--start", "2099-01-01", "--end", "2099-01-01T02:00")
    form = tickonce.json("next", "brief")
    assert form["fires"] == ["2099-01-01T00:00:00Z", "2099-01-01T01:00:00Z", "2099-01-01T02:00:00Z"]


def test_a_word_that_is_neither_schedule_nor_expression_offers_what_was_meant(made):
    assert "Did you mean 'every 5m'?" in made("next", "5m", exit=2).stderr
    made("next", "5x", exit=3)


def test_a_declared_schedule_is_shown_without_a_store(nothing):
    nothing.program(
        "shop",
        "from tickonce import Scheduler, cron\n"
        "scheduler = Scheduler(tz='Asia/Shanghai')\n"
        "@scheduler.schedule(cron('0 21 * * *'), id='report')\n"
        "def report(): ...\n",
    )
    said = nothing("-A", "shop", "next", "report", "--declared", "-n", "1")
    assert "21:00:00+08:00" in said.stdout
    assert "tickonce next report --declared" in nothing("-A", "shop", "next", "report", exit=2).stderr
    assert "No schedule 'reprot'" in nothing("-A", "shop", "next", "reprot", "--declared", exit=3).stderr
    assert "-A module:scheduler" in nothing("next", "report", "--declared", exit=2).stderr


def test_a_warning_about_a_calendar_is_a_line_without_a_path(nothing):
    nothing.program(
        "works",
        "import warnings\n"
        "from tickonce import Scheduler\n"
        "from tickonce.calendars import UnknownYear\n"
        "scheduler = Scheduler()\n"
        "warnings.warn('the calendar of works has no data of 2031', UnknownYear)\n",
    )
    said = nothing("-A", "works", "calendar", "--declared")
    assert said.stderr.startswith("Warning: the calendar of works has no data of 2031\n")


def test_all_words_of_next_are_chinese_where_wanted(nothing, monkeypatch):
    monkeypatch.setenv("TICKONCE_LANG", "zh")
    now = datetime.now(UTC).replace(microsecond=0)
    past, soon = (f"{now + away:%Y-%m-%dT%H:%M:%SZ}" for away in (-timedelta(days=21, hours=1), timedelta(hours=36.5)))
    said = nothing("next", f"at {past}, {soon}", "--tz", "Asia/Shanghai", "--from", "2020-01-01")
    head, gone, coming = said.stdout.splitlines()
    assert head.split() == ["计划时间", "UTC"]
    assert gone.startswith("周")
    assert "21 天前" in gone
    assert "1 天 12 小时后" in coming
    assert "（时间按 Asia/Shanghai 显示）" in said.stderr
    assert "（其他时区：--tz" in nothing("next", "@daily").stderr
    assert "不再有触发时间。" in nothing("next", "at 2020-01-01T00:00Z").stderr
    explained = nothing("next", "30 2 * * *", "--tz", "America/New_York", "--from", "2027-03-13", "--explain").stdout
    assert explained.splitlines()[0].split()[-1] == "说明"


def test_a_paused_schedule_says_so_in_chinese(tickonce):
    tickonce.scheduler.add("nightly", "shop.report", "0 21 * * *", paused=True)
    assert "nightly 已暂停：" in tickonce("next", "nightly", "--lang", "zh").stderr


def test_every_state_has_its_name_in_each_language():
    assert all(set(wording(lang).states) == set(ScheduleState) for lang in get_args(Lang))
