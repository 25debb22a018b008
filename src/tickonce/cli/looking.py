"""``ls``, ``show`` and ``skips``: what is scheduled, and why something did not run."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime, timedelta, tzinfo
from typing import Any, TypeAlias

import click

from tickonce.agenda import guessed
from tickonce.cli.findings import some
from tickonce.cli.forms import run_form, schedule_form, skip_form
from tickonce.cli.helping import verb
from tickonce.cli.output import pairs, table
from tickonce.cli.paging import LIMIT, gathered
from tickonce.cli.runs import run_rows, show_run
from tickonce.cli.session import Session, option, options, pass_session, shared, words
from tickonce.cli.texts import instant_text, iso, masked, masked_arguments, relative, trigger_text
from tickonce.cli.warned import told_by_schedule
from tickonce.durations import format_duration
from tickonce.model import Policy, Run, Schedule, ScheduleState, Skip
from tickonce.retry import Retry
from tickonce.scheduler import Scheduler
from tickonce.triggers.describe import describe

_HIDDEN = (ScheduleState.ENDED, ScheduleState.REMOVED)


#: What of a schedule can be asked for.
WHICH = options(
    option("--tag", help="With this tag."),
    option("--owner", help="Of this owner."),
    option("--job", help="Of this job."),
    option("--queue", help="Of this queue."),
    option("-q", "--text", help="With this text in id, job or description."),
)
Which: TypeAlias = dict[str, Any]


@verb("ls")
@option(
    "--state",
    multiple=True,
    type=words(ScheduleState),
    help="In this state; may be repeated.",
)
@WHICH
@option("-a", "--all", is_flag=True, help="Ended and removed ones, too.")
@LIMIT
@shared
@pass_session
def ls_command(session: Session, /, *, state: tuple[str, ...], all: bool, limit: int, **which: str | None) -> None:
    """List schedules, with their next fire and their last run."""
    scheduler = session.reach()
    asked: Which = {name: value for name, value in which.items() if value is not None}
    if state:
        asked["states"] = state
    ended, removed = (all or hidden in state for hidden in _HIDDEN)
    schedules, more = gathered(
        lambda count, cursor: scheduler.schedules(limit=count, cursor=cursor, ended=ended, removed=removed, **asked),
        limit,
    )
    now = scheduler.store.instant()
    last = {schedule.id: _last_runs(scheduler, schedule.id, 1) for schedule in schedules}
    rows = []
    forms = []
    for schedule in schedules:
        runs = last[schedule.id]
        forms.append({**schedule_form(schedule), "last_run": run_form(runs[0]) if runs else None})
        rows.append(
            (
                schedule.id,
                str(schedule.state),
                trigger_text(schedule.trigger),
                instant_text(schedule.next_fire, session.zone),
                relative(schedule.next_fire, now),
                _last(runs[0], now) if runs else "-",
                schedule.definition.owner,
            )
        )
    session.out.listing(
        forms,
        ("id", "state", "trigger", "next", "", "last run", "owner"),
        rows,
        nothing="No schedule matches." if asked else _none_yet(session),
    )
    if more:
        session.out.say(f"The first {limit} are shown; more: --limit 0")


def _none_yet(session: Session) -> str:
    """Return what there is to do where no schedule is; those of the program come with its first node."""
    scheduler = session.scheduler
    declared = [] if session.app is None else [each.id for each in scheduler.jobs.declared]
    awaited = [each for each in declared if scheduler.store.get(each) is None]  # others were removed, or have ended
    if not awaited:
        return "No schedules. Add one: tickonce add ID TRIGGER JOB"
    app = "" if session.caller.brings_program else f" -A {session.app}"
    return (
        f"No schedules yet. Those that the program declares appear when its first node starts: {some(awaited)}. "
        f"Start one: tickonce serve{app}"
    )


@verb("show", short="Show all about a schedule, or about a run by its token.")
@click.argument("what", metavar="SCHEDULE|TOKEN")
@option("-n", "--count", default=5, show_default=True, type=click.IntRange(1, 1000), help="Fires, runs, skips.")
@shared
@pass_session
def show_command(session: Session, /, *, what: str, count: int) -> None:
    """Show a schedule, with next fires, last runs and skips; or a run by its token."""
    if "@" in what:
        show_run(session, what)
        return
    scheduler = session.reach()
    found = scheduler.get(what)
    now = scheduler.store.instant()
    fires, why = _next_fires(scheduler, found, count)
    guess = guessed(found.trigger, sorted({fire.year for fire in fires}))
    remarks = [f"{what}: no next fires are shown: {why}"] if why else [f"{what}: {guess}"] if guess else []
    runs = _last_runs(scheduler, what, count)
    skips = list(scheduler.skips(what, limit=count).items)
    if session.out.is_json:
        form = schedule_form(found)
        form["next_fires"] = [iso(fire) for fire in fires]
        form["last_runs"] = [run_form(run) for run in runs]
        form["skips"] = [skip_form(skip) for skip in skips]
        session.out.document(form)
        for line in remarks:
            session.out.say(line)
        return
    tz, zone = session.zone_of(found.trigger)
    pairs(_described(found, zone, now))
    if fires and found.state is ScheduleState.ACTIVE:
        click.echo(f"\nnext fires ({tz})")
        table(("at", ""), [(instant_text(fire, zone, weekday=True), relative(fire, now)) for fire in fires])
    if runs:
        click.echo("\nlast runs")
        table(*run_rows(runs, now, zone))
    if skips:
        click.echo("\nnot run")
        table(*_skip_rows(skips, zone, with_id=False))
    for line in remarks:
        session.out.say(line)


@verb("skips", short="List the fires that were not run, with the reason.")
@click.argument("schedule", required=False)
@LIMIT
@shared
@pass_session
def skips_command(session: Session, /, *, schedule: str | None, limit: int) -> None:
    """List the fires that were not run, with the reason: of one schedule or of all."""
    scheduler = session.reach()
    if schedule is not None:
        scheduler.get(schedule)
    skips, more = gathered(lambda count, cursor: scheduler.skips(schedule, limit=count, cursor=cursor), limit)
    session.out.listing(
        [skip_form(skip) for skip in skips],
        *_skip_rows(skips, session.zone, with_id=schedule is None),
        nothing="Nothing was skipped.",
    )
    if more:
        session.out.say(f"The newest {limit} are shown; more: --limit 0")


# -- parts -------------------------------------------------------------------------------------


def _last_runs(scheduler: Scheduler, schedule_id: str, count: int) -> list[Run]:
    return list(scheduler.runs(schedule_id=schedule_id, limit=count).items)


def _next_fires(scheduler: Scheduler, schedule: Schedule, count: int) -> tuple[list[datetime], str]:
    """Return the next fires; or none, and why not: what a trigger raises hides nothing else of its schedule."""
    if not schedule.definition.known:
        return [], ""
    try:
        with told_by_schedule():
            return scheduler.next_fires(schedule.id, count), ""
    except Exception as error:  # noqa: BLE001  # whatever a trigger raises, its schedule is shown
        return [], f"trigger raised {type(error).__name__}: {error}"


def _last(run: Run, now: datetime) -> str:
    return f"{run.state} {relative(run.finished_at or run.started_at or run.due, now)}"


def _skip_rows(skips: list[Skip], zone: tzinfo, *, with_id: bool) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    rows: list[tuple[str, ...]] = [
        (
            skip.schedule_id if with_id else "",
            str(skip.reason),
            f"{skip.count}+" if skip.more else str(skip.count),
            instant_text(skip.first, zone),
            instant_text(skip.last, zone) if skip.last != skip.first else "-",
        )
        for skip in skips
    ]
    return ("schedule", "reason", "fires", "first", "last"), rows


def _described(schedule: Schedule, zone: tzinfo, now: datetime) -> list[tuple[str, str]]:
    definition, declaration = schedule.definition, schedule.declaration
    state = str(schedule.state)
    if schedule.paused_until is not None:
        state += f" until {instant_text(schedule.paused_until, zone)}"
    next_fire = f"{instant_text(schedule.next_fire, zone)}, {relative(schedule.next_fire, now)}"
    arguments = masked_arguments(json.loads(definition.arguments))
    return [
        ("id", schedule.id),
        ("state", state),
        ("reason", masked(schedule.reason or "")),
        ("trigger", trigger_text(definition.trigger)),
        ("in words", describe(definition.trigger)),
        ("next fire", next_fire if schedule.next_fire is not None else "-"),
        ("jitter", format_duration(definition.jitter) if definition.jitter else ""),
        ("start", instant_text(definition.start, zone)),
        ("end", instant_text(definition.end, zone)),
        ("job", definition.job),
        ("args", json.dumps(arguments["args"], ensure_ascii=False) if arguments["args"] else ""),
        ("kwargs", json.dumps(arguments["kwargs"], ensure_ascii=False) if arguments["kwargs"] else ""),
        ("queue", definition.queue),
        ("priority", str(definition.priority) if definition.priority else ""),
        *((name.replace("_", " "), text) for name, text in _policy(definition.policy)),
        ("tags", ", ".join(definition.tags)),
        ("owner", definition.owner),
        ("description", definition.description),
        (
            "revision",
            f"{schedule.revision}, by {schedule.updated_by or 'unknown'} {relative(schedule.updated_at, now)}",
        ),
        ("declared", _declared(schedule, now)),
        ("overrides", ", ".join(sorted(declaration.overrides)) if declaration is not None else ""),
    ]


def _declared(schedule: Schedule, now: datetime) -> str:
    if schedule.declaration is None:
        return ""
    release = f", release {schedule.declaration.release}" if schedule.declaration.release else ""
    return f"in code{release}, last seen {relative(schedule.declaration.seen_at, now)}"


def _policy(policy: Policy) -> list[tuple[str, str]]:
    """Return the three words that matter most, and of the rest what is not the default."""
    default = Policy()
    shown = []
    for item in fields(Policy):
        value = getattr(policy, item.name)
        if item.name in ("misfire", "overlap", "grace") or value != getattr(default, item.name):
            shown.append((item.name, _word(value)))
    return shown


def _word(value: object) -> str:
    match value:
        case timedelta():
            return format_duration(value)
        case Retry(times=times, delay=delay, kind=kind):
            return f"{times} times, after {format_duration(delay)}, {kind}"
        case _:
            return str(value)
