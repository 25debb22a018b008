"""The launch: compare and set, count, write."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tickonce.codec import encode_arguments
from tickonce.editing import Amend, RunNow
from tickonce.model import NodeState, OnLost, Reason, RunState, Schedule, ScheduleState
from tickonce.planning import plan
from tickonce.ports import Store
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import (
    ALL_RUN,
    HOUR,
    MINUTE,
    MS,
    NOTHING,
    SECOND,
    SERVES,
    end_run,
    everything,
    join,
    launch,
    make_run,
    make_schedule,
    outcome_of,
    planned,
    put,
    row_of,
    run_of,
    runs_of,
    serving,
    skips_of,
    start_run,
)
from tickonce.triggers import Every


class LaunchContract(Part):
    """``launch``."""

    def test_a_launch_moves_the_schedule_on_and_inserts_the_run(self, store: Store) -> None:
        join(store)
        row = make_schedule(store)
        wanted = planned(store, row)
        before = store.instant()
        launched = store.launch("node", [wanted], slots=0, serves=SERVES)
        after = row_of(store, row.id)
        assert (after.watermark, after.next_fire, after.due) == (row.next_fire, wanted.next_fire, wanted.due)
        assert after == replace(
            row, watermark=after.watermark, next_fire=after.next_fire, due=after.due, version=after.version
        )
        (run,) = runs_of(store)
        assert launched.pending == (wanted.fires[0].token,) == (run.token,)
        assert (run.scheduled_time, run.due, run.start_by) == (
            row.next_fire,
            wanted.fires[0].due,
            wanted.fires[0].start_by,
        )
        assert (run.state, run.attempt, run.node) == (RunState.PENDING, 0, None)
        assert launched.alive
        assert before <= launched.instant <= store.instant()

    def test_a_launch_raises_the_version_by_one(self, store: Store) -> None:
        join(store)
        row = make_schedule(store)
        launched = launch(store, row)
        assert row_of(store, row.id).version == row.version + 1
        assert [change.schedule for change in launched.changes] == [row_of(store, row.id)]

    def test_a_run_takes_over_what_the_definition_says(self, store: Store) -> None:
        join(store)
        row = make_schedule(
            store,
            job="sync",
            arguments=encode_arguments((), {"shop": "eu"}),
            queue="reports",
            priority=-7,
            timeout=timedelta(microseconds=1),
            max_losses=5,
            on_lost="fail",
        )
        before = store.instant()
        launch(store, row)
        (run,) = runs_of(store)
        assert (run.job, run.arguments) == ("sync", encode_arguments((), {"shop": "eu"}))
        assert (run.queue, run.priority, run.source, run.schedule_id) == ("reports", -7, "schedule", row.id)
        assert run.policy == row.policy
        assert run.policy.on_lost is OnLost.FAIL
        assert run.created_at is not None
        assert before <= run.created_at <= store.instant()
        assert (run.failures, run.losses, run.started_at, run.finished_at, run.result, run.error) == (0, 0, *[None] * 4)

    def test_a_plan_whose_version_has_moved_writes_nothing(self, store: Store) -> None:
        join(store)
        wanted = planned(store, make_schedule(store))
        store.change("nightly", Amend(schedule_id="nightly", changes={"description": "edited"}))
        before = everything(store)
        launched = store.launch("node", [wanted], slots=9, serves=SERVES)
        assert launched.lost == ("nightly",)
        assert (launched.claimed, launched.pending, launched.changes, launched.taken) == ((), (), (), ())
        assert everything(store) == before

    def test_a_plan_for_a_schedule_that_is_not_there_writes_nothing(self, store: Store) -> None:
        join(store)
        row = make_schedule(store)
        wanted = planned(store, replace(row, id="never-seen"))
        assert store.launch("node", [wanted], slots=9, serves=SERVES).lost == ("never-seen",)
        assert runs_of(store) == []

    def test_past_its_time_nothing_of_a_launch_is_written(self, store: Store) -> None:
        join(store)
        wanted = planned(store, make_schedule(store, **ALL_RUN))
        before = everything(store)
        past = store.instant() - MS
        launched = store.launch("node", [wanted], slots=9, serves=SERVES, until=past)
        assert (launched.alive, launched.lost) == (True, ("nightly",))
        assert (launched.claimed, launched.pending, launched.changes, launched.taken) == ((), (), (), ())
        assert everything(store) == before
        launched = store.launch("node", [wanted], slots=9, serves=SERVES, until=store.instant() + MINUTE)
        assert len(launched.claimed) == 1

    def test_a_plan_is_applied_once(self, store: Store) -> None:
        join(store)
        wanted = planned(store, make_schedule(store, **ALL_RUN))
        assert store.launch("node", [wanted], slots=0, serves=SERVES).pending == (wanted.fires[0].token,)
        assert store.launch("node", [wanted], slots=0, serves=SERVES).lost == ("nightly",)
        assert len(runs_of(store)) == 1

    def test_of_two_plans_for_one_schedule_in_one_launch_one_is_applied(self, store: Store) -> None:
        join(store)
        wanted = planned(store, make_schedule(store, **ALL_RUN))
        launched = store.launch("node", [wanted, wanted], slots=0, serves=SERVES)
        assert (len(launched.pending), launched.lost) == (1, ("nightly",))
        assert len(runs_of(store)) == 1

    def test_a_plan_that_cannot_be_applied_harms_no_other(self, store: Store) -> None:
        join(store)
        rows = [make_schedule(store, name) for name in ("c", "a", "b")]
        plans = [planned(store, row) for row in rows]
        store.change("a", Amend(schedule_id="a", changes={"owner": "edited"}))
        launched = store.launch("node", plans, slots=9, serves=SERVES)
        assert launched.lost == ("a",)
        assert {run.schedule_id for run in launched.claimed} == {"b", "c"}
        assert {change.schedule.id for change in launched.changes} == {"b", "c"}

    def test_a_launch_of_nothing_is_answered(self, store: Store) -> None:
        join(store)
        assert store.launch("node", [], slots=9, serves=SERVES).alive

    # -- who may, and who gets the runs ----------------------------------------------------------

    @pytest.mark.parametrize("end", ["dead", "gone", "absent"])
    def test_a_node_that_is_not_alive_launches_nothing(self, store: Store, end: str) -> None:
        """Else its runs would belong to an incarnation that has been recovered already."""
        join(store, lease=MS)
        wanted = planned(store, make_schedule(store))
        self.let_pass(store, 3 * MS)
        join(store, "witness")
        if end == "dead":
            assert store.expire("witness", ["node"]) == ["node"]
        else:
            store.leave("node")
        before = everything(store)
        launched = store.launch("node" if end != "absent" else "never-seen", [wanted], slots=9, serves=SERVES)
        assert not launched.alive
        assert (launched.claimed, launched.pending, launched.changes, launched.lost) == ((), (), (), ())
        assert everything(store) == before
        assert store.launch("witness", [wanted], slots=0, serves=SERVES).alive

    def test_a_leaving_node_may_launch(self, store: Store) -> None:
        store.beat(replace(join(store), state=NodeState.LEAVING))
        assert len(launch(store, make_schedule(store)).pending) == 1

    def test_as_many_runs_as_there_are_slots_are_claimed_and_the_rest_left(self, store: Store) -> None:
        join(store)
        row = make_schedule(store, fires=5, period=SECOND, **ALL_RUN)
        launched = launch(store, row, slots=2)
        assert [run.scheduled_time for run in launched.claimed] == sorted(
            run.scheduled_time for run in launched.claimed
        )
        assert [(run.state, run.attempt, run.node) for run in launched.claimed] == [(RunState.RUNNING, 1, "node")] * 2
        assert [run_of(store, run.token) for run in launched.claimed] == list(launched.claimed)
        assert {run.token for run in store.held("node")} == {run.token for run in launched.claimed}
        left = [run_of(store, token) for token in launched.pending]
        assert [(run.state, run.attempt, run.node) for run in left] == [(RunState.PENDING, 0, None)] * 3

    def test_what_the_node_does_not_serve_is_left_pending(self, store: Store) -> None:
        join(store)
        rows = [make_schedule(store, "job", job="other"), make_schedule(store, "queue", queue="other")]
        launched = launch(store, *rows, slots=9)
        assert (launched.claimed, len(launched.pending)) == ((), 2)
        row = make_schedule(store, "nothing")
        assert launch(store, row, slots=9, serves=NOTHING).claimed == ()
        other = make_schedule(store, "both", job="other", queue="other")
        assert len(launch(store, other, slots=9, serves=serving("other", queues=["other"])).claimed) == 1

    def test_slots_are_not_spent_on_what_the_node_does_not_serve(self, store: Store) -> None:
        join(store)
        rows = [make_schedule(store, "a", job="other"), make_schedule(store, "b")]
        launched = launch(store, *rows, slots=1)
        assert [run.schedule_id for run in launched.claimed] == ["b"]

    def test_a_run_that_is_not_due_yet_is_left_pending(self, store: Store) -> None:
        join(store)
        row = make_schedule(store)
        due = store.instant() + MINUTE
        wanted = planned(store, row)
        wanted = replace(wanted, fires=(replace(wanted.fires[0], due=due),))
        launched = store.launch("node", [wanted], slots=9, serves=SERVES)
        assert launched.claimed == ()
        assert run_of(store, launched.pending[0]).due == due

    def test_a_run_that_is_too_late_to_start_is_left_pending(self, store: Store) -> None:
        join(store)
        row = make_schedule(store, start_within=MS, first=store.instant() - 5 * SECOND)
        launched = launch(store, row, slots=9)
        assert launched.claimed == ()
        assert [run.token for run in store.lapse()] == list(launched.pending)

    # -- overlap -------------------------------------------------------------------------------

    def test_open_runs_are_counted_inside_the_step(self, store: Store) -> None:
        """What was open when the plan was made says nothing."""
        join(store)
        run = start_run(store)
        wanted = planned(store, _ripe_again(store))
        store.finish([outcome_of(run)])
        launched = store.launch("node", [wanted], slots=0, serves=SERVES)
        assert len(launched.pending) == 1
        assert skips_of(store) == []

    @pytest.mark.parametrize("state", [RunState.PENDING, RunState.RUNNING])
    def test_with_an_open_run_the_plan_skips_what_overlap_forbids(self, store: Store, state: RunState) -> None:
        join(store)
        if state is RunState.RUNNING:
            start_run(store)
        else:
            make_run(store)
        row = _ripe_again(store)
        launched = launch(store, row, slots=9)
        assert (launched.claimed, launched.pending) == ((), ())
        (skip,) = skips_of(store, row.id)
        assert (skip.reason, skip.first, skip.last, skip.count) == (Reason.OVERLAP, row.next_fire, row.next_fire, 1)
        assert row_of(store, row.id).watermark == row.next_fire

    def test_runs_that_have_ended_do_not_count(self, store: Store) -> None:
        join(store)
        end_run(store)
        assert len(launch(store, _ripe_again(store)).pending) == 1

    def test_open_runs_of_other_schedules_do_not_count(self, store: Store) -> None:
        join(store)
        start_run(store, schedule_id="other")
        assert len(launch(store, make_schedule(store)).pending) == 1

    def test_a_run_started_by_hand_moves_the_version_so_a_stale_plan_is_refused(self, store: Store) -> None:
        """Else two runs of a schedule with overlap="skip" would be open."""
        join(store)
        wanted = planned(store, make_schedule(store))
        store.change("nightly", RunNow(schedule_id="nightly", key="one"))
        assert store.launch("node", [wanted], slots=9, serves=SERVES).lost == ("nightly",)
        assert launch(store, row_of(store, "nightly")).pending == ()
        assert [skip.reason for skip in skips_of(store)] == [Reason.OVERLAP]

    # -- tokens, skips -------------------------------------------------------------------------

    def test_a_token_that_exists_already_leaves_its_schedule_alone_and_is_reported(self, store: Store) -> None:
        """As after a restored backup."""
        join(store)
        row = make_schedule(store, "back", fires=3, period=SECOND, **ALL_RUN)
        wanted = planned(store, row)
        again = put(store, row, runs=wanted.fires[1:2])
        other = make_schedule(store, "other")
        launched = launch(store, again, other, slots=9)
        assert launched.taken == (wanted.fires[1].token,)
        assert row_of(store, "back") == again
        assert [run.token for run in runs_of(store, "back")] == [wanted.fires[1].token]
        assert [run.schedule_id for run in launched.claimed] == ["other"]
        assert [change.schedule.id for change in launched.changes] == ["other"]

    def test_fires_with_fractions_are_runs_of_their_own(self, store: Store) -> None:
        """Four fires 250 ms apart are four runs."""
        join(store)
        base = store.instant().replace(microsecond=0) - MINUTE
        row = make_schedule(store, first=base, trigger=Every("250ms", anchor=base), **ALL_RUN)
        wanted = plan(row, base + 3 * 250 * MS)
        assert wanted is not None
        launched = store.launch("node", [wanted], slots=2, serves=SERVES)
        runs = runs_of(store)
        assert [run.scheduled_time - base for run in runs] == [count * 250 * MS for count in range(4)]
        assert len({run.token for run in runs}) == 4
        assert {run.token for run in runs} == {*launched.pending, *(run.token for run in launched.claimed)}
        assert row_of(store, row.id).watermark == base + 750 * MS

    def test_skip_records_of_the_plan_are_written(self, store: Store) -> None:
        join(store)
        row = make_schedule(store, fires=4)
        launched = launch(store, row)
        (skip,) = skips_of(store)
        assert (skip.reason, skip.count, skip.first, skip.last) == (
            Reason.MISFIRE,
            3,
            row.next_fire,
            (row.next_fire or row.watermark) + 2 * HOUR,
        )
        assert launched.changes[0].skips == (skip,)

    def test_consecutive_skips_of_one_reason_share_a_record(self, store: Store) -> None:
        join(store)
        base = store.instant() - 10 * HOUR
        row = make_schedule(store, first=base, misfire="skip", grace=MS)
        first = plan(row, base + 2 * HOUR + MINUTE)
        assert first is not None
        store.launch("node", [first], slots=0, serves=SERVES)
        second = plan(row_of(store, row.id), base + 4 * HOUR + MINUTE)
        assert second is not None
        store.launch("node", [second], slots=0, serves=SERVES)
        (skip,) = skips_of(store)
        assert (skip.count, skip.first, skip.last) == (5, base, base + 4 * HOUR)

    def test_the_last_fire_ends_the_schedule(self, store: Store) -> None:
        join(store)
        first = store.instant() - SECOND
        row = make_schedule(store, first=first, end=first + MINUTE)
        launch(store, row)
        after = row_of(store, row.id)
        assert (after.state, after.next_fire, after.due) == (ScheduleState.ENDED, None, None)


def _ripe_again(store: Store, schedule_id: str = "nightly") -> Schedule:
    """Return the schedule with its next fire a second ago."""
    row = row_of(store, schedule_id)
    first = store.instant() - SECOND
    definition = replace(row.definition, trigger=Every(HOUR, anchor=first))
    return put(store, replace(row, definition=definition, watermark=first - MS, next_fire=first, due=first))
