"""The store is away for 10 s and for 40 s: no loop dies, nothing is started twice, every result is written.

With ``misfire="all"`` the fires of the outage follow when it ends; with the defaults the grace and the misfire policy
decide, and every fire that is not run has a skip record.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.chaos.crew import Crew, until
from tests.chaos.ledger import read_ledger
from tests.servers import PrivateServer
from tickonce import Scheduler, every
from tickonce.errors import StoreError
from tickonce.model import RunState, Schedule
from tickonce.ports import RunFilter, ScheduleFilter, Store
from tickonce.stores import open_store
from tickonce.testing.judging import Conditions, History, Period, Terms, Trouble, evidence_of, judge

ALL = Terms(rhythm=Period(timedelta(seconds=1)), misfire="all", overlap="allow")

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.server),
        pytest.param("mysql", marks=pytest.mark.server),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Callable[[float], None]]:
    """A store's URL, and a function that takes the store away for some seconds."""
    if request.param == "sqlite":
        path = tmp_path / "fleet.db"
        return f"sqlite:///{path}", lambda seconds: _lock_file(path, seconds)
    server: PrivateServer = request.getfixturevalue(f"private_{request.param}")

    def away(seconds: float) -> None:
        server.stop()
        time.sleep(seconds)
        server.start()

    return server.url, away


def test_an_outage_loses_nothing_and_doubles_nothing(
    place: tuple[str, Callable[[float], None]], tmp_path: Path
) -> None:
    url, away = place
    with Crew(url, tmp_path, slots=20) as crew, Scheduler(url) as scheduler:
        store = open_store(url)
        store.prepare()
        history = History()
        for number in range(5):
            made = scheduler.add(f"all-{number}", "note", every("1s"), misfire="all", overlap="allow")
            history.add(made.id, ALL, made.created_at)
            made = scheduler.add(f"default-{number}", "note", every("1s"), kwargs={"takes": 0.2})
            history.add(made.id, Terms(rhythm=ALL.rhythm), made.created_at)
        crew.start(3)
        until(lambda: crew.joined() == 3, "three nodes have joined")
        time.sleep(3)
        troubles = []
        for seconds in (10, 40):
            begin = store.instant()
            away(seconds)
            until(lambda: _caught_up(store), "the fleet has caught up", patience=30)
            troubles.append(Trouble(begin=begin, end=store.instant()))
        end = store.instant()
        until(lambda: _caught_up(store, end), "the fleet has caught up", patience=30)
        assert all(member.poll() is None for member in crew.members), "a process died"
        crew.stop_all()
        left = store.runs(RunFilter(states=(RunState.PENDING, RunState.RUNNING, RunState.LOST, RunState.FAILED)))
        assert not left.items, "every result is written"
        evidence = evidence_of(store, read_ledger(crew.ledger))
        store.close()
    conditions = Conditions(until=end, troubles=tuple(troubles), prompt=timedelta(seconds=5))
    verdict = judge(history, evidence, conditions)
    assert verdict.clean, f"{verdict.told()}\n{crew.logs()}"
    # The long outage is longer than the grace: the default policy must have skipped.
    assert not verdict.lacking({"fires": 500, "skipped.misfire": 5 * 20})
    assert verdict.recovered == 0


def _caught_up(store: Store, border: datetime | None = None) -> bool:
    """Whether every fire up to *border* (two seconds ago) is dealt with and no run of that time is open."""
    try:
        border = border or store.instant() - timedelta(seconds=2)
        late = [item for item in _all(store) if item.due is not None and item.due <= border]
        open_ones = RunFilter(states=(RunState.PENDING, RunState.RUNNING), scheduled_until=border)
        return not late and not store.runs(open_ones, limit=1).items
    except StoreError:
        return False


def _all(store: Store) -> list[Schedule]:
    return list(store.schedules(ScheduleFilter(), limit=100).items)


def _lock_file(path: Path, seconds: float) -> None:
    """Take a SQLite store away: nobody else may read or write it."""
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")  # under WAL readers go on, but nothing can be launched or written
    time.sleep(seconds)
    connection.execute("ROLLBACK")
    connection.close()
