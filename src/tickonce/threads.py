"""Whether the threads of this process can carry a node: some hosts replace them, some let none run."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Literal

from tickonce.errors import ConfigError

_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM) if hasattr(signal, "pthread_sigmask") else ()
_NOTHING = nullcontext()


def check_threads() -> None:
    """Refuse a process in which a node would not run, or would stop all else.

    Raises:
        ConfigError: eventlet has replaced the threads, or uWSGI lets none run.
    """
    if replaced_by() == "eventlet":
        raise ConfigError(
            "eventlet has replaced the threads of this process, and no node can live on it: database drivers would "
            "stop all of its greenlets. Use threads or gevent (gunicorn -k gthread, -k gevent), or be only a client "
            "here and run nodes beside: tickonce serve -A module:scheduler"
        )
    uwsgi = inside_uwsgi()
    if uwsgi is not None and not uwsgi.has_threads:
        raise ConfigError(
            "uWSGI runs without threads, so a node would never do anything: put enable-threads = true into its "
            "configuration (or --enable-threads on its command line), and restart it"
        )


def replaced_by() -> Literal["gevent", "eventlet"] | None:
    """Return the library that has put greenlets in the place of threads here; None where threads are threads."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None


def begin(thread: threading.Thread) -> None:
    """Start a thread of a node.

    Inside uWSGI, none of the signals that end a worker comes to it. There they are not taken by the main thread, as
    Python does elsewhere, but by whichever thread they reach, which then stops the node: one of the node's own would
    wait for itself, and so would another for one that has not come to its first step.
    """
    if inside_uwsgi() is None:
        thread.start()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear_signals() -> None:
    """Let signals come to this thread again, in which code of the program runs: its child processes inherit that."""
    if inside_uwsgi() is not None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def hearing_signals() -> AbstractContextManager[None]:
    """Let signals come to this thread while the block lasts: around code of the program, in a thread of ours.

    Not around code of ours: what one of them ends here and now may hold a lock that the leaving node needs.
    """
    return _NOTHING if inside_uwsgi() is None else _hearing()


@contextmanager
def _hearing() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_here() -> None:
    """This process ends, in this thread: whatever it was about does not go on, and no signal is to cut that short.

    For uWSGI, which runs its exit hook within the handler of the signal that ends a worker.
    """
    global _ends_in  # noqa: PLW0603  # a process ends once
    _ends_in = threading.get_ident()
    for number in _DEAF_TO:
        try:
            signal.signal(number, _unmoved)  # not SIG_IGN, which programs that are started inherit
        except ValueError:  # Python lets the main thread alone do that
            import ctypes

            nothing = ctypes.cast(ctypes.CDLL(None).abs, ctypes.c_void_p)  # a function of C that takes a number
            ctypes.pythonapi.PyOS_setsig(int(number), nothing)


def ended_here() -> None:
    """All that was to come before the end of this process is done.

    Beside the main thread, uWSGI takes the interpreter down no better than Python can: it waits for itself.
    """
    if threading.current_thread() is not threading.main_thread():
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(_UWSGI_ENDS)


def hear_again() -> None:
    """Do what the signals say, in a child forked while its parent ends."""
    global _ends_in  # noqa: PLW0603
    if _ends_in is not None:
        _ends_in = None
        for number in _DEAF_TO:
            with suppress(ValueError):
                signal.signal(number, signal.SIG_DFL)


def _unmoved(number: int, frame: object) -> None:
    del number, frame


_DEAF_TO = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGINT", "SIGTERM") if hasattr(signal, name))
#: The exit code of uWSGI's workers that were told to end.
_UWSGI_ENDS = 30
_ends_in: int | None = None


def ends_here() -> bool:
    """Whether the process ends in this very thread; see ``end_here``."""
    return _ends_in == threading.get_ident()


def stale(lock: object) -> bool:
    """Whether *lock*, of ``threading.RLock``, was made before threads were replaced.

    Greenlets that wait for such a lock stop the whole process, and do not exclude each other: they are one thread.
    """
    return type(lock) is not type(threading.RLock())


def inside_uwsgi() -> Any:
    """Return the module that uWSGI gives to the programs inside it; None elsewhere."""
    module = sys.modules.get("uwsgi")
    # A package of that name, which only brings the server, has none of this.
    return module if hasattr(module, "has_threads") else None
