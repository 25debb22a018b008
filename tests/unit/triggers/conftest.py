"""Leaves the long sweeps out unless they are asked for: ``make sweep``, or ``-m sweep``."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "sweep" in config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("sweep")]
    if long:
        items[:] = [item for item in items if not item.get_closest_marker("sweep")]
        config.hook.pytest_deselected(items=long)
