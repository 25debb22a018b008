"""How a command's help looks: what it does, examples, options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click


class Verb(click.Command):
    """A command with examples behind its first words.

    Attributes:
        examples: Command lines, each with what it shows, or nothing.
    """

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = examples

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command does, then examples."""
        super().format_help_text(ctx, formatter)
        write_examples(self.examples, formatter)


def verb(name: str, *, examples: Sequence[str] = (), short: str | None = None) -> Callable[[Callable[..., Any]], Verb]:
    """Return the decorator that makes a command of a function, as ``click.command`` does.

    Args:
        name: Of the command.
        examples: Command lines for its help.
        short: Its line in the list of commands, where its first sentence is too long for that.
    """
    return click.command(name, cls=Verb, examples=[(example, "") for example in examples], short_help=short)


def write_examples(examples: Sequence[tuple[str, str]], formatter: click.HelpFormatter) -> None:
    """Write command lines, and beside each what it shows."""
    if not examples:
        return
    width = max(len(line) for line, _ in examples)
    formatter.write("\n")
    for line, shows in examples:
        formatter.write(f"    {line.ljust(width)}   {shows}".rstrip() + "\n")
