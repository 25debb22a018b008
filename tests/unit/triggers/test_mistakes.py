"""Mistakes that people make: each message says what is wrong, what is allowed, and offers what was probably meant."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from timeit import repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickonce.errors import TriggerError
from tickonce.triggers import cron, parse_trigger

#: A text, what its error says, and what it offers.
MISTAKES = [
    ("*/5 * * *", "has 4 field(s), allowed are five: minute, hour", "*/5 * * * *"),
    ("0 9 ** *", "has 4 field(s)", "0 9 * * *"),
    ("60 * * * *", "minute: 60 is out of range, allowed 0-59; the full hour is 0", None),
    ("0 24 * * *", "hour: 24 is out of range, allowed 0-23; midnight is 0", None),
    ("0 0 31 2 *", "never matches: no such day comes in month '2'", None),
    ("0 0 * * 8", "day of week: 8 is out of range, allowed 0-7 or sun-sat, 5L or 1#2; Sunday is 0 or 7", None),
    ("0 9 * * MON-FRY", "day of week: 'FRY' in 'MON-FRY' is not understood", "fri"),
    ("0 9 * * monday", "day of week: 'monday' is not understood", "mon"),
    ("0 9 * january *", "month: 'january' is not understood", "jan"),
    ("5/0 * * * *", "minute: the step in '5/0' is 0; allowed 1-60", None),
    ("*/0 * * * *", "minute: the step in '*/0' is 0; allowed 1-60", None),
    ("*/90 * * * *", "a longer distance is every('90m')", None),
    ("0 0 * * L5", "day of week: 'L5' is not understood", "0 0 * * 5L"),
    ("0 0 * * 5#6", "write 1#1 to 1#5, first to fifth", None),
    ("-5 * * * *", "minute: a value is missing in '-5'", None),
    ("＊/5 * * * *", "minute: '＊' in '＊/5' is not understood", "*/5 * * * *"),
    ("0 ９ * * *", "hour: '９' is not understood", "0 9 * * *"),
    ("0 9，12 * * *", "hour: '9，12' is not understood", "0 9,12 * * *"),
    ("0 9、12 * * *", "hour: '9、12' is not understood", "0 9,12 * * *"),
    ("0 9 * * 周一", "day of week: '周一' is not understood", "0 9 * * mon"),
    ("0 9 * * 星期五", "day of week: '星期五' is not understood", "0 9 * * fri"),
    ('"0 9 * * *"', "minute: '\"0' is not understood", "0 9 * * *"),
    ("0 9 * * 1-5;", "'5;' in '1-5;' is not understood", "0 9 * * 1-5"),
    ("0 9 * * mon,", "has an empty element beside a comma", "0 9 * * mon"),
    ("0 9 * * * # daily", "has seven fields", "0 9 * * *"),
    ("0 0 12 ? * *", "has a '?', which Quartz writes; say so: dialect='quartz'", "quartz 0 0 12 ? * *"),
    ("0 0 12 1/5 * ? 2026", "has seven fields, as Quartz writes them", "quartz 0 0 12 1/5 * ? 2026"),
    ("quartz 0 0 12 ? * ?", "has '?' twice; write '*' for one of the two", None),
    ("quartz 0 0 12 1 * 2", "restricts day of month and day of week", None),
    ("quartz 0 0 12 1/5 * ? 2020-2019", "year: the range '2020-2019' runs backwards; write '2019-2020'", None),
    ("quartz 0 0 0 ? * 0", "day of week: 0 is out of range, allowed 1-7 or sun-sat, L, 6L or 2#1; Sunday is 1", None),
    ("quartz 0 0 9 * * ? 1969", "year: 1969 is out of range, allowed 1970-2099", None),
    ("cron(0 12 * * ? *)", "has a '?'", "0 12 * * *"),
    ("rate(5 minutes)", "has 2 field(s)", "every 5m"),
    ("@dayly", "'@dayly' is not known; allowed @hourly", "@daily"),
    ("daily", "has 1 field(s)", "@daily"),
    ("R/PT5M", "has 1 field(s)", "every 5m"),
    ("P1DT12H", "has 1 field(s)", "every 1d12h"),
    ("5 minutes", "has 2 field(s)", "every 5m"),
    ("evry 5m", "has 2 field(s)", "every 5m"),
    ("solr sunrise 31.23 121.47", "has 4 field(s)", "solar sunrise 31.23 121.47"),
    ("quartz:0 0 9 * * ?", "has a '?'", "quartz 0 0 9 * * ?"),
    ("0 0 9 * * 1", "as text 'unix 0 0 9 * * 1'; for the latter 'unix 1 0 0 9 * *'", "unix 0 0 9 * * 1"),
    ("every 5 minutes", "period: '5 minutes' has the unit 'minutes'", "every 5m"),
    ("every five minutes", "is not a length of time", "every 5m"),
    ("every minute", "is not a length of time", "every 1m"),
    ("every 5", "has a number without a unit; write '5s'", None),
    ("9:00", "has 1 field(s)", "every day at 09:00"),
    ("at 9:00", "'9:00' is not an instant", "every day at 09:00"),
    ("every day 9:00", "is not a length of time", "every day at 09:00"),
    ("every monday at 09:30", "is not a length of time", "30 9 * * mon"),
    ("every monday at 9", "is not a length of time", "0 9 * * mon"),
    ("mondays at 9:30 pm", "has 4 field(s)", "30 21 * * mon"),
    ("on friday 12am", "has 3 field(s)", "0 0 * * fri"),
    ("at 9", "'9' is not an instant", "every day at 09:00"),
    ("9", "has 1 field(s)", None),
    ("every weekday at 09:00", "is not a length of time", "0 9 * * mon-fri"),
    ("0 9 * * 1-5 Asia/Shanghai", "'Asia/Shanghai' is not a number", "CRON_TZ=Asia/Shanghai 0 9 * * 1-5"),
    ("CRON_TZ=Asia/Shangai 0 9 * * *", "no zone is called 'Asia/Shangai'", "Asia/Shanghai"),
    ("CRON_TZ=Beijing 0 9 * * *", "no zone is called 'Beijing'", "Asia/Shanghai"),
    ("CRON_TZ=北京 0 9 * * *", "no zone is called '北京'", "Asia/Shanghai"),
    ("CRON_TZ=CST 0 9 * * *", "CST stands for several zones: Asia/Shanghai, America/Chicago", None),
    ("CRON_TZ=GMT+8 0 9 * * *", "the sign there is the other way round", "Etc/GMT-8"),
    ("CRON_TZ=+08:00 0 9 * * *", "the sign there is the other way round", "Etc/GMT-8"),
    ("CRON_TZ=UTC-5 0 9 * * *", "the sign there is the other way round", "Etc/GMT+5"),
    ("CRON_TZ=+05:30 0 9 * * *", "A fixed offset stands for no place", None),
]


@pytest.mark.parametrize(("text", "said", "offered"), MISTAKES, ids=[text for text, _, _ in MISTAKES])
def test_the_message_says_what_is_wrong_and_offers_what_was_meant(text, said, offered):
    with pytest.raises(TriggerError, match=re.escape(said)) as caught:
        parse_trigger(text)
    offers = re.findall(r"Did you mean '([^']*)'", str(caught.value))
    assert offers == ([] if offered is None else [offered])


def test_what_is_offered_for_a_whole_line_can_be_read_and_fires():
    for _, _, offered in MISTAKES:
        if offered is not None and (" " in offered or offered.startswith("@")):
            assert parse_trigger(offered).next_after(datetime(2026, 1, 1, tzinfo=UTC)) is not None


def test_cron_offers_expressions_alone():
    for text, offered in (("０ 9 * * *", "0 9 * * *"), ("daily", "@daily"), ("0 0 * * L5", "0 0 * * 5L")):
        with pytest.raises(TriggerError, match=f"Did you mean {re.escape(repr(offered))}"):
            cron(text)
    for text in ("5 minutes", "9:00", "0 0 12 ? * *"):
        with pytest.raises(TriggerError) as caught:
            cron(text)
        assert "Did you mean" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text("0123456789*/,-?#LWH 周一星期、，＊monpt()@:", max_size=60))
def test_whatever_is_offered_can_be_read(text):
    try:
        parse_trigger(text)
    except TriggerError as error:
        for offered in re.findall(r"\. Did you mean '([^']*)'\?\Z", str(error)):
            parse_trigger(offered)


@pytest.mark.parametrize("text", ["１" * 200, "every " + "a" * 190, "周一" * 90, "0 9 * * " + "周一," * 60, "1 " * 99])
def test_offers_take_no_time(text):
    def read() -> None:
        with pytest.raises(TriggerError):
            parse_trigger(text)

    assert min(repeat(read, number=1, repeat=5)) < 0.01
