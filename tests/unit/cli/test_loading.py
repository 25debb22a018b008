"""``-A module:name``."""

from __future__ import annotations

import pytest

ONE = "from tickonce import Scheduler\nscheduler = Scheduler()\n"


@pytest.mark.parametrize("app", ["shop", "shop:scheduler", "shop:also", "shop:box.inside"])
def test_a_scheduler_is_found(made, tickonce, app):
    tickonce.program("shop", ONE + "also = scheduler\nclass box:\n    inside = scheduler\n")
    tickonce("-A", app, "ls")


def test_an_async_scheduler_is_one_too(made, tickonce):
    tickonce.program("shop", "from tickonce import AsyncScheduler\nscheduler = AsyncScheduler()\n")
    tickonce("-A", "shop", "ls")


@pytest.mark.parametrize(
    ("app", "text", "hint"),
    [
        ("shop:scheduler", None, "finds no module 'shop'"),
        ("shpo", ONE, "Did you mean 'shop'?"),
        ("shop.py", ONE, "-A shop"),
        ("./shop", ONE, "-A shop"),
        ("shop:", ONE, "has no ''"),
        ("shop:other", ONE, "It has: scheduler"),
        ("shop:number", "number = 1", "is a int, not a Scheduler"),
        ("shop", "number = 1", "has no Scheduler"),
        ("shop", ONE + "second = Scheduler()", "-A shop:scheduler, -A shop:second"),
        ("shop", "import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("shop", "def f():\n    1/0\nf()", "shop.py, line 2"),
        ("shop", "def f(:", "SyntaxError"),
        ("what ever", None, "write module:scheduler"),
    ],
)
def test_what_cannot_be_found_is_told_with_what_to_do(tickonce, app, text, hint):
    if text is not None:
        tickonce.program("shop", text)
    said = tickonce("-A", app, "ls", exit=2)
    assert hint in said.stderr
    assert "Traceback" not in said.stderr


def test_v_shows_where_importing_failed(tickonce):
    tickonce.program("shop", "def f():\n    1/0\nf()")
    assert "Traceback" in tickonce("-v", "-A", "shop", "ls", exit=2).stderr


def test_dash_a_and_store_exclude_each_other(tickonce):
    tickonce.program("shop", ONE)
    assert "not both" in tickonce("-A", "shop", "--store", tickonce.url, "ls", exit=2).stderr


def test_what_is_typed_goes_before_the_environment(tickonce, monkeypatch):
    other = f"sqlite:///{tickonce.home}/other.db"
    tickonce.program("shop", f"from tickonce import Scheduler\nscheduler = Scheduler({other!r})\n")
    tickonce("db", "upgrade", "--store", other)
    tickonce.scheduler.add("here", "job", "every 1d")
    assert tickonce.json("-A", "shop", "ls") == []  # though TICKONCE_STORE names another one
    monkeypatch.setenv("TICKONCE_APP", "shop")
    assert tickonce.json("ls") == []
    assert [form["id"] for form in tickonce.json("ls", "--store", tickonce.url)] == ["here"]
