"""Traces as people read them."""

from __future__ import annotations

from collections.abc import Iterable

from tests.model.promises import PROMISES
from tests.model.search import Found
from tests.model.world import BY_HAND, FAILURE, NOBODY, Step

_TEXTS = {
    "time": "a tick passes",
    "start": "node {0} starts",
    "crash": "node {0} crashes",
    "beat": "node {0} beats",
    "reborn": "node {0} hears that it was declared dead, and goes on under a new id",
    "expire": "node {0} declares node {1} dead",
    "recover": "node {0} recovers {rest}",
    "plan": "node {0} reads the schedule and plans",
    "raise": "node {0} finds the store behind what it remembers, and writes watermark {1} back",
    "launch taken": "node {0} finds {rest} launched already",
    "launch refused": "node {0} launches nothing: {1}",
    "ask launch": "node {0} begins its launch: it asks who lives, the version, and what is open",
    "hear launch": "the reply to its launch reaches node {0}",
    "ask claim": "node {0} begins its claim of {1}",
    "claim": "node {0} claims {1}",
    "write claim": "node {0} writes its claim of {1}",
    "ask held": "node {0} asks what it holds",
    "hear work": "the reply reaches the work thread of node {0}",
    "begin": "node {0} begins what has waited",
    "offer again": "node {0} offers the outcome of {1} again",
    "edit": "a person changes when it fires",
    "pause": "a person pauses it",
    "resume": "a person resumes it",
    "remove": "a person removes it",
    "add": "a person adds it again under the same id",
    "prune": "the tombstone is pruned",
    "declare": "a node starts whose code declares it",
    "run now": "a person starts {0}",
    "run now again": "a person asks for {0} once more, under the same key",
    "ask run now": "a person's run now begins: nothing of it is there, and the open runs are counted",
    "write run now": "{0} is written",
    "outage": "the store cannot be reached for {0} ticks",
    "jump": "the store's clock is set forward by {0} ticks",
    "jump back": "the store's clock is right again",
    "replica stops": "from here on the store will lose what it confirms",
    "rewind": "the store has gone back",
}


def told(step: Step) -> str:
    """Return a step as a sentence.

    >>> told(("launch", 0, True, 1, 2, "lost"))
    'node 0 launches 1 2 as its own; the reply is lost'
    """
    verb, *about = step
    lost = bool(about) and about[-1] == "lost"
    if lost:
        about.pop()
    if verb in ("launch", "write launch"):
        text = _launch(verb == "launch", *about)
    elif verb == "finish":
        text = _finish(*about)
    else:
        named = [_run(each) for each in about]
        first = str(about[0]) if about and str(verb) not in ("run now", "run now again", "write run now") else None
        places = [first, *named[1:]] if first is not None else named
        if verb == "expire":
            places = [str(each) for each in about]
        text = _TEXTS[str(verb)].format(*places, rest=" ".join(named[1:]))
    return text + ("; the reply is lost" if lost else "")


def _run(about: object) -> str:
    return f"the run by hand {about - BY_HAND}" if isinstance(about, int) and about > BY_HAND else str(about)


def _launch(whole: object, place: object, claims: object, *fires: object) -> str:
    if not fires:
        return f"node {place} launches nothing and writes skip records"
    verb = "launches" if whole else "writes its launch of"
    return f"node {place} {verb} {' '.join(map(str, fires))}" + (" as its own" if claims else ", pending")


def _finish(place: object, key: object, attempt: object, end: object, taken: object) -> str:
    how = "fails and is to be retried" if end == FAILURE else "ends"
    return f"{_run(key)} {how} on node {place} (attempt {attempt})" + ("" if taken else "; the outcome is dropped")


def lines(trace: Iterable[Step]) -> list[str]:
    """Return a trace, a line a step."""
    return [f"{number:3}. {told(step)}" for number, step in enumerate(trace, 1)]


def report(name: str, found: Found) -> str:
    """Return what a search came to."""
    head = f"{name}: {found.states:,} states, depth {found.depth}, {found.seconds:.1f} s: "
    if not found.broken:
        return head + ("holds" if found.complete else "nothing found so far")
    alone = "" if found.survivor == NOBODY else f"  (when from here on only node {found.survivor} lives)\n"
    return head + f"{PROMISES[found.broken]}: broken\n" + "\n".join(lines(found.trace)) + "\n" + alone
