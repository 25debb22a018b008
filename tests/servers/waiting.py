"""Waiting for what another process does, and ports to meet it on."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

_STEP = timedelta(milliseconds=20)


def wait_until(condition: Callable[[], object], what: str, *, within: timedelta = timedelta(seconds=30)) -> None:
    """Return once *condition* is true; raise TimeoutError naming *what* when it was not true *within* that time."""
    end = time.monotonic() + within.total_seconds()
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {within.total_seconds():g} s for {what}")
        time.sleep(_STEP.total_seconds())


def free_port() -> int:
    """Return a port of the loopback that nothing listens on and that the kernel hands to nobody.

    A port the kernel gives out itself (bind to 0) lies among those of outgoing connections: while a server is
    down for a test, a client that tries again and again is sooner or later given that very port, connects to
    itself, and keeps the server from coming back.
    """
    lowest_outgoing = _lowest_outgoing_port()
    while True:
        port = random.randrange(max(1024, lowest_outgoing - 12_000), lowest_outgoing)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _lowest_outgoing_port() -> int:
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return 32_768
    return lowest if lowest >= 2_048 else 32_768  # all ports are outgoing ones here: the usual range will do
