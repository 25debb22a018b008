"""Exit codes, and which error ends with which: part of the interface, for scripts and probes."""

from __future__ import annotations

import json
import traceback
from enum import IntEnum
from typing import IO, Any

import click

from tickonce.cli.calling import SHELL, Caller, cause
from tickonce.cli.texts import masked, printable
from tickonce.errors import (
    ConfigError,
    Conflict,
    DefinitionError,
    LookupFailed,
    NoSchedule,
    NoStore,
    ScheduleExists,
    SchemaError,
    StoreUnavailable,
    TickonceError,
    TriggerError,
    UnknownJob,
)


class Exit(IntEnum):
    """Exit codes. 6 is kept free for "not permitted"."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    NO_CONNECTION = 5
    RUN_FAILED = 7
    TIMED_OUT = 8
    SCHEMA = 9
    PROBLEMS = 10
    INTERRUPTED = 130


#: The first class that an error belongs to decides.
_CODES: tuple[tuple[type[TickonceError], Exit], ...] = (
    (UnknownJob, Exit.NOT_FOUND),
    (LookupFailed, Exit.NOT_FOUND),
    (Conflict, Exit.CONFLICT),
    (StoreUnavailable, Exit.NO_CONNECTION),
    (SchemaError, Exit.SCHEMA),
    (ConfigError, Exit.USAGE),
    (TriggerError, Exit.USAGE),
    (DefinitionError, Exit.USAGE),
)


class TimedOut(TickonceError):
    """What was waited for did not come in time."""

    code = "cli.timed_out"


class Failure(click.ClickException):
    """An expected error as the command line shows it: what is wrong and what to do, without a traceback."""

    def __init__(
        self,
        error: TickonceError,
        *,
        as_json: bool,
        verbose: bool,
        caller: Caller = SHELL,
        url: str | None = None,
    ) -> None:
        super().__init__(masked(caller.words(_said(error, caller, url))))
        self.exit_code = code_of(error)  # type: ignore[misc]  # the class variable is only its default
        self._error, self._as_json, self._verbose = error, as_json, verbose

    def show(self, file: IO[Any] | None = None) -> None:
        """Write it to stderr; as a JSON object where output is JSON; with the traceback where asked for."""
        if self._verbose:
            click.echo(masked("".join(traceback.format_exception(self._error))), file=file, err=True, nl=False)
        if self._as_json:
            _tell(self._error.code, self, file)
        else:
            click.echo(f"Error: {printable(self.message, lines=True)}", file=file, err=True)


class Misused(click.ClickException):
    """A word of the command line that is not understood, for programs: one JSON object on stderr."""

    exit_code = Exit.USAGE

    def __init__(self, error: click.UsageError) -> None:
        bare = isinstance(error, click.exceptions.NoArgsIsHelpError)  # its message is the whole help
        super().__init__("Missing command." if bare else masked(error.format_message()))

    def show(self, file: IO[Any] | None = None) -> None:
        """Write it to stderr."""
        _tell("cli.usage", self, file)


class Interrupted(click.ClickException):
    """Ctrl-C."""

    exit_code = Exit.INTERRUPTED

    def __init__(self, *, as_json: bool) -> None:
        super().__init__("interrupted")
        self._as_json = as_json

    def show(self, file: IO[Any] | None = None) -> None:
        """Say so on stderr."""
        if self._as_json:
            _tell("cli.interrupted", self, file)
        else:
            click.echo("Interrupted.", file=file, err=True)


def _tell(code: str, error: click.ClickException, file: IO[Any] | None) -> None:
    form = {"code": code, "error": error.message, "exit_code": int(error.exit_code)}
    click.echo(json.dumps(form, ensure_ascii=False), file=file, err=True)


def code_of(error: TickonceError) -> Exit:
    """Return the code that *error* ends with."""
    if isinstance(error, TimedOut):
        return Exit.TIMED_OUT
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAILURE)


def _said(error: TickonceError, caller: Caller, url: str | None) -> str:
    """Return the message, with what to do in the words of the command line."""
    match error:
        case ScheduleExists():
            return (
                f"Schedule {error.schedule_id!r} exists. Change it with: tickonce edit {error.schedule_id}; "
                "or add it with --if-exists keep or --if-exists update"
            )
        case NoSchedule():
            return f"{error} List them with: tickonce ls"
        case SchemaError():
            return cause(error, url)
        case NoStore() if caller.brings_program:
            return f"{error}\nor say it in {caller.store}"
        case NoStore():
            return f"{error}\nor name it each time: tickonce --store URL, or your program: tickonce -A module:scheduler"
        case _:
            return str(error)
