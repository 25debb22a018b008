"""The node of this process: started, served until a signal, stopped, forgotten after a fork."""

from __future__ import annotations

import atexit
import logging
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from tickonce import forks, threads
from tickonce.clock import SYSTEM_CLOCK
from tickonce.context import current_run
from tickonce.errors import ConfigError, StoreError, WrongState

if TYPE_CHECKING:
    from tickonce.engine.node import EngineNode

_log = logging.getLogger("tickonce.scheduler")

#: How long a node that nobody stopped may drain when the interpreter ends.
DRAIN_AT_EXIT = timedelta(seconds=5)

#: A signal so soon after the first is no second request.
ECHO = timedelta(milliseconds=500)

#: What a node that is to stop at once may still take to say so; a store that gives no answer keeps nobody for longer.
AT_ONCE = timedelta(milliseconds=500)

#: How often the main thread lets handlers of signals run, should none have interrupted it.
LOOKS_EVERY = timedelta(milliseconds=500)

#: First and longest wait between tries to join a store that does not answer.
FIRST_TRY_AGAIN = timedelta(milliseconds=500)
LAST_TRY_AGAIN = timedelta(seconds=10)

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name))
_STOPPED, _STARTED = 0, -1


class Host:
    """At most one node in this process, for one Scheduler."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._node: EngineNode | None = None
        self._inbox: queue.SimpleQueue[int] | None = None
        self._ended = True
        self._previous: dict[int, Any] = {}
        self._joining: _Joining | None = None
        #: What starts the node of a forked child.
        self._again: Callable[[], EngineNode] | None = None
        _hosts.add(self)

    @property
    def node(self) -> EngineNode | None:
        """The node, while there is one."""
        return self._node

    @property
    def alive(self) -> bool:
        """Whether the node does its work."""
        node = self._node
        return node is not None and node.alive

    def start(self, make: Callable[[], EngineNode], *, again: bool = False) -> EngineNode:
        """Start a node in the background.

        Args:
            make: Makes the node.
            again: Whether a forked child gets one, too; see ``start_soon``, by which it does.

        Raises:
            WrongState: There is one already.
            StoreError: The store cannot be reached or used; nothing was started.
        """
        if self._joining is not None:
            raise _running()
        node = self._begin(make)
        if again:
            self._again = make
        return node

    def start_soon(self, make: Callable[[], EngineNode], *, again: bool = False) -> None:
        """Start a node in the background, and try until the store answers; return at once.

        What else goes wrong is logged. A ``stop`` ends the tries.

        Raises:
            WrongState: There is a node already, or one is about to join.
        """
        with self._lock:
            if self._node is not None or self._joining is not None:
                raise _running()
            self._joining = _Joining(self, make)
            self._again = make if again else None
            joining = self._joining
        joining.start()

    def _begin(self, make: Callable[[], EngineNode], joining: _Joining | None = None) -> EngineNode:
        mine = self._lock
        with mine:
            if self._node is not None:
                raise _running()
            if joining is not None and joining.cancelled:
                raise WrongState("the node of this Scheduler", state="stopped", wanted="still to be started")
            node = make()
            node.start()
            self._node = node
            _drain_before_executors()
            if self._lock is not mine:  # it took too long for somebody who wanted to stop at once
                self._node = None
                node.abort()
                node.stop(timedelta(0))
            return node

    def start_in_child(self) -> None:
        """Start the node of this forked child, if it is to have one."""
        again = self._again
        if again is not None:
            self.start_soon(again, again=True)

    def stop(self, drain: timedelta | None) -> bool:
        """Stop the node, if there is one; return whether all that ran has ended.

        Asked for by a job of its own, it returns at once, with False: the job would wait for itself. Asked for twice,
        the second waits for the first, whose *drain* holds, and returns the same.
        """
        self._again = None
        joining, self._joining = self._joining, None
        if joining is not None:
            joining.cancel()
        run, node = current_run(None), self._node
        # The first run may be faster than start(), which then holds the lock. In a child that a job has forked, the
        # run is still the parent's. A node that was declared dead has another id than when the job began.
        of_it = run is not None and (self._lock.locked() if node is None else node.was(run.node))
        if of_it and not threads.ends_here():
            self._stop_beside(drain)
            return False
        return self._stop(drain)

    def _stop_beside(self, drain: timedelta | None) -> None:
        threads.begin(threading.Thread(target=self._stop, args=(drain,), name="tickonce-stop", daemon=True))

    def _stop(self, drain: timedelta | None) -> bool:
        try:
            with self._lock:
                node = self._node
                if node is not None:
                    ended = node.stop(drain)
                    if self._node is not node:  # given up meanwhile
                        return False
                    self._ended, self._node = ended, None
                return self._ended
        finally:
            inbox = self._inbox  # read last: serve() may have been on its way
            if inbox is not None:
                inbox.put(_STOPPED)

    def serve(
        self,
        make: Callable[[], EngineNode],
        *,
        drain: timedelta | None,
        ready: Callable[[], None],
        let_go: Callable[[], None],
    ) -> bool:
        """Start a node and wait for SIGTERM, SIGINT, or a ``stop`` in another thread; return whether all ended in time.

        The first signal drains, the second stops at once, whatever the store does; *let_go* is then called for what a
        thread of the node may still be using. Afterwards the signals do again what they did before.

        Raises:
            ConfigError: This is not the main thread.
        """
        if threading.current_thread() is not threading.main_thread():
            raise ConfigError("serve() takes over signals, so it works in the main thread only; elsewhere use start()")
        # A queue, not an Event: a signal is taken between any two steps of this very thread, and an Event's lock may be
        # held there. SimpleQueue.put is made for that.
        inbox = _new_inbox()
        with self._signals(inbox):
            self._inbox = inbox  # before the node: a stop() that comes while it starts must be heard
            starting = _Starting(lambda: self.start(make), ready, inbox)
            given_up = False
            try:
                given_up = self._until_stopped(inbox, starting, drain)
            finally:
                self._inbox = None
                if given_up:
                    self._give_up()
                    let_go()
                else:
                    starting.join()
                    if starting.node is not None and self._node is starting.node:
                        self._stop(drain)  # *ready* raised, or a stop() came before the node
        if starting.error is not None and not given_up:
            raise starting.error
        return self._ended

    def _until_stopped(self, inbox: queue.SimpleQueue[int], starting: _Starting, drain: timedelta | None) -> bool:
        """Wait for the end of the node; return whether it was given up."""
        started = wanted = False
        since: timedelta | None = None
        while True:
            word = _next(inbox)
            if word == _STARTED:
                started = True
                if starting.error is not None:
                    return False
                if wanted:
                    self._stop_beside(drain)
            elif word == _STOPPED:
                if started:
                    return False
                wanted = True
            elif since is None:
                since, wanted = SYSTEM_CLOCK.monotonic(), True
                _log.info("%s: the node stops; once more stops it at once", signal.Signals(word).name)
                if started:
                    self._stop_beside(drain)
            elif SYSTEM_CLOCK.monotonic() - since >= ECHO:
                # Sooner it is one request by two ways: timeout(1) and others signal the whole group, too.
                _log.warning("%s again: the node stops at once", signal.Signals(word).name)
                return not self._stops_at_once(inbox, starting, started=started)

    def _stops_at_once(self, inbox: queue.SimpleQueue[int], starting: _Starting, *, started: bool) -> bool:
        """Stop without waiting for what runs; return whether the node could still say that it left."""
        self._abort()
        until = SYSTEM_CLOCK.monotonic() + AT_ONCE
        while (left := until - SYSTEM_CLOCK.monotonic()) > timedelta(0):
            with suppress(queue.Empty):
                word = inbox.get(timeout=left.total_seconds())
                if word == _STARTED:
                    if starting.error is not None:
                        return True
                    started = True
                    self._abort()
                    self._stop_beside(timedelta(0))
                elif word == _STOPPED and started:
                    return True
        _log.warning("the store gives no answer: the node ends without a word, others find out within its lease")
        return False

    def _give_up(self) -> None:
        """Go on without the node, whose threads may wait for the store for a while yet."""
        self._lock = threading.Lock()  # a thread that waits for the store holds the other one
        self._abort()
        self._node = None
        self._ended = False

    def _abort(self) -> None:
        node = self._node
        if node is not None:
            node.abort()

    def forget(self) -> None:
        """Begin anew without a node, as a process must after a fork: the parent's node has no threads here."""
        self._lock = threading.Lock()
        self._node = None
        self._joining = None
        self._inbox = None
        self._ended = True
        # A child that kept serve()'s handlers could not be terminated any more.
        for number, before in self._previous.items():
            signal.signal(number, before)
        self._previous = {}

    @contextmanager
    def _signals(self, inbox: queue.SimpleQueue[int]) -> Iterator[None]:
        def taken(number: int, frame: object) -> None:
            del frame
            inbox.put(number)

        for number in _SIGNALS:
            before = signal.signal(number, taken)
            self._previous[number] = signal.SIG_DFL if before is None else before  # None: set by other than Python
        try:
            yield
        finally:
            previous, self._previous = self._previous, {}
            for number, before in previous.items():
                signal.signal(number, before)


