"""What must hold: on the way, and where a calm continuation with one living node ends."""

from __future__ import annotations

from typing import Final

from tests.model import fleet, store
from tests.model.world import (
    CRASHED,
    DONE,
    IDLE,
    NOBODY,
    NOTHING,
    PAUSED,
    PERSON,
    SUCCESS,
    UP,
    Faults,
    Node,
    Row,
    State,
    World,
)

PROMISES: Final = {
    "once": "a fire is launched once, and not at all when it has a skip record",
    "early": "nothing is launched before its scheduled time",
    "obeyed": "a plan is applied only to the definition that it was made from",
    "told": "a record that says overlap is written only if a run was open",
    "overlap": "never more open runs than are allowed",
    "attempt": "no attempt starts twice",
    "stale": "a stale attempt writes nothing",
    "late": "nothing starts that the store has given to somebody else",
    "dead": "who was declared dead is given nothing",
    "living": "nothing is taken from a node that beats whenever it can",
    "removed": "what a person has removed does not come back by itself",
    "ends": "every run ends, as long as one node lives",
    "forgotten": "every fire has a run or a skip record, as long as one node lives",
    "endless": "the fleet comes to rest",
}

#: Steps after which a calm continuation is called endless.
_PATIENCE: Final = 200


def judge(world: World, state: State) -> str:
    """Return the promise that is broken where everything is at rest, or nothing."""
    if "ends" not in world.unjudged and any(run.state != DONE for run in state.runs):
        return "ends"
    there = {*state.skipped, *(run.key for run in state.runs)}
    return "" if "forgotten" in world.unjudged or there.issuperset(state.owed) else "forgotten"


def survivors(world: World, state: State) -> list[int]:
    """Return the processes of which any one alone must bring everything to its end; a new one if none is left.

    Without leases nobody can be found dead: there all of them go on.
    """
    if not world.lease:
        return [NOBODY]
    up = [place for place, node in enumerate(state.nodes) if node.up == UP]
    return up or [len(state.nodes)]


def alone(world: World, state: State, survivor: int) -> State:
    """Return the state as it goes on when nothing more happens but what *survivor* does: all others stop for ever."""
    if survivor == len(state.nodes):
        state = state._replace(
            nodes=(*state.nodes, Node(UP, beaten=state.time, watch=(state.time, 0) if world.watches else ())),
            rows=(*state.rows, Row(True, state.instant + world.lease)),
            idle=(*state.idle, 0),
        )
    if state.lock == PERSON or survivor not in (NOBODY, state.lock):
        state = state._replace(lock=NOBODY)  # a statement whose caller is gone is rolled back
    for place, node in enumerate(state.nodes if survivor != NOBODY else ()):
        if place != survivor and (node.tick != IDLE or node.work != IDLE or node.waiting or node.doing):
            state = store.with_node(state, place, tick=IDLE, work=IDLE, waiting=(), doing=(), up=CRASHED)
        elif place != survivor:
            state = store.with_node(state, place, up=CRASHED)
    return state._replace(offset=0, asked=(), left=Faults(), backup=())


def calm(world: World, state: State, survivor: int) -> State | None:
    """Return the next state of a fleet in which one node works in order, or each in its turn; None at rest."""
    places = range(len(state.nodes)) if survivor == NOBODY else (survivor,)
    for place in sorted(places, key=lambda place: place != state.lock):  # whom the others wait for goes first
        if state.nodes[place].up == UP:
            after = _calm(world, state, place)
            if after is not None:
                return after
    return None


def _calm(world: World, state: State, place: int) -> State | None:
    node = state.nodes[place]
    after = _tick_on(world, state, place, node) or _work_on(world, state, place, node)
    if after is not None:
        return after
    if world.lease:
        for step, following in fleet.living(world, state, place, node):
            if step[0] != "beat" or following.rows != state.rows:
                return following
    if store.due(world, state) and node.tick == IDLE and fleet.holds(world, state, node):
        found = fleet.look(world, state, place, node)
        if found is not None and found[1] != state:
            return found[1]
    for _, following in fleet.claiming(world._replace(split=False), state, place, node):
        return following
    if state.schedule is not None and state.schedule.state == PAUSED:
        return store.resume(world, state)
    others = any(row.alive for other, row in enumerate(state.rows) if other != place)
    if world.lease and (others or not fleet.holds(world, state, node)) and state.time < world.end + 4 * world.lease + 2:
        return state._replace(time=state.time + 1)
    return None


def _tick_on(world: World, state: State, place: int, node: Node) -> State | None:
    if node.tick == IDLE:
        return None
    steps = list(fleet.ticking(world._replace(slots=(True,)), state, place, node))
    return steps[0][1]


def _work_on(world: World, state: State, place: int, node: Node) -> State | None:
    for item in node.doing:
        end = item.said if item.said != NOTHING else SUCCESS
        return fleet.acknowledged(world, store.finish(world, state, place, item, end), place, item, end)
    for step, following in fleet.working(world, state, place, node):
        if step[0] not in ("claim", "ask claim"):
            return following
    for step, following in fleet.ending(world, state, place, node):
        if step[0] == "offer again":
            return following
    return None


class Rest:
    """Remembers from which states a calm continuation comes to a good end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._good: set[tuple[State, int]] = set()

    def broken(self, state: State) -> tuple[str, int]:
        """Return the promise that is broken when only one node goes on from here, and that node; or nothing."""
        for survivor in survivors(self._world, state):
            at = alone(self._world, state, survivor)
            wrong = self._follow(at, survivor)
            if wrong:
                return wrong, survivor
        return "", NOBODY

    def _follow(self, state: State, survivor: int) -> str:
        way: list[State] = []
        at: State | None = state
        while at is not None:
            if (at, survivor) in self._good:
                break
            if at.wrong:
                return ""  # the search itself comes to it, with the whole way there
            if len(way) > _PATIENCE:
                return "endless"
            way.append(at)
            at = calm(self._world, at, survivor)
        else:
            wrong = judge(self._world, way[-1])
            if wrong:
                return wrong
        self._good.update((each, survivor) for each in way)
        return ""
