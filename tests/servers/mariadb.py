"""MariaDB of a test's own, or MySQL where that is what is installed."""

from __future__ import annotations

import signal
from pathlib import Path

import pymysql

from tests.servers.private import PrivateServer, ServerMissing, directory_of


class PrivateMariaDB(PrivateServer):
    """A MariaDB server, awkward on purpose: its time zone is not UTC, and its character set is its own default."""

    kind = "mysql"
    title = "MariaDB"
    package = "mariadb-server"
    places = ("/usr/sbin", "/usr/libexec", "/opt/homebrew/opt/mariadb*/bin", "/opt/homebrew/opt/mysql*/bin")
    accounts = ("mysql",)
    quick_end = signal.SIGKILL
    clean_end = signal.SIGTERM

    @classmethod
    def programs(cls) -> Path:
        found = directory_of("mariadbd", cls.places) or directory_of("mysqld", cls.places)
        if found is None:
            raise ServerMissing("no mariadbd or mysqld in PATH nor in /usr/sbin")
        return found

    @property
    def url(self) -> str:
        return f"mysql://tickonce@{self.host}:{self.port}/tickonce"

    @property
    def _daemon(self) -> Path:
        mariadb = self._programs / "mariadbd"
        return mariadb if mariadb.exists() else self._programs / "mysqld"

    @property
    def _first_words(self) -> Path:
        return self.directory / "first.sql"

    def _create(self) -> None:
        self._first_words.write_text(
            "CREATE USER IF NOT EXISTS tickonce@'%';\n"
            "GRANT ALL ON *.* TO tickonce@'%' WITH GRANT OPTION;\n"
            "CREATE DATABASE IF NOT EXISTS tickonce;\n"
        )
        if self._daemon.name == "mysqld":
            self._run([str(self._daemon), "--no-defaults", "--initialize-insecure", f"--datadir={self._files}"])
            return
        installer = directory_of("mariadb-install-db", (str(self._programs.parent / "bin"),))
        self._run(
            [
                str((installer or self._programs) / "mariadb-install-db"),
                "--no-defaults",
                f"--datadir={self._files}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",  # and with it the nameless user, who would be taken before ours
            ]
        )

    def _command(self) -> list[str]:
        own = {
            "datadir": str(self._files),
            "bind-address": self.host,
            "port": str(self.port),
            "socket": str(self.directory / "socket"),
            "pid-file": str(self.directory / "pid"),
            "init-file": str(self._first_words),
            "default-time-zone": "+05:45",
            "max-connections": "300",
            "innodb-buffer-pool-size": "64M",
        }
        return [
            str(self._daemon),
            "--no-defaults",
            "--skip-name-resolve",
            *(f"--{name}={value}" for name, value in self._options(own)),
        ]

    def _answers(self) -> bool:
        try:
            pymysql.connect(host=self.host, port=self.port, user="tickonce", connect_timeout=2, read_timeout=2).close()
        except pymysql.OperationalError:
            return False
        return True
