"""``nodes``, ``healthcheck`` and ``prune``: the processes that take part, and what they leave behind."""

from __future__ import annotations

import socket
import threading
from datetime import datetime, timedelta

import click

from tickonce.cli.exits import Exit, TimedOut
from tickonce.cli.forms import is_alive, node_form
from tickonce.cli.helping import verb
from tickonce.cli.session import Session, duration, option, pass_session, shared, tell_errors
from tickonce.cli.texts import relative
from tickonce.config import Retention
from tickonce.durations import format_duration
from tickonce.errors import TickonceError
from tickonce.model import Node, NodeState


@verb("nodes")
@option("-a", "--all", is_flag=True, help="Also those that are gone or dead.")
@shared
@pass_session
def nodes_command(session: Session, /, *, all: bool) -> None:
    """List the processes that take part."""
    scheduler = session.reach()
    now = scheduler.store.instant()
    found = [node for node in scheduler.nodes() if all or node.state in (NodeState.ALIVE, NodeState.LEAVING)]
    session.out.listing(
        [node_form(node, now) for node in found],
        ("id", "state", "beat", "runs", "does", "queues", "release", "tickonce", "up"),
        [_row(node, now) for node in found],
        nothing="No node takes part. Start one: tickonce serve -A module:scheduler",
    )


@verb(
    "healthcheck",
    short="Exit with 0 if a node of this host is alive: for probes.",
    examples=["HEALTHCHECK CMD tickonce healthcheck"],
)
@option("--node", metavar="NAME", help="A node by its id or host name; by default any of this host.")
@option("--any", is_flag=True, help="Any node of the fleet.")
@option("--timeout", type=duration, default="5s", show_default=True, help="Give up after so long: exit code 8.")
@shared
@pass_session
def healthcheck_command(session: Session, /, *, node: str | None, any: bool, timeout: timedelta) -> Exit:
    """Exit with 0 if a node of this host has beaten within its lease, else with 1: for probes."""
    found: list[Node] = []
    failed: list[TickonceError] = []

    def look() -> None:
        try:
            scheduler = session.reach()
            names = {node} if node is not None else {socket.gethostname(), scheduler.by}
            now = scheduler.store.instant()
            found.extend(
                each for each in scheduler.nodes() if is_alive(each, now) and (any or {each.id, each.host} & names)
            )
        except TickonceError as error:
            failed.append(error)

    # In a thread, since a driver may hang for longer than a probe waits.
    looking = threading.Thread(target=look, name="tickonce-healthcheck", daemon=True)
    looking.start()
    looking.join(timeout.total_seconds())
    if looking.is_alive():
        session.abandon()
        raise TimedOut(f"no answer from the store within {format_duration(timeout)}")
    if failed:
        raise tell_errors(session, failed[0]) from failed[0]
    form = {"healthy": bool(found), "nodes": [each.id for each in found]}
    whose = "the fleet" if any else node or "this host"
    session.out.one(form, f"alive: {', '.join(each.id for each in found)}" if found else f"no live node of {whose}")
    return Exit.OK if found else Exit.FAILURE


@verb("prune")
@option("--runs", type=duration, help="Delete ended runs older than this; 14d.")
@option("--keep", type=click.IntRange(0), help="Ended runs of each schedule that stay in any case; 50.")
@option("--skips", type=duration, help="Delete skip records older than this; 30d.")
@option("--nodes", type=duration, help="Delete rows of nodes gone for so long; 1d.")
@option("--tombstones", type=duration, help="Delete marks of schedules removed so long ago; 30d.")
@shared
@pass_session
def prune_command(session: Session, /, **given: timedelta | int | None) -> None:
    """Delete old history now. Nodes do it by themselves, little by little; no fire's identity is forgotten."""
    chosen = {name: value for name, value in given.items() if value is not None}
    base = session.scheduler.config.retention or Retention()
    retention = Retention(**{**{name: getattr(base, name) for name in Retention.__slots__}, **chosen})
    gone = session.reach().prune(retention)
    session.out.one({"deleted": gone}, f"{gone} row(s) deleted")


def _row(node: Node, now: datetime) -> tuple[str, ...]:
    state = str(node.state)
    if node.state in (NodeState.ALIVE, NodeState.LEAVING) and not is_alive(node, now):
        state = "late"  # its lease is over, and no witness has said so yet
    does = [word for word, on in (("launches", node.ticks), ("carries out", node.slots > 0)) if on]
    if node.ticks and not node.serving:
        does[0] = "stuck"
    return (
        node.id,
        state,
        relative(node.beat_at, now),
        f"{node.busy}/{node.slots}" if node.slots else "-",
        ", ".join(does),
        ", ".join(node.queues),
        node.release or "-",
        str(node.facts.get("tickonce", "-")),
        relative(node.started_at, now),
    )
