"""The parts of a node on a fake clock, with jobs in real threads and on a real event loop."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.servers.waiting import wait_until
from tickonce.config import NodeConfig
from tickonce.context import current_run
from tickonce.editing import Create, RunNow, SetAside
from tickonce.engine.node import EngineNode
from tickonce.errors import RunError, StoreBusy, StoreUnavailable
from tickonce.events import Event, Events
from tickonce.jobs import Jobs
from tickonce.model import Definition, Launched, OnLost, Policy, RunState, ScheduleState
from tickonce.ports import RunFilter
from tickonce.runners import default_runners
from tickonce.runners.threads import ThreadRunner
from tickonce.stores.memory import MemoryStore
from tickonce.testing.clock import FakeClock
from tickonce.testing.fleet import Faults
from tickonce.triggers import every

SECOND = timedelta(seconds=1)
PATIENCE_S = 20


class Kept(Events):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Event] = []

    def wanted(self, kind):
        return True

    def emit(self, event):
        self.kept.append(event)


class Bench:
    """One node without its loops; the test does their passes."""

    def __init__(self) -> None:
        self.clock = FakeClock(datetime(2026, 11, 21, 13, tzinfo=UTC))
        self.faults = Faults(MemoryStore(clock=self.clock))
        self.jobs, self.events = Jobs(), Kept()
        self.node: EngineNode

    def join(self, **settings) -> None:
        self.node = EngineNode(
            self.faults,
            self.jobs,
            config=NodeConfig(**settings),
            clock=self.clock,
            events=self.events,
            declares=list,
            runners=default_runners("test"),
        )
        self.node.join()

    def begin(self, job: str, **policy) -> str:
        """Add a schedule of *job*, start a run by hand, let the node take it."""
        definition = Definition(job=job, trigger=every("365d"), policy=Policy(**policy))
        self.faults.change(job, Create(schedule_id=job, definition=definition))
        self.faults.change(job, RunNow(schedule_id=job, key="k"))
        self.node.worker.want_claim()
        self.node.loops["work"]()
        return f"{job}@run-k"

    def run(self, token):
        found = self.faults._store.run(token)
        assert found is not None
        return found

    def let_pass(self, duration):
        """Let time pass as its loops see it: a beat, then the work of each second."""
        until = self.clock.monotonic() + duration
        while (left := until - self.clock.monotonic()) > timedelta(0):
            self.clock.advance(min(left, SECOND))
            for loop in ("beat", "work"):
                try:
                    self.node.loops[loop]()
                except StoreUnavailable:
                    continue


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.node.worker.close()


def stubborn(jobs, begun, go_on, *, is_async):
    """Register a job that does not let itself be told to stop."""

    def plain() -> None:
        begun.set()
        assert go_on.wait(PATIENCE_S)

    async def coroutine() -> None:
        begun.set()
        while not go_on.is_set():
            try:
                await asyncio.sleep(0.005)
            except asyncio.CancelledError:
                continue

    jobs.job(name="stubborn")(coroutine if is_async else plain)


# -- the end of the process in the midst of a job --------------------------------------------------


@pytest.mark.parametrize(("on_lost", "state"), [("rerun", RunState.PENDING), ("fail", RunState.LOST)])
def test_only_what_the_ending_thread_carries_out_is_handed_back(bench, on_lost, state):
    threads, go_on = {}, threading.Event()

    def carried_out() -> None:
        threads[current_run().job] = threading.get_ident()
        assert go_on.wait(PATIENCE_S)

    for name in ("here", "there"):
        bench.jobs.job(name=name)(carried_out)
    bench.join(slots=2)
    here, there = (bench.begin(name, on_lost=OnLost(on_lost)) for name in ("here", "there"))
    wait_until(lambda: len(threads) == 2, "both run")
    bench.node.worker.stop_taking()
    bench.node.worker.abandon(threads["here"])
    bench.node.loops["work"]()
    assert (bench.run(here).state, bench.run(here).losses) == (state, 0)
    assert bench.run(there).state is RunState.RUNNING
    assert bench.node.worker.busy == 1
    go_on.set()
    wait_until(lambda: not bench.node.worker.busy, "the other has ended")


def test_what_was_to_be_cancelled_is_cancelled_when_its_thread_ends(bench):
    idents: list[int] = []
    go_on = threading.Event()

    def carried_out() -> None:
        idents.append(threading.get_ident())
        assert go_on.wait(PATIENCE_S)

    bench.jobs.job(name="here")(carried_out)
    bench.join(slots=1)
    token = bench.begin("here")
    wait_until(lambda: idents, "it runs")
    bench.node.worker._running()[0].stop("cancelled")
    bench.node.worker.stop_taking()
    bench.node.worker.abandon(idents[0])
    bench.node.loops["work"]()
    assert bench.run(token).state is RunState.CANCELLED
    go_on.set()


# -- timeouts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
def test_a_job_that_ignores_its_timeout_is_overdue_keeps_its_slot_and_fails_when_it_ends(bench, is_async):
    begun, go_on = threading.Event(), threading.Event()
    stubborn(bench.jobs, begun, go_on, is_async=is_async)
    bench.join(slots=1)
    token = bench.begin("stubborn", timeout=5 * SECOND)
    assert begun.wait(PATIENCE_S)
    bench.let_pass(10 * SECOND)
    run = bench.run(token)
    assert (run.state, run.overdue) == (RunState.RUNNING, True)
    assert [found.token for found in bench.faults.runs(RunFilter(overdue=True)).items] == [token]
    assert [event.kind for event in bench.events.kept] == ["overdue"]
    assert (bench.node.worker.busy, bench.node.worker.room) == (1, 0)
    go_on.set()
    wait_until(lambda: bench.node.worker.busy == 0, "the end of the job")
    bench.node.loops["work"]()
    run = bench.run(token)
    assert (run.state, run.overdue) == (RunState.FAILED, False)
    assert "RunTimeout" in run.error


def test_a_coroutine_that_lets_itself_be_cancelled_is_never_called_overdue(bench):
    begun = threading.Event()

    @bench.jobs.job(name="polite")
    async def polite() -> None:
        begun.set()
        await asyncio.sleep(PATIENCE_S)

    bench.join()
    token = bench.begin("polite", timeout=5 * SECOND)
    assert begun.wait(PATIENCE_S)
    bench.let_pass(5 * SECOND)
    wait_until(lambda: bench.node.worker.busy == 0, "its end")
    bench.let_pass(5 * SECOND)
    assert bench.run(token).state is RunState.FAILED
    assert [event.kind for event in bench.events.kept] == ["failed"]


def test_a_timeout_holds_while_the_store_is_away_and_an_outcome_waits_to_be_written(bench):
    begun, told, first_ended = threading.Event(), threading.Event(), threading.Event()

    @bench.jobs.job(name="quick")
    def quick() -> None:
        assert first_ended.wait(PATIENCE_S)

    @bench.jobs.job(name="long")
    def long() -> None:
        begun.set()
        try:
            current_run().sleep(timedelta(days=1))
        finally:
            told.set()

    bench.join()
    bench.begin("quick")
    bench.begin("long", timeout=5 * SECOND)
    assert begun.wait(PATIENCE_S)
    bench.clock.until_waiting()
    bench.faults.down = True
    first_ended.set()
    wait_until(lambda: bench.node.writer.kept == 1, "an outcome that cannot be written")
    bench.let_pass(6 * SECOND)
    assert told.wait(5)


@pytest.mark.parametrize("length", [timedelta.max, "999999999d", 1e300, float("inf")])
def test_a_sleep_beyond_all_measure_ends_when_the_run_is_told_to(bench, length):
    begun = threading.Event()

    @bench.jobs.job(name="long")
    def long() -> None:
        begun.set()
        current_run().sleep(length)

    bench.join()
    bench.clock.advance(SECOND)
    token = bench.begin("long")
    assert begun.wait(PATIENCE_S)
    bench.clock.until_waiting()
    bench.faults.cancel(token)
    bench.let_pass(6 * SECOND)
    wait_until(lambda: bench.node.worker.busy == 0, "its end")
    bench.node.loops["work"]()
    assert bench.run(token).state is RunState.CANCELLED


def test_a_sleep_for_no_number_at_all_is_refused(bench):
    said: list[str] = []

    @bench.jobs.job(name="odd")
    def odd() -> None:
        with pytest.raises(RunError) as refused:
            current_run().sleep(float("nan"))
        said.append(str(refused.value))

    bench.join()
    bench.begin("odd")
    wait_until(lambda: bool(said), "the job")
    assert "NaN" in said[0]


# -- what goes wrong -----------------------------------------------------------------------------


def test_a_run_for_which_there_is_no_thread_waits_and_begins_when_there_is_one(bench, monkeypatch):
    done = threading.Event()
    bench.jobs.job(name="quick")(done.set)
    bench.join(slots=1)

    def refused(self, work):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(ThreadRunner, "start", refused)
        token = bench.begin("quick")
        assert bench.node.worker.busy == 0
    bench.node.loops["work"]()
    assert done.wait(PATIENCE_S)
    wait_until(lambda: bench.node.worker.busy == 0, "its end")
    bench.node.loops["work"]()
    assert (bench.run(token).state, bench.run(token).attempt) == (RunState.SUCCEEDED, 1)


def test_a_thread_that_cannot_be_made_does_not_count_as_one(monkeypatch):
    runner = ThreadRunner(name="test")
    done = threading.Event()

    class Quick:
        interrupt: Callable[[], None] | None = None

        def perform(self) -> None:
            done.set()

        async def perform_async(self) -> None:
            raise NotImplementedError

    def refused(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError):
            runner.start(Quick())
    runner.start(Quick())
    assert done.wait(PATIENCE_S)
    runner.close()


def test_an_adoption_that_is_wanted_while_one_is_under_way_is_not_forgotten(bench):
    bench.join()
    worker = bench.node.worker
    worker.want_adoption()
    bench.faults.before("held", worker.want_adoption)
    worker.adopt()
    bench.faults.calls.clear()
    worker.adopt()
    worker.adopt()
    assert bench.faults.calls == ["held"]


def test_what_was_given_to_one_incarnation_never_begins_as_the_next_ones(bench):
    """The node is born again between the look at whom a run was given to and its way into the slots."""
    ran: list[int] = []
    bench.jobs.job(name="quick")(lambda: ran.append(1))
    bench.join()
    worker, enter = bench.node.worker, bench.node.worker._door.enter

    def born_again(token, attempt):
        worker.incarnation("another")
        return enter(token, attempt)

    worker._door.enter = born_again
    bench.begin("quick")
    wait_until(lambda: worker.busy == 0, "all is refused")
    assert ran == []


def test_jobs_that_tell_how_far_they_are_do_not_disturb_the_writing_of_that(bench):
    bench.join()
    bench.jobs.job(name="quick")(lambda: None)
    token = bench.begin("quick")
    run, writer = bench.run(token), bench.node.writer
    stop = threading.Event()

    def tell(place: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            writer._note(type("R", (), {"token": f"{place}-{number}", "attempt": 1})(), "node", progress=0.5)
            if number % 2000 == 0:
                writer._notes.clear()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=tell, args=(place,)) for place in range(2)]
    try:
        for thread in threads:
            thread.start()
        for _ in range(300):
            bench.clock.advance(timedelta(milliseconds=1))
            writer._progress_at = bench.clock.monotonic()  # only the look at what is there, no writing
            writer.write_notes()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(before)
    assert run.token == token


# -- upkeep --------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["recover", "lapse", "seen", "prune"])
def test_a_duty_that_failed_is_done_again_at_the_next_pass_not_a_period_later(bench, verb):
    bench.join()
    upkeep = bench.node.upkeep
    upkeep.step()
    for _ in range(1000):  # until everything is due
        bench.clock.advance(4 * SECOND)
        bench.node.loops["beat"]()
    bench.faults.refuse(verb)
    with pytest.raises(StoreUnavailable):
        upkeep.step()
    bench.clock.advance(SECOND)
    bench.faults.calls.clear()
    upkeep.step()
    assert verb in bench.faults.calls


def test_one_duty_that_fails_for_ever_keeps_no_other_from_being_done(bench):
    bench.join()
    definition = Definition(job="quick", trigger=every("365d"))
    locked = bench.faults.change("locked", Create(schedule_id="locked", definition=definition))
    other = bench.faults.change("other", Create(schedule_id="other", definition=definition))
    for row in (locked, other):
        bench.node.ticker.asides.append(SetAside(schedule_id=row.id, version=row.version, reason="broken"))
    change = bench.faults._store.change

    def busy(schedule_id, decide):
        if schedule_id == "locked":
            raise StoreBusy("an application holds the row")
        return change(schedule_id, decide)

    bench.faults._store.change = busy
    bench.faults.calls.clear()
    for _ in range(2):
        with pytest.raises(StoreBusy):
            bench.node.upkeep.step()
    assert bench.faults.get("other").state is ScheduleState.ASIDE
    assert "recover" in bench.faults.calls


# -- what a store refuses ------------------------------------------------------------------------


def test_a_schedule_whose_fires_the_store_refuses_is_set_aside_once_and_says_why(bench):
    bench.join()
    definition = Definition(job="quick", trigger=every("1s"))
    bench.faults.change("odd", Create(schedule_id="odd", definition=definition))
    launches = []

    def launch(node_id, plans, **more):
        launches.append(len(plans))
        refused = {plan.schedule.id: "invalid byte \x00 \ud800" for plan in plans}
        return Launched(instant=bench.clock.wall(), refused=refused)

    bench.faults._store.launch = launch
    for _ in range(3):
        bench.clock.advance(SECOND)
        bench.node.loops["tick"]()
        bench.node.upkeep.step()
    found = bench.faults.get("odd")
    assert found.state is ScheduleState.ASIDE
    assert found.reason.startswith("the store refused its fires: invalid byte ")
    assert found.reason.isprintable()
    assert [event.kind for event in bench.events.kept] == ["set_aside"]
    assert launches == [1]


def test_the_upkeep_takes_from_what_is_to_be_set_aside_while_the_ticker_looks_through_it(bench):
    bench.join()
    asides = bench.node.ticker.asides

    class Taken:
        """The upkeep's popleft, in the midst of the ticker's look."""

        schedule_id = property(lambda _: asides.clear() or "another")

    asides.extend([Taken(), Taken()])
    row = bench.faults.change("odd", Create(schedule_id="odd", definition=Definition(job="quick", trigger=every("1s"))))
    bench.node.ticker._set_aside(row, "broken")
    assert [item.schedule_id for item in asides] == ["odd"]


def test_what_a_beat_breaks_off_does_not_disturb_who_asks_meanwhile(bench):
    bench.join()
    witness = bench.node.heart._witness
    for _ in range(30):
        bench.clock.advance(SECOND)
        bench.node.loops["beat"]()
    lease, now, wall = NodeConfig().lease, bench.clock.monotonic(), bench.clock.wall()
    assert witness.may_judge(lease, instant=wall, now=now)
    stop = threading.Event()

    def beat() -> None:
        while not stop.is_set():
            witness.broken()
            witness.beaten(wall, sent=now)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=beat)
    witness.broken()
    thread.start()
    try:
        assert not any(witness.may_judge(lease, instant=wall, now=now) for _ in range(20_000))
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(before)


class Untold(Exception):
    def __str__(self) -> str:
        return "bytes no database takes: \x00 \ud800"


def test_what_a_trigger_says_when_it_breaks_is_cleaned_before_it_is_written(bench):
    class Broken:
        breaks = False

        def next_after(self, after):
            if self.breaks:
                raise Untold
            return every("1s").next_after(after)

        def spec(self):
            return {"kind": "broken", "version": 1}

        def resolved(self, *, schedule_id, tz):
            return self

    broken = Broken()
    bench.join()
    bench.faults.change("odd", Create(schedule_id="odd", definition=Definition(job="quick", trigger=broken)))
    broken.breaks = True
    bench.clock.advance(SECOND)
    bench.node.loops["tick"]()
    bench.node.upkeep.step()
    reason = bench.faults.get("odd").reason
    assert "Untold" in reason
    assert "\x00" not in reason
    reason.encode()


# -- logs ----------------------------------------------------------------------------------------


def test_at_debug_level_each_run_tells_when_it_begins_and_ends(bench, caplog):
    bench.jobs.job(name="quick")(lambda: None)
    bench.join()
    caplog.set_level(logging.DEBUG, logger="tickonce.run")
    token = bench.begin("quick")
    wait_until(lambda: bench.node.worker.busy == 0, "its end")
    told = [(record.message, record.token, record.attempt) for record in caplog.records if record.levelname == "DEBUG"]
    assert told == [
        (f"run {token} begins (attempt 1)", token, 1),
        (f"run {token} ends: succeeded (attempt 1)", token, 1),
    ]
