"""A node in each worker of a FastAPI or Starlette application, and the Scheduler as a dependency.

::

    from tickonce import AsyncScheduler
    from tickonce.contrib.fastapi import Scheduled, lifespan

    scheduler = AsyncScheduler()
    app = FastAPI(lifespan=lifespan(scheduler))

    @app.post("/shops/{name}")
    async def open_shop(name: str, scheduler: Scheduled) -> None:
        await scheduler.add(f"sync-{name}", sync_shop.bind(name), "every 5m")

With ``uvicorn --workers 4``, or Hypercorn's, each worker is a node.
"""

from __future__ import annotations

from typing import Annotated

from tickonce.aio import AsyncScheduler
from tickonce.errors import MissingExtra
from tickonce.lifespan import lifespan, scheduler_in

try:
    from fastapi import Depends
    from starlette.requests import HTTPConnection
except ModuleNotFoundError as error:
    raise MissingExtra("tickonce.contrib.fastapi", extra="fastapi") from error

__all__ = ["Scheduled", "current_scheduler", "lifespan"]


async def current_scheduler(connection: HTTPConnection) -> AsyncScheduler:
    """Return the Scheduler of the application that answers this request or WebSocket; for ``Depends``.

    Raises:
        RuntimeError: The application was not given ``lifespan(scheduler)``. (A mounted application's own is never run.)
    """
    return scheduler_in(connection.state)


#: The Scheduler as a parameter of an endpoint: ``async def endpoint(scheduler: Scheduled)``.
Scheduled = Annotated[AsyncScheduler, Depends(current_scheduler)]
