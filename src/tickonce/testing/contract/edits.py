"""Edits: the step, and what an edit owes to fires that are due."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from tickonce.codec import encode_arguments
from tickonce.config import Retention
from tickonce.editing import Amend, Create, Pause, Remove, Resume, RunNow
from tickonce.errors import NoSchedule, RunExists, RunOpen, ScheduleExists
from tickonce.model import Definition, Reason, RunState, Schedule, ScheduleState, Skip, manual_token
from tickonce.ports import Store
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import (
    ALL_RUN,
    DAY,
    HOUR,
    MINUTE,
    MS,
    SECOND,
    SERVES,
    everything,
    join,
    launch,
    make_idle,
    make_run,
    make_schedule,
    planned,
    put,
    row_of,
    runs_of,
    skips_of,
    start_run,
)
from tickonce.triggers import Every


class ChangeContract(Part):
    """``change`` and ``get``."""

    def test_nothing_is_there_before_it_is_written(self, store: Store) -> None:
        assert store.get("nightly") is None

    def test_the_decision_is_told_instant_row_and_number_of_open_runs(self, store: Store) -> None:
        row = make_idle(store)
        make_run(store, "pending")
        start_run(store, "running")
        make_run(store, "elsewhere", schedule_id="other")
        seen: list[tuple[datetime, Schedule | None, int]] = []

        def decide(now: datetime, schedule: Schedule | None, open_runs: int) -> None:
            seen.append((now, schedule, open_runs))

        before = store.instant()
        assert store.change(row.id, decide) == row_of(store, row.id)
        assert store.change("never-seen", decide) is None
        (now, schedule, open_runs), (_, nothing, none_open) = seen
        assert before <= now <= store.instant()
        assert (schedule, open_runs) == (row_of(store, row.id), 2)
        assert (nothing, none_open) == (None, 0)

    def test_a_decision_for_nothing_writes_nothing(self, store: Store) -> None:
        make_idle(store)
        before = everything(store)
        store.change("nightly", lambda *_: None)
        assert everything(store) == before

    def test_a_tombstone_is_handed_over_like_any_row(self, store: Store) -> None:
        make_idle(store)
        removed = store.change("nightly", Remove(schedule_id="nightly"))
        assert removed is not None
        assert removed.state is ScheduleState.REMOVED
        assert store.get("nightly") == removed
        seen: list[Schedule | None] = []
        store.change("nightly", lambda _now, schedule, _open: seen.append(schedule))
        assert seen == [removed]

    def test_what_the_decision_raises_reaches_the_caller_and_changes_nothing(self, store: Store) -> None:
        make_idle(store)
        before = everything(store)

        def decide(*_: object) -> None:
            raise RuntimeError("no")

        for schedule_id in ("nightly", "never-seen"):
            with pytest.raises(RuntimeError, match="no"):
                store.change(schedule_id, decide)
        assert everything(store) == before
        assert store.change("nightly", Amend(schedule_id="nightly", changes={"owner": "ann"}))

    def test_the_row_is_returned_as_it_is_then(self, store: Store) -> None:
        row = make_idle(store)
        changed = put(store, replace(row, reason="as asked"))
        assert changed == replace(row, reason="as asked", version=row.version + 1)
        assert store.get(row.id) == changed

    def test_the_version_in_the_decision_does_not_count(self, store: Store) -> None:
        row = make_idle(store)
        assert put(store, replace(row, version=7)).version == row.version + 1

    def test_versions_of_new_rows_start_at_random(self, store: Store) -> None:
        versions = [make_idle(store, f"s{number}").version for number in range(5)]
        assert len(set(versions)) == 5
        assert all(0 <= version < 2**62 for version in versions)
        assert max(versions) > 2**40

    def test_runs_in_the_change_become_pending(self, store: Store) -> None:
        join(store)
        row = make_schedule(store, fires=2, period=SECOND, **ALL_RUN)
        put(store, row, runs=planned(store, row).fires)
        runs = runs_of(store)
        assert [run.token for run in runs] == [fire.token for fire in planned(store, row).fires]
        assert [(run.state, run.attempt, run.node, run.source) for run in runs] == [
            (RunState.PENDING, 0, None, "schedule")
        ] * 2
        assert all(run.created_at is not None for run in runs)
        assert len(store.claim("node", serves=SERVES, limit=9)) == 2

    def test_runs_are_made_from_the_definition_that_scheduled_them(self, store: Store) -> None:
        """What is due when an edit comes is run as it was written before."""
        row = make_schedule(store, job="old", arguments=encode_arguments((1,), {}), priority=1)
        changes = {"job": "new", "priority": 2, "trigger": Every("1m"), "timeout": MINUTE}
        after = store.change(row.id, Amend(schedule_id=row.id, changes=changes))
        assert after is not None
        assert (after.job, after.policy.timeout) == ("new", MINUTE)
        (run,) = runs_of(store)
        assert (run.job, run.arguments, run.priority, run.policy) == ("old", row.definition.arguments, 1, row.policy)

    def test_manual_runs_in_the_change_become_pending(self, store: Store) -> None:
        make_idle(store)
        before = store.instant()
        store.change("nightly", RunNow(schedule_id="nightly", key="order-17", by="ann"))
        (run,) = runs_of(store)
        assert (run.token, run.state, run.source, run.created_by) == (
            "nightly@run-order-17",
            RunState.PENDING,
            "manual",
            "ann",
        )
        assert run.created_at is not None
        assert before <= run.created_at <= store.instant()
        assert before <= run.scheduled_time <= store.instant()

    def test_a_key_starts_one_run_and_the_second_changes_nothing(self, store: Store) -> None:
        make_idle(store, overlap="allow")
        again = RunNow(schedule_id="nightly", key="one")
        store.change("nightly", again)
        before = everything(store)
        with pytest.raises(RunExists):
            store.change("nightly", again)
        assert everything(store) == before

    def test_the_token_of_a_fire_that_is_there_already_changes_nothing(self, store: Store) -> None:
        row = make_schedule(store)
        fires = planned(store, row).fires
        row = put(store, row, runs=fires)
        before = everything(store)
        with pytest.raises(RunExists):
            put(
                store,
                replace(row, reason="again"),
                runs=fires,
                skips=[Skip(row.id, "x", row.watermark, row.watermark, 1)],
            )
        assert everything(store) == before

    def test_a_run_by_hand_leaves_watermark_and_next_fire_alone_and_moves_the_version(self, store: Store) -> None:
        row = make_idle(store)
        after = store.change("nightly", RunNow(schedule_id="nightly", key="one"))
        assert after == replace(row, version=row.version + 1)

    def test_a_run_by_hand_is_refused_while_overlap_forbids_it(self, store: Store) -> None:
        make_idle(store)
        start_run(store)
        with pytest.raises(RunOpen):
            store.change("nightly", RunNow(schedule_id="nightly", key="two"))

    def test_a_key_that_was_given_before_is_told_of_also_while_its_run_is_open(self, store: Store) -> None:
        make_idle(store)
        run_now = RunNow(schedule_id="nightly", key="order-17")
        store.change("nightly", run_now)
        before = everything(store)
        with pytest.raises(RunExists) as told:
            store.change("nightly", run_now)
        assert told.value.token == manual_token("nightly", "order-17")
        assert everything(store) == before

    # -- skip records --------------------------------------------------------------------------

    def test_skip_records_are_written_as_they_are(self, store: Store) -> None:
        row = make_idle(store)
        now = store.instant()
        skips = [
            Skip(row.id, Reason.PAUSED, now - 3 * HOUR, now - 2 * HOUR, 2),
            Skip(row.id, "trigger raised ValueError('späť')", now - HOUR, now, 1000, more=True),
        ]
        put(store, row, skips=skips)
        assert skips_of(store, row.id) == skips

    def test_the_first_skip_record_continues_the_one_that_is_named(self, store: Store) -> None:
        row = make_idle(store)
        at = store.instant() - DAY
        row = put(store, row, skips=[Skip(row.id, Reason.OVERLAP, at, at + HOUR, 2)])
        more = [
            Skip(row.id, Reason.OVERLAP, at + 2 * HOUR, at + 4 * HOUR, 3, more=True),
            Skip(row.id, Reason.MISFIRE, at + 5 * HOUR, at + 5 * HOUR, 1),
        ]
        put(store, row, skips=more, extends=at)
        assert skips_of(store) == [Skip(row.id, Reason.OVERLAP, at, at + 4 * HOUR, 5, more=True), more[1]]

    def test_no_other_record_of_that_reason_is_continued(self, store: Store) -> None:
        row = make_idle(store)
        at = store.instant() - DAY
        old, named = (Skip(row.id, Reason.OVERLAP, at + hours * HOUR, at + hours * HOUR, 1) for hours in (0, 2))
        row = put(store, row, skips=[old, named])
        more = Skip(row.id, Reason.OVERLAP, at + 3 * HOUR, at + 3 * HOUR, 1)
        row = put(store, row, skips=[more], extends=named.first)
        grown = replace(named, last=more.last, count=2)
        assert skips_of(store) == [old, grown]
        alone = Skip(row.id, Reason.OVERLAP, at + 5 * HOUR, at + 5 * HOUR, 1)
        put(store, row, skips=[alone], extends=at + 4 * HOUR)
        assert skips_of(store) == [old, grown, alone]

    def test_the_first_skip_record_stands_alone_if_the_one_that_is_named_is_gone(self, store: Store) -> None:
        row = make_idle(store)
        at = store.instant() - DAY
        other = make_idle(store, "other")
        theirs = Skip(other.id, Reason.OVERLAP, at, at, 1)
        put(store, other, skips=[theirs])
        mine = Skip(row.id, Reason.OVERLAP, at + HOUR, at + HOUR, 1)
        put(store, row, skips=[mine], extends=at)
        assert skips_of(store, row.id) == [mine]
        assert skips_of(store, other.id) == [theirs]


class SettleContract(Part):
    """An edit, pause or removal forgets no fire that is due, and doubles none."""

    def test_an_edit_deals_with_what_is_due_as_a_launch_would(self, store: Store) -> None:
        row = make_schedule(store, fires=3, period=SECOND, **ALL_RUN)
        before = store.instant()
        after = store.change(row.id, Amend(schedule_id=row.id, changes={"trigger": Every("7h")}))
        assert after is not None
        assert row.next_fire is not None
        times = [run.scheduled_time for run in runs_of(store)]
        assert times[:3] == [row.next_fire + count * SECOND for count in range(3)]
        assert after.watermark >= before
        assert after.next_fire is not None
        assert after.next_fire > after.watermark
        assert after.trigger == Every("7h")
        assert skips_of(store) == []

    def test_a_stale_plan_of_what_an_edit_has_settled_is_refused(self, store: Store) -> None:
        join(store)
        row = make_schedule(store, **ALL_RUN)
        wanted = planned(store, row)
        store.change(row.id, Amend(schedule_id=row.id, changes={"trigger": Every("7h")}))
        assert store.launch("node", [wanted], slots=9, serves=SERVES).lost == (row.id,)
        assert len(runs_of(store)) == 1

    def test_an_edit_of_arguments_deals_with_what_is_due_by_the_old_ones(self, store: Store) -> None:
        join(store)
        row = make_schedule(store, **ALL_RUN)
        stale = planned(store, row)
        after = store.change(row.id, Amend(schedule_id=row.id, changes={"arguments": encode_arguments((1,), {})}))
        assert after is not None
        assert after.watermark >= stale.watermark
        assert [run.arguments for run in runs_of(store)] == [row.definition.arguments]
        assert store.launch("node", [stale], slots=9, serves=SERVES).lost == (row.id,)
        assert len(runs_of(store)) == 1

    def test_an_edit_that_does_not_touch_the_timing_leaves_watermark_and_next_fire_alone(self, store: Store) -> None:
        row = make_idle(store)
        after = store.change(row.id, Amend(schedule_id=row.id, changes={"arguments": encode_arguments((1,), {})}))
        assert after is not None
        assert (after.watermark, after.next_fire, after.due) == (row.watermark, row.next_fire, row.due)
        assert after.revision == row.revision + 1
        assert runs_of(store) == []

    @pytest.mark.parametrize(
        ("edit", "reason"),
        [(Pause(schedule_id="nightly"), Reason.PAUSED), (Remove(schedule_id="nightly"), Reason.REMOVED)],
    )
    def test_a_pause_or_removal_records_what_was_due_in_one_skip(
        self, store: Store, edit: Pause | Remove, reason: Reason
    ) -> None:
        join(store)
        row = make_schedule(store, fires=3)
        wanted = planned(store, row)
        before = store.instant()
        after = store.change(row.id, edit)
        assert after is not None
        assert after.watermark >= before
        assert (after.next_fire, after.due) == (None, None)
        (skip,) = skips_of(store)
        assert (skip.reason, skip.count, skip.first) == (reason, 3, row.next_fire)
        assert store.launch("node", [wanted], slots=9, serves=SERVES).lost == (row.id,)

    def test_resuming_records_what_passed_meanwhile(self, store: Store) -> None:
        row = make_schedule(store, fires=3, state=ScheduleState.PAUSED, due=None)
        put(store, replace(row, next_fire=None))
        after = store.change(row.id, Resume(schedule_id=row.id))
        assert after is not None
        assert after.state is ScheduleState.ACTIVE
        assert after.next_fire is not None
        assert after.next_fire > after.watermark
        (skip,) = skips_of(store)
        assert (skip.reason, skip.count) == (Reason.PAUSED, 3)

    @pytest.mark.parametrize(("missed", "count"), [("latest", 1), ("all", 3)])
    def test_resuming_may_ask_for_what_was_missed(self, store: Store, missed: str, count: int) -> None:
        row = make_schedule(store, fires=3, state=ScheduleState.PAUSED, due=None, overlap="allow")
        put(store, replace(row, next_fire=None))
        store.change(row.id, Resume(schedule_id=row.id, missed=missed))  # type: ignore[arg-type]
        assert len(runs_of(store)) == count
        assert sum(skip.count for skip in skips_of(store)) == 3 - count


class RecreateContract(Part):
    """A version is never used twice for an id."""

    def test_a_plan_of_the_old_definition_is_refused_after_delete_and_create(self, store: Store) -> None:
        join(store)
        row = make_schedule(store)
        wanted = planned(store, row)
        removed = store.change(row.id, Remove(schedule_id=row.id))
        made = store.change(row.id, _create())
        assert removed is not None
        assert made is not None
        assert row.version < removed.version < made.version
        before = everything(store)
        assert store.launch("node", [wanted], slots=9, serves=SERVES).lost == (row.id,)
        assert everything(store) == before

    def test_a_plan_of_the_old_definition_is_refused_after_its_tombstone_was_pruned(self, store: Store) -> None:
        join(store)
        row = make_schedule(store)
        wanted = planned(store, row)
        store.change(row.id, Remove(schedule_id=row.id))
        self.let_pass(store, 3 * MS)
        store.prune(Retention(tombstones=MS))
        assert store.get(row.id) is None
        made = store.change(row.id, _create())
        assert made is not None
        assert made.version != row.version
        assert store.launch("node", [wanted], slots=9, serves=SERVES).lost == (row.id,)
        assert runs_of(store) == []

    def test_what_the_old_one_dealt_with_is_not_launched_by_the_new_one(self, store: Store) -> None:
        ahead = store.instant() + HOUR
        row = make_schedule(store)
        put(store, replace(row, state=ScheduleState.REMOVED, watermark=ahead, next_fire=None, due=None))
        made = store.change(row.id, _create())
        assert made is not None
        assert made.watermark == ahead
        assert made.next_fire is not None
        assert made.next_fire > ahead

    def test_creating_twice_and_editing_what_is_not_there_is_refused(self, store: Store) -> None:
        store.change("nightly", _create())
        with pytest.raises(ScheduleExists):
            store.change("nightly", _create())
        for edit in (Remove(schedule_id="absent"), Pause(schedule_id="absent")):
            with pytest.raises(NoSchedule):
                store.change("absent", edit)
        assert store.get("absent") is None

    def test_a_launch_and_an_edit_take_turns(self, store: Store) -> None:
        """Whichever comes second sees what the first has done."""
        join(store)
        row = make_schedule(store, **ALL_RUN)
        launch(store, row)
        after = store.change(row.id, Amend(schedule_id=row.id, changes={"trigger": Every("7h")}))
        assert after is not None
        assert len(runs_of(store)) == 1
        assert skips_of(store) == []


def _create() -> Create:
    return Create(schedule_id="nightly", definition=Definition(job="new", trigger=Every("1m")))
