"""ASGI servers say when they begin and when they end, which Django does not hear: here the node does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import wraps
from typing import Any, TypeAlias

from tickonce.contrib.django.autostart import start_node
from tickonce.ending import UnheardEnd
from tickonce.errors import TickonceError

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def with_node(application: Application) -> Application:
    """Return *application* with a node from the server's beginning to its end; for ``asgi.py``.

    Servers such as uvicorn end their workers by a signal at last, too soon for a node to say that it leaves: what runs
    would be found by others only when its lease is over. At the end of the *lifespan*, which they announce before, it
    lets what runs end. The application itself does not get the announcement; Django refuses it anyway.
    """

    async def application_with_node(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _attend(receive, send, begin=start_node)
        else:
            await application(scope, receive, send)

    return application_with_node


def attend_lifespans() -> None:
    """Have Django's own ASGI application stop the node at the server's end; for ``TICKONCE["autostart"]``."""
    from django.core.handlers.asgi import ASGIHandler

    handler: Any = ASGIHandler
    before = handler.__call__
    if getattr(before, "attends", False):
        return

    @wraps(before)
    async def attending(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _attend(receive, send)
        else:
            await before(self, scope, receive, send)

    attending.attends = True  # type: ignore[attr-defined]
    handler.__call__ = attending


async def _attend(receive: Receive, send: Send, *, begin: Callable[[], None] | None = None) -> None:
    from tickonce.contrib.django import scheduler

    with UnheardEnd(scheduler.stop) as end:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    if begin is not None:
                        begin()
                except TickonceError as error:
                    # Raised, servers would take it that nobody listens, and serve without a node and without a word.
                    await send({"type": "lifespan.startup.failed", "message": f"no node can be started: {error}"})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                end.begins()
                await asyncio.to_thread(scheduler.stop)
                await send({"type": "lifespan.shutdown.complete"})
                return
