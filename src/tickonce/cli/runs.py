"""``runs``: what was carried out, and how it went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

from tickonce.cli.forms import duration_of, run_form
from tickonce.cli.helping import verb
from tickonce.cli.output import pairs
from tickonce.cli.paging import LIMIT, gathered
from tickonce.cli.session import Session, option, pass_session, shared, words
from tickonce.cli.texts import distance, instant_text, masked, masked_arguments, relative
from tickonce.model import Run, RunState

_FAILED = (RunState.FAILED, RunState.LOST)
_ERROR_WIDTH = 60


@verb("runs")
@option("--schedule", metavar="ID", help="Of this schedule.")
@option("--job", help="Of this job.")
@option("--queue", help="Of this queue.")
@option("--node", help="Carried out by this node.")
@option(
    "--state",
    multiple=True,
    type=words(RunState),
    help="In this state; may be repeated.",
)
@option("--failed", is_flag=True, help="Failed and lost ones.")
@option("--since", metavar="INSTANT", help="Scheduled at or after this instant, or so long ago: 1h.")
@option("--until", metavar="INSTANT", help="Scheduled at or before this instant, or so long ago.")
@LIMIT
@shared
@pass_session
def runs_command(
    session: Session,
    /,
    *,
    schedule: str | None,
    state: tuple[str, ...],
    failed: bool,
    since: str | None,
    until: str | None,
    limit: int,
    **which: str | None,
) -> None:
    """List runs, newest scheduled time first."""
    asked: dict[str, Any] = {name: value for name, value in which.items() if value is not None}
    if schedule is not None:
        asked["schedule_id"] = schedule
    chosen = (*state, *(_FAILED if failed else ()))
    if chosen:
        asked["states"] = chosen
    for name, text, given in (("scheduled_from", since, "--since"), ("scheduled_until", until, "--until")):
        instant = session.instant(text, given, sign=-1)
        if instant is not None:
            asked[name] = instant
    scheduler = session.reach()
    if schedule is not None and not scheduler.runs(limit=1, schedule_id=schedule).items:
        scheduler.get(schedule)  # a name that is misspelt is told; one that was removed has runs left
    found, more = gathered(lambda count, cursor: scheduler.runs(limit=count, cursor=cursor, **asked), limit)
    now = scheduler.store.instant()
    session.out.listing(
        [run_form(run) for run in found], *run_rows(found, now, session.zone), nothing="No run matches."
    )
    if more:
        session.out.say(f"The newest {limit} are shown; more: --limit 0")


def show_run(session: Session, token: str) -> None:
    """Show one run with all that is known about it."""
    scheduler = session.reach()
    run = scheduler.run(token)
    if session.out.is_json:
        session.out.document(run_form(run))
        return
    now = scheduler.store.instant()
    pairs(_described(run, now, session.zone))


def run_rows(runs: Sequence[Run], now: datetime, zone: tzinfo) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return columns and rows of runs."""
    rows: list[tuple[str, ...]] = []
    for run in runs:
        took = duration_of(run)
        rows.append(
            (
                run.token,
                "overdue" if run.overdue and run.state is RunState.RUNNING else str(run.state),
                str(run.attempt) if run.attempt > 1 else "",
                instant_text(run.scheduled_time, zone),
                relative(run.scheduled_time, now),
                "-" if took is None else distance(took),
                run.node or "-",
                _why(run),
            )
        )
    return ("token", "state", "attempt", "scheduled", "", "took", "node", "why"), rows


def _why(run: Run) -> str:
    """Return the last line of what went wrong, cut short."""
    text = run.reason or ""
    if run.error and run.state not in (RunState.SUCCEEDED, RunState.SKIPPED, RunState.CANCELLED):
        text = run.error.strip().rpartition("\n")[2]
    text = masked(text)
    return text if len(text) <= _ERROR_WIDTH else text[: _ERROR_WIDTH - 3] + "..."


def _described(run: Run, now: datetime, zone: tzinfo) -> list[tuple[str, str]]:
    took = duration_of(run)
    arguments = masked_arguments(json.loads(run.arguments))
    return [
        ("token", run.token),
        ("state", f"{run.state}{', asked to stop' if run.cancelling else ''}{', overdue' if run.overdue else ''}"),
        ("reason", masked(run.reason or "")),
        ("schedule", run.schedule_id),
        ("job", run.job),
        ("args", json.dumps(arguments["args"], ensure_ascii=False) if arguments["args"] else ""),
        ("kwargs", json.dumps(arguments["kwargs"], ensure_ascii=False) if arguments["kwargs"] else ""),
        ("scheduled", f"{instant_text(run.scheduled_time, zone)}, {relative(run.scheduled_time, now)}"),
        ("due", instant_text(run.due, zone) if run.due != run.scheduled_time else ""),
        ("started", instant_text(run.started_at, zone)),
        ("finished", instant_text(run.finished_at, zone)),
        ("took", "" if took is None else distance(took)),
        ("source", f"{run.source}, by {run.created_by}" if run.created_by else run.source),
        ("node", run.node or ""),
        ("queue", run.queue),
        ("attempt", str(run.attempt)),
        ("failures", str(run.failures) if run.failures else ""),
        ("losses", str(run.losses) if run.losses else ""),
        ("progress", "" if run.progress is None else f"{run.progress:.0%}"),
        ("result", "" if run.result is None else masked(run.result)),
        ("error", "" if run.error is None else masked(run.error.strip())),
    ]
