"""``tickonce db``."""

from __future__ import annotations


def test_an_empty_database_is_filled_and_checked(tickonce):
    assert "no tables" in tickonce("db", "check", exit=9).stderr
    form = tickonce.json("db", "upgrade")
    assert (form["before"], form["changed"]) == (None, True)
    assert tickonce.json("db", "upgrade")["changed"] is False
    assert tickonce.json("db", "check")["ok"] is True
    assert "which this release works with" in tickonce("db", "check").stdout


def test_the_statements_can_be_read_without_a_connection(tickonce):
    said = tickonce("db", "sql", "--store", "postgresql://nobody:s3cret@127.0.0.1:1/jobs").stdout
    assert "CREATE TABLE tickonce_" in said
    form = tickonce.json("db", "sql", "--store", "mysql://nobody:s3cret@127.0.0.1:1/jobs")
    assert "CREATE TABLE tickonce_" in form["sql"]
    assert "s3cret" not in form["store"]


def test_a_revision_that_is_not_known_is_told_with_those_that_are(tickonce):
    said = tickonce("db", "sql", "--since", "9999", exit=2).stderr
    assert "no revision '9999'; known are 0001" in said
    assert "Traceback" not in said


def test_a_relative_path_is_shown_in_full(tickonce):
    assert f"sqlite:///{tickonce.home}/other.db:" in tickonce("db", "upgrade", "--store", "sqlite:///other.db").stdout
    assert str(tickonce.home / "third.db") in tickonce("ls", "--store", "sqlite:///third.db", exit=9).stderr
    assert "four slashes" in tickonce("ls", "--store", "sqlite:/third.db", exit=2).stderr


def test_the_program_names_the_store_too(tickonce, monkeypatch):
    tickonce.program("shop", f"from tickonce import Scheduler\nscheduler = Scheduler({tickonce.url!r})\n")
    monkeypatch.delenv("TICKONCE_STORE")
    assert tickonce.json("-A", "shop", "db", "upgrade")["changed"] is True


def test_only_a_sql_store_has_tables(tickonce, monkeypatch):
    assert "only a SQL store" in tickonce("db", "check", "--store", "memory:", exit=2).stderr
    monkeypatch.delenv("TICKONCE_STORE")
    assert "export TICKONCE_STORE" in tickonce("db", "check", exit=2).stderr
