from __future__ import annotations

from typing import ClassVar

import pytest

from tests.contract.sql import SqlStoreContract


class TestSqlite(SqlStoreContract):
    row_locks: ClassVar[bool] = False  # one lock on the file

    @pytest.fixture(scope="class")
    def url(self, tmp_path_factory: pytest.TempPathFactory) -> str:
        return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/store.db?sync=normal"
