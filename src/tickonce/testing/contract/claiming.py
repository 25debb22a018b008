"""Claims, and what is said of an attempt while it runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tickonce.model import NodeState, Run, RunState
from tickonce.ports import Store
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import (
    HOUR,
    MINUTE,
    MS,
    NOTHING,
    SECOND,
    SERVES,
    end_run,
    join,
    make_run,
    outcome_of,
    row_of,
    run_of,
    runs_of,
    serving,
    start_run,
)


class ClaimContract(Part):
    """``claim`` and ``held``."""

    def test_a_claim_makes_the_run_an_attempt_of_the_node(self, store: Store) -> None:
        join(store)
        run = make_run(store)
        (claimed,) = store.claim("node", serves=SERVES, limit=9)
        assert claimed == run_of(store, run.token)
        assert claimed == replace(run, state=RunState.RUNNING, attempt=1, node="node")

    def test_the_highest_priority_goes_first_and_then_the_oldest_due_time(self, store: Store) -> None:
        join(store)
        now = store.instant()
        for key, priority, age in (("a", 0, 1), ("b", 5, 1), ("c", 0, 3), ("d", -5, 9), ("e", 5, 2)):
            make_run(store, key, priority=priority, due=now - age * SECOND)
        assert _keys(store.claim("node", serves=SERVES, limit=3)) == ["e", "b", "c"]
        assert _keys(store.claim("node", serves=SERVES, limit=9)) == ["a", "d"]

    def test_no_more_than_the_limit_are_taken(self, store: Store) -> None:
        join(store)
        for number in range(5):
            make_run(store, str(number))
        assert len(store.claim("node", serves=SERVES, limit=2)) == 2
        assert store.claim("node", serves=SERVES, limit=0) == []
        assert len(store.held("node")) == 2

    def test_a_run_is_not_handed_out_twice(self, store: Store) -> None:
        join(store)
        join(store, "other")
        make_run(store)
        assert len(store.claim("node", serves=SERVES, limit=9)) == 1
        assert store.claim("node", serves=SERVES, limit=9) == []
        assert store.claim("other", serves=SERVES, limit=9) == []

    def test_a_run_is_free_from_its_due_time_on(self, store: Store) -> None:
        join(store)
        make_run(store, "later", due=store.instant() + HOUR)
        assert store.claim("node", serves=SERVES, limit=9) == []

    def test_a_run_that_is_too_late_to_start_is_not_free(self, store: Store) -> None:
        join(store)
        now = store.instant()
        make_run(store, "late", due=now - MINUTE, start_by=now)
        make_run(store, "in-time", due=now - MINUTE, start_by=now + MINUTE)
        assert _keys(store.claim("node", serves=SERVES, limit=9)) == ["in-time"]

    def test_only_what_the_node_serves_is_free(self, store: Store) -> None:
        join(store)
        make_run(store, "job", job="other")
        make_run(store, "queue", queue="other")
        assert store.claim("node", serves=SERVES, limit=9) == []
        assert store.claim("node", serves=NOTHING, limit=9) == []
        assert _keys(store.claim("node", serves=serving("work", "other"), limit=9)) == ["job"]
        assert _keys(store.claim("node", serves=serving("work", queues=["a", "other"]), limit=9)) == ["queue"]

    @pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.LOST])
    def test_what_has_ended_is_not_free(self, store: Store, state: RunState) -> None:
        end_run(store, state=state)
        assert store.claim("node", serves=SERVES, limit=9) == []

    def test_each_claim_raises_the_attempt_by_one(self, store: Store) -> None:
        """Whatever was the reason for the one before."""
        run = start_run(store)
        for attempt in range(2, 6):
            store.finish([outcome_of(run, RunState.PENDING, failed=attempt % 2 == 0)])
            (run,) = store.claim("node", serves=SERVES, limit=9)
            assert run.attempt == attempt

    def test_a_new_attempt_has_not_begun(self, store: Store) -> None:
        run = start_run(store, began=True)
        store.note("node", run.token, 1, progress=0.5, overdue=True)
        store.finish([outcome_of(run, RunState.PENDING, failed=True, error="first")])
        (run,) = store.claim("node", serves=SERVES, limit=9)
        assert (run.started_at, run.finished_at, run.progress, run.overdue) == (None, None, None, False)
        assert run.error == "first"

    @pytest.mark.parametrize("end", ["dead", "gone", "absent"])
    def test_a_node_that_is_not_alive_claims_nothing(self, store: Store, end: str) -> None:
        join(store, lease=MS)
        make_run(store)
        self.let_pass(store, 3 * MS)
        if end == "dead":
            join(store, "witness")
            store.expire("witness", ["node"])
        else:
            store.leave("node")
        assert store.claim("node" if end != "absent" else "never-seen", serves=SERVES, limit=9) == []
        assert [run.state for run in runs_of(store)] == [RunState.PENDING]

    def test_a_leaving_node_may_claim(self, store: Store) -> None:
        store.beat(replace(join(store), state=NodeState.LEAVING))
        make_run(store)
        assert len(store.claim("node", serves=SERVES, limit=9)) == 1

    def test_claiming_does_not_touch_the_schedule(self, store: Store) -> None:
        join(store)
        make_run(store)
        before = row_of(store, "nightly")
        store.claim("node", serves=SERVES, limit=9)
        assert row_of(store, "nightly") == before

    def test_held_are_the_running_runs_of_the_node(self, store: Store) -> None:
        mine = start_run(store, "mine")
        start_run(store, "ended")
        start_run(store, "theirs", node="other")
        make_run(store, "pending")
        store.finish([outcome_of(run_of(store, "nightly@run-ended"))])
        assert store.held("node") == [mine]
        assert store.held("never-seen") == []


class AttemptContract(Part):
    """``began`` and ``note``: they reach the attempt that is held, and no other."""

    def test_began_writes_when_the_function_was_called(self, store: Store) -> None:
        run = start_run(store)
        at = store.instant() - SECOND
        assert store.began("node", run.token, 1, at=at)
        assert run_of(store, run.token) == replace(run, started_at=at)

    def test_notes_are_written_one_by_one(self, store: Store) -> None:
        run = start_run(store)
        assert store.note("node", run.token, 1, progress=0.25)
        assert run_of(store, run.token) == replace(run, progress=0.25)
        assert store.note("node", run.token, 1, overdue=True)
        assert run_of(store, run.token) == replace(run, progress=0.25, overdue=True)
        assert store.note("node", run.token, 1, overdue=False, progress=1.0)
        assert run_of(store, run.token) == replace(run, progress=1.0)
        assert store.note("node", run.token, 1)

    def test_the_same_may_be_said_twice(self, store: Store) -> None:
        """A store that counts changed rows must not take it for a lost attempt."""
        run = start_run(store)
        at = store.instant()
        assert [store.began("node", run.token, 1, at=at) for _ in range(2)] == [True, True]
        assert [store.note("node", run.token, 1, progress=0.5) for _ in range(2)] == [True, True]

    def test_what_is_not_held_is_not_written(self, store: Store) -> None:
        run = start_run(store)
        make_run(store, "pending")
        before = runs_of(store)
        for node, token, attempt in (
            ("other", run.token, 1),
            ("node", run.token, 2),
            ("node", run.token, 0),
            ("node", "nightly@run-absent", 1),
            ("node", "nightly@run-pending", 0),
        ):
            assert not store.began(node, token, attempt, at=store.instant())
            assert not store.note(node, token, attempt, progress=0.5)
        assert runs_of(store) == before

    def test_what_has_ended_is_not_written(self, store: Store) -> None:
        run = start_run(store)
        store.finish([outcome_of(run)])
        assert not store.began("node", run.token, 1, at=store.instant())
        assert not store.note("node", run.token, 1, overdue=True)


def _keys(runs: list[Run]) -> list[str]:
    return [run.token.partition("@run-")[2] for run in runs]
