"""No text and no expression is slow: bounds far above what is measured, so that a busy machine keeps them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from timeit import repeat

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.triggers.oracle import CHANGES
from tickonce.errors import TriggerError
from tickonce.triggers import at, cron, every, parse_trigger
from tickonce.triggers.dialects import read_cron
from tickonce.triggers.rrule import rrule
from tickonce.triggers.zones import _zone

NOW = datetime(2026, 11, 21, 7, 33, 12, tzinfo=UTC)
BEFORE_1904 = datetime(1896, 3, 1, tzinfo=UTC)  # 1900 was no leap year: the longest wait there is


def quickest(call: Callable[[], object], *, tries: int = 7) -> timedelta:
    return timedelta(seconds=min(repeat(call, number=1, repeat=tries)))


SLOW = [
    "0 0 29 2 *",
    "0 0 29 2 1",
    "0 0 29 2 */7",
    "* * 29 2 */7",
    "*/5 2 29 2 */6",
    "59 23 31 12 *",
    "* 23 31 12 */5",
    "0 0 31 */5 *",
    "* * * * *",
    "*/59 */23 */31 */12 */7",
    "0-59 0-23 1-31 1-12 0-7",
    "* * * * * fri#5",
    "*/7 * * 29 2 sun#5",
    "0 0 0 L-2W 2 */5",
    "quartz 0 0 0 29 2 ? 2096",
    "quartz * * * ? 2 7#5 2000-2099",
    "quartz 59 59 23 31W 12 ? *",
]


@pytest.mark.parametrize("expression", SLOW)
@pytest.mark.parametrize("tz", ["UTC", "America/New_York", "Africa/Casablanca"])
def test_no_question_takes_a_millisecond(expression, tz):
    trigger = parse_trigger(f"CRON_TZ={tz} {expression}")
    for after in (NOW, BEFORE_1904, datetime(1, 1, 1, tzinfo=UTC), datetime(9990, 1, 1, tzinfo=UTC)):
        assert quickest(partial(trigger.next_after, after)) < timedelta(milliseconds=1), after


IN_GAPS = [
    cron("* 2 * 3 0#2", tz="America/New_York"),
    cron("* 1 * 3 0L", tz="Europe/London"),
    cron("* 2 * 3 7L", tz="Europe/Berlin"),
    cron("* 0 * 4 5L", tz="Africa/Cairo"),
    rrule(
        "DTSTART:20260309T000000 RRULE:FREQ=MINUTELY;BYMONTH=3;BYHOUR=2;BYDAY=SU;BYMONTHDAY=8,9,10,11,12,13,14",
        tz="America/New_York",
    ),
]


@pytest.mark.parametrize("trigger", IN_GAPS, ids=str)
def test_times_that_always_fall_into_a_gap_are_soon_known_never_to_come(trigger):
    after = datetime(2026, 5, 1, tzinfo=UTC)
    assert trigger.next_after(after) is None
    assert quickest(partial(trigger.next_after, after)) < timedelta(milliseconds=2)


@pytest.mark.parametrize("expression", SLOW)
def test_nor_does_the_first_question_of_all(expression):
    """With nothing remembered of the expression and of the zone's offsets."""

    def ask() -> None:
        read_cron.cache_clear()
        _zone.cache_clear()
        trigger = parse_trigger(f"CRON_TZ=America/New_York {expression}")
        trigger.next_after(BEFORE_1904)

    ask()  # the standard library reads the zone's file once
    assert quickest(ask) < timedelta(milliseconds=2)


def test_long_walks_stay_fast_where_nothing_is_remembered_for_long():
    trigger = cron("* * 29 2 */7", tz="America/New_York")
    years = iter(range(1, 9_000, 40))
    assert quickest(lambda: trigger.next_after(datetime(next(years), 1, 1, tzinfo=UTC)), tries=50) < timedelta(
        milliseconds=1
    )


HOSTILE = [
    "x" * 1_000_000,
    " " * 1_000_000,
    "1," * 500_000 + " * * * *",
    "* " * 500_000,
    "1-999999999 * * * *",
    "*/999999999 * * * *",
    "9" * 900 + " * * * *",
    "0-" + "9" * 900 + " * * * *",
    "*," * 400 + "* * * * *",
    "0-59/1," * 130 + "0 * * * *",
    "every " + "9" * 1_000_000 + "s",
    "every " + "1s" * 500_000,
    "every " + "9" * 90 + "w",
    "at " + "2026-12-01T00:00Z," * 100_000,
    "at " + "2026-12-01T00:00Z," * 500,
    "@" + "x" * 900,
    "H," * 400 + "H * * * *",
    "H(0-9999)/9999 * * * *",
    "H" * 900 + " * * * *",
    "0 0 " + "LW," * 300 + "L * *",
    "0 0 * * " + "1#5," * 240 + "5L",
    "0 0 " + "15W," * 240 + "L-9999 * *",
    "quartz 0 0 0 ? * * 1970-2099,1970-2099/3,2000-999999999",
    "CRON_TZ=" + "A/" * 400 + "B * * * * *",
    "CRON_TZ=" + "X" * 9_000 + " * * * * *",
    "\0" * 1_000,
    "٣" * 1_000,
    "-" * 1_000,
    "/" * 1_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:12].replace("\0", "0"))
def test_no_text_takes_ten_milliseconds(text):
    def read() -> None:
        read_cron.cache_clear()
        for make in (parse_trigger, cron, every, at):
            try:
                make(text)
            except TriggerError as error:
                assert len(str(error)) < 700  # noqa: PT017 - a message is for people, whatever it is about

    assert quickest(read, tries=3) < timedelta(milliseconds=10)


alphabet = "0123456789*/-,@ LW#?HRjanmosuefriABC+.\t\n:TZ\0é٣²"
tokens = st.lists(
    st.sampled_from(
        [
            "L",
            "W",
            "#",
            "?",
            "H",
            "quartz ",
            "CRON_TZ=UTC ",
            "*",
            "0",
            "59",
            "60",
            "-",
            "/",
            ",",
            " ",
            "mon",
            "jan",
            "7",
            "29",
            "31",
            "2",
            "every ",
            "at ",
            "@",
        ]
    )
)


@settings(max_examples=500, deadline=None)
@given(st.text() | st.text(alphabet) | tokens.map("".join) | st.text(alphabet, min_size=1).map("{0} * * * *".format))
@example("0 0 29 2 */7")
def test_any_text_is_a_trigger_or_refused(text):
    """No other error comes of any text, and what is read can be asked."""
    try:
        trigger = parse_trigger(text)
    except TriggerError as error:
        assert str(error)  # noqa: PT017
        return
    found = trigger.next_after(NOW)
    assert found is None or found > NOW


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40) | st.sampled_from(sorted(CHANGES)).map(str.lower))
def test_any_text_is_a_zone_or_refused(text):
    try:
        cron("@daily", tz=text)
    except TriggerError as error:
        assert str(error).startswith("tz: ")  # noqa: PT017
