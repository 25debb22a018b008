"""A node in each worker of uWSGI, with and without ``lazy-apps``.

In the module that uWSGI loads::

    from tickonce.contrib.uwsgi import attach

    attach(scheduler)

A worker's node joins when the worker is forked, or when it has loaded its application, and leaves when it ends: at a
reload, in cheaper mode, after ``max-requests``. What runs then may end within uWSGI's ``worker-reload-mercy``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Unpack

from tickonce.durations import parse_duration
from tickonce.errors import WrongState
from tickonce.scheduler import Scheduler
from tickonce.settings import NodeSettings
from tickonce.threads import check_threads, end_here, ended_here, inside_uwsgi

if TYPE_CHECKING:
    from tickonce.aio import AsyncScheduler

_log = logging.getLogger("tickonce.uwsgi")

#: What uWSGI gives a worker that is to end, where its configuration does not say.
MERCY = timedelta(seconds=60)

#: What stays of that after the drain: runs that were told to stop, outcomes, a word to the store.
FOR_LEAVING = timedelta(seconds=3)


def attach(scheduler: Scheduler | AsyncScheduler, **settings: Unpack[NodeSettings]) -> bool:
    """Make each worker of the uWSGI that this program runs in a node.

    To be called once, where the application is made. Elsewhere (another server, a shell, tests) it does nothing. A
    store that does not answer keeps no worker from serving: the node joins when it does.

    Args:
        scheduler: The program's Scheduler.
        **settings: Settings of the nodes, in place of the Scheduler's own.

    Returns:
        Whether this is uWSGI.

    Raises:
        ConfigError: uWSGI runs without threads, no store is named, or a setting is wrong.
    """
    uwsgi = inside_uwsgi()
    if uwsgi is None:
        return False
    check_threads()
    node = _WorkersNode(uwsgi, scheduler if isinstance(scheduler, Scheduler) else scheduler.sync, settings)
    if uwsgi.worker_id() > 0:  # lazy-apps: the worker is there already
        node.start()
    else:
        node.close()
        uwsgi.post_fork_hook = _all(getattr(uwsgi, "post_fork_hook", None), node.start)
    return True


class _WorkersNode:
    """The node of the worker that this process is, or will be."""

    def __init__(self, uwsgi: Any, scheduler: Scheduler, settings: NodeSettings) -> None:
        self._uwsgi, self._scheduler, self._settings = uwsgi, scheduler, settings

    def start(self) -> None:
        """Start the node, if this is a worker: spoolers and mules are forked, too."""
        if self._uwsgi.worker_id() == 0:
            return
        try:
            self._scheduler.start(wait=False, **self._settings)
        except WrongState:
            _log.info("the application has started the node of worker %d itself", self._uwsgi.worker_id())
            return
        self._uwsgi.atexit = _all(self.stop, getattr(self._uwsgi, "atexit", None), ended_here)

    def close(self) -> None:
        """Give connections back before uWSGI forks, of which Python is not told: on SQLite they must not come along."""
        if self._scheduler.node_id is None:
            self._scheduler.close()

    def stop(self) -> None:
        """Stop the node within the time that uWSGI gives. This runs in the midst of the process's end."""
        # uWSGI's handlers would end it here and now when it is told once more; what lasts too long is killed anyway.
        end_here()
        option = self._uwsgi.opt.get("worker-reload-mercy")
        mercy = MERCY if option is None else timedelta(seconds=int(option))
        own = self._settings.get("drain_timeout")
        wanted = self._scheduler.config.drain_timeout if own is None else parse_duration(own, "drain_timeout")
        self._scheduler.stop(min(wanted, max(mercy - FOR_LEAVING, mercy / 2)))


def _all(*calls: Callable[[], None] | None) -> Callable[[], None]:
    def call() -> None:
        for each in calls:
            if each is not None:
                each()

    return call
