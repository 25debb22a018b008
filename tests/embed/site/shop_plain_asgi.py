"""An ASGI application without lifespan or framework; its nodes come from the hooks of Gunicorn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import shop_wsgi  # type: ignore[import-not-found]  # found where the server is started


async def application(scope: dict[str, Any], receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    said = b"".join(shop_wsgi.application({"PATH_INFO": scope["path"]}, lambda *_: None))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": said})
