"""What users hold: a client of a store, and the node of this process once it is started."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, Unpack, overload

from tickonce import forks
from tickonce.client import Client
from tickonce.clock import SYSTEM_CLOCK
from tickonce.config import NodeConfig
from tickonce.definitions import form_of, hash_of
from tickonce.durations import parse_duration
from tickonce.editing import Declare
from tickonce.errors import ConfigError, StoreError
from tickonce.events import Callback, EventKind, Events
from tickonce.hosting import Host
from tickonce.jobs import Declared, Job, Jobs
from tickonce.model import NodeState, Schedule, ScheduleState
from tickonce.ports import Clock, Runner, Store, Surroundings
from tickonce.settings import JobSettings, NodeSettings, ScheduleSettings, node_config
from tickonce.threads import check_threads, stale
from tickonce.triggers import Trigger

if TYPE_CHECKING:
    import asyncio

    from tickonce.engine.node import EngineNode

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=Callback)

_log = logging.getLogger("tickonce.scheduler")


class Scheduler(Client):
    """A client of a store of schedules and runs; and, once ``start`` or ``serve`` is called, a node of the fleet.

    To make one and to decorate functions touches nothing: the store is opened at first use. So a module that holds one
    can be imported anywhere. ``with scheduler:`` and ``close`` only give back connections.

    A process that forks goes on as it was. The child's Scheduler takes nothing along and opens a store of its own. (A
    store that was given as an object has to bear that itself.) It is a client without a node, unless the node was
    started with ``after_fork="start"``. A node that nobody stopped drains for at most 5 s when the interpreter ends.

    All methods may be called from any thread.

    Args:
        store: URL, such as ``postgresql://user@host/database`` or ``sqlite:////var/lib/myapp/tickonce.db``, or a store.
            None is the environment's ``TICKONCE_STORE``, read at first use.
        tz: Zone for triggers that name none, as IANA name.
        release: The program's release. An older one never replaces what a newer one declares.
        name: Who is written down as author of edits, and the node's name for people; ``user@host`` and the machine's by
            default.
        config: Settings of the node.
        clock: For tests.
        **settings: Settings of the node one by one, see :class:`tickonce.settings.NodeSettings`.

    Raises:
        ConfigError: A setting is out of its range.
        TriggerError: *tz* is no zone.

    Attributes:
        jobs: The registry of jobs and declared schedules.
        events: What ``on`` registers with.
        tz: Zone for triggers that name none.
        release: The program's release.
        config: Settings of the node.
        clock: Time and waiting.

    Example:
        >>> from datetime import datetime
        >>> scheduler = Scheduler("memory:", tz="Asia/Shanghai")
        >>> @scheduler.schedule("0 21 * * *", id="nightly", retries=3, timeout="10m")
        ... def close_the_books() -> None: ...
        >>> scheduler.next_fires("0 21 * * *", 1, after=datetime.fromisoformat("2026-11-21T00:00+08:00"))
        [datetime.datetime(2026, 11, 21, 13, 0, tzinfo=datetime.timezone.utc)]
    """

    def __init__(
        self,
        store: str | Store | None = None,
        *,
        tz: str = "UTC",
        release: str | None = None,
        name: str | None = None,
        config: NodeConfig | None = None,
        clock: Clock = SYSTEM_CLOCK,
        **settings: Unpack[NodeSettings],
    ) -> None:
        base = NodeConfig() if config is None else config
        super().__init__(store, jobs=Jobs(), tz=tz, name=name, config=node_config(base, settings), clock=clock)
        self.events = Events(around=self._around_callback)
        self.release = release
        self._host = Host()
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- declaring -----------------------------------------------------------------------------

    @overload
    def job(self, function: Callable[P, R], /) -> Job[P, R]: ...
    @overload
    def job(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        aliases: Iterable[str] = (),
        **options: Unpack[JobSettings],
    ) -> Callable[[Callable[P, R]], Job[P, R]]: ...
    def job(
        self,
        function: Any = None,
        /,
        *,
        name: str | None = None,
        aliases: Iterable[str] = (),
        **options: Unpack[JobSettings],
    ) -> Any:
        """Register a function as a job: ``@scheduler.job``; see :meth:`tickonce.jobs.Jobs.job`."""
        register = self.jobs.job(name=name, aliases=aliases, **options)
        return register if function is None else register(function)

    def schedule(
        self,
        trigger: Trigger | str,
        *,
        id: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **settings: Unpack[ScheduleSettings],
    ) -> Callable[[Callable[P, R]], Job[P, R]]:
        """Declare a schedule of the decorated function; see :meth:`tickonce.jobs.Jobs.schedule`."""
        return self.jobs.schedule(trigger, id=id, args=args, kwargs=kwargs, **settings)

    def include(self, jobs: Jobs) -> None:
        """Take in the jobs and schedules of a registry; see :meth:`tickonce.jobs.Jobs.include`."""
        self.jobs.include(jobs)

    def declare(self) -> list[Schedule]:
        """Write the schedules that code declares, as a node does when it starts; for a step of a deployment.

        One atomic step a schedule. Unchanged ones are not touched, changed ones are edited; what people changed by hand
        stays as they want it, and what they removed stays removed. Any number of processes may do this at once. A
        schedule whose trigger raises is written as set aside, with the reason, and keeps no other from being declared.

        Returns:
            The schedules as they are then, without removed ones.

        Raises:
            ConfigError: A schedule's ``grace`` is shorter than nodes need to take over from each other.
            StoreError: The store cannot be reached or used.
        """
        store = self.store
        after = [store.change(item.schedule_id, item) for item in self._declares()]
        return [each for each in after if each is not None and each.state is not ScheduleState.REMOVED]

    def on(self, kind: EventKind, callback: C) -> C:
        """Call *callback* with each :class:`tickonce.events.Event` of *kind* that happens in this process's node.

        Callbacks run one after the other in a thread of their own; what they raise is logged.

        Raises:
            ConfigError: There is no such kind, or *callback* is not a plain function.
        """
        self.events.on(kind, callback)
        return callback

    # -- the node of this process --------------------------------------------------------------

    def start(
        self,
        *,
        wait: bool = True,
        after_fork: Literal["none", "start"] = "none",
        loop: asyncio.AbstractEventLoop | None = None,
        **settings: Unpack[NodeSettings],
    ) -> None:
        """Start a node in the background of this process: write what code declares, launch, carry out.

        Args:
            wait: Return when the node has joined, and raise when it cannot. False returns at once, for hosts that are
                there with or without a node, such as web servers: joining is tried until the store answers, and the log
                says how that goes.
            after_fork: What a process that is forked from this one has: no node (``"none"``), or one of its own, which
                joins as with ``wait=False`` (``"start"``). That holds for every kind of fork, so for the children of a
                job that uses ``multiprocessing``, too.
            loop: A running event loop for the coroutine jobs, such as the application's; None is one in a thread of
                their own. It has to run until the node has stopped. A forked child never has this one.
            **settings: In place of the Scheduler's own, see :class:`tickonce.settings.NodeSettings`.

        Raises:
            WrongState: The node runs already, or is about to: one Scheduler has one node.
            ConfigError: A setting is out of its range, no store is named, or threads cannot carry a node here
                (eventlet, uWSGI without ``enable-threads``).
            StoreError: The store cannot be reached or used; nothing was started. Not with ``wait=False``.
        """
        if after_fork not in {"none", "start"}:
            raise ConfigError(f"after_fork must be 'none' or 'start', got {after_fork!r}")
        make = self._make(settings)
        self._check_process()
        if wait:
            self._loop = loop
            self._host.start(make, again=after_fork == "start")
            return
        self._named()
        self._loop = loop
        self._host.start_soon(make, again=after_fork == "start")

    def stop(self, drain: timedelta | str | None = None) -> bool:
        """Stop the node, if there is one: take nothing more, let what runs end within *drain*, hand back the rest.

        A job may call this; then it returns at once, as the job would wait for itself. (A thread that the job has
        started, and waits for, is not known to be its own: there the stop lasts for the whole *drain*.) A second call
        meanwhile waits for the first. Afterwards ``start`` may be called again.

        Args:
            drain: ``drain_timeout`` of the settings by default.

        Returns:
            Whether all that ran has ended.
        """
        return self._host.stop(None if drain is None else parse_duration(drain, "drain"))

    @contextmanager
    def node(
        self, *, wait: bool = True, loop: asyncio.AbstractEventLoop | None = None, **settings: Unpack[NodeSettings]
    ) -> Iterator[Self]:
        """Start a node, and stop it at the end of the block; see :meth:`start`."""
        self.start(wait=wait, loop=loop, **settings)
        try:
            yield self
        finally:
            self.stop()

    def serve(self, *, drain: timedelta | str | None = None, **settings: Unpack[NodeSettings]) -> bool:
        """Be a node until SIGTERM or SIGINT, or until ``stop`` is called in another thread.

        The first signal takes nothing more and lets what runs end; the second stops at once, within a second even where
        the store gives no answer. One that comes while the node still joins is heard, too. Works in the main thread
        only, as Python hands signals to no other, and leaves them as they were. What it serves is logged; where logging
        is not set up, it goes to stderr.

        Args:
            drain: As for :meth:`stop`.
            **settings: As for :meth:`start`.

        Returns:
            Whether all that ran has ended in time.

        Raises:
            ConfigError: This is not the main thread.
            WrongState: The node runs already.
            StoreError: The store cannot be reached or used.
        """
        wait = None if drain is None else parse_duration(drain, "drain")
        self._check_process()
        self._loop = None
        return self._host.serve(self._make(settings), drain=wait, ready=self._announce, let_go=super()._forget)

    @property
    def alive(self) -> bool:
        """Whether this process has a node that does its work: its threads run, and the store knows it is there."""
        return self._host.alive

    @property
    def node_id(self) -> str | None:
        """Id of this process's node, while there is one."""
        node = self._host.node
        return None if node is None else node.id

    # -- the client ----------------------------------------------------------------------------

    def close(self) -> None:
        """Give back connections; the node, if there is one, is stopped first. The Scheduler may be used again.

        A store that was given as an object is left to its giver.
        """
        self.stop()
        self.events.close()
        super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- steps ---------------------------------------------------------------------------------

    def _declares(self) -> list[Declare]:
        """Return what code declares, by id."""
        return [self._declare(item) for item in self.jobs.declared]

    def _declare(self, declared: Declared) -> Declare:
        definition = declared.definition(self.tz)
        self.config.check_grace(definition.policy, schedule_id=declared.id)
        return Declare(
            schedule_id=declared.id,
            definition=definition,
            hash=hash_of(definition),
            form=form_of(definition),
            release=self.release,
            by=self.by,
        )

    def _make(self, settings: NodeSettings) -> Callable[[], EngineNode]:
        config = node_config(self.config, settings)

        def make() -> EngineNode:
            with forks.undivided():
                from tickonce.engine.node import EngineNode

                runners = self._runners()
                self._named()
            return EngineNode(
                self.store,
                self.jobs,
                config=config,
                clock=self.clock,
                events=self.events,
                declares=self._declares,
                runners=runners,
                around=self._surroundings(),
                release=self.release,
                name=self._name or "",
            )

        return make

    def _runners(self) -> Mapping[str, Runner]:
        """Return what carries out the jobs."""
        from tickonce.runners import default_runners

        return default_runners("tickonce", loop=self._loop, ends=self._thread_ends)

    def _surroundings(self) -> Surroundings | None:
        """Return what the host of this Scheduler puts around jobs and callbacks."""
        return None

    def _around_callback(self) -> AbstractContextManager[object]:
        around = self._surroundings()
        return nullcontext() if around is None else around.of_function()

    def _thread_ends(self) -> None:
        """A thread that has carried out jobs ends: hosts give back there what is its own."""

    def _announce(self) -> None:
        """Say what is served: the store above all, for a wrong one is the usual reason why nothing runs."""
        try:
            alive = sum(node.state is NodeState.ALIVE for node in self.store.nodes())
            found = f"{alive} node(s) alive, {len(self.store.ids())} schedule(s)"
        except StoreError as error:
            found = str(error)
        text = f"tickonce serves {self.store.url} as node {self.node_id}: {found}, time zone {self.tz}"
        if _log.hasHandlers():
            _log.info(text)
        else:
            sys.stderr.write(text + "\n")

    def _check_process(self) -> None:
        """Refuse a process that cannot carry a node; make locks anew that were made before threads were replaced."""
        forks.settle()
        check_threads()
        if self._host.node is None and stale(self._lock):
            self._forget()

    def _forget(self) -> None:
        super()._forget()
        self._loop = None
        self.events.forget()
        self._host.forget()
