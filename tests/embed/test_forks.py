"""Forks while a node is at work in the parent, and starts that do not wait for the store."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from tests.servers import wait_until
from tickonce import Scheduler, every
from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import ConfigError, NoStore, StoreUnavailable, WrongState
from tickonce.model import NodeState

#: Enough that some of them meet a thread inside SQLite.
FORKS = 40
PATIENCE_S = 20.0
PATIENCE = timedelta(seconds=PATIENCE_S)


@pytest.mark.chaos
def test_a_child_forked_from_a_busy_node_can_use_the_same_sqlite_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/fleet.db"
    with Scheduler(url) as scheduler:
        scheduler.job(name="idle")(_idle)
        scheduler.add("busy", "idle", every("50ms"), overlap="allow", misfire="all")
        scheduler.start()
        for _ in range(FORKS):
            assert _ended(_forked(scheduler, url)) == 0
        assert scheduler.alive


SHARED = """
    import os, subprocess, sys
    from tickonce import Scheduler

    url = sys.argv[1]

    def elsewhere(text):
        program = f"from tickonce import Scheduler\\nwith Scheduler({url!r}) as scheduler:\\n    {text}"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
        return done.stdout.strip()

    ready, go_on = os.pipe(), os.pipe()
    scheduler = Scheduler(url)
    scheduler.add("of-parent", "job", "every 1h")
    if sys.argv[2] == "node":
        scheduler.start()
    if not os.fork():
        scheduler.get("of-parent")
        os.write(ready[1], b".")
        os.read(go_on[0], 1)
        print(*(each.id for each in scheduler.schedules().items))
        scheduler.add("of-child", "job", "every 1h")
        print(elsewhere("print(*(each.id for each in scheduler.schedules().items))"), flush=True)
        os._exit(0)
    os.read(ready[0], 1)
    scheduler.close()  # and whoever closes the file next is the last one, but for the child
    elsewhere("scheduler.add('of-another', 'job', 'every 1h')")
    os.write(go_on[1], b".")
    os.wait()
"""


@pytest.mark.chaos
@pytest.mark.parametrize("of_parent", ["client", "node"])
def test_a_child_shares_an_sqlite_file_with_all_though_its_parent_had_it_open(of_parent: str, tmp_path: Path) -> None:
    """SQLite remembers its locks within the process; a child that inherits that remembers locks that it has not."""
    words = [sys.executable, "-c", dedent(SHARED), f"sqlite:///{tmp_path}/fleet.db", of_parent]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == ["of-another of-parent", "of-another of-child of-parent"], done.stderr


BEGINS = """
    import faulthandler, os, sys, threading, time
    from tickonce import Scheduler

    scheduler = Scheduler(sys.argv[1])
    if sys.argv[2] == "child":
        scheduler.start(wait=False, after_fork="start")
    else:
        threading.Thread(target=scheduler.start).start()
    time.sleep(float(sys.argv[3]))
    for _ in range(2):
        if not os.fork():
            faulthandler.dump_traceback_later(15, exit=True)
            while sys.argv[2] == "child" and not scheduler.alive:
                time.sleep(0.02)
            scheduler.schedules()
            scheduler.stop()
            os._exit(0)
    print(os.wait()[1], os.wait()[1], flush=True)
    scheduler.stop()
