"""The planner's promises, as properties: whatever the policies, and whenever somebody looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.planned import DAY, HOUR, MS, SECOND, T0, At, schedule, written
from tickonce.model import Definition, Schedule, Skip
from tickonce.planning import (
    choose,
    due_time,
    following,
    plan,
)
from tickonce.triggers import Every, Trigger

SECONDS = st.integers(1, 600).map(lambda count: count * SECOND)
POLICIES = st.fixed_dictionaries(
    {
        "misfire": st.sampled_from(["skip", "latest", "all"]),
        "overlap": st.sampled_from(["skip", "allow"]),
        "grace": st.integers(0, 90).map(lambda count: count * SECOND),
        "catch_up": st.integers(0, 3000).map(lambda count: count * SECOND),
        "jitter": st.sampled_from([timedelta(0), SECOND, 7 * SECOND, HOUR]),
    }
)
TRIGGERS = st.one_of(
    st.integers(1, 500).map(lambda count: Every(count * SECOND, anchor=T0 - 13 * MS)),
    st.lists(st.integers(-100, 20_000), min_size=1, max_size=40, unique=True).map(
        lambda seconds: At(tuple(T0 + count * SECOND for count in sorted(seconds)))
    ),
)


def fires_until(definition: Definition, until: datetime) -> list[datetime]:
    found, at = [], T0
    while (next_fire := following(definition, at)) is not None and next_fire <= until:
        found.append(next_fire)
        at = next_fire
    return found


def store_skips(kept: list[Skip], row: Schedule, skips: tuple[Skip, ...], extends: datetime | None) -> None:
    """Keep skip records as a store does."""
    for number, skip in enumerate(skips):
        if number == 0 and extends is not None:
            assert kept[-1].first == extends, "only the newest record grows"
            last = kept[-1]
            kept[-1] = replace(last, last=skip.last, count=last.count + skip.count, more=last.more or skip.more)
        else:
            kept.append(skip)
    if row.fold is not None:
        assert (kept[-1].first, kept[-1].reason) == (row.fold.first, row.fold.reason)


@given(period=SECONDS, gaps=st.lists(SECONDS, min_size=1, max_size=20))
def test_however_unevenly_a_fleet_wakes_up_it_launches_each_fire_exactly_once(
    period: timedelta, gaps: list[timedelta]
) -> None:
    row, now = schedule(Every(period, anchor=T0), misfire="all", overlap="allow", catch_up=DAY), T0
    launched: list[datetime] = []
    for gap in gaps:
        now += gap
        while (found := plan(row, now)) is not None:
            launched += [fire.scheduled_time for fire in found.fires]
            row = written(choose(found, 3))
    assert launched == fires_until(row.definition, now)


@settings(max_examples=300)
@given(
    trigger=TRIGGERS,
    policy=POLICIES,
    steps=st.lists(st.tuples(SECONDS, st.integers(0, 2), st.booleans()), min_size=1, max_size=15),
    limit=st.sampled_from([1, 2, 7, 100]),
    end=st.none() | st.integers(0, 5000),
)
def test_every_fire_ends_in_a_run_or_in_a_skip_record(
    trigger: Trigger, policy: dict[str, Any], steps: list[tuple[timedelta, int, bool]], limit: int, end: int | None
) -> None:
    """Whatever the policies, the runs that are open and the moments at which somebody looks."""
    bound = None if end is None else T0 + end * SECOND
    row, now = schedule(trigger, **policy, end=bound), T0
    runs: list[datetime] = []
    skips: list[Skip] = []
    for gap, open_runs, orphaned in steps:
        now += gap
        while (found := plan(row, now, limit=limit, orphaned=orphaned)) is not None:
            change = choose(found, open_runs)
            assert all(fire.due <= now for fire in change.runs)
            assert all(fire.scheduled_time > row.watermark for fire in change.runs)
            runs += [fire.scheduled_time for fire in change.runs]
            assert change.schedule.watermark > row.watermark
            row = written(change)
            store_skips(skips, row, change.skips, change.extends)
    assert runs == sorted(set(runs))
    dealt = [at for at in fires_until(row.definition, now) if at <= row.watermark]
    told = [at for at in dealt if any(skip.first <= at <= skip.last for skip in skips)]
    assert sorted(runs + told) == dealt
    assert not any(skip.more for skip in skips)
    assert sum(skip.count for skip in skips) + len(runs) == len(dealt)
    # What is left is not due yet.
    left = following(row.definition, row.watermark)
    assert left == row.next_fire
    assert left is None or due_time(row.id, row.definition, left) > now


@given(trigger=TRIGGERS, policy=POLICIES, gap=SECONDS, limit=st.sampled_from([1, 3, 100]))
def test_the_store_finds_a_schedule_due_exactly_when_there_is_something_to_plan(
    trigger: Trigger, policy: dict[str, Any], gap: timedelta, limit: int
) -> None:
    """Else a schedule would be late, or looked at in a hot loop."""
    row = schedule(trigger, **policy)
    for now in (T0 + gap, T0 + 3 * gap):
        while (found := plan(row, now, limit=limit)) is not None:
            assert row.due is not None
            assert row.due <= now
            row = written(choose(found, 0))
        assert row.due is None or row.due > now
