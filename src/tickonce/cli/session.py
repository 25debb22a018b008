"""What every command shares: which store, which program, how to answer; and the options that say so."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click
from click.core import ParameterSource

from tickonce.cli.calling import SHELL, Caller
from tickonce.cli.loading import load_scheduler
from tickonce.cli.output import Output
from tickonce.cli.texts import tz_of
from tickonce.clock import SYSTEM_CLOCK
from tickonce.durations import parse_duration
from tickonce.errors import ConfigError, SchemaError, TickonceError
from tickonce.scheduler import Scheduler
from tickonce.triggers import Trigger
from tickonce.triggers.zones import zone_name

F = TypeVar("F", bound=Callable[..., Any])

#: An option as all here are: its environment variable stands in the help.
option = partial(click.option, show_envvar=True)


@dataclass(slots=True)
class Session:
    """What the command line and the environment say for every command.

    Attributes:
        given: Values of the shared options.
        typed: Names of those that came from the command line; they go before those of the environment.
        caller: What people type before a command.
    """

    given: dict[str, Any] = field(default_factory=dict)
    typed: set[str] = field(default_factory=set)
    _scheduler: Scheduler | None = None
    caller: Caller = SHELL

    def note(self, name: str, value: Any, source: ParameterSource | None) -> None:
        """Take a value of a shared option; the command line goes before the environment, the later before the first."""
        if source is ParameterSource.COMMANDLINE:
            self.typed.add(name)
        elif source is not ParameterSource.ENVIRONMENT or name in self.given:
            return
        self.given[name] = value
        if name == "app":
            self.caller = replace(self.caller, app=value)

    @property
    def out(self) -> Output:
        """Where answers go."""
        return Output(self.given.get("output", "table"), self.caller)

    @property
    def verbose(self) -> bool:
        """Whether tracebacks of expected errors are shown, too."""
        return bool(self.given.get("verbose"))

    @property
    def app(self) -> str | None:
        """The program that ``-A`` names, unless ``--store`` was typed instead."""
        if {"app", "store"} <= self.typed:
            if self.caller.brings_program:
                raise ConfigError(
                    f"{self.caller.prog} brings its program, and that its store: leave --store out; to name another "
                    f"store set {self.caller.store} instead, or call: tickonce --store URL"
                )
            raise ConfigError(
                "give -A or --store, not both: a program brings its own store; set TICKONCE_STORE instead"
            )
        return None if "store" in self.typed else self.given.get("app")

    @property
    def scheduler(self) -> Scheduler:
        """The program's Scheduler, or one that is only a client of the store."""
        if self._scheduler is None:
            app = self.app
            if app is not None:
                self._scheduler = load_scheduler(app)
            else:
                self._scheduler = Scheduler(self.given.get("store"), tz=self.given.get("tz", "UTC"))
        return self._scheduler

    def reach(self, *, make: bool = False) -> Scheduler:
        """Return the Scheduler with its store open.

        Args:
            make: Whether an empty store is given its tables; what only looks makes nothing, not even a file.

        Raises:
            ConfigError: The store is of this process alone.
        """
        scheduler = self.scheduler
        scheduler.open(make=make)
        if scheduler.store.url.startswith("memory:"):
            raise ConfigError(
                "memory: is a store of one process alone: nothing that others do is in it, and nothing that this "
                "command does is seen by them. Name one that is shared, such as sqlite:////var/lib/myapp/tickonce.db"
            )
        return scheduler

    @property
    def store_url(self) -> str | None:
        """The store's URL with its password, where one is named; nothing is opened."""
        url: str | None = self.given.get("store")
        if self.app is not None:
            url = self.scheduler._url or os.environ.get("TICKONCE_STORE")  # noqa: SLF001 - the public one is masked
        return url

    @property
    def names_store(self) -> bool:
        """Whether a store or a program is named at all."""
        return self.app is not None or bool(self.given.get("store"))

    @property
    def tz(self) -> str:
        """The zone for triggers that name none, and for times that are shown."""
        given: str | None = self.given.get("tz")
        if given is not None:
            return given
        return self.scheduler.tz if self.app is not None else "UTC"

    @property
    def zone(self) -> tzinfo:
        """The same as tzinfo."""
        return _zone(self.tz)

    def zone_of(self, trigger: Trigger) -> tuple[str, tzinfo]:
        """Return the zone, by name and as tzinfo, in which people want to see *trigger*: their own, else its own."""
        own = None if "tz" in self.given else tz_of(trigger)
        return (self.tz, self.zone) if own is None else (own, _zone(own))

    def instant(self, text: str | None, what: str, *, sign: int = 1) -> datetime | None:
        """Return the instant that a person wrote.

        Args:
            text: ISO 8601, in the session's zone where it has no offset; or a length of time from now, such as ``2h``.
            what: The option, for messages.
            sign: 1 where lengths lead into the future, -1 where into the past.

        Raises:
            ConfigError: It is neither.
        """
        if text is None:
            return None
        try:
            written = datetime.fromisoformat(text.strip())
        except ValueError:
            pass
        else:
            return _aware(written, self.zone, self.tz, what)
        try:
            return SYSTEM_CLOCK.wall() + sign * parse_duration(text)
        except ConfigError:
            raise ConfigError(
                f"{what}: {text!r} is neither an instant, such as 2026-12-01T09:00 or 2026-12-01T09:00+08:00, "
                "nor a length of time, such as 90m or 2d"
            ) from None

    def abandon(self) -> None:
        """Do not close the Scheduler: a thread still waits inside it, and closing would wait for that."""
        if self._scheduler is not None:
            # Otherwise the end of the interpreter would close it.
            self._scheduler._forget()  # noqa: SLF001 - nobody but a process that is about to end has to let go so
            self._scheduler = None

    def close(self) -> None:
        """Give back connections."""
        if self._scheduler is not None:
            self._scheduler.close()
            self._scheduler = None


