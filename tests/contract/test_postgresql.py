from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.sql import SqlStoreContract
from tests.servers import fresh_database


@pytest.fixture(scope="module")
def url(postgresql_url: str) -> Iterator[str]:
    with fresh_database(postgresql_url) as url:
        yield url


class TestPostgresql(SqlStoreContract):
    """The contract."""
