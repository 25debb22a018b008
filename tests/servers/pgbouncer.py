"""PgBouncer of a test's own, in transaction mode, before a PostgreSQL server."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from tests.servers.private import PrivateServer, ServerMissing, directory_of


class PrivatePgBouncer(PrivateServer):
    """A pooler, awkward on purpose: few sessions for many clients, and each transaction in another one than the last.

    Args:
        behind: The URL of the PostgreSQL server; all its databases can be reached, as that URL's user.
        settings: Options in ``pgbouncer.ini``, over those set here.
    """

    kind = "pgbouncer"
    title = "PgBouncer"
    package = "pgbouncer"
    places = ("/usr/sbin", "/opt/homebrew/opt/pgbouncer/bin")
    accounts = ("postgres", "pgbouncer")
    quick_end = signal.SIGKILL
    clean_end = signal.SIGINT  # lets transactions end, and does not wait for idle clients

    def __init__(self, behind: str, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(settings)
        self._behind = make_url(behind)

    @classmethod
    def programs(cls) -> Path:
        found = directory_of("pgbouncer", cls.places)
        if found is None:
            raise ServerMissing("no pgbouncer in PATH nor in /usr/sbin")
        return found

    @property
    def url(self) -> str:
        return self.through(self._behind.render_as_string(hide_password=False))

    @property
    def console(self) -> str:
        """The URL of its own console, for ``SHOW POOLS`` and the like; not a database."""
        return f"postgresql://tickonce@{self.host}:{self.port}/pgbouncer"

    def through(self, url: str) -> str:
        """Return the URL by which a database of the server is reached through the pooler."""
        return make_url(url).set(host=self.host, port=self.port, password=None).render_as_string(hide_password=False)

    def past(self, url: str) -> str:
        """Return the URL by which a database is reached at the server itself."""
        return self._behind.set(database=make_url(url).database).render_as_string(hide_password=False)

    def spread(self, url: str, sessions: int = 4) -> None:
        """Open several of the server's sessions for a database, so that its transactions go from one to the next."""
        with ExitStack() as stack:
            for _ in range(sessions):
                stack.enter_context(closing(psycopg.connect(url))).execute("SELECT 1")  # each holds one meanwhile

    def show(self, what: str) -> list[dict[str, object]]:
        """Return what the console shows, a mapping a row."""
        # It has no transactions and takes only plain queries.
        with psycopg.connect(self.console, autocommit=True, row_factory=psycopg.rows.dict_row) as console:
            return list(psycopg.ClientCursor(console).execute(f"SHOW {what}").fetchall())

    def _create(self) -> None:
        self._files.write_text(f"{self._configuration()}\n", encoding="utf-8")

    def _configuration(self) -> str:
        behind = self._behind
        target = {
            "host": behind.host or "127.0.0.1",
            "port": str(behind.port or 5432),
            "user": behind.username or "postgres",
        }
        if behind.password:
            target["password"] = str(behind.password)
        own = {
            "listen_addr": self.host,
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "any",  # whoever comes; the server is reached as the user named above
            "admin_users": "tickonce",
            "pool_mode": "transaction",
            "default_pool_size": "8",
            "min_pool_size": "3",
            "server_round_robin": "1",  # by default the last used comes first, so that a lone client sees but one
            "max_client_conn": "1000",
        }
        lines = ["[databases]", f"* = {' '.join(f'{name}={value}' for name, value in target.items())}"]
        return "\n".join([*lines, "[pgbouncer]", *(f"{name} = {value}" for name, value in self._options(own))])

    def _command(self) -> list[str]:
        return [str(self._programs / "pgbouncer"), str(self._files)]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.console, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
