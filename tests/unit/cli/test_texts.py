"""Triggers as people read them; what is not known is shown, too."""

from __future__ import annotations

from typing import Any

import pytest

from tickonce.cli.texts import trigger_text, tz_of
from tickonce.triggers import load_trigger

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
        ({"kind": "moon", "version": 7, "phase": "full"}, "moon (not known to this release)"),
    ],
)
def test_a_trigger_is_shown_in_one_line(spec, text):
    assert trigger_text(load_trigger(spec)) == text


def test_the_zone_of_a_trigger_is_the_one_it_names():
    assert tz_of(load_trigger({**CRON, "tz": "Asia/Tokyo"})) == "Asia/Tokyo"
    assert tz_of(load_trigger({"kind": "every", "version": 1, "period": "5m"})) is None
