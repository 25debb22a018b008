"""docs/reference/cli.md knows every command, option, variable and exit code."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from tickonce.cli import root as root_module
from tickonce.cli.exits import Exit
from tickonce.cli.root import SECTIONS, root

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
SHARED = {"app", "store", "tz", "output", "verbose", "help"}


def commands(group, path=()):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def section(path):
    found = re.search(rf"^### `tickonce {' '.join(path)}[ `].*?(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no heading for tickonce {' '.join(path)}"
    return found[0]


@pytest.mark.parametrize(("path", "command"), list(commands(root)), ids=str)
def test_a_command_has_its_section_with_all_its_options(path, command):
    text = section(path)
    shared = SHARED - {"store"} if path == ("demo",) else SHARED
    own = [option for option in command.params if isinstance(option, click.Option) and option.name not in shared]
    rows = " ".join(re.findall(r"^\| (`-.*?) \|", text, re.MULTILINE))
    assert set(re.findall(r"(?<=`)--?[\w-]+", rows)) == {
        flag for option in own for flag in (*option.opts, *option.secondary_opts)
    }
    for argument in command.params:
        if isinstance(argument, click.Argument):
            assert argument.make_metavar(click.Context(command)) in text.splitlines()[0]


def test_the_shared_options_and_their_variables_are_documented():
    for option in root.params:
        if isinstance(option, click.Option):
            for flag in option.opts:
                assert f"`{flag}" in PAGE
            if isinstance(option.envvar, str):
                assert f"`{option.envvar}`" in PAGE


def test_every_exit_code_is_documented():
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert codes == {int(code) for code in Exit} | {6}


def test_every_command_has_a_line_in_the_help_that_is_not_cut():
    assert [name for name, each in root.commands.items() if each.get_short_help_str(63).endswith("...")] == []


def test_every_command_has_its_place_in_the_help():
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(root.commands)


def test_every_check_of_the_doctor_has_its_line():
    sources = Path(root_module.__file__).parent.glob("*.py")
    found = {name for path in sources for name in re.findall(r'\bFinding\(\s*"(\w+)"', path.read_text("utf-8"))}
    table = section(("doctor",)).partition("| check |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == found
    assert len(found) > 15
