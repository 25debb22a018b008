"""The dialects, to parametrise a test's fixture ``url`` with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tickonce.stores.sql.store import SqlStore

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.server)
PGBOUNCER = pytest.param("pgbouncer", marks=pytest.mark.server)
MYSQL = pytest.param("mysql", marks=pytest.mark.server)

on_all = pytest.mark.parametrize("url", ["sqlite", POSTGRESQL, MYSQL], indirect=True)
on_servers = pytest.mark.parametrize("url", [POSTGRESQL, MYSQL], indirect=True)
on_postgresql = pytest.mark.parametrize("url", [POSTGRESQL], indirect=True)
on_mysql = pytest.mark.parametrize("url", [MYSQL], indirect=True)

Open = Callable[..., SqlStore]
