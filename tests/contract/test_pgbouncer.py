from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.sql import SqlStoreContract
from tests.servers import PrivatePgBouncer, fresh_database


@pytest.fixture(scope="module")
def url(pgbouncer: PrivatePgBouncer) -> Iterator[str]:
    with fresh_database(pgbouncer.url) as url:
        pgbouncer.spread(url)
        yield url


class TestPostgresqlBehindPgBouncer(SqlStoreContract):
    """The contract."""
