"""Lists: which rows, in which order, a page at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tickonce.editing import Remove
from tickonce.model import Reason, RunState, ScheduleState, Skip
from tickonce.ports import RunFilter, ScheduleFilter, Store
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    end_run,
    list_all,
    make_idle,
    make_run,
    make_schedule,
    put,
    start_run,
)


class ListContract(Part):
    """``schedules``, ``runs``, ``skips``, ``ids``, ``run``."""

    # -- schedules -----------------------------------------------------------------------------

    def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        for page in (store.schedules(ScheduleFilter()), store.runs(RunFilter()), store.skips()):
            assert (page.items, page.cursor) == ((), None)
        assert store.ids() == []
        assert store.nodes() == []
        assert store.run("nightly@run-one") is None

    def test_schedules_come_by_id_byte_by_byte(self, store: Store) -> None:
        ids = ["b", "B", "a", "é", "z", "_", "-", "10", "9", "店", "😀", "\uffee"]
        for schedule_id in ids:
            make_idle(store, schedule_id)
        assert [row.id for row in store.schedules(ScheduleFilter()).items] == sorted(ids)
        assert store.ids() == sorted(ids)

    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
    def test_pages_of_schedules_are_all_of_them_once(self, store: Store, limit: int) -> None:
        rows = [make_idle(store, f"s{number}") for number in range(5)]
        assert list_all(lambda cursor: store.schedules(ScheduleFilter(), limit=limit, cursor=cursor)) == rows
        first = store.schedules(ScheduleFilter(), limit=limit)
        assert len(first.items) == min(limit, 5)
        assert (first.cursor is None) == (limit >= 5)

    def test_a_page_goes_on_behind_the_last_row_though_that_has_gone(self, store: Store) -> None:
        for schedule_id in ("a", "b", "c", "d"):
            make_idle(store, schedule_id)
        first = store.schedules(ScheduleFilter(), limit=2)
        store.change("b", Remove(schedule_id="b"))
        make_idle(store, "aa")
        assert [row.id for row in store.schedules(ScheduleFilter(), cursor=first.cursor).items] == ["c", "d"]

    @pytest.mark.parametrize(
        ("which", "expected"),
        [
            ({}, "abcd"),
            ({"ids": ("a", "c", "never-seen")}, "ac"),
            ({"states": (ScheduleState.PAUSED,)}, "b"),
            ({"states": (ScheduleState.PAUSED, ScheduleState.ACTIVE)}, "abc"),
            ({"job": "sync"}, "ac"),
            ({"job": "syn"}, ""),
            ({"queue": "reports"}, "b"),
            ({"tag": "eu"}, "bc"),
            ({"tag": "e"}, ""),
            ({"tag": "a b"}, "c"),
            ({"owner": "ann"}, "a"),
            ({"owner": "an%"}, ""),
            ({"source": "code"}, "d"),
            ({"text": "SYNC"}, "ac"),
            ({"text": "100%"}, "b"),
            ({"text": "100_"}, ""),
            ({"text": "Back\\slash"}, "a"),
            ({"text": "it's"}, "a"),
            ({"removed": True}, "abcdr"),
            ({"ended": False}, "abc"),
            ({"removed": True, "states": (ScheduleState.REMOVED,)}, "r"),
            ({"states": (ScheduleState.REMOVED,)}, ""),
            ({"job": "sync", "tag": "eu"}, "c"),
            ({"job": "sync", "queue": "reports"}, ""),
        ],
        ids=str,
    )
    def test_a_filter_lists_what_matches_all_of_it(self, store: Store, which: dict[str, Any], expected: str) -> None:
        make_idle(store, "a", job="sync", owner="ann", description="It's back\\slashed")
        make_idle(store, "b", queue="reports", tags=("eu", "us"), description="up 100%", state=ScheduleState.PAUSED)
        make_idle(store, "c", job="sync", tags=("x", "eu", "a b"))
        make_idle(store, "d", source="code", state=ScheduleState.ENDED, next_fire=None, due=None)
        make_idle(store, "r", job="gone")
        store.change("r", Remove(schedule_id="r"))
        assert "".join(row.id for row in store.schedules(ScheduleFilter(**which)).items) == expected

    def test_schedules_due_before_an_instant(self, store: Store) -> None:
        now = store.instant()
        for name, ahead in (("a", 1), ("b", 2), ("c", 3)):
            make_schedule(store, name, first=now + ahead * HOUR)
        make_schedule(store, "never", next_fire=None, due=None, state=ScheduleState.ENDED)
        found = store.schedules(ScheduleFilter(due_before=now + 2 * HOUR))
        assert [row.id for row in found.items] == ["a"]

    def test_many_ids_can_be_asked_for(self, store: Store) -> None:
        make_idle(store, "s1500")
        ids = tuple(f"s{number}" for number in range(3000))
        assert [row.id for row in store.schedules(ScheduleFilter(ids=ids)).items] == ["s1500"]

    # -- runs ------------------------------------------------------------------------------------

    def test_runs_come_newest_scheduled_time_first(self, store: Store) -> None:
        now = store.instant()
        for key, age in (("b", 2), ("a", 3), ("c", 1)):
            make_run(store, key, scheduled_time=now - age * HOUR)
        assert [run.scheduled_time for run in store.runs(RunFilter()).items] == [now - age * HOUR for age in (1, 2, 3)]

    @pytest.mark.parametrize("limit", [1, 2, 4, 6, 7])
    def test_pages_of_runs_are_all_of_them_once(self, store: Store, limit: int) -> None:
        now = store.instant()
        for key in "abcdef":  # two to an instant, so that a page may end between them
            make_run(store, key, scheduled_time=now - (ord(key) // 2) * HOUR)
        found = list_all(lambda cursor: store.runs(RunFilter(), limit=limit, cursor=cursor))
        assert found == list(store.runs(RunFilter()).items)
        assert len({run.token for run in found}) == 6
        assert (store.runs(RunFilter(), limit=limit).cursor is None) == (limit >= 6)

    def test_a_page_of_runs_goes_on_where_it_ended_though_newer_ones_have_come(self, store: Store) -> None:
        now = store.instant()
        for key, age in (("a", 1), ("b", 2), ("c", 3)):
            make_run(store, key, scheduled_time=now - age * HOUR)
        first = store.runs(RunFilter(), limit=2)
        make_run(store, "new", scheduled_time=now)
        assert [run.token for run in store.runs(RunFilter(), cursor=first.cursor).items] == ["nightly@run-c"]

    def test_a_filter_lists_the_runs_that_match_all_of_it(self, store: Store) -> None:
        now = store.instant()
        start_run(store, "held", schedule_id="a", scheduled_time=now - 4 * HOUR)
        store.note("node", "a@run-held", 1, overdue=True)
        end_run(store, "done", schedule_id="a", node="other", scheduled_time=now - 3 * HOUR)
        make_run(store, "job", schedule_id="b", job="sync", scheduled_time=now - 2 * HOUR)
        make_run(store, "queue", schedule_id="b", queue="reports", scheduled_time=now - HOUR)
        cases: list[tuple[dict[str, Any], list[str]]] = [
            ({}, ["queue", "job", "done", "held"]),
            ({"schedule_id": "a"}, ["done", "held"]),
            ({"schedule_id": "A"}, []),
            ({"job": "sync"}, ["job"]),
            ({"queue": "reports"}, ["queue"]),
            ({"states": (RunState.PENDING,)}, ["queue", "job"]),
            ({"states": (RunState.RUNNING, RunState.FAILED)}, ["done", "held"]),
            ({"node": "node"}, ["held"]),
            ({"node": "other"}, ["done"]),
            ({"scheduled_from": now - 2 * HOUR}, ["queue", "job"]),
            ({"scheduled_until": now - 3 * HOUR}, ["done", "held"]),
            ({"scheduled_from": now - 3 * HOUR, "scheduled_until": now - 3 * HOUR}, ["done"]),
            ({"overdue": True}, ["held"]),
            ({"overdue": False}, ["queue", "job", "done"]),
            ({"schedule_id": "a", "states": (RunState.PENDING,)}, []),
        ]
        for which, expected in cases:
            found = [run.token.partition("@run-")[2] for run in store.runs(RunFilter(**which)).items]
            assert found == expected, which

    # -- skips, ids --------------------------------------------------------------------------------

    def test_skip_records_come_newest_first(self, store: Store) -> None:
        now = store.instant()
        rows = {name: make_idle(store, name) for name in ("a", "b")}
        for name, age in (("a", 5), ("b", 4), ("a", 3), ("b", 2)):
            at = now - age * HOUR
            put(store, rows[name], skips=[Skip(name, Reason.OVERLAP, at, at + MINUTE, 2)])
        ages = [(now - skip.first) // HOUR for skip in store.skips().items]
        assert ages == [2, 3, 4, 5]
        assert [(now - skip.first) // HOUR for skip in store.skips("a").items] == [3, 5]
        assert store.skips("A").items == ()

    @pytest.mark.parametrize("limit", [1, 2, 5, 6])
    def test_pages_of_skip_records_are_all_of_them_once(self, store: Store, limit: int) -> None:
        now = store.instant()
        row = make_idle(store)
        other = make_idle(store, "other")
        for age in range(4, 0, -1):
            at = now - age * DAY
            put(store, row, skips=[Skip(row.id, Reason.OVERLAP, at, at + SECOND, 1)])
        put(store, other, skips=[Skip(other.id, Reason.OVERLAP, now - 2 * DAY, now - 2 * DAY, 1)])
        found = list_all(lambda cursor: store.skips(limit=limit, cursor=cursor))
        assert len(found) == len(set(found)) == 5
        assert (store.skips(limit=limit).cursor is None) == (limit >= 5)

    def test_ids_of_schedules_that_are_not_removed(self, store: Store) -> None:
        for schedule_id in ("sync-eu", "sync-us", "Nightly", "gone", "50%"):
            make_idle(store, schedule_id)
        store.change("gone", Remove(schedule_id="gone"))
        put(store, replace(make_idle(store, "ended"), state=ScheduleState.ENDED))
        assert store.ids() == ["50%", "Nightly", "ended", "sync-eu", "sync-us"]
        assert store.ids("sync") == ["sync-eu", "sync-us"]
        assert store.ids("NIGHT") == ["Nightly"]
        assert store.ids("%") == ["50%"]
        assert store.ids("_") == []
        assert store.ids(limit=2) == ["50%", "Nightly"]
