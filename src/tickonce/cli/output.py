"""Results on stdout, talk on stderr: as tables for people, as one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import click

from tickonce.cli.calling import SHELL, Caller
from tickonce.cli.texts import printable, width_of

Form: TypeAlias = 'Literal["table", "json"]'

#: Colours of words that stand for a state.
STYLES = {
    "active": "green",
    "alive": "green",
    "cancelled": "yellow",
    "aside": "red",
    "dead": "red",
    "ended": "dim",
    "failed": "red",
    "gone": "dim",
    "leaving": "yellow",
    "lost": "red",
    "ok": "green",
    "overdue": "red",
    "paused": "yellow",
    "problem": "red",
    "running": "cyan",
    "skipped": "dim",
    "succeeded": "green",
    "warning": "yellow",
}


#: Columns whose cells may take several lines; all others hold what people copy, such as ids, tokens and instants.
PROSE = frozenset({"trigger", "why", "does", "queues", "owner", "note", "说明", "last run"})
#: Narrower than this, prose is no pleasure.
_LEAST_PROSE = 24
#: What rich puts beside a column.
_BETWEEN = 3


@dataclass(frozen=True, slots=True)
class Output:
    """Where and how a command answers.

    Attributes:
        form: ``table`` or ``json``.
        caller: In whose words commands are named.
    """

    form: Form = "table"
    caller: Caller = SHELL

    @property
    def is_json(self) -> bool:
        """Whether programs read it."""
        return self.form == "json"

    def document(self, value: Any) -> None:
        """Write one JSON document to stdout."""
        click.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))

    def listing(
        self, forms: Iterable[Any], columns: Sequence[str], rows: Iterable[Sequence[str]], *, nothing: str
    ) -> None:
        """Answer with a list: an array in JSON, else a table; where there is none, say *nothing* on stderr."""
        if self.is_json:
            self.document(list(forms))
            return
        found = list(rows)
        if found:
            table(columns, found)
        else:
            self.say(nothing)

    def one(self, form: Any, text: str) -> None:
        """Answer with one thing: an object in JSON, else a line."""
        if self.is_json:
            self.document(form)
        else:
            click.echo(printable(text, lines=True))

    def say(self, text: str) -> None:
        """Talk to people: on stderr, so that pipes carry results only."""
        click.echo(printable(self.caller.words(text), lines=True), err=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows under their columns: with rich on a terminal, else aligned with spaces. Empty columns are left out."""
    cells = [[printable(cell) for cell in row] for row in rows]
    kept = [at for at in range(len(columns)) if any(row[at] not in ("", "-") for row in cells)] or [0]
    heads = [columns[at] for at in kept]
    cells = [[row[at] for at in kept] for row in cells]
    if looks_rich():
        _rich_table(heads, cells)
    else:
        _plain_table(heads, cells)


def pairs(rows: Iterable[tuple[str, str]], *, indent: int = 0) -> None:
    """Write names with their values, aligned; a value may have several lines."""
    found = [(name, value) for name, value in rows if value not in ("", "-")]
    width = max((width_of(name) for name, _ in found), default=0)
    for name, value in found:
        first, *more = printable(value, lines=True).split("\n")
        click.echo(f"{' ' * indent}{_fill(name, width)}  {first}")
        for line in more:
            click.echo(f"{' ' * (indent + width + 2)}{line}")


def looks_rich() -> bool:
    """Whether a person looks at stdout and rich is there to please them."""
    if not sys.stdout.isatty():
        return False
    try:
        import rich  # noqa: F401
    except ImportError:
        return False
    return True


def _plain_table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    widths = [max(width_of(head), *(width_of(row[at]) for row in cells)) for at, head in enumerate(heads)]
    for row in ([head.upper() for head in heads], *cells):
        click.echo("  ".join(_fill(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    console = Console()
    for head in heads:
        shown.add_column(head, overflow="fold", no_wrap=head not in PROSE)
    for row in cells:
        shown.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    # A line that is too long for the terminal is broken by the terminal, which copies it whole; a cell that is broken
    # or cut by us would be copied in pieces.
    console.width = max(console.width, _least_width(heads, cells))
    console.print(shown)


def _least_width(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    """Return the columns that a table takes with nothing broken but prose, and that between its words."""
    total = 0
    for at, head in enumerate(heads):
        texts = (head, *(row[at] for row in cells))
        width = max(map(width_of, texts))
        if head in PROSE:
            longest = max(width_of(word) for text in texts for word in text.split(" "))
            width = max(longest, min(width, _LEAST_PROSE))
        total += width + _BETWEEN
    return total


def _fill(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))
