"""``tickonce serve``: this process as a node."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from typing import Any

import click

from tickonce.cli.exits import Exit
from tickonce.cli.helping import verb
from tickonce.cli.session import Session, duration, option, pass_session, shared
from tickonce.config import NodeConfig
from tickonce.settings import NodeSettings

_LEVELS = ("debug", "info", "warning", "error")


@verb(
    "serve",
    short="Be a node of the fleet, until SIGTERM or Ctrl-C.",
    examples=["tickonce serve -A myapp.jobs:scheduler --slots 20"],
)
@option("--slots", type=click.IntRange(0), help="Runs carried out at the same time; 10. 0 only launches.")
@option("--queues", multiple=True, metavar="NAME", help="Queues to serve; repeated, or with commas between.")
@option("--ticks/--no-ticks", default=None, help="Whether to launch schedules; without, it only carries runs out.")
@option("--drain-timeout", type=duration, help="How long a stopping node waits for what runs; 30s.")
@option("--lease", type=duration, help="How long the node counts as alive without a beat; 15s.")
@option("--beat", type=duration, help="Time between beats, at most a third of the lease; 5s.")
@option("--margin", type=duration, help="How long before its lease ends it starts nothing more; 2s.")
@option("--takeover-after", type=duration, help="How overdue a fire is when another node launches it; 1s.")
@option("--poll", type=duration, help="Longest wait between looks at the store; 5s, or 1s where it does not notify.")
@option("--log-level", type=click.Choice(_LEVELS), default="info", show_default=True, help="What is logged to stderr.")
@shared
@pass_session
def serve_command(session: Session, /, *, queues: tuple[str, ...], log_level: str, **given: Any) -> Exit:
    """Be a node of the fleet, until SIGTERM or Ctrl-C; once more stops at once.

    Start as many as you like, on as many machines: each fire is launched once. Settings that are not given here are the
    program's own. Without a program a node only launches, and others carry out.
    """
    settings = _settings(session, queues, given)
    scheduler = session.scheduler if session.app is not None else session.reach(make=True)
    _log_to_stderr("debug" if session.verbose else log_level)
    if session.app is None:
        settings["slots"] = 0
        session.out.say("No program is named (-A module:scheduler): this node launches, and carries nothing out.")
    elif (session.store_url or "").startswith("memory:"):
        session.out.say("The store is memory: nobody shares it, neither other nodes nor other commands.")
    ended = scheduler.serve(**settings)
    return Exit.OK if ended else Exit.FAILURE


def _settings(session: Session, queues: tuple[str, ...], given: dict[str, Any]) -> NodeSettings:
    settings: NodeSettings = {}
    settings.update({name: value for name, value in given.items() if value is not None})  # type: ignore[typeddict-item]
    names = [name for text in queues for name in text.split(",") if name]
    if names:
        settings["queues"] = names
    poll = settings.get("poll")
    if poll is not None:
        settings["blind_poll"] = poll
    if "margin" not in settings and ("lease" in settings or "beat" in settings):
        settings["margin"] = _fitting_margin(session.scheduler.config, settings)
    return settings


def _fitting_margin(config: NodeConfig, settings: NodeSettings) -> timedelta:
    """Return the margin that a shorter lease leaves room for, at most the usual one."""
    lease, beat = settings.get("lease", config.lease), settings.get("beat", config.beat)
    if not isinstance(lease, timedelta) or not isinstance(beat, timedelta):
        return config.margin
    return max(timedelta(0), min(config.margin, lease - 2 * beat))


def _log_to_stderr(level: str) -> None:
    """Log to stderr, unless the program has set up its own logging."""
    if logging.getLogger("tickonce").hasHandlers():
        return
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("tickonce").setLevel(level.upper())
