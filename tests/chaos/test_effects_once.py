"""Work done in ``run.transaction()`` has one effect: nodes are killed and frozen, their runs done again."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.chaos.crew import Crew, until
from tests.chaos.ledger import read_ledger
from tests.chaos.member import engine_of
from tickonce import Scheduler, every
from tickonce.model import RunState
from tickonce.ports import RunFilter
from tickonce.testing.contract.making import list_all

LEASE_S = 3
SCHEDULES = 10
OPEN = (RunState.PENDING, RunState.RUNNING)
EVERY_TICK: dict[str, Any] = {"misfire": "all", "overlap": "allow"}

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]


@pytest.mark.parametrize(
    "url", ["sqlite", *(pytest.param(each, marks=pytest.mark.server) for each in ("postgresql", "mysql"))]
)
def test_each_run_that_succeeded_has_one_effect(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    store = (
        f"sqlite:///{tmp_path}/fleet.db?sync=normal"
        if url == "sqlite"
        else str(request.getfixturevalue(f"{url}_database"))
    )
    engine = engine_of(store)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE effects (token VARCHAR(250), attempt INTEGER)"))
    with (
        Crew(store, tmp_path, slots=40, lease=f"{LEASE_S}s", beat="500ms", drain="20s") as crew,
        Scheduler(store) as scheduler,
    ):
        for number in range(SCHEDULES):
            # So long that whoever is killed or frozen holds runs, whose functions have begun.
            scheduler.add(f"pay-{number}", "pay", every("500ms"), kwargs={"takes": 1.0}, **EVERY_TICK)
        crew.start(4)
        until(lambda: crew.joined() == 4, "four nodes have joined")
        # With few schedules some nodes may be first for none.
        until(lambda: len(_busy(crew)) >= 2, "two of them have work")
        killed, frozen = _busy(crew)[:2]
        crew.send(killed, signal.SIGKILL)
        until(lambda: _freeze(crew, frozen), "the frozen node to find its runs lost")
        for number in range(SCHEDULES):
            scheduler.pause(f"pay-{number}")
        until(lambda: not scheduler.runs(states=OPEN, limit=1).items, "all runs to end")
        crew.stop_all()
        calls = Counter(call.token for call in read_ledger(crew.ledger))
        succeeded = list_all(lambda at: scheduler.store.runs(RunFilter(states=(RunState.SUCCEEDED,)), cursor=at))
    with engine.connect() as connection:
        effects = Counter(connection.execute(sa.text("SELECT token FROM effects")).scalars())
    engine.dispose()
    assert [token for token, times in effects.items() if times != 1] == []
    assert set(effects) == {run.token for run in succeeded}
    assert any(times > 1 for times in calls.values()), "not for want of trying"
    assert len(effects) > 50


def _busy(crew: Crew) -> list[int]:
    """Return the members that have called functions, those with the most calls first."""
    calls = Counter(call.node for call in read_ledger(crew.ledger))
    places = {str(member.pid): place for place, member in enumerate(crew.members)}
    return [places[node] for node, _ in calls.most_common()]


def _freeze(crew: Crew, member: int) -> bool:
    """Freeze a process until others have its runs; whether it has found them lost when it went on.

    One that stands still while it has a SQLite file locked keeps the others from it, too, and loses nothing.
    """
    crew.send(member, signal.SIGSTOP)
    time.sleep(2 * LEASE_S)
    crew.send(member, signal.SIGCONT)
    time.sleep(2)
    return "LeaseLost" in crew.log(member).read_text()
