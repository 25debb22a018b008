"""How many connections a process has: the figures that the documentation states, counted at the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.chaos.crew import Crew, until
from tests.servers import PrivatePgBouncer, connect
from tickonce import Scheduler, every
from tickonce.model import NodeState

#: Of a node, and of a process that is only a client.
STATED = {"postgresql": (4, 1), "mysql": (3, 1), "pgbouncer": (3, 1)}
WATCHED_S = 6.0

pytestmark = [pytest.mark.chaos, pytest.mark.server]


@pytest.fixture(params=STATED)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(request: pytest.FixtureRequest, kind: str) -> str:
    return str(request.getfixturevalue(f"{kind}_database"))


@pytest.fixture
def count(request: pytest.FixtureRequest, kind: str, url: str) -> Iterator[Callable[[], int]]:
    """A function that counts the connections to the test's database, the test's own left out."""
    name = url.rpartition("/")[2]
    if kind == "pgbouncer":
        pooler: PrivatePgBouncer = request.getfixturevalue("pgbouncer")
        yield lambda: sum(client["database"] == name for client in pooler.show("CLIENTS"))
        return
    text = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
        "mysql": "SELECT count(*) FROM information_schema.processlist WHERE db = %s AND id <> connection_id()",
    }[kind]
    with closing(connect(url, autocommit=True)) as raw, raw.cursor() as cursor:

        def counted() -> int:
            cursor.execute(text, (name,))
            return int(cursor.fetchone()[0])

        yield counted


def test_a_process_has_as_many_connections_as_is_stated(
    kind: str, url: str, count: Callable[[], int], tmp_path: Path
) -> None:
    of_node, of_client = STATED[kind]
    with Crew(url, tmp_path, slots=20, lease="6s", beat="2s") as crew:
        with Scheduler(url) as client:
            client.open()
            for number in range(30):
                client.add(f"tick-{number}", "note", every("1s"), kwargs={"takes": 0.3}, overlap="allow")
            assert client.schedules(limit=100).items
            assert count() == of_client
        until(lambda: count() == 0, "the client to give its connection back")
        crew.start(1)
        until(lambda: count() == of_node, "a node to have all its connections")
        assert _most(count) == of_node  # under load: 30 runs a second
        with Scheduler(url) as client:
            ended = client.runs(states=["succeeded"], limit=200).items
            for schedule in client.schedules(limit=100).items:
                client.pause(schedule.id, reason="quiet now")
        assert len(ended) > 30
        until(lambda: count() == of_node, "the client to be gone")
        assert _most(count) == of_node  # idle
        crew.start(1)
        until(lambda: count() == 2 * of_node, "two nodes to have all their connections")
        with Scheduler(url) as client:
            until(lambda: sum(node.state is NodeState.ALIVE for node in client.nodes()) == 2, "two nodes alive")
        crew.stop_all()
        until(lambda: count() == 0, "all connections to be given back")


def _most(count: Callable[[], int], *, watched: timedelta = timedelta(seconds=WATCHED_S)) -> int:
    """Return the greatest number seen for a while, longer than any loop of a node sleeps."""
    end = time.monotonic() + watched.total_seconds()
    most = 0
    while time.monotonic() < end:
        most = max(most, count())
        time.sleep(0.02)
    return most
