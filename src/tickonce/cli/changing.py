"""``add``, ``edit``, ``pause``, ``resume``, ``rm``, ``revert``: what people do to schedules."""

from __future__ import annotations

import sys
from typing import Any, Literal

import click

from tickonce.cli.arguments import ARG, ARGS, changed_arguments, read_arguments
from tickonce.cli.forms import is_alive, schedule_form
from tickonce.cli.helping import verb
from tickonce.cli.session import Session, duration, duration_or_none, option, options, pass_session, shared, words
from tickonce.cli.takers import unheard_of
from tickonce.cli.texts import instant_text, relative, trigger_text, tz_of
from tickonce.errors import ConfigError, UnknownJob
from tickonce.model import Misfire, OnLost, Overlap, Schedule, ScheduleState, check_id
from tickonce.scheduler import Scheduler
from tickonce.triggers import Trigger, parse_trigger, trigger_from_spec

_settings = options(
    ARG,
    ARGS,
    option(
        "--misfire",
        type=words(Misfire),
        help="Of fires found late: run the newest, all, or none.",
    ),
    option(
        "--overlap",
        type=words(Overlap),
        help="While a run is open: skip a fire, or launch it, too.",
    ),
    option("--grace", type=duration, help="How late a fire may be found and still be on time; 10s."),
    option("--catch-up", type=duration, help="How far back --misfire all reaches; 1d."),
    option(
        "--start-within",
        type=duration_or_none,
        metavar="DURATION|none",
        help="A run not started so long after its due time is skipped.",
    ),
    option("--timeout", type=duration_or_none, metavar="DURATION|none", help="How long one attempt may take."),
    option("--retries", type=click.IntRange(0), help="Tries after the first one."),
    option(
        "--on-lost",
        type=words(OnLost),
        help="A run whose node is gone: run it again, or fail.",
    ),
    option("--queue", help="Nodes that serve this queue carry it out."),
    option("--priority", type=int, help="Of pending runs the highest goes first."),
    option("--jitter", type=duration, help="Fires become due up to so long after their scheduled time."),
    option("--start", metavar="INSTANT", help="No fire before this instant, or before so long from now."),
    option("--end", metavar="INSTANT", help="No fire after this instant, or after so long from now."),
    option("--tag", multiple=True, help="A word to find it by; may be repeated."),
    option("--owner", help="Who answers for it."),
    option("--description", help="For people."),
)


@verb(
    "add",
    examples=[
        'tickonce add nightly "0 21 * * *" shop.report --tz Asia/Shanghai --retries 3',
        'tickonce add sync-eu "every 5m" shop.sync --arg shop=eu',
        'tickonce add launch "at 2026-12-01T09:00+08:00" shop.launch',
    ],
)
@click.argument("id")
@click.argument("trigger")
@click.argument("job")
@_settings
@option("--if-exists", default="error", show_default=True, type=click.Choice(["error", "keep", "update"]))
@option("--paused", is_flag=True, help="Begin paused.")
@shared
@pass_session
def add_command(
    session: Session,
    /,
    *,
    id: str,
    trigger: str,
    job: str,
    if_exists: Literal["error", "keep", "update"],
    paused: bool,
    arg: tuple[str, ...],
    args: str | None,
    **given: Any,
) -> None:
    """Add a schedule: ID, when, and the JOB's name.

    With -A the job must be registered and its arguments are checked; with --store they are taken as they are, with
    a warning if nodes are alive and none knows the job.
    """
    when = parse_trigger(trigger)
    settings = _read(session, given)
    if "tz" in session.given:
        settings["tz"] = session.given["tz"]
    called = read_arguments(arg, args) or ((), {})
    _know(session, job)
    check_id(id)
    added = session.reach(make=True).add(
        id, job, when, args=called[0], kwargs=called[1], if_exists=if_exists, paused=paused, **settings
    )
    _tell(session, added)
    _warn(session, added)


@verb(
    "edit",
    examples=['tickonce edit nightly --trigger "30 21 * * *"', "tickonce edit sync-eu --arg shop=us --timeout none"],
)
@click.argument("id")
@option("--trigger", help="When: 'every 5m', '0 9 * * 1-5', 'at 2026-12-01T09:00+08:00'.")
@option("--job", help="Another job.")
@_settings
@option("--expected-revision", type=int, help="Refuse when somebody has edited it since: exit code 4.")
@shared
@pass_session
def edit_command(
    session: Session,
    /,
    *,
    id: str,
    trigger: str | None,
    job: str | None,
    arg: tuple[str, ...],
    args: str | None,
    expected_revision: int | None,
    **given: Any,
) -> None:
    """Change what is given of a schedule, and leave the rest.

    --arg changes one argument and --args all of them; --trigger leaves the zone, --tz alone changes it; none takes
    --timeout, --start-within, --start or --end away, and --tag '' all tags. Fires up to now go by the old definition.
    """
    changes = _read(session, given)
    when = None if trigger is None else parse_trigger(trigger)
    called = read_arguments(arg, args)
    if not changes and when is None and job is None and called is None and "tz" not in session.typed:
        raise ConfigError(f"nothing to change is given; see: tickonce edit --help, or look at it: tickonce show {id}")
    scheduler = session.reach()
    if when is not None and "tz" in session.given:
        changes["tz"] = session.given["tz"]
    elif when is not None:
        # Whoever changes the hour does not mean to change the country.
        tz = None if tz_of(when) is not None else tz_of(scheduler.get(id).trigger)
        changes.update({} if tz is None else {"tz": tz})
    elif "tz" in session.typed:
        when, changes["tz"] = _without_zone(scheduler, id), session.given["tz"]
    if job is not None:
        _know(session, job)
        changes["job"] = job
    if called is not None:
        changes["args"], changes["kwargs"] = called
        if args is None:
            found = scheduler.get(id)
            changes["args"], changes["kwargs"] = changed_arguments(found.definition.arguments, called[1])
            # What was read must still stand when it is written.
            expected_revision = found.revision if expected_revision is None else expected_revision
    if when is not None:
        changes["trigger"] = when
    changed = scheduler.update(id, expected_revision=expected_revision, **changes)
    _tell(session, changed)
    if job is not None:
        _warn(session, changed)


