"""What is searched: the rules that hold, the size of the world, the faults in it; and the values a state is made of.

Time passes in ticks. Fires are numbered by the tick at which they are scheduled, from 1 on; a run by hand has a number
above ``BY_HAND``. Everything is an integer or a tuple, so that states are hashed fast, and alike each time.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# States of a schedule, of a run, of a process.
ACTIVE, PAUSED, ENDED, REMOVED = 1, 2, 3, 4
PENDING, RUNNING, DONE = 1, 2, 3
WAITS, UP, CRASHED = 0, 1, 2
#: Runs by hand are numbered from here.
BY_HAND: Final = 100
NOBODY: Final = -1
PERSON: Final = 90
#: What an attempt said of its end, while nobody has answered.
NOTHING, SUCCESS, FAILURE = 0, 1, 2


class Rules(NamedTuple):
    """One field a rule; False is the protocol without it."""

    token: bool = True  #: a key of a run is there once
    version: bool = True  #: a launch applies only to the version that was read
    fresh_versions: bool = True  #: no version is used twice for an id, across removal and re-creation either
    count_inside: bool = True  #: the launch itself counts what is open
    row_lock: bool = True  #: from the count to the writing, nobody else opens a run of the schedule
    fence: bool = True  #: an outcome is taken only from the node and attempt that hold the run
    attempt_rises: bool = True  #: each claim raises the attempt
    door: bool = True  #: every attempt that ever came in is remembered, also after its end
    asks: bool = True  #: a node asks what it holds and starts what it does not know
    standing: bool = True  #: recovery looks for runs of the dead at any time, not once at the declaration
    alive_check: bool = True  #: launch and claim ask whether the caller is alive
    own_lease: bool = True  #: a node that could not beat starts nothing more
    witness: bool = True  #: only who has beaten for a whole lease by a steady clock declares others dead
    judges_afresh: bool = True  #: that the clock was steady is asked when judging, not only at the last beat
    settles: bool = True  #: an edit first deals with what is due
    watermark: bool = True  #: a launch writes down how far it has dealt with fires
    catch_up: bool = True  #: a plan deals with every fire that was missed, not with the newest alone
    tombstone: bool = True  #: what was removed leaves a mark
    clock_guard: bool = True  #: no launch while the store's clock has moved against the node's own
    remembered: bool = True  #: a node remembers the watermarks it moved, against a store that went back in time
    tells_lost: bool = True  #: a watermark that is written back leaves a record of the fires passed that have no run
    offers_again: bool = True  #: a node offers outcomes again that the store has lost


class Faults(NamedTuple):
    """How often each thing may happen that is no node's ordinary work."""

    crash: int = 0
    lose: int = 0  #: a reply is lost after the step has happened
    fail: int = 0  #: a job fails and is to be retried
    edit: int = 0
    pause: int = 0
    remove: int = 0
    prune: int = 0  #: a tombstone is pruned
    run_now: int = 0
    declare: int = 0  #: a node starts whose code declares the schedule
    outage: int = 0
    jump: int = 0  #: the store's clock is set
    rewind: int = 0  #: the store loses the tail of its commits
    again: int = 0  #: a person repeats a run by hand under the same key


class World(NamedTuple):
    """One configuration.

    Attributes:
        nodes: Processes that run from the beginning; *spares* may start later.
        fires: The schedule fires at 1, 2, ... up to this tick.
        end: The clock stops here.
        lease: In ticks; 0: leases are not modelled, nobody is ever taken for dead.
        room: Runs that may be open at once; 0 is any number.
        latest: Misfire policy ``latest`` without grace, rather than ``all``.
        slots: Whether launches claim what they insert: (True,), (False,) or both.
        split: Launches, claims and runs by hand are two steps: what is asked, and what is written.
        beliefs: Nodes know from their own beats whether their lease holds; otherwise they always believe it.
        watches: Nodes judge others by what they have seen; otherwise any node may, once a lease is over.
        memory: The store may go back in time.
        unjudged: Promises that are not made here.
        outage: How many ticks an outage takes.
        jump: How far the store's clock is set forward.
    """

    nodes: int = 2
    spares: int = 0
    fires: int = 2
    end: int = 2
    lease: int = 0
    room: int = 0
    latest: bool = False
    slots: tuple[bool, ...] = (True, False)
    split: bool = False
    beliefs: bool = False
    watches: bool = False
    memory: bool = False
    unjudged: tuple[str, ...] = ()
    outage: int = 2
    jump: int = 2
    faults: Faults = Faults()
    rules: Rules = Rules()


class Schedule(NamedTuple):
    """The schedule's row. *kind* tells one definition from the next."""

    state: int
    version: int
    watermark: int
    kind: int


