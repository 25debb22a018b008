"""Web servers for real, with the applications in ``site/``, and the ledger that their jobs write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.servers import wait_until
from tests.servers.waiting import free_port
from tickonce import Scheduler
from tickonce.model import Node, NodeState

SITE = Path(__file__).parent / "site"
BIN = Path(sys.executable).parent
PATIENCE = timedelta(seconds=40)


@dataclass
class Server:
    """A web server with its workers.

    Attributes:
        command: What starts it; ``{port}`` in it stands for the port that it is to listen on.
        store: URL of the fleet's store.
        folder: For its log and the ledger.
        cwd: Where the application is.
        more: More environment.
    """

    command: list[str]
    store: str
    folder: Path
    cwd: Path = SITE
    more: dict[str, str] = field(default_factory=dict)
    name: str = "server"

    def __post_init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for member in self.family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        if self.process is not None:
            self.process.wait()
        if error is not None:
            error.add_note(f"--- log of {self.name}\n{self.log}")

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start it; return at once."""
        words = [word.format(port=self.port) for word in self.command]
        environment = {
            **os.environ,
            "TICKONCE_STORE": self.store,
            "SHOP_LEDGER": str(self.folder / "ledger"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{BIN}:{os.environ['PATH']}",
            **self.more,
        }
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(words, cwd=self.cwd, env=environment, stdout=log, stderr=log)
        return self

    def send(self, number: int) -> None:
        """Send a signal to the first process of the server."""
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self, within: timedelta = PATIENCE) -> int:
        """Wait for its end; return its exit code."""
        assert self.process is not None
        return self.process.wait(within.total_seconds())

    def terminate(self, within: timedelta = PATIENCE) -> int:
        """Ask it to go, and wait for that."""
        self.send(signal.SIGTERM)
        return self.ended(within)

    # -- what it shows -------------------------------------------------------------------------

    @property
    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text(errors="replace")

    @property
    def main(self) -> psutil.Process | None:
        assert self.process is not None
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid)
        return None

    @property
    def workers(self) -> list[psutil.Process]:
        """Its child processes."""
        main = self.main
        with suppress(psutil.NoSuchProcess):
            return [] if main is None else main.children(recursive=True)
        return []

    @property
    def family(self) -> list[psutil.Process]:
        """All its processes."""
        return [process for process in (self.main, *self.workers) if process is not None]

    def get(self, path: str = "/") -> str:
        """Return the answer to a request."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return str(answer.read().decode())

    def answers(self) -> bool:
        """Whether it serves."""
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} has ended:\n{self.log}"
        with suppress(OSError):
            self.get()
            return True
        return False

    def wait_for(self, what: str) -> None:
        """Wait until *what* is in its log."""
        wait_until(lambda: what in self.log, f"{what!r} in the log of {self.name}", within=PATIENCE)


def alive(scheduler: Scheduler) -> list[Node]:
    """Return the nodes that are alive."""
    return [node for node in scheduler.nodes() if node.state is NodeState.ALIVE]


def wait_for_nodes(scheduler: Scheduler, count: int, *, but: Iterable[str] = ()) -> list[Node]:
    """Wait until exactly *count* nodes are alive, none of *but* among them; return them."""
    without = set(but)

    def there() -> bool:
        ids = {node.id for node in alive(scheduler)}
        return len(ids) == count and not ids & without

    wait_until(there, f"{count} nodes alive", within=PATIENCE)
    return alive(scheduler)


@dataclass(frozen=True)
class Line:
    """A line of the ledger."""

    event: str
    token: str
    pid: int

    @property
    def schedule_id(self) -> str:
        return self.token.partition("@")[0]

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.token.partition("@")[2])


def ledger(folder: Path, schedule_id: str, *, event: str = "call") -> list[Line]:
    """Return what was written for a schedule."""
    path = folder / "ledger"
    lines = path.read_text().splitlines() if path.exists() else []
    found = [Line(words[0], words[1], int(words[2])) for words in map(str.split, lines)]
    return [line for line in found if line.schedule_id == schedule_id and line.event == event]


def check_each_once(lines: list[Line], *, period: timedelta, killed: Iterable[int] = ()) -> None:
    """Fail unless each fire from the first to the last was called, and called once.

    A process that was killed may have been in the midst of a run, which is then carried out once more.
    """
    gone = set(killed)
    times = sorted({line.at for line in lines})
    assert times, "nothing was launched"
    wanted = [times[0] + number * period for number in range((times[-1] - times[0]) // period + 1)]
    assert times == wanted, f"missed: {sorted(set(wanted) - set(times))}"
    calls = Counter(line.token for line in lines if line.pid not in gone)
    assert not [token for token, count in calls.items() if count > 1], calls
