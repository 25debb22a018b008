"""What code says of a schedule, across releases and beside what people changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.edited import NOW, changed, declared_by, paused, runs_of, told
from tests.unit.planned import HOUR, T0, At, Broken, schedule, written
from tickonce.definitions import hash_of
from tickonce.editing import (
    Amend,
    Remove,
    Revert,
    older,
)
from tickonce.errors import (
    WrongState,
)
from tickonce.model import Definition, Schedule, ScheduleState
from tickonce.triggers import Every


class TestDeclare:
    A = Definition(job="work", trigger=Every("1h", anchor=T0), owner="a")
    B = Definition(job="work", trigger=Every("1h", anchor=T0), owner="b")
    C = Definition(job="work", trigger=Every("2h", anchor=T0), owner="c")

    def declared(self, definition: Definition, **fields: Any) -> Schedule:
        return written(changed(declared_by(definition, **fields), None, T0))

    def test_what_is_new_is_made(self) -> None:
        row = self.declared(self.A, release="1")
        assert (row.source, row.watermark, row.next_fire) == ("code", T0, T0 + HOUR)
        assert row.declaration is not None
        assert (row.declaration.hash, row.declaration.release, row.declaration.seen_at) == (hash_of(self.A), "1", T0)

    def test_what_raises_is_set_aside_with_the_reason(self) -> None:
        broken = Definition(job="work", trigger=Broken())
        row = self.declared(broken, release="1")
        assert (row.state, row.next_fire, row.source) == (ScheduleState.ASIDE, None, "code")
        assert row.reason == "trigger raised ZeroDivisionError: no month 13"
        assert declared_by(broken)(NOW, row, 0) is None
        assert changed(declared_by(self.A), row).schedule.state is ScheduleState.ACTIVE

    def test_a_change_to_what_raises_settles_what_is_due_and_sets_aside(self) -> None:
        change = changed(declared_by(Definition(job="work", trigger=Broken())), self.declared(self.C))
        assert runs_of(change) == [T0 + 2 * HOUR]
        row = change.schedule
        assert (row.state, row.next_fire, row.due, row.watermark) == (ScheduleState.ASIDE, None, None, NOW)
        assert "no month 13" in (row.reason or "")

    def test_what_is_unchanged_is_not_touched(self) -> None:
        assert declared_by(self.A)(NOW, self.declared(self.A), 0) is None

    def test_what_never_fires_again_may_be_declared(self) -> None:
        """A deploy after the date of a one-off is no error."""
        row = changed(declared_by(Definition(job="work", trigger=At((T0,)))), None).schedule
        assert row.state is ScheduleState.ENDED

    def test_a_change_is_an_edit(self) -> None:
        change = changed(declared_by(self.B), self.declared(self.A))
        assert (change.runs, change.skips) == ((), ())
        assert (change.schedule.next_fire, change.schedule.definition) == (T0 + HOUR, self.B)
        change = changed(declared_by(self.C), self.declared(self.A))
        assert (runs_of(change), told(change)) == ([T0 + 3 * HOUR], [("misfire", 2)])
        assert change.schedule.next_fire == T0 + 4 * HOUR

    def test_what_a_person_removed_stays_removed(self) -> None:
        stone = written(changed(Remove(schedule_id="nightly"), self.declared(self.A)))
        for definition in (self.A, self.C):
            assert declared_by(definition)(NOW, stone, 0) is None

    def test_code_may_take_the_id_of_a_schedule_that_was_never_declared(self) -> None:
        stone = written(changed(Remove(schedule_id="nightly"), schedule("1h")))
        assert changed(declared_by(self.A), stone).schedule.state is ScheduleState.ACTIVE
        assert changed(declared_by(self.B), schedule("1h")).schedule.source == "code"

    def test_an_older_release_never_replaces_a_newer(self) -> None:
        row = self.declared(self.A, release="1.10")
        assert declared_by(self.B, release="1.9")(NOW, row, 0) is None
        assert changed(declared_by(self.B, release="1.10"), row).schedule.definition == self.B
        assert changed(declared_by(self.B, release="1.11"), row).schedule.definition == self.B
        assert changed(declared_by(self.B), row).schedule.definition == self.B

    def test_what_no_live_node_declares_is_replaced_though_it_is_newer(self) -> None:
        row = self.declared(self.A, release="2")
        forced = declared_by(self.B, release="1", forced=True, expected=hash_of(self.A), expected_revision=row.revision)
        assert changed(forced, row).schedule.definition == self.B
        assert replace(forced, expected=hash_of(self.C))(NOW, row, 0) is None

    def test_what_comes_late_does_not_undo_a_rollout_that_went_back_to_the_same_code(self) -> None:
        """A call on its way for minutes, from a process long dead. Seed 38220 of the simulation."""
        row = self.declared(self.A, release="2")
        late = declared_by(self.B, release="1", forced=True, expected=hash_of(self.A), expected_revision=row.revision)
        back = written(changed(late, row))
        again = declared_by(self.A, release="2", forced=True, expected=hash_of(self.B), expected_revision=back.revision)
        row = written(changed(again, back))
        assert late(NOW, row, 0) is None

    def test_what_people_changed_survives_field_by_field(self) -> None:
        row = self.declared(self.A)
        row = written(changed(Amend(schedule_id="nightly", changes={"trigger": Every("5m"), "timeout": HOUR}), row))
        assert row.declaration is not None
        assert row.declaration.overrides == {"trigger", "timeout"}
        after = changed(declared_by(self.C), row).schedule
        assert (after.trigger, after.policy.timeout, after.definition.owner) == (Every("5m"), HOUR, "c")
        assert after.declaration is not None
        assert after.declaration.overrides == {"trigger", "timeout"}

    def test_an_override_that_this_code_does_not_know_is_left(self) -> None:
        row = self.declared(self.A)
        assert row.declaration is not None
        row = replace(row, declaration=replace(row.declaration, overrides=frozenset({"calendar", "owner"})))
        after = changed(declared_by(self.C), row).schedule
        assert after.definition.owner == "a"
        assert after.declaration is not None
        assert after.declaration.overrides == {"calendar", "owner"}

    def test_a_pause_survives_a_deploy(self) -> None:
        row = paused(self.declared(self.A), reason="by hand")
        after = changed(declared_by(self.C), row).schedule
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
