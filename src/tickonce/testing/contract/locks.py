"""Rows that somebody else holds: passed over or waited for, never an obstacle for others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from threading import Event, Thread

import pytest

from tickonce.editing import Amend
from tickonce.model import Change, Schedule
from tickonce.ports import Store
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import (
    SERVES,
    join,
    launch,
    look,
    make_idle,
    make_run,
    make_schedule,
    outcome_of,
    row_of,
    start_run,
)

_DEADLINE_S = 20


class LockContract(Part):
    """While one step holds a schedule's row."""

    @pytest.fixture(autouse=True)
    def _only_where_rows_are_locked(self, request: pytest.FixtureRequest) -> None:
        if not self.row_locks and request.function.__name__ in vars(LockContract):
            pytest.skip("all steps of this store wait for each other")

    def test_a_launch_reports_a_held_row_and_does_not_wait(self, store: Store) -> None:
        join(store)
        held, free = make_schedule(store, "held"), make_schedule(store, "free")
        with _holding(self.another(store), "held"):
            launched = launch(store, held, free, slots=9)
            assert launched.locked == ("held",)
            assert [run.schedule_id for run in launched.claimed] == ["free"]
            assert launched.lost == ()
        assert [run.schedule_id for run in launch(store, held, slots=9).claimed] == ["held"]

    def test_a_look_does_not_wait_for_a_held_row(self, store: Store) -> None:
        row = make_schedule(store)
        with _holding(self.another(store), row.id):
            assert look(store).due == (row,)
            assert store.get(row.id) == row

    def test_work_on_runs_does_not_wait_for_a_held_row(self, store: Store) -> None:
        run = start_run(store)
        make_run(store, "two")
        with _holding(self.another(store), "nightly"):
            assert store.finish([outcome_of(run)]) == [True]
            assert len(store.claim("node", serves=SERVES, limit=9)) == 1
            assert store.recover() == []
            assert store.lapse() == []

    def test_beats_do_not_wait_for_a_held_row(self, store: Store) -> None:
        node = join(store)
        make_idle(store)
        with _holding(self.another(store), "nightly"):
            assert store.beat(node).alive

    def test_an_edit_waits_for_a_held_row_and_then_sees_what_was_written(self, store: Store) -> None:
        make_idle(store)
        done = Event()

        def edit() -> None:
            store.change("nightly", Amend(schedule_id="nightly", changes={"description": "second"}))
            done.set()

        with _holding(self.another(store), "nightly", write="first"):
            thread = Thread(target=edit, daemon=True)
            thread.start()
            assert not done.wait(0.05)
        assert done.wait(_DEADLINE_S)
        thread.join(_DEADLINE_S)
        row = row_of(store, "nightly")
        assert (row.reason, row.definition.description, row.revision) == ("first", "second", 2)


@contextmanager
def _holding(store: Store, schedule_id: str, *, write: str | None = None) -> Iterator[None]:
    """Hold the row in another thread's step for as long as the block lasts."""
    inside, leave = Event(), Event()
    failures: list[BaseException] = []

    def decide(now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        assert now is not None
        assert open_runs >= 0
        inside.set()
        assert leave.wait(_DEADLINE_S), "the block took too long"
        if write is None or schedule is None:
            return None
        return Change(schedule=replace(schedule, reason=write))

    def hold() -> None:
        try:
            store.change(schedule_id, decide)
        except BaseException as error:  # noqa: BLE001  # raised again in the test's own thread
            failures.append(error)
            inside.set()

    thread = Thread(target=hold, daemon=True)
    thread.start()
    assert inside.wait(_DEADLINE_S)
    try:
        yield
    finally:
        leave.set()
        thread.join(_DEADLINE_S)
    assert failures == []
