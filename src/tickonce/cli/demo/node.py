"""One node of the demo, a program as users write it: ``python -m tickonce.cli.demo.node NAME``."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from tickonce import Jobs, Scheduler, current_run
from tickonce.cli.demo.ledger import Row, insert
from tickonce.clock import SYSTEM_CLOCK

#: Shorter than by default, so that a killed node's runs are carried out again while people still look.
LEASE, BEAT, MARGIN = "3s", "1s", "1s"

jobs = Jobs("demo.")
_open = build_opener(ProxyHandler({})).open  # a proxy knows nothing of this machine's loopback


@jobs.job
def fetch(url: str, ledger: str) -> int:
    """Fetch rows and note the tick in the ledger."""
    run = current_run()
    started_at = SYSTEM_CLOCK.wall()
    with _open(url, timeout=20) as answer:
        fetched = len(json.load(answer))
    node = (run.node or "").rsplit("-", 2)[0]
    insert(Path(ledger), Row(run.schedule_id, run.scheduled_time, run.attempt, node, started_at, fetched))
    return fetched


def main() -> None:
    """Be a node until SIGTERM, or until the demo that started this process is gone."""
    scheduler = Scheduler(name=sys.argv[1], lease=LEASE, beat=BEAT, margin=MARGIN)
    scheduler.include(jobs)

    def follow() -> None:
        # Ends when the demo does, however it ends. Not through sys.stdin, whose lock would be held at the end.
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, name="demo-follow", daemon=True).start()
    scheduler.serve(drain="5s")


if __name__ == "__main__":
    main()
