"""A place of one's own for each benchmark: a fresh database on a server, or a file; gone afterwards."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from tickonce import Scheduler, Trigger
from tickonce.model import bucket_of

Kind = Literal["postgresql", "mysql", "sqlite"]

_KINDS: dict[str, Kind] = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}
#: Rows sent at once when tables are filled.
_CHUNK = 1_000


@dataclass(frozen=True)
class Place:
    """A store for one benchmark, and a way around tickonce to look into it.

    Attributes:
        url: For tickonce.
        kind: Which database it is.
    """

    url: str
    kind: Kind

    @property
    def server(self) -> tuple[str, int] | None:
        """Host and port; None for a file."""
        if self.kind == "sqlite":
            return None
        parts = urlsplit(self.url)
        return parts.hostname or "localhost", parts.port or (5432 if self.kind == "postgresql" else 3306)

    def through(self, port: int) -> str:
        """Return the URL by way of *port* on this machine, without encryption."""
        parts = urlsplit(self.url)
        user, at, _ = parts.netloc.rpartition("@")
        plain = {"sslmode": "disable", "gssencmode": "disable"} if self.kind == "postgresql" else {}
        query = urlencode({**dict(parse_qsl(parts.query)), **plain})
        return parts._replace(netloc=f"{user}{at}127.0.0.1:{port}", query=query).geturl()

    def connect(self) -> Any:
        """Return a plain connection of the driver that commits each statement."""
        return _connect(self.url, self.kind)

    def value(self, statement: str) -> Any:
        """Return the first value that *statement* answers."""
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
        return None if row is None else row[0]

    def settle(self) -> None:
        """Let the server finish what it owes to what was done before, so that the next figure does not pay for it."""
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            match self.kind:
                case "postgresql":
                    cursor.execute("VACUUM ANALYZE")
                    cursor.execute("CHECKPOINT")
                case "mysql":
                    cursor.execute("ANALYZE TABLE tickonce_schedules, tickonce_runs")
                    cursor.fetchall()
                case "sqlite":
                    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def fill(
        self, ids: Sequence[str], job: str, trigger: Trigger, *, arguments: Callable[[int], str] | None = None
    ) -> None:
        """Store a schedule under each of *ids*: one through a Scheduler, the others as copies of its row.

        Args:
            arguments: JSON text of the arguments of each, by its number; else they have none.
        """
        with Scheduler(self.url, name="benchmark") as scheduler:
            scheduler.add("template", job, trigger, grace="1h")
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT * FROM tickonce_schedules WHERE id = 'template'")
            names = [item[0] for item in cursor.description]
            template = dict(zip(names, cursor.fetchone(), strict=True))
            cursor.execute("DELETE FROM tickonce_schedules WHERE id = 'template'")
            _insert(connection, self.kind, names, _copies(template, ids, arguments))


def place_kind(store: str) -> Kind:
    """Return which database *store* is a URL of."""
    scheme = urlsplit(store).scheme.partition("+")[0]
    if scheme not in _KINDS:
        raise ValueError(f"benchmarks need postgresql:, mysql: or sqlite:, got {scheme or store!r}")
    return _KINDS[scheme]


@contextmanager
def fresh(store: str) -> Iterator[Place]:
    """Make an empty database on the server of *store*, or a file of its own for ``sqlite:``; drop it at the end."""
    kind = place_kind(store)
    if kind == "sqlite":
        given = Path(unquote(urlsplit(store).path).removeprefix("/"))
        query = urlsplit(store).query
        # In the directory that was named, as that decides which disk is measured.
        folder = tempfile.mkdtemp(prefix="tickonce-bench-", dir=given.parent if given.name else None)
        try:
            yield Place(f"sqlite:///{folder}/bench.db{'?' + query if query else ''}", kind)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    name = f"tickonce_bench_{secrets.token_hex(4)}"
    with closing(_connect(store, kind)) as connection:
        connection.cursor().execute(f"CREATE DATABASE {name}")
    try:
        yield Place(urlsplit(store)._replace(path=f"/{name}").geturl(), kind)
    finally:
        with closing(_connect(store, kind)) as connection:
            _drop(connection.cursor(), kind, name)


def schema(place: Place) -> None:
    """Make the tables."""
    with Scheduler(place.url) as scheduler:
        scheduler.store.prepare()


def us_of(instant: datetime) -> int:
    """Return an instant in whole microseconds since 1970."""
    return round(instant.timestamp() * 1_000_000)


def _copies(
    template: dict[str, Any], ids: Iterable[str], arguments: Callable[[int], str] | None
) -> Iterator[tuple[Any, ...]]:
    definition = template["definition"]
    for number, schedule_id in enumerate(ids):
        changed = {"id": schedule_id, "bucket": bucket_of(schedule_id), "version": template["version"] + number}
        if arguments is not None:
            changed["definition"] = f'{{"arguments":{arguments(number)},{definition[1:]}'
        yield tuple({**template, **changed}.values())


def _insert(connection: Any, kind: Kind, names: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    columns = ", ".join(names)
    cursor = connection.cursor()
    if kind == "postgresql":
        with cursor.copy(f"COPY tickonce_schedules ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    mark = "?" if kind == "sqlite" else "%s"
    text = f"INSERT INTO tickonce_schedules ({columns}) VALUES ({', '.join([mark] * len(names))})"
    cursor.execute("BEGIN")
    while chunk := list(islice(rows, _CHUNK)):
        cursor.executemany(text, chunk)
    cursor.execute("COMMIT")


def _connect(store: str, kind: Kind) -> Any:
    parts = urlsplit(store)
    match kind:
        case "postgresql":
            import psycopg

            return psycopg.connect(_for_libpq(store), autocommit=True)
        case "mysql":
            import pymysql

            return pymysql.connect(
                host=parts.hostname or "localhost",
                port=parts.port or 3306,
                user=None if parts.username is None else unquote(parts.username),
                password=unquote(parts.password or ""),
                database=parts.path.lstrip("/") or None,
                charset="utf8mb4",
                autocommit=True,
            )
        case "sqlite":
            path = unquote(parts.path.removeprefix("/"))
            return sqlite3.connect(path, timeout=10, isolation_level=None)


def _for_libpq(store: str) -> str:
    parts = urlsplit(store)
    query = {name: value for name, value in parse_qsl(parts.query) if name not in ("schema", "prefix")}
    return parts._replace(scheme="postgresql", query=urlencode(query)).geturl()


def _drop(cursor: Any, kind: Kind, name: str) -> None:
    if kind == "postgresql":
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
        return
    import pymysql

    # An open transaction of a connection left behind would hold up the drop for good.
    cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name,))
    for (connection,) in cursor.fetchall():
        with suppress(pymysql.err.OperationalError):  # it has gone meanwhile
            cursor.execute(f"KILL {connection}")
    cursor.execute(f"DROP DATABASE {name}")


def wait_for(holds: Callable[[], bool], what: str, *, patience: float = 60.0, every: float = 0.02) -> None:
    """Wait until *holds*, with a deadline in seconds."""
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {patience:g} s")
        time.sleep(every)
