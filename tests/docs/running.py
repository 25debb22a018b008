"""Carries out the examples of a page, one after the other, as a reader would."""

from __future__ import annotations

import ast
import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from tests.docs.pages import Block
from tickonce import AsyncScheduler, Scheduler

#: Languages of blocks that are carried out; others are for reading.
RUN = frozenset({"python", "pycon", "console"})

#: Commands that need a shell: those of others, and those that are joined with something.
_SHELL = re.compile(r"^(?!tickonce )|[|<>&;]")
_DAYS = re.compile(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b")
_LENGTH = re.compile(
    r"\b(less than |at most )*(in )?(\d+(\.\d+)? ?(us|ms|s|min|m|h|d)(?![a-z]))+( ago)?\b|\bjust now\b|\bnow\b"
)
_NODE = re.compile(r"\b[\w.-]+-\d+-[0-9a-f]{8}\b")
_DIGITS = re.compile(r"(?<!Ran )(?<!\d)\d+")  # how many tests ran is told by the page, and no other number
_SPACE = re.compile(r"\s+")


class Reader:
    """Somebody who follows a page in an empty directory.

    Python blocks share one namespace. One with ``file=NAME`` is written to that file; the module can be imported. In
    ``console`` blocks the lines with ``$`` are commands; what stands below them is how their answers begin, but for
    times and ids.
    ``exit=N`` says how the last of them ends. The directory is what pages call ``/tmp``.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.namespace: dict[str, Any] = {"__name__": "app"}
        self._modules: set[str] = set()

    def follow(self, block: Block) -> None:
        """Do what *block* says."""
        match block.language:
            case "python" if "file" in block.options:
                self._write(block)
            case "python":
                self._execute(block)
            case "pycon":
                self._answer(block)
            case "console":
                self._command(block)

    def close(self) -> None:
        """Stop what the page has started and forget its modules."""
        for value in list(self.namespace.values()):
            if isinstance(value, AsyncScheduler):
                value.sync.close()
            elif isinstance(value, Scheduler):
                value.close()
        for name in self._modules:
            module = sys.modules.pop(name, None)
            scheduler = getattr(module, "scheduler", None)
            if isinstance(scheduler, Scheduler):
                scheduler.close()

    def _write(self, block: Block) -> None:
        path = self.home / block.options["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        # A page may show a file twice, as it grows.
        module = block.options["file"].removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        self._modules.add(module)
        sys.modules.pop(module, None)
        compile(block.text, str(block), "exec")

    def _execute(self, block: Block) -> None:
        tree = ast.parse(block.text, str(block))
        ast.increment_lineno(tree, block.line - 1)  # so that a traceback names the line of the page
        exec(compile(tree, str(block.page), "exec"), self.namespace)

    def _answer(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(
            block.text, self.namespace, str(block), str(block.page), block.line - 1
        )
        runner = doctest.DebugRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        try:
            runner.run(test, clear_globs=False)
        except doctest.DocTestFailure as failure:
            line = block.line + (failure.example.lineno or 0)
            raise AssertionError(
                f"{block.page}:{line}: expected {failure.example.want!r}, got {failure.got!r}"
            ) from None
        except doctest.UnexpectedException as error:
            raise error.exc_info[1] from None
        self.namespace.update(test.globs)

    def _command(self, block: Block) -> None:
        steps = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
        wanted_exit = int(block.options.get("exit", 0))
        for number, step in enumerate(steps, 1):
            command, _, expected = step.partition("\n")
            command = re.sub(r"\s+# .*$", "", command).replace("/tmp/", f"{self.home}/")
            if command.startswith("export "):
                name, _, value = command.removeprefix("export ").partition("=")
                os.environ[name] = shlex.split(value)[0]  # the caller puts the environment back
                continue
            ended, said = self._in_shell(command) if _SHELL.search(command) else self._in_process(command)
            said = said.replace(str(self.home), "/tmp")
            wanted = wanted_exit if number == len(steps) else 0
            assert ended == wanted, f"{block}: {command} ended with {ended}:\n{said}"
            if expected.strip():
                wanted_lines = shape(expected)
                assert shape(said)[: len(wanted_lines)] == wanted_lines, f"{block}: {command} said:\n{said}"

    def _in_shell(self, command: str) -> tuple[int, str]:
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=self.home,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return ended.returncode, ended.stdout

    def _in_process(self, command: str) -> tuple[int, str]:
        """Carry out one of our own commands without starting an interpreter for it."""
        from tickonce.cli.root import root

        result = CliRunner(env={"COLUMNS": "200"}).invoke(root, shlex.split(command)[1:], prog_name="tickonce")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output


@contextmanager
def reading(home: Path) -> Iterator[Reader]:
    """Give a reader in *home*, whose modules can be imported; afterwards all is as it was."""
    reader = Reader(home)
    before, path, environment = Path.cwd(), list(sys.path), dict(os.environ)
    os.chdir(home)
    sys.path.insert(0, str(home))
    try:
        yield reader
    finally:
        reader.close()
        os.chdir(before)
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(environment)


def shape(text: str) -> list[str]:
    """Return *text* without what differs from one try to the next: times, lengths of time, ids of nodes, spaces.

    >>> shape("sync  active  Sat 2026-11-21 13:00:05  in 1d3h")
    ['sync active DAY 0-0-0 0:0:0 T']
    >>> shape("Ran 12 tests in 0.031s")
    ['Ran 12 tests T']
    """
    shaped = []
    for line in text.strip().splitlines():
        plain = _LENGTH.sub("T", _NODE.sub("NODE", _DAYS.sub("DAY", line)))
        shaped.append(_SPACE.sub(" ", _DIGITS.sub("0", plain)).strip())
    return shaped
