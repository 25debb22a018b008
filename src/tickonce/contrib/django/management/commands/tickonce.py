"""``manage.py tickonce ...``: the whole command line, with the project's Scheduler."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tickonce.contrib.django import DjangoScheduler
from tickonce.errors import TickonceError

APP = "tickonce.contrib.django:scheduler"


class Command(BaseCommand):
    """Hands its words to the command ``tickonce``, which has options and help of its own."""

    help = "Schedules, runs and nodes: every command of tickonce. See: manage.py tickonce --help"
    requires_system_checks: Any = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Carry it out as a process of its own, whose exit code it gives."""
        try:
            self._carry_out(_without_django(argv[2:]), prog_name=f"{argv[0]} {argv[1]}", standalone=True)
        except CommandError as error:
            self.stderr.write(f"{type(error).__name__}: {error}")  # as Django's own commands end
            sys.exit(error.returncode)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whatever comes, for ``call_command("tickonce", "ls")``."""
        parser.add_argument("words", nargs=argparse.REMAINDER)

    def handle(self, *args: Any, words: list[str], **_: Any) -> None:
        """Carry it out for ``call_command``."""
        out: Any = self.stdout._out  # noqa: SLF001  # what call_command(stdout=...) was given
        with redirect_stdout(out):
            self._carry_out([*args, *words], prog_name="manage.py tickonce", standalone=False)

    def _carry_out(self, words: list[str], *, prog_name: str, standalone: bool) -> None:
        from tickonce.cli.calling import Caller
        from tickonce.cli.root import root
        from tickonce.cli.session import Session
        from tickonce.contrib.django import scheduler

        if words[:1] == ["serve"]:
            self.check()
        caller = Caller("manage.py tickonce", _upgrade(scheduler), store='TICKONCE["store"] in the settings')
        session = Session(given={"app": APP}, typed={"app"}, caller=caller)
        try:
            if not scheduler.inline:
                scheduler.locate()
        except TickonceError as error:
            raise CommandError(str(error)) from error
        if standalone:
            root.main(words, prog_name=prog_name, obj=session)
        try:
            ended = root.main(words, prog_name=prog_name, obj=session, standalone_mode=False)
        except click.ClickException as error:
            raise CommandError(error.format_message(), returncode=error.exit_code) from error
        if ended:
            raise CommandError(f"tickonce {' '.join(words)} ended with {ended}", returncode=int(ended))


def _upgrade(scheduler: DjangoScheduler) -> str:
    """Return what makes the tables: ``migrate`` where the store is in DATABASES."""
    try:
        alias = scheduler.project.alias
    except TickonceError:
        alias = "default"  # what is wrong with the settings is told when the store is looked for
    if alias is None:
        return "manage.py tickonce db upgrade"
    return "manage.py migrate" if alias == "default" else f"manage.py migrate --database {alias}"


def _without_django(words: list[str]) -> list[str]:
    """Return *words* without the options that Django has dealt with already."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--settings")
    parser.add_argument("--pythonpath")
    end = words.index("--") if "--" in words else len(words)
    _, rest = parser.parse_known_args(words[:end])
    return [*rest, *words[end:]]
