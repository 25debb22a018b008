"""Crontabs as text."""

from __future__ import annotations

from timeit import repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickonce.errors import TriggerError
from tickonce.triggers import cron, every
from tickonce.triggers.crontab import parse_crontab

USER = r"""
# a remark
MAILTO=ops@example.org
SHELL = "/bin/bash"
*/5 * * * *   sync --fast
  0 9 * * mon-fri	report "two words"

CRON_TZ=Asia/Tokyo
'PATH' = '/usr/bin:/bin '
0 5 1 jan *  mail -s x%Dear %all,%bye
30 2 * * * date +\%F
CRON_TZ=
@daily clean
@every 90s poll
@reboot warm-up
-15 3 * * 0 quiet
"""


def test_a_users_crontab():
    found = parse_crontab(USER)
    assert [(entry.line, entry.trigger, entry.command, entry.stdin) for entry in found.entries] == [
        (5, cron("*/5 * * * *"), "sync --fast", None),
        (6, cron("0 9 * * mon-fri"), 'report "two words"', None),
        (10, cron("0 5 1 jan *", tz="Asia/Tokyo"), "mail -s x", "Dear \nall,\nbye"),
        (11, cron("30 2 * * *", tz="Asia/Tokyo"), "date +%F", None),
        (13, cron("@daily"), "clean", None),
        (14, every("90s"), "poll", None),
        (16, cron("15 3 * * 0"), "quiet", None),
    ]
    assert {entry.user for entry in found.entries} == {None}
    assert dict(found.entries[0].environment) == {"MAILTO": "ops@example.org", "SHELL": "/bin/bash"}
    assert dict(found.entries[2].environment)["PATH"] == "/usr/bin:/bin "
    [problem] = found.problems
    assert (problem.line, problem.text) == (15, "@reboot warm-up")
    assert "names no time" in problem.reason


def test_a_systems_crontab_has_a_user_before_the_command():
    found = parse_crontab("17 * * * * root cd / && run-parts /etc/cron.hourly\n@weekly backup  tar -c /\n", system=True)
    assert [(entry.user, entry.command) for entry in found.entries] == [
        ("root", "cd / && run-parts /etc/cron.hourly"),
        ("backup", "tar -c /"),
    ]


@pytest.mark.parametrize(
    ("line", "system", "reason"),
    [
        ("60 * * * * x", False, "minute: 60 is out of range"),
        ("* * * * *", False, "a command must stand behind"),
        ("* * * * * root", True, "a command must stand behind"),
        ("@daily", True, "a user and a command must stand behind"),
        ("* * * *", False, "has 4 field"),
        ("hello", False, "has 1 field"),
        ("@sometimes x", False, "is not known"),
        ("@every x y", False, "period: 'x'"),
        ("0~59 * * * * x", False, "write H\\(0-59\\)"),
        ("0 0 31 2 * x", False, "never matches"),
        ("CRON_TZ=Nowhere/Land\n0 0 * * * x", False, "no zone is called"),
    ],
)
def test_a_line_that_cannot_be_read_is_reported_and_the_others_are_read(line, system, reason):
    found = parse_crontab(f"{line}\nCRON_TZ=UTC\n0 9 * * * me too", system=system)
    [problem] = found.problems
    assert problem.line == line.count("\n") + 1
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(problem.reason)
    assert len(found.entries) == 1


def test_a_command_may_have_an_equals_sign():
    [entry] = parse_crontab("0 9 * * * A=1 run --x=2").entries
    assert entry.command == "A=1 run --x=2"


def test_the_end_of_lines_may_be_that_of_windows():
    assert parse_crontab("0 9 * * * run\r\n").entries[0].command == "run"


def test_a_huge_text_is_refused_and_a_large_one_is_read_in_linear_time():
    with pytest.raises(TriggerError, match="1000001 characters"):
        parse_crontab("x" * 1_000_001)
    for text in ("x" * 1_000_000, "* " * 500_000, "%" * 999_990, "\\%" * 400_000, "A=" + "'" * 900_000):
        assert min(repeat(lambda: parse_crontab(text), number=1, repeat=3)) < 0.5  # noqa: B023


@settings(max_examples=200, deadline=None)
@given(st.text() | st.lists(st.sampled_from(USER.splitlines())).map("\n".join), st.booleans())
def test_any_text_is_read_and_each_line_is_an_entry_a_problem_or_neither(text, system):
    found = parse_crontab(text, system=system)
    lines = [entry.line for entry in found.entries] + [problem.line for problem in found.problems]
    assert len(lines) == len(set(lines)) <= text.count("\n") + 1


def test_a_byte_order_mark_in_front_is_no_part_of_the_first_line():
    assert [entry.command for entry in parse_crontab("\ufeff0 5 * * 1 first\n0 6 * * 1 second").entries] == [
        "first",
        "second",
    ]
