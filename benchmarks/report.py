"""Figures as JSON lines for programs, as an aligned table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import click

Figures = Mapping[str, Any]


class Report:
    """Prints the facts once and the figures of a benchmark: each line when it is known, or a table at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def facts(self, facts: Figures) -> None:
        """Print where it is measured."""
        if self._as_json:
            click.echo(json.dumps({"facts": dict(facts)}))
        else:
            click.echo(", ".join(f"{name} {value}" for name, value in facts.items()))

    def figures(self, benchmark: str, rows: Sequence[Figures]) -> None:
        """Print the figures of *benchmark*."""
        if self._as_json:
            for row in rows:
                click.echo(json.dumps({"benchmark": benchmark, **row}))
            return
        click.echo(f"\n{benchmark}")
        for line in table(rows):
            click.echo(f"  {line}")


def table(rows: Sequence[Figures]) -> list[str]:
    """Return rows as lines, numbers to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *[[_shown(row.get(name)) for name in names] for row in rows]]
    widths = [max(len(line[at]) for line in cells) for at in range(len(names))]
    numbers = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in names]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numbers, strict=True)
        ).rstrip()
        for line in cells
    ]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of *values* lie; they are sorted."""
    return values[min(len(values) - 1, int(len(values) * share))]


def middle(rows: Sequence[Figures], by: str) -> Figures:
    """Return the median row of several runs of one measurement."""
    wanted = median([row[by] for row in rows])
    return min(rows, key=lambda row: abs(row[by] - wanted))


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
