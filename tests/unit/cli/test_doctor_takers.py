"""``tickonce doctor`` finds schedules whose runs nobody would carry out, before the first of them waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tickonce import Scheduler
from tickonce.cli import takers
from tickonce.cli.findings import Patient
from tickonce.model import Node, job_marks, knows_job
from tickonce.testing import FakeClock

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)


def node(name: str, *jobs: str, **fields) -> Node:
    facts = {"jobs": job_marks(frozenset(jobs))}
    return Node(id=name, host=name, alive_until=NOW + timedelta(seconds=10), facts=facts, **fields)


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    with Scheduler("memory:", clock=FakeClock(NOW)) as found:
        found.add("sync", "shop.sync", "every 1d")
        found.add("report", "shop.report", "every 1d", queue="slow")
        yield found


def found(scheduler: Scheduler, *nodes: Node) -> list[tuple[str, str, str]]:
    return [
        (each.check, each.found, each.mend)
        for each in takers.untaken(Patient(scheduler, scheduler.store.instant(), nodes, nodes))
    ]


def test_nothing_is_said_where_somebody_takes_each_run(scheduler):
    assert found(scheduler, node("a", "shop.sync"), node("b", "shop.report", queues=("slow",))) == []


def test_a_queue_that_no_live_node_serves(scheduler):
    assert found(scheduler, node("a", "shop.sync", "shop.report"), node("b", queues=("slow",), slots=0)) == [
        (
            "queues",
            "no live node serves queue 'slow', into which 1 schedule(s) launch: report",
            "tickonce serve -A module:scheduler --queues slow",
        )
    ]


def test_a_job_that_no_live_node_knows(scheduler):
    scheduler.job(name="shop.sink")(lambda: None)  # what the program at hand has is near
    nodes = (node("a", "shop.sync"), node("b", "shop.sink", queues=("slow",)))
    ((check, text, mend),) = found(scheduler, *nodes)
    assert (check, text) == ("jobs", "no live node knows job 'shop.report' of 1 schedule(s): report")
    assert "tickonce edit report --job NAME" in mend
    scheduler.add("typo", "shop.sinc", "every 1d", paused=True)
    assert len(found(scheduler, *nodes)) == 1, "what is paused launches nothing"
    scheduler.resume("typo")
    assert "Did you mean 'shop.sink'?" in str(found(scheduler, *nodes))


def test_a_job_that_is_known_only_where_its_queue_is_not_served(scheduler):
    ((check, text, mend),) = found(scheduler, node("a", "shop.sync", "shop.report"), node("b", queues=("slow",)))
    assert check == "jobs"
    assert text == (
        "no live node that serves queue 'slow' knows job 'shop.report' of 1 schedule(s): report; "
        "nodes that know it serve default"
    )
    assert mend.startswith("tickonce edit report --queue default; or")


def test_a_node_that_does_not_tell_its_jobs_may_know_any(scheduler):
    silent = replace(node("b", queues=("default", "slow")), facts={})
    assert found(scheduler, node("a"), silent) == []


def test_without_a_live_node_all_is_said_already(scheduler):
    assert found(scheduler) == []


def test_a_node_says_which_of_many_jobs_it_knows():
    jobs = {f"shop.tasks.number_{number}" for number in range(1000)}
    many = node("a", *jobs)
    assert all(knows_job(many, job) for job in jobs)
    assert len(many.facts["jobs"]) == 4 * len(jobs)
    assert sum(bool(knows_job(many, f"shop.other_{number}")) for number in range(1000)) < 10


def test_real_nodes_tell_their_jobs_also_those_that_come_later(tickonce):
    with Scheduler(tickonce.url, beat="100ms", lease="5s") as program, program.node():
        tickonce("add", "sync", "every 1d", "shop.sync")
        form = tickonce.json("doctor", exit=10)
        assert [finding["found"] for finding in form["findings"] if finding["check"] == "jobs"] == [
            "no live node knows job 'shop.sync' of 1 schedule(s): sync"
        ]
        program.job(name="shop.sync")(lambda: None)
        while not all(knows_job(each, "shop.sync") for each in program.nodes()):
            program.clock.sleep(timedelta(milliseconds=20))  # the next beat tells; the test's own deadline ends this
        assert tickonce.json("doctor")["problems"] == 0
