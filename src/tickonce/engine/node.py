"""A node: the threads of one process that takes part, from joining to leaving."""

from __future__ import annotations

import logging
import os
import platform
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import uuid4
from zoneinfo import TZPATH

from tickonce import forks, threads
from tickonce.clock import SYSTEM_CLOCK
from tickonce.config import NodeConfig
from tickonce.editing import Declare
from tickonce.engine.beat import Heart
from tickonce.engine.lease import Lease, Witness
from tickonce.engine.storetime import StoreTime
from tickonce.engine.ticker import Ticker
from tickonce.engine.upkeep import Upkeep
from tickonce.engine.worker import Worker
from tickonce.engine.writer import Writer
from tickonce.errors import StoreError
from tickonce.events import Events
from tickonce.jobs import Jobs
from tickonce.model import LONGEST, Node, NodeId
from tickonce.ports import ALL_HINTS, Clock, Notifier, Runner, Signal, Store, Surroundings

_log = logging.getLogger("tickonce.node")

#: First and longest wait of a loop after the store failed.
FIRST_PAUSE = timedelta(milliseconds=100)
LONGEST_PAUSE = timedelta(seconds=1)
#: How long interrupted coroutines may take to end before the process goes on.
AFTER_INTERRUPT = timedelta(seconds=1)
#: How long a leaving node waits, in real seconds, for its loops to end; and for the answer to outcomes that the store
#: has been given: longer than any statement takes.
_FOR_LOOPS_S = 5.0
_FOR_ANSWER_S = 11.0
#: How long a leaving node waits for runs that somebody else has locked, to write their outcomes.
_FOR_LOCKED = timedelta(seconds=2)
_ZERO = timedelta(0)


