"""Triggers in words: a table to be read, and the promise that words never hide a difference."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triggers.oracle import expressions
from tests.unit.triggers.oracle_walls import said
from tickonce.errors import TriggerError
from tickonce.triggers import (
    Cron,
    OpaqueTrigger,
    Trigger,
    at,
    but_not,
    calendar_interval,
    cron,
    every,
    intersection,
    parse_trigger,
    union,
)
from tickonce.triggers.describe import Lang, describe, language
from tickonce.triggers.explain import explain, next_fires, timeline, timeline_text

#: Each line was read by people who speak the language.
TABLE = [json.loads(line) for line in Path(__file__).with_name("described.jsonl").read_text().splitlines()]
NEW_YORK = "America/New_York"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["trigger"])
def test_table(row):
    trigger = parse_trigger(row["trigger"])
    assert describe(trigger) == row["en"]
    assert describe(trigger, "zh") == row["zh"]


@pytest.mark.parametrize(
    ("trigger", "english", "chinese"),
    [
        (
            every("6h", anchor="2026-01-01T09:00+08:00"),
            "every 6 hours, counted from 2026-01-01T01:00:00Z",
            "每 6 小时，自 2026-01-01T01:00:00Z 起算",
        ),
        (every("1h", spread=True), "every hour, spread by the schedule's id", "每小时，按计划的 ID 错开"),
        (
            every("1h", spread=True).resolved(schedule_id="a", tz="UTC"),
            "every hour, shifted by 28 minutes and 1 second",
            "每小时，错开 28 分钟 1 秒",
        ),
        (
            at(*(f"2026-12-0{day}T09:00Z" for day in range(1, 6))),
            "once at 2026-12-01T09:00:00Z, 2026-12-02T09:00:00Z, 2026-12-03T09:00:00Z and 2 more",
            "在 2026-12-01T09:00:00Z、2026-12-02T09:00:00Z 和 2026-12-03T09:00:00Z 各执行一次（另有 2 个时刻）",
        ),
        (
            cron("30 2 * * *", gap="skip", fold="both"),
            "every day at 02:30; a time that the clocks skip is left out; a time that comes twice is due both times",
            "每天 02:30；时钟拨快时跳过的时刻不执行；时钟拨慢时重复的时刻执行两次",
        ),
        (
            calendar_interval(months=1, at="18:00", anchor="2026-01-31", overflow="skip", gap="skip"),
            "every month on day 31 where there is one at 18:00; a time that the clocks skip is left out",
            "每月 31 日 18:00（没有 31 日则跳过）；时钟拨快时跳过的时刻不执行",
        ),
        (
            union(cron("0 9 * * 1-5"), cron("0 11 * * sat")),
            "at 09:00 on Monday to Friday; or at 11:00 on Saturday",
            "每周一至周五 09:00；或每周六 11:00",
        ),
        (
            intersection(cron("0 9 13 * *"), cron("0 9 * * fri")),
            "at 09:00 on day 13 of the month; only when also at 09:00 on Friday",
            "每月 13 日 09:00，且同时满足：每周五 09:00",
        ),
        (
            but_not(every("30m"), cron("* 0-8 * * *")),
            "every 30 minutes; but not every minute from 00:00 to 08:59",
            "每 30 分钟，但不包括：每天 00:00 至 08:59 每分钟",
        ),
        # one zone for all parts is said once
        (
            union(cron("0 9 * * 1-5", tz="Asia/Shanghai"), cron("0 11 * * sat", tz="Asia/Shanghai")),
            "at 09:00 on Monday to Friday; or at 11:00 on Saturday; all in Asia/Shanghai time",
            "每周一至周五 09:00；或每周六 11:00（均为 Asia/Shanghai 时间）",
        ),
        (
            union(cron("0 9 * * *", tz="Asia/Shanghai"), cron("0 9 * * *", tz="UTC")),
            "every day at 09:00, Asia/Shanghai time; or every day at 09:00, UTC time",
            "每天 09:00（Asia/Shanghai 时间）；或每天 09:00（UTC 时间）",
        ),
        (
            union(cron("0 9 * * *", tz="Asia/Shanghai"), at("2026-12-01T00:00Z")),
            "every day at 09:00, Asia/Shanghai time; or once at 2026-12-01T00:00:00Z",
            "每天 09:00（Asia/Shanghai 时间）；或在 2026-12-01T00:00:00Z 执行一次",
        ),
        (
            OpaqueTrigger({"kind": "moon", "version": 1}),
            "a trigger of kind 'moon', which this release does not know",
            "类型为 'moon' 的触发器（此版本不识别）",
        ),
    ],
)  # fmt: skip
def test_sentences(trigger, english, chinese):
    assert describe(trigger) == english
    assert describe(trigger, "zh") == chinese


def test_other_languages_are_refused():
    with pytest.raises(TriggerError, match="lang: 'fr' is not spoken here; allowed en, zh"):
        describe(every("5m"), "fr")  # type: ignore[arg-type]


fields = st.sampled_from(
    ["*", "0", "*/5", "0/5", "0-59/5", "0,30", "*/30", "1-5", "0-59", "0-23", "*/2", "0-22/2", "7"]
)
days = st.sampled_from(["*", "1", "1-31", "*/7", "L", "1,8,15,22,29"])
months = st.sampled_from(["*", "1", "1-12", "*/6"])
weekdays = st.sampled_from(["*", "1", "0-6", "1-5", "sun", "7", "*/7", "1#1", "mon-fri"])
near = st.builds("{} {} {} {} {}".format, fields, fields, days, months, weekdays)
any_dialect = st.one_of(
    expressions.map(lambda each: (each.text, "unix")),
    *(said(dialect).map(lambda each: (each.text, each.dialect)) for dialect in ("unix", "quartz")),
)


def same_fires(first: Trigger, second: Trigger) -> bool:
    start = utc("2026-11-21")
    return all(
        next_fires(first, 40, after=after) == next_fires(second, 40, after=after)
        for after in (start, utc("2027-01-31"), utc("2028-02-28"))
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(near, min_size=12, max_size=12))
def test_equal_words_mean_equal_fires_in_both_languages(texts):
    """Nothing that decides about fires is left unsaid."""
    langs: tuple[Lang, Lang] = ("en", "zh")
    for lang in langs:
        seen: dict[str, Trigger] = {}
        for text in texts:
            try:
                trigger = cron(text)
            except TriggerError:
                continue
            words = describe(trigger, lang)
            assert same_fires(seen.setdefault(words, trigger), trigger), (words, text, seen[words])


@settings(max_examples=300, deadline=None)
@given(any_dialect)
def test_every_expression_has_words_in_both_languages(expression):
    try:
        trigger = Cron(expression[0], "UTC", expression[1])
    except TriggerError as error:
        assert "never matches" in str(error)  # noqa: PT017
        return
    english, chinese = describe(trigger), describe(trigger, "zh")
    assert english.isascii()
    assert "  " not in english + chinese
    assert not re.search(r"[a-z]", chinese.replace("UTC", "")), chinese
    assert 0 < len(chinese) < len(english) + 40 < 2_000


def test_both_languages_say_the_same_phrases():
    english, chinese = ({name for name in dir(language(lang)) if not name.startswith("_")} for lang in ("en", "zh"))
    assert english == chinese


# -- fires and notes ---------------------------------------------------------------------------


def notes(trigger: Trigger, after: str, *, lang: str = "en", count: int = 4) -> list[str]:
    found = explain(trigger, count, after=utc(after), lang=lang)  # type: ignore[arg-type]
    return [fire.note for fire in found.fires if fire.note] + list(found.notes)


@pytest.mark.parametrize(
    ("trigger", "after", "expected"),
    [
        (
            cron("30 2 * * *", tz=NEW_YORK),
            "2026-03-06",
            ["Sun 8 Mar 2026: 02:30 does not exist in America/New_York, runs at 03:00"],
        ),
        (
            cron("30 2 * * *", tz=NEW_YORK, gap="skip"),
            "2026-03-06",
            ["Sun 8 Mar 2026: 02:30 does not exist in America/New_York, does not run"],
        ),
        (
            cron("30 1 * * *", tz=NEW_YORK),
            "2026-10-30",
            ["Sun 1 Nov 2026: 01:30 comes twice in America/New_York, runs the first time only"],
        ),
        (
            cron("30 1 * * *", tz=NEW_YORK, fold="both"),
            "2026-10-31",
            [
                "Sun 1 Nov 2026: 01:30 comes twice in America/New_York, this is the first time",
                "Sun 1 Nov 2026: 01:30 comes twice in America/New_York, this is the second time",
            ],
        ),
        (
            calendar_interval(days=1, at="02:15", tz="Australia/Lord_Howe"),
            "2024-10-04",
            ["Sun 6 Oct 2024: 02:15 does not exist in Australia/Lord_Howe, runs at 02:30"],
        ),
        (
            cron("@daily", tz="America/Sao_Paulo"),
            "2017-10-13",
            ["Sun 15 Oct 2017: 00:00 does not exist in America/Sao_Paulo, runs at 01:00"],
        ),
        # where a whole day is missing, it is named, and the day on which its fire is due instead
        (
            cron("0 12 * * *", tz="Pacific/Apia"),
            "2011-12-29",
            ["Fri 30 Dec 2011: 12:00 does not exist in Pacific/Apia, runs on Sat 31 Dec 2011 at 00:00"],
        ),
        (
            union(cron("30 2 * * *", tz=NEW_YORK), every("1d")),
            "2026-03-07T12:00",
            ["Sun 8 Mar 2026: 02:30 does not exist in America/New_York, runs at 03:00"],
        ),
        # a change of the clocks that affects no listed fire is no news
        (cron("0 9 * * *", tz=NEW_YORK), "2026-03-06", []),
        (cron("30 2 * * *", tz=NEW_YORK), "2026-03-09", []),
        (cron("0 3 * * *", tz=NEW_YORK), "2026-03-06", []),
        (cron("0 * * * *", tz=NEW_YORK), "2026-03-08T05:30", []),
        (every("1h"), "2026-03-08", []),
    ],
)
def test_notes_stand_only_where_a_listed_fire_is_affected(trigger, after, expected):
    assert notes(trigger, after) == expected


def test_notes_in_chinese():
    assert notes(cron("30 2 * * *", tz=NEW_YORK), "2026-03-06", lang="zh") == [
        "2026 年 3 月 8 日（周日）：America/New_York 时钟拨快，没有 02:30，改在 03:00 执行"
    ]
    assert notes(cron("0 12 * * *", tz="Pacific/Apia"), "2011-12-29", lang="zh") == [
        "2011 年 12 月 30 日（周五）：Pacific/Apia 时钟拨快，没有 12:00，改在 2011 年 12 月 31 日（周六）00:00 执行"
    ]


def test_local_times_are_those_of_the_triggers_zone_or_of_the_one_asked_for():
    shanghai = explain(cron("0 9 * * *", tz="Asia/Shanghai"), 1, after=utc("2026-11-21"), tz="UTC").fires[0]
    assert f"{shanghai.local:%d %H:%M}" == "21 09:00"
    elapsed = explain(every("1h"), 1, after=utc("2026-11-21"), tz="Asia/Shanghai").fires[0]
    assert f"{elapsed.local:%d %H:%M}" == "21 09:00"


def test_an_explanation_of_what_is_over_has_no_fires():
    over = explain(at("2026-01-01T00:00Z"), 5, after=utc("2026-11-21"))
    assert over.fires == ()
    assert over.text == "once at 2026-01-01T00:00:00Z"


# -- what fires on a day -----------------------------------------------------------------------


def test_a_timeline():
    schedules: dict[str, Trigger] = {
        "report": cron("0 9 * * 1-5", tz="Asia/Shanghai"),
        "sync": every("5m"),
        "beat": cron("* * * * * *"),
        "once": at("2026-11-23T02:30Z"),
        "never": at("2020-01-01T00:00Z"),
    }
    days = timeline(schedules, date(2026, 11, 22), date(2026, 11, 23), tz="Asia/Shanghai")
    assert timeline_text(days).splitlines() == [
        "2026-11-22 Sun",
        "  00:00 ...        beat  (1000+ times)",
        "  00:00 ... 23:55  sync  (288 times)",
        "2026-11-23 Mon",
        "  00:00 ...        beat  (1000+ times)",
        "  00:00 ... 23:55  sync  (288 times)",
        "  09:00            report",
        "  10:30            once",
    ]


def test_a_day_of_the_timeline_has_as_many_hours_as_the_wall_shows():
    for day, hours in (("2026-03-08", 23), ("2026-11-01", 25), ("2026-06-01", 24)):
        days = timeline({"hourly": every("1h")}, *[date.fromisoformat(day)] * 2, tz=NEW_YORK)
        assert days[date.fromisoformat(day)][0].count == hours


def test_days_without_a_fire_are_left_out_and_too_many_days_refused():
    assert timeline({"a": cron("0 9 * * 1")}, date(2026, 11, 21), date(2026, 11, 22)) == {}
    assert timeline_text({}) == ""
    for end in (date(2026, 11, 20), date(2028, 1, 1)):
        with pytest.raises(TriggerError, match="are not 1 to 366"):
            timeline({}, date(2026, 11, 21), end)
