"""Where functions are carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tickonce.ports import Runner
from tickonce.runners.loop import LoopRunner
from tickonce.runners.threads import ThreadRunner

if TYPE_CHECKING:
    import asyncio


def default_runners(
    name: str, *, loop: asyncio.AbstractEventLoop | None = None, ends: Callable[[], None] | None = None
) -> Mapping[str, Runner]:
    """Return a runner per kind of job: threads for functions, one event loop for coroutines.

    Args:
        name: How the names of their threads begin.
        loop: The event loop for coroutines; None is one of their own.
        ends: Called in each thread for functions when it ends.
    """
    return {
        "function": ThreadRunner(name=f"{name}-job", ends=ends),
        "coroutine": LoopRunner(name=f"{name}-loop", loop=loop),
    }
