"""A node in each worker of a Starlette application.

::

    from tickonce.contrib.starlette import current_scheduler, lifespan

    async def open_shop(request: Request) -> Response:
        await current_scheduler(request).add(...)

    app = Starlette(routes=[...], lifespan=lifespan(scheduler))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickonce.aio import AsyncScheduler
from tickonce.lifespan import lifespan, scheduler_in

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

__all__ = ["current_scheduler", "lifespan"]


def current_scheduler(connection: HTTPConnection) -> AsyncScheduler:
    """Return the Scheduler of the application that answers this request or WebSocket.

    Raises:
        RuntimeError: The application was not given ``lifespan(scheduler)``. (A mounted application's own is never run.)
    """
    return scheduler_in(connection.state)
