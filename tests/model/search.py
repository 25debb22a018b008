"""The search: breadth first through all states, so that the trace it shows is a shortest one."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from tests.model.fleet import steps
from tests.model.promises import Rest
from tests.model.world import NOBODY, PERSON, State, Step, World, beginning


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search came to.

    Attributes:
        broken: The promise that is broken, or nothing.
        trace: The steps that lead there.
        survivor: The node that cannot bring it to an end alone, where that is what is broken.
        complete: Whether all states were seen.
    """

    broken: str
    trace: tuple[Step, ...]
    survivor: int
    states: int
    depth: int
    seconds: float
    complete: bool


def search(world: World, *, limit: int = 10_000_000, rest: bool = True, alike: bool = True) -> Found:
    """Explore *world*; stop at the first promise that is broken.

    Args:
        limit: States at most.
        rest: Whether each state is also followed to where it comes to rest.
        alike: Whether states that differ in the names of processes only count as one.
    """
    began = time.perf_counter()
    first = beginning(world)
    parents: dict[State, State | None] = {first: None}
    depths = {first: 0}
    ends = Rest(world)
    queue = deque([first])
    depth = 0

    def found(at: State, broken: str, survivor: int = NOBODY, *, complete: bool = True) -> Found:
        trace = _trace(world, parents, at, alike=alike) if broken else ()
        seconds = time.perf_counter() - began
        return Found(
            broken=broken,
            trace=trace,
            survivor=survivor,
            states=len(parents),
            depth=depth,
            seconds=seconds,
            complete=complete,
        )

    while queue:
        state = queue.popleft()
        depth = depths.pop(state)
        if rest:
            broken, survivor = ends.broken(state)
            if broken:
                return found(state, broken, survivor)
        for _, following in steps(world, state):
            after = ordered(following) if alike else following
            if after in parents:
                continue
            parents[after] = state
            if after.wrong:
                return found(after, after.wrong)
            depths[after] = depth + 1
            queue.append(after)
        if len(parents) > limit:
            return found(state, "", complete=False)
    return found(first, "")


def ordered(state: State) -> State:
    """Return the state with its processes named in an order of what they are: alike states become one."""
    count = len(state.nodes)
    views = sorted((_view(state, place), place) for place in range(count))
    order = [place for _, place in views]
    if order == list(range(count)):
        return state
    name = {old: new for new, old in enumerate(order)}
    name[NOBODY], name[PERSON] = NOBODY, PERSON
    return state._replace(
        runs=tuple(run._replace(node=name[run.node]) for run in state.runs),
        rows=tuple(state.rows[old] for old in order),
        nodes=tuple(state.nodes[old] for old in order),
        idle=tuple(state.idle[old] for old in order),
        lock=name[state.lock],
    )


def _view(state: State, place: int) -> tuple[object, ...]:
    held = tuple((run.key, run.inc) for run in state.runs if run.node == place)
    return (state.nodes[place], state.rows[place], state.idle[place], held, state.lock == place)


def _trace(world: World, parents: dict[State, State | None], last: State, *, alike: bool) -> tuple[Step, ...]:
    """Walk the way again from its beginning, so that a process keeps its name on it."""
    way: list[State] = []
    at: State | None = last
    while at is not None:
        way.append(at)
        at = parents[at]
    way.reverse()
    state, trace = way[0], []
    for wanted in way[1:]:
        for step, following in steps(world, state):
            if (ordered(following) if alike else following) == wanted:
                trace.append(step)
                state = following
                break
    return tuple(trace)
