"""The project's own tests, run as people run theirs: by pytest-django and by manage.py test, on each database."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.django.conftest import ON_ALL, PROJECT, Project


def run_pytest(project: Project, *words: str) -> int:
    """Run the project's tests; return how many passed."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *words],
        cwd=PROJECT,
        env=project.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert "skipped" not in ended.stdout, ended.stdout
    found = re.search(r"(\d+) passed", ended.stdout)
    assert found is not None, ended.stdout
    return int(found[1])


@ON_ALL
def test_the_projects_own_tests_pass(project: Project) -> None:
    """Edits in atomic(), with connections of our own and on the test's; settings; the admin."""
    project.set(test="file")
    assert run_pytest(project) >= 100


def test_a_test_database_in_memory(project: Project) -> None:
    """As Django makes it for SQLite: nobody but its own connection reaches it."""
    assert run_pytest(project, "suite/test_transactions.py") >= 20


@pytest.mark.parametrize("project", ["sqlite", pytest.param("postgresql", marks=pytest.mark.server)], indirect=True)
def test_django_runs_its_own_test_cases(project: Project) -> None:
    """Also with autostart on: no node, and no connection that would keep the test database from being dropped."""
    project.set({"autostart": True})
    said = project.manage("test", "suite.test_transactions")
    assert re.search(r"Ran 1[0-9] tests", said), said
    assert "OK" in said
    assert project.threads == []


def test_databases_of_parallel_tests(project: Project) -> None:
    assert "OK" in project.manage("test", "suite.test_transactions", "--parallel", "2")
