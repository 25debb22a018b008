"""The traces that broke the first draft of the design, each against the real engine.

The names C1 to C9 and H1 to H11 are those of the review; `docs/explanation/` tells the story of each.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tickonce.config import NodeConfig
from tickonce.definitions import form_of, hash_of
from tickonce.editing import Amend, Create, Declare, Pause, Remove, Resume, RunNow
from tickonce.errors import StoreBusy
from tickonce.model import Change, Definition, Node, Policy, RunState, ScheduleState, bucket_of
from tickonce.ports import Serves
from tickonce.triggers import OpaqueTrigger, every

SECOND = timedelta(seconds=1)
LEASE = NodeConfig().lease


def launched_once(fleet, schedule_id="beat"):
    """Every fire since the schedule was made has one run, and each run's function was called once."""
    runs = fleet.runs(schedule_id)
    first, last = runs[0].scheduled_time, runs[-1].scheduled_time
    assert len(runs) == len({run.token for run in runs}) == (last - first) / SECOND + 1
    calls = Counter(token for token, _ in fleet.ledger)
    assert set(calls.values()) == {1}, calls
    return runs


def all_ended(runs):
    return all(run.state is RunState.SUCCEEDED for run in runs)


class TestC1ALostReply:
    """A launch, claim or finish whose reply is lost has happened: what we hold is asked for and started, once."""

    @pytest.mark.parametrize("verb", ["launch", "finish"])
    def test_every_fire_still_ends_within_two_beats_once(self, fleet, jobs, add, verb):
        add("beat", misfire="all", overlap="allow")
        node = fleet.node(jobs)
        fleet.run_for(3 * SECOND)
        node.faults.cut_reply(verb, times=1)
        fleet.run_for(2 * NodeConfig().beat)
        runs = launched_once(fleet)
        assert all_ended(runs)

    def test_a_claim_whose_reply_is_lost_is_carried_out_once(self, fleet, jobs, add):
        add("beat", every("1h"))
        node = fleet.node(jobs)
        node.faults.cut_reply("claim", times=1)
        fleet.store.change("beat", RunNow(schedule_id="beat", key="by-hand"))
        runs = fleet.run_for(2 * NodeConfig().beat)
        assert [run.state for run in runs] == [RunState.SUCCEEDED]
        assert fleet.ledger == [("beat@run-by-hand", 1)]

    def test_with_overlap_skip_the_schedule_is_not_blocked(self, fleet, jobs, add):
        add("beat")
        node = fleet.node(jobs)
        fleet.run_for(2 * SECOND)
        node.faults.cut_reply("launch", times=1)
        fleet.run_for(4 * NodeConfig().beat)
        assert fleet.runs()[-1].scheduled_time >= fleet.clock.wall() - 2 * SECOND
        assert all_ended(fleet.runs())

    def test_the_beat_that_adopts_starts_nothing_that_the_launch_has_started(self, fleet, jobs, add):
        """The launch commits and starts the run; the run ends; a beat read before that end still speaks of it."""
        add("beat", misfire="all", overlap="allow")
        node = fleet.node(jobs)
        fleet.run_for(2 * SECOND)
        worker = node.engine.worker
        worker.start(fleet.runs())  # every answer of the past, given once more
        fleet.run_for(2 * SECOND)
        launched_once(fleet)


