"""From an alias of ``DATABASES`` to the address of a store: the same server and database, connections of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.db import connections
from django.utils.connection import ConnectionDoesNotExist

from tickonce.errors import ConfigError, did_you_mean
from tickonce.stores.sql.address import DEFAULT_PREFIX, Address, Names, parse

# What Django or its drivers do with these is a matter of Django's own connections; ours are set up as the store needs.
_OF_DJANGO = frozenset(
    {
        "atomic_requests",
        "autocommit",
        "charset",
        "client_flag",
        "collation",
        "connect_timeout",
        "context",
        "conv",
        "cursor_factory",
        "init_command",
        "isolation_level",
        "pool",
        "prepare_threshold",
        "read_timeout",
        "row_factory",
        "server_side_binding",
        "sql_mode",
        "timeout",
        "transaction_mode",
        "use_unicode",
        "write_timeout",
    }
)
_MYSQL_SSL = {"ca": "ssl_ca", "cert": "ssl_cert", "key": "ssl_key"}
_MYSQL_SSL_MODES: Mapping[str, Mapping[str, str]] = {
    "DISABLED": {"ssl_disabled": "true"},
    "PREFERRED": {},
    "VERIFY_CA": {"ssl_verify_cert": "true"},
    "VERIFY_IDENTITY": {"ssl_verify_cert": "true", "ssl_verify_identity": "true"},
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the store of an alias is.

    Attributes:
        url: The store's URL, password and all; None for a database that only Django's own connection reaches.
        address: The same taken apart.
        left_out: Names in ``OPTIONS`` that our connections do without though they may need them.
    """

    url: str | None
    address: Address
    left_out: tuple[str, ...] = ()


def place_of(alias: str, *, prefix: str) -> Place:
    """Return where the store in *alias* is, at this moment: a test runner gives a database another name.

    Raises:
        ConfigError: There is no such alias, or its database holds no store.
    """
    try:
        wrapper = connections[alias]
    except ConnectionDoesNotExist:
        hint = did_you_mean(alias, connections)
        raise ConfigError(f"TICKONCE['store'] is {alias!r}, which DATABASES does not have.{hint}") from None
    settings: Mapping[str, Any] = wrapper.settings_dict
    match wrapper.vendor:
        case "sqlite":
            return _file(alias, settings, prefix)
        case "postgresql":
            return _server("postgresql", alias, settings, prefix, _postgresql_options)
        case "mysql":
            return _server("mysql", alias, settings, prefix, _mysql_options)
        case vendor:
            raise ConfigError(
                f"DATABASES[{alias!r}] is {vendor}, which holds no store; name another alias or the URL of a store in "
                "TICKONCE['store']"
            )


def _file(alias: str, settings: Mapping[str, Any], prefix: str) -> Place:
    name = str(settings["NAME"])
    if ":memory:" in name or "mode=memory" in name:
        return Place(None, Address(dialect="sqlite", url=f"sqlite::memory: of {alias}", names=Names(prefix)))
    if name.startswith("file:"):
        raise ConfigError(f"DATABASES[{alias!r}]['NAME'] is a file: URI; give the path of the file")
    url = f"sqlite:///{quote(str(Path(name).absolute()))}{_query(prefix, {})}"
    return Place(url, parse(url), _left_out(settings, ()))


def _server(dialect: str, alias: str, settings: Mapping[str, Any], prefix: str, options: Any) -> Place:
    told, left_out = options(settings)
    if not settings["NAME"] and not told.keys() & {"service", "dbname"}:
        raise ConfigError(f"DATABASES[{alias!r}] names no database: its NAME is empty")
    user = quote(str(settings["USER"]), safe="") if settings["USER"] else ""
    if settings["PASSWORD"]:
        user += f":{quote(str(settings['PASSWORD']), safe='')}"
    host = str(settings["HOST"] or "")
    if host.startswith("/"):
        told["host" if dialect == "postgresql" else "unix_socket"] = host
        host = ""
        if dialect == "postgresql" and settings["PORT"]:
            told["port"] = str(settings["PORT"])
    url = (
        f"{dialect}://{user}{'@' if user else ''}{_places(host, str(settings['PORT'] or ''))}"
        f"/{quote(str(settings['NAME'] or ''), safe='')}{_query(prefix, told)}"
    )
    return Place(url, parse(url), left_out)


def _places(host: str, port: str) -> str:
    hosts, ports = host.split(","), port.split(",")
    if len(ports) != len(hosts):
        ports = ports[:1] * len(hosts)
    named = (f"[{each}]" if ":" in each else each for each in hosts)
    return ",".join(
        f"{each}{':' if number and each else ''}{number if each else ''}"
        for each, number in zip(named, ports, strict=True)
    )


def _postgresql_options(settings: Mapping[str, Any]) -> tuple[dict[str, str], tuple[str, ...]]:
    told: dict[str, str] = {}
    left_out: list[str] = []
    for name, value in settings["OPTIONS"].items():
        if name == "assume_role":
            continue
        if name in _OF_DJANGO:
            continue
        if isinstance(value, str | int | Path) and not isinstance(value, bool):
            told[name] = str(value)
        else:
            left_out.append(name)
    role = settings["OPTIONS"].get("assume_role")
    if role:
        told["options"] = f"{told.get('options', '')} -c role={role}".strip()
    if settings["PORT"] and not settings["HOST"]:
        told["port"] = str(settings["PORT"])
    return told, tuple(left_out)


def _mysql_options(settings: Mapping[str, Any]) -> tuple[dict[str, str], tuple[str, ...]]:
    told: dict[str, str] = {}
    left_out: list[str] = []
    for name, value in settings["OPTIONS"].items():
        if name in _OF_DJANGO:
            continue
        if name == "unix_socket":
            told[name] = str(value)
        elif name == "ssl" and isinstance(value, Mapping) and value.keys() <= _MYSQL_SSL.keys():
            told.update({_MYSQL_SSL[each]: str(path) for each, path in value.items()})
        elif name == "ssl_mode" and value in _MYSQL_SSL_MODES:
            told.update(_MYSQL_SSL_MODES[value])
        elif name.startswith("ssl_") and name in ("ssl_ca", "ssl_cert", "ssl_key"):
            told[name] = str(value)
        else:
            left_out.append(name)
    return told, tuple(left_out)


def _left_out(settings: Mapping[str, Any], known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in settings["OPTIONS"] if name not in _OF_DJANGO and name not in known)


def _query(prefix: str, told: Mapping[str, str]) -> str:
    own = {} if prefix == DEFAULT_PREFIX else {"prefix": prefix}
    query = urlencode({**own, **told}, safe="/", quote_via=quote)
    return f"?{query}" if query else ""
