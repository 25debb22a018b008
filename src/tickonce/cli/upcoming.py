"""``tickonce next``: when something is due; an expression needs no store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from tickonce.cli.helping import verb
from tickonce.cli.output import table
from tickonce.cli.session import Session, option, pass_session, shared
from tickonce.cli.texts import instant_text, iso, relative, trigger_text, tz_of
from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import BadId, ConfigError, TriggerError
from tickonce.model import check_id
from tickonce.scheduler import Scheduler
from tickonce.triggers import Trigger, parse_trigger


@verb(
    "next",
    examples=[
        'tickonce next "0 9 * * mon-fri" --tz Asia/Shanghai -n 3',
        'tickonce next "every 90s"',
        "tickonce next nightly-report",
    ],
)
@click.argument("what", metavar="EXPRESSION|SCHEDULE")
@option("-n", "--count", default=10, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@option(
    "--from",
    "start",
    envvar="TICKONCE_NEXT_FROM",
    metavar="INSTANT",
    help="Fires after this instant, or so long from now.",
)
@shared
@pass_session
def next_command(session: Session, /, *, what: str, count: int, start: str | None) -> None:
    """Show when an expression or a schedule is due next."""
    trigger = _trigger(session, what)
    if trigger is not None:
        now = SYSTEM_CLOCK.wall()
        tz = session.given.get("tz", "UTC")
        after = session.instant(start, "--from") or now
        resolved = trigger.resolved(schedule_id="next", tz=tz)
        _show(session, resolved, Scheduler("memory:").next_fires(resolved, count, after=after), now=now, after=after)
        return
    scheduler = session.scheduler
    found = scheduler.get(what)
    now = scheduler.store.instant()
    after = session.instant(start, "--from") or max(now, found.watermark)
    _show(session, found.trigger, scheduler.next_fires(what, count, after=after), now=now, after=after)
    if found.state != "active":
        session.out.say(f"{what} is {found.state}: nothing is launched as long as it is.")


def _trigger(session: Session, what: str) -> Trigger | None:
    """Return the trigger that *what* is, or None when it is the id of a schedule."""
    try:
        check_id(what)
    except BadId:
        return parse_trigger(what)
    if session.names_store:
        return None
    try:
        return parse_trigger(what)
    except TriggerError as error:
        raise ConfigError(
            f"{error}. If {what!r} is a schedule, name its store: --store URL, or your program: -A module:scheduler"
        ) from None


def _show(session: Session, trigger: Trigger, times: Sequence[datetime], *, now: datetime, after: datetime) -> None:
    shown, zone = session.zone_of(trigger)
    tz = tz_of(trigger) or shown
    if session.out.is_json:
        form = {"trigger": dict(trigger.spec()), "tz": tz, "after": iso(after), "fires": [iso(time) for time in times]}
        session.out.document(form)
        return
    session.out.say(_zones(session, trigger, shown))
    if not times:
        session.out.say("No fire is left.")
        return
    table(
        ("scheduled time", "", "utc"),
        [
            (
                instant_text(time, zone, weekday=True),
                relative(time, now),
                "" if shown == "UTC" else instant_text(time),
            )
            for time in times
        ],
    )


def _zones(session: Session, trigger: Trigger, shown: str) -> str:
    """Say what zone the trigger is meant in, and which one the times are shown in."""
    tz = tz_of(trigger)
    if tz is None:
        return f"{trigger_text(trigger)}: times shown in {shown}"
    default = "" if "tz" in session.given or tz != "UTC" else "; another one: --tz Asia/Shanghai"
    other = "" if tz == shown else f"; times shown in {shown}"
    return f"{trigger_text(trigger).removesuffix(f' ({tz})')} in time zone {tz}{default}{other}"
