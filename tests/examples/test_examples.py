"""The examples, started with the commands that examples/README.md shows."""

from __future__ import annotations

import json
import re
import signal
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.embed.hosts import BIN, Server, alive, wait_for_nodes
from tests.examples.page import EXAMPLES, commands
from tests.servers import wait_until
from tickonce import Scheduler

WITHIN = timedelta(seconds=30)

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/example.db"


def example(name: str, store: str, folder: Path, **more: str) -> Server:
    """Return the example, about to be started as its page says."""
    (words,) = commands()[name]
    if words[0] == "uvicorn":
        words += ["--port", "{port}"]
    if words[0] == "gunicorn":
        words += ["--bind", "127.0.0.1:{port}"]
    return Server([str(BIN / words[0]), *words[1:]], store, folder, cwd=EXAMPLES / name, more=more)


def test_each_example_has_a_command():
    """Those of Django are run in tests/django, with any release of it."""
    assert commands().keys() == {path.parent.name for path in EXAMPLES.glob("*/*.py")}


def test_two_scripts_print_each_tick_once(store, tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with example("script", store, folders[0]) as one, example("script", store, folders[1]) as two:
        with Scheduler(store) as scheduler:
            wait_for_nodes(scheduler, 2)
            wait_until(lambda: one.log.count("process") + two.log.count("process") >= 4, "four ticks", within=WITHIN)
            for script in (one, two):
                script.send(signal.SIGINT)
                assert script.ended() == 0
                assert script.log.splitlines()[-1].startswith("bye"), "no odd word behind it"
            assert alive(scheduler) == []
        times = re.findall(r"\d\d:\d\d:\d\d$", one.log + two.log, re.MULTILINE)
    assert len(times) == len(set(times)) >= 4


def test_four_workers_of_fastapi_sync_a_shop_from_its_beginning_to_its_end(store, tmp_path):
    with example("fastapi_workers", store, tmp_path) as server, Scheduler(store) as scheduler:
        wait_until(lambda: _answer(server, "/health") == (200, True), "an answer", within=WITHIN)
        wait_for_nodes(scheduler, 4)
        assert _answer(server, "/shops/eu", "POST")[0] == 201
        assert _answer(server, "/shops/eu", "POST")[0] == 409
        wait_until(lambda: _answer(server, "/shops")[1]["eu"] >= 2, "two syncs", within=WITHIN)
        assert _answer(server, "/shops/eu", "DELETE")[0] == 204
        assert _answer(server, "/shops")[1] == {}
        assert scheduler.schedules().items == ()
        runs = scheduler.runs(schedule_id="sync-eu").items
        assert not [run.error for run in runs if run.error]
        server.terminate()
        assert alive(scheduler) == []


def test_four_workers_of_gunicorn_check_a_site_in_the_context_of_flask(store, tmp_path):
    book = tmp_path / "book.txt"
    with example("flask", store, tmp_path, SHOP_BOOK=json.dumps(str(book))) as server, Scheduler(store) as scheduler:
        wait_until(server.answers, "an answer", within=WITHIN)
        wait_for_nodes(scheduler, 4)
        wait_until(lambda: server.get().count("shop.example.com") >= 3, "three checks", within=WITHIN)
        assert server.terminate() == 0
        assert alive(scheduler) == []
    times = [line.split()[0] for line in book.read_text().splitlines()]
    assert len(times) == len(set(times))


def test_the_pods_of_kubernetes_are_nodes_that_are_healthy_and_drain(store, tmp_path, monkeypatch):
    deployment, budget = yaml.safe_load_all((EXAMPLES / "kubernetes/fleet.yaml").read_text())
    assert (deployment["kind"], budget["kind"]) == ("Deployment", "PodDisruptionBudget")
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
    (container,) = pod["spec"]["containers"]
    assert [item["name"] for item in container["env"]] == ["TICKONCE_STORE"]
    grace = timedelta(seconds=pod["spec"]["terminationGracePeriodSeconds"])
    pods = []
    for number in range(deployment["spec"]["replicas"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        words = container["command"]
        pods.append(Server([str(BIN / words[0]), *words[1:]], store, folder, cwd=EXAMPLES / "kubernetes"))
    probe = container["livenessProbe"]["exec"]["command"]
    assert probe == container["startupProbe"]["exec"]["command"]
    with pods[0], pods[1], pods[2], Scheduler(store) as scheduler:
        wait_for_nodes(scheduler, 3)
        check = Server([str(BIN / probe[0]), *probe[1:]], store, tmp_path, name="probe").start()
        assert check.ended() == 0, check.log
        config = _scheduler_of("kubernetes/jobs.py", monkeypatch).config
        assert config.drain_timeout < grace
        assert [each.terminate(grace) for each in pods] == [0, 0, 0]
        assert alive(scheduler) == []


def test_the_image_runs_what_the_pods_run():
    text = (EXAMPLES / "kubernetes/Dockerfile").read_text()
    deployment = next(yaml.safe_load_all((EXAMPLES / "kubernetes/fleet.yaml").read_text()))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert json.loads(text.split("CMD ")[1]) == container["command"]


def _scheduler_of(path: str, monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    namespace: dict[str, Any] = {"__name__": "jobs"}
    exec(compile((EXAMPLES / path).read_text(), path, "exec"), namespace)
    found = namespace["scheduler"]
    assert isinstance(found, Scheduler)
    return found


def _answer(server: Server, path: str, method: str = "GET") -> tuple[int, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, None
    except OSError:
        return 0, None
