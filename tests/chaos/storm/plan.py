"""The plan of a storm: which fault when, of whom, for how long. Pure: a seed gives the same plan everywhere."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from tests.chaos.storm.pace import BEAT_S, CALM_BEFORE_S, CALM_BEHIND_S, LEASE_S


class What(StrEnum):
    """Kinds of faults."""

    KILL = "kill"  # SIGKILL, and a start later on
    STOP = "stop"  # SIGSTOP for longer than the lease, then SIGCONT
    BLINK = "blink"  # the same, for less than the lease
    CUT = "cut"  # all connections of a node are closed
    LOST_REPLY = "lost reply"  # a COMMIT happens, its reply is lost; several times
    LOST_COMMIT = "lost commit"  # a COMMIT is lost; several times
    LATENCY = "latency"
    HALF_OPEN = "half-open"  # connections stay open, and nothing passes
    PARTITION = "partition"  # connections are closed and refused
    JUMP = "clock jump"  # a node's wall clock is set
    DRIFT = "clock drift"  # a node's wall clock runs too fast or too slow
    SERVER_KILL = "server kill"  # kill -9 of the server, and a start later on
    SERVER_FREEZE = "server freeze"
    LOCK = "locked file"  # another program holds the lock of the file
    FULL = "disk full"
    ROLL = "rolling restart"  # every node ends in order and comes back with the next release


NODE: Final = (What.KILL, What.STOP, What.BLINK)
NETWORK: Final = (What.CUT, What.LOST_REPLY, What.LOST_COMMIT, What.LATENCY, What.HALF_OPEN, What.PARTITION)
COMMITS: Final = (What.LOST_REPLY, What.LOST_COMMIT)
CLOCKS: Final = (What.JUMP, What.DRIFT)
SERVER: Final = (What.SERVER_KILL, What.SERVER_FREEZE)
FILE: Final = (What.LOCK, What.FULL)

#: How long each kind lasts, in seconds; what is not here is over at once.
_LENGTHS: Final = {
    What.KILL: (0.5, 8.0),  # until it is started again
    What.STOP: (LEASE_S + BEAT_S, 2.5 * LEASE_S),
    What.BLINK: (0.3, 2.0),
    What.LATENCY: (2.0, 10.0),
    What.HALF_OPEN: (1.0, 2 * LEASE_S),
    What.PARTITION: (1.0, 2 * LEASE_S),
    What.SERVER_KILL: (0.2, 8.0),
    What.SERVER_FREEZE: (1.0, 9.0),
    What.LOCK: (1.0, 8.0),
    What.FULL: (2.0, 8.0),
}
#: Of these, how long a node may take to be back in its place.
_START_S: Final = 3.0
_ROLL_A_NODE_S: Final = 3.5
_STORE_WIDE: Final = frozenset((*SERVER, *FILE))
#: Takes the time at which it begins and returns the one at which the next may.
_Scene: TypeAlias = Callable[[float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault as planned.

    Attributes:
        at_s: When, in seconds since the storm began.
        node: Whom it meets; None is the store, or everybody.
        length_s: How long it lasts.
        size: What else there is to say: seconds of latency, seconds that a clock jumps, its rate, how many commits.
        alone: Nothing else happens around it, so that times after it are measured.
    """

    at_s: float
    what: What
    node: int | None = None
    length_s: float = 0.0
    size: float = 0.0
    alone: bool = False

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.at_s + self.length_s

    @property
    def skews(self) -> bool:
        """Whether a wall clock is wrong by a second or more, seconds later."""
        return self.what is What.JUMP and abs(self.size) >= 1

    def __str__(self) -> str:
        whom = "" if self.node is None else f" node {self.node}"
        lasts = f" for {self.length_s:.1f} s" if self.length_s else ""
        size = f" ({self.size:+.3g})" if self.size else ""
        return f"{self.at_s:6.1f} s  {self.what}{whom}{lasts}{size}{'  (alone)' if self.alone else ''}"


def plan_of(seed: int, seconds: float, nodes: int, kinds: Iterable[What]) -> list[Fault]:
    """Return the faults of a storm in order of time.

    Kills that stand alone, gusts of several faults at once, and rolling restarts follow each other. Every kind comes
    once before any comes twice. Two nodes at least are never harmed at a time.

    Args:
        seed: Decides all.
        seconds: When all faults are over, but for a node that is not back yet.
        nodes: How many there are, at least 3.
        kinds: Those that the store and its surroundings allow.
    """
    return sorted(_Maker(seed, seconds, nodes, tuple(kinds)).make(), key=lambda fault: fault.at_s)


