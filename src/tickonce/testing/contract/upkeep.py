"""What keeps a store in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tickonce.config import Retention
from tickonce.definitions import form_of, hash_of
from tickonce.editing import Declare, Remove, Resume
from tickonce.model import Definition, Fire, Fold, Reason, RunState, Schedule, ScheduleState, Skip
from tickonce.ports import ScheduleFilter, Store
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import (
    DAY,
    HOUR,
    MINUTE,
    MS,
    SECOND,
    SERVES,
    end_run,
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


class WatermarkContract(Part):
    """``raise_watermarks``: for a store that went back in time."""

    def test_a_watermark_that_is_older_moves_and_takes_the_next_fire_past_it(self, store: Store) -> None:
        row = make_schedule(store, first=store.instant() - 5 * HOUR)
        assert row.next_fire is not None
        mark = row.next_fire + 3 * HOUR
        assert store.raise_watermarks({row.id: mark}) == [row.id]
        after = row_of(store, row.id)
        moved = replace(row, watermark=mark, next_fire=mark + HOUR, due=mark + HOUR, version=row.version + 1)
        assert after == replace(moved, fold=Fold(Reason.REWOUND, row.next_fire))
        assert runs_of(store) == []

    def test_the_fires_passed_have_a_skip_record(self, store: Store) -> None:
        row, first = _late(store)
        store.raise_watermarks({row.id: first + 3 * HOUR + MINUTE})
        assert skips_of(store) == [Skip(row.id, Reason.REWOUND, first, first + 3 * HOUR, 4)]

    def test_a_fire_that_has_its_run_is_not_in_it(self, store: Store) -> None:
        row, first = _late(store)
        put(store, row, runs=[Fire(row.id, first + HOUR, first + HOUR)])
        make_run(store, schedule_id=row.id, scheduled_time=first + 2 * HOUR)  # by hand: it is not that fire
        store.raise_watermarks({row.id: first + 3 * HOUR})
        assert skips_of(store) == [
            Skip(row.id, Reason.REWOUND, first, first, 1),
            Skip(row.id, Reason.REWOUND, first + 2 * HOUR, first + 3 * HOUR, 2),
        ]

    def test_where_all_fires_have_their_runs_there_is_no_record(self, store: Store) -> None:
        row, first = _late(store)
        row = put(store, replace(row, fold=Fold(Reason.REWOUND, first - HOUR)), runs=[Fire(row.id, first, first)])
        assert store.raise_watermarks({row.id: first}) == [row.id]
        assert skips_of(store) == []
        assert row_of(store, row.id).fold is None, "a record does not grow across a run"

    def test_the_record_grows_when_the_store_goes_back_again(self, store: Store) -> None:
        row, first = _late(store)
        for hours in (1, 3):
            store.raise_watermarks({row.id: first + hours * HOUR})
        assert skips_of(store) == [Skip(row.id, Reason.REWOUND, first, first + 3 * HOUR, 4)]

    def test_of_a_paused_schedule_they_are_told_so_too(self, store: Store) -> None:
        """It got that far, so the pause was over by then; since when, the store has lost."""
        row, first = _late(store, state=ScheduleState.PAUSED, next_fire=None, due=None)
        store.raise_watermarks({row.id: first + HOUR})
        assert skips_of(store) == [Skip(row.id, Reason.REWOUND, first, first + HOUR, 2)]
        store.change(row.id, Resume(schedule_id=row.id))
        _, paused = skips_of(store)
        assert (paused.reason, paused.first) == (Reason.PAUSED, first + 2 * HOUR)

    def test_what_has_ended_or_was_removed_owes_none(self, store: Store) -> None:
        ended, first = _late(store, "ended", state=ScheduleState.ENDED, next_fire=None, due=None)
        removed, _ = _late(store, "removed", state=ScheduleState.REMOVED, next_fire=None, due=None)
        mark = first + 3 * HOUR
        assert sorted(store.raise_watermarks({ended.id: mark, removed.id: mark})) == [ended.id, removed.id]
        assert skips_of(store) == []

    def test_a_trigger_that_cannot_say_which_they_are_has_the_span_in_its_record(self, store: Store) -> None:
        row, first = _late(store)
        row = put(store, replace(row, definition=replace(row.definition, extra={"of": "a newer release"})))
        mark = first + 3 * HOUR
        store.raise_watermarks({row.id: mark})
        after = row_of(store, row.id)
        assert (after.watermark, after.next_fire, after.due) == (mark, first, first), "newer code moves it"
        (skip,) = skips_of(store)
        assert (skip.reason, skip.last, skip.count, skip.more) == (Reason.REWOUND, mark, 0, True)
        assert row.watermark < skip.first <= first

    def test_a_stale_plan_is_refused_after_it(self, store: Store) -> None:
        join(store)
        row = make_schedule(store)
        wanted = planned(store, row)
        store.raise_watermarks({row.id: wanted.watermark})
        assert store.launch("node", [wanted], slots=1, serves=SERVES).lost == (row.id,)

    def test_a_next_fire_beyond_the_watermark_stays(self, store: Store) -> None:
        row = make_idle(store)
        assert row.next_fire is not None
        mark = row.next_fire - MINUTE
        store.raise_watermarks({row.id: mark})
        after = row_of(store, row.id)
        assert (after.watermark, after.next_fire, after.due) == (mark, row.next_fire, row.due)
        assert skips_of(store) == []

    def test_what_is_not_behind_is_left_alone(self, store: Store) -> None:
        rows = [make_idle(store, name) for name in ("a", "b")]
        behind = make_schedule(store, "c")
        marks = {row.id: row.watermark - SECOND * number for number, row in enumerate(rows)}
        mark = behind.watermark + MINUTE
        assert store.raise_watermarks({**marks, "never-seen": mark, "c": mark}) == ["c"]
        assert [row_of(store, row.id) for row in rows] == rows
        assert {skip.schedule_id for skip in skips_of(store)} == {"c"}
        assert store.raise_watermarks({}) == []

    def test_a_schedule_without_a_next_fire_has_none_afterwards(self, store: Store) -> None:
        row = make_schedule(store, state=ScheduleState.PAUSED, next_fire=None, due=None)
        mark = row.watermark + HOUR
        assert store.raise_watermarks({row.id: mark}) == [row.id]
        after = row_of(store, row.id)
        assert (after.watermark, after.next_fire, after.due, after.state) == (mark, None, None, ScheduleState.PAUSED)


class SeenContract(Part):
    """``seen``."""

    def test_declared_schedules_that_were_not_seen_for_long_are_marked_and_versions_do_not_move(
        self, store: Store
    ) -> None:
        row = _declared(store, "nightly", ago=HOUR)
        before = store.instant()
        store.seen(["nightly", "never-seen"], older_than=MINUTE)
        after = row_of(store, "nightly")
        assert row.declaration is not None
        assert after.declaration is not None
        assert before <= after.declaration.seen_at <= store.instant()
        assert after == replace(row, declaration=replace(row.declaration, seen_at=after.declaration.seen_at))

    def test_what_was_seen_lately_or_not_named_or_not_declared_is_left_alone(self, store: Store) -> None:
        rows = [
            _declared(store, "recent", ago=SECOND),
            _declared(store, "not-named", ago=HOUR),
            make_idle(store, "by-hand"),
        ]
        store.seen(["recent", "by-hand"], older_than=MINUTE)
        store.seen([], older_than=timedelta(0))
        assert [row_of(store, row.id) for row in rows] == rows


class PruneContract(Part):
    """``prune``."""

    def test_ended_runs_that_are_older_go_but_the_newest_stay(self, store: Store) -> None:
        for age in (30, 20, 16, 15, 1):
            _end(store, f"old{age}", age)
        _end(store, "other", 20, schedule_id="other")
        assert store.prune(Retention(runs=14 * DAY, keep=2)) == 3
        assert [run.token.partition("old")[2] for run in runs_of(store, "nightly")] == ["15", "1"]
        assert len(runs_of(store, "other")) == 1
        assert store.prune(Retention(runs=14 * DAY, keep=2)) == 0

    def test_open_runs_do_not_count_among_those_that_stay(self, store: Store) -> None:
        _end(store, "ended", 20)
        make_run(store, "pending")
        assert store.prune(Retention(runs=DAY, keep=1)) == 0

    def test_open_runs_never_go(self, store: Store) -> None:
        old = store.instant() - 100 * DAY
        start_run(store, "running", scheduled_time=old, due=old)
        make_run(store, "pending", scheduled_time=old, due=old)
        assert store.prune(Retention(runs=DAY, keep=0)) == 0

    @pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.LOST])
    def test_all_kinds_of_ended_runs_go(self, store: Store, state: RunState) -> None:
        _end(store, "one", 20, state=state)
        assert store.prune(Retention(runs=DAY, keep=0)) == 1
        assert runs_of(store) == []

    def test_skip_records_that_are_older_go(self, store: Store) -> None:
        now = store.instant()
        row = make_idle(store)
        skips = [
            Skip(row.id, Reason.OVERLAP, now - 50 * DAY, now - 40 * DAY, 2),
            Skip(row.id, Reason.MISFIRE, now - 39 * DAY, now - HOUR, 2),
        ]
        put(store, row, skips=skips)
        assert store.prune(Retention(skips=30 * DAY)) == 1
        assert skips_of(store) == skips[1:]

    def test_a_record_that_has_gone_is_not_continued(self, store: Store) -> None:
        join(store)
        now = store.instant()
        row = make_schedule(store, fires=3, misfire="skip", grace=MS)
        gone = Skip(row.id, Reason.MISFIRE, now - 50 * DAY, now - 40 * DAY, 2)
        row = put(store, replace(row, fold=Fold(Reason.MISFIRE, gone.first)), skips=[gone])
        assert store.prune(Retention(skips=30 * DAY)) == 1
        self.let_pass(store, 2 * MS)
        launch(store, row)
        assert [(skip.count, skip.first) for skip in skips_of(store)] == [(3, row.next_fire)]

    def test_rows_of_nodes_that_are_gone_for_long_go(self, store: Store) -> None:
        join(store, "alive")
        for name in ("gone", "dead"):
            join(store, name, lease=MS)
        store.leave("gone")
        self.let_pass(store, 3 * MS)
        store.expire("alive", ["dead"])
        assert store.prune(Retention(nodes=HOUR)) == 0
        self.let_pass(store, 3 * MS)
        assert store.prune(Retention(nodes=MS)) == 2
        assert [node.id for node in store.nodes()] == ["alive"]

    def test_the_mark_of_a_removed_schedule_stays_while_code_declares_it(self, store: Store) -> None:
        """However long ago it was removed: else the next deployment would bring it back."""
        old = store.instant() - 40 * DAY
        for name, ago in (("declared", MINUTE), ("forgotten", 40 * DAY)):
            row = _declared(store, name, ago=ago)
            put(store, replace(row, state=ScheduleState.REMOVED, next_fire=None, due=None, updated_at=old))
        assert store.prune(Retention()) == 1
        assert store.get("forgotten") is None
        assert store.get("declared") is not None
        store.seen(["declared"], older_than=SECOND)  # tombstones are marked like all others
        found = row_of(store, "declared").declaration
        assert found is not None
        assert found.seen_at > store.instant() - MINUTE

    def test_marks_of_schedules_removed_long_ago_go(self, store: Store) -> None:
        for name in ("kept", "removed"):
            make_idle(store, name)
        store.change("removed", Remove(schedule_id="removed"))
        self.let_pass(store, 3 * MS)
        assert store.prune(Retention(tombstones=HOUR)) == 0
        assert store.prune(Retention(tombstones=MS)) == 1
        assert store.get("removed") is None
        assert store.get("kept") is not None

    def test_schedules_that_ended_long_ago_go_with_their_runs(self, store: Store) -> None:
        _ended(store, "old", 20)
        _ended(store, "recent", 1)
        _end(store, "one", 20, schedule_id="old")
        make_idle(store, "active", updated_at=store.instant() - 90 * DAY)
        while store.prune(Retention(), limit=2):
            pass
        assert store.get("old") is None
        assert runs_of(store, "old") == []
        assert {row.id for row in store.schedules(ScheduleFilter()).items} == {"recent", "active"}

    def test_an_ended_schedule_stays_while_it_has_an_open_run_or_was_edited_or_declared_lately(
        self, store: Store
    ) -> None:
        now = store.instant()
        for name in ("open", "edited", "declared"):
            _ended(store, name, 20)
        make_run(store, "one", schedule_id="open")
        edited = row_of(store, "edited")
        put(store, replace(edited, updated_at=now - DAY))
        declared = _declared(store, "fresh", ago=DAY).declaration
        put(store, replace(row_of(store, "declared"), declaration=declared))
        assert store.prune(Retention()) == 0
        assert {row.id for row in store.schedules(ScheduleFilter()).items} == {"open", "edited", "declared", "fresh"}

    def test_a_plan_for_a_schedule_that_is_pruned_launches_nothing(self, store: Store) -> None:
        """Nor does one of the same id that comes after it launch what was dealt with."""
        join(store)
        row = make_schedule(store)
        stale = planned(store, row)
        old = store.instant() - 20 * DAY
        put(store, replace(row, state=ScheduleState.ENDED, next_fire=None, due=None, watermark=old, updated_at=old))
        assert store.prune(Retention()) == 1
        assert store.launch("node", [stale], slots=1, serves=SERVES).lost == (row.id,)
        again = make_idle(store, row.id)
        assert store.launch("node", [stale], slots=1, serves=SERVES).lost == (row.id,)
        assert again.watermark >= row.watermark

    def test_of_a_schedule_that_is_gone_no_runs_are_kept(self, store: Store) -> None:
        for age in (20, 1):
            _end(store, f"r{age}", age, schedule_id="gone")
        store.change("gone", Remove(schedule_id="gone"))
        assert store.prune(Retention(keep=50)) == 0
        self.let_pass(store, 3 * MS)
        while store.prune(Retention(keep=50, tombstones=MS)):
            pass
        assert [run.token for run in runs_of(store, "gone")] == ["gone@run-r1"]

    def test_a_chunk_is_no_larger_than_the_limit(self, store: Store) -> None:
        now = store.instant()
        for number in range(3):
            _end(store, f"r{number}", 20)
        row = make_idle(store)
        for age in (50, 60):
            put(store, row, skips=[Skip(row.id, Reason.OVERLAP, now - age * DAY, now - age * DAY, 1)])
        for name in ("a", "b", "c"):
            join(store, name)
            store.leave(name)
            make_idle(store, name)
            store.change(name, Remove(schedule_id=name))
        self.let_pass(store, 3 * MS)
        retention = Retention(keep=0, nodes=MS, tombstones=MS)
        sizes = [store.prune(retention, limit=2) for _ in range(12)]
        assert sum(sizes) == 11
        assert max(sizes) <= 2
        assert sizes[-1] == 0

    def test_watermarks_stay(self, store: Store) -> None:
        """A fire whose run was pruned is not launched again."""
        join(store)
        row = make_schedule(store)
        wanted = planned(store, row)
        _end(store, "one", 20)
        before = row_of(store, row.id)
        store.prune(Retention(keep=0))
        assert row_of(store, row.id) == before
        assert wanted.schedule.watermark <= before.watermark

    def test_nothing_is_old_in_a_young_store(self, store: Store) -> None:
        join(store)
        end_run(store)
        launch(store, make_schedule(store, "other", fires=3))
        before = everything(store)
        assert store.prune(Retention()) == 0
        assert everything(store) == before


class ClockContract(Part):
    """``accept_clock``, ``durability`` and ``ceilings``."""

    def test_each_acceptance_raises_the_epoch(self, store: Store) -> None:
        first = store.accept_clock()
        assert [store.accept_clock(), self.another(store).accept_clock()] == [first + 1, first + 2]

    def test_durability_is_said_in_lines(self, store: Store) -> None:
        assert all(line and "\n" not in line for line in store.durability())

    def test_a_ceiling_counts_the_connection_that_looks_and_says_how_it_is_raised(self, store: Store) -> None:
        for ceiling in store.ceilings():
            assert 0 <= ceiling.reserved < ceiling.most
            assert 1 <= ceiling.used <= ceiling.most
            assert "{}" in ceiling.raised


def _late(store: Store, schedule_id: str = "nightly", **fields: Any) -> tuple[Schedule, datetime]:
    """Write a schedule of which no fire for five hours was dealt with; return it, and the first of them."""
    first = store.instant() - 5 * HOUR
    return make_schedule(store, schedule_id, trigger=Every(HOUR, anchor=first), first=first, **fields), first


def _end(
    store: Store,
    key: str,
    days: int,
    *,
    schedule_id: str = "nightly",
    state: RunState = RunState.SUCCEEDED,
) -> None:
    at = store.instant() - days * DAY
    end_run(store, key, schedule_id=schedule_id, state=state, scheduled_time=at, due=at, finished_at=at + SECOND)


def _ended(store: Store, schedule_id: str, days: int) -> Schedule:
    """Write a schedule that has ended so long ago."""
    at = store.instant() - days * DAY
    row = make_idle(store, schedule_id)
    return put(store, replace(row, state=ScheduleState.ENDED, next_fire=None, due=None, watermark=at, updated_at=at))


def _declared(store: Store, schedule_id: str, *, ago: timedelta) -> Schedule:
    definition = Definition(job="work", trigger=Every("1h"))
    declare = Declare(
        schedule_id=schedule_id, definition=definition, hash=hash_of(definition), form=form_of(definition)
    )
    row = store.change(schedule_id, declare)
    assert row is not None
    assert row.declaration is not None
    return put(store, replace(row, declaration=replace(row.declaration, seen_at=store.instant() - ago)))