class EngineNode:
    """Joins the fleet, ticks, works, beats, and leaves in order.

    Each loop is an object with a ``step()`` that does one pass and returns how long to wait; a thread here only repeats
    it. So tests drive the same objects by hand on a fake clock. A loop ends when the node stops, never for an error.
    """

    def __init__(
        self,
        store: Store,
        jobs: Jobs,
        *,
        config: NodeConfig,
        clock: Clock,
        events: Events,
        declares: Callable[[], Sequence[Declare]],
        runners: Mapping[str, Runner],
        around: Surroundings | None = None,
        release: str | None = None,
        name: str = "",
    ) -> None:
        self._store, self._config, self._clock, self._events = store, config, clock, events
        self._declares, self._release = declares, release
        self._name = name or socket.gethostname()
        self._signals: dict[str, Signal] = {loop: clock.signal() for loop in ("beat", "tick", "work", "upkeep")}
        self._stopping = threading.Event()
        self._aborted = threading.Event()
        self._threads: list[threading.Thread] = []
        self._notifier: Notifier | None = None
        self._pid = os.getpid()
        self.time = StoreTime(clock, local=store.local)
        self.lease = Lease(config, clock)
        witness = Witness(config)
        self.writer = Writer(store, clock=clock, events=events, signal=self._signals["work"])
        self.worker = Worker(
            store,
            jobs,
            config=config,
            clock=clock,
            time=self.time,
            lease=self.lease,
            writer=self.writer,
            events=events,
            runners=runners,
            around=around,
        )
        self.ticker = Ticker(
            store,
            config=config,
            clock=clock,
            time=self.time,
            lease=self.lease,
            worker=self.worker,
            events=events,
            on_unknown=self._ask_soon,
            on_aside=self._signals["upkeep"].set,
        )
        self.heart = Heart(
            store,
            config=config,
            clock=clock,
            time=self.time,
            lease=self.lease,
            witness=witness,
            ticker=self.ticker,
            worker=self.worker,
            events=events,
            signal=self._signals["beat"],
            row=self._row,
            on_heard=self._signals["work"].set,
            on_members=self._members_changed,
        )
        self.upkeep = Upkeep(
            store,
            config=config,
            clock=clock,
            time=self.time,
            lease=self.lease,
            witness=witness,
            heart=self.heart,
            worker=self.worker,
            events=events,
            declares=declares,
            asides=self.ticker.asides,
        )

    # -- what one may ask ----------------------------------------------------------------------

    @property
    def id(self) -> NodeId:
        """The incarnation that this node is now."""
        return self.heart.node.id

    def was(self, node_id: NodeId | None) -> bool:
        """Whether that is or was an incarnation of this node."""
        return node_id is not None and node_id in self.heart.incarnations

    @property
    def running(self) -> bool:
        """Whether it was started and has not stopped, in this process."""
        return bool(self._threads) and not self._stopping.is_set() and os.getpid() == self._pid

    @property
    def alive(self) -> bool:
        """Whether it does its work: every loop runs, and the last good beat is younger than the lease."""
        if not self.running or not all(thread.is_alive() for thread in self._threads):
            return False
        return self._clock.monotonic() - self.heart.beaten_at < self._config.lease

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Join, declare, start the loops.

        Raises:
            StoreError: The store cannot be reached or used; nothing was started.
        """
        self.join()
        try:
            self._notifier = self._store.notifier()
            for loop, step in self.loops.items():
                self._thread(loop, partial(self._repeat, loop, step))
            if self._notifier is not None:
                self._thread("listen", partial(self._listen, self._notifier))
        except BaseException:
            self._end()
            raise
        _log.info("node %s joined: %s, %d node(s) alive", self.id, self._store.url, len(self.heart.members))

    def join(self) -> None:
        """Take part and declare, without any loop yet."""
        self._store.prepare()
        sent = self._clock.monotonic()
        self.time.learned(self._store.instant(), sent=sent)
        self.heart.join()
        try:
            self.upkeep.declare()
        except BaseException:
            # Nothing was started, so nobody must take this node for one that serves its buckets.
            with suppress(StoreError):
                self._store.leave(self.id)
            raise

    @property
    def loops(self) -> dict[str, Callable[[], timedelta]]:
        """The steps that are to be repeated, by name; each does one pass and returns how long to wait."""
        ticking = {"tick": self.ticker.step} if self._config.ticks else {}
        return {"beat": self.heart.step, **ticking, "work": self._work, "upkeep": self.upkeep.step}

    @property
    def signals(self) -> Mapping[str, Signal]:
        """What wakes each of the loops before its time."""
        return self._signals

    def stop(self, drain: timedelta | None = None) -> bool:
        """Leave first, finish what runs within *drain*, hand back the rest; return whether all ended and is written.

        Threads that do not end in time are left running; their runs are recovered by other nodes. A *drain* beyond a
        century is one of a century.
        """
        if not self._threads or os.getpid() != self._pid:
            return True
        return self.leave(self._config.drain_timeout if drain is None else drain)

    def leave(self, drain: timedelta, *, patience: timedelta = AFTER_INTERRUPT) -> bool:
        """Leave, with or without threads of its own; *patience* is for runs that were told to stop."""
        self._leave_first()
        self.worker.stop_taking()
        if threads.ends_here():
            self.worker.abandon(threading.get_ident())
        until = self._clock.monotonic() + min(drain, LONGEST)
        ended = self._drained(until)
        if not ended:
            _log.warning("node %s: %d run(s) did not end in time; they are told to stop", self.id, self.worker.busy)
            self.worker.interrupt_all()
            self._drained(self._clock.monotonic() + patience)
        return self._end() and ended

    def abort(self) -> None:
        """Stop without waiting for what runs: the drain of a ``stop()`` in another thread ends at once."""
        self._aborted.set()
        self.worker.idle.set()

    # -- steps of stopping ---------------------------------------------------------------------

    def _leave_first(self) -> None:
        """Say that this node leaves, before anything else: others take its buckets at once."""
        self.heart.leaving = True  # before the ticker's: a beat on its way may give it shares once more
        self.ticker.leaving = True
        self.heart.soon(at_once=True)

    def _drained(self, until: timedelta) -> bool:
        while self.worker.busy and not self._aborted.is_set():
            left = until - self._clock.monotonic()
            if left <= _ZERO:
                return False
            self.worker.idle.wait(left)
        return not self.worker.busy

    def _end(self) -> bool:
        """Stop the loops and leave; return whether the store has taken all outcomes."""
        self._stopping.set()
        for signal in self._signals.values():
            signal.set()
        if self._notifier is not None:
            self._notifier.close()
        self._join_loops()
        try:
            # The work thread has ended: what has gathered since, above all what was handed back, is written here.
            self.writer.write_all(patience=_FOR_LOCKED)
            self._store.leave(self.id)
            _log.info("node %s left", self.id)
        except StoreError as error:
            _log.warning("node %s could not say that it left (%s); others find out within its lease", self.id, error)
        if self.writer.kept:
            _log.error("%d outcome(s) could not be written; those runs count as lost", self.writer.kept)
        self.worker.close()
        return not self.writer.kept

    def _join_loops(self) -> None:
        """Wait for the loops to end, for all of them together as long as one of them may take."""
        began = SYSTEM_CLOCK.monotonic()
        me = threading.current_thread()
        for thread in self._threads:
            longest = timedelta(seconds=_FOR_ANSWER_S if self.writer.kept else _FOR_LOOPS_S)
            left = began + longest - SYSTEM_CLOCK.monotonic()
            if thread is not me and left > _ZERO and not self._aborted.is_set():
                thread.join(left.total_seconds())

    # -- loops ---------------------------------------------------------------------------------

    def _work(self) -> timedelta:
        """Watch timeouts, write outcomes, claim runs."""
        self.worker.watch()  # first: what follows asks the store, and a timeout holds whether or not that answers
        self.writer.write()
        self.worker.adopt()
        self.worker.claim()
        waits = (self.worker.watch(), self.writer.write_notes(), self.writer.wait)
        return min((wait for wait in waits if wait is not None), default=self._config.poll)

    def _listen(self, notifier: Notifier) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                hints = notifier.wait(self._config.poll)
                pause = FIRST_PAUSE
            except StoreError as error:
                if self._stopping.is_set():
                    return
                _log.warning("no hints from the store for now, polling goes on: %s", error)
                self._pause(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            self.hint(hints)

    def hint(self, hints: frozenset[str]) -> None:
        """The store has changed: look sooner."""
        # A store that cannot tell what has changed names every kind, even for a beat. Were that answered by a beat, the
        # beats of a fleet would keep each other going.
        told = hints != ALL_HINTS
        if told and ("nodes" in hints or ("cancels" in hints and self.worker.busy)):
            self.heart.soon()  # its answer says who lives, and which of our runs are to stop
        if "runs" in hints:
            self.worker.want_claim()
        if "schedules" in hints or "runs" in hints:
            self._signals["tick"].set()

    def _ask_soon(self) -> None:
        self.heart.soon()

    def _members_changed(self) -> None:
        self.upkeep.members_changed()
        self._signals["upkeep"].set()
        self._signals["tick"].set()

    def _thread(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"tickonce-{name}", daemon=True)
        self._threads.append(thread)
        threads.begin(thread)

    def _repeat(self, name: str, step: Callable[[], timedelta]) -> None:
        """Repeat *step* until the node stops. No loop dies of an error: it waits a little and goes on."""
        pause = FIRST_PAUSE
        failing = False
        while not self._stopping.is_set():
            try:
                if name == "work":  # not woken by what ends meanwhile: the pass takes all of it
                    self.writer.gather()
                wait = step()
                if failing:
                    _log.info("%s: the store answers again", name)
                pause, failing = FIRST_PAUSE, False
                if wait > _ZERO:
                    self._signals[name].wait(wait)
            except StoreError as error:
                if not failing:
                    _log.warning("%s: %s", name, error)
                failing = True
                self._pause(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            except BaseException:  # noqa: BLE001  # no fault of ours or of a program's trigger may end the loop
                _log.exception("%s: unexpected; the loop goes on", name)
                self._pause(LONGEST_PAUSE)

    def _pause(self, pause: timedelta) -> None:
        """Wait without being woken by work: a loop that fails must not spin because outcomes keep coming."""
        until = self._clock.monotonic() + pause
        while not self._stopping.is_set() and (left := until - self._clock.monotonic()) > _ZERO:
            self._clock.sleep(min(left, FIRST_PAUSE))

    def _row(self) -> Node:
        return Node(
            id=f"{self._name[:60]}-{os.getpid()}-{uuid4().hex[:8]}",
            host=self._name,
            pid=os.getpid(),
            lease=self._config.lease,
            ticks=self._config.ticks,
            slots=self._config.slots,
            queues=tuple(sorted(self._config.queues)) if self._config.slots else (),
            release=self._release,
            declares={item.schedule_id: item.hash for item in self._declares()},
            facts={
                "tickonce": _version("tickonce"),
                "python": platform.python_version(),
                "tzdata": _tzdata_version(),
                "calendars": f"{_version('holidays')}, {_version('chinesecalendar')}",
                "parent": os.getppid(),
                **({"workers_of": server} if (server := forks.workers_of()) is not None else {}),
            },
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _tzdata_version() -> str:
    """Return the version of the zone data in use: the system's if it says one, else the package's."""
    for folder in TZPATH:
        try:
            first = (Path(folder) / "tzdata.zi").read_text(encoding="utf-8", errors="replace")[:40]
        except OSError:
            continue
        return first.partition("# version ")[2].partition("\n")[0] or "unknown"
    return _version("tzdata")
