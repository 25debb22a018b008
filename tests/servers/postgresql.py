"""PostgreSQL of a test's own."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import psycopg

from tests.servers.private import PrivateServer, ServerMissing, directory_of


class PrivatePostgreSQL(PrivateServer):
    """A PostgreSQL server, awkward on purpose: its time zone is not UTC, its order of text is not that of bytes."""

    kind = "postgresql"
    title = "PostgreSQL"
    package = "postgresql"
    places = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
    accounts = ("postgres",)
    quick_end = signal.SIGQUIT
    clean_end = signal.SIGINT

    @classmethod
    def programs(cls) -> Path:
        found = directory_of("initdb", cls.places)
        if found is None:
            raise ServerMissing("no initdb in PATH nor in /usr/lib/postgresql")
        return found

    @property
    def url(self) -> str:
        return f"postgresql://tickonce@{self.host}:{self.port}/postgres"

    def _create(self) -> None:
        linguistic = ["--locale-provider=icu", "--icu-locale=en"] if self._version() >= 15 else []
        self._run(
            [
                str(self._programs / "initdb"),
                f"--pgdata={self._files}",
                "--username=tickonce",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                *linguistic,
                "--no-sync",  # of the empty files alone; what is confirmed later is synced
            ]
        )

    def _command(self) -> list[str]:
        own = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "Asia/Kathmandu",
            "max_connections": "300",
            "shared_buffers": "64MB",
            "dynamic_shared_memory_type": "mmap",  # in its own directory: a kill leaves nothing in /dev/shm
        }
        options = [word for name, value in self._options(own) for word in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self._files), *options]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _version(self) -> int:
        said = subprocess.run([self._programs / "postgres", "--version"], check=True, capture_output=True, text=True)
        return int(said.stdout.split()[2].split(".")[0])
