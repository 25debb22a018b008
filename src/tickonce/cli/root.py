"""The command ``tickonce``: its commands by what they are for, and how it ends."""

from __future__ import annotations

from typing import Any

import click

from tickonce.cli.exits import Exit, Interrupted, Misused
from tickonce.cli.helping import write_examples
from tickonce.cli.session import Session, asks_for_json, shared, tell_errors
from tickonce.cli.warned import told_in_a_line
from tickonce.errors import TickonceError

#: Headings of the help, with the commands below each.
SECTIONS = {
    "Try it": ("demo", "next"),
    "Be a node": ("serve",),
    "Look": ("ls", "show", "calendar", "runs", "skips", "nodes"),
    "Change": ("add", "edit", "pause", "resume", "rm", "revert"),
    "Steer": ("run-now", "retry", "cancel"),
    "Operate": ("doctor", "healthcheck", "db", "prune"),
}

EXAMPLES = (
    ('tickonce next "0 9 * * mon-fri" --tz Asia/Shanghai', "needs nothing set up"),
    ("tickonce demo", "a small fleet, killed and checked"),
    ("tickonce serve -A myapp.jobs", "one node; start as many as you like"),
    ("tickonce ls", "what is scheduled"),
)


#: Whether the words of the command line ask for JSON, also where they cannot be read to the end.
_AS_JSON = "tickonce.as_json"


class Root(click.Group):
    """The group of all commands: turns expected errors into a message and an exit code."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the options before the command."""
        as_json = asks_for_json(args)
        try:
            ctx = super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            if as_json:
                raise Misused(error) from error
            raise
        ctx.meta[_AS_JSON] = as_json
        return ctx

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out the command."""
        session = ctx.ensure_object(Session)
        ctx.call_on_close(session.close)
        try:
            with told_in_a_line():
                ended = super().invoke(ctx)
        except click.UsageError as error:
            if ctx.meta[_AS_JSON]:
                raise Misused(error) from error
            raise
        except TickonceError as error:
            raise tell_errors(session, error) from error
        except (KeyboardInterrupt, click.Abort):
            raise Interrupted(as_json=session.out.is_json) from None
        if isinstance(ended, Exit):
            ctx.exit(int(ended))
        return ended

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what it is all about, then examples."""
        super().format_help_text(ctx, formatter)
        write_examples(EXAMPLES, formatter)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the help."""
        del ctx
        named = [name for names in SECTIONS.values() for name in names if name in self.commands]
        return [*named, *sorted(set(self.commands) - set(named))]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the commands below their headings."""
        width = max(map(len, self.commands), default=0)
        limit = formatter.width - 6 - width
        for heading, names in SECTIONS.items():
            found = [(name, self.commands[name]) for name in names if name in self.commands]
            if found:
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(width), each.get_short_help_str(limit)) for name, each in found])


@click.group(
    cls=Root,
    context_settings={
        "auto_envvar_prefix": "TICKONCE",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@click.version_option(package_name="tickonce", message="tickonce %(version)s")
@shared
def root() -> None:
    """Cron for a fleet of Python processes.

    Name the store once, in TICKONCE_STORE, or your program with -A. Options stand before or behind the command, and
    each can be given by its environment variable. Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 conflict, 5 no
    connection, 7 the run failed, 8 timed out, 9 schema needs db upgrade, 10 doctor found problems, 130 interrupted.
    """


def _add_commands() -> None:
    from tickonce.cli import changing, database, doctor, fleet, looking, runs, serving, showing, steering, upcoming

    for command in (
        showing.demo_command,
        upcoming.next_command,
        upcoming.calendar_command,
        serving.serve_command,
        looking.ls_command,
        looking.show_command,
        looking.skips_command,
        runs.runs_command,
        changing.add_command,
        changing.edit_command,
        changing.pause_command,
        changing.resume_command,
        changing.rm_command,
        changing.revert_command,
        steering.run_now_command,
        steering.retry_command,
        steering.cancel_command,
        fleet.nodes_command,
        fleet.healthcheck_command,
        fleet.prune_command,
        doctor.doctor_command,
        database.db_group,
    ):
        root.add_command(command)


_add_commands()
