"""The life of an ASGI application with a node in it, for any framework that takes a lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias, Unpack
from weakref import WeakKeyDictionary

from tickonce.aio import AsyncScheduler
from tickonce.ending import UnheardEnd
from tickonce.errors import ConfigError
from tickonce.settings import NodeSettings

Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]

#: Under which name requests find the Scheduler in their state.
STATE = "tickonce"


def lifespan(
    scheduler: AsyncScheduler,
    own: Lifespan | None = None,
    *,
    node: bool = True,
    wait: bool = False,
    on_app_loop: bool = False,
    **settings: Unpack[NodeSettings],
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Return what FastAPI and Starlette take as ``lifespan``: it starts a node with the application and stops it.

    Requests find the Scheduler in their state as ``tickonce``, beside what the application's own lifespan yields. At
    the end the node leaves first, and what runs may end within ``drain_timeout``: let the server wait longer than that.
    Afterwards the connections are given back.

    Args:
        scheduler: The program's Scheduler.
        own: A lifespan of the application's own; it is entered first and left last, so jobs find what it has made.
        node: Whether workers are nodes; False for applications that only edit, whose jobs run elsewhere.
        wait: Whether the application waits for its node and does not start without one. By default it serves as soon as
            it can, and the node joins when the store answers.
        on_app_loop: Whether coroutine jobs run on the application's event loop, where they can use its clients and
            pools, instead of one of their own. What blocks there holds up requests, too.
        **settings: Settings of the node, in place of the Scheduler's own.

    Raises:
        ConfigError: *scheduler* is no AsyncScheduler.
    """
    given: object = scheduler
    if not isinstance(given, AsyncScheduler):
        raise ConfigError(f"lifespan() takes an AsyncScheduler, got {type(given).__name__}")

    @asynccontextmanager
    async def running(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        if not node:
            async with _entered(own, app) as state, _shared(scheduler):
                yield {**(state or {}), STATE: scheduler}
            return
        with UnheardEnd(scheduler.sync.stop) as end:
            async with _entered(own, app) as state, _shared(scheduler):
                loop = asyncio.get_running_loop() if on_app_loop else None
                await scheduler.start(wait=wait, loop=loop, **settings)
                try:
                    yield {**(state or {}), STATE: scheduler}
                finally:
                    end.begins()
                    await scheduler.stop()

    return running


_users: WeakKeyDictionary[AsyncScheduler, int] = WeakKeyDictionary()


@asynccontextmanager
async def _shared(scheduler: AsyncScheduler) -> AsyncIterator[None]:
    """Give the connections back behind the last of the applications that share a Scheduler."""
    _users[scheduler] = _users.get(scheduler, 0) + 1
    try:
        yield
    finally:
        _users[scheduler] -= 1
        if not _users[scheduler]:
            await scheduler.close()


@asynccontextmanager
async def _entered(own: Lifespan | None, app: Any) -> AsyncIterator[Mapping[str, Any] | None]:
    if own is None:
        yield None
        return
    async with own(app) as state:
        yield state


def scheduler_in(state: object) -> AsyncScheduler:
    """Return the Scheduler in the state of a request.

    Raises:
        RuntimeError: The application was not given ``lifespan(scheduler)``.
    """
    found = getattr(state, STATE, None)
    if not isinstance(found, AsyncScheduler):
        raise RuntimeError("this application has no Scheduler: give it lifespan=lifespan(scheduler)")
    return found
