"""``ls``, ``show``, ``runs``, ``skips``: what people see."""

from __future__ import annotations

import pytest

from tickonce.cli.loading import load_scheduler


@pytest.fixture
def shop(tickonce):
    tickonce("add", "sync-eu", "every 1h", "shop.sync", "--tag", "eu", "--owner", "ann", "--queue", "slow")
    tickonce("add", "sync-us", "every 2h", "shop.sync", "--tag", "us", "--owner", "bob", "--description", "the States")
    tickonce("add", "report", "0 21 * * *", "shop.report", "--arg", "password=s3cret")
    tickonce("pause", "report", "--reason", "stock taking")
    return tickonce


def test_ls_lists_id_state_trigger_next_last_run_and_owner(shop):
    shop.scheduler.run_now("sync-eu")
    lines = shop("ls").stdout.splitlines()
    assert lines[0].split() == ["ID", "STATE", "TRIGGER", "NEXT", "LAST", "RUN", "OWNER"]
    assert [line.split()[:2] for line in lines[1:]] == [
        ["report", "paused"],
        ["sync-eu", "active"],
        ["sync-us", "active"],
    ]
    assert "every 1h" in lines[2]
    assert "pending" in lines[2]
    assert lines[2].endswith("ann")
    assert " in " in lines[2]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["--state", "paused"], ["report"]),
        (["--tag", "us"], ["sync-us"]),
        (["--owner", "ann"], ["sync-eu"]),
        (["--job", "shop.sync"], ["sync-eu", "sync-us"]),
        (["--queue", "slow"], ["sync-eu"]),
        (["-q", "states"], ["sync-us"]),
        (["--limit", "1"], ["report"]),
        (["-a"], ["report", "sync-eu", "sync-us"]),
    ],
)
def test_ls_filters(shop, words, ids):
    assert [form["id"] for form in shop.json("ls", *words)] == ids


def test_ls_says_when_there_is_more_or_nothing(shop):
    assert "more: --limit 0" in shop("ls", "--limit", "1").stderr
    assert "No schedule matches" in shop("ls", "--tag", "none").stderr
    assert shop.json("ls", "--tag", "none") == []


def test_removed_schedules_are_listed_when_asked_for(shop):
    shop("rm", "sync-eu", "-y")
    assert "sync-eu" not in shop("ls").stdout
    assert [form["id"] for form in shop.json("ls", "--state", "removed")] == ["sync-eu"]


@pytest.fixture
def weekends(tickonce):
    """A schedule that is set aside when it is declared: its calendar knows nothing of this year."""
    tickonce.program(
        "plant",
        "from tickonce import Scheduler, cron\n"
        "from tickonce.calendars import own_calendar\n"
        "from tickonce.triggers.days import on_days\n"
        "scheduler = Scheduler()\n"
        "stale = on_days(cron('0 10 * * 0,6'), only_on=own_calendar('plant', years=(2020, 2021), unknown='fail'))\n"
        "@scheduler.schedule(stale, id='weekends')\n"
        "def report(): ...\n"
        "@scheduler.schedule(cron('0 9 * * *'), id='daily')\n"
        "def other(): ...\n",
    )
    load_scheduler("plant").declare()
    return tickonce


def test_a_schedule_that_was_set_aside_is_shown_with_its_definition_and_the_reason(weekends):
    said = weekends("show", "weekends")
    for text in ("aside", "trigger raised TriggerError", "has no data of", "(0 10 * * 0,6 (UTC)) on working days"):
        assert text in said.stdout
    assert "weekends: no next fires are shown: trigger raised TriggerError" in said.stderr
    form = weekends.json("show", "weekends")
    assert (form["state"], form["next_fires"]) == ("aside", [])
    assert "has no data of" in form["reason"]


def test_show_tells_all_about_a_schedule(shop):
    shop.scheduler.run_now("sync-eu", key="order-17")
    said = shop("show", "sync-eu", "-n", "2").stdout
    for text in ("every 1h", "shop.sync", "slow", "ann", "misfire", "next fires (UTC)", "sync-eu@run-order-17"):
        assert text in said
    form = shop.json("show", "sync-eu", "-n", "2")
    assert len(form["next_fires"]) == 2
    assert form["policy"]["grace_s"] == 10
    assert [run["token"] for run in form["last_runs"]] == ["sync-eu@run-order-17"]


def test_a_pause_is_shown_with_its_reason(shop):
    assert "stock taking" in shop("show", "report").stdout


@pytest.mark.parametrize("words", [["show", "report"], ["show", "report", "-o", "json"], ["ls", "-o", "json"]])
def test_secrets_are_masked(shop, words):
    said = shop(*words).stdout
    assert "s3cret" not in said
    assert "password" in said


def test_a_run_is_shown_by_its_token(shop):
    token = shop.scheduler.run_now("sync-eu").token
    assert "pending" in shop("show", token).stdout
    assert shop.json("show", token)["source"] == "manual"
    assert "No run" in shop("show", "sync-eu@run-none", exit=3).stderr


def test_runs_are_listed_newest_first_and_filtered(shop):
    tokens = [shop.scheduler.run_now(each).token for each in ("sync-eu", "sync-us")]
    assert [form["token"] for form in shop.json("runs")] == tokens[::-1]
    assert [form["token"] for form in shop.json("runs", "--schedule", "sync-eu")] == tokens[:1]
    assert [form["token"] for form in shop.json("runs", "--queue", "slow", "--job", "shop.sync")] == tokens[:1]
    assert shop.json("runs", "--failed") == []
    assert len(shop.json("runs", "--state", "pending", "--since", "1h")) == 2
    assert shop.json("runs", "--until", "1h") == []
    shop("runs", "--schedule", "sync-ue", exit=3)


def test_cancel_ends_a_pending_run_and_retry_brings_it_back(shop):
    token = shop.scheduler.run_now("sync-eu").token
    assert shop("cancel", token).stdout == f"{token} is cancelled\n"
    shop("cancel", token, exit=4)
    assert shop("retry", token).stdout == f"{token} is pending again\n"
    assert shop.json("cancel", token)["state"] == "cancelled"
    shop("retry", "sync-eu@run-none", exit=3)


def test_skips_are_listed_with_their_reason(shop):
    shop.scheduler.add("often", "shop.sync", "every 1ms")
    shop("pause", "often")
    (form,) = shop.json("skips", "often")
    assert (form["schedule_id"], form["reason"]) == ("often", "paused")
    assert "paused" in shop("skips").stdout
    assert "paused" in shop("show", "often").stdout
    assert "Nothing was skipped" in shop("skips", "sync-eu").stderr


def test_prune_says_how_much_went(shop):
    token = shop.scheduler.run_now("sync-eu").token
    shop("cancel", token)
    assert shop.json("prune") == {"deleted": 0}
    assert shop.json("prune", "--runs", "1us", "--keep", "0") == {"deleted": 1}
