"""The same for asyncio: every verb as a coroutine, carried out in a few threads of its own."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar, Unpack, overload

from tickonce.bound import Editor, JobLike
from tickonce.client import RunQuery, ScheduleQuery
from tickonce.clock import SYSTEM_CLOCK
from tickonce.config import NodeConfig, Retention
from tickonce.errors import ConfigError, NotTransactional
from tickonce.events import Callback, EventKind, Events
from tickonce.jobs import Job, Jobs
from tickonce.model import Node, Page, Run, Schedule, Skip, Token
from tickonce.ports import Clock, Store
from tickonce.scheduler import Scheduler
from tickonce.settings import JobSettings, NodeSettings, ScheduleSettings
from tickonce.triggers import Trigger

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=Callback)

#: Calls that are carried out at the same time; others wait for a free thread.
THREADS = 4


class _AsyncEditor:
    """The verbs that change one schedule each; what they mean is said in :class:`tickonce.bound.Editor`."""

    async def _edit(self, verb: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Carry out *verb*, a method of ``Editor``."""
        raise NotImplementedError

    async def add(
        self,
        id: str | None,
        job: JobLike,
        trigger: Trigger | str,
        *,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        if_exists: Literal["error", "keep", "update"] = "error",
        paused: bool = False,
        **settings: Unpack[ScheduleSettings],
    ) -> Schedule:
        """Add a schedule."""
        return await self._edit(
            Editor.add, id, job, trigger, args=args, kwargs=kwargs, if_exists=if_exists, paused=paused, **settings
        )

    async def update(
        self,
        id: str,
        *,
        expected_revision: int | None = None,
        job: JobLike | None = None,
        trigger: Trigger | str | None = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **settings: Unpack[ScheduleSettings],
    ) -> Schedule:
        """Change what is given and leave the rest."""
        return await self._edit(
            Editor.update,
            id,
            expected_revision=expected_revision,
            job=job,
            trigger=trigger,
            args=args,
            kwargs=kwargs,
            **settings,
        )

    async def pause(self, id: str, *, reason: str = "", until: datetime | None = None) -> Schedule:
        """Launch nothing more until ``resume``, or until the instant *until*."""
        return await self._edit(Editor.pause, id, reason=reason, until=until)

    async def resume(self, id: str, *, missed: Literal["latest", "all"] | None = None) -> Schedule:
        """Go on after a pause, or after the schedule was set aside."""
        return await self._edit(Editor.resume, id, missed=missed)

    async def remove(self, id: str) -> None:
        """Remove a schedule."""
        await self._edit(Editor.remove, id)

    async def revert(self, id: str) -> Schedule:
        """Give back what people changed of a declared schedule."""
        return await self._edit(Editor.revert, id)

    async def run_now(
        self,
        id: str,
        *,
        key: str | None = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Run:
        """Start one run by hand."""
        return await self._edit(Editor.run_now, id, key=key, args=args, kwargs=kwargs)

    async def get(self, id: str) -> Schedule:
        """Return a schedule."""
        return await self._edit(Editor.get, id)


class AsyncScheduler(_AsyncEditor):
    """A :class:`tickonce.Scheduler` for asyncio: the same verbs, arguments and errors; each call is a coroutine.

    The calls run in four threads of its own, since stores and engine are blocking code; so nothing waits on the event
    loop. One that is cancelled goes on in its thread: its step may have happened. Decorators, ``include`` and ``on``
    are as they are there. Coroutine jobs run on the node's event loop, or on the one that ``start`` is given.

    Attributes:
        sync: The Scheduler that does the work, for code that is not asynchronous; ``serve`` is found there only.

    Example::

        scheduler = AsyncScheduler()

        async def lifespan(app):
            async with scheduler, scheduler.node():
                yield
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
        self.sync = Scheduler(store, tz=tz, release=release, name=name, config=config, clock=clock, **settings)
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return f"<Async{repr(self.sync)[1:]}"

    async def _run(self, verb: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *verb* in one of our threads, with the context of the caller: a job stays in its run."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigError(
                "AsyncScheduler needs asyncio's event loop, and here another one runs, such as trio's: choose asyncio "
                "(hypercorn: -k asyncio), or use Scheduler, whose calls block, in threads of that loop's"
            ) from None
        if self._pid != os.getpid():  # threads do not come along through a fork, and a lock perhaps held
            self._threads, self._lock, self._pid = None, threading.Lock(), os.getpid()
        call = partial(contextvars.copy_context().run, partial(verb, *args, **kwargs))
        with self._lock:  # another loop of this process may be closing
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="tickonce-aio")
            called = self._threads.submit(call)
        return await asyncio.wrap_future(called, loop=loop)

    async def _edit(self, verb: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._run(partial(verb, self.sync), *args, **kwargs)

    # -- declaring -----------------------------------------------------------------------------

    @property
    def jobs(self) -> Jobs:
        """The registry of jobs and declared schedules."""
        return self.sync.jobs

    @property
    def events(self) -> Events:
        """What ``on`` registers with."""
        return self.sync.events

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
        """Register a function as a job."""
        register = self.sync.job(name=name, aliases=aliases, **options)
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
        """Declare a schedule of the decorated function."""
        return self.sync.schedule(trigger, id=id, args=args, kwargs=kwargs, **settings)

    def include(self, jobs: Jobs) -> None:
        """Take in the jobs and schedules of a registry."""
        self.sync.include(jobs)

    def on(self, kind: EventKind, callback: C) -> C:
        """Call *callback*, a plain function, with each event of *kind*, in a thread of its own."""
        return self.sync.on(kind, callback)

    async def declare(self) -> list[Schedule]:
        """Write the schedules that code declares."""
        return await self._run(self.sync.declare)

    async def open(self, *, make: bool = True) -> None:
        """Open the store now, instead of at first use."""
        await self._run(self.sync.open, make=make)

    # -- reading -------------------------------------------------------------------------------

    async def schedules(
        self, *, limit: int = 100, cursor: str | None = None, **which: Unpack[ScheduleQuery]
    ) -> Page[Schedule]:
        """Return schedules by id, a page at a time."""
        return await self._run(self.sync.schedules, limit=limit, cursor=cursor, **which)

    async def runs(self, *, limit: int = 100, cursor: str | None = None, **which: Unpack[RunQuery]) -> Page[Run]:
        """Return runs, newest scheduled time first, a page at a time."""
        return await self._run(self.sync.runs, limit=limit, cursor=cursor, **which)

    async def run(self, token: Token) -> Run:
        """Return a run."""
        return await self._run(self.sync.run, token)

    async def skips(self, id: str | None = None, *, limit: int = 100, cursor: str | None = None) -> Page[Skip]:
        """Return records of fires that were not run, newest first."""
        return await self._run(self.sync.skips, id, limit=limit, cursor=cursor)

    async def nodes(self) -> list[Node]:
        """Return the nodes that take part or did so lately, oldest first."""
        return await self._run(self.sync.nodes)

    async def next_fires(
        self, what: Trigger | str, n: int = 5, *, after: datetime | None = None, tz: str | None = None
    ) -> list[datetime]:
        """Return the next *n* scheduled times."""
        return await self._run(self.sync.next_fires, what, n, after=after, tz=tz)

    # -- steering ------------------------------------------------------------------------------

    async def retry(self, token: Token) -> Run:
        """Make a run that ended badly pending again."""
        return await self._run(self.sync.retry, token)

    async def cancel(self, token: Token) -> Run:
        """End a pending run at once; ask a running one to stop."""
        return await self._run(self.sync.cancel, token)

    async def prune(self, retention: Retention | None = None) -> int:
        """Delete history older than *retention*; return how many rows went."""
        return await self._run(self.sync.prune, retention)

    def using(self, connection: object) -> AsyncBound:
        """Return the edits as part of the transaction that an ``AsyncSession`` or ``AsyncConnection`` is in.

        Args:
            connection: One of SQLAlchemy's, to the store's database.

        Raises:
            NotTransactional: It is something else, such as a raw asyncpg connection.
        """
        return AsyncBound(self, connection)

    # -- the node of this process --------------------------------------------------------------

    async def start(
        self,
        *,
        wait: bool = True,
        after_fork: Literal["none", "start"] = "none",
        loop: asyncio.AbstractEventLoop | None = None,
        **settings: Unpack[NodeSettings],
    ) -> None:
        """Start a node in the background of this process."""
        await self._run(self.sync.start, wait=wait, after_fork=after_fork, loop=loop, **settings)

    async def stop(self, drain: timedelta | str | None = None) -> bool:
        """Stop the node, if there is one; return whether all that ran has ended."""
        return await self._run(self.sync.stop, drain)

    @asynccontextmanager
    async def node(
        self, *, wait: bool = True, loop: asyncio.AbstractEventLoop | None = None, **settings: Unpack[NodeSettings]
    ) -> AsyncIterator[Self]:
        """Start a node, and stop it at the end of the block."""
        free = self.node_id is None
        try:
            await self.start(wait=wait, loop=loop, **settings)
        except asyncio.CancelledError:
            if free:
                await self.stop()  # the thread that starts it goes on
            raise
        try:
            yield self
        finally:
            await self.stop()

    @property
    def alive(self) -> bool:
        """Whether this process has a node that does its work."""
        return self.sync.alive

    @property
    def node_id(self) -> str | None:
        """Id of this process's node, while there is one."""
        return self.sync.node_id

    async def close(self) -> None:
        """Give back connections; the node, if there is one, is stopped first."""
        await self._run(self.sync.close)
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)  # what other loops have asked for still comes to its end

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class AsyncBound(_AsyncEditor):
    """The edits of an AsyncScheduler as part of a transaction that the caller has begun and will end."""

    def __init__(self, scheduler: AsyncScheduler, connection: object) -> None:
        run_sync = getattr(connection, "run_sync", None)
        if run_sync is None:
            raise NotTransactional(
                f"using() takes an AsyncSession or AsyncConnection of SQLAlchemy, got {type(connection).__name__}; "
                "for a blocking connection take AsyncScheduler.sync.using(...)"
            )
        self._scheduler, self._run_sync = scheduler, run_sync

    async def _edit(self, verb: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        sync = self._scheduler.sync
        await self._scheduler._run(lambda: (sync.store, sync.by))  # noqa: SLF001 - what takes long, off the event loop

        def edit(connection: object) -> R:
            return verb(sync.using(connection), *args, **kwargs)

        result: R = await self._run_sync(edit)
        return result
