"""One node process of a fault test: its jobs write to a ledger outside the store, a line a call, before all else."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path

from tickonce import Scheduler, current_run


def main(store: str, ledger: str, settings: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(threadName)s %(name)s %(levelname)s %(message)s")
    # One file a process, appended to with one write a line: nothing here could hide a second call.
    book = os.open(Path(ledger) / f"{os.getpid()}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    scheduler = Scheduler(store)

    @scheduler.job(name="note")
    def note(takes: float = 0.0) -> None:
        run = current_run()
        line = {
            "schedule": run.schedule_id,
            "at": run.scheduled_time.isoformat(),
            "source": run.source,
            "attempt": run.attempt,
            "node": run.node,
            "pid": os.getpid(),
            "wall": time.time(),
        }
        os.write(book, json.dumps(line).encode() + b"\n")
        if takes:
            time.sleep(takes)

    options = json.loads(settings)
    for number in range(options.pop("declare", 0)):
        scheduler.schedule(options.pop("trigger", "every 1h"), id=f"declared-{number}")(_idle)
    begin_at = options.pop("begin_at", None)
    if begin_at is not None:  # all processes declare at one instant, on an empty database
        time.sleep(max(0.0, begin_at - time.time()))
    scheduler.serve(**options)


def _idle() -> None:
    """Nothing."""


if __name__ == "__main__":
    main(*sys.argv[1:])
