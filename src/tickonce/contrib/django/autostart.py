"""A node in the processes that serve requests, and nowhere else.

``start_node()`` starts one here and now; where this process is the master of a server that has loaded the program
before it forks, in each of its workers. ``TICKONCE["autostart"]`` does so by itself, in processes known to serve.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from tickonce import threads
from tickonce.errors import ConfigError, TickonceError, WrongState
from tickonce.hosting import DRAIN_AT_EXIT

_log = logging.getLogger("tickonce.scheduler")

#: Programs that serve requests, by the name of their command.
SERVERS = frozenset(
    {"daphne", "granian", "gunicorn", "hypercorn", "mod_wsgi", "mod_wsgi-express", "uvicorn", "waitress-serve"}
)


def start_node() -> None:
    """Start a node of the project's Scheduler in this process; put it below ``get_wsgi_application()``.

    Where a server has loaded the program before it forks (``gunicorn --preload``, uWSGI without ``lazy-apps``), each
    worker gets a node instead. It starts in the background, once Django is set up; where the store gives no answer, it
    is tried again. A second call does nothing. In tests nothing is started.

    Raises:
        ConfigError: uWSGI runs without threads.
    """
    from tickonce.contrib.django import scheduler

    if scheduler.inline:
        _log.info("no node is started: these are tests")
        return
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is not None:
        _in_uwsgi(uwsgi)
        return
    match _gunicorn():
        case ("worker", worker):
            _with_worker(worker)
        case ("master", _):
            _log.info("gunicorn has loaded the program before it forks: each worker starts a node of its own")
            _in_workers()
        case _:
            _start_soon()


def decide(
    *,
    argv: Sequence[str],
    command: str | None,
    environ: Mapping[str, str],
    modules: Mapping[str, Any],
    spawned: bool = False,
) -> tuple[bool, str]:
    """Return whether this process serves requests, and how that is known.

    Args:
        argv: What the process was started with.
        command: The command of ``manage.py``, if it is one that runs.
        environ: The environment.
        modules: What is imported.
        spawned: Whether the process was started by multiprocessing.

    >>> decide(argv=["manage.py", "migrate"], command="migrate", environ={}, modules={})
    (False, 'manage.py migrate does not serve')
    >>> decide(argv=["/usr/bin/gunicorn", "shop.wsgi"], command=None, environ={}, modules={})
    (True, 'gunicorn serves')
    """
    if command == "runserver":
        if "--noreload" in argv or environ.get("RUN_MAIN") == "true":
            return True, "runserver serves"
        return False, "this is the reloader of runserver; its child serves"
    if command is not None:
        return False, f"manage.py {command} does not serve"
    if "uwsgi" in modules:
        return True, "uWSGI serves"
    if "mod_wsgi" in modules:
        return True, "mod_wsgi serves"
    path = Path(argv[0]) if argv and argv[0] else Path("-")
    name = path.parent.name if path.stem == "__main__" else path.name.removesuffix(".exe").removesuffix(".py")
    if spawned and name == "gunicorn":  # whose workers are forked: this is a child of one
        return False, "this process was started by multiprocessing; gunicorn's workers serve"
    if name in SERVERS:
        return True, f"{name} serves"
    return False, f"{name!r} is not known to serve; where it does, call tickonce.contrib.django.start_node()"


def start_if_serving() -> None:
    """Do what ``TICKONCE["autostart"]`` wants, and say why."""
    serves, why = decide(argv=sys.argv, command=_command(), environ=os.environ, modules=sys.modules, spawned=_spawned())
    if not serves:
        _log.info("autostart starts no node: %s", why)
        return
    _log.info("autostart: %s", why)
    from tickonce.contrib.django.lifespan import attend_lifespans

    attend_lifespans()
    try:
        start_node()
    except ConfigError as error:
        _log.error("autostart starts no node: %s", error)  # the message says it all


# -- where we are ------------------------------------------------------------------------------


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # inspect.currentframe() is the same, and slow to import
    while frame is not None:
        yield frame
        frame = frame.f_back


def _command() -> str | None:
    """Return the command of ``manage.py`` that this process carries out, however that file is called."""
    for frame in _frames():
        if frame.f_globals.get("__name__") == "django.core.management" and frame.f_code.co_name == "execute":
            argv = getattr(frame.f_locals.get("self"), "argv", None)
            return str(argv[1]) if argv and len(argv) > 1 else "help"
    return None


def _spawned() -> bool:
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and processes.parent_process() is not None


def _gunicorn() -> tuple[str, Any] | None:
    """Return whether gunicorn's worker or master runs this code just now, with it.

    By the stack, innermost first: a worker's stack has the master's below it, from which it was forked.
    """
    for frame in _frames():
        module = str(frame.f_globals.get("__name__", ""))
        found = frame.f_locals.get("self")
        if module.startswith("gunicorn.workers.") and hasattr(found, "cfg"):
            return "worker", found
        if module == "gunicorn.arbiter":
            # In a child that was forked a moment ago, before the worker begins.
            worker = frame.f_locals.get("worker") if frame.f_code.co_name == "spawn_worker" else None
            return ("worker", worker) if worker is not None and frame.f_locals.get("pid") == 0 else ("master", found)
    return None


# -- starting ----------------------------------------------------------------------------------


def _with_worker(worker: Any) -> None:
    """Start with the end of the worker's own beginning: it may change user and directory until then."""
    if getattr(worker, "booted", False):
        _start_soon()
        return
    before: Callable[[Any], Any] = worker.cfg.post_worker_init

    def post_worker_init(worker: Any) -> None:
        before(worker)
        _start_soon()

    worker.cfg.set("post_worker_init", post_worker_init)


