"""How commands end: exit codes, errors as text and as JSON, options before and behind."""

from __future__ import annotations

import inspect
import json
import sqlite3
from contextlib import closing

import click
import pytest

from tickonce import errors
from tickonce.cli.exits import Exit, code_of
from tickonce.cli.root import root
from tickonce.scheduler import Scheduler

WANTED = {
    "ConfigError": 2,
    "Conflict": 4,
    "DefinitionError": 2,
    "LookupFailed": 3,
    "RunError": 1,
    "SchemaError": 9,
    "StoreError": 1,
    "StoreUnavailable": 5,
    "TriggerError": 2,
    "UnknownJob": 3,
}


def test_every_error_of_the_tree_has_a_code():
    """A new branch of the tree has to be given one here."""
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, errors.TickonceError) and kind is not errors.TickonceError:
            wanted = next(WANTED[base.__name__] for base in kind.__mro__ if base.__name__ in WANTED)
            assert code_of(kind.__new__(kind)) == wanted, kind


def test_no_connection_is_5_and_the_password_is_masked(tickonce):
    said = tickonce("ls", "--store", "postgresql://app:s3cret@127.0.0.1:1/jobs", exit=5)
    assert "127.0.0.1" in said.stderr
    assert "s3cret" not in said.output


def test_a_traceback_masks_passwords_too(tickonce):
    said = tickonce("-v", "ls", "--store", "postgresql://app:s3cret@127.0.0.1:1/jobs", exit=5)
    assert "Traceback" in said.stderr
    assert "s3cret" not in said.output


def test_without_a_store_the_lines_that_help_are_shown(tickonce, monkeypatch):
    monkeypatch.delenv("TICKONCE_STORE")
    said = tickonce("ls", exit=2).stderr
    assert "export TICKONCE_STORE=" in said
    assert "tickonce -A module:scheduler" in said


def test_tables_of_another_release_are_9(tickonce):
    tickonce("db", "upgrade")
    with closing(sqlite3.connect(tickonce.home / "tickonce.db")) as connection, connection:
        connection.execute("UPDATE tickonce_revision SET version_num = '9999'")
    for words in (["ls"], ["db", "check"], ["db", "upgrade"]):
        assert "newer than this code" in tickonce(*words, exit=9).stderr
    assert tickonce.json("db", "check", exit=9)["ok"] is False
    assert "newer than this code" in tickonce("doctor", exit=10).stdout


def test_interrupted_is_130(made, tickonce, monkeypatch):
    def interrupted(scheduler):
        raise KeyboardInterrupt

    monkeypatch.setattr(Scheduler, "nodes", interrupted)
    assert tickonce("nodes", exit=130).stderr == "Interrupted.\n"
    assert json.loads(tickonce("nodes", "-o", "json", exit=130).stderr)["code"] == "cli.interrupted"


def test_errors_are_json_where_answers_are(made, tickonce):
    said = tickonce("show", "none", "-o", "json", exit=3)
    assert said.stdout == ""
    form = json.loads(said.stderr)
    assert (form["code"], form["exit_code"]) == ("lookup.no_schedule", 3)


USAGE = [["nosuch"], ["ls", "--nosuch"], ["show"], ["--nosuch", "ls"], ["db"], ["db", "nosuch"], ["next", "1 2"], []]


@pytest.mark.parametrize("words", [*USAGE, ["ls", "-o", "yaml"]], ids=str)
def test_usage_is_2(tickonce, words):
    tickonce(*words, exit=2)


@pytest.mark.parametrize("words", USAGE, ids=str)
def test_what_is_misused_is_told_in_json_as_well(tickonce, words, monkeypatch):
    """Whether JSON is asked for before the fault, behind it, or in the environment."""
    answers = [tickonce("-o", "json", *words, exit=2), tickonce(*words, "--output=json", exit=2)]
    monkeypatch.setenv("TICKONCE_OUTPUT", "json")
    for said in [*answers, tickonce(*words, exit=2)]:
        assert said.stdout == ""
        form = json.loads(said.stderr)
        assert form["exit_code"] == 2
        assert form["error"]
        assert "Usage:" not in form["error"]


