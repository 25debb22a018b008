"""Edits and launches in any order forget nothing and double nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.edited import declared_by, runs_of
from tests.unit.planned import SECOND, T0, schedule, written
from tickonce.editing import (
    Amend,
    Create,
    Pause,
    Remove,
    Resume,
    SetAside,
)
from tickonce.model import Change, Definition, Overlap, Policy, Schedule, ScheduleState, Skip
from tickonce.planning import COUNT_LIMIT, choose, following, plan
from tickonce.triggers import Every


@dataclass
class Ledger:
    """A schedule as a store keeps it, and beside it what each definition owed while it was in force."""

    row: Schedule
    now: datetime = T0
    since: datetime = T0
    owed: list[datetime] = field(default_factory=list)
    runs: list[datetime] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)

    def apply(self, change: Change | None) -> None:
        if change is None:
            return
        before = self.row
        if change.schedule.definition != before.definition or change.schedule.state is ScheduleState.REMOVED:
            self.close(before)
        self.row = written(change)
        assert self.row.watermark >= before.watermark
        self.runs += runs_of(change)
        for at, skip in enumerate(change.skips):
            if at == 0 and change.extends is not None:
                last = self.skips.pop()
                assert last.first == change.extends
                skip = replace(last, last=skip.last, count=last.count + skip.count)  # noqa: PLW2901
            self.skips.append(skip)

    def close(self, row: Schedule) -> None:
        """The definition in *row* owes every fire since it came into force."""
        at = self.since
        while (found := following(row.definition, at)) is not None and found <= self.now:
            self.owed.append(found)
            at = found
        self.since = self.now


STEPS = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.tuples(st.just("launch"), st.integers(0, 1)),
    st.tuples(st.just("trigger"), st.integers(2, 300)),
    st.tuples(st.just("jitter"), st.integers(0, 60)),
    st.tuples(st.just("describe"), st.integers(0, 9)),
    st.tuples(st.just("pause"), st.just(0)),
    st.tuples(st.just("pause until"), st.integers(1, 900)),
    st.tuples(st.just("resume"), st.sampled_from([0, 1, 2])),
    st.tuples(st.just("aside"), st.just(0)),
    st.tuples(st.just("recreate"), st.integers(2, 300)),
    st.tuples(st.just("declare"), st.integers(2, 300)),
)


@settings(max_examples=300)
@given(
    misfire=st.sampled_from(["skip", "latest", "all"]),
    overlap=st.sampled_from(list(Overlap)),
    steps=st.lists(STEPS, min_size=3, max_size=30),
)
def test_edits_and_launches_in_any_order_forget_nothing_and_double_nothing(
    misfire: Any, overlap: Overlap, steps: list[tuple[str, int]]
) -> None:
    """Each fire that a definition owed while it was in force ends in one run or in one skip record."""
    policy = Policy(misfire=misfire, overlap=overlap, grace=20 * SECOND, catch_up=300 * SECOND)
    ledger = Ledger(replace(schedule("1m", since=T0), definition=_every(60, policy)))
    for step, number in steps:
        ledger.apply(_taken(ledger, step, number, policy))
    ledger.now += 1000 * SECOND
    ledger.apply(Remove(schedule_id="nightly")(ledger.now, ledger.row, 0))
    owed = sorted(ledger.owed)
    assert sorted(ledger.runs) == sorted(set(ledger.runs))
    told = [at for at in owed if any(skip.first <= at <= skip.last for skip in ledger.skips)]
    missed = set(owed) - set(told) - set(ledger.runs)
    assert missed == set()
    assert set(ledger.runs) <= set(owed)
    assert set(ledger.runs) & set(told) == set()
    counted = sum(skip.count for skip in ledger.skips) + len(ledger.runs)
    if any(skip.more for skip in ledger.skips):  # a record stops counting at a thousand, and says so
        assert COUNT_LIMIT <= counted < len(owed)
    else:
        assert counted == len(owed)


def _every(seconds: int, policy: Policy) -> Definition:
    return Definition(job="work", trigger=Every(seconds * SECOND, anchor=T0), policy=policy)


def _taken(ledger: Ledger, step: str, number: int, policy: Policy) -> Change | None:
    row, now = ledger.row, ledger.now
    edit: Any
    match step:
        case "wait":
            ledger.now += number * 17 * SECOND
            return None
        case "launch":
            found = plan(row, now, limit=3)
            return None if found is None else choose(found, number)
        case "trigger":
            edit = Amend(schedule_id="nightly", changes={"trigger": Every(number * SECOND, anchor=T0)})
        case "jitter":
            edit = Amend(schedule_id="nightly", changes={"jitter": number * SECOND})
        case "describe":
            edit = Amend(schedule_id="nightly", changes={"description": str(number)})
        case "pause":
            edit = Pause(schedule_id="nightly")
        case "pause until":
            edit = Pause(schedule_id="nightly", until=now + timedelta(seconds=number))
        case "resume":
            edit = Resume(schedule_id="nightly", missed=(None, "latest", "all")[number])
        case "aside":
            edit = SetAside(schedule_id="nightly", version=row.version, reason="raised")
        case "recreate":
            ledger.apply(Remove(schedule_id="nightly")(now, row, 0))
            edit = Create(schedule_id="nightly", definition=_every(number, policy))
        case _:
            edit = declared_by(_every(number, policy))
    return edit(now, ledger.row, 0)  # type: ignore[no-any-return]
