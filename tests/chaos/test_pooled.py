"""Eight processes behind PgBouncer, on fewer sessions than there are processes; one is killed in the midst."""

from __future__ import annotations

import json
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.crew import Crew, until
from tests.chaos.ledger import read_ledger
from tests.servers import fresh_database
from tests.servers.plugin import pooler_before
from tickonce import Scheduler, every
from tickonce.model import NodeState, RunState
from tickonce.ports import RunFilter, ScheduleFilter
from tickonce.stores import open_store
from tickonce.testing.judging import Conditions, History, Period, Terms, ever_harmed, evidence_of, judge

PROCESSES = 8
SESSIONS = 5
SECONDS = 12.0
LEASE_S = 6
EVERY_TICK: dict[str, Any] = {"misfire": "all", "overlap": "allow"}

pytestmark = [pytest.mark.chaos, pytest.mark.server, pytest.mark.timeout(240)]


def test_a_fleet_behind_a_pooler_launches_each_tick_once(postgresql_url: str, tmp_path: Path) -> None:
    declares = {f"declared-{number}": "every 1s" for number in range(10)}
    settings = {"lease": f"{LEASE_S}s", "beat": "2s", "slots": 20, "drain": "10s", "begin_at": time.time() + 4}
    with (
        pooler_before(postgresql_url, {"default_pool_size": str(SESSIONS)}) as pooler,
        fresh_database(postgresql_url) as direct,
        Crew(pooler.through(direct), tmp_path, **settings, declares=declares) as crew,
        Scheduler(pooler.through(direct)) as scheduler,
    ):
        crew.start(PROCESSES)  # on an empty database, at one instant
        until(lambda: crew.joined() == PROCESSES, "eight nodes have joined")
        store = open_store(direct)
        history = History()
        for number in range(20):
            # So long that whoever is killed holds runs.
            made = scheduler.add(f"added-{number}", "note", every("1s"), kwargs={"takes": 0.4}, **EVERY_TICK)
            history.add(made.id, _terms(1), made.created_at)
        for made in store.schedules(ScheduleFilter(), limit=100).items:
            if made.id in declares:
                history.add(made.id, _terms(1), made.created_at)
        time.sleep(SECONDS / 3)
        until(lambda: 150_000 <= store.instant().microsecond <= 300_000, "the midst of a second", every=0.02)
        harmed = frozenset({str(crew.send(0, signal.SIGKILL))})
        for number in range(5):
            edited = scheduler.update(f"added-{number}", trigger=every("2s"))
            history.change(edited.id, _terms(2), edited.updated_at)
        time.sleep(SECONDS * 2 / 3)
        assert sum(node.state is NodeState.ALIVE for node in store.nodes()) == PROCESSES - 1
        end = store.instant()
        open_ones = RunFilter(states=(RunState.PENDING, RunState.RUNNING), scheduled_until=end)
        until(
            lambda: (
                all(row.due is None or row.due > end for row in store.schedules(ScheduleFilter(), limit=100).items)
                and not store.runs(open_ones, limit=1).items
            ),
            "all fires dealt with",
            patience=LEASE_S + 30,
        )
        crew.stop_all()
        evidence = evidence_of(store, read_ledger(crew.ledger))
        store.close()
        logs = [crew.log(member).read_text() for member in range(PROCESSES)]
    assert all(log.count("behind a connection pooler") == 1 for log in logs), "each says so once"
    conditions = Conditions(until=end, harmed=ever_harmed(harmed), prompt=timedelta(seconds=7))
    verdict = judge(history, evidence, conditions)
    print(json.dumps(verdict.form()))
    assert verdict.clean, f"{verdict.told()}\n{crew.logs()}"
    assert not verdict.lacking({"fires": 300, "recovered": 1, "edits": 5})


def _terms(period_s: int) -> Terms:
    return Terms(rhythm=Period(timedelta(seconds=period_s)), **EVERY_TICK)
