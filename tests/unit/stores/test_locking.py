"""Rows that others hold or have just changed: what a launch, a claim and the rest make of them."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.servers import connect
from tests.unit.stores.kinds import Open, on_all, on_servers
from tickonce.config import Retention
from tickonce.editing import Amend, Create, RunNow
from tickonce.errors import Conflict, DefinitionError, NoRun, ScheduleExists, StoreBusy, StoreError
from tickonce.model import Fire, Node, Outcome, Plan, RunState, Schedule, Skip
from tickonce.stores.sql.dialects.base import Failure
from tickonce.stores.sql.store import SqlStore
from tickonce.testing.contract.making import (
    ALL_RUN,
    SERVES,
    join,
    launch,
    look,
    make_idle,
    make_run,
    make_schedule,
    outcome_of,
    planned,
    row_of,
    runs_of,
    start_run,
)

SECOND = timedelta(seconds=1)


@contextmanager
def held(url: str, statement: str, *values: object) -> Iterator[Any]:
    """Hold what a statement locks, in an application's own transaction."""
    with closing(connect(url)) as raw, raw.cursor() as cursor:
        cursor.execute(statement, values)
        yield cursor
        raw.rollback()


LOCK = "SELECT id FROM tickonce_schedules WHERE id = %s FOR UPDATE"

# -- edits and launches ------------------------------------------------------------------------


@on_servers
def test_a_launch_passes_over_a_row_that_an_application_holds(store: SqlStore, url):
    join(store)
    rows = [make_schedule(store, name) for name in ("a", "b", "c")]
    with held(url, LOCK, "b"):
        launched = launch(store, *rows, slots=9)
        assert (launched.locked, launched.lost) == (("b",), ())
        assert [run.schedule_id for run in launched.claimed] == ["a", "c"]
        assert [row.id for row in look(store).due] == ["b"]
        assert look(store, leave_out=["b"]).due == ()
    assert len(launch(store, rows[1], slots=9).claimed) == 1


@on_servers
def test_a_plan_is_not_applied_over_an_edit_that_was_committed_while_the_launch_looked(
    store: SqlStore, open_sql: Open, monkeypatch
):
    """The edit commits after the launch has begun, before it locks the row: the version is read under the lock."""
    join(store)
    row = make_schedule(store)
    stale = planned(store, row)
    editor = open_sql()
    bound = store._dialect.bound

    def editing(values: dict[str, Any]) -> Any:
        if values.get("ids") == ["nightly"]:  # the statement that locks is about to be sent
            monkeypatch.undo()
            editor.change(row.id, Amend(schedule_id=row.id, changes={"owner": "edited"}))
        return bound(values)

    monkeypatch.setattr(store._dialect, "bound", editing)
    launched = store.launch("node", [stale], slots=9, serves=SERVES)
    assert (launched.lost, launched.claimed, launched.pending) == (("nightly",), (), ())
    assert row_of(store, row.id).definition.owner == "edited"


@on_servers
def test_of_launches_and_edits_that_meet_none_is_written_over_the_other(store: SqlStore, url):
    """Some meet in the very statement, between its snapshot and its lock: each write raises the version it has seen."""
    join(store)
    first = make_idle(store).version
    stop, edits = threading.Event(), [0]

    def edit() -> None:
        with closing(connect(url, autocommit=True)) as raw, raw.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("UPDATE tickonce_schedules SET version = version + 1")
                edits[0] += 1

    thread = threading.Thread(target=edit, daemon=True)
    thread.start()
    applied = refused = 0
    end = time.monotonic() + 2
    while time.monotonic() < end:
        launched = store.launch("node", [_standstill(row_of(store, "nightly"))], slots=0, serves=SERVES)
        applied += len(launched.changes)
        refused += len(launched.lost) + len(launched.locked)
    stop.set()
    thread.join(10)
    assert row_of(store, "nightly").version == first + edits[0] + applied
    assert refused > 0


def _standstill(row: Schedule) -> Plan:
    """A plan that moves nothing but the version."""
    return Plan(
        schedule=row,
        fires=(),
        skips=(),
        watermark=row.watermark,
        next_fire=row.next_fire,
        due=row.due,
        state=row.state,
    )


# -- what waits, and for how long ------------------------------------------------------------------


