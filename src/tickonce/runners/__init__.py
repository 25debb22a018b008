"""Where functions are carried out."""

from __future__ import annotations

from collections.abc import Mapping

from tickonce.ports import Runner
from tickonce.runners.loop import LoopRunner
from tickonce.runners.threads import ThreadRunner


def default_runners(name: str) -> Mapping[str, Runner]:
    """Return a runner per kind of job: threads for functions, one event loop for coroutines."""
    return {"function": ThreadRunner(name=f"{name}-job"), "coroutine": LoopRunner(name=f"{name}-loop")}
