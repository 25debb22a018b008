"""Eight processes start at one instant on an empty database, each declaring the same twenty schedules."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.chaos.crew import Crew, until
from tickonce.model import NodeState
from tickonce.ports import ScheduleFilter
from tickonce.stores import open_store

pytestmark = pytest.mark.chaos


def test_eight_processes_declare_the_same_schedules_on_an_empty_database(store_url: str, tmp_path: Path) -> None:
    settings = {"declare": 20, "begin_at": time.time() + 4, "lease": "6s", "beat": "2s"}
    with Crew(store_url, tmp_path, **settings) as crew:
        crew.start(8)
        time.sleep(4)  # nothing is there before that instant, not even a table
        store = open_store(store_url)
        until(lambda: crew.joined() == 8, "eight nodes have joined")
        assert sum(node.state is NodeState.ALIVE for node in store.nodes()) == 8
        schedules = store.schedules(ScheduleFilter(), limit=100).items
        assert sorted(item.id for item in schedules) == sorted(f"declared-{number}" for number in range(20))
        assert {item.revision for item in schedules} == {1}
        crew.stop_all()
        assert not crew.logs()
        store.close()


def test_a_redeploy_with_unchanged_code_moves_no_next_fire(store_url: str, tmp_path: Path) -> None:
    with Crew(store_url, tmp_path, declare=5, lease="6s", beat="2s") as crew:
        crew.start(1)
        until(lambda: crew.joined() == 1, "the first node has joined")
        store = open_store(store_url)
        before = store.schedules(ScheduleFilter(), limit=100).items
        crew.stop_all()
        crew.start(2)
        until(lambda: crew.joined() == 3, "two more nodes have joined")
        after = store.schedules(ScheduleFilter(), limit=100).items
        assert [(item.id, item.next_fire, item.watermark, item.version) for item in after] == [
            (item.id, item.next_fire, item.watermark, item.version) for item in before
        ]
        crew.stop_all()
        store.close()
