"""Processes whose threads are something else: gevent works, eventlet is refused; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

pytestmark = pytest.mark.chaos


def carried_out(text: str, *, store: str) -> str:
    """Run a program; return what it printed."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", dedent(text), store],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


WORKS = """
def works(scheduler):
    import threading, time
    done = []

    @scheduler.job(name="job")
    def job():
        time.sleep(0.3)
        done.append(threading.current_thread().name)

    def begin(number):
        scheduler.add(f"it-{number}", "job", "every 1h")
        scheduler.run_now(f"it-{number}")

    scheduler.start(wait=False)
    while not scheduler._host._lock.locked():  # while the node joins
        time.sleep(0.001)
    scheduler.stop()
    with scheduler.node(slots=20):
        began = time.monotonic()
        callers = [threading.Thread(target=begin, args=(number,)) for number in range(10)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        while len(done) < 10 and time.monotonic() - began < 30:
            time.sleep(0.02)
    states = [run.state for run in scheduler.runs().items]
    assert states == ["succeeded"] * 10, states
    print("worked")
"""


@pytest.mark.parametrize("when", ["first", "late"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_node_lives_on_gevent_however_late_it_came(when, kind, request, tmp_path):
    store = request.getfixturevalue("postgresql_database") if kind == "postgresql" else f"sqlite:///{tmp_path}/fleet.db"
    patch = "from gevent import monkey; monkey.patch_all()"
    text = [
        "import sys",
        patch if when == "first" else "",
        "from tickonce import Scheduler",
        "scheduler = Scheduler(sys.argv[1])",
        "scheduler.on('succeeded', print)",
        patch if when == "late" else "",
        WORKS,
        "works(scheduler)",
    ]
    assert "worked" in carried_out("\n".join(text), store=store)


def test_eventlet_is_refused_with_what_to_do_instead(tmp_path):
    text = """
    import sys, eventlet
    eventlet.monkey_patch()
    from tickonce import Scheduler
    from tickonce.errors import ConfigError
    scheduler = Scheduler(sys.argv[1])
    for begin in (scheduler.start, scheduler.serve):
        try:
            begin()
        except ConfigError as error:
            print(error)
    print(scheduler.schedules().items)
    """
    said = carried_out(text, store=f"sqlite:///{tmp_path}/fleet.db").splitlines()
    assert len(said) == 3
    assert "gunicorn -k gthread" in said[0]
    assert "tickonce serve" in said[1]
    assert said[2] == "()", "as a client it works"
