"""What an expression may say, and what is said about one that cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tickonce.errors import TriggerError
from tickonce.triggers import cron
from tickonce.triggers.fields import DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH


def values(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        (MINUTE, "*", range(60)),
        (MINUTE, "7", [7]),
        (MINUTE, "07", [7]),
        (MINUTE, "1-4", range(1, 5)),
        (MINUTE, "*/15", [0, 15, 30, 45]),
        (MINUTE, "1-30/10", [1, 11, 21]),
        (MINUTE, "5/15", [5, 20, 35, 50]),  # to the largest value; Debian refuses this, nobody reads it otherwise
        (MINUTE, "5-5/15", [5]),
        (MINUTE, "*/60", [0]),
        (MINUTE, "1,2,2,50-52", [1, 2, 50, 51, 52]),
        (MINUTE, "*,5", range(60)),
        (HOUR, "0-23/6", [0, 6, 12, 18]),
        (HOUR, "*/24", [0]),
        (DAY_OF_MONTH, "*/10", [1, 11, 21, 31]),
        (DAY_OF_MONTH, "31", [31]),
        (MONTH, "jan,Mar,DEC", [1, 3, 12]),
        (MONTH, "jun-aug", [6, 7, 8]),
        (MONTH, "feb/3", [2, 5, 8, 11]),
        (MONTH, "*/5", [1, 6, 11]),
        (DAY_OF_WEEK, "mon-fri", range(1, 6)),
        (DAY_OF_WEEK, "sun", [0]),
        (DAY_OF_WEEK, "7", [7]),
        (DAY_OF_WEEK, "5-7", [5, 6, 7]),
        (DAY_OF_WEEK, "sat-sun", [6, 7]),  # only a week that ends with Sunday can be meant
        (DAY_OF_WEEK, "sun-tue", [0, 1, 2]),
        (DAY_OF_WEEK, "sun-sun", [0]),
        (DAY_OF_WEEK, "*/2", [0, 2, 4, 6]),
        (DAY_OF_WEEK, "*/7", [0, 7]),
        (DAY_OF_WEEK, "1/2", [1, 3, 5, 7]),
    ],
)
def test_values(field, text, expected):
    assert values(field.mask(text)) == list(expected)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("60 * * * *", "minute: 60 is out of range, allowed 0-59; the full hour is 0"),
        ("* 24 * * *", "hour: 24 is out of range, allowed 0-23; midnight is 0"),
        ("* * 0 * *", "day of month: 0 is out of range, allowed 1-31"),
        ("* * 32 * *", "day of month: 32 is out of range, allowed 1-31"),
        ("* * * 0 *", "month: 0 is out of range, allowed 1-12 or jan-dec; January is 1"),
        ("* * * 13 *", "month: 13 is out of range"),
        ("* * * * 8", "day of week: 8 is out of range, allowed 0-7 or sun-sat, 5L or 1#2; Sunday is 0 or 7"),
        ("1-99 * * * *", "minute: 99 is out of range"),
        ("1-999999999 * * * *", "minute: 999999999 is out of range"),
        ("*/0 * * * *", "minute: the step in '\\*/0' is 0; allowed 1-60"),
        ("*/61 * * * *", "minute: the step in '\\*/61' is too long"),
        ("*/90 * * * *", r"every\('90m'\)"),
        ("0 */36 * * *", r"every\('36h'\)"),
        ("0 0 */40 * *", r"every\('40d'\)"),
        ("0 0 * * */8", "day of week: the step in '\\*/8' is too long, allowed 1-7"),
        ("*/ * * * *", "minute: the step in '\\*/' is not a number"),
        ("*/-5 * * * *", "is not a number"),
        ("*/5/5 * * * *", "is not a number"),
        ("*/x * * * *", "minute: the step in '\\*/x' is not a number"),
        ("1,,2 * * * *", "minute: '1,,2' has an empty element"),
        ("1, * * * *", "empty element"),
        ("1- * * * *", "minute: a value is missing in '1-'"),
        ("-1 * * * *", "minute: a value is missing in '-1'"),
        ("1-2-3 * * * *", "minute: '2-3' in '1-2-3' is not understood"),
        ("a * * * *", "minute: 'a' is not understood; allowed 0-59"),
        ("+1 * * * *", "is not understood"),
        ("1.5 * * * *", "is not understood"),
        ("** * * * *", "is not understood"),
        ("*-5 * * * *", "is not understood"),
        ("٣ * * * *", "is not understood"),  # a digit, but not of ours
        ("² * * * *", "is not understood"),
        ("* jan * * *", "hour: 'jan' is not understood"),
        ("* * * january *", "month: 'january' is not understood.*Did you mean 'jan'"),
        ("* * * * Friday", "Did you mean 'fri'"),
        ("* * * * *", None),
        ("", "is empty; it has five fields: minute, hour, day of month, month, day of week"),
        (" \n\t ", "is empty"),
        ("* * * *", "has 4 field"),
        ("0 * * * * * 2026", "has seven fields.*dialect='quartz'.*1 is Sunday"),
        ("* * * * * * * *", "has 8 field"),
        ("CRON_TZ=Asia/Tokyo 0 5 * * *", "give the zone as tz="),
        ("@every 5m", r"every\('5m'\)"),
        ("@reboot", "names no time"),
        ("@dayly", "Did you mean '@daily'"),
        ("@", "is not known; allowed @hourly"),
        ("0 0 31 2 *", "never matches: no such day comes in month '2'"),
        ("0 0 30-31 feb *", "never matches"),
        ("0 0 31 4,6,9,11 *", "never matches"),
        ("0 0 31 2 */2", "never matches"),
        (5, "is text"),
        (None, "is text"),
        (b"* * * * *", "is text"),
    ],
)
def test_what_cannot_be_read_is_refused_with_field_value_and_advice(expression, said):
    if said is None:
        cron(expression)
        return
    with pytest.raises(TriggerError, match=said):
        cron(expression)


def test_the_error_shows_the_expression():
    with pytest.raises(TriggerError, match=r"in the cron expression '60 9 \* \* \*'"):
        cron("60 9 * * *")


def test_sunday_of_a_restricted_weekday_keeps_an_impossible_day_of_month():
    """Either is enough when both are restricted, as in Vixie's cron; so 31 February does no harm here."""
    cron("0 0 31 2 1")


def test_spaces_do_not_matter():
    assert cron("  0\t9 *  * 1-5\n") == cron("0 9 * * 1-5")
    assert cron(" @Daily ").expression == "@daily"


@pytest.mark.parametrize(
    ("nickname", "expression"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_nicknames(nickname, expression):
    assert cron(nickname)._reading.fixed == cron(expression)._reading.fixed
    now = datetime(2026, 11, 21, 7, 33, tzinfo=UTC)
    assert cron(nickname).next_after(now) == cron(expression).next_after(now)
