"""Which incidents a scenario has: rooms of them, drawn one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import TYPE_CHECKING, Any

from tickonce.testing.simulation.incident import Incident

if TYPE_CHECKING:
    from tickonce.testing.simulation.scenario import Maker

#: Verbs whose calls are harmed one at a time, with how often each is chosen.
VERBS = (
    *("launch", "launch", "launch", "claim", "claim", "finish", "finish", "finish"),
    *("beat", "beat", "held", "due", "recover", "expire", "began", "lapse", "join", "leave", "change"),
)
CALL_FAULTS = ("refuse", "lose", "lose", "lose", "slow", "late", "crash before", "crash after", "busy")


def draw(maker: Maker, room: str, density: float) -> Iterator[Incident]:
    """Yield the incidents of one room; *density* 1 is usual, 0 is none but edits."""
    yield from _ROOMS[room](maker, density)


def _times(maker: Maker, usual: float, density: float) -> Iterator[int]:
    """Yield instants, about *usual* times *density* of them."""
    most = usual * density
    number = int(most) + (maker.random.random() < most % 1)
    for _ in range(maker.random.randint(0, 2 * number) if number else 0):
        yield int(maker.random.uniform(0.03, 1) * maker.length_us)


def _for(maker: Maker, *lengths: float) -> float:
    """Return a length in seconds around one of *lengths*, which are of scale 1: the lease is 15."""
    return round(maker.scale * maker.random.choice(lengths) * maker.random.uniform(0.7, 1.4), 3)


def _nodes(maker: Maker, density: float) -> Iterator[Incident]:
    random = maker.random
    for at in _times(maker, 1.2, density):
        yield Incident(at, "kill", random.choice(maker.names), {"back": _for(maker, 0.5, 5, 30)})
    for at in _times(maker, 1.5, density):
        kind = random.choice(("freeze", "freeze", "sleep"))
        yield Incident(at, kind, random.choice(maker.names), {"for": _for(maker, 0.5, 4, 12, 16, 25, 60)})
    for at in _times(maker, 1.0, density):
        yield Incident(at, "cut", random.choice(maker.names), {"for": _for(maker, 1, 6, 14, 20, 40)})
    for at in _times(maker, 0.7, density):
        yield Incident(at, "restart", random.choice(maker.names), {"back": _for(maker, 0.1, 2, 10)})
    for at in _times(maker, 0.5, density):
        yield Incident(at, "wall", random.choice(maker.names), {"by": random.choice((-3600, -5, 5, 90, 86_400))})


def _calls(maker: Maker, density: float) -> Iterator[Incident]:
    random = maker.random
    for at in _times(maker, 8, density):
        fault = random.choice(CALL_FAULTS)
        more: dict[str, Any] = {"verb": random.choice(VERBS), "fault": fault, "times": random.choice((1, 1, 1, 2, 4))}
        if fault in ("slow", "late"):
            more["by"] = _for(maker, 0.3, 1.5, 5, 9, 20)
        yield Incident(at, "call", random.choice(maker.names), more)


def _limping(maker: Maker, density: float) -> Iterator[Incident]:
    """A node whose beats fail while its launches and claims are on their way for long: it is given up meanwhile."""
    random = maker.random
    for at in _times(maker, 0.5, density):
        # One that is a release ahead: what it alone knows is still there when its launch arrives at last.
        name, begin = maker.names[0] if maker.ahead else random.choice(maker.names), at
        yield Incident(
            at, "call", name, {"verb": "beat", "fault": random.choice(("refuse", "lose")), "times": 25 * maker.scale}
        )
        for _ in range(random.randint(1, 4)):
            begin += int(_for(maker, 1, 4) * 1e6)
            more: dict[str, Any] = {"verb": random.choice(("launch", "launch", "claim")), "times": 1}
            more |= {"fault": random.choice(("torn", "torn", "late")), "by": _for(maker, 9, 16, 22)}
            yield Incident(begin, "call", name, more)


def _outcomes(maker: Maker, density: float) -> Iterator[Incident]:
    """Outcomes that come late, again, or after everybody has given up on them."""
    random = maker.random
    for at in _times(maker, 1.0, density):
        name = random.choice(maker.names)
        more: dict[str, Any] = {"verb": "finish", "times": random.choice((1, 2, 3))}
        more |= {"fault": random.choice(("late", "late", "lose")), "by": 10 + _for(maker, 0.05, 0.5, 2, 10)}
        yield Incident(at, "call", name, more)


def _store(maker: Maker, density: float) -> Iterator[Incident]:
    random = maker.random
    for at in _times(maker, 0.6, density):
        more = {"for": _for(maker, 1, 5, 12, 20, 40), "how": random.choice(("refusing", "silent", "mute"))}
        yield Incident(at, "outage", "", more)
    for at in _times(maker, 0.5, density):
        by = random.choice((0.5, 3, 20, 50, 50, 200, -0.5, -3, -20, -50, -200))
        yield Incident(at, "step", "", {"by": by, "back": random.choice((None, _for(maker, 5, 30)))})


def _hints(maker: Maker, density: float) -> Iterator[Incident]:
    for at in _times(maker, 1.5, density):
        kind = maker.random.choice(("deaf", "echo"))
        yield Incident(at, kind, maker.random.choice(maker.names), {"for": _for(maker, 2, 20, 60)})


def _edits(maker: Maker, density: float) -> Iterator[Incident]:
    random = maker.random
    ids = [each.id for each in maker.planned]
    plain = [each for each in ids if each[0] == "s"]
    for _ in range(random.randint(0, int(8 + 6 * density))):
        at, who = _due_instant(maker), random.choice(plain if random.random() < 0.8 else ids)
        kind = random.choice(_EDITS)
        match kind:
            case "change":
                yield Incident(at, "change", who, {"trigger": maker.trigger()})
            case "policy":
                policy = maker.policy()
                field = random.choice(("misfire", "overlap", "on_lost", "start_within", "timeout"))
                yield Incident(at, "change", who, {field: getattr(policy, field)})
            case "anew":
                yield from _anew(maker, at, who)
            case "add":
                name = f"{random.choice(plain)}x"
                yield Incident(at, "add", name, {"definition": maker.definition()})
            case "pause until":
                yield Incident(at, "pause", who, {"until": _for(maker, 2, 8, 30)})
            case "resume":
                yield Incident(at, "resume", who, {"missed": random.choice((None, None, "latest", "all"))})
            case "pause and resume":
                yield Incident(at, "pause", who)
                later = at + int(_for(maker, 0.001, 3, 20) * 1e6)
                yield Incident(later, "resume", who, {"missed": random.choice((None, None, "latest", "all"))})
            case "run now":
                key = f"k{random.randrange(4)}"
                yield Incident(at, "run now", who, {"key": key})
                if random.random() < 0.5:
                    yield Incident(at + random.randrange(3_000), "run now", who, {"key": key})
            case "lock":
                yield Incident(at, "lock", who, {"for": _for(maker, 0.1, 1, 4)})
            case _:
                yield Incident(at, kind, who)


def _anew(maker: Maker, at: int, who: str) -> Iterator[Incident]:
    """Remove a schedule and make it anew; more often than not once more just where the new one is due first."""
    random, second = maker.random, maker.scale * 1_000_000
    yield Incident(at, "remove", who)
    yield Incident(at + random.choice((0, 500, 3_000, 2_000_000)), "add", who, {"definition": maker.definition()})
    if random.random() < 0.6:
        due = (at // second + random.choice((1, 2, 3, 5))) * second + random.choice((-300, 0, 300, 2_000))
        yield Incident(due, "remove", who)
        yield Incident(due + random.choice((0, 300, 1_000)), "add", who, {"definition": maker.definition()})


_EDITS = (
    *("change", "change", "change", "policy", "anew", "anew", "add", "pause", "resume", "resume", "pause until"),
    *("pause and resume", "pause and resume", "run now", "run now", "run now", "cancel", "cancel", "retry", "lock"),
    *("remove",),
)


def _due_instant(maker: Maker) -> int:
    """Return an instant for an edit: more often than not just where something is due."""
    at = int(maker.random.uniform(0.03, 1) * maker.length_us)
    if maker.random.random() < 0.6:
        second = maker.scale * 1_000_000
        at = at // second * second + maker.random.choice((-2_000, -300, 0, 0, 300, 2_000, 8_000))
    return max(0, at)


def _deploys(maker: Maker, density: float) -> Iterator[Incident]:
    """One release after the other: node by node, in order or all at once; sometimes back for a while."""
    random = maker.random
    if density == 0 or random.random() < 0.5:
        return
    at = int(random.uniform(0.1, 0.7) * maker.length_us)
    apart = int(_for(maker, 0, 1, 8) * 1e6)
    steps = [2, 1, 2] if random.random() < 0.2 else [2]
    for release in steps:
        for name in random.sample(maker.names, len(maker.names)):
            yield Incident(at, "deploy", name, {"release": release, "kill": random.random() < 0.2})
            at += apart
        at += int(_for(maker, 5) * 1e6)


def _scenes(maker: Maker, density: float) -> Iterator[Incident]:
    """What single runs must live through, and chance alone brings too rarely.

    It draws from chance of its own: the other rooms are the same with it and without.
    """
    random = Random(f"tickonce:{maker.seed}:scenes")
    plain = [each for each in maker.planned if each.id[0] == "s"]
    if density and random.random() < 0.35:
        # Whichever node calls it, dies: a run is lost again and again, until it ends as lost.
        strict = [each for each in plain if each.definition.policy.max_losses == 0]
        who = random.choice(strict if strict and random.random() < 0.5 else plain).id
        at = int(random.uniform(0.03, 0.3) * maker.length_us)
        yield Incident(at, "fell", who, {"times": random.randint(3, 4), "back": maker.scale * random.uniform(0.3, 3)})
    heeding = [each for each in plain if not each.stubborn]
    for _ in range(random.randint(0, 2) if density and heeding else 0):
        # Longer than any timeout. Those that have one are stopped by it, others by people, if at all.
        timed = [each for each in heeding if each.definition.policy.timeout is not None]
        chosen = random.choice(timed if timed and random.random() < 0.5 else heeding)
        cancelled = round(maker.scale * random.uniform(0.1, 3), 3) if random.random() < 0.6 else None
        at = int(random.uniform(0.03, 0.9) * maker.length_us)
        yield Incident(at, "linger", chosen.id, {"for": 30.0 * maker.scale, "cancelled": cancelled})


_ROOMS: dict[str, Callable[[Maker, float], Iterator[Incident]]] = {
    "nodes": _nodes,
    "calls": _calls,
    "limping": _limping,
    "outcomes": _outcomes,
    "store": _store,
    "hints": _hints,
    "edits": _edits,
    "deploys": _deploys,
    "scenes": _scenes,
}
