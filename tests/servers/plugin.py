"""Fixtures that give a test a real server, and the closing word on servers that were not there.

A server comes from ``TICKONCE_TEST_POSTGRESQL`` or ``TICKONCE_TEST_MYSQL`` (a URL that may create databases);
else one is started for the session from what is installed; else its tests are skipped, and the summary says so.
A pooler is always a private one, before that PostgreSQL. Kinds named in ``TICKONCE_TEST_REQUIRE``
(``postgresql,mysql,pgbouncer``) fail instead of being skipped.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import NoReturn

import pytest

from tests.servers.databases import connect, fresh_database
from tests.servers.mariadb import PrivateMariaDB
from tests.servers.pgbouncer import PrivatePgBouncer
from tests.servers.postgresql import PrivatePostgreSQL
from tests.servers.private import PrivateServer, ServerMissing

KINDS: Mapping[str, type[PrivateServer]] = {kind.kind: kind for kind in (PrivatePostgreSQL, PrivateMariaDB)}
#: What stands before a server, too.
ALL: Mapping[str, type[PrivateServer]] = {**KINDS, PrivatePgBouncer.kind: PrivatePgBouncer}

_FIXTURES = {f"{kind}_url" for kind in KINDS} | {f"private_{kind}" for kind in KINDS}
_WHY = re.compile(rf"({'|'.join(re.escape(kind.title) for kind in ALL.values())}) is not here: (.*?)\.(?=['\"\n]|$)")


def variable_of(kind: str) -> str:
    """Return the environment variable that names a server of this kind."""
    return f"TICKONCE_TEST_{kind.upper()}"


@contextmanager
def private_server(kind: str, settings: Mapping[str, str] | None = None) -> Iterator[PrivateServer]:
    """Give a started server of the caller's own, for a fixture with settings or a scope of its own."""
    try:
        server = KINDS[kind](settings)
    except ServerMissing as reason:
        _skip(kind, str(reason))
    with server:
        yield server


@contextmanager
def pooler_before(url: str, settings: Mapping[str, str] | None = None) -> Iterator[PrivatePgBouncer]:
    """Give a started PgBouncer of the caller's own before the PostgreSQL at *url*."""
    try:
        pooler = PrivatePgBouncer(url, settings)
    except ServerMissing as reason:
        _skip(PrivatePgBouncer.kind, str(reason))
    with pooler:
        yield pooler


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of the session's PostgreSQL; it may create databases."""
    with _session_server("postgresql") as url:
        yield url


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """The URL of the session's MariaDB or MySQL; it may create databases."""
    with _session_server("mysql") as url:
        yield url


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of the test's own."""
    with fresh_database(postgresql_url) as url:
        yield url


@pytest.fixture
def mysql_database(mysql_url: str) -> Iterator[str]:
    """The URL of an empty MariaDB or MySQL database of the test's own."""
    with fresh_database(mysql_url) as url:
        yield url


@pytest.fixture(scope="session")
def pgbouncer(postgresql_url: str) -> Iterator[PrivatePgBouncer]:
    """The session's PgBouncer, in transaction mode before the session's PostgreSQL."""
    with pooler_before(postgresql_url) as pooler:
        yield pooler


@pytest.fixture
def pgbouncer_database(pgbouncer: PrivatePgBouncer) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of the test's own, reached through PgBouncer."""
    with fresh_database(pgbouncer.url) as url:
        pgbouncer.spread(url)
        yield url


@pytest.fixture
def private_postgresql() -> Iterator[PrivateServer]:
    """A started PostgreSQL server of the test's own, to break."""
    with private_server("postgresql") as server:
        yield server


@pytest.fixture
def private_mysql() -> Iterator[PrivateServer]:
    """A started MariaDB or MySQL server of the test's own, to break."""
    with private_server("mysql") as server:
        yield server


def pytest_itemcollected(item: pytest.Item) -> None:
    if _FIXTURES.intersection(getattr(item, "fixturenames", ())):
        item.add_marker("server")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # From the reports: the tests may have run in other processes.
    not_run = [
        str(report.longrepr) for outcome in ("skipped", "error") for report in terminalreporter.getreports(outcome)
    ]
    found = Counter(match.groups() for text in not_run if (match := _WHY.search(text)))
    if found:
        terminalreporter.section("servers that are not here")
    for (title, reason), tests in found.items():
        (kind,) = (kind for kind, server in ALL.items() if server.title == title)
        other = f"; or set {variable_of(kind)} to a URL that may create databases" if kind in KINDS else ""
        terminalreporter.write_line(
            f"{title}: {tests} tests not run; {reason}. `make servers` installs it on Debian{other}."
        )


@contextmanager
def _session_server(kind: str) -> Iterator[str]:
    with ExitStack() as stack:
        url = os.environ.get(variable_of(kind))
        if not url:
            url = stack.enter_context(private_server(kind)).url
        connect(url).close()  # one that was named and does not answer is an error, never a skip
        yield url


def _skip(kind: str, reason: str) -> NoReturn:
    if kind in os.environ.get("TICKONCE_TEST_REQUIRE", "").replace(" ", "").split(","):
        pytest.fail(f"required by TICKONCE_TEST_REQUIRE: {_why(kind, reason)}", pytrace=False)
    pytest.skip(_why(kind, reason))


def _why(kind: str, reason: str) -> str:
    return f"{ALL[kind].title} is not here: {reason}."
