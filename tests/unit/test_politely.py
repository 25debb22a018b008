"""Loops over many rows leave other threads of the process their turn."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tickonce import Scheduler
from tickonce.clock import politely
from tickonce.testing.clock import FakeClock


def test_all_items_come_and_in_their_order() -> None:
    for number in (0, 1, 24, 25, 26, 100):
        assert list(politely(range(number))) == list(range(number))


def test_few_items_cost_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    list(politely(range(24)))
    assert waits == []
    list(politely(range(100)))
    assert len(waits) == 4
    assert 0 < max(waits) < 0.001


def test_a_thread_that_wants_its_turn_gets_it_before_the_end() -> None:
    """Without it this one would wait for the interpreter until the loop is over, or for 5 ms."""
    begun, turns = threading.Event(), 0
    over = False

    def other() -> None:
        nonlocal turns
        begun.set()
        while not over:
            turns += 1
            time.sleep(0)

    thread = threading.Thread(target=other)
    thread.start()
    begun.wait()
    seen = {turns for _ in politely(range(1_000))}
    over = True
    thread.join()
    assert len(seen) > 10


@pytest.mark.parametrize("url", ["memory:", "sqlite:///{folder}/fleet.db"])
def test_who_reads_and_plans_many_due_rows_is_polite(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ticker where it plans; a SQL store where it reads them, too."""
    clock = FakeClock(datetime(2026, 11, 21, 13, tzinfo=UTC))
    with Scheduler(url.format(folder=tmp_path), clock=clock) as scheduler:
        for number in range(30):
            scheduler.add(f"it-{number}", "job", "every 1s")
        node = scheduler._make({})()
        node.join()
        node.heart.step()
        clock.advance(timedelta(seconds=2))
        node.heart.step()
        waits: list[float] = []
        monkeypatch.setattr(time, "sleep", waits.append)
        node.ticker.step()
        assert len(waits) == (1 if url == "memory:" else 2)
        assert len(scheduler.runs(limit=100).items) >= 30
