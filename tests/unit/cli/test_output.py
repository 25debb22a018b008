"""Tables for people, and nothing that steers their terminal."""

from __future__ import annotations

import sys

import pytest

from tickonce.cli import output
from tickonce.cli.output import Output, pairs, table
from tickonce.cli.texts import masked

COLUMNS = ("id", "owner", "nothing")
ROWS = [("sync", "ann", "-"), ("日报", "", ""), ("a-longer-one", "bob", "-")]


def test_columns_are_aligned_by_what_a_terminal_shows(capsys):
    table(COLUMNS, ROWS)
    assert capsys.readouterr().out == "ID            OWNER\nsync          ann\n日报\na-longer-one  bob\n"


def test_what_could_steer_a_terminal_is_shown_instead(capsys):
    table(("id",), [("\x1b[2J\nx\u202e",)])
    assert capsys.readouterr().out == "ID\n\\x1b[2J\\nx\\u202e\n"


def test_pairs_may_have_several_lines(capsys):
    pairs([("error", "one\ntwo"), ("empty", ""), ("id", "x")])
    assert capsys.readouterr().out == "error  one\n       two\nid     x\n"


def test_on_a_terminal_rich_draws_the_table(capsys, monkeypatch):
    monkeypatch.setattr(output, "looks_rich", lambda: True)
    table(COLUMNS, [("[red]sync[/red]", "active", "")])
    said = capsys.readouterr().out
    assert "[red]sync[/red]" in said
    assert "────" in said


@pytest.mark.parametrize("columns", [20, 80])
def test_in_a_narrow_terminal_what_people_copy_stays_whole(capsys, monkeypatch, columns):
    monkeypatch.setattr(output, "looks_rich", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    token = "a-schedule-with-a-long-name-of-a-shop-in-the-north@2026-11-21T13:00:02.123456Z"
    table(
        ("token", "state", "scheduled", "node", "why"),
        [(token, "failed", "2026-11-21 13:00:02.123Z", "web-1-4711-abcdef12", "it was not to be " * 4)],
    )
    said = capsys.readouterr().out
    for whole in (token, "2026-11-21 13:00:02.123Z", "web-1-4711-abcdef12"):
        assert whole in said
    assert "…" not in said
    assert max(map(len, said.splitlines())) < 190  # prose gives way


def test_without_rich_a_terminal_gets_plain_text(monkeypatch):
    monkeypatch.setattr(sys, "stdout", _Terminal())
    assert output.looks_rich()
    monkeypatch.setitem(sys.modules, "rich", None)
    assert not output.looks_rich()


class _Terminal:
    @staticmethod
    def isatty() -> bool:
        return True


def test_json_keeps_text_as_it_is(capsys):
    Output("json").document({"name": "日报"})
    assert '"日报"' in capsys.readouterr().out


def test_passwords_are_masked_wherever_they_stand():
    for text in (
        "mysql://app:p@ss/w:rd@db:3306/x",
        "postgresql://db/x?user=app&password=s3cret&sslmode=on",
        'could not connect to "redis://:s3cret@host/0"',
    ):
        assert "***" in masked(text)
        assert not any(part in masked(text) for part in ("s3cret", "w:rd", "p@ss"))