class _Joining:
    """A start in a thread of its own, tried again until the store answers.

    Attributes:
        cancelled: It is not wanted any more.
    """

    def __init__(self, host: Host, make: Callable[[], EngineNode]) -> None:
        self.cancelled = False
        self._host, self._make = host, make
        self._woken = SYSTEM_CLOCK.signal()

    def start(self) -> None:
        """Begin to try."""
        threads.begin(threading.Thread(target=self._run, name="tickonce-join", daemon=True))

    def cancel(self) -> None:
        """Try no more; a try that is under way ends by itself, and ``stop`` waits for it."""
        self.cancelled = True
        self._woken.set()

    def _run(self) -> None:
        pause = FIRST_TRY_AGAIN
        try:
            while not self.cancelled:
                try:
                    self._host._begin(self._make, self)  # noqa: SLF001 - the same module
                except StoreError as error:
                    log = _log.warning if pause == FIRST_TRY_AGAIN else _log.debug
                    log("no node in this process yet, it is tried again until the store answers: %s", error)
                    self._woken.wait(pause)
                    pause = min(2 * pause, LAST_TRY_AGAIN)
                else:
                    if pause != FIRST_TRY_AGAIN:  # as loud as what it takes back
                        _log.warning("the store answers: this process has its node now")
                    return
        except WrongState as error:
            _log.debug("not joined: %s", error)
        except BaseException:  # noqa: BLE001  # there is nobody to whom this thread could raise it
            _log.exception("this process has no node: it could not be started")
        finally:
            if self._host._joining is self:  # noqa: SLF001 - the same module
                self._host._joining = None  # noqa: SLF001


