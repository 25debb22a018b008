"""Lists that come a page at a time, as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from tickonce.cli.session import option
from tickonce.model import Page

T = TypeVar("T")

_PAGE = 500

LIMIT = option("--limit", default=100, show_default=True, type=click.IntRange(0), help="How many at most; 0 is all.")


def gathered(fetch: Callable[[int, str | None], Page[T]], limit: int) -> tuple[list[T], bool]:
    """Return up to *limit* items (0 is all), and whether there are more; *fetch* takes a limit and a cursor."""
    items: list[T] = []
    cursor: str | None = None
    while True:
        page = fetch(min(_PAGE, limit - len(items)) if limit else _PAGE, cursor)
        items.extend(page.items)
        cursor = page.cursor
        if cursor is None:
            return items, False
        if limit and len(items) >= limit:
            return items, True
