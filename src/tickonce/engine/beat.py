"""Beats: the node says that it lives, and hears who else does and what it holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from tickonce.config import NodeConfig
from tickonce.engine.lease import Lease, Witness
from tickonce.engine.storetime import StoreTime
from tickonce.engine.ticker import Ticker
from tickonce.engine.worker import Worker
from tickonce.events import Event, Events
from tickonce.model import Beat, Node, NodeId, NodeState, job_marks, node_with
from tickonce.partition import shares
from tickonce.ports import Clock, Signal, Store

_log = logging.getLogger("tickonce.node")

#: Beats that hints or errors ask for come at most this often.
SOONEST = timedelta(seconds=1)

_ZERO = timedelta(0)


class Heart:
    """One pass is ``step()``: a beat and what follows from its answer."""

    def __init__(
        self,
        store: Store,
        *,
        config: NodeConfig,
        clock: Clock,
        time: StoreTime,
        lease: Lease,
        witness: Witness,
        ticker: Ticker,
        worker: Worker,
        events: Events,
        signal: Signal,
        row: Callable[[], Node],
        on_heard: Callable[[], None],
        on_members: Callable[[], None],
    ) -> None:
        self._store, self._config, self._clock = store, config, clock
        self._time, self._lease, self._witness = time, lease, witness
        self._ticker, self._worker, self._events = ticker, worker, events
        self._signal, self._row = signal, row
        self._on_heard, self._on_members = on_heard, on_members
        self._node = Node(id="")
        self._beaten_at = timedelta(days=-1)
        self._hurried_at = self._beaten_at
        self._wanted = self._at_once = self._told_jump = False
        self._members: frozenset[tuple[str, NodeState, bool]] = frozenset()
        self.members: tuple[Node, ...] = ()
        self.incarnations: set[NodeId] = set()
        self.leaving = False

    @property
    def node(self) -> Node:
        """The row of the incarnation that this node is now."""
        return self._node

    @property
    def beaten_at(self) -> timedelta:
        """Monotonic time of the last accepted beat."""
        return self._beaten_at

    def soon(self, *, at_once: bool = False) -> None:
        """Beat before it is time: a reply was lost, or the set of nodes has changed."""
        self._wanted = True
        if at_once:  # never written otherwise: another thread may have asked for it just now
            self._at_once = True
        self._signal.set()

    def join(self) -> None:
        """Take part under a new incarnation."""
        node = self._row()
        node = node_with(node, facts={**node.facts, **self._of_late()})
        self.incarnations.add(node.id)
        sent = self._clock.monotonic()
        self._worker.incarnation(node.id)
        self._node = node
        # The ticker follows only when the row is there: its launches carry the id.
        self._witness.broken()
        self._lease.sending()
        self._accepted(self._store.join(node), sent)

    def step(self) -> timedelta:
        """Beat; return how long to wait for the next one."""
        now = self._clock.monotonic()
        wait = self._wait(now)
        if wait > _ZERO:
            return wait
        if self._wanted:
            self._hurried_at = now
        self._wanted = self._at_once = False
        self._lease.sending()
        try:
            answer = self._store.beat(self._described(now))
        except BaseException:
            self._witness.broken()
            self._time_out()
            raise
        if not answer.alive:
            self._reborn()
            return SOONEST
        self._accepted(answer, now)
        return self._config.beat

    def _wait(self, now: timedelta) -> timedelta:
        regular = self._beaten_at + self._config.beat - now
        if self._at_once:
            return _ZERO
        return min(regular, self._hurried_at + SOONEST - now) if self._wanted else regular

    def _described(self, now: timedelta) -> Node:
        self._node = node_with(
            self._node,
            state=NodeState.LEAVING if self.leaving else NodeState.ALIVE,
            serving=self._ticker.serving(now),
            ticked_at=self._ticker.ticked_at,
            busy=self._worker.busy,
            facts={**self._node.facts, **self._of_late()},
        )
        return self._node

    def _of_late(self) -> dict[str, float | str]:
        """Facts that change: how far this machine's clock is ahead of the store's, and what can be carried out."""
        offset_s = round(self._time.offset.total_seconds(), 3)
        return {"clock_offset_s": offset_s, "jobs": job_marks(self._worker.serves.jobs)}

    def _accepted(self, answer: Beat, sent: timedelta) -> None:
        # Also where the reply to a join was lost: the row is there, and the first beat that is accepted says so.
        self._ticker.node = self._node.id
        self._ticker.up_since = self._ticker.up_since or answer.instant
        self._lease.renewed(sent=sent)
        self._witness.beaten(answer.instant, sent=sent)
        self._beaten_at = sent
        self._hear(answer, sent)

    def _hear(self, answer: Beat, sent: timedelta) -> None:
        self._time.learned(answer.instant, sent=sent)
        self._time.epoch(answer.clock_epoch)
        self._tell_jump()
        self._worker.hear(answer.held)
        if self._worker.unknown(answer.held):
            self._worker.want_adoption()  # by the work thread: nothing that may wait has a place between two beats
        self._meet(answer.nodes, answer.instant)
        self._on_heard()

    def _tell_jump(self) -> None:
        # Compared with what was told, not with what was known before this beat: a look of the ticker may have seen it.
        jumped, told = self._time.jumped, self._told_jump
        self._told_jump = jumped
        if jumped and not told:
            reason = "the store's clock moved by more than a minute against the clocks here: nothing is launched"
            _log.error("%s; if it is right now, say so with: tickonce doctor --accept-clock", reason)
            self._events.emit(Event(kind="clock_jump", reason=reason))
        elif told and not jumped:
            _log.info("the store's clock is believed again: launching goes on")

    def _meet(self, nodes: tuple[Node, ...], instant: datetime) -> None:
        """Take in who lives; when that has changed, share the work anew."""
        self.members = nodes
        # One whose lease is over owns nothing from then on, whether or not a witness has judged it yet.
        living = tuple(node for node in nodes if node.alive_until is None or node.alive_until > instant)
        members = frozenset((node.id, node.state, node.serving) for node in living)
        if members != self._members:
            self._members = members
            self._ticker.shares = () if self.leaving else shares(self._node.id, living)
            self._on_members()

    def _time_out(self) -> None:
        """The beat got no answer: try again soon, not a whole beat later."""
        self._wanted = True

    def _reborn(self) -> None:
        """This incarnation was declared dead: become a new one; threads that still run keep their slots."""
        self._lease.lost()
        self._witness.broken()
        self._ticker.shares = ()
        self._members = frozenset()
        if self.leaving:
            _log.info("node %s was declared dead while it leaves", self._node.id)
            self._beaten_at = self._clock.monotonic()  # there is nothing more to be said before the next beat
            return
        _log.warning("node %s was declared dead; it goes on under a new id", self._node.id)
        self.join()
