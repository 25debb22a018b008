"""What cannot be done is refused with a clear word, and changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.conftest import NINE
from tickonce import Jobs, Scheduler, at
from tickonce.errors import (
    BadArguments,
    BadId,
    ConfigError,
    DefinitionError,
    NoRun,
    NoSchedule,
    NotTransactional,
    RevisionMismatch,
    ScheduleExists,
    TickonceError,
    TriggerError,
    UnknownJob,
    WrongState,
)

HOUR = timedelta(hours=1)


def snapshot(scheduler: Scheduler) -> tuple[Any, ...]:
    return (scheduler.schedules(removed=True).items, scheduler.runs().items, scheduler.skips().items)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda s: s.add("x", "sync", "61 * * * *", args=["eu"]), TriggerError, "minute"),
        (lambda s: s.add("x", "sync", "0 25 * * *", args=["eu"]), TriggerError, "hour"),
        (lambda s: s.add("x", "sync", "@daily", args=["eu"], tz="Mars/Base"), TriggerError, "Mars/Base"),
        (lambda s: s.add("x", "sync", "at 2026-12-01T09:00", args=["eu"]), TriggerError, "no UTC offset"),
        (lambda s: s.add("x", "sync", 5, args=["eu"]), DefinitionError, "a trigger is"),
        (lambda s: s.add("x", "sync", "@daily"), BadArguments, "missing a required argument: 'shop'"),
        (lambda s: s.add("x", "sync", "@daily", args=[object()]), BadArguments, "not JSON"),
        (lambda s: s.add("x", "unknown", "@daily", args=[object()]), BadArguments, "not JSON"),
        (lambda s: s.add("x", s.jobs.find("sync").bind("a"), "@daily", args=["b"]), DefinitionError, "given twice"),
        (lambda s: s.add("there", "sync", "@daily", args=["eu"]), ScheduleExists, 'if_exists="keep"'),
        (lambda s: s.add("a b", "sync", "@daily", args=["eu"]), BadId, "' ' is not allowed"),
        (lambda s: s.add("a@b", "sync", "@daily", args=["eu"]), BadId, "'@' is not allowed"),
        (lambda s: s.add("", "sync", "@daily", args=["eu"]), BadId, "it is empty"),
        (lambda s: s.add("x" * 191, "sync", "@daily", args=["eu"]), BadId, "191 bytes"),
        (lambda s: s.add(None, "sync", "@daily", args=["eu"]), DefinitionError, "needs an id"),
        (lambda s: s.add("x", lambda: None, "@daily"), DefinitionError, "put @scheduler.job above the function"),
        (lambda s: s.add("x", Jobs("other.").job(stranger), "@daily"), UnknownJob, "no job 'other.stranger'"),
        (lambda s: s.add("x", "sync", "@daily", args=["eu"], start=datetime(2026, 1, 1)), DefinitionError, "aware"),
        (lambda s: s.add("x", "sync", "@daily", args=["eu"], end=NINE), DefinitionError, "would never fire"),
        (lambda s: s.add("x", "sync", at(NINE), args=["eu"]), DefinitionError, "would never fire"),
        (lambda s: s.add("x", "sync", "@daily", args=["eu"], overlap="no"), DefinitionError, "overlap must be"),
        (lambda s: s.add("x", "sync", "@daily", args=["eu"], grace="1s"), ConfigError, "grace must be at least"),
        (lambda s: s.add("x", "sync", "@daily", args=["eu"], retries="3"), DefinitionError, "whole number"),
        (lambda s: s.add("x", "sync", "@daily", args=["eu"], if_exists="no"), DefinitionError, "if_exists must be"),
        (lambda s: s.add("x", "sync", "@daily", args=["eu"], owner="\ud800"), DefinitionError, "surrogate"),
        (lambda s: s.update("there", trigger="61 * * * *"), TriggerError, "minute"),
        (lambda s: s.update("there", timeout="10"), DefinitionError, "write '10s'"),
        (lambda s: s.update("there", timeout="0s"), DefinitionError, "timeout must be longer than zero"),
        (lambda s: s.update("there", priority=40_000), DefinitionError, "priority must be"),
        (lambda s: s.update("there", start=datetime(2026, 1, 1)), DefinitionError, "aware"),
        (lambda s: s.update("there", grace="1s"), ConfigError, "grace must be at least"),
        (lambda s: s.update("there", tz="Asia/Tokyo"), DefinitionError, "tz is part of the trigger"),
        (lambda s: s.update("there", args=[]), BadArguments, "missing a required argument"),
        (lambda s: s.update("there", kwargs={"shp": 1}), BadArguments, "missing a required argument"),
        (lambda s: s.update("there", args=[float("inf")]), BadArguments, "JSON cannot hold"),
        (lambda s: s.update("there", job="tidy"), BadArguments, "too many positional arguments"),
        (lambda s: s.update("there", expected_revision=7, priority=1), RevisionMismatch, "at revision 1, not 7"),
        (lambda s: s.update("thre", priority=1), NoSchedule, "No schedule 'thre'. Did you mean 'there'?"),
        (lambda s: s.pause("there", until=datetime(2027, 1, 1)), DefinitionError, "until must be aware"),
        (lambda s: s.pause("there", until=NINE - HOUR), DefinitionError, "until must be in the future"),
        (lambda s: s.pause("thre"), NoSchedule, "Did you mean 'there'?"),
        (lambda s: s.resume("there", missed="some"), DefinitionError, "missed must be"),
        (lambda s: s.resume("thre"), NoSchedule, "Did you mean 'there'?"),
        (lambda s: s.remove("thre"), NoSchedule, "Did you mean 'there'?"),
        (lambda s: s.revert("there"), WrongState, "not declared in code"),
        (lambda s: s.run_now("thre"), NoSchedule, "Did you mean 'there'?"),
        (lambda s: s.run_now("there", key="a b"), BadId, "' ' is not allowed"),
        (lambda s: s.run_now("there", kwargs={"shp": "x"}), BadArguments, "missing a required argument"),
        (lambda s: s.get("thre"), NoSchedule, "Did you mean 'there'?"),
        (lambda s: s.get("a b"), BadId, "' ' is not allowed"),
        (lambda s: s.run("there@x"), NoRun, "No run 'there@x'"),
        (lambda s: s.cancel("there@x"), NoRun, "No run 'there@x'"),
        (lambda s: s.retry("there@x"), NoRun, "No run 'there@x'"),
        (lambda s: s.next_fires("thre"), NoSchedule, "Did you mean 'there'?"),
        (lambda s: s.next_fires("@daily", 0), DefinitionError, "n must be 1 to 10000"),
        (lambda s: s.schedules(states=["activ"]), DefinitionError, "states are active, paused"),
        (lambda s: s.runs(scheduled_from=datetime(2026, 1, 1)), DefinitionError, "scheduled_from must be aware"),
        (lambda s: s.using(object()), NotTransactional, "cannot join a transaction of object"),
    ],
)
@pytest.mark.usefixtures("tidy")
def test_what_cannot_be_done_is_told_and_changes_nothing(scheduler, sync, call, error, says):
    scheduler.add("there", sync.bind("eu"), "@daily")
    before = snapshot(scheduler)
    with pytest.raises(error) as told:
        call(scheduler)
    assert isinstance(told.value, TickonceError)
    assert type(told.value) is error
    assert says in str(told.value)
    assert snapshot(scheduler) == before


def stranger() -> None: ...


@pytest.mark.parametrize("verb", ["add", "update"])
def test_a_setting_that_does_not_exist_is_refused_like_any_unknown_argument(scheduler, tidy, verb):
    arguments = ("x", tidy, "@daily") if verb == "add" else ("x",)
    with pytest.raises(TypeError, match=r"schedule 'x' has no setting 'timeuot'\. Did you mean 'timeout'\?"):
        getattr(scheduler, verb)(*arguments, timeuot="1m")


@pytest.mark.parametrize("bad", ["a\x00b", "\ud800"])
def test_text_that_some_databases_refuse_is_refused_for_all_of_them(scheduler, bad):
    job = scheduler.job(name="sync")(lambda shop=None: shop)
    scheduler.add("nightly", job, "every 1h")
    for edit in (
        lambda: scheduler.add("x", "sync", "every 1h", args=[bad]),
        lambda: scheduler.add("x", "sync", "every 1h", owner=bad),
        lambda: scheduler.update("nightly", tags=["a", bad]),
        lambda: scheduler.update("nightly", description=bad),
        lambda: scheduler.update("nightly", queue=bad),
        lambda: scheduler.pause("nightly", reason=bad),
        lambda: scheduler.run_now("nightly", kwargs={"shop": bad}),
        lambda: scheduler.run_now("nightly", key=bad),
    ):
        with pytest.raises((BadArguments, BadId, DefinitionError)):
            edit()
    assert [(row.id, row.revision) for row in scheduler.schedules().items] == [("nightly", 1)]
    assert scheduler.runs().items == ()
