"""One thread, one clock, many processes: whoever waits gives way, and chance from a seed says who goes on first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

START = datetime(2026, 11, 21, 13, 0, 0, tzinfo=UTC)
#: What a wait returns whose time was over.
TIMEOUT = object()
#: Events within one simulated second after which somebody is said to spin.
MOST_EVENTS = 20_000

_MICROSECOND = timedelta(microseconds=1)


class Spinning(Exception):
    """A loop does not let time pass."""


def micros(length: timedelta) -> int:
    """Return the length in microseconds."""
    return (length.days * 86_400 + length.seconds) * 1_000_000 + length.microseconds


class Task:
    """A thread of a process: it runs until it waits, and goes on when it is woken."""

    __slots__ = ("ended", "glet", "name", "process", "ticket")

    def __init__(self, process: Process, name: str, glet: greenlet) -> None:
        self.process, self.name, self.glet = process, name, glet
        self.ticket = 0
        self.ended = False

    def is_alive(self) -> bool:
        """Whether it has not come to its end."""
        return not self.ended

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, at most *timeout* seconds."""
        world = self.process.world
        until = None if timeout is None else world.now + int(timeout * 1e6)
        while not self.ended and (until is None or world.now < until):
            world.sleep(50_000)


class Process:
    """What is killed, stopped and continued as one: a node, or somebody who edits.

    Attributes:
        name: As in the ledger.
        dead: It is gone; none of its tasks goes on.
        stopped: Time passes and it does nothing, as after SIGSTOP.
        random: Chance that belongs to this process alone, so that others' doings do not move it.
    """

    def __init__(self, world: World, name: str, *, drift_ppm: int = 0, ahead: timedelta = timedelta(0)) -> None:
        self.world, self.name = world, name
        self.dead = self.stopped = False
        self.random = Random(f"{world.seed}:{name}")
        self.ahead = ahead
        self.tasks: list[Task] = []
        self._drift_ppm = drift_ppm
        self._slept_us = 0
        self._asleep_since: int | None = None
        self._born = world.now
        self._deferred: list[tuple[Task, int, Any]] = []
        # What both clocks say, and since when: they are read many times at one instant.
        self._read_at = -1
        self._monotonic = self._boottime = timedelta(0)

    # -- what a Clock does ---------------------------------------------------------------------

    def wall(self) -> datetime:
        """Return what this machine believes the time of day to be."""
        return START + timedelta(0, 0, self.world.now) + self.ahead

    def monotonic(self) -> timedelta:
        """Return this machine's elapsed time, which drifts, and stands still while the machine sleeps."""
        if self._read_at != self.world.now:
            self._read()
        return self._monotonic

    def boottime(self) -> timedelta | None:
        """Return this machine's elapsed time, sleep included."""
        if self._read_at != self.world.now:
            self._read()
        return self._boottime

    def _read(self) -> None:
        self._read_at = now = self.world.now
        passed = now - self._born
        self._boottime = self._monotonic = timedelta(0, 0, passed + passed * self._drift_ppm // 1_000_000)
        if self._slept_us:
            passed -= self._slept_us
            self._monotonic = timedelta(0, 0, passed + passed * self._drift_ppm // 1_000_000)

    def signal(self) -> WorldSignal:
        """Return a signal for the tasks of this process."""
        return WorldSignal(self)

    def sleep(self, duration: timedelta) -> None:
        """Let time pass."""
        self.give_up()
        self.world.sleep(self.real(duration))

    def real(self, duration: timedelta) -> int:
        """Return how long a wait of this machine really takes, in microseconds."""
        length = micros(duration)
        return length - length * self._drift_ppm // 1_000_000

    def chance(self, below: int) -> int:
        """Return a number from 0 to *below* - 1: what ``random.randrange`` returns, without its checks."""
        bits, draw = below.bit_length(), self.random.getrandbits
        number = draw(bits)
        while number >= below:
            number = draw(bits)
        return number

    # -- life ----------------------------------------------------------------------------------

    def give_up(self) -> None:
        """End here if the process is dead: nothing of it does anything more."""
        if self.dead:
            raise GreenletExit

    def kill(self) -> None:
        """End at once and without a word."""
        self.dead = True
        self._deferred.clear()

    def stop(self, *, asleep: bool = False) -> None:
        """Stand still; *asleep*, so does the monotonic clock."""
        self.stopped = True
        self._asleep_since = self.world.now if asleep else None

    def go_on(self) -> None:
        """Go on; all that should have happened meanwhile happens now."""
        self.stopped = False
        if self._asleep_since is not None:
            self._slept_us += self.world.now - self._asleep_since
            self._asleep_since = None
            self._read_at = -1
        deferred, self._deferred = self._deferred, []
        for task, ticket, value in deferred:
            self.world.wake_after(self.chance(200), task, ticket, value)

    def defer(self, task: Task, ticket: int, value: Any) -> None:
        """Keep a wake-up call for when the process goes on."""
        self._deferred.append((task, ticket, value))


class WorldSignal:
    """A wake-up call between tasks of one process."""

    __slots__ = ("_process", "_set", "_waiting")

    def __init__(self, process: Process) -> None:
        self._process = process
        self._set = False
        self._waiting: list[tuple[Task, int]] = []

    def set(self) -> None:
        """Wake whoever waits, or the next who does."""
        self._set = True
        world = self._process.world
        for task, ticket in self._waiting:
            world.wake_after(self._process.chance(50), task, ticket, True)
        self._waiting.clear()

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait until set or until *timeout* is over; return whether it was set, and clear it."""
        process = self._process
        process.give_up()
        if self._set:
            self._set = False
            return True
        length = None if timeout is None else process.real(timeout)
        if length is not None and length <= 0:
            return False
        world = process.world
        task, ticket = world.about_to_wait()
        entry = (task, ticket)
        self._waiting.append(entry)
        if world.wait(length) is TIMEOUT:
            if entry in self._waiting:
                self._waiting.remove(entry)
            return False
        found, self._set = self._set, False
        return found


class World:
    """The clock and the order of events.

    Attributes:
        now: True time since the beginning, in microseconds.
        seed: Decides about everything.
    """

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.now = 0
        self.events = 0
        self.failure: BaseException | None = None
        self._random = Random(f"{seed}:order").random
        # When, chance, a number; then whom to wake with which ticket and what, or nobody and what to do.
        self._queue: list[tuple[int, float, int, Task | None, int, Any]] = []
        self._number = 0
        self._hub = getcurrent()
        self._processes: list[Process] = []
        self._current: Task | None = None
        self._second_ends, self._events_before = 1_000_000, 0

    def process(self, name: str, **more: Any) -> Process:
        """Return a new process."""
        process = Process(self, name, **more)
        self._processes.append(process)
        return process

    # -- events --------------------------------------------------------------------------------

    def after(self, length_us: int, action: Callable[[], None]) -> None:
        """Do something later; what falls on one instant comes in an order of chance."""
        self._number += 1
        heappush(self._queue, (self.now + length_us, self._random(), self._number, None, 0, action))

    def wake_after(self, length_us: int, task: Task, ticket: int, value: Any) -> None:
        """Let a task go on later, if it then still waits with that ticket."""
        self._number += 1
        heappush(self._queue, (self.now + length_us, self._random(), self._number, task, ticket, value))

    def run(self, until_us: int) -> None:
        """Let time pass until then.

        Raises:
            Spinning: Somebody does not let it.
        """
        queue = self._queue
        while queue and queue[0][0] <= until_us:
            at, _, _, task, ticket, value = heappop(queue)
            self.now = at
            self.events += 1
            if at >= self._second_ends:
                self._second_ends, self._events_before = at - at % 1_000_000 + 1_000_000, self.events
            elif self.events - self._events_before > MOST_EVENTS:
                raise Spinning(f"more than {MOST_EVENTS} events within a second")
            if task is None:
                value()
            elif task.ticket != ticket:  # it has gone on already: most waits do not last until their time is over
                continue
            else:
                self._wake(task, ticket, value)
            if self.failure is not None:
                raise self.failure
        self.now = max(self.now, until_us)

    # -- tasks ---------------------------------------------------------------------------------

    def spawn(self, process: Process, target: Callable[[], object], name: str) -> Task:
        """Begin a task of *process*."""

        def body(_: object = None) -> None:
            try:
                process.give_up()
                target()
            except GreenletExit:
                pass
            except BaseException as error:  # noqa: BLE001  # told by the loop of events, with the seed
                if not process.dead:
                    self.failure = error
            finally:
                task.ended = True

        task = Task(process, name, greenlet(body, self._hub))
        process.tasks.append(task)
        self.wake_after(process.chance(100), task, 0, None)
        return task

    def current(self) -> Task:
        """Return the task that runs."""
        if self._current is None:
            raise RuntimeError("only a task of a process may wait")
        return self._current

    def about_to_wait(self) -> tuple[Task, int]:
        """Return the running task, and the ticket by which its next wait can be ended."""
        task = self._current or self.current()
        task.ticket += 1
        return task, task.ticket

    def wait(self, timeout_us: int | None) -> Any:
        """Give way until woken with the ticket, or until the time is over; return what one was woken with."""
        task = self._current or self.current()
        ticket = task.ticket
        if timeout_us is not None:
            self.wake_after(timeout_us, task, ticket, TIMEOUT)
        value = self._hub.switch()
        if task.process.dead:
            raise GreenletExit
        return value

    def sleep(self, length_us: int) -> None:
        """Let time pass for the running task."""
        self.about_to_wait()
        self.wait(max(0, length_us))

    def _wake(self, task: Task, ticket: int, value: Any) -> None:
        process = task.process
        if task.ended or process.dead:
            return
        if process.stopped:
            process.defer(task, ticket, value)
            return
        task.ticket += 1
        self._current = task
        task.glet.switch(value)
        self._current = None

    def end(self) -> None:
        """End all that still waits: a greenlet that is merely forgotten stays in memory, with all that it knows."""
        self._queue.clear()
        for process in self._processes:
            process.kill()
            for task in process.tasks:
                self._current = task
                while not task.glet.dead:
                    task.glet.throw(GreenletExit)
        self._current = None
