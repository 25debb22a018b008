"""Triggers as people read them; what is not known is shown, too."""

from __future__ import annotations

from typing import Any

import pytest

from tickonce.cli.texts import trigger_text, tz_of
from tickonce.triggers import load_trigger, parse_trigger

CRON: dict[str, Any] = {"kind": "cron", "version": 1, "dialect": "unix", "expression": "0 9 * * 1-5"}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (CRON, "0 9 * * 1-5"),
        ({**CRON, "tz": "Asia/Tokyo"}, "0 9 * * 1-5 (Asia/Tokyo)"),
        ({"kind": "every", "version": 1, "period": "1h30m", "spread": True}, "every 1h30m spread"),
        (
            {"kind": "every", "version": 1, "period": "5m", "anchor": "2026-01-01T00:00:00Z"},
            "every 5m from 2026-01-01T00:00:00Z",
        ),
        (
            {"kind": "at", "version": 1, "instants": [f"2026-01-0{day}T00:00:00Z" for day in range(1, 6)]},
            "at 2026-01-01T00:00:00Z, 2026-01-02T00:00:00Z, 2026-01-03T00:00:00Z, 2 more",
        ),
        (
            {"kind": "calendar", "version": 1, "months": 3, "at": "18:00", "anchor": "2026-01-31", "tz": "UTC"},
            "every 3 months at 18:00 from 2026-01-31 (UTC)",
        ),
        (
            {"kind": "but_not", "version": 1, "triggers": [CRON, {"kind": "every", "version": 1, "period": "2h"}]},
            "(0 9 * * 1-5) but not (every 2h)",
        ),
        (
            {"kind": "calendar", "version": 1, "days": 14, "at": "09:00", "anchor": "2026-01-05"},
            "every 2 weeks at 09:00 from 2026-01-05",
        ),
        (
            {"kind": "calendar", "version": 1, "months": 1, "at": "09:00", "anchor": "2026-01-05"},
            "every month at 09:00 from 2026-01-05",
        ),
        (
            {"kind": "solar", "version": 1, "event": "sunrise", "latitude": 31.23, "longitude": 121.47},
            "solar sunrise 31.23 121.47",
        ),
        (
            {"kind": "rrule", "version": 1, "rule": "DTSTART:20260101T090000\nRRULE:FREQ=DAILY"},
            "DTSTART:20260101T090000 RRULE:FREQ=DAILY",
        ),
        (
            {
                "kind": "on_days",
                "version": 1,
                "trigger": CRON,
                "calendar": {"days": "working", "country": "DE", "subdivision": "BY", "unknown": "weekday"},
                "condition": "only",
                "move": "next",
                "tz": "Europe/Berlin",
            },
            "(0 9 * * 1-5) on working days of DE-BY, else the next one (Europe/Berlin)",
        ),
        ({"kind": "moon", "version": 7, "phase": "full"}, "moon (not known to this release)"),
    ],
)
def test_a_trigger_is_shown_in_one_line(spec, text):
    assert trigger_text(load_trigger(spec)) == text


@pytest.mark.parametrize(
    "text",
    [
        "0 9 * * 1-5",
        "quartz 0 0 9 ? * MON-FRI",
        "every 5m",
        "every 2 weeks at 09:00 from 2026-01-05",
        "every month at 09:00 from 2026-01-31",
        "solar sunrise 31.23 121.47",
        "DTSTART:20260101T090000 RRULE:FREQ=DAILY",
        "at 2026-12-01T01:00:00Z, 2026-12-24T01:00:00Z",
    ],
)
def test_what_is_shown_can_be_typed(text):
    assert trigger_text(parse_trigger(text)) == text


def test_the_zone_of_a_trigger_is_the_one_it_names():
    assert tz_of(load_trigger({**CRON, "tz": "Asia/Tokyo"})) == "Asia/Tokyo"
    assert tz_of(load_trigger({"kind": "every", "version": 1, "period": "5m"})) is None
