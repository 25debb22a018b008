"""``tickonce next``: with an expression it needs nothing set up."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def nothing(tickonce, monkeypatch):
    monkeypatch.delenv("TICKONCE_STORE")
    return tickonce


def test_an_expression_needs_no_store_and_says_its_zone(nothing):
    said = nothing("next", "0 9 * * mon-fri", "--tz", "Asia/Shanghai", "-n", "2", "--from", "2026-11-21T00:00")
    assert "0 9 * * mon-fri in time zone Asia/Shanghai" in said.stderr
    lines = said.stdout.splitlines()
    assert lines[0].split() == ["SCHEDULED", "TIME", "UTC"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["Mon", "2026-11-23", "09:00:00+08:00"],
        ["Tue", "2026-11-24", "09:00:00+08:00"],
    ]


def test_without_a_zone_it_is_utc_and_that_is_said(nothing):
    assert "in time zone UTC; another one: --tz" in nothing("next", "@daily", "-n", "1").stderr


def test_json_names_trigger_zone_and_fires(nothing):
    form = nothing.json("next", "every 90s", "-n", "2", "--from", "2026-01-01T00:00:10Z")
    assert form == {
        "trigger": {"kind": "every", "version": 1, "period": "1m30s"},
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
