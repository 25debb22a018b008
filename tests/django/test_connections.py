"""Servers that drop idle connections: jobs that use the ORM go on. What surrounds a job is Django's own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.django.conftest import Project
from tests.servers import connect
from tests.servers.databases import fresh_database
from tests.servers.plugin import private_server
from tests.servers.waiting import wait_until
from tickonce.model import RunState

#: A server ends what is idle for this long; runs come less often.
IDLE = {"mysql": {"wait_timeout": "2"}, "postgresql": {"idle_session_timeout": "2000"}}
BEATS = ("beat", "beat-async")


@pytest.mark.server
@pytest.mark.chaos
@pytest.mark.parametrize("kind", IDLE)
def test_a_server_that_drops_idle_connections_breaks_no_job(kind: str, tmp_path: Path) -> None:
    """CONN_MAX_AGE is None: Django keeps each connection for ever, and would find out in the job."""
    with private_server(kind, IDLE[kind]) as server, fresh_database(server.url) as url:
        project = Project(url, tmp_path)
        project.manage("migrate", "-v0")
        project.set({"slots": 2}, every="every 3s")
        with project.running("manage.py", "tickonce", "serve"):
            # A run that begins late may leave less than the idle time to the next: they are not counted in runs.
            wait_until(
                lambda: (
                    _connections(url, "beat@%") >= 3
                    and _connections(url, "told %") >= 3
                    and len(project.runs("beat-async", RunState.SUCCEEDED)) >= 3
                ),
                "connections that were made because the server had ended the one before",
                within=timedelta(seconds=60),
            )
            assert [run.error for each in BEATS for run in project.runs(each) if run.failures] == []
            assert "Traceback" not in project.log, "callbacks of events go on as well"
        with connect(url) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT DISTINCT zone, language FROM orders_seen WHERE zone <> ''")
            # Each job finds the project's zone and language, though the one before it has activated others.
            assert list(cursor.fetchall()) == [("Asia/Shanghai", "en")]


def _connections(url: str, tokens: str) -> int:
    """Return how many connections the ORM had in functions, each kept for ever if it were up to Django."""
    with connect(url) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT COUNT(DISTINCT backend) FROM orders_seen WHERE token LIKE %s", [tokens])
        (count,) = cursor.fetchone()
    return int(count)
