"""What the session says and does about servers that are not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTHING_INSTALLED = """
import sys
sys.path.insert(0, {root!r})
from tests.servers.postgresql import PrivatePostgreSQL
from tests.servers.private import ServerMissing

def programs(cls):
    raise ServerMissing("none on this machine")

PrivatePostgreSQL.programs = classmethod(programs)
pytest_plugins = ["tests.servers.plugin"]
"""
ASKING = """
def test_by_database(postgresql_database): ...
def test_by_own_server(private_postgresql): ...
def test_of_something_else(): ...
"""


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A session on a machine without PostgreSQL."""
    monkeypatch.delenv("TICKONCE_TEST_POSTGRESQL", raising=False)
    monkeypatch.delenv("TICKONCE_TEST_REQUIRE", raising=False)
    pytester.makeconftest(NOTHING_INSTALLED.format(root=str(ROOT)))
    pytester.makepyfile(ASKING)
    pytester.makeini("[pytest]\nmarkers = server")
    return pytester


def test_tests_of_a_missing_server_are_skipped_and_counted(session):
    result = session.runpytest_subprocess()
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["PostgreSQL: 2 tests not run; none on this machine.*TICKONCE_TEST_POSTGRESQL*"])


def test_tests_of_a_missing_pooler_are_skipped_and_counted(session):
    session.makeconftest(
        NOTHING_INSTALLED.format(root=str(ROOT))
        .replace("PrivatePostgreSQL", "PrivatePgBouncer")
        .replace("servers.postgresql", "servers.pgbouncer")
    )
    session.makepyfile(
        "from tests.servers.plugin import pooler_before\n"
        "def test_by_pooler():\n"
        "    with pooler_before('postgresql://ada@db/shop'): ...\n"
    )
    result = session.runpytest_subprocess()
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["PgBouncer: 1 tests not run; none on this machine. `make servers` installs it on Debian."]
    )


def test_a_missing_server_that_is_required_fails_the_session(session, monkeypatch):
    monkeypatch.setenv("TICKONCE_TEST_REQUIRE", "mysql, postgresql")
    result = session.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["PostgreSQL: 2 tests not run; none on this machine.*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_named_server_that_does_not_answer_is_an_error(session, monkeypatch):
    monkeypatch.setenv("TICKONCE_TEST_POSTGRESQL", "postgresql://nobody@127.0.0.1:9/none")
    result = session.runpytest_subprocess()
    result.assert_outcomes(passed=1, skipped=1, errors=1)


def test_tests_that_need_no_server_can_be_run_alone(session):
    session.runpytest_subprocess("-m", "not server").assert_outcomes(passed=1, deselected=2)
