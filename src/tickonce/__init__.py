"""tickonce: cron for a fleet of Python processes."""

from typing import TYPE_CHECKING, Any

from tickonce.context import RunContext, current_run
from tickonce.errors import TickonceError
from tickonce.events import Event
from tickonce.jobs import Call, Job, Jobs
from tickonce.retry import Retry
from tickonce.scheduler import Scheduler
from tickonce.triggers import Trigger, at, cron, every

if TYPE_CHECKING:
    from tickonce.aio import AsyncScheduler

    __version__: str

__all__ = [
    "AsyncScheduler",
    "Call",
    "Event",
    "Job",
    "Jobs",
    "Retry",
    "RunContext",
    "Scheduler",
    "TickonceError",
    "Trigger",
    "__version__",
    "at",
    "cron",
    "current_run",
    "every",
]


def __getattr__(name: str) -> Any:
    """Load what few need when it is asked for: asyncio takes longer to import than all the rest."""
    if name == "AsyncScheduler":
        from tickonce.aio import AsyncScheduler

        return AsyncScheduler
    if name == "__version__":
        from importlib.metadata import version

        return version("tickonce")
    raise AttributeError(f"module 'tickonce' has no attribute {name!r}")
