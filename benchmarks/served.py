"""The web application of a benchmark, and how Gunicorn serves it: ``gunicorn -c python:benchmarks.served``."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from tickonce import Scheduler
from tickonce.contrib.gunicorn import hooks

_given: dict[str, Any] = json.loads(os.environ["TICKONCE_BENCHMARK"])

scheduler = Scheduler(_given["store"], retention=None, **_given["settings"])

#: What a request computes with: it takes about a millisecond to write it as JSON.
_ROWS = [{"id": number, "name": f"shop-{number}", "open": True, "sales": number / 7} for number in range(400)]
#: How long a request waits, as it would for its database, in seconds.
_WAITS = 0.003


@scheduler.job(name="wait")
def wait() -> None:
    """Wait as a job does that asks somebody else."""
    time.sleep(_given["job_s"])


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Wait a little, compute a little; say whether a node lives here."""
    if environ["PATH_INFO"] == "/alive":
        body = json.dumps(scheduler.alive).encode()
    else:
        time.sleep(_WAITS)
        body = json.dumps(_ROWS).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


# -- what Gunicorn reads ---------------------------------------------------------------------------

wsgi_app = "benchmarks.served:application"
bind = f"127.0.0.1:{_given['port']}"
workers = _given["workers"]
worker_class = "gthread"
threads = 4
loglevel = "warning"
control_socket_disable = True  # two servers at once would share it
if _given["node"]:
    post_worker_init, worker_int, worker_exit = hooks("benchmarks.served:scheduler")
