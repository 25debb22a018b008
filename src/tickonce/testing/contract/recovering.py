"""Runs whose node is gone, that are too late, that people stop or start again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tickonce.config import Retention
from tickonce.editing import Amend, Remove
from tickonce.errors import NoRun, RunOpen, WrongState
from tickonce.model import Held, Node, NodeState, Reason, Run, RunState
from tickonce.ports import Store
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import (
    HOUR,
    MINUTE,
    MS,
    SECOND,
    SERVES,
    end_run,
    join,
    launch,
    make_run,
    make_schedule,
    outcome_of,
    policy_with,
    row_of,
    run_of,
    runs_of,
    start_run,
)

_FORGETFUL = Retention(nodes=MS, tombstones=MS)


class RecoverContract(Part):
    """``recover``: a standing query."""

    @pytest.mark.parametrize("end", ["dead", "gone", "absent"])
    def test_running_runs_of_nodes_that_are_not_alive_are_taken_away(self, store: Store, end: str) -> None:
        run = _abandoned(self, store, end)
        before = store.instant()
        (found,) = store.recover()
        assert found == run_of(store, run.token)
        assert before <= found.due <= store.instant()
        assert found == replace(run, state=RunState.PENDING, node=None, losses=1, due=found.due)
        assert store.recover() == []

    @pytest.mark.parametrize("state", [NodeState.ALIVE, NodeState.LEAVING])
    def test_runs_of_nodes_that_are_alive_stay_though_the_lease_is_over(self, store: Store, state: NodeState) -> None:
        node = join(store, lease=MS)
        run = start_run(store)
        store.beat(replace(node, state=state))
        self.let_pass(store, 3 * MS)
        assert store.recover() == []
        assert run_of(store, run.token) == run

    def test_what_waits_or_has_ended_is_left_alone(self, store: Store) -> None:
        join(store)
        end_run(store, "ended")
        make_run(store, "pending")
        store.leave("node")
        before = runs_of(store)
        assert store.recover() == []
        assert runs_of(store) == before

    def test_a_launched_run_is_found_as_a_claimed_one_is(self, store: Store) -> None:
        join(store)
        (run,) = launch(store, make_schedule(store), slots=1).claimed
        store.leave("node")
        assert [found.token for found in store.recover()] == [run.token]

    def test_runs_are_found_whenever_their_node_went(self, store: Store) -> None:
        """Each sweep looks at what is there; none relies on an earlier one having been told."""
        for key in ("one", "two", "three"):
            run = start_run(store, key, node=f"node-{key}")
            store.leave(f"node-{key}")
            assert [found.token for found in store.recover()] == [run.token]
            store.cancel(run.token)

    def test_only_so_many_are_taken_and_the_next_call_goes_on(self, store: Store) -> None:
        for number in range(5):
            start_run(store, str(number))
        store.leave("node")
        sizes = [len(store.recover(limit=2)) for _ in range(4)]
        assert sizes == [2, 2, 1, 0]

    def test_the_outcome_of_an_attempt_that_was_taken_away_is_refused(self, store: Store) -> None:
        run = _abandoned(self, store, "dead")
        store.recover()
        assert store.finish([outcome_of(run)]) == [False]
        assert not store.began("node", run.token, 1, at=store.instant())
        join(store, "other")
        (again,) = store.claim("other", serves=SERVES, limit=9)
        assert again.attempt == 2
        assert store.finish([outcome_of(run), outcome_of(again, attempt=1)]) == [False, False]
        assert store.finish([outcome_of(again)]) == [True]

    def test_losses_and_failures_are_counted_apart(self, store: Store) -> None:
        run = start_run(store)
        store.finish([outcome_of(run, RunState.PENDING, failed=True)])
        for number in range(2):
            join(store, f"n{number}")
            (run,) = store.claim(f"n{number}", serves=SERVES, limit=9)
            store.leave(f"n{number}")
            (run,) = store.recover()
        assert (run.attempt, run.failures, run.losses) == (3, 1, 2)

    def test_with_more_losses_than_allowed_a_run_ends_as_lost(self, store: Store) -> None:
        """A job that kills its process does not go round the fleet for ever."""
        run = make_run(store)
        states = []
        for number in range(3):
            join(store, f"n{number}")
            store.claim(f"n{number}", serves=SERVES, limit=9)
            store.leave(f"n{number}")
            (run,) = store.recover()
            states.append(run.state)
        assert states == [RunState.PENDING, RunState.PENDING, RunState.LOST]
        assert run.losses == 3
        assert run.finished_at is not None
        assert run.node == "n2"

    def test_how_many_losses_are_allowed_is_the_policy_of_the_run(self, store: Store) -> None:
        for allowed, state in ((0, RunState.LOST), (1, RunState.PENDING)):
            start_run(store, str(allowed), node=f"n{allowed}", policy=policy_with(max_losses=allowed))
            store.leave(f"n{allowed}")
            assert [run.state for run in store.recover()] == [state]

    @pytest.mark.parametrize(("began", "state"), [(True, RunState.LOST), (False, RunState.PENDING)])
    def test_with_on_lost_fail_a_run_ends_as_lost_once_its_function_had_been_called(
        self,
        store: Store,
        began: bool,  # noqa: FBT001
        state: RunState,
    ) -> None:
        start_run(store, began=began, policy=policy_with(on_lost="fail"))
        store.leave("node")
        assert [(run.state, run.losses) for run in store.recover()] == [(state, 1)]

    def test_that_an_earlier_attempt_had_begun_does_not_count(self, store: Store) -> None:
        run = start_run(store, began=True, policy=policy_with(on_lost="fail"))
        store.finish([outcome_of(run, RunState.PENDING, failed=True)])
        store.claim("node", serves=SERVES, limit=9)
        store.leave("node")
        assert [run.state for run in store.recover()] == [RunState.PENDING]

    def test_a_run_that_was_asked_to_cancel_ends_as_cancelled(self, store: Store) -> None:
        run = start_run(store)
        store.cancel(run.token)
        store.leave("node")
        (found,) = store.recover()
        assert (found.state, found.losses) == (RunState.CANCELLED, 1)
        assert found.finished_at is not None

    def test_a_run_that_is_recovered_has_its_whole_time_to_start_again(self, store: Store) -> None:
        """Else the rerun of what ran for longer than that would be skipped as too late."""
        now = store.instant()
        run = start_run(store, due=now - HOUR, start_by=now + MINUTE)
        store.leave("node")
        (found,) = store.recover()
        assert run.start_by is not None
        assert found.start_by is not None
        assert found.start_by - found.due == run.start_by - run.due
        assert store.lapse() == []


class LapseContract(Part):
    """``lapse``."""

    def test_pending_runs_that_are_too_late_to_start_end_as_skipped(self, store: Store) -> None:
        now = store.instant()
        late = make_run(store, "late", due=now - MINUTE, start_by=now)
        (found,) = store.lapse()
        assert found == run_of(store, late.token)
        assert found.finished_at is not None
        assert found == replace(late, state=RunState.SKIPPED, reason=Reason.TOO_LATE, finished_at=found.finished_at)
        assert store.lapse() == []

    def test_runs_that_are_in_time_do_not_lapse(self, store: Store) -> None:
        now = store.instant()
        start_run(store, "running", due=now - MINUTE, start_by=now + SECOND)
        make_run(store, "in-time", due=now - MINUTE, start_by=now + MINUTE)
        make_run(store, "whenever", due=now - MINUTE)
        before = runs_of(store)
        assert store.lapse() == []
        assert runs_of(store) == before

    def test_a_running_run_does_not_lapse(self, store: Store) -> None:
        now = store.instant()
        run = start_run(store, due=now - MINUTE, start_by=now + 2 * SECOND)
        self.let_pass(store, 2 * SECOND + MS)
        assert store.lapse() == []
        assert run_of(store, run.token) == run

    def test_only_so_many_are_ended_and_the_next_call_goes_on(self, store: Store) -> None:
        now = store.instant()
        for number in range(3):
            make_run(store, str(number), due=now - MINUTE, start_by=now)
        assert [len(store.lapse(limit=2)) for _ in range(3)] == [2, 1, 0]

    def test_a_lapsed_run_makes_room(self, store: Store) -> None:
        join(store)
        now = store.instant()
        make_run(store, schedule_id="s", due=now - MINUTE, start_by=now)
        store.lapse()
        row = make_schedule(store, "s")
        assert len(launch(store, row).pending) == 1


class CancelContract(Part):
    """``cancel``."""

    def test_a_pending_run_ends_at_once(self, store: Store) -> None:
        run = make_run(store)
        after = store.cancel(run.token, by="ann")
        assert after == run_of(store, run.token)
        assert (after.state, after.attempt, after.node) == (RunState.CANCELLED, 0, None)
        assert after.finished_at is not None
        assert "ann" in (after.reason or "")

    def test_a_running_run_is_marked_and_its_node_hears_of_it(self, store: Store) -> None:
        run = start_run(store)
        after = store.cancel(run.token, by="ann")
        assert after == run_of(store, run.token)
        assert (after.state, after.cancelling, after.attempt, after.node) == (RunState.RUNNING, True, 1, "node")
        assert "ann" in (after.reason or "")
        assert store.beat(Node(id="node")).held == (Held(run.token, 1, cancelling=True),)

    def test_a_running_run_may_be_asked_twice(self, store: Store) -> None:
        run = start_run(store)
        store.cancel(run.token)
        assert store.cancel(run.token).cancelling

    def test_a_run_that_is_not_there_cannot_be_cancelled(self, store: Store) -> None:
        with pytest.raises(NoRun):
            store.cancel("nightly@run-absent")

    @pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.LOST])
    def test_a_run_that_has_ended_cannot_be_cancelled(self, store: Store, state: RunState) -> None:
        run = end_run(store, state=state)
        with pytest.raises(WrongState):
            store.cancel(run.token)
        assert run_of(store, run.token) == run


class RetryContract(Part):
    """``retry``: by hand."""

    @pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED, RunState.LOST])
    def test_an_ended_run_is_pending_again_and_counts_anew(self, store: Store, state: RunState) -> None:
        run = start_run(store, began=True)
        store.note("node", run.token, 1, overdue=True, progress=0.5)
        store.cancel(run.token)
        store.finish([outcome_of(run, state, failed=True, result="1", error="no route")])
        before = store.instant()
        after = store.retry(run.token)
        assert after == run_of(store, run.token)
        assert before <= after.due <= store.instant()
        assert (after.state, after.failures, after.losses, after.node) == (RunState.PENDING, 0, 0, None)
        assert (after.started_at, after.finished_at, after.cancelling, after.overdue) == (None, None, False, False)
        assert after.attempt == 1
        assert after.scheduled_time == run.scheduled_time
        (again,) = store.claim("node", serves=SERVES, limit=9)
        assert (again.token, again.attempt) == (run.token, 2)

    def test_a_skipped_run_can_be_retried_and_is_in_time(self, store: Store) -> None:
        now = store.instant()
        run = make_run(store, due=now - HOUR, start_by=now - MINUTE)
        store.lapse()
        after = store.retry(run.token)
        assert after.start_by is not None
        assert after.start_by - after.due == 59 * MINUTE
        assert store.lapse() == []

    def test_a_retry_raises_the_version_of_the_schedule_and_nothing_else_of_it(self, store: Store) -> None:
        """Else a plan that counted before it would open a second run."""
        run = end_run(store)
        before = row_of(store, "nightly")
        store.retry(run.token)
        assert row_of(store, "nightly") == replace(before, version=before.version + 1)

    def test_a_run_that_is_not_there_cannot_be_retried(self, store: Store) -> None:
        with pytest.raises(NoRun):
            store.retry("nightly@run-absent")

    def test_a_run_that_is_open_or_succeeded_cannot_be_retried(self, store: Store) -> None:
        runs = [
            end_run(store, "done", state=RunState.SUCCEEDED),
            start_run(store, "running"),
            make_run(store, "pending"),
        ]
        before = row_of(store, "nightly")
        for run in runs:
            with pytest.raises(WrongState):
                store.retry(run.token)
            assert run_of(store, run.token) == run
        assert row_of(store, "nightly") == before

    def test_a_lost_run_has_all_its_losses_before_it_again(self, store: Store) -> None:
        start_run(store, policy=policy_with(max_losses=0))
        store.leave("node")
        (run,) = store.recover()
        assert (run.state, run.losses) == (RunState.LOST, 1)
        assert store.retry(run.token).losses == 0

    def test_what_the_schedule_says_of_overlap_now_counts(self, store: Store) -> None:
        run = end_run(store, "failed")
        make_run(store, "open")
        store.change("nightly", Amend(schedule_id="nightly", changes={"overlap": "allow"}))
        assert store.retry(run.token).state is RunState.PENDING

    def test_overlap_forbids_one_more_open_run(self, store: Store) -> None:
        run = end_run(store, "failed")
        make_run(store, "open")
        before = row_of(store, "nightly")
        with pytest.raises(RunOpen):
            store.retry(run.token)
        assert run_of(store, run.token) == run
        assert row_of(store, "nightly") == before

    def test_with_overlap_allowed_any_number_may_be_open(self, store: Store) -> None:
        make_schedule(store, overlap="allow")
        run = end_run(store, "failed")
        make_run(store, "open")
        assert store.retry(run.token).state is RunState.PENDING

    def test_a_run_of_a_removed_schedule_can_be_retried(self, store: Store) -> None:
        run = end_run(store)
        store.change("nightly", Remove(schedule_id="nightly"))
        assert store.retry(run.token).state is RunState.PENDING

    def test_a_run_whose_schedule_is_not_there_any_more_goes_by_its_own_policy(self, store: Store) -> None:
        for name, overlap in (("strict", "skip"), ("loose", "allow")):
            make_schedule(store, name, overlap=overlap)
            runs = [end_run(store, key, schedule_id=name) for key in ("one", "two")]
            store.change(name, Remove(schedule_id=name))
            self.let_pass(store, 3 * MS)
            store.prune(_FORGETFUL)
            assert store.get(name) is None
            store.retry(runs[0].token)
            if overlap == "skip":
                with pytest.raises(RunOpen):
                    store.retry(runs[1].token)
            else:
                store.retry(runs[1].token)


def _abandoned(part: Part, store: Store, end: str) -> Run:
    """Return a running run whose node is dead, gone or absent."""
    join(store, lease=MS)
    run = start_run(store)
    part.let_pass(store, 3 * MS)
    if end == "dead":
        join(store, "witness")
        assert store.expire("witness", ["node"]) == ["node"]
    else:
        store.leave("node")
    if end == "absent":
        part.let_pass(store, 3 * MS)
        store.prune(_FORGETFUL)
        assert store.nodes() == []
    return run
