"""Where a SQL store is: its URL taken apart, and the names of its tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from tickonce.errors import ConfigError

#: By scheme of a URL: the dialect, and the names of its driver that may stand behind a plus.
SCHEMES: Mapping[str, tuple[str, frozenset[str]]] = {
    "sqlite": ("sqlite", frozenset({"", "pysqlite"})),
    "postgresql": ("postgresql", frozenset({"", "psycopg"})),
    "postgres": ("postgresql", frozenset({"", "psycopg"})),
    "mysql": ("mysql", frozenset({"", "pymysql"})),
    "mariadb": ("mysql", frozenset({"", "pymysql"})),
}
DEFAULT_PREFIX = "tickonce_"
TABLES = ("schedules", "runs", "skips", "nodes", "settings")
#: The table in which the schema's revision is kept.
REVISION_TABLE = "revision"

_PORTS = {"postgresql": 5432, "mysql": 3306}
_OWN_OPTIONS = {"sqlite": {"prefix", "sync"}, "postgresql": {"prefix", "schema", "pooler"}, "mysql": {"prefix"}}
_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,30}")
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SLASHES = (
    "a SQLite URL has four slashes before an absolute path: sqlite:////var/lib/myapp/tickonce.db; with three, the path "
    "is relative to the working directory: sqlite:///tickonce.db"
)
#: What libpq takes a database's name from, beside the path.
_NAMES_DATABASE = frozenset({"dbname", "service"})
_SECRET_OPTIONS = frozenset({"password", "passwd", "sslpassword", "passfile"})


@dataclass(frozen=True, slots=True)
class Names:
    """How the tables are called: several fleets share a database by prefix, or by schema."""

    prefix: str = DEFAULT_PREFIX
    schema: str | None = None

    def __post_init__(self) -> None:
        # They are put into the text of statements, so nothing but plain names passes.
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(
                f"prefix must be 1 to 31 small letters, digits and _, not a digit first, got {self.prefix!r}"
            )
        if self.schema is not None and not _SCHEMA.fullmatch(self.schema):
            raise ConfigError(
                f"schema must be 1 to 63 small letters, digits and _, not a digit first, got {self.schema!r}"
            )

    def table(self, name: str) -> str:
        """Return the full name of a table."""
        plain = f"{self.prefix}{name}"
        return plain if self.schema is None else f"{self.schema}.{plain}"

    @property
    def revision_table(self) -> str:
        """The name, without schema, of the table in which the schema's revision is kept."""
        return f"{self.prefix}{REVISION_TABLE}"

    @property
    def channel(self) -> str:
        """The channel of notifications; at most 63 bytes, as PostgreSQL wants it."""
        return f"{self.prefix}{self.schema or ''}"[:63]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A store's URL, taken apart.

    Attributes:
        dialect: ``sqlite``, ``postgresql`` or ``mysql``.
        url: The URL for people: password hidden, path absolute.
        path: The file of a SQLite database.
        place: ``host:port`` of a server, for messages.
        options: What the driver is told beside host, port, user, password and database.
        pooled: Whether the URL says that a pooler lends a session for each transaction. Else that is found out.
    """

    dialect: str
    url: str
    names: Names
    path: str = ""
    place: str = ""
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    sync: str = "full"
    pooled: bool = False


def parse(url: str) -> Address:
    """Take *url* apart.

    Raises:
        ConfigError: It is not the URL of a SQL store. The message never shows the URL: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        hosts = parts.netloc.rpartition("@")[2]
        several = "," in hosts  # libpq takes several, and tries one after the other
        port = None if several else parts.port
    except ValueError:
        # What it says may quote a piece of the password: one with a slash in it ends up as the port.
        raise ConfigError(
            "the store's URL cannot be read; write scheme://user:password@host:port/database, "
            "with %2F, %3A and %40 for / : and @ in the password"
        ) from None
    scheme, _, driver = parts.scheme.partition("+")
    if scheme not in SCHEMES:
        raise ConfigError(f"no SQL store has the scheme {parts.scheme!r}; known are {', '.join(SCHEMES)}")
    dialect, drivers = SCHEMES[scheme]
    if driver not in drivers:
        raise ConfigError(f"tickonce does not use the driver {driver!r}; write {scheme}://... without it")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    own = {name: options.pop(name) for name in _OWN_OPTIONS[dialect] if name in options}
    names = Names(prefix=own.get("prefix", DEFAULT_PREFIX), schema=own.get("schema"))
    if dialect == "sqlite":
        if not url.partition(":")[2].startswith("//"):
            raise ConfigError(_SLASHES)
        return _file(parts, options, own, names)
    database = unquote(parts.path.lstrip("/")) or None
    if database is None and not _NAMES_DATABASE & options.keys():
        # The driver would take one of the user's name, or none at all.
        raise ConfigError(f"the store's URL names no database; write {scheme}://user@host:port/database")
    if own.get("pooler", "transaction") != "transaction":
        raise ConfigError(
            f"pooler must be transaction, got {own['pooler']!r}; without it, a pooler is found out by itself"
        )
    host = None if several else parts.hostname or options.get("host")
    return Address(
        dialect=dialect,
        url=_masked(parts),
        names=names,
        place=hosts if several else _place(host, port or _PORTS[dialect], options),
        host=host,
        port=port,
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        database=database,
        options=options,
        pooled="pooler" in own,
    )


def _file(parts: SplitResult, options: Mapping[str, str], own: Mapping[str, str], names: Names) -> Address:
    if parts.netloc and not parts.netloc.startswith(":"):
        raise ConfigError(_SLASHES)
    path = unquote(parts.path.removeprefix("/"))
    if not path or path == ":memory:" or path.startswith("file:"):
        raise ConfigError(
            "a SQLite store is a file: each connection to :memory: would be a store of its own. "
            "Write sqlite:////var/lib/myapp/tickonce.db, or memory: for a store of this process alone"
        )
    if options:
        raise ConfigError(f"a SQLite store has no option {min(options)!r}; it knows prefix and sync")
    sync = own.get("sync", "full").lower()
    if sync not in ("full", "normal"):
        raise ConfigError(f"sync must be full or normal, got {sync!r}")
    # A relative path would be another store in each working directory: it is fixed here and shown in full.
    absolute = Path(path).absolute()
    query = f"?{urlencode(own)}" if own else ""
    return Address(dialect="sqlite", url=f"sqlite:///{absolute}{query}", names=names, path=str(absolute), sync=sync)


def _masked(parts: SplitResult) -> str:
    netloc = parts.netloc
    if "@" in netloc:
        user, _, host = netloc.rpartition("@")
        name, colon, _ = user.partition(":")
        netloc = f"{name}{':***' if colon else ''}@{host}"
    shown = [
        (name, "***" if name in _SECRET_OPTIONS else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    query = f"?{urlencode(shown, safe='*/', quote_via=quote)}" if shown else ""
    return f"{parts.scheme}://{netloc}{parts.path}{query}"


def _place(host: str | None, port: int, options: Mapping[str, str]) -> str:
    if host is None:
        return options.get("unix_socket") or "the local socket"
    return host if host.startswith("/") else f"{host}:{port}"
