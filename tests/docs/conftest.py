"""A directory and a store of its own for each page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.running import Reader, reading


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    for name in ("TICKONCE_APP", "TICKONCE_TZ", "TICKONCE_OUTPUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TICKONCE_STORE", f"sqlite:///{tmp_path}/tickonce.db")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # a file that is shown twice within a second is read twice
    with reading(tmp_path) as found:
        yield found
