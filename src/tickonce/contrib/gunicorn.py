"""A node in each worker of Gunicorn, with and without ``--preload``: ``sync``, ``gthread``, ``gevent``, ASGI workers.

Three lines of ``gunicorn.conf.py``::

    from tickonce.contrib.gunicorn import hooks

    post_worker_init, worker_int, worker_exit = hooks("shop.jobs:scheduler")

A worker's node joins once its application is loaded, and leaves as soon as the worker is told to go: it takes nothing
more, and what runs may end within the worker's own ``graceful_timeout``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Unpack

from tickonce.clock import SYSTEM_CLOCK
from tickonce.durations import parse_duration
from tickonce.errors import ConfigError, WrongState
from tickonce.scheduler import Scheduler
from tickonce.settings import NodeSettings

if TYPE_CHECKING:
    import logging

    from tickonce.aio import AsyncScheduler

#: How often a worker is asked whether it was told to go.
LOOKS_EVERY = timedelta(milliseconds=250)

#: What stays of the worker's time after the drain: runs that were told to stop, outcomes, a word to the store.
FOR_LEAVING = timedelta(seconds=3)


class Worker(Protocol):
    """What is used of ``gunicorn.workers.base.Worker``."""

    alive: bool
    cfg: Any
    log: logging.Logger
    pid: int


class Hooks(NamedTuple):
    """Functions for ``gunicorn.conf.py``, under the names that Gunicorn knows them by.

    Attributes:
        post_worker_init: Starts the node of a worker.
        worker_int: Notes that the worker is to go at once (SIGINT, SIGQUIT, or ``--reload``): nothing is waited for.
        worker_exit: Stops the node, if the worker was not seen going before.
    """

    post_worker_init: Any
    worker_int: Any
    worker_exit: Any


def hooks(scheduler: str | Scheduler | AsyncScheduler | None = None, **settings: Unpack[NodeSettings]) -> Hooks:
    """Return the hooks that make each worker a node.

    The application is imported by Gunicorn, not here; so workers fork, and gevent replaces threads, as they would.

    Args:
        scheduler: ``module:name`` of the Scheduler, looked up in each worker; or the Scheduler itself, for programs
            that make it in ``gunicorn.conf.py``. None is the environment's ``TICKONCE_APP``.
        **settings: Settings of the nodes, in place of the Scheduler's own.

    Raises:
        ConfigError: No Scheduler is named.
    """
    named = os.environ.get("TICKONCE_APP", "") if scheduler is None else scheduler
    if isinstance(named, str) and not named.strip():
        raise ConfigError(
            "no Scheduler is named: hooks('module:scheduler') in gunicorn.conf.py, or TICKONCE_APP=module:scheduler"
        )
    node = _WorkersNode(named, settings)
    return Hooks(node.start, node.hurry, node.stop)


class _WorkersNode:
    """The node of the worker that this process is."""

    def __init__(self, named: str | Scheduler | AsyncScheduler, settings: NodeSettings) -> None:
        self._named, self._settings = named, settings
        self._scheduler: Scheduler | None = None
        self._hurried = False

    def start(self, worker: Worker) -> None:
        """Start the node. A store that does not answer keeps no worker from serving; what is wrong in code does."""
        _end_by_exit()
        try:
            scheduler = self._found()
            scheduler.start(wait=False, **self._settings)
        except WrongState:
            worker.log.info("tickonce: the application has started the node of worker %d itself", worker.pid)
            return
        except Exception:
            if not worker.cfg.reload:
                raise
            # As Gunicorn does with an application that cannot be imported just now: it is being edited.
            worker.log.exception("tickonce: worker %d has no node", worker.pid)
            return
        self._scheduler = scheduler
        worker.log.info("tickonce: worker %d starts a node of %s", worker.pid, scheduler)
        threading.Thread(target=self._watch, args=(worker,), name="tickonce-worker", daemon=True).start()

    def hurry(self, worker: Worker) -> None:
        """Wait for nothing when it comes to stopping. Called in the handler of a signal."""
        del worker
        self._hurried = True

    def stop(self, server: object, worker: Worker) -> None:
        """Stop the node, or wait until it has stopped."""
        del server
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            scheduler.stop(self._drain(worker, scheduler))

    def _watch(self, worker: Worker) -> None:
        """Leave at the moment at which the worker is told to go, beside the requests that it still answers."""
        while worker.alive:
            SYSTEM_CLOCK.sleep(LOOKS_EVERY)
        scheduler = self._scheduler
        if scheduler is not None:
            scheduler.stop(self._drain(worker, scheduler))

    def _drain(self, worker: Worker, scheduler: Scheduler) -> timedelta:
        """Return how long what runs may go on: the worker is killed after ``graceful_timeout``, or ``timeout``."""
        if self._hurried:
            return timedelta(0)
        patience = timedelta(
            seconds=min(worker.cfg.graceful_timeout, worker.cfg.timeout or worker.cfg.graceful_timeout)
        )
        own = self._settings.get("drain_timeout")
        wanted = scheduler.config.drain_timeout if own is None else parse_duration(own, "drain_timeout")
        return min(wanted, max(patience - FOR_LEAVING, patience / 2))

    def _found(self) -> Scheduler:
        named = self._named
        if isinstance(named, str):
            from tickonce.cli.loading import load_scheduler  # behind the fork: it looks among modules

            return load_scheduler(named)
        return named if isinstance(named, Scheduler) else named.sync


def _end_by_exit() -> None:
    """Let SIGTERM end this process as ``sys.exit`` does, where it would be killed.

    Uvicorn's worker gives SIGTERM back its default, and sends it to itself once the last request is answered: the
    worker would be gone before ``worker_exit``.
    """

    def end(number: int, frame: object) -> None:
        del frame
        signal.signal(number, signal.SIG_IGN)  # told twice, it still leaves in order
        sys.exit(0)

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)
