"""A Scheduler as a client: what it writes, what it refuses, and that what it refuses changes nothing."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.conftest import NINE
from tickonce import Jobs, Retry, Scheduler, at, cron, every
from tickonce.codec import decode_arguments
from tickonce.config import NodeConfig, Retention
from tickonce.errors import (
    ConfigError,
    NoSchedule,
    NoStore,
    RevisionMismatch,
    RunExists,
    RunOpen,
    StoreUnavailable,
    TriggerError,
)
from tickonce.model import Misfire, OnLost, Overlap, RunState, Schedule, ScheduleState
from tickonce.stores.memory import MemoryStore

HOUR = timedelta(hours=1)


class Unreachable:
    """A store that does not answer, and remembers that it was asked."""

    url = "nowhere:"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def refuse(*args: object, **kwargs: object) -> None:
            self.asked.append(verb)
            raise StoreUnavailable("no answer")

        return refuse


# -- touching nothing ----------------------------------------------------------------------------


def test_making_a_scheduler_and_decorating_touch_no_store(monkeypatch):
    monkeypatch.delenv("TICKONCE_STORE", raising=False)
    store = Unreachable()
    for scheduler in (Scheduler(), Scheduler("postgresql://nowhere.invalid/x"), Scheduler(store)):  # type: ignore[arg-type]
        scheduler.schedule("@daily", id="x")(scheduler.job(name="f")(lambda: None))
        scheduler.include(Jobs())
        scheduler.on("failed", print)
        assert not scheduler.alive
        assert scheduler.node_id is None
        assert scheduler.stop()
        assert len(scheduler.next_fires("@daily", 2)) == 2
        scheduler.close()
    assert store.asked == []


def test_without_a_store_the_first_use_says_how_to_name_one(monkeypatch):
    monkeypatch.delenv("TICKONCE_STORE", raising=False)
    for use in (lambda s: s.get("x"), lambda s: s.start(), lambda s: s.declare(), lambda s: s.serve()):
        with pytest.raises(NoStore, match="export TICKONCE_STORE=postgresql://"):
            use(Scheduler())


def test_the_environment_is_read_at_first_use(monkeypatch):
    scheduler = Scheduler()
    monkeypatch.setenv("TICKONCE_STORE", "memory:")
    assert scheduler.store.url == "memory:"
    assert repr(scheduler) == "<Scheduler of memory:>"


def test_a_store_that_cannot_be_reached_is_an_error_of_the_first_use_and_of_each_later_one():
    store = Unreachable()
    scheduler = Scheduler(store)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            scheduler.get("x")
        with pytest.raises(StoreUnavailable):
            scheduler.start()
    assert set(store.asked) == {"prepare"}
    assert not scheduler.alive


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"slots": -1}, "slots must be 0 to 10000"),
        ({"beat": "6s"}, "beat must be at most lease/3"),
        ({"lease": "15"}, "write '15s'"),
        ({"queues": "default"}, "queues must be a list"),
    ],
)
def test_settings_out_of_range_are_refused_at_once(settings, says):
    with pytest.raises(ConfigError, match=says):
        Scheduler("memory:", **settings)


def test_settings_may_be_words_and_go_before_those_of_the_config():
    scheduler = Scheduler(
        "memory:", config=NodeConfig(slots=3, batch=7), slots=5, drain_timeout="1m", queues=["a", "b"]
    )
    assert scheduler.config == NodeConfig(slots=5, batch=7, drain_timeout=timedelta(minutes=1), queues=("a", "b"))


def test_an_unknown_zone_is_refused_at_once():
    with pytest.raises(TriggerError, match="Asia/Shangai"):
        Scheduler("memory:", tz="Asia/Shangai")


def test_import_tickonce_loads_neither_asyncio_nor_drivers():
    code = "import sys, tickonce; print([m for m in ('asyncio', 'sqlalchemy', 'click', 'alembic') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# -- add -----------------------------------------------------------------------------------------


def test_a_schedule_is_added_with_arguments_policy_and_author(scheduler, sync):
    added = scheduler.add(
        "sync-eu",
        sync.bind(shop="eu"),
        "0 21 * * *",
        tz="Asia/Shanghai",
        misfire="all",
        overlap="allow",
        retries=3,
        timeout="10m",
        jitter="30s",
        tags=["shops"],
        owner="ada",
    )
    assert added == scheduler.get("sync-eu")
    assert added.next_fire == datetime(2026, 11, 21, 13, tzinfo=UTC)
    assert (added.state, added.revision, added.created_by, added.source) == (ScheduleState.ACTIVE, 1, "ada", "api")
    definition = added.definition
    assert (definition.job, decode_arguments(definition.arguments)) == ("sync", ((), {"shop": "eu"}))
    assert definition.trigger == cron("0 21 * * *", tz="Asia/Shanghai")
    assert (definition.queue, definition.jitter, definition.tags) == ("shops", timedelta(seconds=30), ("shops",))
    policy = definition.policy
    assert (policy.misfire, policy.overlap, policy.on_lost) == (Misfire.ALL, Overlap.ALLOW, OnLost.FAIL)
    assert (policy.retry, policy.timeout) == (Retry(times=3), timedelta(minutes=10))


def test_the_schedulers_zone_holds_where_none_is_named(clock):
    scheduler = Scheduler(MemoryStore(clock=clock), clock=clock, tz="Asia/Shanghai")
    scheduler.job(name="f")(lambda: None)
    assert scheduler.add("a", "f", cron("0 21 * * *")).trigger == cron("0 21 * * *", tz="Asia/Shanghai")
    assert scheduler.add("b", "f", cron("0 21 * * *", tz="UTC")).trigger == cron("0 21 * * *", tz="UTC")


def test_a_job_is_given_bound_or_plain_or_by_name(scheduler, sync, tidy):
    bound = scheduler.add("a", sync.bind("eu"), every("1h")).definition
    plain = scheduler.add("b", sync, every("1h"), args=["eu"]).definition
    named = scheduler.add("c", "sync", every("1h"), args=["eu"]).definition
    assert bound.arguments == plain.arguments == named.arguments
    assert bound.queue == plain.queue == named.queue == "shops"
    assert scheduler.add("d", tidy, every("1h")).job == "tidy"


def test_a_name_that_is_not_registered_here_is_taken_with_a_warning(scheduler, sync, caplog):
    added = scheduler.add("a", "snyc", every("1h"), kwargs={"anything": 1})
    assert added.job == "snyc"
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("tickonce.scheduler", "WARNING")
    assert record.getMessage() == (
        "no job 'snyc' is registered here: its arguments are not checked. Did you mean 'sync'?"
    )


def test_where_no_job_is_registered_at_all_names_are_taken_quietly(scheduler, caplog):
    scheduler.add("a", "elsewhere", every("1h"))
    assert caplog.records == []


def test_an_id_that_is_there_may_be_kept_or_updated(scheduler, tidy):
    first = scheduler.add("x", tidy, every("1h"))
    assert scheduler.add("x", tidy, every("2h"), if_exists="keep") == first
    assert scheduler.add("x", tidy, every("1h"), if_exists="update") == first
    changed = scheduler.add("x", tidy, every("2h"), if_exists="update")
    assert (changed.trigger, changed.revision) == (every("2h"), 2)


def test_a_schedule_may_begin_paused(scheduler, tidy):
    added = scheduler.add("x", tidy, every("1h"), paused=True)
    assert (added.state, added.next_fire, added.revision) == (ScheduleState.PAUSED, None, 1)
    scheduler.resume("x")
    assert scheduler.add("x", tidy, every("2h"), paused=True, if_exists="update").state is ScheduleState.ACTIVE


def test_a_single_shot_needs_no_id(scheduler, tidy):
    ids = {scheduler.add(None, tidy, trigger).id for trigger in (at(NINE + HOUR), "at 2027-01-01T00:00Z") * 2}
    assert len(ids) == 4
    assert all(made_up.startswith("tidy-") for made_up in ids)


# -- update and the other edits ------------------------------------------------------------------


def test_an_update_changes_what_is_given_and_leaves_the_rest(scheduler, sync):
    before = scheduler.add("x", sync.bind("eu"), every("1h"), owner="ada", retries=2)
    after = scheduler.update("x", trigger=every("10m"), timeout="5m", tags=["a"], retries=0)
    assert after.trigger == every("10m")
    assert after.policy.timeout == timedelta(minutes=5)
    assert after.policy.retry == Retry(times=0)
    assert (after.definition.owner, after.definition.arguments) == ("ada", before.definition.arguments)
    assert (after.revision, after.updated_by) == (2, "ada")


def test_an_update_that_says_nothing_new_is_none(scheduler, sync):
    before = scheduler.add("x", sync.bind("eu"), every("1h"))
    assert scheduler.update("x") == scheduler.update("x", trigger=every("1h"), args=["eu"]) == before
    with pytest.raises(RevisionMismatch):
        scheduler.update("x", expected_revision=2)


def test_arguments_and_job_change_together_or_fit_each_other(scheduler, sync, tidy):
    scheduler.add("x", sync.bind("eu"), every("1h"))
    assert decode_arguments(scheduler.update("x", kwargs={"shop": "us"}).definition.arguments) == ((), {"shop": "us"})
    after = scheduler.update("x", job=tidy, args=[])
    assert (after.job, decode_arguments(after.definition.arguments)) == ("tidy", ((), {}))
    after = scheduler.update("x", job=sync.bind("asia"))
    assert (after.job, decode_arguments(after.definition.arguments)) == ("sync", (("asia",), {}))
    assert scheduler.update("x", job="sync").job == "sync"


def test_pause_resume_and_remove(scheduler, clock, tidy):
    scheduler.add("x", tidy, every("1h"))
    paused = scheduler.pause("x", reason="stock taking", until=NINE + 5 * HOUR)
    assert (paused.state, paused.reason, paused.paused_until) == (ScheduleState.PAUSED, "stock taking", NINE + 5 * HOUR)
    clock.advance(2 * HOUR)
    assert scheduler.resume("x").state is ScheduleState.ACTIVE
    (skip,) = scheduler.skips("x").items
    assert (skip.reason, skip.count) == ("paused", 2)
    scheduler.remove("x")
    with pytest.raises(NoSchedule, match="No schedule 'x'"):
        scheduler.get("x")
    assert scheduler.schedules().items == ()
    again = scheduler.add("x", tidy, every("1h"))
    assert again.state is ScheduleState.ACTIVE


def test_a_removed_schedule_is_nothing_to_any_verb(scheduler, tidy):
    scheduler.add("x", tidy, every("1h"))
    scheduler.remove("x")
    for verb in (scheduler.get, scheduler.pause, scheduler.resume, scheduler.remove, scheduler.revert):
        with pytest.raises(NoSchedule):
            verb("x")


# -- runs by hand --------------------------------------------------------------------------------


def test_a_run_by_hand_is_pending_at_once_and_leaves_the_next_fire_alone(scheduler, sync):
    before = scheduler.add("x", sync.bind("eu"), every("1h"))
    run = scheduler.run_now("x", key="order-17", kwargs={"shop": "us"})
    assert run == scheduler.run("x@run-order-17") == scheduler.runs(schedule_id="x").items[0]
    assert (run.state, run.source, run.created_by, run.queue) == (RunState.PENDING, "manual", "ada", "shops")
    assert decode_arguments(run.arguments) == ((), {"shop": "us"})
    assert scheduler.get("x").next_fire == before.next_fire


def test_a_key_given_again_while_its_run_is_open_names_the_run_though_overlap_forbids_another(scheduler, tidy):
    scheduler.add("x", tidy, every("1h"))
    token = scheduler.run_now("x", key="order-17").token
    with pytest.raises(RunExists) as error:
        scheduler.run_now("x", key="order-17")
    assert error.value.token == token
    with pytest.raises(RunOpen):
        scheduler.run_now("x", key="order-18")


def test_a_key_starts_one_run_only(scheduler, tidy):
    scheduler.add("x", tidy, every("1h"), overlap="allow")
    scheduler.run_now("x", key="k")
    with pytest.raises(RunExists) as told:
        scheduler.run_now("x", key="k")
    assert told.value.token == "x@run-k"
    assert scheduler.run_now("x").token != scheduler.run_now("x").token


def test_overlap_holds_for_runs_by_hand(scheduler, tidy):
    scheduler.add("x", tidy, every("1h"))
    first = scheduler.run_now("x")
    with pytest.raises(RunOpen):
        scheduler.run_now("x")
    assert scheduler.cancel(first.token).state is RunState.CANCELLED
    assert scheduler.run_now("x").state is RunState.PENDING
    with pytest.raises(RunOpen):
        scheduler.retry(first.token)


# -- reading -------------------------------------------------------------------------------------


def test_lists_come_in_pages_and_filtered(scheduler, tidy, sync):
    for number in range(5):
        scheduler.add(f"t{number}", tidy, every("1h"), tags=["even"] if number % 2 == 0 else [])
    scheduler.add("s", sync.bind("eu"), every("1h"), paused=True)
    page = scheduler.schedules(limit=2)
    assert [schedule.id for schedule in page.items] == ["s", "t0"]
    assert [schedule.id for schedule in scheduler.schedules(cursor=page.cursor).items] == ["t1", "t2", "t3", "t4"]
    assert [schedule.id for schedule in scheduler.schedules(tag="even").items] == ["t0", "t2", "t4"]
    assert [schedule.id for schedule in scheduler.schedules(states=["paused"]).items] == ["s"]
    assert [schedule.id for schedule in scheduler.schedules(ids=["t1", "t9"], job="tidy").items] == ["t1"]
    run = scheduler.run_now("t1")
    assert scheduler.runs(states=["pending"], job="tidy").items == (run,)
    assert scheduler.runs(states=[RunState.FAILED]).items == ()


def test_next_fires_of_a_schedule_a_trigger_and_its_text(scheduler, clock, tidy):
    scheduler.add("x", tidy, "0 12 * * *", end=NINE + 30 * HOUR)
    noon = NINE + 3 * HOUR
    assert scheduler.next_fires("x") == [noon, noon + 24 * HOUR]
    assert scheduler.next_fires("0 12 * * *", 2) == [noon, noon + 24 * HOUR]
    assert scheduler.next_fires("0 12 * * *", 1, tz="Asia/Shanghai") == [NINE + 19 * HOUR]
    assert scheduler.next_fires(every("1h"), 1, after=noon) == [noon + HOUR]
    assert scheduler.next_fires("every 1h", 1) == [NINE + HOUR]
    assert scheduler.next_fires(at(NINE - HOUR)) == []


def test_prune_works_until_nothing_is_left_to_prune(scheduler, clock, tidy):
    scheduler.add("x", tidy, every("1h"), overlap="allow")
    for number in range(3):
        scheduler.cancel(scheduler.run_now("x", key=f"k{number}").token)
    clock.advance(timedelta(days=3))
    assert scheduler.prune() == 0
    assert scheduler.prune(Retention(runs=timedelta(days=1), keep=1)) == 2
    assert len(scheduler.runs().items) == 1


# -- who and where -------------------------------------------------------------------------------


def test_without_a_name_edits_are_by_user_and_host(clock, tidy, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    monkeypatch.setattr("socket.gethostname", lambda: "box")
    assert Scheduler(MemoryStore(clock=clock)).by == "ada@box"


def test_tickonce_configures_no_logging(scheduler, tidy):
    handlers = list(logging.getLogger().handlers)
    scheduler.add("x", tidy, "@daily")
    assert logging.getLogger().handlers == handlers
    assert logging.getLogger("tickonce").handlers == []


def test_an_edit_gives_back_the_schedule_as_it_is_then(scheduler, tidy):
    edits: list[Schedule] = [
        scheduler.add("x", tidy, every("1h")),
        scheduler.update("x", priority=1),
        scheduler.pause("x"),
        scheduler.resume("x"),
    ]
    assert [schedule.revision for schedule in edits] == [1, 2, 3, 4]
    assert edits[-1] == scheduler.get("x")