def test_memory_is_refused_as_nobody_shares_it(tickonce):
    for words in (["ls"], ["add", "a", "every 1h", "job"], ["doctor"], ["serve"], ["healthcheck"]):
        assert "of one process alone" in tickonce(*words, "--store", "memory:", exit=2).stderr
    assert tickonce.json("next", "@daily", "-n", "1", "--store", "memory:")["fires"]


LOOKING = [
    ["ls"],
    ["show", "a"],
    ["show", "a@2026-01-01T00:00:00Z"],
    ["runs"],
    ["skips"],
    ["nodes"],
    ["healthcheck"],
    ["next", "a"],
    ["calendar"],
    ["pause", "a"],
    ["resume", "a"],
    ["edit", "a", "--priority", "1"],
    ["rm", "a", "-y"],
    ["revert", "a"],
    ["run-now", "a"],
    ["retry", "a"],
    ["cancel", "a"],
    ["prune"],
    ["db", "check"],
]


@pytest.mark.parametrize("words", LOOKING, ids=str)
def test_what_only_looks_makes_no_file_and_says_who_makes_it(tickonce, words):
    said = tickonce(*words, exit=9).stderr
    assert str(tickonce.home / "tickonce.db") in said
    assert "tickonce db upgrade" in said
    assert list(tickonce.home.iterdir()) == []


@pytest.mark.parametrize("words", [["ls"], ["db", "check"], ["doctor"]], ids=str)
def test_what_only_looks_leaves_somebody_elses_file_as_it_is(tickonce, words):
    file = tickonce.home / "tickonce.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE shops (name TEXT)")
    before = file.read_bytes()
    tickonce(*words, exit=10 if words == ["doctor"] else 9)
    assert file.read_bytes() == before
    assert list(tickonce.home.iterdir()) == [file]
    tickonce("add", "a", "every 1h", "job")
    tickonce("ls")


def test_options_stand_before_and_behind(tickonce):
    tickonce("add", "sync", "every 1d", "job")
    before = tickonce("-o", "json", "--store", tickonce.url, "ls").stdout
    behind = tickonce("ls", "-o", "json", "--store", tickonce.url).stdout
    assert json.loads(before)[0]["id"] == json.loads(behind)[0]["id"] == "sync"
    assert tickonce("-o", "table", "ls", "-o", "json").stdout == behind


def test_every_option_has_a_variable_by_its_name(tickonce, monkeypatch):
    monkeypatch.setenv("TICKONCE_OUTPUT", "json")
    monkeypatch.setenv("TICKONCE_NEXT_COUNT", "2")
    monkeypatch.setenv("TICKONCE_NEXT_FROM", "2026-01-01T00:00Z")
    form = json.loads(tickonce("next", "every 1h").stdout)
    assert form["fires"] == ["2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"]


def test_variables_are_named_after_command_and_flag_and_shown_in_the_help(tickonce):
    """So nobody has to look them up."""
    for path, command in commands(root, ()):
        said = " ".join(tickonce(*path, "--help").stdout.split())
        for option in command.params:
            if isinstance(option, click.Option) and option.name not in ("help", "version"):
                flag = max((name for name in option.opts), key=len).lstrip("-")
                shared = (flag in ("app", "store", "tz", "output", "verbose") and path != ("demo",)) or flag in (
                    "output",
                    "verbose",
                )
                name = "_".join(["TICKONCE", *([] if shared else path), flag]).replace("-", "_").upper()
                assert f"env var: {name}" in said, (path, option.opts)


def commands(group, path):
    yield path, group
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, (*path, name))


def test_exit_codes_are_what_is_promised():
    assert {code.name: int(code) for code in Exit} == {
        "OK": 0,
        "FAILURE": 1,
        "USAGE": 2,
        "NOT_FOUND": 3,
        "CONFLICT": 4,
        "NO_CONNECTION": 5,
        "RUN_FAILED": 7,
        "TIMED_OUT": 8,
        "SCHEMA": 9,
        "PROBLEMS": 10,
        "INTERRUPTED": 130,
    }
