"""Processes of a benchmark: they speak JSON lines with us, and end when we do."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent
#: How long a process may take for an answer, in seconds.
PATIENCE = 120.0


class Member:
    """A process that carries out a module of this package. It is asked on its stdin and answers on its stdout."""

    def __init__(self, module: str, **settings: Any) -> None:
        command = [sys.executable, "-m", f"benchmarks.{module}", json.dumps(settings)]
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        self._name = module
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
        )
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def tell(self, what: str, **values: Any) -> None:
        """Ask for *what*, without waiting for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **values}).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self, patience: float = PATIENCE) -> dict[str, Any]:
        """Return the next answer."""
        try:
            line = self._answers.get(timeout=patience)
        except queue.Empty:
            raise TimeoutError(f"{self._name} process {self.pid} did not answer within {patience:g} s") from None
        if not line:
            raise RuntimeError(f"{self._name} process {self.pid} ended with code {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, what: str, **values: Any) -> dict[str, Any]:
        """Ask for *what*; return the answer."""
        self.tell(what, **values)
        return self.answer()

    def end(self) -> None:
        """See to it that it ends: in order when its stdin closes, else by its id."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._answers.put(line)
        self._answers.put(b"")


@contextmanager
def members(number: int, module: str, **settings: Any) -> Iterator[list[Member]]:
    """Start *number* processes of *module*, wait until each has said that it is ready, end them at last."""
    with ExitStack() as stack:
        started: list[Member] = []
        for _ in range(number):
            member = Member(module, **settings)
            stack.callback(member.end)
            started.append(member)
        for member in started:
            member.answer()
        yield started


class Parent:
    """The other end: what a process of a benchmark hears and says."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = json.loads(sys.argv[1])

    def say(self, **values: Any) -> None:
        """Answer."""
        sys.stdout.write(json.dumps(values) + "\n")
        sys.stdout.flush()

    def asked(self) -> Iterator[dict[str, Any]]:
        """Yield what is asked for, until the parent has no more to ask or is gone."""
        for line in sys.stdin:
            yield json.loads(line)
