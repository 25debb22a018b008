"""What may happen next: the steps of nodes, of people and of misfortune.

A step is told by a tuple, its verb first; the state beside it is the one in which it has happened. Where a reply can be
lost, there is a second step with "lost" at its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from tests.model import store
from tests.model.world import (
    ACTIVE,
    ASKED,
    BY_HAND,
    CRASHED,
    FAILURE,
    IDLE,
    NOBODY,
    NOTHING,
    PAUSED,
    PENDING,
    PERSON,
    REMOVED,
    REPLY,
    RUNNING,
    SUCCESS,
    UP,
    WAITS,
    Asked,
    Doing,
    Item,
    Node,
    Plan,
    Reply,
    State,
    Step,
    World,
)

Steps: TypeAlias = Iterator[tuple[Step, State]]

NEVER = -99


def steps(world: World, state: State) -> Steps:
    """Yield everything that may happen next."""
    if state.time < world.end:
        yield ("time",), passed(world, state, 1)
    for place, node in enumerate(state.nodes):
        if node.up == UP:
            yield from ticking(world, state, place, node)
            yield from working(world, state, place, node)
            yield from ending(world, state, place, node)
            if world.lease:
                yield from living(world, state, place, node)
            if state.left.crash:
                yield ("crash", place), _crashed(spend(state, "crash"), place)
        elif node.up == WAITS:
            yield ("start", place), joined(world, state, place, inc=node.inc)
    yield from people(world, state)
    yield from misfortunes(world, state)


def spend(state: State, fault: str) -> State:
    """Return the state with one fault of that kind less to come."""
    return state._replace(left=state.left._replace(**{fault: getattr(state.left, fault) - 1}))


def passed(world: World, state: State, ticks: int) -> State:
    """Let time pass in which every node could do what it wanted."""
    time = state.time + ticks
    idle = tuple(each + ticks for each in state.idle) if world.watches else state.idle
    return owing(world, state._replace(time=time, idle=idle))


def owing(world: World, state: State) -> State:
    """Note the fires whose tick has come."""
    row = state.schedule
    if row is None or row.state == REMOVED:
        return state
    new = [fire for fire in store.between(world, row.watermark, state.time) if fire not in state.owed]
    return state._replace(owed=tuple(sorted({*state.owed, *new}))) if new else state


def holds(world: World, state: State, node: Node) -> bool:
    """Whether the node believes that its lease holds."""
    return not (world.beliefs and world.rules.own_lease) or state.time < node.beaten + world.lease


def _crashed(state: State, place: int) -> State:
    if state.lock == place:
        state = state._replace(lock=NOBODY)
    nodes = (*state.nodes[:place], Node(CRASHED, state.nodes[place].inc), *state.nodes[place + 1 :])
    return state._replace(nodes=nodes)


# -- the ticker --------------------------------------------------------------------------------


def ticking(world: World, state: State, place: int, node: Node) -> Steps:
    """Look and plan; launch; take the reply."""
    tick = node.tick
    if tick == IDLE:
        if store.due(world, state) and holds(world, state, node):
            found = look(world, state, place, node)
            if found is not None:
                yield found
    elif isinstance(tick, Plan):
        yield from launching(world, state, place, node, tick)
    elif isinstance(tick, Asked):
        assert isinstance(tick.plan, Plan)
        free = state._replace(lock=NOBODY) if state.lock == place else state
        yield from _launched(world, free, place, tick.plan, opened=tick.open, inc=tick.inc, verb="write launch")
    elif isinstance(tick, Reply):
        yield ("hear launch", place), _heard(world, with_tick(state, place, IDLE), place, tick)


def look(world: World, state: State, place: int, node: Node) -> tuple[Step, State] | None:
    """Read the schedule and plan, or find that the store is behind what this node remembers."""
    row = state.schedule
    assert row is not None
    if world.rules.clock_guard and state.offset != node.base:
        return None
    if world.rules.remembered and row.watermark < node.moved:
        return ("raise", place, node.moved), store.raise_watermark(world, state, node.moved)
    planned = store.plan(world, row, state.instant, opened=store.open_count(state))
    return None if planned is None else (("plan", place), with_tick(state, place, planned))


def with_tick(state: State, place: int, tick: object) -> State:
    """Return the state with the ticker at something else."""
    return store.with_node(state, place, tick=tick)


def launching(world: World, state: State, place: int, node: Node, wanted: Plan) -> Steps:
    """Ask what a launch asks, and write what it writes: in one step or in two."""
    row, dropped = state.schedule, with_tick(state, place, IDLE)
    if world.rules.alive_check and not state.rows[place].alive:
        yield ("launch refused", place, "dead"), store.with_node(dropped, place, beaten=NEVER)
        return
    if state.lock != NOBODY:
        yield ("launch refused", place, "locked"), dropped
        return
    if row is None or (world.rules.version and row.version != wanted.version):
        yield ("launch refused", place, "version"), dropped
        return
    opened = store.open_count(state) if world.rules.count_inside else wanted.open
    if len(store.chosen(world, wanted, opened)[0]) < len(store.chosen(world, wanted, store.open_count(state))[0]):
        state = store.broken(state, "told")
    if world.split:
        asked = with_tick(state, place, Asked(ASKED, wanted, 0, node.inc, opened))
        yield ("ask launch", place), asked._replace(lock=place) if world.rules.row_lock else asked
    else:
        yield from _launched(world, state, place, wanted, opened=opened, inc=node.inc, verb="launch")


def _launched(world: World, state: State, place: int, wanted: Plan, *, opened: int, inc: int, verb: str) -> Steps:
    fires, _ = store.chosen(world, wanted, opened)
    taken = store.taken(world, state, wanted, opened)
    if taken and world.rules.token:
        raised = store.raise_watermark(world, with_tick(state, place, IDLE), max(taken))
        yield (f"{verb} taken", place, *fires), raised
        return
    if not world.rules.alive_check and not state.rows[place].alive and "dead" not in world.unjudged:
        state = store.broken(state, "dead")
    for claims in world.slots if fires else (False,):
        holder = (place, inc) if claims else None
        after, items = store.apply(world, state, wanted, opened=opened, holder=holder)
        reply = Reply(REPLY, inc, items, wanted.watermark if world.memory else NOBODY)
        waits = reply if items or world.memory else IDLE
        yield (verb, place, claims, *fires), with_tick(after, place, waits)
        if state.left.lose and waits != IDLE:
            yield (verb, place, claims, *fires, "lost"), with_tick(spend(after, "lose"), place, IDLE)


def _heard(world: World, state: State, place: int, reply: Reply) -> State:
    if reply.watermark != NOBODY:
        state = store.with_node(state, place, moved=max(state.nodes[place].moved, reply.watermark))
    return entered(world, state, place, reply)


# -- the door ----------------------------------------------------------------------------------


def entered(world: World, state: State, place: int, reply: Reply) -> State:
    """Let in what a reply brings, and start it if the lease holds."""
    node = state.nodes[place]
    if reply.inc != node.inc:
        return state  # given to an incarnation that is dead by now
    for item in reply.items:
        if not known(world, node, item):
            door = tuple(sorted({*node.door, (item.key, item.attempt)})) if world.rules.door else ()
            node = node._replace(door=door, waiting=tuple(sorted({*node.waiting, item})))
    state = state._replace(nodes=(*state.nodes[:place], node, *state.nodes[place + 1 :]))
    return begun(world, state, place) if holds(world, state, node) else state


def known(world: World, node: Node, item: Item) -> bool:
    """Whether the attempt came in before; without the door only what is being done is known."""
    if world.rules.door:
        return (item.key, item.attempt) in node.door
    return item in node.waiting or any(item == (each.key, each.attempt, each.execution) for each in node.doing)


def begun(world: World, state: State, place: int) -> State:
    """Start what waits."""
    node = state.nodes[place]
    for item in node.waiting:
        run = store.run_of(state, item.key)
        if (item.key, item.execution) in state.started:
            state = store.broken(state, "attempt")
        gone = run is None or run.state != RUNNING or (run.node, run.inc) != (place, node.inc)
        if world.beliefs and gone:
            state = store.broken(state, "late")
        state = state._replace(started=tuple(sorted({*state.started, (item.key, item.execution)})))
        doing = Doing(*item, node.inc, NOTHING)
        node = node._replace(doing=tuple(sorted({*node.doing, doing})))
    node = node._replace(waiting=())
    return state._replace(nodes=(*state.nodes[:place], node, *state.nodes[place + 1 :]))


# -- the work thread ---------------------------------------------------------------------------


def working(world: World, state: State, place: int, node: Node) -> Steps:
    """Claim, ask what is held, take replies, begin what had to wait."""
    work = node.work
    if isinstance(work, Reply):
        yield ("hear work", place), entered(world, store.with_node(state, place, work=IDLE), place, work)
    elif isinstance(work, Asked):
        run = store.run_of(state, work.key)
        if run is None or run.state != PENDING:
            yield ("write claim", place, "passed over"), store.with_node(state, place, work=IDLE)
        else:
            yield from _claimed(world, state, place, work.key, work.inc, verb="write claim")
    else:
        yield from claiming(world, state, place, node)
        if world.rules.asks and any(not known(world, node, item) for item in store.held(state, place)):
            reply = Reply(REPLY, node.inc, store.held(state, place), NOBODY)
            yield ("ask held", place), store.with_node(state, place, work=reply)
    if node.waiting and holds(world, state, node):
        yield ("begin", place), begun(world, state, place)


def claiming(world: World, state: State, place: int, node: Node) -> Steps:
    """Take one pending run, whichever."""
    if not holds(world, state, node) or (world.rules.alive_check and not state.rows[place].alive):
        return
    for run in state.runs:
        if run.state == PENDING and (run.key > BY_HAND or run.key <= state.instant):
            if world.split:
                asked = Asked(ASKED, None, run.key, node.inc, 0)
                yield ("ask claim", place, run.key), store.with_node(state, place, work=asked)
            else:
                yield from _claimed(world, state, place, run.key, node.inc, verb="claim")


def _claimed(world: World, state: State, place: int, key: int, inc: int, *, verb: str) -> Steps:
    if not world.rules.alive_check and not state.rows[place].alive and "dead" not in world.unjudged:
        state = store.broken(state, "dead")
    after, item = store.claim(world, state, place, key, inc)
    yield (verb, place, key), store.with_node(after, place, work=Reply(REPLY, inc, (item,), NOBODY))
    if state.left.lose:
        yield (verb, place, key, "lost"), store.with_node(spend(after, "lose"), place, work=IDLE)


def ending(world: World, state: State, place: int, node: Node) -> Steps:
    """Jobs end, outcomes are written, and offered again while no answer has come."""
    for item in node.doing:
        said = (item.said,) if item.said != NOTHING else (SUCCESS, FAILURE) if state.left.fail else (SUCCESS,)
        for end in said:
            spent = spend(state, "fail") if end == FAILURE and item.said == NOTHING else state
            taken = store.matches(world, state, place, item)
            after = store.finish(world, spent, place, item, end)
            yield ("finish", place, item.key, item.attempt, end, taken), acknowledged(world, after, place, item, end)
            if spent.left.lose and taken:
                kept = tuple(sorted({*node.doing, item._replace(said=end)} - {item}))
                lost = store.with_node(spend(after, "lose"), place, doing=kept)
                yield ("finish", place, item.key, item.attempt, end, taken, "lost"), lost
    if world.rules.offers_again:
        for item in node.ended:
            if store.matches(world, state, place, item):
                yield ("offer again", place, item.key), store.finish(world, state, place, item, item.said)


def acknowledged(world: World, state: State, place: int, item: Doing, end: int) -> State:
    """Return the state when the node knows that its outcome was written or refused."""
    node = state.nodes[place]
    doing = tuple(each for each in node.doing if each != item)
    ended = tuple(sorted({*node.ended, item._replace(said=end)})) if world.memory else ()
    return store.with_node(state, place, doing=doing, ended=ended)


# -- beats, expiry, recovery -------------------------------------------------------------------


def living(world: World, state: State, place: int, node: Node) -> Steps:
    """Beat, judge others, recover."""
    if not state.rows[place].alive:
        yield ("reborn", place), joined(world, state, place, inc=node.inc + 1)
    else:
        after = beaten(world, state, place, node)
        if after != state:
            yield ("beat", place), after
        if world.beliefs and state.left.lose and state.rows[place].until < state.instant + world.lease:
            yield ("beat", place, "lost"), store.beat(world, spend(state, "lose"), place)
        for other in range(len(state.nodes)):
            if other != place and state.rows[other].alive and may_judge(world, state, node, other):
                yield ("expire", place, other), store.expire(world, state, other)
    if world.rules.standing and (runs := store.orphans(state)):
        yield ("recover", place, *(run.key for run in runs)), store.recover(state, runs)


def beaten(world: World, state: State, place: int, node: Node) -> State:
    """Return the state after a beat that was accepted."""
    after = store.beat(world, state, place)
    if world.watches:
        steady = node.watch != () and node.watch[1] == state.offset
        watch = node.watch if steady and state.time - node.beaten < world.lease else (state.time, state.offset)
        after = store.with_node(after, place, watch=watch)
    if world.beliefs or world.watches:
        after = store.with_node(after, place, beaten=state.time)
    return after


def joined(world: World, state: State, place: int, *, inc: int) -> State:
    """Take part as a new incarnation: a first one, or the next, the beat having said that the last one is dead."""
    after = store.join(world, state, place, inc=inc)
    watch = (state.time, state.offset) if world.watches else ()
    return store.with_node(after, place, beaten=state.time if world.beliefs or world.watches else 0, watch=watch)


def may_judge(world: World, state: State, node: Node, other: int) -> bool:
    """Whether the node may declare the other dead now."""
    until = state.rows[other].until
    if until > state.instant:
        return False
    if not (world.watches and world.rules.witness):
        return True
    if node.watch == () or node.beaten - node.watch[0] < world.lease or not holds(world, state, node):
        return False
    return not world.rules.judges_afresh or until <= state.time + node.watch[1]


# -- people and misfortune ---------------------------------------------------------------------


def people(world: World, state: State) -> Steps:
    """Edits, pauses, removals, runs by hand."""
    left, row = state.left, state.schedule
    if state.lock == NOBODY and row is not None and row.state != REMOVED:
        if left.edit:
            yield ("edit",), store.edit(world, spend(state, "edit"))
        if left.pause and row.state == ACTIVE:
            yield ("pause",), store.pause(world, spend(state, "pause"))
        if row.state == PAUSED:
            yield ("resume",), store.resume(world, state)
        if left.remove:
            yield ("remove",), store.remove(world, spend(state, "remove"))
    if state.lock == NOBODY and (row is None or row.state == REMOVED):
        made = store.add(world, state)
        if (
            world.faults.remove
            and not world.faults.declare
            and made.schedule is not None
            and made.schedule.state == ACTIVE
        ):
            yield ("add",), made
        if left.prune and row is not None:
            yield ("prune",), spend(state, "prune")._replace(schedule=None)
    if left.declare:
        yield ("declare",), store.declare(world, spend(state, "declare"))
    yield from by_hand(world, state)


def by_hand(world: World, state: State) -> Steps:
    """A run by hand: counted, then written, in one step or in two; asked again under its key when the reply is lost."""
    left, row = state.left, state.schedule
    if state.asked:
        free = state._replace(lock=NOBODY) if state.lock == PERSON else state
        key, opened = state.asked
        yield ("write run now", key), store.run_now(world, free._replace(asked=()), key, opened=opened)
        return
    if row is None or row.state == REMOVED or state.lock != NOBODY:
        return
    used = world.faults.run_now - left.run_now
    if left.run_now:
        key, spent = BY_HAND + used + 1, spend(state, "run_now")
        opened = store.open_count(state)
        if world.split:
            asked = spent._replace(asked=(key, opened))
            yield ("ask run now", key), asked._replace(lock=PERSON) if world.rules.row_lock else asked
        else:
            yield ("run now", key), store.run_now(world, spent, key, opened=opened)
    if left.again and used:
        key, opened = BY_HAND + used, store.open_count(state)
        yield ("run now again", key), store.run_now(world, spend(state, "again"), key, opened=opened)


def misfortunes(world: World, state: State) -> Steps:
    """Outages, clocks that are set, stores that lose what they have confirmed."""
    left = state.left
    if left.outage and state.time + world.outage <= world.end:
        idle = state.idle
        away = passed(world, spend(state, "outage"), world.outage)
        yield ("outage", world.outage), away._replace(idle=(0,) * len(idle))
    if left.jump:
        set_forward = spend(state, "jump")._replace(offset=state.offset + world.jump)
        yield ("jump", world.jump), set_forward
    if state.offset:
        yield ("jump back",), state._replace(offset=0)
    if left.rewind and not state.backup:
        yield ("replica stops",), state._replace(backup=store.saved(state))
    if state.backup and left.rewind:
        yield ("rewind",), store.rewound(spend(state, "rewind"))
