"""A project that has set AUTOCOMMIT to False: all is a transaction that the project itself ends, and so are edits."""

from __future__ import annotations

import pytest

from tests.django.conftest import ON_ALL, Project

#: The edit is the first that this process does with its database, before Django has connected to it.
EDIT = """
from django.db import connection, transaction
from orders.jobs import look
from tickonce import every
from tickonce.contrib.django import scheduler
scheduler.add("kept", look, every("1h"))
transaction.{end}()
scheduler.add("left", look, every("1h"))
"""
LIST = """
from tickonce.contrib.django import scheduler
print("found", sorted(each.id for each in scheduler.schedules()))
"""


@ON_ALL
@pytest.mark.parametrize(("end", "found"), [("commit", ["kept"]), ("rollback", [])])
def test_an_edit_is_there_when_the_project_commits_and_not_before(project: Project, end: str, found: list[str]) -> None:
    project.manage("migrate", "-v0")
    project.set(autocommit="no")
    project.manage("shell", "-c", EDIT.format(end=end))
    project.set(autocommit="yes")
    assert f"found {found}" in project.manage("shell", "-c", LIST)
