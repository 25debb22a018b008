"""Lengths of time, read and written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickonce.durations import format_duration, parse_duration
from tickonce.errors import ConfigError, TriggerError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("1d", timedelta(days=1)),
        ("2w", timedelta(weeks=2)),
        ("90s", timedelta(seconds=90)),
        ("7us", timedelta(microseconds=7)),
        ("0s", timedelta(0)),
        ("1w2d3h4m5s6ms7us", timedelta(9, 5, 7, 6, 4, 3)),
        ("1.5h", timedelta(minutes=90)),
        ("0.000001s", timedelta(microseconds=1)),
        ("1.10s", timedelta(seconds=1, milliseconds=100)),
        (" 1h 30m ", timedelta(minutes=90)),
        ("1 d", timedelta(days=1)),
        ("100h", timedelta(hours=100)),
        ("999999999d", timedelta(days=999_999_999)),
        (timedelta(seconds=3), timedelta(seconds=3)),
    ],
)
def test_reads(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "'' is not a length of time; write a number and a unit"),
        ("   ", "is not a length"),
        ("90", "'90' has a number without a unit; write '90s'"),
        ("5m30", "'5m30' has a number without a unit"),
        ("5min", "has the unit 'min'; write '5m'"),
        ("5 minutes", "write '5m'"),
        ("2 Hours", "write '2h'"),
        ("5M", "write '5m' for minutes .there are no months"),
        ("5H", "write '5h'"),
        ("5MS", "write '5ms'"),
        ("3y", "has the unit 'y'; allowed are w, d, h, m, s, ms, us"),
        ("5µs", "unit"),
        ("30m1h", "has 'h' behind 'm'; write the larger unit first"),
        ("1m1m", "has 'm' behind 'm'"),
        ("-5m", "is not a length of time"),
        ("+5m", "is not a length of time"),
        ("5m!", "is not a length of time"),
        ("PT5M", "is not a length of time"),
        ("1e3s", "unit 'e'"),
        (".5s", "is not a length of time"),
        ("1.s", "unit"),
        ("٣m", "is not a length of time"),
        ("0.1us", "not a whole number of microseconds"),
        ("1000000000d", "too long; at most 999999999 days"),
        ("9" * 90 + "w", "too long"),
        ("1" * 1_000_000, "is not a length of time"),
        (timedelta(seconds=-1), "is negative"),
        (5, "5 is neither a timedelta nor text"),
        (5.0, "neither"),
        (None, "neither"),
        (True, "neither"),
        (b"5m", "neither"),
    ],
)
def test_refuses_with_advice(value, said):
    with pytest.raises(ConfigError, match=rf"^timeout: .*{said}"):
        parse_duration(value, "timeout")


def test_raises_the_error_asked_for():
    with pytest.raises(TriggerError, match=r"^period: "):
        parse_duration("5", error=TriggerError)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(microseconds=1), "1us"),
        (timedelta(microseconds=1500), "1.5ms"),
        (timedelta(milliseconds=250), "250ms"),
        (timedelta(seconds=1), "1s"),
        (timedelta(seconds=1, microseconds=1), "1.000001s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(minutes=5), "5m"),
        (timedelta(minutes=5, milliseconds=500), "5m0.5s"),
        (timedelta(hours=36), "1d12h"),
        (timedelta(days=7), "7d"),
        (timedelta.max, "999999999d23h59m59.999999s"),
    ],
)
def test_writes(value, text):
    assert format_duration(value) == text
    assert parse_duration(text) == value


def test_writes_no_negative_length():
    with pytest.raises(ValueError, match="zero or longer"):
        format_duration(timedelta(seconds=-1))


@given(st.timedeltas(min_value=timedelta(0)) | st.timedeltas(timedelta(0), timedelta(days=2)))
def test_what_is_written_is_read_back(value):
    assert parse_duration(format_duration(value)) == value


@given(st.text() | st.text("0123456789.wdhmsu ", max_size=20))
def test_any_text_is_a_length_or_refused(text):
    try:
        found = parse_duration(text)
    except ConfigError:
        return
    assert found >= timedelta(0)
    assert parse_duration(format_duration(found)) == found
