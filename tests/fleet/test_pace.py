"""A node whose runs end fast takes a few more than it has slots for; when it becomes slow, the fleet has them back."""

from __future__ import annotations

from datetime import timedelta

from tickonce.config import NodeConfig
from tickonce.engine.pace import AHEAD, LONGEST_WAIT, MOST_AHEAD, Pace
from tickonce.model import RunState
from tickonce.triggers import every

MS = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)


def after(pace: Pace, ended: int, at: timedelta) -> int:
    for _ in range(ended):
        pace.ended()
    return pace.ahead(at)


def test_as_much_is_taken_ahead_as_will_end_soon():
    pace = Pace()
    assert pace.ahead(SECOND) == 0
    assert after(pace, 40, SECOND + 20 * MS) == 40 * AHEAD // (20 * MS)
    assert after(pace, 40, SECOND + 120 * MS) == 80  # claims are slow: until the next one, as many will end again
    assert after(pace, 1_000_000, SECOND + 200 * MS) == MOST_AHEAD
    assert after(pace, 3, 3 * SECOND) == 0  # there is time to claim


def test_what_was_measured_stays_for_a_moment_and_is_then_forgotten():
    pace = Pace()
    pace.ahead(SECOND)
    most = after(pace, 100, SECOND + 50 * MS)
    assert pace.ahead(SECOND + 51 * MS) == most > 0
    assert pace.ahead(SECOND + 500 * MS) == 0


def test_a_node_that_becomes_slow_gives_back_what_it_took_ahead(fleet, jobs, add, clock):
    for number in range(100):
        add(f"fast{number}", every("1s"), misfire="all", overlap="allow")
    slow = fleet.node(jobs, config=NodeConfig(slots=2))
    slow.runner.takes = 2 * MS
    fleet.run_for(3 * SECOND)
    assert len(fleet.ledger) == 300

    slow.runner.takes = timedelta(hours=1)
    helper = fleet.node(jobs, config=NodeConfig(slots=200, ticks=False))
    before = set(fleet.ledger)
    fleet.run_for(SECOND / 2)
    fires = [run for run in fleet.runs() if (run.token, 1) not in before]
    waiting = [run for run in fires if run.state is RunState.RUNNING and run.node == slow.id]
    assert len(fires) == 100
    assert 2 < len(waiting) <= 2 + MOST_AHEAD  # the two that run, and what waits for them

    fleet.run_for(LONGEST_WAIT + SECOND / 2)
    still = [run for run in fleet.runs() if run.state is RunState.RUNNING and run.node == slow.id]
    assert len(still) == 2
    back = [run for run in map(fleet.store.run, [run.token for run in waiting]) if run.node == helper.id]
    assert len(back) == len(waiting) - 2
    assert {(run.state, run.attempt, run.failures) for run in back} == {(RunState.SUCCEEDED, 2, 0)}
    called = [token for token, _ in fleet.ledger]
    assert len(called) == len(set(called))


def test_a_node_that_seldom_looks_sees_as_far_as_its_next_look(fleet, jobs, add):
    add("often", every("5m"))
    fleet.node(jobs, config=NodeConfig(poll=timedelta(hours=1), blind_poll=timedelta(hours=1)))
    runs = fleet.run_for(timedelta(hours=5))
    assert len(runs) >= 59
    assert max(run.created_at - run.scheduled_time for run in runs) < SECOND
