"""The command line on a SQLite file of the test's own, in this process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tickonce import Scheduler
from tickonce.cli.root import root


class CommandLine:
    """Somebody at a terminal, in a directory of their own.

    Attributes:
        url: The store that ``TICKONCE_STORE`` names.
        scheduler: A client of it, to look at what a command has done.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = f"sqlite:///{home}/tickonce.db"
        self.scheduler = Scheduler(self.url, name="test")

    def __call__(self, *words: str, exit: int = 0, typed: str | None = None) -> Result:
        """Run a command that ends with *exit*."""
        result = CliRunner().invoke(root, words, input=typed, prog_name="tickonce", catch_exceptions=False)
        assert result.exit_code == exit, f"{words}: {result.exit_code}\n{result.output}"
        return result

    def json(self, *words: str, exit: int = 0) -> Any:
        """Run a command and read the JSON document that it answers with."""
        return json.loads(self(*words, "-o", "json", exit=exit).stdout)

    def program(self, name: str, text: str) -> None:
        """Write a module that ``-A`` can name."""
        (self.home / f"{name}.py").write_text(text, encoding="utf-8")


@pytest.fixture
def made(tickonce: CommandLine) -> CommandLine:
    """The same with the tables made: what only looks makes none."""
    tickonce("db", "upgrade")
    return tickonce


@pytest.fixture
def tickonce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    for name in [name for name in os.environ if name.startswith("TICKONCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    line = CommandLine(tmp_path)
    monkeypatch.setenv("TICKONCE_STORE", line.url)
    yield line
    line.scheduler.close()
    for name in set(sys.modules) - before:
        if (tmp_path / f"{name}.py").exists():
            del sys.modules[name]
