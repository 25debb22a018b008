"""Edits: they settle what is due by the old definition, and apply to what comes after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.edited import NOW, changed, paused, runs_of, told
from tests.unit.planned import DAY, HOUR, MINUTE, SECOND, T0, US, At, Broken, schedule
from tickonce.codec import encode_arguments
from tickonce.editing import (
    Amend,
    Create,
    Pause,
    Remove,
    Resume,
    Revert,
    RunNow,
)
from tickonce.editing.settling import with_changes
from tickonce.errors import (
    BadId,
    DefinitionError,
    NoSchedule,
    RevisionMismatch,
    RunOpen,
    ScheduleExists,
    WrongState,
)
from tickonce.model import Definition, Reason, ScheduleState
from tickonce.planning import following
from tickonce.triggers import Every


class TestCreate:
    create = Create(schedule_id="nightly", definition=Definition(job="work", trigger=Every("1h", anchor=T0)), by="ann")

    def test_a_new_schedule_begins_at_the_instant_and_never_fires_at_once(self) -> None:
        row = changed(self.create, None, T0 + HOUR).schedule
        assert (row.watermark, row.next_fire, row.due) == (T0 + HOUR, T0 + 2 * HOUR, T0 + 2 * HOUR)
        assert (row.state, row.revision, row.created_at, row.created_by) == (ScheduleState.ACTIVE, 1, T0 + HOUR, "ann")

    def test_one_that_exists_is_refused_or_kept_or_updated(self) -> None:
        row = schedule("2h")
        with pytest.raises(ScheduleExists):
            self.create(NOW, row, 0)
        assert replace(self.create, if_exists="keep")(NOW, row, 0) is None
        change = changed(replace(self.create, if_exists="update"), row)
        assert change.schedule.trigger == Every("1h", anchor=T0)
        assert runs_of(change) == [T0 + 2 * HOUR]

    def test_updating_with_the_same_touches_nothing(self) -> None:
        row = schedule("1h")
        assert replace(self.create, if_exists="update")(NOW, row, 0) is None

    def test_one_that_would_never_fire_is_refused(self) -> None:
        with pytest.raises(DefinitionError, match="never fire"):
            Create(schedule_id="once", definition=Definition(job="work", trigger=At((T0,))))(NOW, None, 0)

    def test_in_the_place_of_a_tombstone_it_begins_behind_that_ones_watermark(self) -> None:
        stone = replace(schedule("1h", since=NOW + DAY), state=ScheduleState.REMOVED, revision=7, version=1234)
        row = changed(self.create, stone).schedule
        assert (row.watermark, row.version, row.revision) == (NOW + DAY, 1234, 8)
        assert row.next_fire is not None
        assert row.next_fire > NOW + DAY


class TestAmend:
    def test_what_does_not_touch_the_timing_leaves_watermark_and_next_fire_alone(self) -> None:
        row = schedule("1h")
        changes = {"job": "other", "arguments": "[]", "queue": "q", "priority": 1, "tags": ("a",), "owner": "o"}
        for name, value in {**changes, "description": "d", "timeout": HOUR, "misfire": "all", "grace": HOUR}.items():
            now = NOW if name in ("tags", "owner", "description") else T0 + MINUTE  # labels: also where fires are due
            change = changed(Amend(schedule_id=row.id, changes={name: value}, by="ann"), row, now)
            after = change.schedule
            assert (after.watermark, after.next_fire, after.due) == (row.watermark, row.next_fire, row.due)
            assert (after.revision, after.updated_at, after.updated_by) == (2, now, "ann")
            assert (change.runs, change.skips) == ((), ())

    @pytest.mark.parametrize(
        "changes",
        [
            {"job": "other"},
            {"arguments": "[]"},
            {"queue": "q"},
            {"priority": 1},
            {"timeout": HOUR},
            {"misfire": "skip"},
        ],
    )
    def test_what_is_due_is_settled_before_the_definition_changes(self, changes: dict[str, Any]) -> None:
        """A store makes the runs of a change from the definition that was there before it."""
        row = schedule("1h", misfire="all", overlap="allow")
        change = changed(Amend(schedule_id=row.id, changes=changes), row)
        assert runs_of(change) == [T0 + count * HOUR for count in (1, 2, 3)]
        after = change.schedule
        assert (after.watermark, after.next_fire) == (NOW, T0 + 4 * HOUR)
        assert after.definition == with_changes(row.definition, changes)

    def test_a_trigger_that_raises_forbids_no_other_edit(self) -> None:
        row = replace(schedule("1h"), definition=Definition(job="work", trigger=Broken()))
        after = changed(Amend(schedule_id=row.id, changes={"priority": 3}), row).schedule
        assert (after.definition.priority, after.watermark, after.state) == (3, row.watermark, ScheduleState.ACTIVE)

    def test_what_touches_the_timing_settles_and_moves_on(self) -> None:
        timing: dict[str, Any] = {"trigger": Every("7m", anchor=T0), "jitter": SECOND, "start": T0, "end": NOW + DAY}
        for name, value in timing.items():
            row = schedule("1h", misfire="all", overlap="allow")
            change = changed(Amend(schedule_id=row.id, changes={name: value}), row)
            assert runs_of(change) == [T0 + count * HOUR for count in (1, 2, 3)]
            assert change.schedule.watermark == NOW
            assert change.schedule.next_fire == following(change.schedule.definition, NOW)

    def test_it_never_fires_at_once(self) -> None:
        """Though the new trigger had a fire a moment ago."""
        change = changed(Amend(schedule_id="nightly", changes={"trigger": Every("1m", anchor=T0)}), schedule("1d"))
        assert (change.runs, change.skips) == ((), ())
        assert change.schedule.next_fire == NOW + MINUTE

    def test_settling_goes_by_the_old_policy_and_counts_open_runs(self) -> None:
        edit = Amend(schedule_id="nightly", changes={"trigger": Every("1m"), "misfire": "all", "overlap": "allow"})
        change = changed(edit, schedule("1h"), open_runs=1)
        assert (runs_of(change), told(change)) == ([], [("misfire", 2), ("overlap", 1)])

    def test_a_fire_whose_jitter_still_runs_is_settled_and_keeps_its_due_time(self) -> None:
        row = schedule("1h", jitter=30 * MINUTE)
        change = changed(Amend(schedule_id=row.id, changes={"trigger": Every("1d")}), row, T0 + HOUR)
        assert [fire.due for fire in change.runs] == [row.due]

    def test_nothing_that_differs_is_nothing_to_write(self) -> None:
        row = schedule("1h", owner="ann", timeout=HOUR)
        assert Amend(schedule_id=row.id, changes={"owner": "ann", "timeout": HOUR})(NOW, row, 0) is None
        assert Amend(schedule_id=row.id, changes={})(NOW, row, 0) is None

    def test_the_same_arguments_written_otherwise_do_not_differ(self) -> None:
        row = schedule("1h", arguments=encode_arguments((), {"b": 1, "a": [1, 2]}))
        same = '{"kwargs": {"a": [1, 2], "b": 1}, "args": []}'
        assert Amend(schedule_id=row.id, changes={"arguments": same})(NOW, row, 0) is None

    def test_an_unknown_field_is_refused(self) -> None:
        with pytest.raises(DefinitionError, match="'retires'"):
            Amend(schedule_id="nightly", changes={"retires": 3})(NOW, schedule("1h"), 0)

    def test_a_value_out_of_range_is_refused(self) -> None:
        for changes in ({"jitter": -SECOND}, {"misfire": "newest"}, {"priority": 10**6}, {"queue": "a b"}):
            with pytest.raises(DefinitionError):
                Amend(schedule_id="nightly", changes=changes)(NOW, schedule("1h"), 0)

    def test_somebody_elses_edit_is_not_overwritten(self) -> None:
        edit = Amend(schedule_id="nightly", changes={"owner": "ann"}, expected_revision=3)
        with pytest.raises(RevisionMismatch):
            edit(NOW, schedule("1h", revision=4), 0)
        assert changed(edit, schedule("1h", revision=3)).schedule.revision == 4

    def test_what_is_not_there_cannot_be_edited(self) -> None:
        stone = schedule("1h", state=ScheduleState.REMOVED)
        for row in (None, stone):
            for edit in (
                Amend(schedule_id="nightly", changes={}),
                Pause(schedule_id="nightly"),
                Resume(schedule_id="nightly"),
                Remove(schedule_id="nightly"),
                RunNow(schedule_id="nightly", key="k"),
                Revert(schedule_id="nightly"),
            ):
                with pytest.raises(NoSchedule):
                    edit(NOW, row, 0)

    def test_an_ended_schedule_with_a_new_trigger_goes_on(self) -> None:
        row = schedule(At((T0 + HOUR,)), since=T0 + HOUR, state=ScheduleState.ENDED)
        after = changed(Amend(schedule_id=row.id, changes={"trigger": Every("1h", anchor=T0)}), row).schedule
        assert (after.state, after.next_fire) == (ScheduleState.ACTIVE, T0 + 4 * HOUR)

    def test_a_schedule_may_be_edited_to_its_end(self) -> None:
        row = schedule("1h")
        after = changed(Amend(schedule_id=row.id, changes={"end": NOW}), row).schedule
        assert (after.state, after.next_fire, after.due) == (ScheduleState.ENDED, None, None)

    def test_more_than_can_be_settled_is_a_skip_record(self) -> None:
        row = schedule("1s", misfire="all", overlap="allow", catch_up=DAY)
        change = changed(Amend(schedule_id=row.id, changes={"trigger": Every("1d")}), row, T0 + 4 * HOUR)
        assert len(change.runs) == 10_000
        (skip,) = change.skips
        assert (skip.reason, skip.more) == (Reason.CATCH_UP, True)
        assert (skip.first, skip.last) == (runs_of(change)[-1] + SECOND, T0 + 4 * HOUR)

    def test_skips_before_and_after_what_runs_stay_apart(self) -> None:
        row = schedule("1s", misfire="all", overlap="allow", catch_up=3 * HOUR)
        change = changed(Amend(schedule_id=row.id, changes={"trigger": Every("1d")}), row, T0 + 4 * HOUR)
        assert [skip.reason for skip in change.skips] == [Reason.CATCH_UP, Reason.CATCH_UP]
        before, after = change.skips
        assert before.last < runs_of(change)[0] <= runs_of(change)[-1] < after.first


class TestPauseResumeRemove:
    def test_a_pause_records_what_is_due_and_stops(self) -> None:
        change = changed(Pause(schedule_id="nightly", reason="stock taking", by="ann"), schedule("1h"))
        after = change.schedule
        assert (change.runs, told(change)) == ((), [("paused", 3)])
        assert (after.state, after.reason, after.watermark) == (ScheduleState.PAUSED, "stock taking", NOW)
        assert (after.next_fire, after.due, after.updated_by, after.revision) == (None, None, "ann", 2)

    def test_a_pause_with_an_end_waits_for_the_first_fire_after_it(self) -> None:
        row = paused(schedule("1h"), until=T0 + 2 * HOUR)
        assert (row.next_fire, row.due) == (T0 + 3 * HOUR, T0 + 3 * HOUR)

    def test_a_pause_cannot_end_in_the_past(self) -> None:
        for until in (NOW, NOW - US):
            with pytest.raises(DefinitionError):
                Pause(schedule_id="nightly", until=until)(NOW, schedule("1h"), 0)

    def test_pausing_again_changes_reason_and_end_and_goes_on_with_the_record(self) -> None:
        row = paused(schedule("1h"), NOW, reason="a", until=NOW + DAY)
        change = changed(Pause(schedule_id="nightly", reason="b"), row, NOW + 2 * HOUR)
        after = change.schedule
        assert (after.reason, after.paused_until, after.next_fire) == ("b", None, None)
        assert (told(change), change.extends) == ([("paused", 2)], T0 + HOUR)

    def test_what_has_ended_cannot_be_paused_or_resumed(self) -> None:
        row = schedule("1h", state=ScheduleState.ENDED, next_fire=None, due=None)
        for edit in (Pause(schedule_id="nightly"), Resume(schedule_id="nightly")):
            with pytest.raises(WrongState):
                edit(NOW, row, 0)

    def test_resuming_records_the_pause_and_goes_on_after_the_instant(self) -> None:
        change = changed(Resume(schedule_id="nightly", by="ann"), paused(schedule("1h"), reason="x"))
        after = change.schedule
        assert (change.runs, told(change)) == ((), [("paused", 3)])
        assert (after.state, after.reason, after.paused_until) == (ScheduleState.ACTIVE, None, None)
        assert (after.watermark, after.next_fire, after.due) == (NOW, T0 + 4 * HOUR, T0 + 4 * HOUR)

    def test_resuming_what_runs_is_nothing_to_write(self) -> None:
        assert Resume(schedule_id="nightly")(NOW, schedule("1h"), 0) is None

    def test_resuming_may_ask_for_the_newest(self) -> None:
        change = changed(Resume(schedule_id="nightly", missed="latest"), paused(schedule("1h", misfire="skip")))
        assert (runs_of(change), told(change)) == ([T0 + 3 * HOUR], [("misfire", 2)])
        assert change.schedule.policy.misfire == "skip"

    def test_the_newest_is_one_however_often_it_fires(self) -> None:
        """What grace calls on time is not what somebody asks for who resumes."""
        change = changed(Resume(schedule_id="nightly", missed="latest"), paused(schedule("1s", overlap="allow")))
        assert runs_of(change) == [NOW]

    def test_resuming_may_ask_for_all_within_the_window(self) -> None:
        row = paused(schedule("1h", overlap="allow", catch_up=2 * HOUR))
        change = changed(Resume(schedule_id="nightly", missed="all"), row)
        assert (runs_of(change), told(change)) == ([T0 + 2 * HOUR, T0 + 3 * HOUR], [("catch-up window", 1)])
        assert change.schedule.definition == row.definition

    def test_what_came_after_the_end_of_a_pause_is_launched_when_somebody_resumes(self) -> None:
        row = paused(schedule("1h", misfire="all", overlap="allow"), until=T0 + HOUR)
        change = changed(Resume(schedule_id="nightly"), row)
        assert (runs_of(change), told(change)) == ([T0 + 2 * HOUR, T0 + 3 * HOUR], [("paused", 1)])
        assert change.schedule.next_fire == T0 + 4 * HOUR

    def test_resuming_without_a_fire_left_ends_it(self) -> None:
        row = paused(schedule(At((T0 + HOUR,))))
        change = changed(Resume(schedule_id="nightly"), row)
        assert (change.schedule.state, told(change)) == (ScheduleState.ENDED, [("paused", 1)])

    def test_a_removal_leaves_a_tombstone(self) -> None:
        change = changed(Remove(schedule_id="nightly", by="ann"), schedule("1h"))
        after = change.schedule
        assert told(change) == [("removed", 3)]
        assert (after.state, after.watermark, after.next_fire, after.due) == (ScheduleState.REMOVED, NOW, None, None)
        assert (after.updated_at, after.updated_by) == (NOW, "ann")

    def test_a_pause_that_is_removed_was_a_pause(self) -> None:
        assert told(changed(Remove(schedule_id="nightly"), paused(schedule("1h")))) == [("paused", 3)]

    def test_a_watermark_ahead_of_the_clock_does_not_go_back(self) -> None:
        row = schedule("1h", since=NOW + DAY)
        for edit in (
            Pause(schedule_id="nightly"),
            Remove(schedule_id="nightly"),
            Amend(schedule_id="nightly", changes={"trigger": Every("1m")}),
        ):
            change = changed(edit, row)
            assert change.schedule.watermark == NOW + DAY
            assert (change.runs, change.skips) == ((), ())


class TestRunNow:
    def test_a_run_by_hand_leaves_the_clock_alone(self) -> None:
        row = schedule("1h", queue="q", priority=3, timeout=HOUR)
        change = changed(RunNow(schedule_id=row.id, key="order-17", by="ann"), row)
        assert change.schedule == row
        (run,) = change.manual
        assert (run.token, run.scheduled_time, run.due, run.start_by) == ("nightly@run-order-17", NOW, NOW, None)
        assert (run.queue, run.priority, run.policy, run.source, run.created_by) == (
            "q",
            3,
            row.policy,
            "manual",
            "ann",
        )

    def test_its_arguments_may_differ(self) -> None:
        (run,) = changed(RunNow(schedule_id="nightly", key="k", arguments="{}"), schedule("1h")).manual
        assert run.arguments == "{}"

    def test_overlap_forbids_a_second(self) -> None:
        edit = RunNow(schedule_id="nightly", key="k")
        with pytest.raises(RunOpen):
            edit(NOW, schedule("1h"), 1)
        assert changed(edit, schedule("1h", overlap="allow"), open_runs=9).manual

    def test_a_bad_key_is_refused(self) -> None:
        for key in ("", "a b", "a@b", "x" * 250):
            with pytest.raises(BadId):
                RunNow(schedule_id="nightly", key=key)(NOW, schedule("1h"), 0)
