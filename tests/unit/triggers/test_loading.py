"""What is loaded when: a program that needs cron alone pays for cron alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tickonce.triggers

#: Rarer kinds, with calendars, words and recurrence rules: loaded by those who use them.
LATER = {"calendar", "combine", "days", "describe", "explain", "rrule", "sun"}


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_importing_tickonce_loads_no_rarer_triggers_and_no_calendars():
    loaded = modules_after("import tickonce")
    assert loaded & {f"tickonce.triggers.{name}" for name in LATER} == set()
    assert not [name for name in loaded if name.startswith("tickonce.calendars")]


def test_what_is_loaded_later_is_there_when_asked_for():
    for name in tickonce.triggers.__all__:
        found = getattr(tickonce.triggers, name)
        assert getattr(tickonce.triggers, name) is found
    loaded = modules_after("from tickonce.triggers import solar, union; assert callable(solar) and callable(union)")
    assert {"tickonce.triggers.combine", "tickonce.triggers.sun"} <= loaded
    with pytest.raises(AttributeError, match="has no attribute 'lunar'"):
        tickonce.triggers.lunar  # noqa: B018


def test_a_function_stays_a_function_whatever_module_was_loaded_first():
    statement = (
        "from tickonce.triggers import trigger_from_spec as read; "
        "read({'kind': 'solar', 'version': 1, 'event': 'sunset', 'latitude': 1.0, 'longitude': 2.0}); "
        "from tickonce.triggers import cron, every, at, solar; assert all(map(callable, (cron, every, at, solar)))"
    )
    modules_after(statement)
