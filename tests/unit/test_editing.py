"""Edits: they settle what is due by the old definition, and apply to what comes after."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.planned import DAY, HOUR, MINUTE, SECOND, T0, US, At, Broken, schedule, written
from tickonce.codec import encode_arguments
from tickonce.definitions import form_of, hash_of
from tickonce.editing import (
    Amend,
    Create,
    Declare,
    Pause,
    Remove,
    Resume,
    Revert,
    RunNow,
    SetAside,
    older,
)
from tickonce.errors import (
    BadId,
    DefinitionError,
    NoSchedule,
    RevisionMismatch,
    RunOpen,
    ScheduleExists,
    UnknownTrigger,
    WrongState,
)
from tickonce.model import Change, Definition, Overlap, Policy, Reason, Schedule, ScheduleState, Skip
from tickonce.planning import choose, following, plan
from tickonce.triggers import Every, OpaqueTrigger, Trigger

NOW = T0 + 3 * HOUR + 30 * MINUTE
MOON = OpaqueTrigger({"kind": "moon", "version": 1}, why="newer")


def changed(edit: Any, row: Schedule | None, now: datetime = NOW, open_runs: int = 0) -> Change:
    change = edit(now, row, open_runs)
    assert isinstance(change, Change)
    return change


def runs_of(change: Change) -> list[datetime]:
    return [fire.scheduled_time for fire in change.runs]


def told(change: Change) -> list[tuple[str, int]]:
    return [(str(skip.reason), skip.count) for skip in change.skips]


def paused(row: Schedule, at: datetime = T0, **fields: Any) -> Schedule:
    return written(changed(Pause(schedule_id=row.id, **fields), row, at))


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
            change = changed(Amend(schedule_id=row.id, changes={name: value}, by="ann"), row)
            after = change.schedule
            assert (after.watermark, after.next_fire, after.due) == (row.watermark, row.next_fire, row.due)
            assert (after.revision, after.updated_at, after.updated_by) == (2, NOW, "ann")
            assert (change.runs, change.skips) == ((), ())

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


class TestAmendWhilePaused:
    def test_the_pause_stays_and_what_passed_is_recorded(self) -> None:
        row = paused(schedule("1h"), reason="stock taking")
        change = changed(Amend(schedule_id=row.id, changes={"trigger": Every("1m", anchor=T0)}), row)
        assert told(change) == [("paused", 3)]
        after = change.schedule
        assert (after.state, after.reason, after.watermark, after.next_fire) == (
            ScheduleState.PAUSED,
            "stock taking",
            NOW,
            None,
        )

    def test_a_pause_with_an_end_gets_its_next_fire_by_the_new_trigger(self) -> None:
        row = paused(schedule("1h"), until=NOW + HOUR)
        after = changed(Amend(schedule_id=row.id, changes={"trigger": Every("7m", anchor=T0)}), row).schedule
        assert (after.state, after.paused_until) == (ScheduleState.PAUSED, NOW + HOUR)
        assert after.next_fire == following(after.definition, NOW + HOUR)
        assert after.due == after.next_fire

    def test_what_came_after_the_end_of_a_pause_is_launched_and_not_skipped(self) -> None:
        """The pause was over; only no node had come by yet."""
        row = paused(schedule("1h", misfire="all", overlap="allow"), until=T0 + HOUR)
        change = changed(Amend(schedule_id=row.id, changes={"trigger": Every("1d", anchor=T0)}), row)
        assert (runs_of(change), told(change)) == ([T0 + 2 * HOUR, T0 + 3 * HOUR], [("paused", 1)])
        after = change.schedule
        assert (after.state, after.paused_until, after.reason) == (ScheduleState.ACTIVE, None, None)

    def test_after_a_pause_without_fires_since_only_the_pause_is_recorded(self) -> None:
        row = paused(schedule("1h"), until=T0 + 3 * HOUR)
        change = changed(Amend(schedule_id=row.id, changes={"trigger": Every("1d", anchor=T0)}), row)
        assert (runs_of(change), told(change)) == ([], [("paused", 3)])
        assert change.schedule.state is ScheduleState.ACTIVE


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


class TestSetAside:
    def aside(self) -> Schedule:
        row = schedule("1h", version=5)
        return written(changed(SetAside(schedule_id=row.id, version=5, reason="no month 13"), row, T0))

    def test_a_schedule_is_set_aside_visibly(self) -> None:
        row = self.aside()
        assert (row.state, row.reason, row.next_fire, row.due) == (ScheduleState.ASIDE, "no month 13", None, None)
        assert row.watermark == T0

    def test_one_that_was_changed_meanwhile_is_left_alone(self) -> None:
        aside = SetAside(schedule_id="nightly", version=5, reason="x")
        assert aside(NOW, schedule("1h", version=6), 0) is None
        assert aside(NOW, None, 0) is None
        assert aside(NOW, schedule("1h", version=5, state=ScheduleState.REMOVED), 0) is None

    def test_resuming_records_what_it_could_not_do(self) -> None:
        change = changed(Resume(schedule_id="nightly"), self.aside())
        assert (told(change), change.schedule.state) == ([("set aside", 3)], ScheduleState.ACTIVE)

    def test_mending_the_trigger_brings_it_back_and_records_what_it_could_not_do(self) -> None:
        change = changed(Amend(schedule_id="nightly", changes={"trigger": Every("1d", anchor=T0)}), self.aside())
        assert told(change) == [("set aside", 3)]
        assert (change.schedule.state, change.schedule.reason) == (ScheduleState.ACTIVE, None)

    def test_another_edit_leaves_it_aside(self) -> None:
        after = changed(Amend(schedule_id="nightly", changes={"owner": "ann"}), self.aside()).schedule
        assert (after.state, after.reason) == (ScheduleState.ASIDE, "no month 13")

    def test_a_trigger_that_raises_can_be_replaced_paused_and_removed(self) -> None:
        row = replace(schedule("1h"), definition=Definition(job="work", trigger=Broken()))
        change = changed(Amend(schedule_id=row.id, changes={"trigger": Every("1d", anchor=T0)}), row)
        (skip,) = change.skips
        assert "no month 13" in skip.reason
        assert (skip.first, skip.last, skip.count, skip.more) == (T0 + US, NOW, 0, True)
        assert change.schedule.state is ScheduleState.ACTIVE
        for edit in (Pause(schedule_id=row.id), Remove(schedule_id=row.id)):
            assert [skip.more for skip in changed(edit, row).skips] == [True]


class TestNewerCode:
    """What this code does not know it neither plans nor breaks."""

    @pytest.fixture(params=["trigger", "field"])
    def row(self, request: pytest.FixtureRequest) -> Schedule:
        row = schedule("1h")
        if request.param == "trigger":
            return replace(row, definition=replace(row.definition, trigger=MOON))
        return replace(row, definition=replace(row.definition, extra={"calendar": "CN"}))

    def test_edits_beside_the_timing_work(self, row: Schedule) -> None:
        after = changed(Amend(schedule_id=row.id, changes={"owner": "ann"}), row).schedule
        assert after.definition == replace(row.definition, owner="ann")

    def test_it_can_be_paused_and_removed(self, row: Schedule) -> None:
        for edit, reason in ((Pause(schedule_id=row.id), "paused"), (Remove(schedule_id=row.id), "removed")):
            (skip,) = changed(edit, row).skips
            assert (skip.reason, skip.count, skip.more) == (reason, 0, True)

    def test_what_is_not_due_leaves_no_record(self, row: Schedule) -> None:
        assert changed(Pause(schedule_id=row.id), row, T0 + MINUTE).skips == ()

    def test_what_would_need_its_next_fire_is_refused(self, row: Schedule) -> None:
        for edit in (Resume(schedule_id=row.id), Resume(schedule_id=row.id, missed="all")):
            with pytest.raises(UnknownTrigger):
                edit(NOW, replace(row, state=ScheduleState.PAUSED), 0)
        with pytest.raises(UnknownTrigger):
            Pause(schedule_id=row.id, until=NOW + DAY)(NOW, row, 0)
        with pytest.raises(UnknownTrigger):
            Amend(schedule_id=row.id, changes={"jitter": SECOND})(NOW, row, 0)

    def test_code_that_is_left_after_a_rollback_replaces_it(self, row: Schedule) -> None:
        """Else the schedule would stay out of reach of the code that runs."""
        change = changed(_declare(Definition(job="old", trigger=Every("1h", anchor=T0))), row)
        assert change.schedule.definition.known
        assert change.schedule.next_fire == T0 + 4 * HOUR
        assert [(skip.reason, skip.more) for skip in change.skips] == [("not known to this release", True)]

    def test_an_unknown_policy_is_not_half_changed(self) -> None:
        row = schedule("1h")
        row = replace(row, definition=replace(row.definition, extra={"policy": {"misfire": "newest two"}}))
        with pytest.raises(DefinitionError, match="newer"):
            Amend(schedule_id=row.id, changes={"grace": HOUR})(NOW, row, 0)


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


def _declare(definition: Definition, **fields: Any) -> Declare:
    form = form_of(definition)
    return Declare(schedule_id="nightly", definition=definition, hash=hash_of(definition), form=form, **fields)


class TestDeclare:
    A = Definition(job="work", trigger=Every("1h", anchor=T0), owner="a")
    B = Definition(job="work", trigger=Every("1h", anchor=T0), owner="b")
    C = Definition(job="work", trigger=Every("2h", anchor=T0), owner="c")

    def declared(self, definition: Definition, **fields: Any) -> Schedule:
        return written(changed(_declare(definition, **fields), None, T0))

    def test_what_is_new_is_made(self) -> None:
        row = self.declared(self.A, release="1")
        assert (row.source, row.watermark, row.next_fire) == ("code", T0, T0 + HOUR)
        assert row.declaration is not None
        assert (row.declaration.hash, row.declaration.release, row.declaration.seen_at) == (hash_of(self.A), "1", T0)

    def test_what_is_unchanged_is_not_touched(self) -> None:
        assert _declare(self.A)(NOW, self.declared(self.A), 0) is None

    def test_what_never_fires_again_may_be_declared(self) -> None:
        """A deploy after the date of a one-off is no error."""
        row = changed(_declare(Definition(job="work", trigger=At((T0,)))), None).schedule
        assert row.state is ScheduleState.ENDED

    def test_a_change_is_an_edit(self) -> None:
        change = changed(_declare(self.B), self.declared(self.A))
        assert (change.runs, change.skips) == ((), ())
        assert (change.schedule.next_fire, change.schedule.definition) == (T0 + HOUR, self.B)
        change = changed(_declare(self.C), self.declared(self.A))
        assert (runs_of(change), told(change)) == ([T0 + 3 * HOUR], [("misfire", 2)])
        assert change.schedule.next_fire == T0 + 4 * HOUR

    def test_what_a_person_removed_stays_removed(self) -> None:
        stone = written(changed(Remove(schedule_id="nightly"), self.declared(self.A)))
        for definition in (self.A, self.C):
            assert _declare(definition)(NOW, stone, 0) is None

    def test_code_may_take_the_id_of_a_schedule_that_was_never_declared(self) -> None:
        stone = written(changed(Remove(schedule_id="nightly"), schedule("1h")))
        assert changed(_declare(self.A), stone).schedule.state is ScheduleState.ACTIVE
        assert changed(_declare(self.B), schedule("1h")).schedule.source == "code"

    def test_an_older_release_never_replaces_a_newer(self) -> None:
        row = self.declared(self.A, release="1.10")
        assert _declare(self.B, release="1.9")(NOW, row, 0) is None
        assert changed(_declare(self.B, release="1.10"), row).schedule.definition == self.B
        assert changed(_declare(self.B, release="1.11"), row).schedule.definition == self.B
        assert changed(_declare(self.B), row).schedule.definition == self.B

    def test_what_no_live_node_declares_is_replaced_though_it_is_newer(self) -> None:
        row = self.declared(self.A, release="2")
        forced = _declare(self.B, release="1", forced=True, expected=hash_of(self.A))
        assert changed(forced, row).schedule.definition == self.B
        assert replace(forced, expected=hash_of(self.C))(NOW, row, 0) is None

    def test_what_people_changed_survives_field_by_field(self) -> None:
        row = self.declared(self.A)
        row = written(changed(Amend(schedule_id="nightly", changes={"trigger": Every("5m"), "timeout": HOUR}), row))
        assert row.declaration is not None
        assert row.declaration.overrides == {"trigger", "timeout"}
        after = changed(_declare(self.C), row).schedule
        assert (after.trigger, after.policy.timeout, after.definition.owner) == (Every("5m"), HOUR, "c")
        assert after.declaration is not None
        assert after.declaration.overrides == {"trigger", "timeout"}

    def test_an_override_that_this_code_does_not_know_is_left(self) -> None:
        row = self.declared(self.A)
        assert row.declaration is not None
        row = replace(row, declaration=replace(row.declaration, overrides=frozenset({"calendar", "owner"})))
        after = changed(_declare(self.C), row).schedule
        assert after.definition.owner == "a"
        assert after.declaration is not None
        assert after.declaration.overrides == {"calendar", "owner"}

    def test_a_pause_survives_a_deploy(self) -> None:
        row = paused(self.declared(self.A), reason="by hand")
        after = changed(_declare(self.C), row).schedule
        assert (after.state, after.reason) == (ScheduleState.PAUSED, "by hand")

    def test_revert_gives_back_what_code_says(self) -> None:
        row = self.declared(self.A)
        row = written(changed(Amend(schedule_id="nightly", changes={"owner": "me", "grace": HOUR}), row))
        after = changed(Revert(schedule_id="nightly"), row).schedule
        assert after.definition == self.A
        assert after.declaration is not None
        assert after.declaration.overrides == frozenset()
        assert Revert(schedule_id="nightly")(NOW, written(changed(Revert(schedule_id="nightly"), row)), 0) is None

    def test_revert_of_what_code_does_not_declare_is_refused(self) -> None:
        with pytest.raises(WrongState):
            Revert(schedule_id="nightly")(NOW, schedule("1h"), 0)


class TestOlder:
    @pytest.mark.parametrize(
        "releases",
        [
            ["1", "2", "10", "100"],
            ["1.2", "1.2.1", "1.10", "2.0"],
            ["v1.9", "v1.10"],
            ["2026-09-30", "2026-10-01", "2027-01-01"],
            ["", "0", "1"],
            ["build-9", "build-10", "build-10a"],
        ],
    )
    def test_numbers_inside_compare_as_numbers(self, releases: list[str]) -> None:
        for at, mine in enumerate(releases):
            assert [older(mine, theirs) for theirs in releases] == [False] * (at + 1) + [True] * (
                len(releases) - at - 1
            )

    def test_without_a_release_nothing_is_older(self) -> None:
        assert not older(None, "1")
        assert not older("1", None)

    @given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
    def test_it_is_an_order(self, a: str, b: str, c: str) -> None:
        assert not (older(a, b) and older(b, a))
        assert not older(a, a)
        if older(a, b) and older(b, c):
            assert older(a, c)


# -- the ledger: edits and launches in any order forget nothing and double nothing ------------------


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
    assert sum(skip.count for skip in ledger.skips) + len(ledger.runs) == len(owed)


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
            edit = _declare(_every(number, policy))
    return edit(now, ledger.row, 0)  # type: ignore[no-any-return]


def test_a_trigger_is_what_it_says() -> None:
    assert isinstance(Broken(), Trigger)
