"""One node process of a fault test: its jobs write to a ledger outside the store, before all else and when they end."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any, SupportsIndex

from tickonce import Scheduler, current_run
from tickonce.errors import StoreError

#: Exit code of a process that found no store when it started.
NO_STORE = 3


#: A file of the ledger is not much longer: a limit on the size of files is one of the faults, and is not meant for it.
_LONGEST = 16_384


class Book:
    """The ledger of this process: files of its own, appended to with one write a line. Nothing could hide a call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._files = 0
        self._left = 0
        self._file = -1

    def write(self, line: bytes) -> None:
        with self._lock:
            if self._left < len(line):
                if self._file >= 0:
                    os.close(self._file)
                path = self._folder / f"{os.getpid()}-{self._files:05}.jsonl"
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
                self._files += 1
                self._left = _LONGEST
            os.write(self._file, line)
            self._left -= len(line)


class Stumbled(Exception):
    """A job has failed as it was meant to."""


def main(store: str, ledger: str, settings: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(threadName)s %(name)s %(levelname)s %(message)s")
    if "faketime" in os.environ.get("LD_PRELOAD", ""):
        # libfaketime breaks the kernel's call that sleeps until a moment of the monotonic clock, which is Python's
        # time.sleep. Waiting for a lock goes another way and is left alone.
        time.sleep = _wait
    book = Book(Path(ledger))
    options = json.loads(settings)
    scheduler = Scheduler(store, release=options.pop("release", None))
    if options.pop("quiet", False):  # of jobs that fail as they are meant to
        logging.getLogger("tickonce.run").setLevel(logging.CRITICAL)

    def write(event: str, line: dict[str, Any]) -> None:
        line = {"event": event, **line, "wall": time.time(), "monotonic": time.monotonic()}
        book.write(json.dumps(line).encode() + b"\n")

    def began() -> dict[str, Any]:
        run = current_run()
        line = {
            "token": run.token,
            "schedule": run.schedule_id,
            "at": run.scheduled_time.isoformat(),
            "source": run.source,
            "attempt": run.attempt,
            "node": run.node,
            "pid": os.getpid(),
        }
        write("began", line)
        return line

    @scheduler.job(name="note")
    def note(takes: float = 0.0) -> None:
        line = began()
        if takes:
            time.sleep(takes)
        write("ended", line)

    @scheduler.job(name="pay")
    def pay(takes: float) -> None:
        """Have an effect in the store's own database, where nothing refuses a second one."""
        line = began()
        time.sleep(takes)
        with engine_of(store).begin() as connection, current_run().transaction(connection):
            connection.exec_driver_sql(f"INSERT INTO effects VALUES ('{line['token']}', {line['attempt']})")
        write("ended", line)

    @scheduler.job(name="stumble")
    def stumble() -> None:
        line = began()
        if line["attempt"] % 2:
            write("failed", line)
            raise Stumbled
        write("ended", line)

    for number in range(options.pop("declare", 0)):
        scheduler.schedule(options.pop("trigger", "every 1h"), id=f"declared-{number}")(_idle)
    for schedule_id, trigger in options.pop("declares", {}).items():
        scheduler.schedule(trigger, id=schedule_id, misfire="all", overlap="allow")(note)
    begin_at = options.pop("begin_at", None)
    if begin_at is not None:  # all processes declare at one instant, on an empty database
        time.sleep(max(0.0, begin_at - time.time()))
    try:
        scheduler.serve(**options)
    except StoreError as error:  # it could not even join: whoever supervises it tries again
        logging.getLogger("member").warning("no store: %s", error)
        sys.exit(NO_STORE)


@cache
def engine_of(store: str) -> Any:
    """Return what leads to the store's database by the driver that we use, too."""
    from sqlalchemy import create_engine  # here: most members have no use for it

    address = store.partition("?sync")[0]
    return create_engine(address.replace("postgresql:", "postgresql+psycopg:").replace("mysql:", "mysql+pymysql:"))


def _wait(seconds: float | SupportsIndex) -> None:
    threading.Event().wait(float(seconds))


def _idle() -> None:
    """Nothing."""


if __name__ == "__main__":
    main(*sys.argv[1:])
