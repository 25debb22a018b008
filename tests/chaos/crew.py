"""Node processes for a fault test, started, killed, stopped and resumed by their process id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
#: How long anything here may take before the test gives up, in seconds.
PATIENCE_S = 60.0


class Crew:
    """The processes of one test.

    Attributes:
        ledger: Folder of the ledger, a file a process.
    """

    def __init__(self, store: str, folder: Path, **settings: Any) -> None:
        self.store, self.folder, self.settings = store, folder, settings
        self.ledger = folder / "ledger"
        self.ledger.mkdir()
        self.members: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for member in self.members:
            if member.poll() is None:
                member.send_signal(signal.SIGCONT)
                member.kill()
                member.wait()

    def start(self, number: int) -> None:
        for _ in range(number):
            self.spawn()

    def spawn(
        self, *, store: str | None = None, env: Mapping[str, str] | None = None, **settings: Any
    ) -> subprocess.Popen[bytes]:
        """Start one more member, with settings of its own over those of all, and return its process."""
        options = json.dumps({**self.settings, **settings})
        command = [sys.executable, str(HERE / "member.py"), store or self.store, str(self.ledger), options]
        with self.log(len(self.members)).open("wb") as log:
            # Warnings are errors here, too; and nothing of the tests' environment reaches the members.
            environment = {**os.environ, "PYTHONWARNINGS": "error", **(env or {})}
            self.members.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        return self.members[-1]

    def log(self, member: int) -> Path:
        """Return the file into which a member writes its log."""
        return self.folder / f"member-{member}.log"

    def send(self, member: int, number: signal.Signals) -> int:
        """Send a signal to a member; return its process id."""
        self.members[member].send_signal(number)
        return self.members[member].pid

    def stop_all(self) -> None:
        """Ask all to stop in order and see that they do."""
        for member in self.members:
            if member.poll() is None:
                member.terminate()
        for member in self.members:
            member.wait(timeout=PATIENCE_S)

    def joined(self) -> int:
        """How many members have said that they joined."""
        return sum(" joined: " in path.read_text(errors="replace") for path in self.folder.glob("member-*.log"))

    def logs(self) -> str:
        """What the members wrote, for a failure's message: warnings and worse."""
        lines = []
        for path in sorted(self.folder.glob("member-*.log")):
            text = path.read_text(errors="replace").splitlines()
            lines += [f"{path.stem}: {line}" for line in text if " INFO " not in line][:40]
        return "\n".join(lines)


def until(holds: Callable[[], bool], what: str, *, patience: float = PATIENCE_S, every: float = 0.1) -> None:
    """Wait for an event, with a deadline."""
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {patience:g} s")
        time.sleep(every)
