"""Fires that peers launch twice where two processes interleave: each scene, and the ledger that it leaves."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path

from tests.regressions.scenes import EVERY_FIRE, MINUTE, SECOND, each_once, put
from tickonce.config import NodeConfig
from tickonce.jobs import Jobs
from tickonce.model import BUCKETS, RunState
from tickonce.partition import Share
from tickonce.stores.sql.address import parse
from tickonce.stores.sql.store import SqlStore
from tickonce.stores.sql.tx import Tx
from tickonce.testing.clock import FakeClock
from tickonce.testing.fleet import Fleet
from tickonce.triggers import every

CONFIG = NodeConfig()
EVERYTHING = (Share(None, bytes(BUCKETS)),)


class TestALeaderThatIsNoneAnyMore:
    """A process goes on as the leader although the statement that made it one was rolled back, or its term is over."""

    def test_two_nodes_that_each_believe_they_lead_launch_each_fire_once(self, fleet, jobs, add):
        made = add("beat", **EVERY_FIRE)
        believers = [fleet.node(jobs) for _ in range(2)]
        for _ in range(60):
            for node in believers:
                node.engine.ticker.shares = EVERYTHING
            # The first is in the midst of its launch when the second looks, and finds the same fire.
            believers[0].faults.before("launch", believers[1].engine.loops["tick"])
            fleet.run_for(SECOND)
        assert min(node.faults.calls.count("launch") for node in believers) >= 55, "both tried, all the time"
        assert len(each_once(fleet, "beat", made.created_at)) == 60

    def test_a_node_whose_beats_roll_back_stops_believing_within_its_lease(self, fleet, jobs, add):
        """Each of its other statements would be taken: only what it knows of its own beats can stop it."""
        made = add("beat", **EVERY_FIRE)
        believer = fleet.node(jobs)
        fleet.run_for(5 * SECOND)
        believer.faults.refuse("beat", times=10_000)
        fleet.run_for(CONFIG.lease - CONFIG.margin)
        launches = believer.faults.calls.count("launch")
        fleet.run_for(SECOND)
        assert believer.faults.calls.count("launch") == launches
        fleet.node(jobs)  # it takes over what nobody serves
        fleet.run_for(MINUTE)
        assert believer.faults.calls.count("launch") == launches
        each_once(fleet, "beat", made.created_at)


def test_processes_that_share_a_hostname_as_their_identity(fleet, jobs, add):
    """Three of one machine and one name: were that who they are, each would carry out what the others hold."""
    fleet.takes = 7 * SECOND  # so that beats speak of runs that are held
    add("beat", **EVERY_FIRE)
    nodes = [fleet.node(jobs, name="web-1", config=NodeConfig(slots=100)) for _ in range(3)]
    fleet.run_for(30 * SECOND)
    rows = fleet.store.nodes()
    assert {(row.host, row.pid) for row in rows} == {("web-1", rows[0].pid)}
    assert len({node.id for node in nodes}) == len(rows) == 3
    ended = [run.token for run in fleet.runs("beat") if run.state is RunState.SUCCEEDED]
    assert len(ended) >= 23
    assert sorted(fleet.ledger) == [(token, 1) for token in sorted(ended)]


class TestWritesThatTakeLongerThanTheScan:
    """The database needs longer to write than the next look is away: whoever looks meanwhile finds the same fire."""

    def test_a_launch_that_is_overtaken_by_other_nodes_doubles_nothing(self, fleet, jobs, add):
        made = add("beat", **EVERY_FIRE)
        slow, quick = fleet.node(jobs), fleet.node(jobs)
        fleet.run_for(5 * SECOND)
        overtaken = 0

        def ten_seconds() -> None:
            nonlocal overtaken
            before = len(fleet.runs())
            slow.paused = True  # it waits for the answer
            fleet.run_for(10 * SECOND)
            slow.paused = False
            overtaken += len(fleet.runs()) - before

        for _ in range(5):
            slow.engine.ticker.shares = EVERYTHING
            slow.faults.before("launch", ten_seconds)
            fleet.run_for(15 * SECOND)
        assert overtaken >= 40, "the other one launched what the slow one had planned"
        each_once(fleet, "beat", made.created_at)
        assert quick.id in {run.node for run in fleet.runs()}


def test_a_bookkeeping_row_that_everybody_relies_on_is_gone(
    clock: FakeClock, jobs: Jobs, fleet: Fleet, tmp_path: Path
) -> None:
    """Where a lock is a row, its loss lets each process run all. Here the rows of nodes and settings are deleted."""
    with closing(SqlStore(parse(f"sqlite:///{tmp_path}/store.db?sync=normal"), clock=clock)) as store:
        store.prepare()
        fleet.store = store
        made = put(store, "beat", every("1s"), **EVERY_FIRE)
        nodes = [fleet.node(jobs) for _ in range(3)]
        for table in ("nodes", "settings", "nodes"):
            fleet.run_for(7 * SECOND)
            for node in nodes:  # whoever leads or follows by what is gone: all of them, now
                node.engine.ticker.shares = EVERYTHING
            store._work.write(partial(_delete_all, table))
        fleet.run_for(20 * SECOND)
        assert len(each_once(fleet, "beat", made.created_at)) == 41


def _delete_all(table: str, tx: Tx) -> None:
    tx.tell(f"DELETE FROM {{{table}}}")
