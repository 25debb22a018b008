"""What each web server has to show, whatever its kind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from tests.embed.hosts import PATIENCE, Server, alive, check_each_once, ledger, wait_for_nodes
from tests.servers import wait_until
from tickonce import Scheduler

SECOND = timedelta(seconds=1)
#: Whether each kind of server is watched longer, in more forms: ``make embed``.
LONGER = "TICKONCE_EMBED_SECONDS" in os.environ
#: How many ticks are watched at least.
TICKS = int(os.environ.get("TICKONCE_EMBED_SECONDS", "6"))
#: How often many workers declare in an empty database at the same moment.
ROUNDS = int(os.environ.get("TICKONCE_EMBED_ROUNDS", "0"))


def reload(server: Server) -> None:
    """Replace all workers, as Gunicorn, uWSGI and uvicorn do at SIGHUP."""
    server.send(signal.SIGHUP)


def watch(
    server: Server,
    store: str,
    folder: Path,
    *,
    workers: int,
    beside: Sequence[Server] = (),
    replace: Callable[[Server], None] | None = reload,
    kill: bool = True,
) -> None:
    """See each second called once, while a schedule is edited over HTTP, a worker is killed, and all are replaced.

    Args:
        workers: How many there are, those of all servers together.
        beside: More servers on the same store: a worker of each is killed, and each replaces its own.
        replace: Replaces the workers of a server; None where it cannot.
        kill: Whether a worker is killed.
    """
    servers = [server, *beside]
    killed: list[int] = []
    with Scheduler(store) as scheduler, ExitStack() as running:
        for each in servers:
            running.enter_context(each)
        _wait_for_answers(servers)
        nodes = wait_for_nodes(scheduler, workers)
        assert {node.pid for node in nodes} <= {process.pid for each in servers for process in each.family}
        server.get("/add")
        wait_for_calls(folder, "extra", 2)
        if kill:
            for each in servers:
                of_it = {process.pid for process in each.family}
                killed.append(next(node.pid for node in nodes if node.pid in of_it))
                os.kill(killed[-1], signal.SIGKILL)
            # A server that is to replace its workers while it forks one may lose its way.
            nodes = wait_for_nodes(scheduler, workers, but=[node.id for node in nodes if node.pid in killed])
        servers[-1].get("/edit")
        wait_for_calls(folder, "extra", len(ledger(folder, "extra")) + 1)
        if replace is not None:
            for each in servers:
                replace(each)
        _wait_for_answers(servers)
        server.get("/remove")
        if replace is not None:
            wait_for_nodes(scheduler, workers, but=[node.id for node in nodes])
        wait_for_calls(folder, "tick", max(TICKS, len(ledger(folder, "tick")) + 2))
        for each in servers:
            each.terminate()
        assert alive(scheduler) == [], "every worker has said that it leaves"
    check_each_once(ledger(folder, "tick"), period=SECOND, killed=killed)
    extra = [line.token for line in ledger(folder, "extra") if line.pid not in killed]
    assert len(extra) == len(set(extra))


def wait_for_calls(folder: Path, schedule_id: str, count: int) -> None:
    """Wait until the ledger has *count* calls for a schedule."""
    within = PATIENCE + max(0, count - len(ledger(folder, schedule_id))) * SECOND
    wait_until(lambda: len(ledger(folder, schedule_id)) >= count, f"{count} calls of {schedule_id}", within=within)


def wait_for_the_gate(folder: Path) -> None:
    """Wait until the gated job runs."""
    wait_until(lambda: ledger(folder, "gated", event="begin"), "the gated job runs", within=PATIENCE)


def open_the_gate(folder: Path) -> None:
    """Let the gated job end."""
    (folder / "ledger.gate").touch()


def _wait_for_answers(servers: Sequence[Server]) -> None:
    for each in servers:
        wait_until(each.answers, f"an answer of {each.name}", within=PATIENCE)
