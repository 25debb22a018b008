"""Eight processes for half a minute, two of them harmed, schedules edited meanwhile: each tick once.

Judged from the ledger that the jobs write, against what was asked for.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.chaos.crew import Crew, until
from tests.chaos.ledger import read_ledger
from tickonce import Scheduler, cron, every
from tickonce.errors import StoreBusy
from tickonce.model import NodeState, RunState
from tickonce.ports import RunFilter, ScheduleFilter, Store
from tickonce.stores import open_store
from tickonce.testing.judging import Conditions, History, Period, Terms, ever_harmed, evidence_of, judge

T = TypeVar("T")

PROCESSES = 8
SECONDS = 30.0
LEASE_S = 6
SETTINGS = {"lease": f"{LEASE_S}s", "beat": "2s", "slots": 20, "drain": "10s"}

#: Of those called "tick" and "cron"; the others have the defaults.
EVERY_TICK: dict[str, Any] = {"misfire": "all", "overlap": "allow"}
EDITED = [*(f"tick-{number}" for number in range(10)), *(f"plain-{number}" for number in range(5))]
PAUSED = [*(f"tick-{number}" for number in range(10, 15)), *(f"plain-{number}" for number in range(5, 8))]
REMOVED = [*(f"tick-{number}" for number in range(15, 20)), *(f"plain-{number}" for number in range(8, 11))]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]


def test_eight_processes_launch_each_tick_once(store_url: str, tmp_path: Path) -> None:
    with Crew(store_url, tmp_path, **SETTINGS) as crew, Scheduler(store_url) as scheduler:
        store = open_store(store_url)
        store.prepare()
        crew.start(PROCESSES)
        until(lambda: _alive(store) == PROCESSES, "eight nodes alive")
        history, harmed = _half_a_minute(scheduler, store, crew)
        end = store.instant()
        until(lambda: _settled(store, end), "all fires dealt with", patience=LEASE_S + 30)
        crew.stop_all()
        calls = read_ledger(crew.ledger)
        evidence = evidence_of(store, calls)
        store.close()
    # Whoever is left takes over within five times a second, and a poll.
    conditions = Conditions(until=end, harmed=ever_harmed(harmed), prompt=timedelta(seconds=7))
    verdict = judge(history, evidence, conditions)
    print(json.dumps(verdict.form()))
    assert verdict.clean, f"{verdict.told()}\n{crew.logs()}"
    assert not verdict.lacking({"fires": 1000, "recovered": 1, "edits": 90})
    assert len({call.node for call in calls}) >= PROCESSES - 1, "the work was not spread"


def _half_a_minute(scheduler: Scheduler, store: Store, crew: Crew) -> tuple[History, frozenset[str]]:
    """Add, harm, edit, pause, remove, make anew; return what was asked for and which processes were harmed."""
    history = History()
    began = time.monotonic()

    def at(second: float) -> None:
        time.sleep(max(0.0, began + second - time.monotonic()))

    for schedule_id in (*(f"tick-{number}" for number in range(50)), *(f"plain-{number}" for number in range(20))):
        takes = {"takes": 0.4} if int(schedule_id.partition("-")[2]) % 2 else None  # so that harmed nodes hold runs
        made = scheduler.add(schedule_id, "note", every("1s"), kwargs=takes, **_policies(schedule_id))
        history.add(made.id, _terms(1, made.id), made.created_at)
    for number in range(20):
        made = scheduler.add(f"cron-{number}", "note", cron("* * * * *"), **EVERY_TICK)
        history.add(made.id, _terms(60, made.id), made.created_at)
    at(5)
    _within_a_second(store)
    harmed = {str(crew.send(0, signal.SIGSTOP))}
    at(8)
    _within_a_second(store)
    harmed.add(str(crew.send(1, signal.SIGKILL)))
    for schedule_id in EDITED:
        edited = _patiently(partial(scheduler.update, schedule_id, trigger=every("2s")))
        history.change(edited.id, _terms(2, schedule_id), edited.updated_at)
    at(12)
    for schedule_id in PAUSED:
        paused = _patiently(partial(scheduler.pause, schedule_id, reason="stock taking"))
        history.pause(paused.id, paused.updated_at)
    for schedule_id in REMOVED:
        _patiently(partial(scheduler.remove, schedule_id))
        tombstone = store.get(schedule_id)
        assert tombstone is not None
        history.remove(tombstone.id, tombstone.updated_at)
    at(5 + 2.5 * LEASE_S)
    crew.send(0, signal.SIGCONT)
    for schedule_id in PAUSED:
        resumed = scheduler.resume(schedule_id)
        history.resume(resumed.id, resumed.updated_at)
    for schedule_id in REMOVED:
        made = scheduler.add(schedule_id, "note", every("1s"), **_policies(schedule_id))
        history.add(made.id, _terms(1, schedule_id), made.created_at)
    at(SECONDS)
    return history, frozenset(harmed)


def _policies(schedule_id: str) -> dict[str, Any]:
    return {} if schedule_id.startswith("plain") else EVERY_TICK


def _terms(period_s: int, schedule_id: str) -> Terms:
    return Terms(rhythm=Period(timedelta(seconds=period_s)), **_policies(schedule_id))


def _patiently(edit: Callable[[], T]) -> T:
    """Edit a schedule whose row the stopped process may hold, until the server ends its transaction."""
    end = time.monotonic() + 20
    while True:
        try:
            return edit()
        except StoreBusy:
            if time.monotonic() > end:
                raise


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
