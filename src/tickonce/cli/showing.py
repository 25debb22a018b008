"""``tickonce demo``."""

from __future__ import annotations

import click

from tickonce.cli.exits import Exit
from tickonce.cli.helping import verb
from tickonce.cli.session import OUTPUT, VERBOSE, Session, option, options, pass_session


@verb(
    "demo",
    short="Run a small fleet here, kill a node, and count each tick.",
    examples=["tickonce demo", "tickonce demo --seconds 60 --nodes 5"],
)
@option("--seconds", default=20, show_default=True, type=click.IntRange(5, 3600), help="How long the fleet runs.")
@option("--nodes", default=3, show_default=True, type=click.IntRange(2, 50), help="Processes; one of them is killed.")
@option(
    "--store", metavar="URL", help="Another store than an SQLite file of its own; other schedules there are left alone."
)
@options(OUTPUT, VERBOSE)
@pass_session
def demo_command(session: Session, /, *, seconds: int, nodes: int, store: str | None) -> Exit:
    """Run a small fleet on this machine: edit it, kill a node, and check that each tick ran once.

    Needs nothing but Python. Exit code 1 if a tick was doubled or missed. With -o json, one object on the last line.
    """
    from tickonce.cli.demo.command import play_demo

    if store is None and "store" in session.typed:
        store = session.given["store"]
    return play_demo(session, seconds=seconds, nodes=nodes, store=store)