class TestC2ANodeThatIsDeadOnPaper:
    """A node declared dead launches nothing, and what it launched in between is found whenever it came to be."""

    def test_its_launch_is_refused_and_it_goes_on_under_a_new_id(self, fleet, jobs, add):
        add("beat", misfire="all", overlap="allow")
        old, other = fleet.node(jobs), fleet.node(jobs)
        fleet.run_for(LEASE + 5 * SECOND)
        before = old.id
        old.paused = True
        fleet.run_for(LEASE + 3 * SECOND)
        old.paused = False
        fleet.run_for(5 * SECOND)
        assert old.id != before
        assert {node.id for node in fleet.store.nodes() if node.state == "alive"} == {old.id, other.id}
        assert all_ended(launched_once(fleet))

    def test_a_run_that_appears_under_a_dead_node_is_recovered(self, fleet, jobs, add):
        """The statement was in flight when the node was declared dead and its runs were recovered."""
        add("beat", every("1h"))
        fleet.store.join(Node(id="slow", lease=LEASE))
        fleet.store.change("beat", RunNow(schedule_id="beat", key="k"))
        taken = fleet.store.claim("slow", serves=_serves(jobs), limit=1)
        fleet.node(jobs)
        runs = fleet.run_for(3 * LEASE)
        assert len(taken) == 1
        assert [(run.state, run.attempt, run.losses) for run in runs] == [(RunState.SUCCEEDED, 2, 1)]


class TestC3AnOutage:
    """What runs goes on and its outcome is kept; nobody is declared dead for an outage that all had."""

    @pytest.mark.parametrize("length", [10, 40])
    def test_nothing_is_started_twice_and_nobody_is_declared_dead(self, fleet, jobs, add, length):
        add("beat", misfire="all", overlap="allow")
        nodes = [fleet.node(jobs) for _ in range(3)]
        ids = [node.id for node in nodes]
        fleet.run_for(LEASE + 5 * SECOND)
        with fleet.outage():
            fleet.run_for(length * SECOND)
        fleet.run_for(20 * SECOND)
        assert [node.id for node in nodes] == ids
        assert all(run.losses == 0 for run in launched_once(fleet))

    def test_an_outcome_from_the_outage_is_written_after_it(self, clock, jobs, add, fleet):
        fleet.takes = 3 * SECOND
        add("beat", every("30s"))
        fleet.node(jobs)
        fleet.run_for(30 * SECOND)  # the run began at :30, and ends within the outage
        with fleet.outage():
            fleet.run_for(40 * SECOND)
        fleet.run_for(2 * SECOND)
        first = fleet.runs()[0]
        assert (first.state, first.attempt, first.losses) == (RunState.SUCCEEDED, 1, 0)

    def test_a_step_of_the_stores_clock_kills_nobody(self, fleet, jobs, add):
        add("beat", misfire="all", overlap="allow")
        nodes = [fleet.node(jobs) for _ in range(2)]
        ids = [node.id for node in nodes]
        fleet.run_for(LEASE + 5 * SECOND)
        fleet.clock.jump(20 * SECOND)  # the memory store's clock is the wall clock
        fleet.run_for(LEASE)
        assert [node.id for node in nodes] == ids
        launched_once(fleet)


class TestC4TheCountIsTakenInsideTheLaunch:
    def test_a_job_shorter_than_its_period_skips_nothing(self, fleet, jobs, add):
        fleet.takes = timedelta(milliseconds=900)
        add("beat")
        fleet.node(jobs)
        fleet.run_for(20 * SECOND)
        assert fleet.store.skips("beat").items == ()
        assert len(fleet.runs()) == 20

    def test_a_run_started_by_hand_between_plan_and_launch_is_counted(self, fleet, jobs, add):
        fleet.takes = 5 * SECOND
        add("beat", every("10s"))
        node = fleet.node(jobs)
        node.faults.before("launch", lambda: fleet.store.change("beat", RunNow(schedule_id="beat", key="k")))
        fleet.run_for(11 * SECOND)
        running = [run for run in fleet.runs() if run.state.open]
        assert [run.source for run in running] == ["manual"]
        assert [skip.reason for skip in fleet.store.skips("beat").items] == ["overlap"]