@dataclass(slots=True)
class _Maker:
    seed: int
    seconds: float
    nodes: int
    kinds: tuple[What, ...]
    _random: random.Random = field(init=False)
    _bag: list[What] = field(default_factory=list)
    _found: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.nodes < 3:
            raise ValueError(f"a storm needs at least 3 nodes, got {self.nodes}")
        # One stream a seed and surroundings: the plan of one store says nothing about that of another.
        self._random = random.Random(f"{self.seed} {self.seconds:g} {self.nodes} {','.join(self.kinds)}")

    def make(self) -> list[Fault]:
        at = 0.0
        for scene in self._scenes():
            if at > self.seconds:
                break
            at = scene(at)
        return [fault for fault in self._found if fault.at_s < self.seconds]

    def _scenes(self) -> Iterator[_Scene]:
        yield self._lone_kill
        yield self._gust  # a short storm has these two
        while True:
            scenes: list[_Scene] = [self._lone_kill, self._gust, self._gust]
            if What.ROLL in self.kinds:
                scenes.append(self._roll)
            self._random.shuffle(scenes)
            yield from scenes

    def _lone_kill(self, at: float) -> float:
        at += CALM_BEFORE_S + self._random.uniform(0, 1)
        length = round(self._random.uniform(*_LENGTHS[What.KILL]), 2)
        node = self._random.randrange(self.nodes)
        self._found.append(Fault(at_s=at, what=What.KILL, node=node, length_s=length, alone=True))
        return at + CALM_BEHIND_S + 0.5

    def _gust(self, at: float) -> float:
        long = min(self._random.uniform(6, 14), self.seconds - at)
        end = at
        for moment in sorted(self._random.uniform(0, long) for _ in range(self._random.randint(4, 9))):
            fault = self._draw(at + moment)
            if fault is not None:
                self._found.append(fault)
                end = max(end, fault.end_s)
        return max(end, at + long)

    def _roll(self, at: float) -> float:
        length = self.nodes * _ROLL_A_NODE_S
        self._found.append(Fault(at_s=at, what=What.ROLL, length_s=length))
        if self._random.random() < 0.7:  # something goes wrong during the deployment
            fault = self._draw(at + self._random.uniform(0, length))
            if fault is not None:
                self._found.append(fault)
                return max(at + length, fault.end_s)
        return at + length

    def _draw(self, at: float) -> Fault | None:
        """Return a fault of the next kind in the bag, if there is room for it now."""
        if not self._bag:
            self._bag = [what for what in self.kinds if what is not What.ROLL]
            self._random.shuffle(self._bag)
        for number, what in enumerate(self._bag):
            length = self._length(what, self.seconds - at)
            if length is None:
                continue
            if what in _STORE_WIDE:
                if any(each.what in _STORE_WIDE and each.end_s + _START_S > at for each in self._found):
                    continue
                del self._bag[number]
                return Fault(at_s=at, what=what, length_s=length)
            node = self._free(at, what)
            if node is not None:
                del self._bag[number]
                return Fault(at_s=at, what=what, node=node, length_s=length, size=self._size(what))
        return None

    def _free(self, at: float, what: What) -> int | None:
        """Return a node that nothing is done to now; None when too few would be left."""
        busy = {
            each.node
            for each in self._found
            if each.node is not None and each.what not in CLOCKS and each.end_s + _START_S > at
        }
        if what in CLOCKS:
            return self._random.randrange(self.nodes)
        free = [node for node in range(self.nodes) if node not in busy]
        return self._random.choice(free) if len(free) > 2 else None

    def _length(self, what: What, left: float) -> float | None:
        """Return how long a fault is to last, None if there is not even time for the shortest of its kind."""
        if what not in _LENGTHS:
            return 0.0
        shortest, longest = _LENGTHS[what]
        if shortest > left:
            return None
        return round(min(self._random.uniform(shortest, longest), left), 2)

    def _size(self, what: What) -> float:
        match what:
            case What.LOST_REPLY | What.LOST_COMMIT:
                return self._random.randint(2, 8)
            case What.LATENCY:
                return round(self._random.uniform(0.01, 0.08), 3)
            case What.JUMP:
                far = self._random.choice((5, 90, 3600, 86_400))
                return round(self._random.choice((-1, 1)) * self._random.uniform(far / 5, far), 1)
            case What.DRIFT:
                return round(self._random.choice((self._random.uniform(0.5, 0.95), self._random.uniform(1.05, 2))), 3)
            case _:
                return 0.0
