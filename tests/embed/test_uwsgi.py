"""uWSGI for real: a node in each worker, however workers come and go."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from tests.embed.hosts import BIN, PATIENCE, Server, alive, check_each_once, ledger, wait_for_nodes
from tests.embed.watching import LONGER, SECOND, open_the_gate, wait_for_calls, wait_for_the_gate, watch
from tests.servers import wait_until
from tickonce import Scheduler
from tickonce.contrib.uwsgi import attach
from tickonce.errors import ConfigError
from tickonce.model import Run, RunState

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]


@pytest.fixture(autouse=True)
def installed() -> None:
    """Leave the tests out where uWSGI could not be built, unless it is required."""
    if not (BIN / "uwsgi").exists():
        required = "uwsgi" in os.environ.get("TICKONCE_TEST_REQUIRE", "").split(",")
        (pytest.fail if required else pytest.skip)("uWSGI is not here: make servers, which needs a C compiler")


def uwsgi(folder: Path, store: str, *options: str, **more: str) -> Server:
    command = [str(BIN / "uwsgi"), "--http-socket", "127.0.0.1:{port}", "--master", "--enable-threads", "--die-on-term"]
    command += ["--module", "shop_uwsgi:application", "--need-app", "--home", str(BIN.parent), "--pythonpath", "."]
    return Server([*command, *options], store, folder, more=more)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/fleet.db"


@pytest.mark.parametrize("lazy", [False, True], ids=["", "lazy-apps"])
def test_each_second_once_over_eight_processes(lazy: bool, postgresql_database: str, tmp_path: Path) -> None:
    options = ["--processes", "8", *(["--lazy-apps"] if lazy else [])]
    # Without lazy-apps the connection that this makes is there before uWSGI forks, of which Python is not told.
    server = uwsgi(tmp_path, postgresql_database, *options, SHOP_DECLARES="yes")
    watch(server, postgresql_database, tmp_path, workers=8)
    for word in ("Traceback", "no node in this process yet"):
        assert word not in server.log


def test_cheaper_mode_comes_and_goes_with_its_workers(sqlite_url: str, tmp_path: Path) -> None:
    options = ["--processes", "4", "--cheaper", "1", "--cheaper-initial", "4", "--cheaper-algo", "manual"]
    with (
        uwsgi(tmp_path, sqlite_url, *options, "--master-fifo", str(tmp_path / "fifo")) as server,
        Scheduler(sqlite_url) as scheduler,
    ):
        wait_until(server.answers, "an answer", within=PATIENCE)
        wait_for_nodes(scheduler, 4)
        wait_for_calls(tmp_path, "tick", 2)
        for _ in range(2):
            (tmp_path / "fifo").write_text("-")  # one worker less
            wait_for_calls(tmp_path, "tick", len(ledger(tmp_path, "tick")) + 1)
        wait_for_nodes(scheduler, 2)
        (tmp_path / "fifo").write_text("+")
        wait_for_nodes(scheduler, 3)
        wait_for_calls(tmp_path, "tick", len(ledger(tmp_path, "tick")) + 2)
        server.terminate()
        assert alive(scheduler) == []
    check_each_once(ledger(tmp_path, "tick"), period=SECOND)


@pytest.mark.parametrize("number", [signal.SIGTERM, *([signal.SIGINT] if LONGER else [])])
def test_what_runs_when_uwsgi_is_told_to_end_ends_first(number: int, sqlite_url: str, tmp_path: Path) -> None:
    with uwsgi(tmp_path, sqlite_url, "--processes", "2") as server, Scheduler(sqlite_url) as scheduler:
        wait_until(server.answers, "an answer", within=PATIENCE)
        wait_for_nodes(scheduler, 2)
        server.get("/gated")
        wait_for_the_gate(tmp_path)
        server.send(number)
        wait_for_nodes(scheduler, 0)
        open_the_gate(tmp_path)
        server.ended()
        assert ledger(tmp_path, "gated", event="end")
        assert run_of(scheduler, "gated").state is RunState.SUCCEEDED


def test_a_worker_that_is_told_twice_still_leaves_in_order(sqlite_url: str, tmp_path: Path) -> None:
    """A reload while a worker is forked makes uWSGI tell all others twice; its own handler would end them at once."""
    with uwsgi(tmp_path, sqlite_url, "--processes", "1") as server, Scheduler(sqlite_url) as scheduler:
        wait_until(server.answers, "an answer", within=PATIENCE)
        (node,) = wait_for_nodes(scheduler, 1)
        server.get("/gated")
        wait_for_the_gate(tmp_path)
        os.kill(node.pid, signal.SIGHUP)
        wait_until(lambda: node.id not in {each.id for each in alive(scheduler)}, "it leaves", within=PATIENCE)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.kill(node.pid, number)
        open_the_gate(tmp_path)
        wait_until(lambda: ledger(tmp_path, "gated", event="end"), "the job has ended", within=PATIENCE)
        wait_for_nodes(scheduler, 1, but=[node.id])
        run = run_of(scheduler, "gated")
        assert (run.state, run.attempt) == (RunState.SUCCEEDED, 1)


def test_told_gracefully_a_worker_that_handles_a_request_leaves_in_order_too(sqlite_url: str, tmp_path: Path) -> None:
    """With ``die-on-term`` alone, uWSGI calls no exit hook of a worker that handles a request."""
    options = ["--processes", "2", "--hook-master-start", "unix_signal:15 gracefully_kill_them_all"]
    with uwsgi(tmp_path, sqlite_url, *options) as server, Scheduler(sqlite_url) as scheduler:
        wait_until(server.answers, "an answer", within=PATIENCE)
        wait_for_nodes(scheduler, 2)
        answers: list[str] = []
        asked = threading.Thread(target=lambda: answers.append(server.get("/slow")))
        asked.start()
        wait_until((tmp_path / "ledger.slow").exists, "the request is handled", within=PATIENCE)
        server.terminate()
        asked.join()
        assert answers, "it was answered"
        assert alive(scheduler) == []


def test_a_signal_that_reaches_the_thread_of_a_job_ends_the_worker_in_order(sqlite_url: str, tmp_path: Path) -> None:
    """The job cannot go on, since the worker ends within it: others carry its run out, and at once."""
    with uwsgi(tmp_path, sqlite_url, "--processes", "2") as server, Scheduler(sqlite_url) as scheduler:
        wait_until(server.answers, "an answer", within=PATIENCE)
        wait_for_nodes(scheduler, 2)
        server.get("/self-told")
        wait_until(lambda: ledger(tmp_path, "self-told", event="again"), "it is done again", within=PATIENCE)
        first = ledger(tmp_path, "self-told", event="begin")[0]
        run = run_of(scheduler, "self-told")
        assert (run.attempt, run.losses) == (2, 0), "it was handed back, not lost"
        assert not [node for node in alive(scheduler) if node.pid == first.pid]
        wait_for_nodes(scheduler, 2)  # the worker has ended, too, and uWSGI has begun another
        server.send(signal.SIGTERM)
        server.ended()
        assert alive(scheduler) == []


def test_what_a_job_starts_while_its_worker_ends_can_be_ended(sqlite_url: str, tmp_path: Path) -> None:
    with uwsgi(tmp_path, sqlite_url, "--processes", "1") as server, Scheduler(sqlite_url) as scheduler:
        wait_until(server.answers, "an answer", within=PATIENCE)
        wait_for_nodes(scheduler, 1)
        server.get("/starts-others")
        wait_until(lambda: ledger(tmp_path, "starts-others", event="begin"), "the job runs", within=PATIENCE)
        server.send(signal.SIGTERM)
        wait_for_nodes(scheduler, 0)
        open_the_gate(tmp_path)
        server.ended()
        assert len(ledger(tmp_path, "starts-others", event="ended")) == 2, "a child that was forked, and a program"


def test_what_outlasts_the_mercy_is_handed_back_in_time(sqlite_url: str, tmp_path: Path) -> None:
    options = ["--processes", "1", "--worker-reload-mercy", "5"]
    with uwsgi(tmp_path, sqlite_url, *options) as server, Scheduler(sqlite_url) as scheduler:
        wait_until(server.answers, "an answer", within=PATIENCE)
        nodes = wait_for_nodes(scheduler, 1)
        server.get("/long")
        wait_until(lambda: ledger(tmp_path, "long", event="begin"), "the job runs", within=PATIENCE)
        server.send(signal.SIGHUP)
        wait_for_nodes(scheduler, 1, but=[node.id for node in nodes])
        wait_until(lambda: run_of(scheduler, "long").attempt == 2, "the next worker carries it out", within=PATIENCE)
        assert run_of(scheduler, "long").losses == 0, "it was handed back, not lost"


def test_signals_that_end_a_worker_do_not_come_to_the_threads_of_its_node(sqlite_url: str, tmp_path: Path) -> None:
    """UWSGI stops the node in whichever thread they reach. Jobs, and what they start, hear them as ever."""
    with uwsgi(tmp_path, sqlite_url, "--processes", "1") as server, Scheduler(sqlite_url) as scheduler:
        wait_until(server.answers, "an answer", within=PATIENCE)
        wait_for_nodes(scheduler, 1)
        server.get("/gated")
        wait_until(lambda: ledger(tmp_path, "gated", event="begin"), "the job runs", within=PATIENCE)
        masks = {name: int(mask, 16) for name, mask in map(str.split, server.get("/blocked").splitlines())}
        ending = sum(1 << (number - 1) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM))
        for loop in ("beat", "tick", "work", "upkeep", "listen"):
            assert masks.pop(f"tickonce-{loop}") & ending == ending
        assert masks, "the job's own thread is left"
        assert not any(mask & ending for mask in masks.values())
        open_the_gate(tmp_path)


def run_of(scheduler: Scheduler, id: str) -> Run:
    return scheduler.runs(schedule_id=id).items[0]


def test_without_threads_it_says_so_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """UWSGI since 2.0.28 always has threads; older ones, such as Debian's 2.0.21, need to be told."""
    module = ModuleType("uwsgi")
    module.has_threads = 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    for begin in (attach, Scheduler.start):
        with pytest.raises(ConfigError, match="enable-threads = true"):
            begin(Scheduler("memory:"))


def test_what_is_open_before_uwsgi_forks_is_closed(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    """SQLite's log would be taken away from under the workers, which think that they have its file locked."""
    module = ModuleType("uwsgi")
    module.has_threads, module.worker_id = 1, lambda: 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    with Scheduler(sqlite_url) as scheduler:
        scheduler.add("one", "job", "every 1h")
        assert opened(sqlite_url)
        assert attach(scheduler)
        assert not opened(sqlite_url)
        assert scheduler.get("one").id == "one"


def opened(url: str) -> bool:
    path = url.removeprefix("sqlite:///")
    return any(each.path == path for each in psutil.Process().open_files())


def test_elsewhere_there_is_nothing_to_attach_to() -> None:
    assert attach(Scheduler("memory:")) is False
