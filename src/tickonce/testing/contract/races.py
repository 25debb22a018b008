"""Many threads at once: each step happens once, whoever takes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from tickonce.definitions import form_of, hash_of
from tickonce.editing import Declare, RunNow
from tickonce.errors import RunExists, RunOpen, StoreBusy
from tickonce.model import Definition, Run, RunState
from tickonce.planning import plan
from tickonce.ports import ScheduleFilter, Store
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import (
    ALL_RUN,
    MS,
    SECOND,
    SERVES,
    join,
    list_all,
    look,
    make_idle,
    make_run,
    make_schedule,
    outcome_of,
    planned,
    row_of,
    runs_of,
    skips_of,
    start_run,
)
from tickonce.triggers import Every

T = TypeVar("T")

_THREADS = 8


class RaceContract(Part):
    """Eight threads, as eight nodes."""

    def test_eight_nodes_prepare_at_once(self, store: Store) -> None:
        made = make_idle(store)
        others = [self.another(store) for _ in range(_THREADS)]
        _at_once(lambda number: others[number].prepare())
        assert row_of(store, "nightly") == made

    def test_each_run_is_claimed_by_one(self, store: Store) -> None:
        make_idle(store, overlap="allow")
        for number in range(40):
            make_run(store, str(number))
        for number in range(_THREADS):
            join(store, f"n{number}")

        def claim(number: int) -> list[Run]:
            claimed: list[Run] = []
            # Rows that another is just taking are passed over, so one empty answer is not the end.
            for _ in range(200):
                claimed += store.claim(f"n{number}", serves=SERVES, limit=3)
                if not runs_of(store, None, RunState.PENDING):
                    break
            return claimed

        found = [run for runs in _at_once(claim) for run in runs]
        assert len(found) == len({run.token for run in found}) == 40
        assert {(run.state, run.attempt) for run in runs_of(store)} == {(RunState.RUNNING, 1)}
        assert sorted(runs_of(store), key=_token) == sorted(found, key=_token)

    def test_each_plan_is_launched_once(self, store: Store) -> None:
        rows = [make_schedule(store, f"s{number}", fires=3, period=SECOND, **ALL_RUN) for number in range(10)]
        plans = [planned(store, row) for row in rows]
        for number in range(_THREADS):
            join(store, f"n{number}")

        def launch(number: int) -> list[str]:
            order = plans if number % 2 else plans[::-1]
            launched = store.launch(f"n{number}", order, slots=2, serves=SERVES)
            assert launched.taken == ()
            assert len(launched.changes) + len(launched.lost) + len(launched.locked) == len(plans)
            return [*launched.pending, *(run.token for run in launched.claimed)]

        tokens = Counter(token for found in _at_once(launch) for token in found)
        wanted = {fire.token for plan in plans for fire in plan.fires}
        # A row can be locked for all who look while its holder is still writing: then it is launched by the next pass.
        for again in plans:
            launched = store.launch("n0", [again], slots=0, serves=SERVES)
            tokens.update(launched.pending)
        assert tokens == Counter(wanted)
        assert {run.token for run in runs_of(store)} == wanted

    def test_a_fleet_that_looks_and_launches_at_once_loses_and_doubles_nothing(self, store: Store) -> None:
        base = store.instant().replace(microsecond=0) - 60 * SECOND
        for number in range(4):
            make_schedule(store, f"s{number}", first=base, trigger=Every("1s", anchor=base), **ALL_RUN)
        until = base + 30 * SECOND
        for number in range(_THREADS):
            join(store, f"n{number}")

        def tick(number: int) -> None:
            for _ in range(400):
                due = [row for row in look(store).due if row.next_fire is not None and row.next_fire <= until]
                if not due:
                    return
                # A few fires a pass, so that all take part.
                plans = [found for row in due if (found := plan(row, until, limit=2)) is not None]
                store.launch(f"n{number}", plans, slots=1, serves=SERVES)

        _at_once(tick)
        times = [(run.schedule_id, (run.scheduled_time - base) // SECOND) for run in runs_of(store)]
        assert sorted(times) == [(f"s{number}", second) for number in range(4) for second in range(31)]
        assert skips_of(store) == []

    def test_one_of_eight_outcomes_of_an_attempt_is_accepted(self, store: Store) -> None:
        runs = [start_run(store, key) for key in "abc"]
        answers = _at_once(lambda number: store.finish([outcome_of(run, result=str(number)) for run in runs]))
        assert [sum(column) for column in zip(*answers, strict=True)] == [1, 1, 1]

    def test_each_lost_run_is_recovered_by_one(self, store: Store) -> None:
        for number in range(20):
            start_run(store, str(number))
        store.leave("node")
        found = [run.token for runs in _at_once(lambda _: store.recover()) for run in runs]
        found += [run.token for run in store.recover()]
        assert len(found) == len(set(found)) == 20
        assert {run.losses for run in runs_of(store)} == {1}

    def test_a_node_is_declared_dead_by_one(self, store: Store) -> None:
        dead = [f"d{number}" for number in range(5)]
        for name in dead:
            join(store, name, lease=MS)
        for number in range(_THREADS):
            join(store, f"n{number}")
        self.let_pass(store, 3 * MS)
        found = [name for names in _at_once(lambda number: store.expire(f"n{number}", dead)) for name in names]
        assert sorted(found) == dead

    def test_eight_that_declare_the_same_make_one_row_each(self, store: Store) -> None:
        definitions = {f"s{number}": Definition(job="work", trigger=Every("1h")) for number in range(5)}

        def declare(number: int) -> None:
            names = sorted(definitions, reverse=number % 2 == 1)
            for name in names:
                definition = definitions[name]
                store.change(
                    name,
                    Declare(
                        schedule_id=name, definition=definition, hash=hash_of(definition), form=form_of(definition)
                    ),
                )

        _at_once(declare)
        rows = list_all(lambda cursor: store.schedules(ScheduleFilter(), cursor=cursor))
        assert [row.id for row in rows] == sorted(definitions)
        assert {row.revision for row in rows} == {1}

    def test_no_edit_is_lost(self, store: Store) -> None:
        make_idle(store, overlap="allow")

        def start(number: int) -> None:
            for count in range(5):
                store.change("nightly", RunNow(schedule_id="nightly", key=f"{number}-{count}"))

        before = row_of(store, "nightly").version
        _at_once(start)
        assert len(runs_of(store)) == 5 * _THREADS
        assert row_of(store, "nightly").version == before + 5 * _THREADS

    def test_a_key_starts_one_run_and_overlap_holds(self, store: Store) -> None:
        make_idle(store)

        def start(number: int) -> str:
            try:
                store.change("nightly", RunNow(schedule_id="nightly", key="one" if number % 2 else f"k{number}"))
            except (RunExists, RunOpen) as error:
                return error.code
            return "started"

        assert Counter(_at_once(start))["started"] == 1
        assert len(runs_of(store)) == 1

    def test_launches_edits_and_work_get_along(self, store: Store) -> None:
        """No step fails because of another: what deadlocks or collides is taken again by the store itself."""
        for number in range(_THREADS):
            join(store, f"n{number}")
            make_schedule(store, f"s{number}", fires=50, period=SECOND, **ALL_RUN)

        def work(number: int) -> None:
            me = f"n{number}"
            for count in range(6):
                due = look(store, limit=5).due
                plans = [found for row in due if (found := plan(row, store.instant(), limit=10)) is not None]
                launched = store.launch(me, plans, slots=2, serves=SERVES)
                mine = [*launched.claimed, *store.claim(me, serves=SERVES, limit=4)]
                store.finish([outcome_of(run, RunState.PENDING if count % 2 else RunState.SUCCEEDED) for run in mine])
                store.recover()
                try:
                    store.change(f"s{count}", RunNow(schedule_id=f"s{count}", key=f"{me}-{count}"))
                except StoreBusy:  # allowed: it says so, and nothing has happened
                    continue

        _at_once(work)
        tokens = [run.token for run in runs_of(store)]
        assert len(tokens) == len(set(tokens))


def _at_once(call: Callable[[int], T]) -> list[T]:
    """Return the answers of eight threads that begin together."""
    barrier = Barrier(_THREADS)

    def begin(number: int) -> T:
        barrier.wait(timeout=30)
        return call(number)

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(begin, range(_THREADS)))


def _token(run: Run) -> str:
    return run.token
