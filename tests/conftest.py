"""What all tests share."""

from collections.abc import Generator

import pytest
from hypothesis import settings

from tickonce.calendars.base import _warn

pytest_plugins = ["pytester", "tests.fleets", "tests.servers.plugin"]

# No deadline for an example: on a busy machine it fails at random, and pytest-timeout ends what hangs.
settings.register_profile("tickonce", deadline=None, print_blob=True)
settings.load_profile("tickonce")


@pytest.fixture(autouse=True)
def _warn_anew() -> None:
    """Let each test be the first to be warned of a year without data, whichever runs first."""
    _warn.cache_clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tests log lone surrogates on purpose, which no report can carry from one process to another."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests with many processes of their own to one worker: one after the other, beside all the rest."""
    for item in items:
        if item.get_closest_marker("chaos"):
            item.add_marker(pytest.mark.xdist_group("chaos"))
