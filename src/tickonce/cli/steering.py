"""``run-now``, ``retry`` and ``cancel``: runs by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from tickonce.cli.arguments import ARG, ARGS, changed_arguments, read_arguments
from tickonce.cli.exits import Exit, TimedOut
from tickonce.cli.forms import is_alive, run_form
from tickonce.cli.helping import verb
from tickonce.cli.session import Session, duration, option, pass_session, shared
from tickonce.cli.texts import masked
from tickonce.durations import format_duration
from tickonce.model import Run, RunState

#: Looks at a run that is waited for: soon at first, then seldom.
_FIRST_LOOK = timedelta(milliseconds=50)
_LOOK = timedelta(seconds=1)


@verb("run-now", short="Start one run by hand, now.")
@click.argument("schedule")
@option("--key", help="Starts one run only, however often it is given: an order's number.")
@ARG
@ARGS
@option("--wait", is_flag=True, help="Wait until the run has ended; exit code 7 if it did not succeed.")
@option("--timeout", type=duration, help="Wait at most so long; exit code 8 when it is over. The run goes on.")
@shared
@pass_session
def run_now_command(
    session: Session,
    /,
    *,
    schedule: str,
    key: str | None,
    arg: tuple[str, ...],
    args: str | None,
    wait: bool,
    timeout: timedelta | None,
) -> Exit:
    """Start one run by hand, now; the schedule's next fire stays as it is."""
    scheduler = session.reach()
    given = read_arguments(arg, args)
    called: dict[str, Any] = {} if given is None else {"args": given[0], "kwargs": given[1]}
    if arg and args is None:
        found = scheduler.get(schedule)
        called["args"], called["kwargs"] = changed_arguments(found.definition.arguments, called["kwargs"])
    run = scheduler.run_now(schedule, key=key, **called)
    if not wait:
        session.out.one(run_form(run), run.token)
        return Exit.OK
    session.out.say(f"{run.token} is {run.state}; waiting")
    now = scheduler.store.instant()
    if not any(is_alive(node, now) for node in scheduler.nodes()):
        session.out.say("No node is alive to carry it out; start one: tickonce serve -A module:scheduler")
    run = _ended(session, run, timeout)
    text = f"{run.token} {run.state}"
    if run.error:
        text += f"\n{masked(run.error.strip())}"
    session.out.one(run_form(run), text)
    return Exit.OK if run.state is RunState.SUCCEEDED else Exit.RUN_FAILED


@verb("retry", short="Make a run that ended badly pending again.")
@click.argument("token")
@shared
@pass_session
def retry_command(session: Session, /, *, token: str) -> None:
    """Make a run that ended badly pending again, under its own token."""
    run = session.reach().retry(token)
    session.out.one(run_form(run), f"{run.token} is {run.state} again")


@verb("cancel")
@click.argument("token")
@shared
@pass_session
def cancel_command(session: Session, /, *, token: str) -> None:
    """End a pending run; ask a running one to stop."""
    run = session.reach().cancel(token)
    text = f"{run.token} is {run.state}"
    if run.state is RunState.RUNNING:
        text = f"{run.token} is asked to stop; its node hears of it at its next beat"
    session.out.one(run_form(run), text)


def _ended(session: Session, run: Run, timeout: timedelta | None) -> Run:
    scheduler = session.reach()
    clock = scheduler.clock
    until = None if timeout is None else clock.monotonic() + timeout
    pause = _FIRST_LOOK
    while run.state.open:
        left = None if until is None else until - clock.monotonic()
        if left is not None and timeout is not None and left <= timedelta(0):
            raise TimedOut(
                f"{run.token} is still {run.state} after {format_duration(timeout)}; it goes on. "
                f"Look at it with: tickonce show {run.token}"
            )
        clock.sleep(pause if left is None else min(pause, left))
        pause = min(pause * 2, _LOOK)
        run = scheduler.run(run.token)
    return run
