"""The configurations: each as small as can be while it still shows its rules, and larger ones for a longer search."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tests.model.world import Faults, Rules, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A world in which every promise holds, and what breaks in it without a rule.

    Attributes:
        shows: Without the rules named (joined by "+"), the promise that is broken and the steps that takes.
        rest: Whether states are followed to where they come to rest.
    """

    about: str
    world: World
    shows: dict[str, tuple[str, int]] = field(default_factory=dict)
    rest: bool = True


def without(world: World, names: str) -> World:
    """Return the world without some rules, joined by "+"."""
    return world._replace(rules=world.rules._replace(**dict.fromkeys(names.split("+"), False)))


_BELIEFS = World(fires=0, lease=2, beliefs=True, watches=True)

CASES: Final[dict[str, Case]] = {
    "edits": Case(
        about="two nodes, two fires, an edit and a pause at any moment",
        world=World(faults=Faults(pause=1, edit=1)),
        shows={
            "version": ("once", 4),
            "settles": ("forgotten", 2),
            "watermark": ("once", 4),
            "catch_up": ("forgotten", 2),
        },
    ),
    "latest": Case(
        about="the same with misfire latest",
        world=World(latest=True, faults=Faults(pause=1, edit=1)),
    ),
    "keys": Case(
        about="a run by hand, asked for again under its key",
        world=World(nodes=1, fires=1, end=1, faults=Faults(run_now=1, again=1)),
        shows={"token": ("once", 2)},
    ),
    "re-created": Case(
        about="removed, its tombstone pruned or not, made again",
        world=World(nodes=1, faults=Faults(remove=1, prune=1)),
        shows={"fresh_versions": ("obeyed", 5)},
    ),
    "declared": Case(
        about="removed by a person, declared by code that starts",
        world=World(nodes=1, fires=1, end=1, faults=Faults(remove=1, declare=1)),
        shows={"tombstone": ("removed", 2)},
    ),
    "overlap": Case(
        about="one open run at most, a run by hand beside the fires",
        world=World(room=1, faults=Faults(run_now=1)),
        shows={"count_inside": ("told", 7)},
    ),
    "overlap, split": Case(
        about="the same, each launch, claim and run by hand in two steps",
        world=World(fires=1, end=1, room=1, split=True, faults=Faults(run_now=1)),
        shows={"row_lock": ("overlap", 6)},
    ),
    "lost replies": Case(
        about="two nodes, two fires, a lost reply to any step, a job that fails once",
        world=World(faults=Faults(lose=1, fail=1)),
        shows={"asks": ("ends", 3), "door": ("attempt", 7)},
    ),
    "attempts": Case(
        about="the same, judged on the way only: what a number that does not rise lets through",
        world=World(nodes=1, fires=1, end=1, faults=Faults(lose=1, fail=1)),
        shows={"attempt_rises": ("stale", 7)},
        rest=False,
    ),
    "deaths": Case(
        about="two nodes that are taken for dead, paused at any moment for any time",
        world=World(fires=1, end=1, lease=1),
        shows={"fence": ("stale", 8), "alive_check": ("dead", 4)},
    ),
    "deaths, by either": Case(
        about="the same, with atomic steps: of the question who lives and the standing recovery one is enough",
        world=World(fires=1, end=1, lease=1, unjudged=("dead",), rules=Rules(standing=False)),
        shows={"alive_check": ("ends", 4)},
    ),
    "deaths, split": Case(
        about="the same with launches and claims in two steps: the question alone does not close the gap",
        world=World(fires=1, end=1, lease=1, split=True),
        shows={"standing": ("ends", 5), "alive_check": ("dead", 5)},
    ),
    "crashes": Case(
        about="one node, another that may start later, a crash, a lost reply",
        world=World(nodes=1, spares=1, fires=1, end=1, lease=1, faults=Faults(crash=1, lose=1)),
        shows={"asks": ("ends", 3)},
    ),
    "cut off": Case(
        about="nodes that know from their own beats whether they may start work",
        world=World(fires=1, end=2, lease=1, beliefs=True),
        shows={"own_lease": ("late", 6)},
    ),
    "outage": Case(
        about="an outage of a whole lease; who may declare whom dead after it",
        world=_BELIEFS._replace(end=5, faults=Faults(outage=1)),
        shows={"witness": ("living", 2)},
    ),
    "clock set": Case(
        about="the store's clock is set forward by a whole lease",
        world=_BELIEFS._replace(end=4, faults=Faults(jump=1)),
        shows={"witness": ("living", 2), "judges_afresh": ("living", 7)},
    ),
    "clock ahead": Case(
        about="the store's clock is set ahead of two fires, and back",
        world=World(faults=Faults(jump=1)),
        shows={"clock_guard": ("early", 3)},
    ),
    "went back": Case(
        about="one node, a store that loses the tail of its commits",
        world=World(nodes=1, memory=True, faults=Faults(rewind=1)),
        shows={"remembered": ("once", 8), "tells_lost": ("forgotten", 5), "offers_again": ("ends", 6)},
    ),
}

#: What breaks with every rule: the store has lost what it had confirmed, and nobody who is asked remembers it.
LIMITS: Final[dict[str, Case]] = {
    "another node launches": Case(
        about="what a node remembers, another one does not know",
        world=World(fires=1, end=1, memory=True, unjudged=("ends",), faults=Faults(rewind=1)),
        shows={"": ("once", 7)},
    ),
    "an edit settles": Case(
        about="what a node remembers, an edit does not know that comes before it is written back",
        world=World(nodes=1, fires=1, end=1, memory=True, faults=Faults(rewind=1, edit=1)),
        shows={"": ("once", 6)},
    ),
}

#: Minutes rather than seconds.
LARGER: Final[dict[str, World]] = {
    "edits, lost replies": World(faults=Faults(edit=1, pause=1, lose=1)),
    "edits, runs by hand, removal": World(fires=1, end=2, faults=Faults(edit=1, remove=1, run_now=1, again=1)),
    "three fires": World(fires=3, end=3, faults=Faults(edit=1)),
    "three nodes, two fires": World(nodes=3, faults=Faults(lose=1)),
    "overlap, edits, lost replies": World(room=1, faults=Faults(edit=1, lose=1, run_now=1)),
    "deaths, two leases": World(fires=1, end=2, lease=1),
    "deaths, two fires": World(fires=2, end=2, lease=2, slots=(True,)),
    "deaths, split, two leases": World(fires=1, end=2, lease=1, split=True),
    "deaths, three nodes": World(nodes=3, fires=1, end=1, lease=1),
    "deaths, edits, crashes, lost replies": World(
        fires=1, end=1, lease=1, faults=Faults(crash=1, lose=1, edit=1, pause=1)
    ),
    "deaths, overlap, runs by hand": World(fires=1, end=1, lease=1, room=1, faults=Faults(run_now=1, lose=1)),
    "crashes, lost replies, failures": World(fires=1, end=1, lease=1, faults=Faults(crash=1, lose=1, fail=1)),
    "cut off, lost replies": World(fires=1, end=2, lease=1, beliefs=True, faults=Faults(lose=1)),
    "outage, three nodes": _BELIEFS._replace(nodes=3, end=5, faults=Faults(outage=1)),
    "clock set, three nodes": _BELIEFS._replace(nodes=3, end=4, faults=Faults(jump=1)),
}
