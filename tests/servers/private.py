"""A database server of a test's own, to be stopped, killed and paused as the test likes."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, ClassVar, Self

import psutil

from tests.servers.waiting import free_port, wait_until

_START = timedelta(seconds=60)
_STOP = timedelta(seconds=30)

# Ends the server when this process is gone without having said so: killed, or crashed. It waits for a line
# on a pipe that the kernel closes with us.
_GUARD = 'read -r word; [ "$word" = done ] || { kill -"$2" "$1"; kill -CONT "$1"; }'


class ServerMissing(Exception):
    """The programs of a database server are not installed here."""


class ServerFailed(Exception):
    """A server that is installed did not start; the message ends with the end of its log."""


class PrivateServer(ABC):
    """A server on a free port of the loopback, its files in a directory of their own.

    Made without being started; as a context manager it is started, and closed in the end. After `stop` or
    `kill`, `start` brings it back on the same port with all that it had confirmed.

    Args:
        settings: Options of the server by name, over those set here. Durability is on unless they turn it off.

    Attributes:
        host: Where it listens.
        port: The port; the same through its whole life.
        directory: Its files; removed by `close`.

    Raises:
        ServerMissing: It is not installed.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    package: ClassVar[str]  # what Debian calls it
    places: ClassVar[Sequence[str]]  # where programs lie that are not in PATH
    accounts: ClassVar[Sequence[str]]  # whom to run as instead of root
    quick_end: ClassVar[signal.Signals]  # ends it at once, without leaving anything of its own behind
    clean_end: ClassVar[signal.Signals]

    host = "127.0.0.1"

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._programs = self.programs()
        self._settings = dict(settings or {})
        self._account = next(filter(_known, (*self.accounts, "nobody"))) if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="tickonce-"))
        if self._account:
            shutil.chown(self.directory, self._account)

    # -- what a kind of server says of itself ------------------------------------------------------

    @classmethod
    @abstractmethod
    def programs(cls) -> Path:
        """Return the directory of its programs, or raise ServerMissing."""

    @property
    @abstractmethod
    def url(self) -> str:
        """A URL that may create databases."""

    @abstractmethod
    def _create(self) -> None:
        """Make the files of a new, empty server."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command that runs it in the foreground."""

    @abstractmethod
    def _answers(self) -> bool:
        """Say whether it takes connections."""

    # -- its life ----------------------------------------------------------------------------------

    @property
    def log(self) -> str:
        """All that the server has written so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """The process that the server's other processes descend from."""
        if self._process is None:
            raise RuntimeError(f"{self.title} is not running; start() it")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process exists, paused or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        if self.running:
            raise RuntimeError(f"{self.title} is running already")
        self._ended()
        if not self._files.exists():
            self._create()
        with self._log.open("ab") as log:
            self._process = self._spawn(self._command(), log=log)
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", str(self.pid), self.quick_end.name.removeprefix("SIG")],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        wait_until(lambda: not self.running or self._answers(), f"{self.title} to answer", within=_START)
        if not self.running:
            self._ended()
            raise ServerFailed(f"{self.title} ended at its start; its log ends with:\n{self.log[-2000:]}")

    def stop(self) -> None:
        """Shut it down as its own service script would; clients are cut off."""
        self._end(self.clean_end)

    def kill(self) -> None:
        """Kill it and all its processes in one moment, as a crash of the machine would."""
        self.pause()
        descendants = self._descendants()
        for process in (psutil.Process(self.pid), *descendants):
            _tell(process, signal.SIGKILL)
        self._ended()
        # PostgreSQL does not start again while one of them still holds the old shared memory.
        wait_until(lambda: not any(map(_alive, descendants)), f"the processes of {self.title} to end")

    def pause(self) -> None:
        """Freeze it: connections stay open, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)  # first, so that none of the others is born meanwhile
        for process in self._descendants():
            _tell(process, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after a `pause`."""
        for process in self._descendants():
            _tell(process, signal.SIGCONT)
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it, if it runs, and remove its files."""
        if self.running:
            self._end(self.quick_end)
        self._ended()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the inside --------------------------------------------------------------------------------

    @property
    def _files(self) -> Path:
        return self.directory / "files"

    @property
    def _log(self) -> Path:
        return self.directory / "log"

    def _spawn(self, command: list[str], *, log: BinaryIO) -> subprocess.Popen[bytes]:
        account = self._account
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=self.directory,
            # MariaDB, when it starts, removes there what it takes for its own leavings: those of another, too.
            env={**os.environ, "TMPDIR": str(self.directory)},
            start_new_session=True,  # Ctrl-C in the terminal is for the tests, which then stop it in order
            user=account,
            group=pwd.getpwnam(account).pw_gid if account else None,
            extra_groups=[] if account else None,
        )

    def _run(self, command: list[str]) -> None:
        """Run a program of the server to its end, as the server's account."""
        with self._log.open("ab") as log:
            if self._spawn(command, log=log).wait() != 0:
                raise ServerFailed(f"{' '.join(command)} failed:\n{self.log[-2000:]}")

    def _options(self, own: Mapping[str, str]) -> Iterable[tuple[str, str]]:
        return {**own, **self._settings}.items()

    def _end(self, how: signal.Signals) -> None:
        self.resume()
        os.kill(self.pid, how)
        try:
            wait_until(lambda: not self.running, f"{self.title} to shut down", within=_STOP)
        except TimeoutError:
            self.kill()
        self._ended()

    def _ended(self) -> None:
        """Take note that the process is gone, if there was one; only now may its id be another's."""
        if self._process is not None:
            self._process.wait()
        if self._guard is not None:
            self._guard.communicate(b"done\n")
        self._process = self._guard = None

    def _descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children(recursive=True)


def directory_of(program: str, places: Iterable[str]) -> Path | None:
    """Return where *program* lies: in PATH, else in the place with the highest version in its name."""
    if found := shutil.which(program):
        return Path(found).resolve().parent
    found_in = [path for place in places for path in Path("/").glob(place.lstrip("/")) if (path / program).exists()]
    return max(found_in, key=lambda path: [int(number) for number in re.findall(r"\d+", str(path))], default=None)


def _known(account: str) -> bool:
    try:
        pwd.getpwnam(account)
    except KeyError:
        return False
    return True


def _tell(process: psutil.Process, what: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):  # it ended by itself
        process.send_signal(what)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
