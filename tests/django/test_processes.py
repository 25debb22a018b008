"""Which processes become nodes, and which never do: real ones, judged by the node table and the threads they start."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.django.conftest import ON_ALL, Project
from tests.servers.waiting import free_port, wait_until
from tickonce.model import RunState

BIN = Path(sys.executable).parent


@ON_ALL
def test_tables_are_made_by_migrate_and_by_nothing_else(project: Project) -> None:
    said = project.manage("tickonce", "ls", exit=9)
    assert "Run: python manage.py migrate" in said
    said = project.manage("migrate", "orders")
    assert "tickonce: tables tickonce_* in 'default' made" in said
    assert "tickonce" not in project.manage("migrate").replace("tickonce.", "")
    assert "No changes detected" in project.manage("makemigrations", "--check", "--dry-run")
    assert project.manage("check", "--database", "default").startswith("System check identified no issues")


def test_advice_is_what_people_type_here(project: Project) -> None:
    project.set({}, every="every 1d")
    assert "-> manage.py migrate" in project.manage("tickonce", "doctor", exit=10)
    project.manage("migrate", "-v0")
    said = project.manage("tickonce", "ls")
    assert (
        "appear when its first node starts: beat, beat-async, billing-month. Start one: manage.py tickonce serve"
        in said
    )
    project.manage("tickonce", "add", "nightly", "0 21 * * *", "orders.jobs.fail")
    assert "-> manage.py tickonce serve\n" in project.manage("tickonce", "doctor", exit=10)
    said = project.manage("tickonce", "ls", "--store", "sqlite:////tmp/x.db", exit=2)
    assert 'set TICKONCE["store"] in the settings instead' in said


def test_no_command_starts_a_node(project: Project) -> None:
    project.set({"autostart": True}, test="file")
    for words in (
        ("migrate",),
        ("check",),
        ("shell", "-c", "import threading; print('threads:', threading.active_count())"),
        ("collectstatic", "--noinput", "-v0"),
        ("test", "suite.test_transactions.TestInTestCase", "--keepdb"),
        ("tickonce", "ls"),
        ("help",),
        ("showmigrations",),
    ):
        said = project.manage(*words)
        if words[0] not in ("help", "tickonce"):
            assert f"autostart starts no node: manage.py {words[0]} does not serve" in said
        if words[0] == "shell":
            assert "threads: 1" in said
    assert project.threads == []
    assert project.nodes() == []
    assert Project(f"{project.url}.test", project.watch.parent).nodes() == []  # the database of test


def test_a_program_that_is_no_server_starts_none_and_says_so(project: Project) -> None:
    project.manage("migrate", "-v0")
    project.set({"autostart": True})
    with project.running("-c", "import django; django.setup()") as process:
        assert process.wait(30) == 0
    assert "is not known to serve" in project.log
    assert project.threads == []


def test_serve_is_a_node_until_it_is_terminated(project: Project) -> None:
    project.manage("migrate", "-v0")
    project.set({"slots": 3}, every="every 1s")
    with project.running("manage.py", "tickonce", "serve") as process:
        (node,) = project.wait_for_nodes(1)
        assert (node.pid, node.slots) == (process.pid, 3)
        wait_until(lambda: len(project.runs("beat", RunState.SUCCEEDED)) >= 2, "two runs")
        wait_until(lambda: project.runs("beat-async", RunState.SUCCEEDED), "one of a coroutine")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert project.alive() == []
    assert "beat" in project.manage("tickonce", "runs")


def test_serve_does_not_start_where_checks_fail(project: Project) -> None:
    project.set({"store": "nosuch"})
    assert "tickonce.E002" in project.manage("check", exit=1)
    assert "which DATABASES does not have" in project.manage("tickonce", "serve", exit=1)


def test_runserver_serves_in_its_child_alone(project: Project) -> None:
    project.manage("migrate", "-v0")
    project.set({"autostart": True})
    with project.running("manage.py", "runserver", str(free_port())) as process:
        (node,) = project.wait_for_nodes(1)
        assert node.pid != process.pid  # the reloader's parent
        assert {pid for pid, _ in project.threads} == {node.pid}
        assert "autostart starts no node: this is the reloader of runserver" in project.log
        assert "autostart: runserver serves" in project.log
        os.kill(node.pid, signal.SIGTERM)


def test_runserver_without_reloader(project: Project) -> None:
    project.manage("migrate", "-v0")
    project.set({"autostart": True})
    with project.running("manage.py", "runserver", "--noreload", str(free_port())) as process:
        (node,) = project.wait_for_nodes(1)
        assert node.pid == process.pid


def test_runserver_without_autostart_is_no_node(project: Project) -> None:
    project.manage("migrate", "-v0")
    with project.running("manage.py", "runserver", "--noreload", str(free_port())):
        wait_until(lambda: "development server at" in project.log, "the server")
        assert project.threads == []
    assert project.nodes() == []


UWSGI = [str(BIN / "uwsgi"), "--home", str(BIN.parent), "--http", "127.0.0.1:{port}", "--module", "storefront.wsgi"]
UWSGI += ["--master", "--processes", "2", "--need-app", "--die-on-term"]
SERVERS = {
    "uwsgi": [*UWSGI, "--enable-threads"],
    "uwsgi, lazy": [*UWSGI, "--enable-threads", "--lazy-apps"],
    "gunicorn": ["gunicorn", "storefront.wsgi", "--workers", "2", "--bind", "127.0.0.1:{port}"],
    "gunicorn, preloaded": ["gunicorn", "storefront.wsgi", "--workers", "2", "--preload", "--bind", "127.0.0.1:{port}"],
    "gunicorn, threads": [
        "gunicorn",
        "storefront.wsgi",
        "--workers",
        "2",
        "--threads",
        "2",
        "--bind",
        "127.0.0.1:{port}",
    ],
    "uvicorn": ["uvicorn", "storefront.asgi:application", "--workers", "2", "--port", "{port}"],
}


def need_uwsgi() -> None:
    """Leave the test out where uWSGI could not be built, unless it is required."""
    if not (BIN / "uwsgi").exists():
        required = "uwsgi" in os.environ.get("TICKONCE_TEST_REQUIRE", "").split(",")
        (pytest.fail if required else pytest.skip)("uWSGI is not here: make servers, which needs a C compiler")


@pytest.mark.chaos
@pytest.mark.parametrize("by", ["autostart", "line"])
@pytest.mark.parametrize("server", SERVERS)
def test_each_worker_of_a_server_is_a_node_and_its_master_is_none(project: Project, server: str, by: str) -> None:
    if "uwsgi" in server:
        need_uwsgi()
    project.manage("migrate", "-v0")
    project.set({"autostart": by == "autostart"}, line="yes" if by == "line" else "no", every="every 1s")
    command = [word.format(port=free_port()) for word in SERVERS[server]]
    with project.running(*([] if "uwsgi" in server else ["-m"]), *command) as master:
        nodes = project.wait_for_nodes(2)
        assert master.pid not in {node.pid for node in nodes}
        assert {pid for pid, _ in project.threads} == {node.pid for node in nodes}
        wait_until(lambda: project.runs("beat", RunState.SUCCEEDED), "a run")
        if "gunicorn" in server:
            # All workers anew: as many nodes as before, others.
            before = {node.pid for node in nodes}
            master.send_signal(signal.SIGHUP)
            wait_until(lambda: not before & {node.pid for node in project.alive()}, "the old ones to leave")
            project.wait_for_nodes(2)
        master.send_signal(signal.SIGTERM)
        master.wait(40)
    wait_until(lambda: project.alive() == [], "all to leave")
    times = [run.scheduled_time for run in project.runs("beat")]
    assert len(times) == len(set(times))


def test_a_uwsgi_that_has_threads_untold_has_nodes(project: Project) -> None:
    """As all since 2.0.28: what counts is whether there are threads, not whether somebody asked for them."""
    need_uwsgi()
    project.manage("migrate", "-v0")
    project.set({"autostart": True})
    with project.running(*(word.format(port=free_port()) for word in UWSGI)):
        project.wait_for_nodes(2)


def test_what_is_wrong_with_the_settings_is_one_line_of_a_command_and_of_a_server(project: Project) -> None:
    project.set({"store": "nowhere", "autostart": True})
    said = project.manage("tickonce", "ls", exit=1)
    assert "CommandError: TICKONCE['store'] is 'nowhere'" in said
    assert "Traceback" not in said
    assert "autostart starts no node" in project.manage("shell", "-c", "pass")


def test_a_database_that_comes_later_is_waited_for(project: Project) -> None:
    """A server that starts before its database does not go without a node for ever."""
    project.set({"autostart": True})
    with project.running("manage.py", "runserver", "--noreload", str(free_port())):
        wait_until(lambda: "no node in this process yet, it is tried again" in project.log, "the first try")
        project.manage("migrate", "-v0")
        project.wait_for_nodes(1)
        wait_until(lambda: "this process has its node now" in project.log, "it takes back what it said")


# -- several databases -----------------------------------------------------------------------------


def test_the_store_is_where_the_settings_say_and_migrated_nowhere_else(project: Project, tmp_path: Path) -> None:
    other = Project(f"sqlite:///{tmp_path}/other.sqlite3", tmp_path)
    project.set({"store": "other", "prefix": "cron_"}, other=other.url)
    assert "tickonce: tables" not in project.manage("migrate")
    assert "--database other" in project.manage("tickonce", "ls", exit=9)
    assert "tickonce: tables cron_* in 'other' made" in project.manage("migrate", "--database", "other")
    project.manage("tickonce", "add", "nightly", "0 21 * * *", "orders.jobs.fail")
    ask = "from tickonce.contrib.django.models import Schedule; print('found', [*Schedule.objects.all()])"
    assert "found [<Schedule: nightly>]" in project.manage("shell", "-c", ask)


def test_routers_do_not_move_our_tables(project: Project, tmp_path: Path) -> None:
    project.set({}, other=f"sqlite:///{tmp_path}/other.sqlite3", routers='["storefront.routers.OrdersElsewhere"]')
    project.manage("migrate", "-v0")
    project.manage("migrate", "--database", "other", "-v0")
    project.manage("tickonce", "add", "nightly", "0 21 * * *", "orders.jobs.fail")
    ask = (
        "from django.db import connections; from tickonce.contrib.django.models import Schedule;"
        "print('found', Schedule.objects.count(), [name for alias in connections "
        "for name in connections[alias].introspection.table_names() if name.startswith('tickonce_s')])"
    )
    said = project.manage("shell", "-c", ask)
    assert "found 1 ['tickonce_schedules', 'tickonce_settings', 'tickonce_skips']" in said


def test_a_store_by_url(project: Project, tmp_path: Path) -> None:
    project.manage("migrate", "-v0")
    project.set({"store": f"sqlite:///{tmp_path}/elsewhere.db"})
    project.manage("tickonce", "add", "nightly", "0 21 * * *", "orders.jobs.fail")
    assert "nightly" in project.manage("tickonce", "ls")
    assert (tmp_path / "elsewhere.db").exists()
    assert project.manage("check").startswith("System check identified no issues")
    ask = (
        "from django.contrib import admin;"
        "print('admin', [each for each in admin.site._registry if each.__module__.startswith('tickonce')])"
    )
    assert "admin []" in project.manage("shell", "-c", ask)


def test_each_process_of_many_declares_at_once_on_new_tables(project: Project) -> None:
    """What four workers do at the first start after a deployment."""
    project.manage("migrate", "-v0")
    project.set({"autostart": True}, every="every 1h")
    with project.running("-m", "gunicorn", "storefront.wsgi", "--workers", "4", "--bind", f"127.0.0.1:{free_port()}"):
        project.wait_for_nodes(4)
        assert "Error" not in project.log
    assert "beat-async" in project.manage("tickonce", "ls")
