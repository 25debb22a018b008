"""``tickonce doctor``: what is wrong, and the line that mends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import click

from tickonce.cli import checks, machine, pools, servers, takers
from tickonce.cli.calling import cause
from tickonce.cli.exits import Exit
from tickonce.cli.findings import Check, Finding, Patient
from tickonce.cli.forms import is_alive
from tickonce.cli.helping import verb
from tickonce.cli.output import STYLES, looks_rich
from tickonce.cli.session import Session, option, pass_session, shared
from tickonce.cli.texts import masked, printable
from tickonce.errors import ConfigError, SchemaError, TickonceError

CHECKS: tuple[Check, ...] = (
    machine.reach,
    machine.durability,
    machine.file,
    checks.members,
    checks.versions,
    checks.clocks,
    checks.schedules,
    checks.orphans,
    takers.waiting,
    takers.untaken,
    servers.masters,
    servers.servers,
    pools.connections,
    pools.pools,
)


@verb("doctor", short="Look for what is wrong, and say what mends it.")
@option("--accept-clock", is_flag=True, help="Let nodes believe the store's clock again after it has jumped.")
@option(
    "--server-config",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Look at this configuration of uWSGI or Gunicorn, too.",
)
@shared
@pass_session
def doctor_command(session: Session, /, *, accept_clock: bool, server_config: tuple[Path, ...]) -> Exit:
    """Look for what is wrong with store, nodes and schedules, and say what mends it. Exit code 10 on problems."""
    if accept_clock:
        epoch = session.reach().store.accept_clock()
        session.out.say(f"The store's clock is accepted as it is (epoch {epoch}); nodes hear of it at their next beat.")
    words = session.caller.words
    found = [replace(each, found=words(each.found), mend=words(each.mend)) for each in findings(session, server_config)]
    problems = sum(finding.level == "problem" for finding in found)
    if session.out.is_json:
        session.out.document({"problems": problems, "findings": [_form(finding) for finding in found]})
    else:
        _show(found)
        warnings = sum(finding.level == "warning" for finding in found)
        session.out.say(f"{problems} problem(s), {warnings} warning(s)")
    return Exit.PROBLEMS if problems else Exit.OK


def findings(session: Session, files: tuple[Path, ...] = ()) -> Iterator[Finding]:
    """Yield what each check finds. What the store refuses is a finding, too, never an error."""
    try:
        scheduler = session.reach()
        store = scheduler.store
        now, nodes = store.instant(), tuple(scheduler.nodes())
    except ConfigError:
        raise
    except SchemaError as error:
        yield Finding("schema", "problem", cause(error, session.store_url), "tickonce db upgrade")
        return
    except TickonceError as error:
        yield Finding("store", "problem", str(error), "check the URL, the server, and the network between")
        return
    patient = Patient(scheduler, now, nodes, tuple(node for node in nodes if is_alive(node, now)), files)
    for check in CHECKS:
        try:
            yield from check(patient)
        except TickonceError as error:
            yield Finding(check.__name__, "problem", f"this could not be looked at: {error}")


def _form(finding: Finding) -> dict[str, str | None]:
    return {
        "check": finding.check,
        "level": finding.level,
        "found": masked(finding.found),
        "mend": finding.mend or None,
    }


def _show(found: Iterable[Finding]) -> None:
    coloured = looks_rich()
    for finding in found:
        level = finding.level.ljust(7)
        if coloured:
            level = click.style(level, fg=STYLES[finding.level])
        click.echo(f"{level}  {finding.check}: {printable(masked(finding.found), lines=True)}")
        for line in finding.mend.splitlines():
            click.echo(f"{'':7}  -> {printable(line)}")