"""


@pytest.mark.chaos
@pytest.mark.parametrize("after", ["0.005", "0.1"])
@pytest.mark.parametrize("node_of", ["child", "parent"])
def test_a_child_forked_while_a_node_begins_is_whole(node_of: str, after: str, tmp_path: Path) -> None:
    """It would have half of a module that was just imported, or half of the tables that were just made."""
    words = [sys.executable, "-c", dedent(BEGINS), f"sqlite:///{tmp_path}/fleet.db", node_of, after]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "0 0\n", done.stderr


@pytest.mark.chaos
def test_a_child_and_its_child_each_have_a_node_of_their_own_where_that_is_wanted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/fleet.db"
    with Scheduler(url) as scheduler:
        scheduler.job(name="idle")(_idle)
        scheduler.start(after_fork="start")
        mine = scheduler.node_id
        read, write = os.pipe()

        def generation(more: int) -> None:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    wait_until(lambda: scheduler.alive, "the node of the child", within=PATIENCE)
                    os.write(write, f"{scheduler.node_id}\n".encode())
                    if more:
                        generation(more - 1)
                    code = int(not (scheduler.alive and scheduler.stop() and scheduler.node_id is None))
                finally:
                    os._exit(code)
            assert _ended(child) == 0

        generation(1)
        assert scheduler.alive
        assert scheduler.node_id == mine, "the parent's goes on as it was"
        ids = os.read(read, 1000).decode().split()
        assert len({mine, *ids}) == 3
        assert {node.id for node in scheduler.nodes() if node.state is NodeState.ALIVE} == {mine}
        scheduler.stop()
        child = os.fork()
        if child == 0:
            os._exit(int(scheduler._host._joining is not None))
        assert _ended(child) == 0, "a node that was stopped is not started again by a fork"


@pytest.mark.chaos
def test_a_child_ends_as_a_program_does_while_its_node_still_joins(tmp_path: Path) -> None:
    with Scheduler(f"sqlite:///{tmp_path}/fleet.db") as scheduler:
        scheduler.start(after_fork="start")
        for _ in range(5):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    scheduler.stop()
                    code = int(scheduler.node_id is not None)
                finally:
                    os._exit(code)
            assert _ended(child) == 0


def test_a_start_that_does_not_wait_joins_once_the_store_answers(tmp_path, monkeypatch, caplog) -> None:
    with Scheduler(f"sqlite:///{tmp_path}/fleet.db") as scheduler:
        store = scheduler.store
        prepare, asked = store.prepare, []

        def unreachable(*, make: bool = True) -> None:
            asked.append(make)
            if len(asked) < 2:
                raise StoreUnavailable("injected")
            prepare(make=make)

        monkeypatch.setattr(store, "prepare", unreachable)
        scheduler.start(wait=False)
        with pytest.raises(WrongState):
            scheduler.start()
        wait_until(lambda: scheduler.alive, "the node", within=PATIENCE)
        assert "tried again" in caplog.text
        assert scheduler.stop()
        scheduler.start()
        assert scheduler.alive


def test_a_start_that_does_not_wait_can_be_taken_back(tmp_path, monkeypatch) -> None:
    with Scheduler(f"sqlite:///{tmp_path}/fleet.db") as scheduler:
        asked = SYSTEM_CLOCK.signal()

        def unreachable(*, make: bool = True) -> None:
            asked.set()
            raise StoreUnavailable("injected")

        with monkeypatch.context() as patch:
            patch.setattr(scheduler.store, "prepare", unreachable)
            scheduler.start(wait=False)
            assert asked.wait(PATIENCE)
            scheduler.stop()
        assert scheduler.node_id is None
        scheduler.start()  # not in the way of this one
        assert scheduler.alive


def test_what_no_waiting_would_mend_is_told_at_once(monkeypatch) -> None:
    monkeypatch.delenv("TICKONCE_STORE", raising=False)
    with pytest.raises(NoStore):
        Scheduler().start(wait=False)
    with pytest.raises(ConfigError, match="after_fork must be"):
        Scheduler("memory:").start(after_fork="twice")  # type: ignore[arg-type]


def _idle() -> None:
    """Nothing."""


def _forked(scheduler: Scheduler, url: str) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            mine = scheduler.schedules().items  # the client that was inherited
            own = Scheduler(url).schedules().items
            code = int(not (len(mine) == len(own) == 1 and scheduler.node_id is None))
        finally:
            os._exit(code)
    return child


def _ended(child: int) -> int:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise TimeoutError("the child hangs")
