"""The nodes of a storm: each has a place, and in it one process after the other."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.crew import Crew
from tests.chaos.member import NO_STORE
from tests.chaos.storm.pace import SETTINGS
from tests.chaos.storm.plan import What
from tests.chaos.storm.site import Site
from tests.servers.faketime import clocked

#: What code of each release declares: odd and even ones differ, so that every deployment changes it.
DECLARED: Mapping[bool, Mapping[str, str]] = {
    True: {"declared-0": "every 2s", "declared-1": "every 3s"},
    False: {"declared-0": "every 3s", "declared-1": "every 1s"},
}
_LEAVES_WITHIN_S = 25.0
#: Between two looks of the supervisor.
_LOOK_S = 0.5


@dataclass(slots=True)
class Place:
    """A place for a node.

    Attributes:
        process: The one that is there, dead or alive.
        release: Of the code that the next process runs.
        log: Number of the process in the crew.
        held: Nobody but whoever ended the process starts the next one.
    """

    number: int
    clock: Path
    process: subprocess.Popen[bytes]
    release: int = 1
    log: int = 0
    held: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def send(self, what: signal.Signals) -> int | None:
        """Send a signal; return the id of the process that got it, None if there was none."""
        with self.lock:
            if not self.alive:
                return None
            self.process.send_signal(what)
            return self.process.pid


class StormFleet:
    """Node processes, and what can be done to them from outside.

    Args:
        crew: Starts and ends the processes.
        site: Says which way each reaches the store.
        nodes: How many places there are.

    Attributes:
        places: The places, by number.
        place_of: Number of the place by process, also of processes that are gone.
        died: Processes that ended by themselves, as text: there must be none.
        in_vain: Processes that ended before they had joined, since they found no store.
    """

    def __init__(self, crew: Crew, site: Site, nodes: int) -> None:
        self._crew, self._site = crew, site
        self._clocks = What.JUMP in site.kinds
        self.places: list[Place] = []
        self.place_of: dict[str, int] = {}
        self.died: list[str] = []
        self.in_vain: list[str] = []
        self._stop = threading.Event()
        self._supervisor = threading.Thread(target=self._supervised, name="supervisor", daemon=True)
        for number in range(nodes):
            clock = crew.folder / f"clock-{number}"
            clock.write_text("+0\n")
            self.places.append(Place(number, clock, self._spawn(number, clock, 1)))
            self.places[-1].log = len(crew.members) - 1

    def ensure(self, number: int) -> None:
        """Start the node of a place, unless it runs."""
        place = self.places[number]
        with place.lock:
            place.held = False
            if not place.alive:
                place.process = self._spawn(number, place.clock, place.release)
                place.log = len(self._crew.members) - 1

    def supervise(self) -> None:
        """Do what a supervisor does from now on: start again what ended by itself, and write it down."""
        self._supervisor.start()

    def finish(self) -> None:
        """Let everybody run, and supervise no longer."""
        self._stop.set()
        self._supervisor.join()
        for place in self.places:
            place.send(signal.SIGCONT)
            self.ensure(place.number)

    def _supervised(self) -> None:
        while not self._stop.wait(_LOOK_S):
            for place in self.places:
                with place.lock:
                    if place.held or place.alive:
                        continue
                    told = f"node {place.number} (process {place.process.pid}) ended with {place.process.returncode}"
                    # One that finds no store when it starts says so and ends; one that has joined never does.
                    vain = place.process.returncode == NO_STORE and not self.joined(place.number)
                    (self.in_vain if vain else self.died).append(told)
                    self.ensure(place.number)

    def joined(self, number: int) -> bool:
        """Whether the process of a place has said that it joined."""
        text = self._crew.log(self.places[number].log).read_text(errors="replace")
        return " joined: " in text

    def set_clock(self, number: int, text: str) -> None:
        """Set the wall clock of a place's processes, as libfaketime wants it said."""
        clock = self.places[number].clock
        new = clock.with_suffix(".new")
        new.write_text(text + "\n")
        new.replace(clock)  # never half a file

    def replace(self, number: int, release: int) -> bool:
        """Let a node leave in order and start the next release in its place; return whether it left in order."""
        place = self.places[number]
        place.release = release
        with place.lock:
            place.held = True
            place.send(signal.SIGTERM)
        clean = True
        try:
            clean = place.process.wait(_LEAVES_WITHIN_S) == 0
        except subprocess.TimeoutExpired:
            place.process.kill()
            place.process.wait()
            clean = False
        self.ensure(number)
        return clean

    def wait_joined(self, number: int, *, patience: float = 20.0) -> None:
        """Wait until a node has joined, or is gone, or for as long as that."""
        end = time.monotonic() + patience
        while self.places[number].alive and not self.joined(number) and time.monotonic() < end:
            time.sleep(0.05)

    def _spawn(self, number: int, clock: Path, release: int) -> subprocess.Popen[bytes]:
        env = {} if not self._clocks else clocked(clock)
        code = {"release": str(release), "declares": DECLARED[release % 2 == 1], "quiet": True}
        process = self._crew.spawn(store=self._site.url(number), env=env, **code, **SETTINGS)
        self.place_of[str(process.pid)] = number
        return process
