"""Warnings about calendars as people want them: one line, without the place in the code that found them out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from tickonce.calendars import UnknownYear
from tickonce.cli.texts import printable


@contextmanager
def told_in_a_line() -> Iterator[None]:
    """Tell within it of years that a calendar does not know in one line on stderr; other warnings stay as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UnknownYear)
        otherwise = warnings.showwarning

        def show(  # noqa: PLR0917 - the signature of warnings.showwarning
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, UnknownYear):
                click.echo(printable(f"Warning: {message}"), err=True)
            else:
                otherwise(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


@contextmanager
def told_by_schedule() -> Iterator[None]:
    """Leave within it the telling of such years to the command, which names the schedule."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownYear)
        yield
