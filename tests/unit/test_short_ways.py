"""Short ways for what happens at every fire: they come to the same as the long ones."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from tickonce import at, cron, every
from tickonce.model import Declaration, Definition, Fold, Misfire, Overlap, Policy, Schedule, ScheduleState
from tickonce.planning import choose, following, plan
from tickonce.stores.sql.dialects.postgresql import _text_array

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TRIGGERS = [every("1s"), every("7s"), every("6h"), cron("* * * * *"), cron("0 12 21 11 *"), at(NOON)]

lateness = st.one_of(
    st.timedeltas(timedelta(0), timedelta(seconds=2)), st.timedeltas(timedelta(0), timedelta(days=400))
)


@given(
    trigger=st.sampled_from(TRIGGERS),
    late=lateness,
    grace=st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(seconds=10), timedelta(days=2)]),
    misfire=st.sampled_from(Misfire),
    overlap=st.sampled_from(Overlap),
    within=st.sampled_from([None, timedelta(seconds=5)]),
    end=st.sampled_from([None, timedelta(0), timedelta(seconds=7)]),
    settle=st.booleans(),
    open_runs=st.integers(0, 2),
    fold=st.sampled_from([None, Fold("overlap", NOON - timedelta(days=1))]),
    paused=st.booleans(),
)
def test_one_fire_on_time_is_planned_as_any_other(  # noqa: PLR0917 - by name
    trigger, late, grace, misfire, overlap, within, end, settle, open_runs, fold, paused
):
    policy = Policy(misfire=misfire, overlap=overlap, grace=grace, start_within=within)
    bounds = {} if end is None else {"end": NOON + end}
    definition = Definition(job="job", trigger=trigger, policy=policy, **bounds)
    schedule = Schedule(
        id="noon",
        definition=definition,
        state=ScheduleState.PAUSED if paused else ScheduleState.ACTIVE,
        paused_until=NOON if paused else None,
        watermark=NOON - timedelta(microseconds=1),
        next_fire=following(definition, NOON - timedelta(microseconds=1)),
        due=NOON,
        fold=fold,
        created_at=NOON,
        updated_at=NOON,
    )
    now = NOON + late
    short = plan(schedule, now, settle=settle)
    with patch("tickonce.planning._usual", return_value=None):
        assert short == plan(schedule, now, settle=settle)
    if short is not None:
        change = choose(short, open_runs)
        assert (change.schedule.watermark, change.schedule.next_fire) == (short.watermark, short.next_fire)
        assert (change.schedule.paused_until, change.schedule.state) == (None, short.state)


def test_a_step_leaves_all_other_fields_of_a_schedule_as_they_are():
    other: dict[str, Any] = {
        "id": "x",
        "version": 7,
        "revision": 3,
        "source": "code",
        "created_by": "a",
        "updated_by": "b",
    }
    before = Schedule(
        **other,
        definition=Definition(job="job", trigger=at(NOON)),
        state=ScheduleState.PAUSED,
        watermark=NOON,
        next_fire=NOON,
        due=NOON,
        fold=Fold("paused", NOON),
        reason="stock taking",
        paused_until=NOON,
        declaration=Declaration(hash="h", form={}, seen_at=NOON),
        created_at=NOON - timedelta(days=2),
        updated_at=NOON - timedelta(days=1),
    )
    defaults = {item.name: item.default for item in fields(Schedule)}
    assert [name for name, default in defaults.items() if getattr(before, name) == default] == []
    later = NOON + timedelta(hours=1)
    changes: dict[str, Any] = {
        "version": 8,
        "watermark": NOON,
        "next_fire": later,
        "due": later,
        "state": ScheduleState.ACTIVE,
        "reason": None,
    }
    assert before.stepped(**changes) == replace(before, paused_until=None, **changes)


@given(st.lists(st.one_of(st.none(), st.text(alphabet='",\\\\{}ab \u00fc'), st.just("NULL"))))
def test_an_array_is_escaped_value_by_value_or_needs_no_escape(values):
    escaped = ["NULL" if value is None else '"' + re.sub(r'(["\\\\])', r"\\\1", value) + '"' for value in values]
    assert _text_array(values) == "{" + ",".join(escaped) + "}"