class TestC5AnEditAtADueInstant:
    """An edit deals with what is due by the old definition, and applies to what comes after it."""

    @pytest.mark.parametrize(
        ("edit", "reason"),
        [
            (Amend(schedule_id="beat", changes={"trigger": every("7s")}), None),
            (Pause(schedule_id="beat"), "paused"),
            (Remove(schedule_id="beat"), "removed"),
        ],
    )
    def test_no_fire_is_forgotten(self, fleet, jobs, add, edit, reason):
        add("beat", misfire="all", overlap="allow")
        node = fleet.node(jobs)
        fleet.run_for(3 * SECOND)
        node.paused = True
        fleet.run_for(2 * SECOND)  # two fires are due and not launched
        fleet.store.change("beat", edit)
        node.paused = False
        fleet.run_for(SECOND)
        skipped = sum(skip.count for skip in fleet.store.skips("beat").items)
        assert len(fleet.runs()) + skipped == 5
        assert (skipped, reason) in {(0, None), (2, "paused"), (2, "removed")}

    def test_an_edit_of_arguments_leaves_the_clock_alone(self, fleet, add):
        add("beat", every("1h"))
        before = fleet.schedule("beat")
        after = fleet.store.change("beat", Amend(schedule_id="beat", changes={"priority": 5}))
        assert (after.watermark, after.next_fire, after.due) == (before.watermark, before.next_fire, before.due)

    def test_a_stale_plan_is_not_applied_over_an_edit(self, fleet, jobs, add):
        add("beat", every("10s"))
        node = fleet.node(jobs)
        edit = Amend(schedule_id="beat", changes={"trigger": every("1h")})
        node.faults.before("launch", lambda: fleet.store.change("beat", edit))
        fleet.run_for(30 * SECOND)
        assert len(fleet.runs()) == 1  # settled by the edit, launched once
        assert fleet.schedule("beat").trigger == every("1h").resolved(schedule_id="beat", tz="UTC")


class TestC6DeletedAndMadeAnew:
    def test_a_plan_of_the_old_definition_is_not_applied_to_the_new_one(self, fleet, jobs, add):
        add("beat", every("10s"))
        node = fleet.node(jobs)

        def anew():
            fleet.store.change("beat", Remove(schedule_id="beat"))
            fleet.store.change(
                "beat", Create(schedule_id="beat", definition=Definition(job="note", trigger=every("10s"), priority=9))
            )

        node.faults.before("launch", anew)
        fleet.run_for(20 * SECOND)
        assert {run.priority for run in fleet.runs()} == {9}
        assert [skip.reason for skip in fleet.store.skips("beat").items] == ["removed"]


class TestC7TheTokenIsTheIdentity:
    def test_fires_of_one_second_are_different_runs(self, fleet, jobs, add):
        add("fast", every("250ms"), misfire="all", overlap="allow")
        fleet.node(jobs)
        fleet.run_for(2 * SECOND)
        assert len(fleet.runs()) == 8 == len(set(fleet.ledger))

    def test_a_run_by_hand_takes_no_fires_token(self, fleet, jobs, add):
        add("beat", overlap="allow", misfire="all")
        fleet.node(jobs)
        fleet.run_until(datetime(2026, 11, 21, 13, 0, 5, tzinfo=UTC))
        fleet.store.change("beat", RunNow(schedule_id="beat", key="x"))
        fleet.run_for(3 * SECOND)
        assert len([run for run in fleet.runs() if run.source == "schedule"]) == 8


