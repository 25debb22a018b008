"""When outcomes are written, and how many at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tests.servers.waiting import wait_until
from tickonce import Scheduler, every
from tickonce.clock import SYSTEM_CLOCK
from tickonce.engine.writer import GATHER, Writer
from tickonce.events import Events
from tickonce.model import NO_ARGUMENTS, Outcome, Run, RunState
from tickonce.stores.memory import MemoryStore
from tickonce.testing.clock import FakeClock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Taking:
    """A store that takes every outcome, and remembers how many came at a time."""

    def __init__(self) -> None:
        self.groups: list[int] = []

    def finish(self, outcomes: Sequence[Outcome]) -> list[bool | None]:
        self.groups.append(len(outcomes))
        return [True] * len(outcomes)


class Desk:
    def __init__(self) -> None:
        self.clock, self.store = FakeClock(NOON), Taking()
        signal = self.clock.signal()
        self.writer = Writer(self.store, clock=self.clock, events=Events(), signal=signal)  # type: ignore[arg-type]
        self.writer.gathers_by = self.clock

    def ends(self, *names: str) -> None:
        for name in names:
            token = f"{name}@2026-11-21T12:00:00Z"
            run = Run(token=token, schedule_id=name, job="note", arguments=NO_ARGUMENTS, scheduled_time=NOON, due=NOON)
            self.writer.add(Outcome(token=token, attempt=1, node="n1", state=RunState.SUCCEEDED), run)

    def gathering(self) -> timedelta:
        """Return for how long the work thread lets outcomes gather now."""
        began = self.clock.monotonic()
        thread = threading.Thread(target=self.writer.gather)
        thread.start()
        while thread.is_alive():
            thread.join(0.01)
            if self.clock.waiting:
                self.clock.advance(self.clock.next_deadline() or timedelta(0))
        return self.clock.monotonic() - began


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_single_outcome_is_written_at_once_and_so_is_the_next_one(desk: Desk) -> None:
    for name in "abc":
        desk.ends(name)
        assert desk.gathering() == timedelta(0)
        desk.writer.write()
    assert desk.store.groups == [1, 1, 1]


def test_behind_a_group_the_next_one_has_a_moment_to_gather(desk: Desk) -> None:
    desk.ends("a", "b")
    assert desk.gathering() == timedelta(0)
    desk.writer.write()
    desk.ends("c")
    assert desk.gathering() == GATHER
    desk.ends("d", "e")
    desk.writer.write()
    assert desk.store.groups == [2, 3]


def test_the_moment_counts_from_the_group_before(desk: Desk) -> None:
    """A write that takes as long as that costs the next one nothing."""
    desk.ends("a", "b")
    desk.writer.write()
    desk.clock.advance(GATHER / 4)
    assert desk.gathering() == GATHER * 3 / 4
    assert desk.gathering() == timedelta(0)


def test_when_it_is_quiet_again_outcomes_are_written_at_once_again(desk: Desk) -> None:
    desk.ends("a", "b")
    desk.writer.write()
    desk.ends("c")
    desk.gathering()
    desk.writer.write()
    desk.ends("d")
    assert desk.gathering() == timedelta(0)


def test_a_group_that_the_store_did_not_take_waits_no_longer_than_others(desk: Desk) -> None:
    def away(outcomes: Sequence[Outcome]) -> list[bool | None]:
        raise ConnectionError(len(outcomes))

    take, desk.store.finish = desk.store.finish, away  # type: ignore[method-assign]
    desk.ends("a", "b")
    with pytest.raises(ConnectionError):
        desk.writer.write()
    desk.store.finish = take  # type: ignore[method-assign]
    assert desk.gathering() <= GATHER
    desk.writer.write()
    assert desk.store.groups == [2]


def test_on_a_clock_that_only_a_test_moves_no_outcome_waits_for_the_test(desk: Desk) -> None:
    desk.writer.gathers_by = SYSTEM_CLOCK  # as it is unless somebody says otherwise
    desk.ends("a", "b")
    desk.writer.write()
    desk.writer.gather()
    assert desk.clock.monotonic() == FakeClock(NOON).monotonic()
    assert Writer(desk.store, clock=desk.clock, events=Events(), signal=desk.clock.signal()).gathers_by is SYSTEM_CLOCK  # type: ignore[arg-type]


def test_the_work_thread_of_a_node_lets_groups_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    gather, finish = Writer.gather, MemoryStore.finish

    def gathering(writer: Writer) -> None:
        steps.append("gather")
        gather(writer)

    def finishing(store: MemoryStore, outcomes: Sequence[Outcome]) -> list[bool | None]:
        steps.append("finish")
        return finish(store, outcomes)

    monkeypatch.setattr(Writer, "gather", gathering)
    monkeypatch.setattr(MemoryStore, "finish", finishing)
    scheduler = Scheduler("memory:")

    @scheduler.job(name="note")
    def note() -> None:
        """Nothing."""

    def ended(token: str) -> bool:
        return not scheduler.run(token).state.open

    with scheduler:
        scheduler.add("s", "note", every("365d"))
        scheduler.start()
        for key in "abc":
            token = scheduler.run_now("s", key=key).token
            wait_until(partial(ended, token), "it is written")
        scheduler.stop()
    assert steps.count("finish") == 3
    assert all(steps[at - 1] == "gather" for at, step in enumerate(steps) if step == "finish")
