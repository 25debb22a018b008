"""The model is bound to the code: what it says a step does, the real stores, planner and nodes do.

Each walk goes through the model by chance; every step is done on a real store as well, and after each of them both show
the same schedule, runs, skip records and nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.model import fleet
from tests.model.real import START, Real
from tests.model.world import Faults, Rules, Step, World, beginning
from tickonce.stores import open_store
from tickonce.testing.clock import FakeClock

WORLDS = {
    "edits": World(fires=5, end=6, faults=Faults(edit=2, pause=2, remove=2, run_now=2, again=2, lose=3, fail=2)),
    "overlap": World(fires=5, end=6, room=1, faults=Faults(edit=2, pause=1, run_now=3, again=1, lose=3, fail=2)),
    "latest": World(fires=6, end=7, latest=True, faults=Faults(edit=2, pause=2, remove=1, run_now=1, lose=2)),
    "deaths": World(
        spares=2,
        fires=4,
        end=8,
        lease=2,
        beliefs=True,
        watches=True,
        faults=Faults(crash=2, lose=3, fail=1, outage=1, run_now=1),
    ),
    "declared": World(nodes=1, fires=3, end=4, faults=Faults(remove=1, declare=2, run_now=1)),
    "clock": World(fires=3, end=4, jump=2, faults=Faults(jump=2)),
    "suspects": World(nodes=3, fires=3, end=4, lease=1, faults=Faults(run_now=1, lose=1)),
    "watch": World(
        nodes=3, fires=1, end=8, lease=2, beliefs=True, watches=True, jump=3, faults=Faults(jump=1, outage=1)
    ),
    "rewound": World(nodes=1, fires=4, end=5, memory=True, faults=Faults(rewind=1, fail=1)),
}
#: Verbs that the walks through a world come to.
WORK = {"time", "plan", "launch", "hear launch", "claim", "ask held", "hear work", "finish", "launch refused"}
EDITED = {"edit", "pause", "resume", "remove", "add", "run now", "run now again"}
EXPECTED = {
    "edits": {*WORK, *EDITED},
    "overlap": {*WORK, *EDITED} - {"remove", "add"},
    "latest": {*WORK, *EDITED} - {"run now again"},
    "deaths": {*WORK, "beat", "expire", "reborn", "recover", "crash", "start", "begin", "outage"},
    "suspects": {*WORK, "beat", "expire", "reborn", "recover"},
    "declared": {"launch", "declare", "remove", "run now"},
    "clock": {"launch", "claim", "jump", "jump back"},
    "watch": {"beat", "expire", "reborn", "jump", "outage"},
}
WALKS, LENGTH = 40, 80
#: Steps that are chosen less often than others, so that something else comes before time is over.
_SELDOM = {"time": 0.35, "beat": 0.3, "jump": 0.2, "outage": 0.2, "crash": 0.1, "remove": 0.2, "replica stops": 0.3}

#: Where a model without the rule is seen to say something else than the code does.
SEEN_IN = {
    "token": "edits",
    "version": "edits",
    "fresh_versions": "edits",
    "count_inside": "overlap",
    "fence": "deaths",
    "attempt_rises": "edits",
    "door": "edits",
    "standing": "deaths",
    "alive_check": "suspects",
    "own_lease": "deaths",
    "witness": "watch",
    "judges_afresh": "watch",
    "settles": "edits",
    "watermark": "edits",
    "catch_up": "edits",
    "tombstone": "edits",
    "clock_guard": "clock",
    "remembered": "rewound",
    "tells_lost": "rewound",
    "offers_again": "rewound",
}


@pytest.fixture(params=["memory", "sqlite"])
def address(request, tmp_path: Path) -> Callable[[int], str]:
    """Return what gives each walk a store of its own."""
    if request.param == "memory":
        return _memory
    return lambda walk: f"sqlite:///{tmp_path}/{walk}.db?sync=normal"


def _memory(_: int) -> str:
    return "memory:"


@pytest.mark.parametrize("name", [name for name in WORLDS if name != "rewound"])
def test_a_walk_through_the_model_goes_the_same_way_on_a_real_store(name, address):
    walks = WALKS if address is _memory else WALKS // 6
    steps = _walks(WORLDS[name], address, walks)
    assert steps.keys() >= EXPECTED[name], "the walks hardly go anywhere"
    assert steps.total() > 12 * walks


def test_a_walk_goes_the_same_way_on_a_store_that_goes_back_in_time():
    assert _walks(WORLDS["rewound"], _memory, WALKS).keys() >= {"rewind", "raise", "offer again", "finish"}


@pytest.mark.parametrize("rule", SEEN_IN)
def test_a_model_without_a_rule_is_seen_to_differ_from_the_code(rule):
    """Else the walks would prove nothing about that rule."""
    world = WORLDS[SEEN_IN[rule]]
    with pytest.raises(AssertionError):
        _walks(world._replace(rules=Rules(**{rule: False})), _memory, 10 * WALKS, judged=False)


def _walks(world: World, address: Callable[[int], str], walks: int, *, judged: bool = True) -> Counter[object]:
    """Walk so often; return how often each verb was done."""
    steps: Counter[object] = Counter()
    for walk in range(walks):
        clock = FakeClock(START)
        store = open_store(address(walk), clock=clock)
        try:
            steps.update(_walk(world, Real(world, store, clock), Random(walk), judged=judged))
        finally:
            store.close()
    return steps


def _walk(world: World, real: Real, chance: Random, *, judged: bool) -> list[object]:
    state, way = beginning(world), list[Step]()
    assert real.agrees(state), real.picture()
    for _ in range(LENGTH):
        real.probe(state)
        ahead = list(fleet.steps(world, state))
        if not ahead:
            break
        weights = [_SELDOM.get(str(step[0]), 1.0) for step, _ in ahead]
        ((step, expected),) = chance.choices(ahead, weights)
        way.append(step)
        real.do(step, state)
        # A claim takes whichever run it likes: the model has a step for each.
        fits = [after for each, after in ahead if _alike(each, step) and real.agrees(after)]
        assert fits, f"after {way}\nreal:  {real.picture()}\nmodel: {expected}"
        state = fits[0]
        assert not (judged and state.wrong), f"{state.wrong} after {way}"
    return [step[0] for step in way]


def _alike(one: Step, other: Step) -> bool:
    if one[0] == other[0] == "claim":
        return (one[1], one[-1] == "lost") == (other[1], other[-1] == "lost")
    return one == other