@verb("pause", examples=['tickonce pause sync-eu --reason "stock taking" --until 2h'])
@click.argument("id")
@option("--reason", default="", help="For people: why.")
@option("--until", metavar="INSTANT", help="Go on by itself at this instant, or so long from now: 2h.")
@shared
@pass_session
def pause_command(session: Session, /, *, id: str, reason: str, until: str | None) -> None:
    """Launch nothing more until resume; what runs goes on. The fires meanwhile end as one skip record."""
    instant = session.instant(until, "--until")
    _tell(session, session.reach().pause(id, reason=reason, until=instant))


@verb("resume")
@click.argument("id")
@option("--missed", type=click.Choice(["latest", "all"]), help="Run the newest missed fire, or all of them.")
@shared
@pass_session
def resume_command(session: Session, /, *, id: str, missed: Literal["latest", "all"] | None) -> None:
    """Go on after a pause, or after the schedule was set aside."""
    _tell(session, session.reach().resume(id, missed=missed))


@verb("revert", short="Give back what people changed of a declared schedule.")
@click.argument("id")
@shared
@pass_session
def revert_command(session: Session, /, *, id: str) -> None:
    """Give back what people changed of a schedule that code declares."""
    _tell(session, session.reach().revert(id))


@verb("rm")
@click.argument("id")
@option("-y", "--yes", is_flag=True, help="Do not ask.")
@shared
@pass_session
def rm_command(session: Session, /, *, id: str, yes: bool) -> None:
    """Remove a schedule; what runs goes on. Code that declares it does not bring it back."""
    found = session.reach().get(id)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(f"removing {id!r} wants a yes; in scripts: tickonce rm {id} -y")
        declared = "; the code that declares it will not bring it back" if found.declaration is not None else ""
        if not click.confirm(f"Remove {id!r} ({trigger_text(found.trigger)}){declared}?", err=True):
            session.out.say("Nothing was removed.")
            raise click.exceptions.Exit(1)
    session.reach().remove(id)
    session.out.one({"id": id, "removed": True}, f"{id} is removed")
    if found.declaration is not None:
        session.out.say(f"Its code does not bring it back; to have it again as declared, add it: tickonce add {id} ...")


# -- parts -------------------------------------------------------------------------------------


def _read(session: Session, given: dict[str, Any]) -> dict[str, Any]:
    """Return what was given as settings of ``add`` and ``update``."""
    settings = {name: value for name, value in given.items() if value is not None and value != ()}
    for name in ("start", "end"):
        if name in settings:
            text = settings[name]
            settings[name] = None if text == "none" else session.instant(text, f"--{name}")
    for name, value in settings.items():
        if value == "none" and name in ("timeout", "start_within"):
            settings[name] = None
    if "tag" in settings:
        settings["tags"] = [tag for tag in settings.pop("tag") if tag]
    return settings


def _know(session: Session, job: str) -> None:
    """Refuse a job that the program does not have; without a program, any name is taken."""
    if session.app is not None and session.scheduler.jobs.find(job) is None:
        raise UnknownJob(job, known=session.scheduler.jobs.names())


def _warn(session: Session, schedule: Schedule) -> None:
    """Say where no program has checked the job's name, and nobody who is there now knows it."""
    if session.app is not None:
        return
    scheduler = session.scheduler
    now = scheduler.store.instant()
    alive = [node for node in scheduler.nodes() if is_alive(node, now)]
    if unheard_of(alive, schedule.job):
        session.out.say(
            f"Warning: no live node knows job {schedule.job!r}, so its runs wait until one does. Start nodes with the "
            f"code that has it, or mend the name: tickonce edit {schedule.id} --job NAME; -A module:scheduler checks it"
        )


def _without_zone(scheduler: Scheduler, id: str) -> Trigger:
    found = scheduler.get(id).trigger
    spec = dict(found.spec())
    if spec.pop("tz", None) is None:
        raise ConfigError(f"--tz: {id!r} is due {trigger_text(found)}, which has no zone; give --trigger as well")
    return trigger_from_spec(spec)


def _tell(session: Session, schedule: Schedule) -> None:
    now = session.reach().store.instant()
    _, zone = session.zone_of(schedule.trigger)
    text = f"{schedule.id}: {schedule.state}, {trigger_text(schedule.trigger)}"
    if schedule.paused_until is not None:
        text += f", until {instant_text(schedule.paused_until, zone)}"
    if schedule.next_fire is not None and schedule.state is ScheduleState.ACTIVE:
        next_fire = schedule.next_fire
        text += f", next {instant_text(next_fire, zone, weekday=True)} ({relative(next_fire, now)})"
    session.out.one(schedule_form(schedule), text)
