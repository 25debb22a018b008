"""Advice fits where it is given: files that are not there, callers that bring a program, jobs that nobody knows."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from click.testing import CliRunner

from tickonce import Scheduler
from tickonce.cli.calling import SHELL, Caller
from tickonce.cli.loading import load_scheduler
from tickonce.cli.processes import Process
from tickonce.cli.root import root
from tickonce.cli.servers import _of_process, judged
from tickonce.cli.session import Session
from tickonce.model import Node

DJANGO = Caller("manage.py tickonce", "manage.py migrate", store="the settings")


@pytest.mark.parametrize("words", [["ls"], ["doctor"], ["db", "check"]], ids=str)
def test_a_directory_that_is_not_there_is_named(tickonce, words):
    said = tickonce(*words, "--store", f"sqlite:///{tickonce.home}/nosuch/a.db", exit=10 if words == ["doctor"] else 9)
    assert f"there is no directory {tickonce.home}/nosuch" in said.output
    assert "mkdir -p" in said.output
    assert "tickonce db upgrade" in said.output


@pytest.mark.parametrize("words", [["ls"], ["doctor"], ["db", "check"]], ids=str)
def test_a_file_that_is_not_there_is_named_and_one_without_tables_is_not(tickonce, words):
    ended = 10 if words == ["doctor"] else 9
    absent = f"there is no file {tickonce.home}/tickonce.db"
    assert absent in tickonce(*words, exit=ended).output
    (tickonce.home / "tickonce.db").touch()
    said = tickonce(*words, exit=ended).output
    assert absent not in said
    assert "there are no tables" in said


def test_the_advice_of_a_file_that_is_not_there_makes_it(tickonce):
    url = f"sqlite:///{tickonce.home}/a/b.db"
    said = tickonce("ls", "--store", url, exit=9).stderr
    advised = next(part for part in said.split("Correct")[1].split(". ") if "mkdir" in part)
    subprocess.run(["sh", "-c", advised.partition("or: ")[2]], check=True)
    tickonce("db", "upgrade", "--store", url)
    assert tickonce.json("ls", "--store", url) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("start one: tickonce serve -A module:scheduler", "start one: manage.py tickonce serve"),
        ("tickonce serve -A module:scheduler --queues a", "manage.py tickonce serve --queues a"),
        ("To make them, run: tickonce db upgrade (a node", "To make them, run: manage.py migrate (a node"),
        ("tickonce edit a --trigger ...; then: tickonce resume a",
         "manage.py tickonce edit a --trigger ...; then: manage.py tickonce resume a"),
        ("run: python manage.py tickonce ls", "run: python manage.py tickonce ls"),
        ("pip install tickonce==1.2", "pip install tickonce==1.2"),
        ("releases of tickonce: 1.2 on 3", "releases of tickonce: 1.2 on 3"),
    ],
)  # fmt: skip
def test_commands_are_named_as_people_type_them(text, said):
    assert DJANGO.words(text) == said
    assert DJANGO.words(said) == said
    assert SHELL.words(text) == text
    assert replace(SHELL, app="shop").words(text) == text.replace("module:scheduler", "shop")


def as_caller(tickonce, *words):
    """Run a command as ``manage.py`` does, with the program at hand."""
    session = Session(given={"app": "shop"}, typed={"app"}, caller=DJANGO)
    return CliRunner().invoke(root, words, obj=session, prog_name=DJANGO.prog)


ONE = "from tickonce import Scheduler, every\nscheduler = Scheduler()\n"
DECLARED = ONE + "@scheduler.schedule(every('1h'), id='hourly')\ndef hourly(): ...\n"


def test_a_caller_that_brings_a_program_says_how_another_store_is_named(made):
    made.program("shop", ONE)
    said = as_caller(made, "ls", "--store", made.url)
    assert said.exit_code == 2
    assert "set the settings instead" in said.stderr
    assert "-A" not in said.stderr


def test_doctor_and_lists_speak_as_their_caller(tickonce):
    tickonce.program("shop", ONE)
    said = as_caller(tickonce, "doctor")
    assert "-> manage.py migrate" in said.stdout
    tickonce("db", "upgrade")
    tickonce("add", "sync", "every 1d", "shop.sync")
    assert "-> manage.py tickonce serve\n" in as_caller(tickonce, "doctor").stdout
    assert "Start one: manage.py tickonce serve\n" in as_caller(tickonce, "nodes").stderr
    assert "manage.py tickonce ls" in as_caller(tickonce, "show", "nosuch").stderr


def test_what_a_program_declares_is_announced_until_a_node_has_started(made):
    made.program("shop", DECLARED)
    said = made("-A", "shop", "ls").stderr
    assert "appear when its first node starts: hourly" in said
    assert "tickonce serve -A shop" in said
    assert "Add one" in made("ls").stderr  # no program is named, so nothing is known to come
    with load_scheduler("shop") as program, program.node():
        assert "hourly" in made("-A", "shop", "ls").stdout


def test_what_was_removed_by_hand_is_not_announced(made):
    made.program("shop", DECLARED)
    with load_scheduler("shop") as program:
        program.declare()
    made("rm", "hourly", "-y")
    assert "Add one" in made("-A", "shop", "ls").stderr


def test_a_job_that_no_live_node_knows_is_told(made):
    with Scheduler(made.url) as node:
        node.job(name="shop.sync")(print)
        with node.node():
            ghost = made("add", "ghost", "every 1d", "j.ghost")
            assert "no live node knows job 'j.ghost'" in ghost.stderr
            assert "ghost: active" in ghost.stdout
            assert made("add", "sync", "every 1d", "shop.sync").stderr == ""
            assert "'j.gone'" in made("edit", "sync", "--job", "j.gone").stderr
            assert made("edit", "sync", "--job", "shop.sync").stderr == ""
            assert made("edit", "ghost", "--priority", "1").stderr == ""
    assert made("add", "later", "every 1d", "j.ghost").stderr == ""  # nobody is there who could know


def test_the_master_of_a_server_is_named_where_it_is_no_node():
    server = _of_process((Process(10, 1, ("gunicorn", "shop:app")), Process(11, 10, ()), Process(12, 10, ())))
    workers = tuple(Node(id=f"web-{pid}", host="web", pid=pid) for pid in (11, 12))
    (finding,) = judged(server, workers)
    assert finding.found.endswith("2 of its 3 processes are nodes; the master, pid 10, needs none")
    lone = _of_process((Process(11, 1, ("uwsgi", "--enable-threads")),))
    (finding,) = judged(lone, workers)
    assert finding.found.endswith("1 of its 1 processes are nodes")


def test_advice_names_the_program_that_was_named_and_the_way_back(made):
    made.program("shop", DECLARED)
    with load_scheduler("shop") as program, program.node():
        pass
    assert "-> tickonce serve -A shop\n" in made("-A", "shop", "doctor", exit=10).stdout
    assert "-> tickonce serve -A module:scheduler\n" in made("doctor", exit=10).stdout
    assert "to have it again as declared, add it: tickonce add hourly" in made("rm", "hourly", "-y").stderr
    made("add", "other", "every 1d", "shop.sync")
    assert made("rm", "other", "-y").stderr == ""
