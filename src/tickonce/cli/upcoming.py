"""``next`` and ``calendar``: when something is due; an expression needs no store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import click

from tickonce.agenda import Agenda, Bounded, agenda, guessed
from tickonce.cli.findings import some
from tickonce.cli.helping import verb
from tickonce.cli.looking import WHICH, Which
from tickonce.cli.output import table
from tickonce.cli.paging import gathered
from tickonce.cli.session import F, Session, option, pass_session, shared
from tickonce.cli.texts import instant_text, iso, relative, trigger_text, tz_of
from tickonce.cli.warned import told_by_schedule
from tickonce.cli.wording import Wording, wording
from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import BadId, ConfigError, NoSchedule, NoStore, SchemaError, TriggerError
from tickonce.model import Schedule, check_id
from tickonce.scheduler import Scheduler
from tickonce.triggers import Trigger, parse_trigger
from tickonce.triggers.describe import Lang
from tickonce.triggers.explain import Entry, Explanation, explain, timeline_text

#: How far ``calendar`` looks by default.
_WEEK = timedelta(days=7)
_TICK = timedelta(microseconds=1)

_DECLARED = option("--declared", is_flag=True, help="As the program of -A declares it; needs no store.")


def _lang(command: str) -> Callable[[F], F]:
    """Return the option that chooses the language of *command*; one variable chooses that of all."""
    return option(
        "--lang",
        default="en",
        show_default=True,
        envvar=[f"TICKONCE_{command}_LANG", "TICKONCE_LANG"],
        type=click.Choice(["en", "zh"]),
        help="Language of the words.",
    )


@verb(
    "next",
    short="Show when an expression or a schedule is due.",
    examples=[
        'tickonce next "0 9 * * mon-fri" --tz Asia/Shanghai -n 3',
        'tickonce next "quartz 0 0 9 ? * MON-FRI" --lang zh',
        'tickonce next "30 2 * * *" --tz America/New_York --from 2027-03-13 --explain',
        'tickonce next "every 90s"',
        "tickonce next nightly-report",
        "tickonce next nightly-report -A myapp.jobs --declared",
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
@option("--explain", is_flag=True, help="Say which of these fires a change of the clocks moves, drops or doubles.")
@_lang("NEXT")
@_DECLARED
@shared
@pass_session
def next_command(
    session: Session, /, *, what: str, count: int, start: str | None, explain: bool, lang: Lang, declared: bool
) -> None:
    """Show in words when an expression or a schedule is due, and when next.

    An expression needs no store: cron with 5 or 6 fields, @daily, quartz 0 0 9 ? * MON-FRI, every 5m, every 2 weeks at
    09:00, solar sunrise 31.23 121.47, DTSTART:... RRULE:..., at 2026-12-01T09:00+08:00.
    """
    trigger = None if declared else _trigger(session, what)
    found: Schedule | None = None
    if trigger is None:
        scheduler = _asked(session, f"next {what}", declared=declared)
        found = _schedule(scheduler, what)
        now = scheduler.store.instant()
        trigger, after = found.trigger, session.instant(start, "--from") or max(now, found.watermark)
    else:
        now = SYSTEM_CLOCK.wall()
        tz = session.tz if "app" in session.typed else session.given.get("tz", "UTC")
        trigger = trigger.resolved(schedule_id="next", tz=tz)
        after = session.instant(start, "--from") or now
    with told_by_schedule():
        _show(session, trigger, found, now, after=after, count=count, lang=lang, explaining=explain)
    if found is not None and found.state != "active":
        said = wording(lang)
        session.out.say(said.not_launched.format(id=what, state=said.states[found.state]))


@verb(
    "calendar",
    short="Show what fires when, day by day.",
    examples=[
        "tickonce calendar",
        "tickonce calendar --from 2026-12-24 --to 2026-12-26 --tz Europe/Berlin --tag billing",
        "tickonce calendar -A myapp.jobs --declared --to 2d",
    ],
)
@option(
    "--from",
    "start",
    envvar="TICKONCE_CALENDAR_FROM",
    metavar="INSTANT",
    help="First instant or day, or so long from now; now.",
)
@option(
    "--to",
    "end",
    envvar="TICKONCE_CALENDAR_TO",
    metavar="INSTANT",
    help="An instant, or the last day, or so long from now; a week after the first.",
)
@_lang("CALENDAR")
@_DECLARED
@WHICH
@shared
@pass_session
def calendar_command(
    session: Session, /, *, start: str | None, end: str | None, lang: Lang, declared: bool, **which: str | None
) -> None:
    """Show what fires when, day by day: by arithmetic from the schedules as they are now, without jitter."""
    asked: Which = {name: value for name, value in which.items() if value is not None}
    scheduler = _asked(session, "calendar", declared=declared)
    first = session.instant(start, "--from") or scheduler.store.instant()
    last = _end(session, end) or first + _WEEK
    schedules, _ = gathered(lambda count, cursor: scheduler.schedules(limit=count, cursor=cursor, **asked), 0)
    try:
        with told_by_schedule():
            found = agenda(schedules, first, last, tz=session.tz, lang=lang)
    except TriggerError as error:
        raise ConfigError(f"--from and --to: {error}") from None
    if session.out.is_json:
        session.out.document(_agenda_form(found, first, last, session.tz))
        return
    _say_agenda(session, found, first, last, lang=lang, matched=bool(schedules))


# -- which schedules ---------------------------------------------------------------------------


def _asked(session: Session, command: str, *, declared: bool) -> Scheduler:
    """Return the Scheduler that *command* asks: of the store, or of what the program has *declared*."""
    if not declared:
        try:
            return session.reach()
        except (NoStore, SchemaError) as error:
            if session.app is not None and getattr(error, "found", None) is None:
                error.args = (f"{error}\nWhat the program declares is shown by: tickonce {command} --declared",)
            raise
    if session.app is None:
        raise ConfigError("--declared shows what a program declares; name it: -A module:scheduler")
    program = session.scheduler
    found = Scheduler("memory:", tz=program.tz, config=program.config)
    found.include(program.jobs)
    with told_by_schedule():
        found.declare()
    return found


# -- next --------------------------------------------------------------------------------------


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


def _schedule(scheduler: Scheduler, what: str) -> Schedule:
    try:
        return scheduler.get(what)
    except NoSchedule:
        try:
            parse_trigger(what)
        except TriggerError as error:
            _, meant, guess = str(error).rpartition("Did you mean ")
            if meant:
                raise ConfigError(f"No schedule {what!r}, and no expression. Did you mean {guess}") from None
        raise


def _show(
    session: Session,
    trigger: Trigger,
    found: Schedule | None,
    now: datetime,
    *,
    after: datetime,
    count: int,
    lang: Lang,
    explaining: bool,
) -> None:
    shown, zone = session.zone_of(trigger)
    within, since = None, after
    if found is not None:
        within, start = Bounded(found.definition), found.definition.start
        since = after if start is None else max(after, start - _TICK)
    said = explain(trigger, count, after=since, lang=lang, tz=shown, within=within)
    words = wording(lang)
    guess = guessed(trigger, sorted({fire.local.year for fire in said.fires}), lang)
    if guess:
        session.out.say(f"{found.id}{words.colon}{guess}" if found is not None else f"Warning: {guess}")
    if session.out.is_json:
        form: dict[str, Any] = {
            "trigger": dict(trigger.spec()),
            "text": said.text,
            "tz": tz_of(trigger) or shown,
            "after": iso(after),
            "fires": [iso(fire.instant) for fire in said.fires],
        }
        session.out.document({**form, "notes": _notes(said)} if explaining else form)
        return
    session.out.say(f"{trigger_text(trigger)}{words.colon}{said.text}{_zones(session, trigger, shown, words)}")
    if not said.fires:
        session.out.say(words.none_left)
        return
    table(
        words.heads,
        [
            (
                instant_text(fire.instant, zone, weekday=True, lang=lang),
                relative(fire.instant, now, lang=lang),
                "" if shown == "UTC" else instant_text(fire.instant),
                fire.note if explaining else "",
            )
            for fire in said.fires
        ],
    )
    for note in said.notes if explaining else ():
        session.out.say(note)


def _notes(said: Explanation) -> list[dict[str, str | None]]:
    """Return the notes for JSON: those at fires, then those about times that are left out between them."""
    at_fires = [{"fire": iso(fire.instant), "note": fire.note} for fire in said.fires if fire.note]
    return [*at_fires, *({"fire": None, "note": note} for note in said.notes)]


def _zones(session: Session, trigger: Trigger, shown: str, words: Wording) -> str:
    """Say which zone the times are shown in, where that is not the one that the words name."""
    tz = tz_of(trigger)
    if tz != shown:
        return words.shown_in.format(tz=shown)
    return words.another_zone if tz == "UTC" and "tz" not in session.given else ""


# -- calendar ----------------------------------------------------------------------------------


def _end(session: Session, text: str | None) -> datetime | None:
    """Return the instant at which the calendar ends; a day is meant to its end."""
    try:
        day = None if text is None else date.fromisoformat(text.strip())
    except ValueError:
        day = None
    if day is None:
        return session.instant(text, "--to")
    return session.instant((day + timedelta(days=1)).isoformat(), "--to")


def _say_agenda(session: Session, found: Agenda, first: datetime, last: datetime, *, lang: Lang, matched: bool) -> None:
    words, say = wording(lang), session.out.say
    span = words.span.format(first=instant_text(first, session.zone), last=instant_text(last, session.zone))
    entries = [entry for day in found.days.values() for entry in day]
    if entries:
        say(words.times_in.format(span=span, tz=session.tz))
        click.echo(timeline_text(found.days, lang))
    else:
        say(words.nothing_fires.format(span=span) if matched else words.no_schedule)
    if any(entry.moved for entry in entries):
        say(words.moved)
    if found.paused:
        say(words.paused.format(ids=some(found.paused)))
    shown = {entry.id for entry in entries}
    for schedule_id, why in found.unknown.items():
        say((words.shown_in_part if schedule_id in shown else words.not_shown).format(id=schedule_id, why=why))
    for schedule_id, why in found.guessed.items():
        say(f"{schedule_id}{words.colon}{why}")


def _agenda_form(found: Agenda, start: datetime, end: datetime, tz: str) -> dict[str, Any]:
    return {
        "tz": tz,
        "from": iso(start),
        "to": iso(end),
        "days": [
            {"date": day.isoformat(), "schedules": [_entry_form(entry) for entry in entries]}
            for day, entries in found.days.items()
        ],
        "paused": list(found.paused),
        "unknown": dict(found.unknown),
        "guessed": dict(found.guessed),
    }


def _entry_form(entry: Entry) -> Mapping[str, Any]:
    """Return what one schedule fires on a day; ``count`` is a lower bound where ``more`` is true."""
    return {
        "id": entry.id,
        "times": [iso(time) for time in entry.times],
        "last": iso(entry.last),
        "count": entry.count,
        "more": entry.more,
        "moved": [iso(time) for time in entry.moved],
    }