@on_servers
def test_an_edit_of_ours_gives_up_on_a_row_that_an_application_holds_and_says_so(store: SqlStore, url):
    make_idle(store)
    with held(url, LOCK, "nightly"):
        begin = time.monotonic()
        with pytest.raises(StoreBusy, match=r"using\(connection\)"):
            store.change("nightly", Amend(schedule_id="nightly", changes={"owner": "me"}))
        assert 4 < time.monotonic() - begin < 9
    assert store.change("nightly", Amend(schedule_id="nightly", changes={"owner": "me"}))


def test_a_step_of_ours_gives_up_on_a_file_that_an_application_holds_and_says_so(open_sql: Open, tmp_path):
    store = open_sql()
    store.prepare()
    store._work._deadline = 0.2 * SECOND
    store.close()
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="an application left open"):
            make_idle(store)
        assert store.ids() == []  # reading goes on
        raw.execute("ROLLBACK")
    make_idle(store)


@on_servers
def test_many_edits_that_wait_for_one_row_keep_nothing_else_waiting(store: SqlStore, url):
    """Each begins again and again instead of waiting on the connection that outcomes and claims need, too."""
    make_idle(store)
    run = start_run(store)
    failures: list[BaseException] = []

    def edit() -> None:
        try:
            store.change("nightly", Amend(schedule_id="nightly", changes={"owner": "me"}))
        except BaseException as error:  # noqa: BLE001  # looked at below
            failures.append(error)

    threads = [threading.Thread(target=edit, daemon=True) for _ in range(12)]
    with held(url, LOCK, "nightly"):
        for thread in threads:
            thread.start()
        waits = []
        end = time.monotonic() + 2
        while time.monotonic() < end:
            begin = time.monotonic()
            store.claim("node", serves=SERVES, limit=1)
            waits.append(time.monotonic() - begin)
        assert sorted(waits)[len(waits) * 9 // 10] < 0.3
        assert store.finish([outcome_of(run)]) == [True]
    for thread in threads:
        thread.join(10)
    assert failures == []  # they went on until the row was free


@on_servers
def test_an_outcome_whose_run_an_application_holds_keeps_no_other_waiting(store: SqlStore, url):
    locked, free, gone = [start_run(store, key) for key in ("locked", "free", "gone")]
    assert store.finish([outcome_of(gone)]) == [True]
    outcomes = [outcome_of(run) for run in (locked, free, gone)]
    with held(url, "SELECT token FROM tickonce_runs WHERE token = %s FOR UPDATE", locked.token):
        begin = time.monotonic()
        assert store.finish(outcomes) == [None, True, False]
        assert store.finish(outcomes) == [None, False, False]
        assert time.monotonic() - begin < 0.9  # a lock is waited for for a second where it is waited for at all
    assert store.finish(outcomes) == [True, False, False]


@on_servers
def test_an_old_snapshot_of_a_caller_delays_the_outcomes_of_its_schedule_alone(store: SqlStore, url):
    """A caller that reads first and edits later counts open runs by locking them, on MySQL; others must not wait."""
    join(store)
    make_schedule(store, "edited")
    make_schedule(store, "other")
    with closing(connect(url)) as raw, raw.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tickonce_schedules")  # MySQL: REPEATABLE READ begins here
        launched = launch(store, row_of(store, "edited"), row_of(store, "other"), slots=9)
        mine, others = sorted(launched.claimed, key=lambda run: run.schedule_id)
        store.using(raw).change("edited", Amend(schedule_id="edited", changes={"owner": "me"}))
        begin = time.monotonic()
        answers = store.finish([outcome_of(mine), outcome_of(others)])
        assert time.monotonic() - begin < 0.9
        assert answers == [None if url.startswith("mysql") else True, True]
        raw.commit()
    assert store.finish([outcome_of(mine)]) == [url.startswith("mysql")]
    assert {run.state for run in runs_of(store)} == {RunState.SUCCEEDED}


@on_servers
def test_claims_and_sweeps_pass_over_rows_that_an_application_holds(store: SqlStore, url):
    now = store.instant()
    tokens = [make_run(store, key, due=now - SECOND, start_by=now + 3600 * SECOND).token for key in ("a", "b")]
    late = make_run(store, "late", due=now - 2 * SECOND, start_by=now - SECOND)
    join(store)
    lock = "SELECT token FROM tickonce_runs WHERE token = %s FOR UPDATE"
    with held(url, lock, tokens[0]) as cursor:
        cursor.execute(lock, (late.token,))
        assert [run.token for run in store.claim("node", serves=SERVES, limit=9)] == [tokens[1]]
        assert store.lapse() == []
        assert store.prune(Retention(), limit=9) == 0
    assert [run.token for run in store.claim("node", serves=SERVES, limit=9)] == [tokens[0]]
    assert len(store.lapse()) == 1


@on_servers
def test_steps_that_wait_for_rows_lock_them_in_one_order(open_sql: Open, store: SqlStore, monkeypatch):
    """Most steps pass over locked rows; the few that wait for them would deadlock in any other order."""
    names = [f"s{number}" for number in range(12)]
    for name in names:
        make_idle(store, name)
    now = store.instant()
    stop, failures = threading.Event(), list[BaseException]()

    def raising(mine: SqlStore) -> None:
        step = 0
        while not stop.is_set():
            step += 1
            try:
                mine.raise_watermarks(dict.fromkeys(names, now + step * SECOND))
            except BaseException as error:  # noqa: BLE001  # shown below
                failures.append(error)
                return

    stores = [open_sql() for _ in range(3)]
    refused: list[Failure] = []
    for mine in stores:
        judge = mine._dialect.failure

        def watched(error: BaseException, judge: Callable[[BaseException], Failure | None] = judge) -> Failure | None:
            found = judge(error)
            if found is not None:
                refused.append(found)
            return found

        monkeypatch.setattr(mine._dialect, "failure", watched)
    threads = [threading.Thread(target=raising, args=(mine,), daemon=True) for mine in stores]
    for thread in threads:
        thread.start()
    time.sleep(2)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert (failures, refused) == ([], [])


@on_servers
def test_an_application_may_refer_to_our_rows_by_foreign_keys(store: SqlStore, url):
    """A launch must not count a row as locked because somebody has just inserted a reference to it."""
    join(store)
    row = make_schedule(store)
    with closing(connect(url)) as raw, raw.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE shops (schedule_id VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, "
            "FOREIGN KEY (schedule_id) REFERENCES tickonce_schedules (id)) DEFAULT CHARSET utf8mb4"
            if url.startswith("mysql")
            else "CREATE TABLE shops (schedule_id TEXT REFERENCES tickonce_schedules (id))"
        )
        raw.commit()
        cursor.execute("INSERT INTO shops VALUES (%s)", ("nightly",))
        launched = launch(store, row, slots=9)
        # MySQL has no weaker lock: there the fire waits until the application commits.
        assert launched.locked == (("nightly",) if url.startswith("mysql") else ())
        raw.commit()
    if launched.locked:
        launch(store, row, slots=9)
    assert len(runs_of(store)) == 1


# -- all at once -----------------------------------------------------------------------------------


@on_all
def test_everything_at_once_comes_to_no_deadlock(open_sql: Open, store: SqlStore):
    """Launches, claims, outcomes, sweeps, cancels and edits of a few rows, on the connections of several processes."""
    names = [f"s{number}" for number in range(6)]
    for name in names:
        make_idle(store, name, overlap="allow")
    join(store)
    stop, failures, done = threading.Event(), list[BaseException](), dict[str, int]()

    def worker(number: int) -> None:
        mine, chance = open_sql(), random.Random(number)
        steps: dict[str, Callable[[], object]] = {
            "launch": lambda: _launch_some(mine, chance, names),
            "claim": lambda: mine.finish(
                [
                    outcome_of(run, chance.choice([RunState.SUCCEEDED, RunState.PENDING]))
                    for run in mine.claim("node", serves=SERVES, limit=20)
                ]
            ),
            "held": lambda: mine.finish(_outcomes(mine)[:5]),
            "recover": mine.recover,
            "lapse": mine.lapse,
            "prune": lambda: mine.prune(Retention(runs=timedelta(microseconds=1), keep=3), limit=20),
            "cancel": lambda: mine.cancel(chance.choice(runs_of(mine, chance.choice(names))).token),
            "edit": lambda: _edit(mine, chance.choice(names), chance),
            "run": lambda: _run_now(mine, chance.choice(names), chance),
            "beat": lambda: mine.beat(replace(_NODE, id="node")),
        }
        while not stop.is_set():
            name = chance.choice(list(steps))
            try:
                steps[name]()
            except (Conflict, NoRun, IndexError):  # nothing to do just now
                continue
            except BaseException as error:  # noqa: BLE001  # shown below
                failures.append(error)
                return
            done[name] = done.get(name, 0) + 1

    threads = [threading.Thread(target=worker, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert len(done) == 10


_NODE = Node(id="node")


def _launch_some(store: SqlStore, chance: random.Random, names: list[str]) -> None:
    rows = [row for name in chance.sample(names, k=4) if (row := store.get(name)) is not None]
    now = store.instant()
    plans = [
        replace(
            _standstill(row),
            fires=(Fire(row.id, now + timedelta(microseconds=chance.randrange(10**9)), now),),
            skips=(Skip(row.id, "misfire", now, now, 1),),
        )
        for row in rows
    ]
    store.launch("node", plans, slots=2, serves=SERVES)


def _outcomes(store: SqlStore) -> list[Outcome]:
    return [outcome_of(run) for run in store.held("node")]


def _edit(store: SqlStore, name: str, chance: random.Random) -> None:
    store.change(name, Amend(schedule_id=name, changes={"priority": chance.randrange(9)}))


def _run_now(store: SqlStore, name: str, chance: random.Random) -> None:
    store.change(name, RunNow(schedule_id=name, key=str(chance.randrange(10**9))))


# -- what a database refuses -----------------------------------------------------------------------


@on_all
def test_a_launch_that_is_refused_for_one_row_harms_no_other(store: SqlStore):
    """It cannot happen by our own edits; a row may come from elsewhere."""
    join(store)
    rows = [make_schedule(store, name, **ALL_RUN) for name in ("a", "b", "c", "d", "e")]
    rows[2] = replace(rows[2], definition=replace(rows[2].definition, arguments='{"args":["\ud800"],"kwargs":{}}'))
    launched = launch(store, *rows, slots=3)
    assert [run.schedule_id for run in launched.claimed] == ["a", "b", "d"]
    assert len(launched.pending) == 1
    assert launched.lost == ()
    assert list(launched.refused) == ["c"]
    assert "refuses a value" in launched.refused["c"]
    assert [row.id for row in look(store).due] == ["c"]


@on_all
def test_an_edit_with_text_that_a_database_refuses_is_told_and_changes_nothing(store: SqlStore):
    row = make_idle(store)
    with pytest.raises(DefinitionError, match="nightly"):
        store.change("nightly", Amend(schedule_id="nightly", changes={"description": "a\ud800"}))
    assert row_of(store, "nightly") == row


@on_all
def test_two_processes_that_add_one_schedule_at_once_make_one(open_sql: Open, store: SqlStore):
    definition = make_idle(store).definition
    start, results = threading.Barrier(4), list[object]()

    def add(by: str) -> None:
        mine = open_sql()
        mine.instant()
        start.wait()
        try:
            results.append(mine.change("new", Create(schedule_id="new", definition=definition, by=by)))
        except ScheduleExists as error:
            results.append(error.schedule_id)

    threads = [threading.Thread(target=add, args=(str(number),), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(map(str, results)).count("new") == 3
    assert row_of(store, "new").revision == 1


# -- what only newer code knows --------------------------------------------------------------------


@on_all
def test_runs_whose_policy_only_newer_code_knows_are_left_to_it_and_hold_up_no_others(store: SqlStore):
    now = store.instant()
    join(store)
    for number in range(40):
        make_run(store, f"newer{number}", due=now - 60 * SECOND)
    store._work.write(lambda tx: tx.tell("""UPDATE {runs} SET policy = '{{"overlap":"queue"}}'"""))
    ours = make_run(store, "ours", due=now - SECOND)
    assert [run.token for run in store.claim("node", serves=SERVES, limit=2)] == [ours.token]
    assert store.claim("node", serves=SERVES, limit=2) == []


@on_all
def test_a_row_that_cannot_be_read_is_named(store: SqlStore):
    run = make_run(store, "odd")
    store._work.write(lambda tx: tx.tell("UPDATE {runs} SET state = 'dreaming'"))
    with pytest.raises(StoreError, match=f"run '{run.token}' cannot be read: KeyError 'dreaming'"):
        store.run(run.token)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_who_has_the_file_locked_reads_beside_a_write_that_waits_for_it(store: SqlStore, url):
    """A web view in atomic() that asks for runs, and the node of the same process: they waited for each other 10 s."""
    make_idle(store)
    waits = threading.Event()
    amend = Amend(schedule_id="nightly", changes={"owner": "me"})

    def write() -> None:
        waits.set()
        store.change("nightly", amend)

    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        writer = threading.Thread(target=write)
        writer.start()
        assert waits.wait(20)
        begin = time.monotonic()
        for _ in range(50):
            assert row_of(store, "nightly").definition.owner == ""
            time.sleep(0.001)
        assert time.monotonic() - begin < 5  # a write gives up after 10 s
        raw.execute("COMMIT")
        writer.join(20)
    assert row_of(store, "nightly").definition.owner == "me"
