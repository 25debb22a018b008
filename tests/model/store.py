"""The store's verbs in the model: each takes a state and returns the state in which its step has happened."""

from __future__ import annotations

from tests.model.world import (
    ACTIVE,
    BY_HAND,
    CRASHED,
    DONE,
    ENDED,
    FAILURE,
    NOBODY,
    PAUSED,
    PENDING,
    PLAN,
    REMOVED,
    RUNNING,
    Doing,
    Item,
    Plan,
    Row,
    Run,
    Schedule,
    State,
    World,
)

# -- looking -----------------------------------------------------------------------------------


def open_count(state: State) -> int:
    """Return how many runs are open."""
    return sum(run.state != DONE for run in state.runs)


def run_of(state: State, key: int) -> Run | None:
    """Return the run, or None."""
    return next((run for run in state.runs if run.key == key), None)


def alive(state: State, place: int, inc: int) -> bool:
    """Whether that incarnation's row is alive."""
    return inc == state.nodes[place].inc and state.rows[place].alive


def held(state: State, place: int) -> tuple[Item, ...]:
    """Return what the store says the process's present incarnation holds."""
    inc = state.nodes[place].inc
    mine = (run for run in state.runs if run.state == RUNNING and (run.node, run.inc) == (place, inc))
    return tuple(Item(run.key, run.attempt, run.execution) for run in mine)


def orphans(state: State) -> tuple[Run, ...]:
    """Return the running runs whose node is not alive."""
    return tuple(run for run in state.runs if run.state == RUNNING and not alive(state, run.node, run.inc))


def due(world: World, state: State) -> bool:
    """Whether the schedule has a fire to be dealt with."""
    row = state.schedule
    return row is not None and row.state == ACTIVE and row.watermark < min(state.instant, world.fires)


def following(world: World, watermark: int) -> int:
    """Return the state of a schedule that goes on after *watermark*."""
    return ACTIVE if watermark < world.fires else ENDED


def between(world: World, after: int, until: int) -> tuple[int, ...]:
    """Return the fires later than *after* up to *until*."""
    return tuple(range(after + 1, min(until, world.fires) + 1))


# -- deciding ----------------------------------------------------------------------------------


def plan(world: World, row: Schedule, now: int, *, opened: int) -> Plan | None:
    """Decide what to do with the fires up to *now*, not knowing what will be open."""
    missed = between(world, row.watermark, now)
    if not missed:
        return None
    newest = missed[-1]
    if not world.rules.catch_up:
        fires, skips = missed[-1:], missed[:0]
    elif world.latest:
        fires, skips = missed[-1:], missed[:-1]
    else:
        fires, skips = missed, ()
    return Plan(PLAN, row.version, row.kind, fires, skips, newest, opened)


