from __future__ import annotations

from typing import ClassVar

import pytest

from tests.contract.sql import SqlStoreContract


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/store.db?sync=normal"


class TestSqlite(SqlStoreContract):
    row_locks: ClassVar[bool] = False  # one lock on the file