class Run(NamedTuple):
    """A run. *execution* counts the claims, whatever the attempt says."""

    key: int
    state: int = PENDING
    node: int = NOBODY
    inc: int = 0
    attempt: int = 0
    execution: int = 0


class Row(NamedTuple):
    """A process's row of its present incarnation; earlier ones are dead."""

    alive: bool
    until: int


class Idle(NamedTuple):
    """A thread of a node that waits for nothing."""

    tag: int


class Plan(NamedTuple):
    """What the ticker has planned."""

    tag: int
    version: int
    kind: int
    fires: tuple[int, ...]
    skips: tuple[int, ...]
    watermark: int
    open: int


class Asked(NamedTuple):
    """A statement between what it asked and what it writes: a launch with its *plan*, or a claim of *key*."""

    tag: int
    plan: Plan | None
    key: int
    inc: int
    open: int


class Item(NamedTuple):
    """An attempt that the store gave to a node."""

    key: int
    attempt: int
    execution: int


class Reply(NamedTuple):
    """An answer on its way to a thread of a node."""

    tag: int
    inc: int
    items: tuple[Item, ...]
    watermark: int


class Doing(NamedTuple):
    """An attempt that was started and whose outcome has not been answered; *said* is what was offered already."""

    key: int
    attempt: int
    execution: int
    inc: int
    said: int


PLAN, ASKED, REPLY = 0, 1, 2
IDLE = Idle(-1)


class Node(NamedTuple):
    """What a process knows.

    Attributes:
        tick: What the ticker is at: nothing, a plan, a statement, a reply.
        work: The same of the work thread.
        door: (key, attempt) of all that ever came in.
        doing: What was started and not acknowledged.
        waiting: What came in and may not be started yet.
        ended: What was acknowledged, where the store may forget it.
        beaten: When its last good beat was sent.
        watch: (when it began, the clock's offset then), or nothing.
        moved: The watermark that it remembers.
        base: The offset of the store's clock that it believes.
    """

    up: int
    inc: int = 0
    tick: Plan | Asked | Reply | Idle = IDLE
    work: Asked | Reply | Idle = IDLE
    door: tuple[tuple[int, int], ...] = ()
    doing: tuple[Doing, ...] = ()
    waiting: tuple[Item, ...] = ()
    ended: tuple[Doing, ...] = ()
    beaten: int = 0
    watch: tuple[int, ...] = ()
    moved: int = -1
    base: int = 0


class State(NamedTuple):
    """All of it. The last fields are not in any process or store: they are what the promises are judged by.

    Attributes:
        time: True time. The store's clock is *time* plus *offset*.
        lock: Who holds the schedule's row between two halves of a statement.
        asked: A run by hand between its halves: (key, open runs), or nothing.
        backup: What the store will know after it has gone back.
        births: How often the schedule was made.
        left: The faults that may still happen.
        launched, started, owed: Fires and executions, as seen from outside; *owed* since their tick has come.
        idle: For each process the ticks since its last beat in which it could have beaten.
        unwanted: A person has removed the schedule and nobody has added it again.
        wrong: The promise that was broken on the way here.
    """

    time: int
    offset: int
    schedule: Schedule | None
    runs: tuple[Run, ...]
    skipped: tuple[int, ...]
    rows: tuple[Row, ...]
    nodes: tuple[Node, ...]
    lock: int
    asked: tuple[int, ...]
    backup: tuple[object, ...]
    births: int
    left: Faults
    launched: tuple[int, ...]
    started: tuple[tuple[int, int], ...]
    owed: tuple[int, ...]
    idle: tuple[int, ...]
    unwanted: bool
    wrong: str

    @property
    def instant(self) -> int:
        """The store's clock."""
        return self.time + self.offset


#: What happened: a verb and what it is about.
Step = tuple[object, ...]


def beginning(world: World) -> State:
    """Return the state in which the schedule was just made and nothing is due."""
    count = world.nodes + world.spares
    watch = (0, 0) if world.watches else ()
    up = [place < world.nodes for place in range(count)]
    return State(
        time=0,
        offset=0,
        schedule=Schedule(ACTIVE, 1, 0, 0) if world.fires else Schedule(ENDED, 1, 0, 0),
        runs=(),
        skipped=(),
        rows=tuple(Row(each, world.lease if each else 0) for each in up),
        nodes=tuple(Node(UP, watch=watch) if each else Node(WAITS) for each in up),
        lock=NOBODY,
        asked=(),
        backup=(),
        births=1,
        left=world.faults,
        launched=(),
        started=(),
        owed=(),
        idle=(0,) * count,
        unwanted=False,
        wrong="",
    )
