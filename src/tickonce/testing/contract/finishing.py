"""How attempts end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tickonce.model import RunState
from tickonce.ports import Store
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import (
    HOUR,
    MINUTE,
    MS,
    SECOND,
    SERVES,
    join,
    make_run,
    outcome_of,
    row_of,
    run_of,
    runs_of,
    start_run,
)

_FINAL = [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.LOST]


class FinishContract(Part):
    """``finish``."""

    @pytest.mark.parametrize("state", _FINAL)
    def test_how_an_attempt_ended_is_written(self, store: Store, state: RunState) -> None:
        run = start_run(store)
        begin = store.instant() - MINUTE
        outcome = outcome_of(
            run,
            state,
            started_at=begin,
            finished_at=begin + timedelta(seconds=1, microseconds=1),
            result='{"rows":3}',
            error="Traceback ... ValueError: späť",
            reason="asked",
        )
        assert store.finish([outcome]) == [True]
        assert run_of(store, run.token) == replace(
            run,
            state=state,
            started_at=outcome.started_at,
            finished_at=outcome.finished_at,
            result=outcome.result,
            error=outcome.error,
            reason=outcome.reason,
        )

    def test_what_an_outcome_leaves_out_is_filled_from_what_is_known(self, store: Store) -> None:
        run = start_run(store, began=True)
        before = store.instant()
        assert store.finish([outcome_of(run)]) == [True]
        after = run_of(store, run.token)
        assert after.started_at == run.started_at
        assert after.finished_at is not None
        assert before <= after.finished_at <= store.instant()

    @pytest.mark.parametrize("end", ["succeeded", "failed", "retried"])
    def test_why_an_earlier_attempt_was_cut_short_is_forgotten_at_an_end(self, store: Store, end: str) -> None:
        run = start_run(store)
        assert run.node is not None
        store.finish([outcome_of(run, RunState.PENDING, reason="stopping")])
        assert run_of(store, run.token).reason == "stopping"
        (run,) = store.claim(run.node, serves=SERVES, limit=1)
        state = RunState.PENDING if end == "retried" else RunState(end)
        store.finish(
            [outcome_of(run, state, failed=end != "succeeded", due=store.instant() if end == "retried" else None)]
        )
        assert run_of(store, run.token).reason is None

    def test_a_wish_to_cancel_that_came_too_late_stays_to_be_seen(self, store: Store) -> None:
        run = start_run(store)
        store.cancel(run.token, by="ann")
        store.finish([outcome_of(run)])
        after = run_of(store, run.token)
        assert (after.state, after.reason) == (RunState.SUCCEEDED, "cancelled by ann")

    def test_only_a_failed_attempt_counts_as_a_failure(self, store: Store) -> None:
        for failed in (True, False):
            run = start_run(store, str(failed))
            store.finish([outcome_of(run, RunState.FAILED, failed=failed)])
            assert run_of(store, run.token).failures == failed

    def test_an_end_does_not_touch_the_schedule(self, store: Store) -> None:
        run = start_run(store)
        before = row_of(store, "nightly")
        store.finish([outcome_of(run)])
        assert row_of(store, "nightly") == before

    # -- the fence -----------------------------------------------------------------------------

    def test_an_outcome_of_another_node_attempt_or_state_is_refused(self, store: Store) -> None:
        run = start_run(store)
        pending = make_run(store, "pending")
        before = runs_of(store)
        stale = [
            outcome_of(run, node="other"),
            outcome_of(run, attempt=0),
            outcome_of(run, attempt=2),
            outcome_of(run, token="nightly@run-absent"),  # noqa: S106  # no password
            outcome_of(run, token=run.token.upper()),
            outcome_of(run, token=pending.token, attempt=0),
        ]
        assert store.finish(stale) == [False] * len(stale)
        assert runs_of(store) == before

    def test_an_outcome_is_accepted_once(self, store: Store) -> None:
        run = start_run(store)
        assert store.finish([outcome_of(run, RunState.SUCCEEDED)]) == [True]
        assert store.finish([outcome_of(run, RunState.FAILED)]) == [False]
        assert run_of(store, run.token).state is RunState.SUCCEEDED

    def test_an_outcome_is_accepted_once_within_a_group_too(self, store: Store) -> None:
        run = start_run(store)
        answers = store.finish([outcome_of(run, RunState.SUCCEEDED), outcome_of(run, RunState.FAILED, failed=True)])
        assert answers == [True, False]
        after = run_of(store, run.token)
        assert (after.state, after.failures) == (RunState.SUCCEEDED, 0)

    def test_a_report_of_an_earlier_attempt_is_refused_though_the_same_node_holds_the_run(self, store: Store) -> None:
        """Its reply was lost, so it is sent again; meanwhile the node has claimed the run once more."""
        run = start_run(store)
        report = outcome_of(run, RunState.PENDING, failed=True)
        assert store.finish([report]) == [True]
        (again,) = store.claim("node", serves=SERVES, limit=9)
        assert store.finish([report]) == [False]
        assert run_of(store, run.token) == again

    def test_answers_come_in_the_order_of_the_outcomes(self, store: Store) -> None:
        runs = [start_run(store, key) for key in ("c", "a", "d", "b")]
        wanted = [True, False, True, False]
        outcomes = [
            outcome_of(run) if held else outcome_of(run, attempt=7) for run, held in zip(runs, wanted, strict=True)
        ]
        assert store.finish(outcomes) == wanted
        assert [run_of(store, run.token).state.open for run in runs] == [False, True, False, True]

    def test_nothing_to_write_is_no_error(self, store: Store) -> None:
        assert store.finish([]) == []

    def test_a_node_that_was_declared_dead_may_still_report_what_nobody_took_from_it(self, store: Store) -> None:
        """The fence decides, never what anybody believes of the node."""
        join(store, lease=MS)
        run = start_run(store)
        self.let_pass(store, 3 * MS)
        join(store, "witness")
        assert store.expire("witness", ["node"]) == ["node"]
        assert store.finish([outcome_of(run)]) == [True]
        assert store.recover() == []

    # -- retry, hand-back ------------------------------------------------------------------------

    def test_a_retry_counts_a_failure_and_waits_for_its_due_time(self, store: Store) -> None:
        run = start_run(store)
        due = store.instant() + HOUR
        assert store.finish([outcome_of(run, RunState.PENDING, failed=True, due=due, error="no route")]) == [True]
        after = run_of(store, run.token)
        assert (after.state, after.due, after.failures, after.error) == (RunState.PENDING, due, 1, "no route")
        assert (after.node, after.attempt, after.started_at, after.finished_at) == (None, 1, None, None)
        assert store.claim("node", serves=SERVES, limit=9) == []

    def test_a_hand_back_counts_nothing_and_is_free_at_once(self, store: Store) -> None:
        run = start_run(store, due=store.instant() - MINUTE)
        before = store.instant()
        outcome = outcome_of(run, RunState.PENDING, due=before + HOUR)
        assert store.finish([outcome]) == [True]
        after = run_of(store, run.token)
        assert before <= after.due <= store.instant()
        assert (after.state, after.failures, after.losses, after.node) == (RunState.PENDING, 0, 0, None)
        assert [each.token for each in store.claim("node", serves=SERVES, limit=9)] == [run.token]

    def test_the_time_to_start_moves_along_with_the_due_time(self, store: Store) -> None:
        """Else a retry that comes later than the first window was open would never start."""
        now = store.instant()
        run = start_run(store, due=now - 20 * SECOND, start_by=now + 40 * SECOND)
        store.finish([outcome_of(run, RunState.PENDING, failed=True, due=now + HOUR)])
        after = run_of(store, run.token)
        assert (after.due, after.start_by) == (now + HOUR, now + HOUR + MINUTE)

    def test_an_error_stays_until_the_next_one(self, store: Store) -> None:
        run = start_run(store)
        store.finish([outcome_of(run, RunState.PENDING, failed=True, error="first")])
        (run,) = store.claim("node", serves=SERVES, limit=9)
        store.finish([outcome_of(run, RunState.SUCCEEDED, result="1")])
        after = run_of(store, run.token)
        assert (after.result, after.error, after.failures) == ("1", "first", 1)

    @pytest.mark.parametrize("failed", [True, False])
    def test_a_run_that_is_asked_to_cancel_is_neither_retried_nor_handed_back(self, store: Store, failed: bool) -> None:  # noqa: FBT001
        run = start_run(store)
        store.cancel(run.token, by="ann")
        assert store.finish([outcome_of(run, RunState.PENDING, failed=failed, due=store.instant() + HOUR)]) == [True]
        after = run_of(store, run.token)
        assert (after.state, after.failures) == (RunState.CANCELLED, failed)
        assert after.finished_at is not None
        assert store.claim("node", serves=SERVES, limit=9) == []

    def test_a_run_that_is_asked_to_cancel_may_still_succeed(self, store: Store) -> None:
        run = start_run(store)
        store.cancel(run.token)
        assert store.finish([outcome_of(run, RunState.SUCCEEDED, result="1")]) == [True]
        assert run_of(store, run.token).state is RunState.SUCCEEDED

    # -- content that a store refuses --------------------------------------------------------------

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param('"a\x00b"', id="NUL"),
            pytest.param('"a\ud800b"', id="lone surrogate"),
            pytest.param('"' + "x" * 20_000_000 + '"', id="huge"),
        ],
    )
    def test_one_outcome_that_is_refused_for_its_content_harms_no_other(self, store: Store, text: str) -> None:
        runs = [start_run(store, key) for key in ("a", "b", "c")]
        outcomes = [outcome_of(run, result='"fine"') for run in runs]
        outcomes[1] = replace(outcomes[1], result=text)
        assert store.finish(outcomes) == [True, True, True]
        fine, bad, also_fine = [run_of(store, run.token) for run in runs]
        assert (fine.result, fine.error) == (also_fine.result, also_fine.error) == ('"fine"', None)
        assert bad.state is RunState.SUCCEEDED
        # A store that can keep it may; one that cannot says so.
        assert bad.result == text or (bad.result is None and bad.error)

    def test_bad_text_in_an_error_or_reason_harms_nothing(self, store: Store) -> None:
        runs = [start_run(store, key) for key in ("a", "b", "c", "d")]
        outcomes = [
            outcome_of(runs[0], RunState.FAILED, failed=True, error="bytes \x00 in it"),
            outcome_of(runs[1], RunState.FAILED, failed=True, error="half a \udce9 pair"),
            outcome_of(runs[2], RunState.CANCELLED, reason="because \x00\ud800"),
            outcome_of(runs[3], RunState.PENDING, failed=True, error="again \x00"),
        ]
        assert store.finish(outcomes) == [True] * 4
        after = [run_of(store, run.token) for run in runs]
        assert [run.state for run in after] == [
            RunState.FAILED,
            RunState.FAILED,
            RunState.CANCELLED,
            RunState.PENDING,
        ]
        assert [run.failures for run in after] == [1, 1, 0, 1]
        assert "bytes" in (after[0].error or "")
        assert "half a" in (after[1].error or "")
        for run in after:
            f"{run.error}{run.reason}".encode()

    def test_an_outcome_with_a_token_that_no_store_takes_harms_no_other(self, store: Store) -> None:
        run = start_run(store)
        bad = [outcome_of(run, token=token) for token in ("a@\x00", "a@\ud800", "a@" + "x" * 1000, "")]
        assert store.finish([*bad, outcome_of(run)]) == [False, False, False, False, True]

    def test_a_large_group_is_written_whole(self, store: Store) -> None:
        join(store)
        for number in range(60):
            make_run(store, str(number))
        runs = store.claim("node", serves=SERVES, limit=100)
        assert store.finish([outcome_of(run, result=f'"{run.token}"') for run in runs]) == [True] * 60
        assert [run_of(store, run.token).result for run in runs] == [f'"{run.token}"' for run in runs]
