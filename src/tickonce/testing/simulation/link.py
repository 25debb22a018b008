"""The way to the store and back: slow, cut, or losing what it carries; what is asked for happens in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from greenlet import GreenletExit

from tickonce.errors import StoreBusy, StoreUnavailable
from tickonce.model import Launched, Node, NodeState, Plan, Poll, Run, Schedule
from tickonce.ports import Notifier
from tickonce.testing.simulation.site import Site
from tickonce.testing.simulation.world import TIMEOUT, Process
from tickonce.triggers import OpaqueTrigger

#: How long a client waits for an answer, in microseconds.
DEADLINE_US = 10_000_000
BEAT_DEADLINE_US = 2_000_000
_BEATS = frozenset({"beat", "join", "leave"})
_GIVING = frozenset({"launch", "claim"})
_WRITING = frozenset({"beat", "cancel", "change", "finish", "join", "launch", "leave", "retry"})
_MAY_WRITE = frozenset({"claim", "expire", "lapse", "recover"})
_LIVING = (NodeState.ALIVE, NodeState.LEAVING)


@dataclass(slots=True)
class CallFault:
    """What happens to the next calls of a verb.

    Attributes:
        kind: ``refuse`` (does not happen), ``lose`` (happens, the reply does not come), ``slow`` (on the way back),
            ``late`` (on the way there: it may happen when nobody waits any more), ``torn`` (the server looks whether
            the node lives, and does the rest that much later), ``busy`` (locked rows), ``crash before`` and ``crash
            after`` it happened.
    """

    verb: str
    kind: str
    times: int
    by_us: int = 0


class Link:
    """The store as one process sees it.

    Attributes:
        cut: No call gets through.
        deaf: Hints do not come through.
        echo: Hints come again and again.
        opaque: Ids of schedules whose triggers this process does not understand begin with these.
    """

    def __init__(self, site: Site, process: Process, *, slow_us: int, hints: bool) -> None:
        self.site, self.process = site, process
        self.cut = self.deaf = self.echo = False
        self.opaque: tuple[str, ...] = ()
        self.on_crash: Callable[[], None] = process.kill
        self.faults: deque[CallFault] = deque()
        self._slow_us, self._hints = slow_us, hints

    @property
    def url(self) -> str:
        """The store's."""
        return self.site.store.url

    @property
    def notifies(self) -> bool:
        """Whether the store brings hints."""
        return self.site.store.notifies

    @property
    def local(self) -> bool:
        """Whether the store goes by its machine's clock."""
        return self.site.store.local

    def __getattr__(self, verb: str) -> Any:
        call = self.__dict__[verb] = partial(self._call, verb)
        return call

    def prepare(self, *, make: bool = True) -> None:
        """The tables are there."""
        del make
        self.process.give_up()

    def close(self) -> None:
        """There is nothing to give back."""

    def notifier(self) -> Notifier | None:
        """Return what brings hints, if this fleet has any."""
        self.process.give_up()
        if not self._hints:
            return None
        return Hearing(self, self.site.board.listener(self.process))

    # -- a call ------------------------------------------------------------------------------------

    def _call(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        process, site = self.process, self.site
        if process.dead:
            process.give_up()
        world, asked_at = process.world, site.time() if verb == "launch" else site.asked_at
        fault = self._fault(verb) if self.faults else None
        there, back = process.chance(self._slow_us), process.chance(self._slow_us)
        if fault is not None:
            if fault.kind == "crash before":
                self._crash(verb, "before")
            there += fault.by_us if fault.kind in ("late", "torn") else 0
            back += fault.by_us if fault.kind == "slow" else 0
        task, ticket = world.about_to_wait()
        lived: list[bool] = []
        if fault is not None and fault.kind == "torn" and verb in _GIVING and site.tables is not None:
            world.after(there - fault.by_us, lambda: lived.append(self._lives(args[0])))

        def arrive() -> None:
            site.asked_at = asked_at
            if lived == [True]:
                with self._as_if_alive(args[0]):
                    answer = self._at_the_store(verb, args, kwargs, "torn")
            else:
                answer = self._at_the_store(verb, args, kwargs, None if fault is None else fault.kind)
            if fault is not None and fault.kind == "crash after" and not process.dead:
                self._crash(verb, "after")
            if answer is not None:
                world.wake_after(back, task, ticket, answer)

        world.after(there, arrive)
        got = world.wait(BEAT_DEADLINE_US if verb in _BEATS else DEADLINE_US)
        if got is TIMEOUT:
            site.say(process.name, f"{verb}: no answer in time")
            raise StoreUnavailable(f"{verb}: no answer in time (simulated)")
        kind, value = got
        if kind == "error":
            raise value
        return self._seen(value)

    def _lives(self, node_id: str) -> bool:
        """Whether the store counts the node as alive."""
        if self.site.tables is not None:
            return self.site.tables.alive(node_id)
        return any(node.id == node_id and node.state in _LIVING for node in self.site.store.nodes())

    @contextmanager
    def _as_if_alive(self, node_id: str) -> Iterator[None]:
        """Let the store take the node for alive, as a statement does that has looked before it was declared dead.

        Databases do not promise more within one statement: what it inserts may appear after the node's recovery.
        """
        assert self.site.tables is not None  # noqa: S101  # only there can a row be torn
        nodes: dict[str, Node] = self.site.tables.nodes
        before = nodes[node_id]
        nodes[node_id] = replace(before, state=NodeState.ALIVE)
        yield
        nodes[node_id] = before

    def _at_the_store(
        self, verb: str, args: tuple[Any, ...], kwargs: dict[str, Any], fault: str | None
    ) -> tuple[str, Any] | None:
        """Do at the store what was asked for; return what is sent back, or None: nothing is."""
        site = self.site
        how = "silent" if self.cut else site.down
        if how == "silent":
            return None
        if how == "refusing" or fault == "refuse":
            return "error", StoreUnavailable(f"{verb}: refused (simulated)")
        if fault == "busy":
            return "error", StoreBusy(f"{verb}: rows are locked (simulated)")
        answer: tuple[str, Any]
        try:
            answer = "value", self._happen(verb, args, kwargs)
            if verb in _WRITING or (verb in _MAY_WRITE and answer[1]):
                site.written()
        except Exception as error:  # noqa: BLE001  # what an edit of a broken schedule raises reaches who made it
            answer = "error", error
        if site.tell is not None:
            site.say(self.process.name, told(verb, args, answer))
        if fault == "lose":
            site.say(self.process.name, f"{verb}: the reply is lost")
            return "error", StoreUnavailable(f"{verb}: the reply was lost (simulated)")
        return None if how == "mute" else answer

    def _happen(self, verb: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        site = self.site
        match verb:
            case "due":  # half of all calls
                return site.store.due(*args, **kwargs)
            case "change":
                listening, happened = site.noted(args[1])
                after = site.store.change(args[0], listening)
                happened()
                return after
            case "finish":
                answer = site.store.finish(*args)
                for outcome, taken in zip(args[0], answer, strict=True):
                    if taken:
                        site.wrote(outcome.token, outcome.attempt, outcome.state)
                return answer
            case "recover" | "lapse":
                runs = getattr(site.store, verb)(*args, **kwargs)
                site.ended(runs, loss=verb == "recover")
                return runs
            case "launch" | "claim":
                return self._give(verb, args, kwargs)
            case "beat" | "join":
                answer = getattr(site.store, verb)(*args)
                if answer.alive:
                    site.beaten(self.process.name)
                return answer
            case "cancel":
                run = site.store.cancel(*args, **kwargs)
                site.history.cancel(run.token, running_at=site.time() if run.state.open else None)
                if not run.state.open:
                    site.ended([run])
                return run
            case "retry":
                run = site.store.retry(*args, **kwargs)
                site.history.retry(run.token, site.time())
                return run
        return getattr(site.store, verb)(*args, **kwargs)

    def _give(self, verb: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Let the store give runs to the node, and look whether it might."""
        given: Any = self._launch(*args, **kwargs) if verb == "launch" else self.site.store.claim(*args, **kwargs)
        if (given if verb == "claim" else given.claimed) and not self._lives(args[0]):
            self.site.odd.append(f"{verb}: runs were given to {args[0]}, which is not alive")
        if verb == "launch" and given.taken:
            self.site.odd.append(f"{given.taken[0]} was to be launched again")
        if verb == "launch":
            launched = (fire.token for change in given.changes for fire in change.runs)
            self.site.launches.update(dict.fromkeys(launched, self.site.asked_at))
        self.site.gave(given if verb == "claim" else given.claimed)
        return given

    def _launch(self, node_id: str, plans: Sequence[Plan], **more: Any) -> Launched:
        """Launch all but what the store refuses for its content: that stands alone in the end, and harms no other."""
        site = self.site
        taken = [plan for plan in plans if not (plan.fires and site.refuses(plan.schedule.id))]
        launched = site.store.launch(node_id, taken, **more)
        if len(taken) == len(plans) or not launched.alive:
            return launched
        refused = {plan.schedule.id: "a value out of range (simulated)" for plan in plans if plan not in taken}
        site.faults["refused row"] += len(refused)
        return replace(launched, refused=refused)

    def _seen(self, value: Any) -> Any:
        """Return an answer as this process understands it."""
        if self.opaque and isinstance(value, Poll) and any(row.id.startswith(self.opaque) for row in value.due):
            return replace(value, due=tuple(self._understood(row) for row in value.due))
        return value

    def _understood(self, row: Schedule) -> Schedule:
        if not row.id.startswith(self.opaque):
            return row
        trigger = OpaqueTrigger({"kind": "of a newer release", "version": 1}, why="simulated")
        return replace(row, definition=replace(row.definition, trigger=trigger))

    def _fault(self, verb: str) -> CallFault | None:
        for fault in self.faults:
            if fault.verb == verb:
                fault.times -= 1
                if fault.times <= 0:
                    with suppress(ValueError):
                        self.faults.remove(fault)
                self.site.faults[f"{fault.kind} {verb}"] += 1
                self.site.say(self.process.name, f"{verb}: {fault.kind} comes")
                return fault
        return None

    def _crash(self, verb: str, when: str) -> None:
        self.site.say(self.process.name, f"crashes {when} {verb}")
        self.on_crash()
        if when == "before":
            raise GreenletExit


class Hearing:
    """A notifier that may be deaf, or say things again."""

    def __init__(self, link: Link, inner: Notifier) -> None:
        self._link, self._inner = link, inner
        self._last: frozenset[str] = frozenset()

    def wait(self, timeout: timedelta) -> frozenset[str]:
        """Wait for hints."""
        link = self._link
        link.process.give_up()
        if link.echo:
            hints = self._inner.wait(min(timeout, timedelta(milliseconds=500))) or self._last
        else:
            hints = self._inner.wait(timeout)
        if link.cut or link.site.down is not None:
            raise StoreUnavailable("listen: no connection (simulated)")
        self._last = hints
        return frozenset() if link.deaf else hints

    def close(self) -> None:
        """End."""
        self._inner.close()


def told(verb: str, args: Sequence[Any], answer: tuple[str, Any]) -> str:
    """Return a call and its answer as a line for people."""
    kind, value = answer
    if kind == "error":
        return f"{verb}{_subject(verb, args)} -> {type(value).__name__}: {value}"
    return f"{verb}{_subject(verb, args)} -> {_told(verb, value)}"


def _subject(verb: str, args: Sequence[Any]) -> str:
    match verb:
        case "change":
            return f" {args[0]} {type(args[1]).__name__}"
        case "launch":
            return f" {args[0]} [{', '.join(plan.schedule.id for plan in args[1])}]"
        case "finish":
            return f" [{', '.join(f'{each.token}~{each.attempt} {each.state}' for each in args[0])}]"
        case "beat" | "join":
            return f" {args[0].id}"
        case "claim" | "held" | "leave" | "cancel" | "retry":
            return f" {args[0]}"
        case "began":
            return f" {args[1]}~{args[2]}"
        case "expire":
            return f" {list(args[1])}"
    return ""


def _told(verb: str, value: Any) -> str:
    match verb:
        case "due":
            return f"due [{', '.join(row.id for row in value.due)}] next {value.next_here} run {value.next_run}"
        case "launch":
            claimed = [f"{run.token}~{run.attempt}" for run in value.claimed]
            skips = [f"{skip.schedule_id} {skip.reason} {skip.count}" for each in value.changes for skip in each.skips]
            more = "" if value.alive else " NOT ALIVE"
            return (
                f"claimed {claimed} pending {list(value.pending)} skips {skips}"
                f" lost {list(value.lost)} locked {list(value.locked)}{more}"
            )
        case "beat" | "join":
            alive = [node.id for node in value.nodes]
            return f"alive={value.alive} nodes {alive} held {[f'{each.token}~{each.attempt}' for each in value.held]}"
        case "claim" | "held" | "recover" | "lapse":
            return str([_run(run) for run in value])
        case "cancel" | "retry":
            return _run(value)
        case "change":
            return "nothing" if value is None else f"{value.state} next {value.next_fire} watermark {value.watermark}"
    return str(value)[:200]


def _run(run: Run) -> str:
    return f"{run.token}~{run.attempt} {run.state}"
