"""The demo's node processes: started, killed, and none left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from tickonce.clock import SYSTEM_CLOCK

_STOP_WITHIN = timedelta(seconds=8)
_LOOK = timedelta(milliseconds=50)


@dataclass(slots=True)
class Process:
    """One node.

    Attributes:
        name: What it is called, in the store and in the ledger.
        log: What it wrote to stderr.
        killed: Whether the demo has killed it.
    """

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    killed: bool = False

    @property
    def ended(self) -> bool:
        """Whether it is gone, killed or not."""
        return self.popen.poll() is not None

    def last_words(self) -> str:
        """Return the end of its log."""
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])
        except OSError:
            return ""


class Processes:
    """Node processes for the length of a ``with`` block; at its end all of them are gone, whatever happens."""

    def __init__(self, *, store: str, folder: Path) -> None:
        self._store, self._folder = store, folder
        self.all: list[Process] = []

    def start(self, name: str) -> Process:
        """Start a node called *name*."""
        log = self._folder / f"{name}.log"
        # In a session of its own, so that Ctrl-C reaches only the demo, which then stops all in order. The pipe is
        # never written to: it ends when the demo does, and the node follows.
        with log.open("wb") as stderr:
            popen = subprocess.Popen(  # noqa: S603 - this very Python
                [sys.executable, "-m", "tickonce.cli.demo.node", name],
                env={**os.environ, "TICKONCE_STORE": self._store},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,  # without a meaning, and harmless, on Windows
            )
        process = Process(name, popen, log)
        self.all.append(process)
        return process

    @property
    def living(self) -> list[Process]:
        """Those that still run."""
        return [process for process in self.all if not process.ended]

    def kill(self, process: Process) -> None:
        """Kill a node with SIGKILL: it can say nothing any more, to nobody."""
        process.killed = True
        process.popen.kill()
        process.popen.wait()

    def stop(self) -> None:
        """Ask all to stop, wait, and kill what does not."""
        for process in self.living:
            process.popen.terminate()
        until = SYSTEM_CLOCK.monotonic() + _STOP_WITHIN
        while self.living and SYSTEM_CLOCK.monotonic() < until:
            SYSTEM_CLOCK.sleep(_LOOK)
        for process in self.all:
            if not process.ended:
                process.popen.kill()
            process.popen.wait()
            if process.popen.stdin is not None:
                process.popen.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:  # in a hurry: nobody waits for what still runs
            for process in self.living:
                process.popen.kill()
        self.stop()
