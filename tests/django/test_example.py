"""The examples, started as their page says: workers killed and replaced, reminders added, edited, removed over HTTP."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.django.cafe import WORKERS, Cafe, need_uwsgi
from tests.embed.hosts import PATIENCE, alive, wait_for_nodes
from tests.embed.watching import LONGER, SECOND, TICKS, reload
from tests.servers import connect, wait_until
from tickonce import Scheduler

#: With an option more each, in ``make embed``. In the ordinary run they are watched with it, in test_watched.py.
MORE = [("django_gunicorn", "--preload"), ("django_uwsgi", "--lazy-apps")]


@pytest.fixture
def cafe(postgresql_database: str, tmp_path: Path) -> Cafe:
    return Cafe(postgresql_database, tmp_path)


@pytest.mark.chaos
@pytest.mark.timeout(180 + TICKS)
@pytest.mark.parametrize("words", [*((name,) for name in WORKERS), *(MORE if LONGER else [])], ids=" ".join)
def test_each_second_once_whatever_becomes_of_the_workers(cafe: Cafe, words: tuple[str, ...]) -> None:
    name, workers = words[0], WORKERS[words[0]]
    if name == "django_uwsgi":
        need_uwsgi()
    server = cafe.server(*words)

    def ask(path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{server.port}/{path}", method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def sent(name: str) -> int:
        return int(ask(f"reminders/{name}")["sent"])

    with Scheduler(cafe.url) as scheduler:
        with server:
            nodes = wait_for_nodes(scheduler, workers)
            ask("reminders/tea?every=1s", "POST")
            wait_until(lambda: sent("tea") >= 2, "two reminders", within=PATIENCE)
            os.kill(nodes[0].pid, signal.SIGKILL)
            ask("reminders/tea?every=2s", "PUT")
            before = sent("tea")
            wait_until(lambda: sent("tea") > before, "one more", within=PATIENCE)
            with pytest.raises(urllib.error.HTTPError):
                ask("reminders/tea?every=1s", "POST")  # it is there: neither row nor schedule is changed
            # A server that is to replace its workers while it forks one may lose its way.
            first = {node.id for node in nodes}
            wait_until(lambda: {node.id for node in alive(scheduler)} - first, "the next worker", within=PATIENCE)
            old = {node.id for node in scheduler.nodes()}
            reload(server)
            wait_until(
                lambda: len({node.id for node in alive(scheduler)} - old) >= workers, "new workers", within=PATIENCE
            )
            ask("reminders/tea", "DELETE")
            after = sent("tea")
            runs = max(TICKS, len(scheduler.runs(schedule_id="heartbeat").items) + 2)
            # While the run of the killed worker is open, a whole lease at most, there are skips instead.
            wait_until(
                lambda: len(scheduler.runs(schedule_id="heartbeat").items) >= runs,
                f"{runs} heartbeats",
                within=PATIENCE + TICKS * SECOND,
            )
            assert sent("tea") <= after + 1  # one may have been under way
            server.terminate()
        _judge(cafe, scheduler)


def _judge(cafe: Cafe, scheduler: Scheduler) -> None:
    """See each second of the heartbeat accounted for, once."""
    times = sorted(run.scheduled_time for run in scheduler.runs(schedule_id="heartbeat", limit=1000).items)
    assert len(times) >= TICKS
    assert len(set(times)) == len(times)
    # None is missing: while the killed worker's run was open, and where no worker was there for longer than the grace,
    # fires were skipped, which is on record.
    skips = scheduler.skips("heartbeat", limit=1000).items
    assert {skip.reason for skip in skips} <= {"overlap", "misfire"}
    span = (times[-1] - times[0]) // SECOND + 1
    assert len(times) + sum(skip.count for skip in skips if skip.first < times[-1]) == span
    # Each second that was launched has its row; that none was called twice is seen in test_watched.py.
    with connect(cafe.url) as connection:
        tokens = {token for (token,) in connection.cursor().execute("SELECT token FROM reminders_sent").fetchall()}
    ended = {run.token for run in scheduler.runs(schedule_id="heartbeat", states=["succeeded"], limit=1000).items}
    assert ended <= tokens
    assert len(ended) >= len(times) - 2  # what the killed one held, and what was handed back at the end


def test_it_passes_djangos_checks(cafe: Cafe) -> None:
    """On SQLite, as it is without a server."""
    cafe.environ = {}
    cafe.carry_out("python", "manage.py", "check", "--fail-level", "WARNING")
