"""A Django project in processes of its own, on any database, with any Django that can be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers.waiting import wait_until
from tickonce.model import Node, NodeState, Run, RunState, Skip
from tickonce.ports import RunFilter
from tickonce.stores import open_store

PROJECT = Path(__file__).parent / "project"
collect_ignore = ["project"]  # run by pytest-django, in test_suite.py

ON_ALL = pytest.mark.parametrize(
    "project",
    ["sqlite", *(pytest.param(each, marks=pytest.mark.server) for each in ("postgresql", "mysql"))],
    indirect=True,
)


class Project:
    """The project in ``project/``, on a database of its own.

    Attributes:
        url: Its database.
        environ: What its processes are given.
        home: Where manage.py is.
        watch: A file with a line for each thread that one of its processes has started: pid and name.
    """

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self.watch = home / "threads"
        self.home = PROJECT
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("TICKONCE_", "DJANGO_"))},
            "STOREFRONT_HOME": str(home),
            "STOREFRONT_DATABASE": url,
            "STOREFRONT_WATCH": str(self.watch),
            "DJANGO_SETTINGS_MODULE": "storefront.settings",
            "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(PROJECT)])),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def set(self, tickonce: Mapping[str, Any] | None = None, **names: str) -> None:
        """Set ``settings.TICKONCE``, and variables of the project by the end of their names."""
        if tickonce is not None:
            self.environ["STOREFRONT_TICKONCE"] = json.dumps(tickonce)
        self.environ.update({f"STOREFRONT_{name.upper()}": value for name, value in names.items()})

    def manage(self, *words: str, exit: int = 0, within: float = 60) -> str:
        """Carry out a command of manage.py to its end; return all that it said."""
        ended = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=self.home,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within,
            check=False,
        )
        assert ended.returncode == exit, f"{words} ended with {ended.returncode}:\n{ended.stdout}"
        return ended.stdout

    @contextmanager
    def running(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """Give a process of the project; it is terminated at the end, if it still runs."""
        with (self.watch.parent / "log").open("w") as log:
            process = subprocess.Popen(
                command if command[0].startswith("/") else [sys.executable, *command],
                cwd=self.home,
                env=self.environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        try:
            yield process
        except BaseException:
            print(self.log)
            raise
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def log(self) -> str:
        """What the process that ran last has said."""
        return (self.watch.parent / "log").read_text()

    @property
    def threads(self) -> list[tuple[int, str]]:
        """The threads of ours that were started, with their process."""
        if not self.watch.exists():
            return []
        lines = (line.split(" ", 1) for line in self.watch.read_text().splitlines())
        return [(int(pid), name) for pid, name in lines if "tickonce" in name.lower()]

    def nodes(self) -> list[Node]:
        """All nodes that the store has ever seen."""
        store = open_store(self.url)
        try:
            store.prepare(make=False)
            return store.nodes()
        finally:
            store.close()

    def alive(self) -> list[Node]:
        """Those that live."""
        return [node for node in self.nodes() if node.state is NodeState.ALIVE]

    def runs(self, schedule_id: str, *states: RunState) -> list[Run]:
        """The runs of a schedule, newest first."""
        store = open_store(self.url)
        try:
            return list(store.runs(RunFilter(schedule_id=schedule_id, states=states), limit=1000))
        finally:
            store.close()

    def skips(self, schedule_id: str) -> list[Skip]:
        """The skip records of a schedule, newest first."""
        store = open_store(self.url)
        try:
            return list(store.skips(schedule_id, limit=1000))
        finally:
            store.close()

    def wait_for_nodes(self, count: int) -> list[Node]:
        """Wait until so many live."""
        wait_until(lambda: len(self.alive()) == count, f"{count} node(s)")
        return self.alive()


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    kind = getattr(request, "param", "sqlite")
    if kind == "sqlite":
        return Project(f"sqlite:///{tmp_path}/db.sqlite3", tmp_path)
    return Project(request.getfixturevalue(f"{kind}_database"), tmp_path)
