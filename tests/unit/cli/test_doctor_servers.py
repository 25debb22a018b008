"""What ``tickonce doctor`` reads of web servers, from command lines and configurations."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tickonce import Scheduler
from tickonce.cli import servers
from tickonce.cli.findings import Finding, Patient
from tickonce.cli.processes import Process, processes
from tickonce.cli.servers import Server
from tickonce.model import Node

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)


def node(pid: int, **facts: object) -> Node:
    return Node(id=f"web-1-{pid}-a", host="web-1", pid=pid, alive_until=NOW + timedelta(seconds=10), facts=facts)


# -- what a node tells of itself -----------------------------------------------------------------


def masters(*nodes: Node) -> list[Finding]:
    with Scheduler("memory:") as scheduler:
        return list(servers.masters(Patient(scheduler, NOW, nodes, nodes)))


@pytest.mark.parametrize(("server", "title"), [("gunicorn", "Gunicorn"), ("uwsgi", "uWSGI")])
def test_a_node_in_a_master_whose_workers_have_none(server, title):
    master = node(10, parent=1, workers_of=server)
    (finding,) = masters(master, node(77, parent=1), replace(node(78, parent=10), host="web-2"))
    assert finding.found == f"web-1-10-a was started in {title} before that forks its workers, which have no node"
    assert f"from tickonce.contrib.{server} import" in finding.mend
    assert masters(master, node(11, parent=10)) == []


# -- what is read here ---------------------------------------------------------------------------


def read(tmp_path: Path, *words: str, **environ: str) -> Server:
    return servers._of_process((Process(10, 1, words, tmp_path, environ), Process(11, 10, words, tmp_path)))


def test_gunicorns_configuration_is_the_one_it_names_or_its_usual_one(tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("preload_app = True\n")
    (tmp_path / "mine.py").write_text("from tickonce.contrib.gunicorn import hooks\n")
    line = ("/usr/bin/python3", "/usr/bin/gunicorn", "shop:app")
    assert read(tmp_path, *line).preload is True
    assert read(tmp_path, *line, "-c", "mine.py").preload is read(tmp_path, *line, "-cmine.py").preload is False
    assert read(tmp_path, *line, "--config=file:mine.py", "--preload") == Server(
        "gunicorn", "pid 10, mine.py", preload=True, hooked=True, pids=(10, 11)
    )
    assert read(tmp_path, *line, "-c", "python:shop.conf").preload is None
    assert read(tmp_path, *line, GUNICORN_CMD_ARGS="--preload -c mine.py").preload is True


def test_threads_of_uwsgi_are_looked_for_wherever_they_may_be_set(tmp_path):
    (tmp_path / "bare.ini").write_text("[uwsgi]\nmodule = shop\n# enable-threads = true\n")
    (tmp_path / "more.ini").write_text("[uwsgi]\nini = other.ini\n")
    (tmp_path / "shop.yaml").write_text("uwsgi:\n  enable-threads: true\n")
    (tmp_path / "shop.json").write_text('{"uwsgi": {\n  "threads": 2\n}}')
    assert read(tmp_path, "uwsgi", "bare.ini").threads is False
    assert read(tmp_path, "uwsgi", "--http", ":80", "--module", "shop").threads is False
    for words in (
        ("uwsgi", "--ini", "bare.ini", "--enable-threads"),
        ("uwsgi", "-T", "bare.ini"),
        ("uwsgi", "--threads", "2"),
        ("/usr/bin/uwsgi-core", "--threads=2"),
        ("uwsgi", "--yaml=shop.yaml"),
        ("python3", "-m", "pyuwsgi", "shop.json"),
    ):
        assert read(tmp_path, *words).threads is True, words
    assert read(tmp_path, "uwsgi", "bare.ini", UWSGI_ENABLE_THREADS="1").threads is True
    for unseen in (("more.ini",), ("--ini", "gone.ini"), ("--emperor", "/etc/vassals")):
        assert read(tmp_path, "uwsgi", *unseen).threads is None, unseen
    assert read(tmp_path, "uwsgi", UWSGI_INI="bare.ini").threads is None


def test_only_servers_of_this_program_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other, line = tmp_path / "other", ("uwsgi", "shop.ini")
    found = [
        Process(10, 1, line, Path.cwd()),
        Process(11, 10, line, Path.cwd()),
        Process(20, 1, ("python", "/bin/gunicorn", "x"), other, {"TICKONCE_STORE": "sqlite:////x.db"}),
        Process(30, 1, line, other),
        Process(40, 1, ("vi", "uwsgi"), Path.cwd()),
        Process(50, 1, ("",), Path.cwd()),
    ]
    assert [[each.pid for each in family] for family in servers.running(found)] == [[10, 11], [20]]


def judged(server: Server, *nodes: Node) -> list[tuple[str, str]]:
    return [(finding.level, finding.mend) for finding in servers.judged(server, nodes)]


def test_a_server_is_warned_of_only_where_it_has_no_node():
    bare = Server("uwsgi", "pid 10", threads=False, pids=(10, 11))
    assert judged(bare) == [("warning", "enable-threads = true")]
    assert judged(bare, node(11)) == [("ok", "")]
    assert judged(bare, node(10, workers_of="uwsgi")) == [], "that is said of the node"
    assert judged(replace(bare, threads=None)) == []
    early = Server("gunicorn", "pid 10", preload=True, pids=(10,))
    assert judged(early)[0][0] == "warning"
    assert judged(replace(early, hooked=True)) == []


def test_files_are_looked_at_without_any_process(made):
    Path("uwsgi.ini").write_text("[uwsgi]\nmaster = true\n")
    Path("gunicorn.conf.py").write_text("preload_app = True\n")
    Path("good.py").write_text("preload_app = True\npost_worker_init = start_node\n")
    words = [word for name in ("uwsgi.ini", "gunicorn.conf.py", "good.py") for word in ("--server-config", name)]
    told = [each for each in made.json("doctor", *words)["findings"] if each["found"].startswith(("uWSGI (u", "Guni"))]
    assert [(each["check"], each["level"]) for each in told] == [
        ("servers", "warning"),
        ("servers", "warning"),
        ("servers", "ok"),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_processes_of_this_user_are_found():
    (me,) = (each for each in processes() if each.pid == os.getpid())
    assert me.parent == os.getppid()
    assert me.cwd == Path.cwd()
    assert me.words[0]


def test_where_nothing_tells_of_processes_there_are_none(tmp_path):
    assert processes(tmp_path) == []
