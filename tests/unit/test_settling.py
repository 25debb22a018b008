"""What an edit owes where a pause has ended, a trigger raises, or newer code wrote the schedule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.edited import NOW, changed, declared_by, paused, runs_of, told
from tests.unit.planned import DAY, HOUR, MINUTE, SECOND, T0, US, Broken, schedule, written
from tickonce.editing import (
    Amend,
    Pause,
    Remove,
    Resume,
    SetAside,
)
from tickonce.errors import (
    DefinitionError,
    UnknownTrigger,
)
from tickonce.model import Definition, Schedule, ScheduleState
from tickonce.planning import following
from tickonce.triggers import Every, OpaqueTrigger

MOON = OpaqueTrigger({"kind": "moon", "version": 1}, why="newer")


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
        change = changed(declared_by(Definition(job="old", trigger=Every("1h", anchor=T0))), row)
        assert change.schedule.definition.known
        assert change.schedule.next_fire == T0 + 4 * HOUR
        assert [(skip.reason, skip.more) for skip in change.skips] == [("not known to this release", True)]

    def test_an_unknown_policy_is_not_half_changed(self) -> None:
        row = schedule("1h")
        row = replace(row, definition=replace(row.definition, extra={"policy": {"misfire": "newest two"}}))
        with pytest.raises(DefinitionError, match="newer"):
            Amend(schedule_id=row.id, changes={"grace": HOUR})(NOW, row, 0)