class TestC8Takeover:
    def test_with_the_defaults_a_kill_drops_no_fire(self, fleet, jobs, add):
        for number in range(20):
            add(f"beat-{number}")
        victim, _ = fleet.node(jobs), fleet.node(jobs)
        fleet.run_for(5 * SECOND)
        victim.crash()
        fleet.run_for(2 * LEASE)
        for number in range(20):
            runs = fleet.runs(f"beat-{number}")
            skipped = sum(skip.count for skip in fleet.store.skips(f"beat-{number}").items)
            assert len(runs) + skipped == 35

    def test_after_a_kill_fires_are_at_most_the_takeover_late(self, fleet, jobs, add):
        add("beat", misfire="all", overlap="allow")
        nodes = [fleet.node(jobs) for _ in range(3)]
        fleet.run_for(5 * SECOND)
        owner = next(node for node in nodes if node.engine.ticker.shares[-1].ranks[_bucket("beat")] == 0)
        owner.crash()
        fleet.run_for(30 * SECOND)
        late = max(run.created_at - run.scheduled_time for run in fleet.runs())
        assert late <= NodeConfig().takeover_after + timedelta(milliseconds=500)

    def test_after_an_orderly_leave_nothing_is_late(self, fleet, jobs, add):
        add("beat", misfire="all", overlap="allow")
        nodes = [fleet.node(jobs) for _ in range(3)]
        fleet.run_for(5 * SECOND)
        next(node for node in nodes if node.engine.ticker.shares[-1].ranks[_bucket("beat")] == 0).leave()
        fleet.run_for(30 * SECOND)
        late = max(run.created_at - run.scheduled_time for run in fleet.runs())
        assert late <= timedelta(milliseconds=100)


class TestH1RowsThatStayDue:
    def test_a_schedule_of_an_unknown_kind_is_left_to_others_without_a_hot_loop(self, fleet, jobs, add):
        add("beat", misfire="all", overlap="allow")
        add("odd", every("1s"))
        odd = replace(
            fleet.schedule("odd").definition, trigger=OpaqueTrigger({"kind": "from-the-future", "version": 9})
        )
        fleet.store.change("odd", lambda _now, found, _open: Change(schedule=replace(found, definition=odd)))
        node = fleet.node(jobs)
        fleet.run_for(10 * SECOND)
        assert fleet.schedule("odd").state is ScheduleState.ACTIVE
        assert node.faults.calls.count("due") < 40
        assert len(launched_once(fleet)) == 10

    def test_a_trigger_that_raises_is_set_aside_alone_and_resume_brings_it_back(self, fleet, jobs, add):
        add("beat", misfire="all", overlap="allow")
        broken = _Breaking()
        add("odd", broken)
        node = fleet.node(jobs)
        broken.breaks = True
        fleet.run_for(10 * SECOND)
        aside = fleet.schedule("odd")
        assert (aside.state, aside.due) == (ScheduleState.ASIDE, None)
        assert "ZeroDivisionError" in aside.reason
        assert [event.schedule_id for event in node.events if event.kind == "set_aside"] == ["odd"]
        assert len(launched_once(fleet)) == 10
        broken.breaks = False
        fleet.store.change("odd", Resume(schedule_id="odd"))
        fleet.run_for(5 * SECOND)
        assert len(fleet.runs("odd")) == 5

    def test_a_declared_trigger_that_raises_is_set_aside_and_the_node_joins(self, fleet, jobs, add):
        add("beat", misfire="all", overlap="allow")
        broken = _Breaking()
        broken.breaks = True
        node = fleet.node(jobs, declares=[_declared(broken)])
        assert fleet.schedule("report").state is ScheduleState.ASIDE
        assert "ZeroDivisionError" in fleet.schedule("report").reason
        assert [event.schedule_id for event in node.events if event.kind == "set_aside"] == ["report"]
        fleet.run_for(10 * SECOND)
        assert len(launched_once(fleet)) == 10

    def test_a_locked_row_is_tried_again_less_and_less_often(self, fleet, jobs, add):
        add("beat", misfire="all", overlap="allow")
        node = fleet.node(jobs)
        fleet.run_for(2 * SECOND)
        node.faults.refuse("launch", times=20)
        fleet.run_for(10 * SECOND)
        assert node.faults.calls.count("launch") < 60
        fleet.run_for(20 * SECOND)
        launched_once(fleet)


