"""The jobs of the web applications beside this file; they write to a ledger outside the store."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from tickonce import Scheduler, current_run, every

#: The file that lets the gated job end.
GATE = Path(os.environ["SHOP_LEDGER"] + ".gate")

scheduler = Scheduler(lease="4s", beat="1s", margin="1s")


def note(event: str) -> None:
    """Append one line, in one write: nothing here could hide a second call."""
    book = os.open(os.environ["SHOP_LEDGER"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        run = current_run()
        os.write(book, f"{event} {run.token} {os.getpid()}\n".encode())
    finally:
        os.close(book)


@scheduler.schedule(every("1s"), id="tick", misfire="all", overlap="allow")
def tick() -> None:
    note("call")


@scheduler.job(name="added")
def added() -> None:
    note("call")


@scheduler.job(name="long")
def long() -> None:
    """Take longer than anybody waits."""
    note("begin")
    current_run().sleep("60s")
    note("end")


@scheduler.job(name="self-told")
def self_told() -> None:
    """Have the signal that ends this process reach the thread that this runs in, once."""
    if current_run().attempt > 1:
        note("again")
        return
    note("begin")
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    time.sleep(60)


@scheduler.job(name="starts-others")
def start_others() -> None:
    """When the gate is opened, start processes and end them by SIGTERM."""
    note("begin")
    while not GATE.exists():
        time.sleep(0.02)
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    program = subprocess.Popen(["sleep", "60"])
    time.sleep(0.5)
    child.terminate()
    child.join(5)
    program.terminate()
    with suppress(subprocess.TimeoutExpired):
        program.wait(5)
    for code in (child.exitcode, program.poll()):
        if code == -signal.SIGTERM:
            note("ended")
    child.kill()
    program.kill()


@scheduler.job(name="gated")
def gated() -> None:
    """Run until the gate is opened."""
    note("begin")
    while not GATE.exists():
        current_run().sleep("20ms")
    note("end")
