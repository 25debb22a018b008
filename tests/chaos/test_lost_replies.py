"""A reply that is lost after the commit: what was launched, claimed or finished is neither forgotten nor done twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from tests.servers import PrivateServer, wait_until
from tests.servers.proxy import CuttingProxy
from tickonce import Scheduler, current_run, every
from tickonce.errors import StoreUnavailable
from tickonce.model import Run, RunState
from tickonce.ports import RunFilter, Store
from tickonce.stores import open_store
from tickonce.testing.fleet import Faults

BEAT = timedelta(seconds=1)
SETTINGS: dict[str, Any] = {"lease": timedelta(seconds=4), "beat": BEAT, "margin": timedelta(seconds=1)}

pytestmark = pytest.mark.chaos


@pytest.fixture
def ledger() -> Counter[tuple[str, int]]:
    return Counter()


@pytest.fixture
def faults(store_url: str) -> Iterator[Faults]:
    store = open_store(store_url)
    yield Faults(store)
    store.close()


def scheduler_on(store: Any, ledger: Counter[tuple[str, int]]) -> Scheduler:
    scheduler = Scheduler(store, **SETTINGS)
    lock = threading.Lock()

    @scheduler.job(name="note")
    def note() -> None:
        run = current_run()
        with lock:
            ledger[run.token, run.attempt] += 1

    return scheduler


def all_runs(store: Store) -> tuple[Run, ...]:
    return store.runs(RunFilter(), limit=1000).items


def test_every_fire_ends_within_two_beats_once(faults: Faults, ledger: Counter[tuple[str, int]]) -> None:
    with scheduler_on(faults, ledger) as scheduler:
        scheduler.add("beat", "note", every("1s"), misfire="all", overlap="allow")
        scheduler.add("by-hand", "note", every("1h"), overlap="allow")
        scheduler.start()
        wait_until(lambda: len(ledger) >= 2, "the first fires", within=timedelta(seconds=20))
        for verb in ("launch", "claim", "finish", "change", "beat"):
            _lose_two_replies(scheduler, faults, verb)
        scheduler.stop()
        times = sorted(run.scheduled_time for run in all_runs(scheduler.store) if run.source == "schedule")
        assert len(times) == (times[-1] - times[0]).total_seconds() + 1, "a fire is missing"
        ended = [run for run in all_runs(scheduler.store) if run.state is RunState.SUCCEEDED]
    assert set(ledger.values()) == {1}
    assert {token for token, _ in ledger} == {run.token for run in ended}


def _lose_two_replies(scheduler: Scheduler, faults: Faults, verb: str) -> None:
    """Lose the replies to two calls of *verb*; two beats later everything from before has ended well."""
    faults.cut_reply(verb, times=2)
    if verb in ("claim", "change"):
        for key in ("a", "b"):
            _by_hand(scheduler, f"{verb}-{key}")
    wait_until(lambda: not faults._cut[verb], f"both replies to {verb} are lost", within=timedelta(seconds=20))
    border = scheduler.store.instant()
    time.sleep(2 * BEAT.total_seconds() + 0.5)
    before = [run for run in all_runs(scheduler.store) if run.created_at is not None and run.created_at <= border]
    assert {run.state for run in before} == {RunState.SUCCEEDED}, verb


def _by_hand(scheduler: Scheduler, key: str) -> None:
    with suppress(StoreUnavailable):  # it has happened all the same: that is the point
        scheduler.run_now("by-hand", key=key)


@pytest.mark.server
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_commits_whose_reply_the_network_loses_double_and_forget_nothing(
    kind: str, request: pytest.FixtureRequest, ledger: Counter[tuple[str, int]]
) -> None:
    server: PrivateServer = request.getfixturevalue(f"private_{kind}")
    direct = open_store(server.url)
    direct.prepare()
    with CuttingProxy(server.host, server.port) as proxy, scheduler_on(proxy.url(server.url), ledger) as scheduler:
        scheduler.add("beat", "note", every("500ms"), misfire="all", overlap="allow")
        scheduler.start()
        for _ in range(6):
            lost = proxy.cut_reply_after(b"COMMIT")
            assert lost.happened.wait(30), "no commit came by"
            time.sleep(1)
        scheduler.stop()
    runs = all_runs(direct)
    assert {run.state for run in runs} <= {RunState.SUCCEEDED, RunState.PENDING}
    assert {run.losses for run in runs} == {0}
    times = sorted(run.scheduled_time for run in runs)
    assert len(times) == 2 * (times[-1] - times[0]).total_seconds() + 1, "a fire is missing"
    assert set(ledger.values()) == {1}
    assert len(ledger) == len([run for run in runs if run.state is RunState.SUCCEEDED])
    direct.close()