class TestH2StatesAndAttempts:
    def test_a_job_that_kills_its_node_does_not_go_round_the_fleet_for_ever(self, fleet, jobs, add):
        add("beat", every("10m"))
        fleet.takes = timedelta(hours=1)  # it never ends: each node dies of it
        for _ in range(4):
            node = fleet.node(jobs)
            fleet.run_for(timedelta(minutes=11) if not fleet.runs() else 2 * LEASE)
            if any(run.node == node.id for run in fleet.runs()):
                node.crash()
        fleet.takes = timedelta(0)
        fleet.node(jobs)
        fleet.run_for(3 * LEASE)
        first = fleet.runs("beat")[0]
        assert (first.state, first.losses, first.failures) == (RunState.LOST, 3, 0)

    def test_a_hand_back_costs_neither_a_failure_nor_a_loss(self, fleet, jobs, add):
        fleet.takes = 30 * SECOND
        add("beat", every("10m"))
        first = fleet.node(jobs)
        fleet.run_until(datetime(2026, 11, 21, 13, 10, 1, tzinfo=UTC))
        first.engine.worker.interrupt_all()
        first.runner.takes = timedelta(0)
        first.leave()
        fleet.node(jobs)
        run = fleet.run_for(60 * SECOND)[0]
        assert (run.failures, run.losses) in {(0, 0), (0, 1)}
        assert run.state is RunState.SUCCEEDED


class TestH10Deploys:
    def test_old_and_new_code_restarting_in_turn_end_with_the_new_definition(self, fleet, jobs):
        old, new = _declared(every("1m")), _declared(every("2m"))
        olds = [fleet.node(jobs, declares=[old]) for _ in range(2)]
        fleet.run_for(10 * SECOND)
        news = [fleet.node(jobs, declares=[new])]
        fleet.run_for(10 * SECOND)
        olds[0].leave()
        olds.append(fleet.node(jobs, declares=[old]))  # an old pod restarts during the rollout
        fleet.run_for(10 * SECOND)
        news.append(fleet.node(jobs, declares=[new]))
        for node in olds:
            if not node.crashed:
                node.leave()
        fleet.run_for(30 * SECOND)
        assert fleet.schedule("report").trigger == new.definition.trigger

    def test_the_last_old_pod_to_start_does_not_win_for_good(self, fleet, jobs):
        old, new = _declared(every("1m")), _declared(every("2m"))
        fleet.node(jobs, declares=[new])
        late = fleet.node(jobs, declares=[old])
        assert fleet.schedule("report").trigger == old.definition.trigger
        fleet.run_for(5 * SECOND)
        late.leave()
        fleet.run_for(10 * SECOND)
        assert fleet.schedule("report").trigger == new.definition.trigger

    def test_an_older_release_never_replaces_a_newer_one(self, fleet, jobs):
        fleet.node(jobs, declares=[_declared(every("2m"), release="2.0")])
        fleet.node(jobs, declares=[_declared(every("1m"), release="1.9")])
        fleet.run_for(10 * SECOND)
        assert fleet.schedule("report").trigger == _declared(every("2m")).definition.trigger

    def test_a_redeploy_with_unchanged_code_moves_nothing(self, fleet, jobs):
        item = _declared(every("1h"))
        fleet.node(jobs, declares=[item]).leave()
        before = fleet.schedule("report")
        fleet.clock.advance(timedelta(minutes=17))
        fleet.node(jobs, declares=[item])
        after = fleet.schedule("report")
        assert (after.next_fire, after.watermark, after.version) == (before.next_fire, before.watermark, before.version)

    def test_what_a_person_removed_stays_removed(self, fleet, jobs):
        item = _declared(every("1h"))
        fleet.node(jobs, declares=[item])
        fleet.store.change("report", Remove(schedule_id="report", by="ann"))
        fleet.node(jobs, declares=[item])
        fleet.run_for(10 * SECOND)
        assert fleet.schedule("report").state is ScheduleState.REMOVED

    def test_what_a_person_changed_survives_a_deploy_field_by_field(self, fleet, jobs):
        fleet.node(jobs, declares=[_declared(every("1h"))])
        fleet.store.change("report", Amend(schedule_id="report", changes={"priority": 7}, by="ann"))
        fleet.node(jobs, declares=[_declared(every("2h"))])
        after = fleet.schedule("report")
        assert (after.definition.priority, after.trigger) == (7, _declared(every("2h")).definition.trigger)

    def test_one_that_no_live_node_declares_for_an_hour_is_orphaned(self, fleet, jobs):
        fleet.node(jobs)
        first = fleet.node(jobs, declares=[_declared(every("10m"))])
        fleet.run_for(timedelta(minutes=30))
        first.leave()
        fleet.run_for(timedelta(hours=2))
        skips = fleet.store.skips("report").items
        assert [skip.reason for skip in skips] == ["orphaned"]
        assert fleet.runs("report")[-1].scheduled_time >= first.engine.ticker.ticked_at + timedelta(minutes=40)


