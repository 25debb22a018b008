"""``python -m benchmarks NAME --store URL``: measure, print, clean up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import click

from benchmarks.burst import burst
from benchmarks.edits import edits
from benchmarks.embedding import embedding
from benchmarks.facts import machine, server
from benchmarks.idle import idle
from benchmarks.imports import imports
from benchmarks.lateness import lateness
from benchmarks.places import place_kind
from benchmarks.report import Report, middle
from benchmarks.requests import requests
from benchmarks.scale import scale
from benchmarks.triggers import command as triggers

_IMPORTED = ("import tickonce", "import tickonce.engine.node", "import tickonce.stores.sql", "import tickonce.cli")


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    """Add what every benchmark takes: the store and the form of the output."""

    @click.option("--store", default="sqlite:", metavar="URL", callback=_checked, help=_STORE_HELP)
    @click.option(
        "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="JSON: a line a figure."
    )
    @wraps(command)
    def wrapped(store: str, output: str, **options: Any) -> None:
        report = Report(as_json=output == "json")
        report.facts({**machine(), **server(store)})
        command(store, report, **options)

    return wrapped


_STORE_HELP = (
    "A server on which databases may be made, or sqlite:///DIRECTORY/ANY. "
    "Each benchmark makes a database of its own there and drops it.  [default: a temporary SQLite file]"
)


def _checked(_: click.Context, __: click.Parameter, value: str) -> str:
    try:
        place_kind(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return value


def _numbers(_: click.Context, __: click.Parameter, value: str) -> list[int]:
    try:
        return [int(part.replace("_", "")) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter("numbers with commas between them, please") from None


@click.group()
def main() -> None:
    """Measure tickonce on this machine. What the figures mean stands in benchmarks/README.md."""


@main.command("burst")
@click.option("--nodes", default=2, show_default=True, help="Node processes, and as many raw ones for the ceiling.")
@click.option("--schedules", default=20_000, show_default=True, help="Schedules that are due at one instant.")
@click.option("--slots", default="500", show_default=True, callback=_numbers, help="Slots of a node; a row for each.")
@click.option("--batch", default=500, show_default=True, help="Schedules that a node deals with at once.")
@click.option("--coroutines", is_flag=True, help="The job is a coroutine.")
@click.option("--arguments", is_flag=True, help="Each schedule has arguments of its own.")
@click.option("--trigger", type=click.Choice(["every", "cron"]), default="every", show_default=True)
@click.option("--ceiling/--no-ceiling", default=True, show_default=True)
@click.option("--repeat", default=1, show_default=True, help="Measure so often; the median by ratio is printed.")
@_shared
def _burst(store: str, report: Report, *, slots: Sequence[int], repeat: int, **options: Any) -> None:
    """How fast many schedules that are due at once are launched, run and finished."""
    rows = []
    for each in slots:
        found = [burst(store, slots=each, **options) for _ in range(repeat)]
        rows.append(middle(found, "ratio" if options["ceiling"] else "fires_per_s"))
    report.figures("burst", rows)


@main.command("lateness")
@click.option("--nodes", default=1, show_default=True)
@click.option("--rate", default=100, show_default=True, help="Fires a second.")
@click.option("--seconds", default=20, show_default=True)
@click.option("--busy", default="0,1,4", show_default=True, callback=_numbers, help="Threads that compute in the node.")
@_shared
def _lateness(store: str, report: Report, *, busy: Sequence[int], **options: Any) -> None:
    """How late jobs are called under a steady rate of fires."""
    report.figures("lateness", [lateness(store, busy=each, **options) for each in busy])


@main.command("scale")
@click.option(
    "--schedules", default="1000,1000000", show_default=True, callback=_numbers, help="Stored; a row for each."
)
@_shared
def _scale(store: str, report: Report, *, schedules: Sequence[int]) -> None:
    """What stored schedules cost a node that starts."""
    report.figures("scale", [scale(store, schedules=each) for each in schedules])


@main.command("idle")
@click.option("--nodes", default=1, show_default=True)
@click.option("--seconds", default=60, show_default=True)
@_shared
def _idle(store: str, report: Report, **options: Any) -> None:
    """What a node costs that has nothing to do."""
    report.figures("idle", [idle(store, **options)])


@main.command("embedding")
@click.option("--schedules", default=100, show_default=True, help="Due each second, in the last measurement.")
@click.option("--times", default=3, show_default=True, help="Processes of each host; figures are medians.")
@_shared
def _embedding(store: str, report: Report, **options: Any) -> None:
    """What a node costs the process of a web application."""
    report.figures("embedding", embedding(store, **options))


@main.command("requests")
@click.option("--schedules", default=1_000, show_default=True, help="Due at one instant, shared by the workers.")
@click.option("--workers", default=4, show_default=True, help="Processes of the server; each is a node.")
@click.option("--rate", default=60, show_default=True, help="Requests a second.")
@click.option("--ticks", default=10, show_default=True, help="How many each server is asked in.")
@click.option("--phase", "phase_s", default=2.0, show_default=True, help="Seconds between tick and rest.")
@click.option("--job-ms", default=5.0, show_default=True, help="How long a job waits.")
@_shared
def _requests(store: str, report: Report, **options: Any) -> None:
    """What requests feel while the processes that serve them have a heavy tick."""
    report.figures("requests", requests(store, **options))


@main.command("add")
@click.option("--processes", default="1,4", show_default=True, callback=_numbers, help="At once; rows for each.")
@click.option("--count", default=500, show_default=True, help="Calls a process.")
@_shared
def _add(store: str, report: Report, *, processes: Iterable[int], count: int) -> None:
    """How many edits a second."""
    report.figures("add", [row for each in processes for row in edits(store, processes=each, count=count)])


@main.command("import")
@click.option("--times", default=20, show_default=True)
@_shared
def _import(_: str, report: Report, *, times: int) -> None:
    """How long the import takes."""
    report.figures("import", [imports(each, times=times) for each in _IMPORTED])


@main.command("all")
@_shared
def _all(store: str, report: Report) -> None:
    """Measure everything once: about five minutes."""
    report.figures("import", [imports(each) for each in _IMPORTED])
    report.figures("add", [row for each in (1, 4) for row in edits(store, processes=each)])
    report.figures("burst", [burst(store, slots=each) for each in (10, 500)])
    report.figures("lateness", [lateness(store, busy=each) for each in (0, 1, 4)])
    report.figures("scale", [scale(store, schedules=each) for each in (1_000, 1_000_000)])
    report.figures("idle", [idle(store)])
    report.figures("embedding", embedding(store))
    report.figures("requests", requests(store))


main.add_command(triggers)

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
