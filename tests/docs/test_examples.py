"""Every example runs: the Python and the commands of the README and of the docs, page by page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from tests.docs import reference
from tests.docs.pages import ROOT, Block, blocks, pages
from tests.docs.running import RUN, Reader

# The reference of the classes has the examples of the docstrings, which pytest runs where they stand.
WITH_EXAMPLES = [
    page for page in pages() if page != reference.PAGE and any(block.language in RUN for block in blocks(page))
]
WITH_COMMANDS = [block for page in pages() for block in blocks(page) if block.language in {"sh", "console"}]


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_run_in_order(page: Path, reader: Reader) -> None:
    for block in blocks(page):
        reader.follow(block)


@pytest.mark.parametrize("block", WITH_COMMANDS, ids=str)
def test_the_commands_that_a_page_shows_exist_with_their_options(block: Block) -> None:
    root = pytest.importorskip("tickonce.cli.root").root
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(re.sub(r"^\$ ", "", line), comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            del words[0]
        if words[:1] == ["tickonce"]:
            end = next((at for at, word in enumerate(words) if word in {"|", "&", "&&", ">", ";"}), len(words))
            _parse(root, words[1:end], line)


def _parse(command: click.Command, words: list[str], line: str) -> None:
    try:
        context = command.make_context("tickonce", words)
        while isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]
            name, found, words = command.resolve_command(context, rest)
            assert found is not None, line
            command, context = found, found.make_context(name, words, parent=context)
    except click.exceptions.Exit:  # --help
        return
    except click.UsageError as error:
        raise AssertionError(f"{line}: {error.format_message()}") from error


def test_every_block_says_what_it_is() -> None:
    known = RUN | {"sh", "text", "sql", "toml", "yaml", "json", "ini", "dockerfile"}
    for page in pages():
        for block in blocks(page):
            assert block.language in known, f"{block} is {block.language!r}"