class _Starting:
    """The start of a node in a thread beside the main one, which is to hear signals meanwhile.

    Attributes:
        node: The node, once it is there.
        error: What *start* or *ready* raised.
    """

    def __init__(
        self, start: Callable[[], EngineNode], ready: Callable[[], None], inbox: queue.SimpleQueue[int]
    ) -> None:
        self.node: EngineNode | None = None
        self.error: BaseException | None = None
        self._start, self._ready, self._inbox = start, ready, inbox
        self._thread = threading.Thread(target=self._run, name="tickonce-start", daemon=True)
        threads.begin(self._thread)

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self.node = self._start()
            self._ready()
        except BaseException as error:  # noqa: BLE001  # raised in the main thread
            self.error = error
        finally:
            self._inbox.put(_STARTED)


def _new_inbox() -> queue.SimpleQueue[int]:
    return queue.SimpleQueue()  # by its module: gevent replaces it there


def _next(inbox: queue.SimpleQueue[int]) -> int:
    """Wait for what comes next."""
    while True:
        # Not without end: a signal that comes just before the wait begins does not interrupt it, and its handler would
        # run only after it. (On Windows none interrupts it.)
        with suppress(queue.Empty):
            return inbox.get(timeout=LOOKS_EVERY.total_seconds())


def _running() -> WrongState:
    return WrongState("the node of this Scheduler", state="running", wanted="stopped; stop() it first")


_hosts: WeakSet[Host] = WeakSet()


def _start_in_child() -> None:
    for host in list(_hosts):
        host.start_in_child()


forks.in_child(threads.hear_again)
forks.in_child(_start_in_child, last=True)


# -- the end of the interpreter --------------------------------------------------------------------


@atexit.register
def _drain_at_exit() -> None:
    for host in list(_hosts):
        host.stop(DRAIN_AT_EXIT)


def _drain_before_executors() -> None:
    """Have nodes drained while executors still take work, once the program's own threads have ended.

    Hooks of ``atexit`` come too late for that: a coroutine that then opens a connection, or hands something to a
    thread, fails with "cannot schedule new futures after interpreter shutdown". What the executors themselves use for
    this has no public name.
    """
    global _hooked  # noqa: PLW0603  # such hooks cannot be taken back, so there is one at most
    register = getattr(threading, "_register_atexit", None)
    if _hooked or register is None or threads.replaced_by() is not None:
        return
    import concurrent.futures.thread  # noqa: F401  # its own hook first: they are called in reverse

    with suppress(RuntimeError):  # the interpreter is ending
        register(_drain_behind_threads)
    _hooked = True


_hooked = False


def _drain_behind_threads() -> None:
    if not any(host.node is not None for host in list(_hosts)):
        return
    while running := _threads_of_the_program():
        running[0].join()
    _drain_at_exit()


def _threads_of_the_program() -> list[threading.Thread]:
    """Return the threads for which the interpreter waits at its end, but for those of executors: they wait for it."""
    from concurrent.futures import thread as executors

    waiting = set(getattr(executors, "_threads_queues", ()))
    spared = {threading.main_thread(), threading.current_thread(), *waiting}
    return [thread for thread in threading.enumerate() if not thread.daemon and thread not in spared]