class TestH11Clocks:
    def test_nothing_is_early_by_the_stores_clock(self, fleet, jobs, add):
        add("beat", misfire="all", overlap="allow")
        fleet.node(jobs)
        fleet.run_for(30 * SECOND)
        assert all(run.created_at >= run.scheduled_time for run in fleet.runs())

    def test_after_a_jump_of_more_than_a_minute_nothing_is_launched_until_accepted(self, fleet, jobs, add):
        add("beat", misfire="all", overlap="allow")
        node = fleet.node(jobs)
        fleet.run_for(10 * SECOND)
        node.engine.time.learned(fleet.clock.wall() + timedelta(hours=1), sent=fleet.clock.monotonic())
        assert node.engine.time.jumped


class TestAStoreThatWentBackInTime:
    def test_what_was_launched_is_not_launched_again(self, fleet, jobs, add):
        add("beat", misfire="all", overlap="allow")
        node = fleet.node(jobs)
        fleet.run_for(5 * SECOND)
        kept = fleet.schedule("beat")
        fleet.run_for(5 * SECOND)
        _restore(fleet, kept)
        fleet.run_for(5 * SECOND)
        assert set(Counter(fleet.ledger).values()) == {1}
        assert [event.kind for event in node.events if event.kind == "rewound"]


# -- helpers -----------------------------------------------------------------------------------


def _serves(jobs):
    return Serves(jobs=jobs.names(), queues=frozenset({"default"}))


def _bucket(schedule_id):
    return bucket_of(schedule_id)


def _declared(trigger, release=None):
    definition = Definition(job="note", trigger=trigger, policy=Policy())
    return Declare(
        schedule_id="report",
        definition=definition,
        hash=hash_of(definition),
        form=form_of(definition),
        release=release,
    )


def _restore(fleet, kept):
    """Put an old state of a schedule back, as a restored backup does."""
    fleet.store.change(kept.id, lambda _now, found, _open: Change(schedule=replace(kept, version=found.version)))


class _Breaking:
    """A trigger that raises when told to."""

    breaks = False

    def next_after(self, after):
        if self.breaks:
            raise ZeroDivisionError("a bug in a trigger")
        return every("1s").next_after(after)

    def spec(self):
        return {"kind": "breaking", "version": 1}

    def resolved(self, *, schedule_id, tz):
        return self


class TestANodeThatNobodySaw:
    def test_what_it_held_is_recovered_within_a_lease_and_two_seconds(self, fleet, jobs, add):
        """It joined, took a run and left between two beats of the only other node."""
        add("slow", every("1d"))
        fleet.hints = False
        fleet.node(jobs)
        fleet.run_for(timedelta(seconds=6))
        fleet.takes = timedelta(hours=1)
        brief = fleet.node(jobs)
        fleet.store.change("slow", RunNow(schedule_id="slow", key="k"))
        brief.engine.worker.want_claim()
        brief.engine.loops["work"]()
        assert [run.node for run in fleet.runs()] == [brief.id]
        brief.leave()
        fleet.run_for(LEASE + 2 * SECOND)
        assert [(run.state, run.losses) for run in fleet.runs()] == [(RunState.SUCCEEDED, 1)]


