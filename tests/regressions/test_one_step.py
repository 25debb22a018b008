"""Fires that peers double or lose between two statements, on each database: here both are one step."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.regressions.scenes import EVERY_FIRE, HOUR, MS, SECOND, at_once, defined, utc
from tickonce.config import Retention
from tickonce.editing import Create, Pause, Remove, Resume
from tickonce.model import Change, Launched, RunState, Schedule
from tickonce.ports import Decide
from tickonce.stores.sql import edits, launching
from tickonce.stores.sql.store import SqlStore
from tickonce.stores.sql.tx import Tx
from tickonce.testing.contract.making import (
    SERVES,
    join,
    launch,
    look,
    make_schedule,
    outcome_of,
    planned,
    row_of,
    runs_of,
    skips_of,
)
from tickonce.triggers import every

pytestmark = pytest.mark.timeout(60)

#: A moment of the past after which nothing is kept.
AT_ONCE = Retention(runs=timedelta(microseconds=1), keep=0, skips=MS, nodes=HOUR, tombstones=HOUR)


class TestCompareAndSetOfAStateThatCameBack:
    """A reads what is due; B launches it, its run ends, and the row waits again as it did when A read it."""

    def test_the_fire_that_was_read_before_is_not_launched_again(self, store: SqlStore, another):
        join(store, "a")
        join(store, "b")
        read = planned(store, make_schedule(store))
        other = another()
        (run,) = launch(other, row_of(other, "nightly"), node="b", slots=1).claimed
        assert other.finish([outcome_of(run)]) == [True]
        late = store.launch("a", [read], slots=1, serves=SERVES)
        assert (late.claimed, late.lost) == ((), ("nightly",))
        assert [run.token for run in runs_of(store)] == [run.token]

    def test_nor_is_it_where_its_run_is_forgotten_and_the_row_was_made_anew_with_the_same_next_fire(
        self, store: SqlStore, another
    ):
        join(store, "a")
        row = make_schedule(store, "nightly")
        read = planned(store, row)
        other = another()
        other.change("nightly", Remove(schedule_id="nightly"))
        other._work.write(lambda tx: tx.tell("DELETE FROM {schedules} WHERE id = :id", id="nightly"))
        again = make_schedule(other, "nightly", first=row.next_fire, trigger=row.trigger)
        assert (again.next_fire, again.watermark, again.state) == (row.next_fire, row.watermark, row.state)
        late = store.launch("a", [read], slots=1, serves=SERVES)
        assert (late.claimed, late.lost) == ((), ("nightly",))


class TestAnErrorBetweenQueueingAndMovingOn:
    """The job is handed out, then the row that says so cannot be written, or the other way round."""

    @pytest.mark.parametrize("after", ["the schedule has moved", "the run is inserted"])
    def test_neither_has_happened_and_the_next_look_launches_it_once(self, store: SqlStore, monkeypatch, after):
        join(store)
        row = make_schedule(store)
        with monkeypatch.context() as patch:
            if after == "the schedule has moved":
                patch.setattr(Tx, "insert_many", _broken)
            else:
                patch.setattr(launching, "write_skips", _broken)
            with pytest.raises(LookupError):
                launch(store, row, slots=1)
        assert runs_of(store) == []
        assert row_of(store, "nightly") == row
        assert len(launch(store, row_of(store, "nightly"), slots=1).claimed) == 1
        assert len(runs_of(store)) == 1
        assert look(store).due == ()


DIES = """
import os, sys

from tickonce.stores import open_store
from tickonce.stores.sql import launching
from tickonce.testing.contract.making import join, launch, row_of

store = open_store(sys.argv[1])
join(store, "dies")
if sys.argv[2] == "within":
    launching.write_skips = lambda *_: os._exit(9)
