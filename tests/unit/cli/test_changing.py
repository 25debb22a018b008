"""``add``, ``edit``, ``pause``, ``resume``, ``rm``, ``revert``."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tickonce.errors import NoSchedule

PROGRAM = """
from tickonce import Scheduler

scheduler = Scheduler(tz="Asia/Shanghai")

@scheduler.schedule("every 1h", id="declared", owner="code", timeout="5m")
@scheduler.job(retries=2)
def sync(shop: str = "eu", days: int = 1) -> None: ...
"""


def arguments(schedule):
    return json.loads(schedule.definition.arguments)


def test_add_takes_every_setting(tickonce):
    tickonce(
        *("add", "sync", "every 5m", "shop.sync", "--arg", "shop=eu", "--arg", "days=3", "--misfire", "all"),
        *("--overlap", "allow", "--grace", "20s", "--catch-up", "2h", "--start-within", "1m", "--timeout", "10m"),
        *("--retries", "3", "--on-lost", "fail", "--queue", "slow", "--priority", "7", "--jitter", "3s"),
        *("--start", "2020-01-01T00:00Z", "--end", "2099-01-01T00:00Z", "--tag", "a", "--tag", "b"),
        *("--owner", "ops", "--description", "text"),
    )
    found = tickonce.scheduler.get("sync").definition
    policy = found.policy
    assert json.loads(found.arguments) == {"args": [], "kwargs": {"shop": "eu", "days": 3}}
    assert (policy.misfire, policy.overlap, policy.on_lost) == ("all", "allow", "fail")
    assert (policy.grace, policy.catch_up) == (timedelta(seconds=20), timedelta(hours=2))
    assert (policy.start_within, policy.timeout) == (timedelta(minutes=1), timedelta(minutes=10))
    assert policy.retry is not None
    assert policy.retry.times == 3
    assert (found.queue, found.priority, found.jitter, found.tags) == ("slow", 7, timedelta(seconds=3), ("a", "b"))
    assert (found.owner, found.description) == ("ops", "text")
    assert found.start is not None
    assert found.end is not None
    assert (found.start.year, found.end.year) == (2020, 2099)


def test_add_answers_with_the_schedule(tickonce):
    said = tickonce("add", "nightly", "0 21 * * *", "shop.report", "--tz", "Asia/Shanghai")
    assert said.stdout.startswith("nightly: active, 0 21 * * * (Asia/Shanghai), next ")
    assert "21:00:00+08:00 (in " in said.stdout
    form = tickonce.json("add", "sync", "every 5m", "shop.sync", "--args", '["eu", 3]', "--paused")
    assert (form["id"], form["state"], form["args"], form["revision"]) == ("sync", "paused", ["eu", 3], 1)


def test_an_id_that_is_there_is_a_conflict_unless_one_says_what_it_means(tickonce):
    tickonce("add", "sync", "every 5m", "shop.sync")
    said = tickonce("add", "sync", "every 1m", "shop.sync", exit=4)
    assert "tickonce edit sync" in said.stderr
    assert tickonce.json("add", "sync", "every 1m", "shop.sync", "--if-exists", "keep")["trigger_text"] == "every 5m"
    assert tickonce.json("add", "sync", "every 1m", "shop.sync", "--if-exists", "update")["trigger_text"] == "every 1m"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["sync", "5m", "job"], "Did you mean 'every 5m'?"),
        (["a@b", "every 5m", "job"], "'@' is not allowed"),
        (["sync", "every 5m", "job", "--timeout", "90"], "write '90s'"),
        (["sync", "every 5m", "job", "--timeout", "0s"], "timeout must be longer than zero"),
        (["sync", "every 5m", "job", "--arg", "shop"], "NAME=VALUE"),
        (["sync", "every 5m", "job", "--args", "{shop}"], "not JSON"),
        (["sync", "every 5m", "job", "--args", "7"], "an object"),
        (["sync", "every 5m", "job", "--misfire", "maybe"], "'latest', 'all', 'skip'"),
        (["sync", "every 5m", "job", "--end", "whenever"], "--end"),
        (["sync", "at 2020-01-01T00:00Z", "job"], "would never fire"),
    ],
)
def test_what_cannot_be_accepted_is_a_fault_of_usage(tickonce, words, hint):
    assert hint in tickonce("add", *words, exit=2).stderr


def test_a_program_knows_its_jobs_and_checks_arguments(tickonce):
    tickonce.program("shop", PROGRAM)
    assert "Did you mean 'shop.sync'?" in tickonce("-A", "shop", "add", "x", "every 5m", "shop.synk", exit=3).stderr
    said = tickonce("-A", "shop", "add", "x", "every 5m", "shop.sync", "--arg", "shpo=eu", exit=2)
    assert "shpo" in said.stderr
    form = tickonce.json("-A", "shop", "add", "x", "0 9 * * *", "shop.sync", "--arg", "shop=us")
    assert form["trigger"]["tz"] == "Asia/Shanghai"


def test_edit_changes_only_what_is_given(tickonce):
    tickonce(
        "add", "sync", "0 9 * * *", "shop.sync", "--tz", "Asia/Tokyo", "--arg", "a=1", "--arg", "b=2", "--tag", "x"
    )
    before = tickonce.scheduler.get("sync")
    tickonce("edit", "sync", "--timeout", "5m", "--arg", "b=3")
    after = tickonce.scheduler.get("sync")
    assert after.policy.timeout == timedelta(minutes=5)
    assert arguments(after)["kwargs"] == {"a": 1, "b": 3}
    assert (after.trigger, after.definition.tags) == (before.trigger, ("x",))
    tickonce("edit", "sync", "--timeout", "none", "--args", '{"c": 4}', "--tag", "")
    after = tickonce.scheduler.get("sync")
    assert after.policy.timeout is None
    assert arguments(after)["kwargs"] == {"c": 4}
    assert after.definition.tags == ()


def test_edit_of_the_zone_alone_keeps_the_expression(tickonce):
    tickonce("add", "sync", "0 9 * * *", "shop.sync", "--tz", "Asia/Tokyo")
    assert tickonce.json("edit", "sync", "--tz", "UTC")["trigger_text"] == "0 9 * * * (UTC)"
    tickonce("add", "often", "every 5m", "shop.sync")
    assert "has no zone" in tickonce("edit", "often", "--tz", "UTC", exit=2).stderr


def test_edit_of_the_expression_alone_keeps_the_zone(tickonce):
    tickonce("add", "sync", "0 9 * * *", "shop.sync", "--tz", "Asia/Tokyo")
    for words, text in (
        (["--trigger", "30 9 * * *"], "30 9 * * * (Asia/Tokyo)"),
        (["--trigger", "CRON_TZ=Europe/Paris 0 8 * * *"], "0 8 * * * (Europe/Paris)"),
        (["--trigger", "0 7 * * *", "--tz", "UTC"], "0 7 * * * (UTC)"),
        (["--trigger", "every 5m"], "every 5m"),
        (["--trigger", "0 6 * * *"], "0 6 * * * (UTC)"),
    ):
        assert tickonce.json("edit", "sync", *words)["trigger_text"] == text


def test_edit_takes_bounds_away(tickonce):
    tickonce("add", "sync", "every 1h", "shop.sync", "--end", "2h")
    assert tickonce.json("show", "sync")["end"] is not None
    assert tickonce.json("edit", "sync", "--end", "none")["end"] is None


def test_edit_of_nothing_is_a_fault_of_usage(tickonce):
    assert "nothing to change" in tickonce("edit", "sync", exit=2).stderr


def test_an_edit_of_what_somebody_else_edited_is_a_conflict(tickonce):
    tickonce("add", "sync", "every 5m", "shop.sync")
    tickonce("edit", "sync", "--owner", "me", "--expected-revision", "1")
    assert "revision 2, not 1" in tickonce("edit", "sync", "--owner", "you", "--expected-revision", "1", exit=4).stderr


def test_pause_and_resume(tickonce):
    tickonce("add", "sync", "every 5m", "shop.sync")
    said = tickonce("pause", "sync", "--reason", "stock taking", "--until", "2h").stdout
    assert said.startswith("sync: paused")
    found = tickonce.scheduler.get("sync")
    assert found.reason == "stock taking"
    assert found.paused_until is not None
    assert tickonce.json("resume", "sync", "--missed", "latest")["state"] == "active"


def test_rm_asks_on_a_terminal_and_wants_a_yes_elsewhere(tickonce):
    tickonce("add", "sync", "every 5m", "shop.sync")
    assert "tickonce rm sync -y" in tickonce("rm", "sync", exit=2).stderr
    assert tickonce.json("rm", "sync", "-y") == {"id": "sync", "removed": True}
    with pytest.raises(NoSchedule):
        tickonce.scheduler.get("sync")


def test_what_is_not_there_is_not_found_and_the_nearest_is_named(tickonce):
    tickonce("add", "nightly-report", "every 5m", "shop.sync")
    for words in (["show"], ["edit", "--owner", "x"], ["pause"], ["resume"], ["rm", "-y"], ["run-now"], ["next"]):
        said = tickonce(words[0], "nightly-reprot", *words[1:], exit=3)
        assert "No schedule 'nightly-reprot'. Did you mean 'nightly-report'?" in said.stderr
        assert "Traceback" not in said.stderr


def test_revert_gives_back_what_people_changed(tickonce):
    tickonce.program("shop", PROGRAM + "\nscheduler.declare()\n")
    tickonce("-A", "shop", "edit", "declared", "--owner", "me")
    assert tickonce.json("show", "declared")["overrides"] == ["owner"]
    assert tickonce.json("revert", "declared")["owner"] == "code"
    tickonce("add", "mine", "every 5m", "shop.sync")
    tickonce("revert", "mine", exit=4)