def _zone(tz: str) -> tzinfo:
    return UTC if tz == "UTC" else ZoneInfo(tz)


def _aware(written: datetime, zone: tzinfo, tz: str, what: str) -> datetime:
    if written.utcoffset() is not None:
        return written.astimezone(UTC)
    first, second = (written.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        raise ConfigError(
            f"{what}: in {tz} the clocks change at {written.isoformat(' ')}, so that it comes twice or not at all; "
            f"write it with an offset, such as {first.isoformat()}"
        )
    return first.astimezone(UTC)


def asks_for_json(words: Sequence[str]) -> bool:
    """Return whether a command line asks for JSON, however little else of it can be read.

    >>> asks_for_json(["ls", "--nosuch", "-o", "json"]), asks_for_json(["-ojson", "ls", "--output=table"])
    (True, False)
    """
    asked = os.environ.get("TICKONCE_OUTPUT", "")
    for at, word in enumerate(words):
        if word == "--":
            break
        if word in ("-o", "--output"):
            asked = words[at + 1] if at + 1 < len(words) else ""
        elif word.startswith(("-o", "--output=")):
            asked = word.removeprefix("--output=").removeprefix("-o")
    return asked == "json"


# -- options -----------------------------------------------------------------------------------


def duration(value: str | timedelta) -> timedelta:
    """Read a length of time."""
    try:
        return parse_duration(value, "length")
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


def duration_or_none(value: str | timedelta) -> timedelta | str:
    """Read a length of time, or the word ``none``."""
    return value if value == "none" else duration(value)


def words(kind: type[StrEnum]) -> click.Choice[str]:
    """Return the type of an option that takes one word of *kind*."""
    return click.Choice([str(word) for word in kind])


def zone(value: str) -> str:
    """Read the name of a time zone."""
    try:
        return zone_name(value)
    except TickonceError as error:
        raise click.BadParameter(str(error)) from None


def _note(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if param.name is not None:
        ctx.ensure_object(Session).note(param.name, value, ctx.get_parameter_source(param.name))


_shared = partial(option, expose_value=False, callback=_note)

APP = _shared("-A", "--app", envvar="TICKONCE_APP", metavar="MODULE[:NAME]", help="Your program's Scheduler.")
STORE = _shared(
    "--store", envvar="TICKONCE_STORE", metavar="URL", help="The store, where no program is at hand or needed."
)
TZ = _shared(
    "--tz",
    envvar="TICKONCE_TZ",
    type=zone,
    help="Zone for triggers that name none and for times shown; the program's own, else UTC.",
)
OUTPUT = _shared(
    "-o", "--output", envvar="TICKONCE_OUTPUT", type=click.Choice(["table", "json"]), help="How to answer."
)
VERBOSE = _shared("-v", "--verbose", envvar="TICKONCE_VERBOSE", is_flag=True, help="Show tracebacks, log more.")


def options(*each: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return a decorator that gives a command all these options, in this order."""

    def decorate(command: F) -> F:
        for one in reversed(each):
            command = one(command)
        return command

    return decorate


#: Gives a command the options that all of them have.
shared = options(APP, STORE, TZ, OUTPUT, VERBOSE)


def tell_errors(session: Session, error: TickonceError) -> click.ClickException:
    """Return *error* as the command line shows it."""
    from tickonce.cli.exits import Failure

    url = session.store_url if isinstance(error, SchemaError) else None
    return Failure(error, as_json=session.out.is_json, verbose=session.verbose, caller=session.caller, url=url)


pass_session = click.make_pass_decorator(Session, ensure=True)