launched = launch(store, row_of(store, "nightly"), node="dies", slots=1)
os._exit(9 if launched.claimed else 1)
"""


@pytest.mark.chaos
@pytest.mark.parametrize("moment", ["within", "after"])
def test_a_process_dies_between_queueing_the_job_and_releasing_the_schedule(
    store: SqlStore, url: str, moment: str
) -> None:
    """*within*: all is written and nothing is committed; *after*: it is, and the process never hears of it."""
    join(store)
    make_schedule(store)
    assert subprocess.run([sys.executable, "-c", DIES, url, moment], check=False).returncode == 9
    claimed: list[str] = []

    def survivor_launches() -> bool:
        launched = launch(store, *look(store).due, slots=1)
        claimed.extend(run.token for run in launched.claimed)
        return not launched.locked  # a server may take a moment to see that the process is gone

    while not survivor_launches():
        pass
    assert len(claimed) == (1 if moment == "within" else 0)
    store.leave("dies")  # as its lease's end would do, later
    recovered = store.recover()
    assert [run.attempt for run in recovered] == ([] if moment == "within" else [1])
    claimed += [run.token for run in store.claim("node", serves=SERVES, limit=10)]
    assert claimed == [run.token for run in runs_of(store)]
    assert len(claimed) == 1


def test_a_thousand_crons_of_one_instant_on_two_servers(store: SqlStore, another) -> None:
    """Both look at the same moment, and each plans all of them."""
    number = 1000
    first = store.instant() - SECOND
    definition = defined(every("1h", anchor=first), job="work")

    def create(tx: Tx) -> None:
        for index in range(number):
            edits.change(tx, f"cron-{index:04}", Create(schedule_id=f"cron-{index:04}", definition=definition))
        tx.tell(
            "UPDATE {schedules} SET watermark_us = :mark, next_fire_us = :first, due_us = :first",
            mark=_us(first) - 1,
            first=_us(first),
        )

    store._work.write(create)
    servers = {name: another() for name in ("a", "b")}
    for name, server in servers.items():
        join(server, name)
    gate = threading.Barrier(len(servers))
    answers: list[Launched] = []

    def serve(name: str) -> None:
        plans = [planned(servers[name], row) for row in look(servers[name], limit=number).due]
        gate.wait(20)
        hundreds = [plans[at : at + 100] for at in range(0, number, 100)]
        answers.extend(servers[name].launch(name, some, slots=100, serves=SERVES) for some in hundreds)

    at_once([lambda name=name: serve(name) for name in servers])  # type: ignore[misc]
    started = [run.token for answer in answers for run in answer.claimed]
    assert len(started) == len(set(started)) == number
    assert sum(len(answer.lost) + len(answer.locked) for answer in answers) == number, "they did meet"
    assert len(runs_of(store)) == number


class TestAPauseThatRacesWithAFire:
    """Peers read the whole row, change it and write it back: a fire that came between is rewound, and comes again."""

    @pytest.mark.parametrize("edit", [Pause(schedule_id="nightly"), Resume(schedule_id="nightly")], ids=["on", "off"])
    def test_a_fire_cannot_come_between_the_reading_and_the_writing_of_the_edit(
        self, store: SqlStore, another, edit: Decide
    ) -> None:
        join(store)
        row = make_schedule(store, **EVERY_FIRE)
        if isinstance(edit, Resume):  # the node has read the row before it was paused
            store.change("nightly", Pause(schedule_id="nightly"))
        editor = another()
        answers: list[Launched] = []
        node = threading.Thread(target=lambda: answers.append(launch(store, row, slots=1)), daemon=True)

        def while_a_node_launches(now: datetime, found: Schedule | None, open_runs: int) -> Change | None:
            if node.ident is None:
                node.start()
                node.join(0.3)  # on a file it waits for us; rows are passed over at once
            return edit(now, found, open_runs)

        after = editor.change("nightly", while_a_node_launches)
        node.join(20)
        assert after is not None
        assert after.watermark >= row.due
        (answer,) = answers
        assert (answer.claimed, answer.taken) == ((), ())
        assert answer.locked or answer.lost
        assert row_of(store, "nightly") == after
        assert runs_of(store) == []
        assert [(skip.reason, skip.count) for skip in skips_of(store)] == [("paused", 1)]

    def test_a_pause_and_its_end_between_plan_and_launch_leave_the_fire_one_fate(self, store: SqlStore, another):
        join(store)
        read, editor = planned(store, make_schedule(store, **EVERY_FIRE)), another()
        editor.change("nightly", Pause(schedule_id="nightly"))
        editor.change("nightly", Resume(schedule_id="nightly", missed="all"))
        assert store.launch("node", [read], slots=1, serves=SERVES).lost == ("nightly",)
        assert (runs_of(store), look(store).due) == ([], ())
        assert [(skip.reason, skip.count) for skip in skips_of(store)] == [("paused", 1)]

    def test_a_pause_and_its_end_after_the_launch_do_not_bring_the_fire_back(self, store: SqlStore, another):
        join(store)
        editor = another()
        assert len(launch(store, make_schedule(store, **EVERY_FIRE), slots=1).claimed) == 1
        editor.change("nightly", Pause(schedule_id="nightly"))
        editor.change("nightly", Resume(schedule_id="nightly", missed="all"))
        assert (len(runs_of(store)), look(store).due, skips_of(store)) == (1, (), [])


class TestHistoryIsPruned:
    """Where the row of a run is all that says it was launched, deleting old rows lets the fire come again."""

    def test_a_late_process_does_not_launch_what_was_pruned(self, store: SqlStore, another):
        join(store)
        row = make_schedule(store)
        read = planned(store, row)
        self.run_and_prune(another(), row)
        assert store.launch("node", [read], slots=1, serves=SERVES).lost == ("nightly",)
        assert look(store).due == ()
        assert runs_of(store) == []

    def test_nor_does_one_that_makes_the_schedule_anew(self, store: SqlStore, another):
        """The clock was ahead when the fire of the coming hour was run; the row of the schedule was removed since."""
        join(store)
        row = make_schedule(store)
        self.run_and_prune(another(), row)
        ahead = replace(row_of(store, "nightly"), watermark=store.instant() + HOUR)
        store.change("nightly", lambda *_: Change(schedule=ahead))
        store.change("nightly", Remove(schedule_id="nightly"))
        after = store.change("nightly", Create(schedule_id="nightly", definition=row.definition))
        assert after is not None
        assert after.next_fire is not None
        assert after.next_fire > ahead.watermark
        assert look(store).due == ()

    @staticmethod
    def run_and_prune(store: SqlStore, row: Schedule) -> None:
        (run,) = launch(store, row, slots=1).claimed
        assert store.finish([outcome_of(run, finished_at=utc(2026, 1, 1))]) == [True]
        assert store.prune(AT_ONCE) >= 1
        assert store.run(run.token) is None

    def test_what_still_runs_is_not_pruned_however_old_it_is(self, store: SqlStore):
        join(store)
        (run,) = launch(store, make_schedule(store), slots=1).claimed
        store.prune(AT_ONCE)
        assert store.finish([outcome_of(run)]) == [True]
        assert [each.state for each in runs_of(store)] == [RunState.SUCCEEDED]


# -- steps -------------------------------------------------------------------------------------


def _broken(*_: Any) -> None:
    raise LookupError("injected between two statements")


def _us(instant: datetime) -> int:
    return (instant - utc(1970, 1, 1)) // timedelta(microseconds=1)
