"""A WSGI application without any framework: it edits schedules over HTTP."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from shop_jobs import scheduler  # type: ignore[import-not-found]  # found where the server is started


def begin(job: str) -> None:
    scheduler.add(job, job, "every 1h", if_exists="keep")
    scheduler.run_now(job)


def take_long() -> None:
    Path(os.environ["SHOP_LEDGER"] + ".slow").touch()
    time.sleep(2)


EDITS: dict[str, Callable[[], object]] = {
    "/add": lambda: scheduler.add("extra", "added", "every 1s", misfire="all", overlap="allow"),
    "/edit": lambda: scheduler.update("extra", trigger="every 2s"),
    "/remove": lambda: scheduler.remove("extra"),
    "/long": lambda: begin("long"),
    "/slow": take_long,
    "/gated": lambda: begin("gated"),
    "/starts-others": lambda: begin("starts-others"),
    "/self-told": lambda: begin("self-told"),
}

if os.environ.get("SHOP_DECLARES"):  # so that there is a connection before workers are forked
    scheduler.declare()
if os.environ.get("SHOP_STARTS"):
    scheduler.start(after_fork=os.environ["SHOP_STARTS"])


def blocked() -> str:
    """Return, for each thread of the node, the mask of signals that do not come to it."""
    found = {}
    for thread in (thread for thread in threading.enumerate() if thread.name.startswith("tickonce")):
        status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
        found[thread.name] = next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk"))
    return "\n".join(f"{name} {mask}" for name, mask in found.items())


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/blocked":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [blocked().encode()]
    edit = EDITS.get(environ["PATH_INFO"])
    if edit is not None:
        edit()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {scheduler.alive}".encode()]
