"""Triggers: what the next fire costs, beside other readers of cron expressions in the same run; and the worst case."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from timeit import repeat
from typing import Any
from zoneinfo import ZoneInfo

import click

from benchmarks.facts import machine
from benchmarks.report import Report
from tickonce.calendars import own_calendar
from tickonce.errors import TriggerError
from tickonce.triggers import Trigger, but_not, cron, every, intersection, parse_trigger, union
from tickonce.triggers.days import on_days
from tickonce.triggers.rrule import RRule

ZONE = "America/New_York"
NOW = datetime(2026, 11, 21, 7, 33, 12, tzinfo=UTC)
EXPRESSIONS = ("*/5 * * * *", "0 9 * * 1-5", "0 0 29 2 *")
#: The slowest that are known, asked where they are slowest.
HARD = (
    "0 0 29 2 1",
    "0 0 29 2 */7",
    "* * 29 2 */7",
    "59 23 31 12 *",
    "*/7 * * 29 2 sun#5",
    "quartz * * * ? 2 7#5 2000-2099",
    "quartz 0 0 0 29 2 ? 2096",
    "every 997 days at 02:30",
    "every 133 years at 02:30 from 2000-02-29",
    "every 1ms",
)
_FEW = own_calendar("few", workdays=["2028-12-19"], years=(1, 9999), weekend=range(7))
#: Combinations whose parts hardly ever or never meet: a search that finds nothing says so after some hundred questions.
COMBINED: dict[str, Trigger] = {
    "9:00 and 9:01": intersection(cron("0 9 * * *", tz=ZONE), cron("1 9 * * *", tz=ZONE)),
    "every 7m and Monday 9:00": intersection(every("7m"), cron("0 9 * * 1", tz=ZONE)),
    "every 997s and every 991s": intersection(every("997s"), every("991s")),
    "each second but each second": but_not(every("1s"), every("1s")),
    "each second but Monday to Saturday": but_not(every("1s"), cron("* * * * 1-6", tz=ZONE)),
    "sixty at once": union(*(cron(f"{minute} {minute % 24} * * *", tz=ZONE) for minute in range(60))),
    "29 February on a holiday": on_days(cron("0 9 29 2 *", tz=ZONE), only_on=_FEW),
    "a recurrence of 997 hours": RRule(
        "DTSTART:20260101T090000 RRULE:FREQ=HOURLY;INTERVAL=997;BYHOUR=9;BYDAY=MO", ZONE
    ),
}
INSTANTS = [datetime(year, month, 1, tzinfo=UTC) for year in (1, 1896, 1969, 2026, 2096, 9990) for month in (3, 11)]

Ask = Callable[[], object]


def triggers(*, number: int = 200) -> list[dict[str, Any]]:
    """Return the microseconds of one question to each reader, the least of several runs, in a zone that changes."""
    local = NOW.astimezone(ZoneInfo(ZONE))
    rows = []
    for expression in EXPRESSIONS:
        asks = {"tickonce": _ours(expression), **_others(expression, local)}
        row: dict[str, Any] = {"expression": expression}
        for name, ask in asks.items():
            times = number if name == "tickonce" else max(2, number // 40)
            row[f"{name}_us"] = min(repeat(ask, number=times, repeat=7)) / times * 1e6
        row["times_cronsim"] = row["cronsim_us"] / row["tickonce_us"]
        rows.append(row)
    return rows


def walks(*, count: int = 50) -> list[dict[str, Any]]:
    """Return the microseconds of each of *count* fires in a row, with the reading of the expression included once."""
    from cronsim import CronSim

    rows = []
    for expression in EXPRESSIONS:

        def ours(expression: str = expression) -> None:
            trigger = parse_trigger(expression).resolved(schedule_id="benchmark", tz=ZONE)
            at = NOW
            for _ in range(count):
                at = trigger.next_after(at) or at

        def theirs(expression: str = expression) -> None:
            fires = CronSim(expression, NOW.astimezone(ZoneInfo(ZONE)))
            for _ in range(count):
                next(fires)

        mine, other = (min(repeat(walk, number=1, repeat=7)) / count * 1e6 for walk in (ours, theirs))
        rows.append({"expression": expression, "tickonce_us": mine, "cronsim_us": other, "times_cronsim": other / mine})
    return rows


def hardest() -> dict[str, Any]:
    """Return the slowest question of all hard expressions and instants, in a zone with clock changes."""
    found = []
    for text in HARD:
        trigger = parse_trigger(text).resolved(schedule_id="hard", tz=ZONE)
        for after in INSTANTS:
            seconds = min(repeat(lambda: trigger.next_after(after), number=1, repeat=5))  # noqa: B023
            found.append((seconds * 1e6, text, f"{after:%Y-%m}"))
    microseconds, hard, when = max(found)
    return {"hardest": hard, "asked_after": when, "us": microseconds, "of": len(found)}


def combined() -> list[dict[str, Any]]:
    """Return the slowest question to each combination; ``gives_up`` where an answer is that the search ends here."""
    rows = []
    for name, trigger in COMBINED.items():
        asks = [partial(_asked, trigger, after) for after in INSTANTS]
        slowest = max(min(repeat(ask, number=1, repeat=5)) for ask in asks)
        rows.append({"combination": name, "us": slowest * 1e6, "gives_up": any(ask() for ask in asks)})
    return rows


def _asked(trigger: Trigger, after: datetime) -> bool:
    try:
        trigger.next_after(after)
    except TriggerError:
        return True
    return False


def _ours(expression: str) -> Ask:
    trigger = parse_trigger(expression).resolved(schedule_id="benchmark", tz=ZONE)
    return lambda: trigger.next_after(NOW)


def _others(expression: str, local: datetime) -> dict[str, Ask]:
    """Return the question as each library takes it; made anew where an object moves on with each answer."""
    from apscheduler.triggers.cron import CronTrigger
    from croniter import croniter
    from cronsim import CronSim

    apscheduler = CronTrigger.from_crontab(expression, ZONE)
    return {
        "cronsim": lambda: next(CronSim(expression, local)),
        "croniter": lambda: croniter(expression, local).get_next(datetime),
        "apscheduler": lambda: apscheduler.get_next_fire_time(None, local),
    }


@click.command("triggers")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="JSON: a line a figure.")
def command(output: str) -> None:
    """What the next fire of a cron expression costs, beside cronsim, croniter and APScheduler; needs no store."""
    report = Report(as_json=output == "json")
    report.facts(machine())
    report.figures("triggers", triggers())
    report.figures("fires in a row", walks())
    report.figures("the hardest question", [hardest()])
    report.figures("the hardest combinations", combined())