class TestFaultsAroundARebirth:
    def test_a_node_whose_rejoin_got_no_answer_launches_again(self, fleet, jobs, add):
        add("beat", misfire="all", overlap="allow")
        lonely, witness = fleet.node(jobs), fleet.node(jobs)
        fleet.run_for(20 * SECOND)
        lonely.paused = True
        fleet.run_for(18 * SECOND)
        lonely.paused = False
        lonely.faults.cut_reply("join")
        fleet.run_for(10 * SECOND)
        witness.leave()
        fleet.run_for(30 * SECOND)
        assert fleet.runs()[-1].scheduled_time >= fleet.clock.wall() - 2 * SECOND
        launched_once(fleet)

    def test_a_start_that_fails_leaves_no_node_behind(self, fleet, jobs):
        before = fleet.node(jobs)

        def refused(*args, **kwargs):
            raise StoreBusy("held by an application")

        item = _declared(every("1h"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(fleet.store), "change", refused)
            with pytest.raises(StoreBusy):
                fleet.node(jobs, declares=[item])
        assert [node.id for node in fleet.store.nodes() if node.state == "alive"] == [before.id]


class TestFaultsOfUpkeep:
    @pytest.mark.parametrize("verb", ["change", "schedules", "nodes"])
    def test_a_definition_that_could_not_be_put_back_is_tried_again(self, fleet, jobs, verb):
        old, new = _declared(every("1m")), _declared(every("2m"))
        fresh = fleet.node(jobs, declares=[new])
        late = fleet.node(jobs, declares=[old])
        fleet.run_for(20 * SECOND)
        fresh.faults.refuse(verb)
        late.leave()
        fleet.run_for(20 * SECOND)
        assert fleet.schedule("report").trigger == new.definition.trigger

    def test_all_that_is_too_late_to_start_lapses(self, fleet, jobs, add):
        for number in range(1200):
            add(f"s{number}", every("1h"), overlap="allow", start_within=10 * SECOND)
            fleet.store.change(f"s{number}", RunNow(schedule_id=f"s{number}", key="k"))
        runs = fleet.runs()
        assert len(runs) == 1200
        fleet.node(type(jobs)())  # it knows no job
        fleet.run_until(datetime(2026, 11, 21, 14, 2, 30, tzinfo=UTC))
        late = [run for run in fleet.runs() if run.source == "schedule"]
        assert len(late) == 1200
        assert {run.state for run in late} == {RunState.SKIPPED}


class TestALongBacklog:
    def test_no_launch_writes_more_than_a_store_can(self, fleet, jobs, add):
        for number in range(30):
            add(f"s{number}", misfire="all", overlap="allow", catch_up=timedelta(hours=1))
        fleet.clock.advance(timedelta(minutes=10))
        sizes = []
        launch = fleet.store.launch

        def counting(*args, **kwargs):
            launched = launch(*args, **kwargs)
            sizes.append(sum(len(change.runs) for change in launched.changes))
            return launched

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fleet.store, "launch", counting)
            fleet.node(jobs, config=NodeConfig(slots=1000))
            fleet.run_for(SECOND)
        assert max(sizes) <= 1100
        assert sum(sizes) >= 30 * 600


class TestEventsAfterALostReply:
    def test_a_finish_whose_reply_was_lost_is_told_all_the_same(self, fleet, jobs, add):
        add("beat", every("1h"))
        node = fleet.node(jobs)
        fleet.store.change("beat", RunNow(schedule_id="beat", key="k"))
        node.faults.cut_reply("finish")
        fleet.run_for(10 * SECOND)
        assert [event.kind for event in node.events] == ["succeeded"]


class TestGraceLongerThanThePeriod:
    def test_what_an_outage_delayed_is_launched_and_can_start(self, fleet, jobs, add):
        add("g", every("20s"), grace=timedelta(minutes=10))
        fleet.clock.advance(timedelta(seconds=85))
        fleet.node(jobs)
        fleet.run_for(SECOND)
        assert fleet.runs("g")[0].state is RunState.SUCCEEDED
