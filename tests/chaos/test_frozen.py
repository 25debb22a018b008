"""A process that is stopped in the midst of a step, with rows locked, and is never heard of again, or late."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from tickonce.clock import SYSTEM_CLOCK
from tickonce.model import RunState
from tickonce.stores import open_store
from tickonce.testing.contract.making import join, launch, make_schedule, row_of, runs_of

pytestmark = pytest.mark.chaos

#: What a server may take to end the transaction of a process that is stopped, and we to see it.
WITHIN = timedelta(seconds=13)

STOPPED_BEFORE_IT_WRITES = """
import os, signal, sys

from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import StoreError
from tickonce.stores import open_store
from tickonce.stores.sql import launching
from tickonce.testing.contract.making import join, launch, row_of

store = open_store(sys.argv[1], clock=SYSTEM_CLOCK)
join(store, "frozen")
write = launching._write

def stopped(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGSTOP)
    return write(*args, **kwargs)

launching._write = stopped
try:
    launch(store, row_of(store, "nightly"), node="frozen")
except StoreError as error:
    print(type(error).__name__)
"""


@contextmanager
def stopped_process(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has stopped itself with the schedule's row locked."""
    process = subprocess.Popen([sys.executable, "-c", STOPPED_BEFORE_IT_WRITES, url], stdout=subprocess.PIPE, text=True)
    try:
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("store_url", ["postgresql", "pgbouncer", "mysql"], indirect=True)
def test_a_process_stopped_in_the_midst_of_a_launch_gives_its_rows_back(store_url: str):
    store = open_store(store_url, clock=SYSTEM_CLOCK)
    store.prepare()
    join(store)
    row = make_schedule(store)
    with stopped_process(store_url) as process:
        assert launch(store, row).locked == ("nightly",)
        end = time.monotonic() + WITHIN.total_seconds()
        while not (claimed := launch(store, row, slots=1).claimed) and time.monotonic() < end:
            time.sleep(0.2)
            store.beat(next(node for node in store.nodes() if node.id == "node"))
        assert [run.schedule_id for run in claimed] == ["nightly"]
        process.send_signal(signal.SIGCONT)
        said, _ = process.communicate(timeout=20)
        assert said.strip() in ("StoreUnavailable", "")  # it learns that its transaction is gone, or that it lost
    (run,) = runs_of(store)
    assert (run.state, run.node, run.attempt) == (RunState.RUNNING, "node", 1)
    assert row_of(store, "nightly").version == row.version + 1
    store.close()
