"""The promises, on one clock and in one thread."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from tickonce.triggers import every


def test_two_nodes_run_each_minute_of_an_hour_once(fleet, jobs, add):
    add("beat", every("1m"), misfire="all", overlap="allow")
    fleet.node(jobs)
    fleet.node(jobs)
    runs = fleet.run_for(timedelta(hours=1))
    assert len(runs) == 60 == len({run.scheduled_time for run in runs})
    assert Counter(fleet.ledger) == Counter((run.token, 1) for run in runs)
