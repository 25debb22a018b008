"""Where the store of a storm is, and what can be done to it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from sqlalchemy.engine import make_url

from tests.chaos.storm.plan import CLOCKS, COMMITS, NETWORK, NODE, SERVER, What
from tests.servers import CuttingProxy, PrivateServer
from tests.servers.plugin import KINDS as SERVERS

#: By a name that people use.
NAMES = {"postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql", "sqlite": "sqlite"}
_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "redis": 6379, "rediss": 6379}
#: Room for the file of a store, where it has a file system of its own.
_ROOM_MB = 96
#: How long a file may be where none may grow: long enough for a file of the ledger, too short for that of a store.
_MOST_BYTES = 32_768


class Site(ABC):
    """A store with its surroundings, for a number of nodes.

    Attributes:
        kinds: Faults that can be injected here.
        left_out: What cannot, and why; for people.
        proxies: The network of each node, and of whoever edits; empty for a file.
    """

    def __init__(self, nodes: int) -> None:
        self.kinds: tuple[What, ...] = (*NODE, What.ROLL)
        self.left_out: list[str] = []
        self.proxies: list[CuttingProxy] = []
        self._nodes = nodes
        self._stack = ExitStack()

    @property
    @abstractmethod
    def direct(self) -> str:
        """URL of the store for whoever judges, past all proxies."""

    def url(self, node: int) -> str:
        """URL of the store for a node; for whoever edits it is that of node -1."""
        return self.proxies[node].url(self.direct) if self.proxies else self.direct

    def harm(self, what: What, for_s: float, pids: Iterable[int]) -> None:
        """Harm the store for so long; it is well again when this returns.

        Args:
            what: How.
            for_s: Seconds.
            pids: The processes of the nodes.
        """
        raise NotImplementedError(what)

    @property
    def is_file(self) -> bool:
        """Whether the store is a file: then a stopped process may hold its lock."""
        return False

    def _connected(self, host: str, port: int) -> None:
        self.proxies = [self._stack.enter_context(CuttingProxy(host, port)) for _ in range(self._nodes + 1)]
        self.kinds = (*self.kinds, *NETWORK, *CLOCKS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


class ServerSite(Site):
    """A private server of a known kind."""

    def __init__(self, kind: str, nodes: int) -> None:
        super().__init__(nodes)
        self._server: PrivateServer = SERVERS[kind]()
        self._stack.enter_context(self._server)
        self._connected(self._server.host, self._server.port)
        self.kinds = (*self.kinds, *SERVER)

    @property
    def direct(self) -> str:
        return self._server.url

    def harm(self, what: What, for_s: float, pids: Iterable[int]) -> None:
        if what is What.SERVER_KILL:
            self._server.kill()
            time.sleep(for_s)
            self._server.start()
        else:
            self._server.pause()
            try:
                time.sleep(for_s)
            finally:
                self._server.resume()


class ForeignSite(Site):
    """Somebody's server, known by its URL alone: its network is harmed, it is not."""

    def __init__(self, url: str, nodes: int) -> None:
        super().__init__(nodes)
        self._url = url
        parts = make_url(url)
        port = parts.port or _PORTS.get(parts.get_backend_name())
        if port is None:
            raise ValueError(f"STORE: give host and port in the URL, got {parts.render_as_string()}")
        self._connected(parts.host or "127.0.0.1", port)
        self.left_out.append("faults of the server: it is not ours to kill or freeze")
        if parts.get_backend_name() not in NAMES:
            self.kinds = tuple(kind for kind in self.kinds if kind not in COMMITS)
            self.left_out.append("lost commits and their replies: COMMIT is the word of SQL")

    @property
    def direct(self) -> str:
        return self._url


class FileSite(Site):
    """A SQLite file; on a small file system of its own where we may mount one."""

    def __init__(self, nodes: int, folder: Path) -> None:
        super().__init__(nodes)
        self._place = folder / "store"
        self._place.mkdir()
        self._ballast = self._place / "ballast"
        self.left_out += [
            "faults of the network: a file has none",
            "faults of single clocks: all processes of a machine, and with them the store, have the same one",
        ]
        self.kinds = (*self.kinds, What.LOCK, What.FULL)
        self._small = self._mounted()
        if self._small:
            self._stack.callback(lambda: subprocess.run(["umount", "-l", self._place], check=False))
        else:
            self.left_out.append("a disk that is really full, which only root may have: files may not grow instead")

    @property
    def direct(self) -> str:
        return f"sqlite:///{self._place}/fleet.db"

    @property
    def is_file(self) -> bool:
        return True

    def harm(self, what: What, for_s: float, pids: Iterable[int]) -> None:
        with self._locked() if what is What.LOCK else self._filled() if self._small else _limited(pids):
            time.sleep(for_s)

    def _mounted(self) -> bool:
        if os.geteuid() != 0:
            return False
        command = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM_MB}m,mode=700", "tmpfs", str(self._place)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        connection = sqlite3.connect(self._place / "fleet.db", timeout=10, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    @contextmanager
    def _filled(self) -> Iterator[None]:
        """Let nothing more onto the file system, to the last byte."""
        with closing(sqlite3.connect(self._place / "fleet.db", timeout=1, isolation_level=None)) as connection:
            # What has been written ahead before could be written over without any room.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        try:
            with self._ballast.open("wb", buffering=0) as file:
                for size in (1 << 20, 4096):
                    with suppress(OSError):  # it is full
                        while file.write(b"\0" * size) == size:
                            pass
                yield
        finally:
            self._ballast.unlink(missing_ok=True)


@contextmanager
def _limited(pids: Iterable[int]) -> Iterator[None]:
    """Let those processes write nothing behind the first pages of any file."""
    changed = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            before = process.rlimit(psutil.RLIMIT_FSIZE)
            process.rlimit(psutil.RLIMIT_FSIZE, (_MOST_BYTES, before[1]))
            changed.append((process, before))
    try:
        yield
    finally:
        for process, before in changed:
            with suppress(psutil.NoSuchProcess):
                process.rlimit(psutil.RLIMIT_FSIZE, before)


def site_of(store: str, nodes: int, folder: Path) -> Site:
    """Return the site that *store* names: a kind of server or ``sqlite``, or the URL of a store that is there.

    Raises:
        ServerMissing: That kind of server is not installed.
        ValueError: It is neither.
    """
    if "://" in store:
        return ForeignSite(store, nodes)
    kind = NAMES.get(store)
    if kind is None:
        raise ValueError(f"STORE must be {', '.join(NAMES)} or a URL, got {store!r}")
    return FileSite(nodes, folder) if kind == "sqlite" else ServerSite(kind, nodes)