def _in_workers() -> None:
    global _hooked  # noqa: PLW0603  # hooks of fork cannot be taken back, so there is one at most
    if not _hooked:
        _hooked = True
        os.register_at_fork(after_in_child=_after_fork)


_hooked = False


def _after_fork() -> None:
    for frame in _frames():
        if frame.f_globals.get("__name__") == "gunicorn.arbiter" and frame.f_code.co_name == "spawn_worker":
            # The fork that makes the worker has no process id yet. One that has is a worker that forks, for a job.
            if "pid" not in frame.f_locals:
                _with_worker(frame.f_locals["worker"])
            return


def _in_uwsgi(uwsgi: Any) -> None:
    threads.check_threads()
    _leave_with(uwsgi)
    if uwsgi.worker_id() != 0:
        _start_soon()
        return
    _log.info("uWSGI has loaded the program before it forks: each worker starts a node of its own")
    before = getattr(uwsgi, "post_fork_hook", None)

    def post_fork_hook() -> None:
        if before is not None:
            before()
        if uwsgi.worker_id() != 0:  # a mule or spooler serves no requests
            _start_soon()

    uwsgi.post_fork_hook = post_fork_hook


def _leave_with(uwsgi: Any) -> None:
    """Stop the node when a worker ends: uWSGI ends it without the exit hooks of Python."""
    before = getattr(uwsgi, "atexit", None)

    def atexit() -> None:
        from tickonce.contrib.django import scheduler

        if before is not None:
            before()
        threads.end_here()  # told once more, as where all of a group are told, uWSGI would end it here and now
        scheduler.stop(DRAIN_AT_EXIT)
        threads.ended_here()

    uwsgi.atexit = atexit


def _start_soon() -> None:
    threads.begin(threading.Thread(target=_start, name="tickonce-autostart", daemon=True))


def _start() -> None:
    from django.apps import apps

    from tickonce.contrib.django import scheduler

    apps.ready_event.wait()  # jobs may need any app
    try:
        scheduler.start(wait=False)  # the log says how that goes
    except WrongState:
        _log.debug("the process has a node already")
    except TickonceError as error:
        _log.error("the node does not start: %s", error)  # the message says it all
    else:
        _log.info("process %d has a node", os.getpid())