def chosen(world: World, wanted: Plan, opened: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return what is launched and what is skipped, now that the number of open runs is known."""
    free = max(0, world.room - opened) if world.room else len(wanted.fires)
    return wanted.fires[:free], (*wanted.skips, *wanted.fires[free:])


def taken(world: World, state: State, wanted: Plan, opened: int) -> list[int]:
    """Return the fires that a plan would launch and that have a run already."""
    return [fire for fire in chosen(world, wanted, opened)[0] if run_of(state, fire) is not None]


# -- writing -----------------------------------------------------------------------------------


def broken(state: State, promise: str) -> State:
    """Return the state with the promise broken, unless one is broken already."""
    return state if state.wrong else state._replace(wrong=promise)


def with_run(state: State, run: Run) -> State:
    """Return the state with the run in the place of the one that has its key."""
    runs = [each for each in state.runs if each.key != run.key]
    return state._replace(runs=tuple(sorted([*runs, run])))


def with_node(state: State, place: int, **changes: object) -> State:
    """Return the state with some of what the process knows changed."""
    node = state.nodes[place]._replace(**changes)  # type: ignore[arg-type]
    return state._replace(nodes=(*state.nodes[:place], node, *state.nodes[place + 1 :]))


def with_row(state: State, place: int, row: Row) -> State:
    """Return the state with the process's row changed."""
    return state._replace(rows=(*state.rows[:place], row, *state.rows[place + 1 :]))


def skip(state: State, fires: tuple[int, ...]) -> State:
    """Write skip records."""
    if not fires:
        return state
    if any(fire in state.launched for fire in fires):
        state = broken(state, "once")
    return state._replace(skipped=tuple(sorted({*state.skipped, *fires})))


def insert(state: State, run: Run) -> State:
    """Insert a run; it is judged here whether it may come to be."""
    fire = run.key < BY_HAND
    if run.key in state.launched or (fire and run.key in state.skipped):
        state = broken(state, "once")
    if fire and run.key > state.time:
        state = broken(state, "early")
    state = state._replace(launched=tuple(sorted({*state.launched, run.key})))
    return with_run(state, run)


def apply(
    world: World, state: State, wanted: Plan, *, opened: int, holder: tuple[int, int] | None
) -> tuple[State, tuple[Item, ...]]:
    """Write what is chosen of a plan; return the runs that *holder* has got."""
    row = state.schedule
    if row is None:
        return state, ()
    launched, skipped = chosen(world, wanted, opened)
    if wanted.kind != row.kind or row.state == REMOVED:
        state = broken(state, "obeyed")
    watermark = wanted.watermark if world.rules.watermark else row.watermark
    state = state._replace(schedule=Schedule(following(world, watermark), row.version + 1, watermark, row.kind))
    state = skip(state, skipped)
    items = []
    for fire in launched:
        if holder is None:
            state = insert(state, Run(fire))
        else:
            state = insert(state, Run(fire, RUNNING, *holder, 1, 1))
            items.append(Item(fire, 1, 1))
    return crowded(world, state), tuple(items)


def crowded(world: World, state: State) -> State:
    """Judge how many runs are open."""
    return broken(state, "overlap") if world.room and open_count(state) > world.room else state


def claim(world: World, state: State, place: int, key: int, inc: int) -> tuple[State, Item]:
    """Give a pending run to a node."""
    run = run_of(state, key)
    assert run is not None
    attempt = run.attempt + 1 if world.rules.attempt_rises else max(run.attempt, 1)
    run = Run(key, RUNNING, place, inc, attempt, run.execution + 1)
    return with_run(state, run), Item(key, attempt, run.execution)


def matches(world: World, state: State, place: int, item: Doing) -> bool:
    """Whether an outcome of that attempt is taken."""
    run = run_of(state, item.key)
    if run is None or run.state != RUNNING:
        return False
    return not world.rules.fence or (run.node, run.inc, run.attempt) == (place, item.inc, item.attempt)


def finish(world: World, state: State, place: int, item: Doing, said: int) -> State:
    """Write how an attempt ended, if it is still the one that counts."""
    if not matches(world, state, place, item):
        return state
    run = run_of(state, item.key)
    assert run is not None
    if run.execution != item.execution:
        state = broken(state, "stale")
    return with_run(state, again(run) if said == FAILURE else run._replace(state=DONE, node=NOBODY, inc=0))


def again(run: Run) -> Run:
    """Return the run as pending once more."""
    return run._replace(state=PENDING, node=NOBODY, inc=0)


def recover(state: State, runs: tuple[Run, ...]) -> State:
    """Take runs away from their nodes."""
    for run in runs:
        state = with_run(state, again(run))
    return state


def beat(world: World, state: State, place: int) -> State:
    """Extend the life of a row that is alive."""
    idle = (*state.idle[:place], 0, *state.idle[place + 1 :])
    return with_row(state, place, Row(True, state.instant + world.lease))._replace(idle=idle)


def join(world: World, state: State, place: int, *, inc: int) -> State:
    """Take part as a new incarnation, of which nothing is known yet."""
    old = state.nodes[place]
    fresh = old._replace(up=1, inc=inc, waiting=(), watch=(), base=state.offset if old.up != 1 else old.base)
    state = state._replace(nodes=(*state.nodes[:place], fresh, *state.nodes[place + 1 :]))
    return beat(world, state, place)


def expire(world: World, state: State, place: int) -> State:
    """Declare a row dead whose lease is over."""
    if world.watches and state.nodes[place].up != CRASHED and state.idle[place] < world.lease:
        state = broken(state, "living")
    lost = tuple(run for run in state.runs if run.state == RUNNING and run.node == place)
    state = with_row(state, place, Row(False, 0))
    return state if world.rules.standing else recover(state, lost)


def raise_watermark(world: World, state: State, watermark: int) -> State:
    """Move a watermark forward that is behind, and tell of the fires passed that have no run: they may have had one."""
    row = state.schedule
    if row is None or row.watermark >= watermark:
        return state
    if world.rules.tells_lost and row.state in (ACTIVE, PAUSED):
        lost = [fire for fire in between(world, row.watermark, watermark) if run_of(state, fire) is None]
        state = state._replace(skipped=tuple(sorted({*state.skipped, *lost})))
    after = following(world, watermark) if row.state == ACTIVE else row.state
    return state._replace(schedule=Schedule(after, row.version + 1, watermark, row.kind))


# -- edits -------------------------------------------------------------------------------------


def _lapse(world: World, state: State, row: Schedule) -> State:
    """Write a record of what is not dealt with yet, for an edit after which it will not be."""
    if not world.rules.settles or row.state == ENDED:
        return state
    return skip(state, between(world, row.watermark, state.instant))


def edit(world: World, state: State) -> State:
    """Change when the schedule fires; from now on it is of another kind."""
    row = state.schedule
    assert row is not None
    if row.state == PAUSED:
        state = _lapse(world, state, row)
    elif row.state == ACTIVE and world.rules.settles:
        wanted = plan(world, row, state.instant, opened=0)
        if wanted is not None:
            if world.rules.token and taken(world, state, wanted, open_count(state)):
                return state  # the edit is refused
            state, _ = apply(world, state, wanted, opened=open_count(state), holder=None)
            row = state.schedule
            assert row is not None
            row = row._replace(version=row.version - 1)
    watermark = max(row.watermark, state.instant)
    after = PAUSED if row.state == PAUSED else following(world, watermark)
    return state._replace(schedule=Schedule(after, row.version + 1, watermark, row.kind + 1))


def pause(world: World, state: State) -> State:
    """Stop launching."""
    row = state.schedule
    assert row is not None
    state = _lapse(world, state, row)
    return state._replace(schedule=Schedule(PAUSED, row.version + 1, max(row.watermark, state.instant), row.kind))


def resume(world: World, state: State) -> State:
    """Go on; what was missed meanwhile is told."""
    row = state.schedule
    assert row is not None
    state = _lapse(world, state, row)
    watermark = max(row.watermark, state.instant)
    return state._replace(schedule=Schedule(following(world, watermark), row.version + 1, watermark, row.kind))


def remove(world: World, state: State) -> State:
    """Remove; what stays is a mark."""
    row = state.schedule
    assert row is not None
    state = _lapse(world, state, row)._replace(unwanted=True)
    if not world.rules.tombstone:
        return state._replace(schedule=None)
    watermark = max(row.watermark, state.instant)
    return state._replace(schedule=Schedule(REMOVED, row.version + 1, watermark, row.kind))


def add(world: World, state: State) -> State:
    """Make the schedule again, in the place of its tombstone if there is one."""
    row, births = state.schedule, state.births + 1
    version = 1000 * births if row is None else row.version + 1
    if not world.rules.fresh_versions:
        version = 1
    watermark = state.instant if row is None else max(state.instant, row.watermark)
    made = Schedule(following(world, watermark), version, watermark, births * 10)
    return state._replace(schedule=made, births=births, unwanted=False)


def declare(world: World, state: State) -> State:
    """Say what code says of the schedule: it is made if nothing is known of it."""
    if state.schedule is not None:
        return state
    wrong = state.unwanted
    state = add(world, state)
    return broken(state, "removed") if wrong else state


def run_now(world: World, state: State, key: int, *, opened: int) -> State:
    """Start a run by hand, unless its key is there or there is no room."""
    row = state.schedule
    if row is None or row.state == REMOVED:
        return state
    if (world.rules.token and run_of(state, key) is not None) or (world.room and opened >= world.room):
        return state
    state = state._replace(schedule=row._replace(version=row.version + 1))
    return crowded(world, insert(state, Run(key)))


def saved(state: State) -> tuple[object, ...]:
    """Return what a replica has got."""
    return (state.schedule, state.runs, state.skipped)


def rewound(state: State) -> State:
    """Return the state after the store went back to what the replica has."""
    schedule, runs, skipped = state.backup
    return state._replace(schedule=schedule, runs=runs, skipped=skipped, backup=())  # type: ignore[arg-type]
