"""Eight processes for half a minute, two of them harmed, schedules edited meanwhile: each tick once.

Judged from the ledger that the jobs write, against what was asked for.
"""

from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.crew import Crew, until
from tests.chaos.judge import Asked, Entry, judge, read_ledger
from tickonce import Scheduler, cron, every
from tickonce.model import NodeState, RunState
from tickonce.ports import RunFilter, ScheduleFilter, Store
from tickonce.stores import open_store

PROCESSES = 8
SECONDS = 30.0
LEASE_S = 6
SETTINGS = {"lease": f"{LEASE_S}s", "beat": "2s", "slots": 20, "drain": "10s"}

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]


@pytest.mark.parametrize(
    "policies",
    [pytest.param({"misfire": "all", "overlap": "allow"}, id="every tick"), pytest.param({}, id="defaults")],
)
def test_eight_processes_launch_each_tick_once(store_url: str, tmp_path: Path, policies: dict[str, Any]) -> None:
    with Crew(store_url, tmp_path, **SETTINGS) as crew, Scheduler(store_url) as scheduler:
        store = open_store(store_url)
        store.prepare()
        crew.start(PROCESSES)
        until(lambda: _alive(store) == PROCESSES, "eight nodes alive")
        asked, harmed = _half_a_minute(scheduler, store, crew, policies)
        end = store.instant()
        until(lambda: _settled(store, end), "all fires dealt with", patience=LEASE_S + 30)
        crew.stop_all()
        skips = {schedule_id: list(store.skips(schedule_id, limit=1000).items) for schedule_id in asked.spans}
        store.close()
    excuses = frozenset({"paused", "removed"}) if policies else frozenset({"paused", "removed", "overlap", "misfire"})
    ledger = read_ledger(crew.ledger)
    verdict = judge(asked, ledger, until=end, skips=skips, excuses=excuses, harmed=harmed)
    print(json.dumps(vars(verdict)))
    assert verdict.clean, f"{verdict}\n{crew.logs()}"
    assert verdict.expected > 1000, "too little was asked for"
    assert verdict.recovered, "the harmed nodes held nothing: the test has shown too little"
    assert len({entry.pid for entry in ledger}) >= PROCESSES - 1, "the work was not spread"


def _half_a_minute(
    scheduler: Scheduler, store: Store, crew: Crew, policies: dict[str, Any]
) -> tuple[Asked, frozenset[int]]:
    """Add, harm, edit, pause, remove, make anew; return what was asked for and which processes were harmed."""
    asked = Asked()
    began = time.monotonic()

    def at(second: float) -> None:
        time.sleep(max(0.0, began + second - time.monotonic()))

    for number in range(50):
        takes = {"takes": 0.4} if number >= 25 else None  # so that the harmed nodes hold runs
        made = scheduler.add(f"tick-{number}", "note", every("1s"), kwargs=takes, **policies)
        asked.from_then(made.id, made.created_at, 1)
    for number in range(20):
        made = scheduler.add(f"cron-{number}", "note", cron("* * * * *"), **policies)
        asked.from_then(made.id, made.created_at, 60)
    at(5)
    _within_a_second(store)
    harmed = {crew.send(0, signal.SIGSTOP)}
    at(8)
    _within_a_second(store)
    harmed.add(crew.send(1, signal.SIGKILL))
    for number in range(10):
        edited = scheduler.update(f"tick-{number}", trigger=every("2s"))
        asked.from_then(edited.id, edited.updated_at, 2)
    at(12)
    for number in range(10, 15):
        paused = scheduler.pause(f"tick-{number}", reason="stock taking")
        asked.from_then(paused.id, paused.updated_at, None)
    for number in range(15, 20):
        scheduler.remove(f"tick-{number}")
        tombstone = store.get(f"tick-{number}")
        assert tombstone is not None
        asked.from_then(tombstone.id, tombstone.updated_at, None)
    at(5 + 2.5 * LEASE_S)
    crew.send(0, signal.SIGCONT)
    for number in range(10, 15):
        resumed = scheduler.resume(f"tick-{number}")
        asked.from_then(resumed.id, resumed.updated_at, 1)
    for number in range(15, 20):
        made = scheduler.add(f"tick-{number}", "note", every("1s"), **policies)
        asked.from_then(made.id, made.created_at, 1)
    at(SECONDS)
    return asked, frozenset(harmed)


def _within_a_second(store: Store) -> None:
    """Wait until runs of this second have begun and not ended."""
    until(lambda: 150_000 <= store.instant().microsecond <= 300_000, "the right moment", every=0.02)


def _alive(store: Store) -> int:
    return sum(node.state is NodeState.ALIVE for node in store.nodes())


def _settled(store: Store, end: datetime) -> bool:
    """Whether every schedule has moved past *end*, and no run from before it is open."""
    schedules = store.schedules(ScheduleFilter(), limit=1000).items
    if any(schedule.due is not None and schedule.due <= end for schedule in schedules):
        return False
    open_ones = RunFilter(states=(RunState.PENDING, RunState.RUNNING), scheduled_until=end)
    return not store.runs(open_ones, limit=1).items


def test_the_judge_sees_a_doubled_and_a_missed_fire() -> None:
    """A verdict that cannot be bad is worth nothing."""
    start = datetime(2026, 11, 21, 13, tzinfo=UTC)
    asked = Asked()
    asked.from_then("a", start, 1)
    fires = [("a", start + timedelta(seconds=second)) for second in (1, 2, 3)]
    wall = start + timedelta(seconds=5)
    ledger = [
        Entry(fires[0], 1, "n", 1, wall),
        Entry(fires[0], 1, "m", 2, wall),
        Entry(fires[2], 1, "n", 1, wall),
        Entry(fires[2], 2, "m", 2, wall),
    ]
    end = start + timedelta(seconds=3)
    verdict = judge(asked, ledger, until=end, skips={}, excuses=frozenset(), harmed=frozenset())
    assert (len(verdict.doubled), len(verdict.missed)) == (2, 1)
