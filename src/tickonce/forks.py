"""What a forked child does before all else: it lets go of what is its parent's, and then may begin something anew."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Literal

_steps: list[Callable[[], None]] = []
_last: list[Callable[[], None]] = []
_pid = os.getpid()


def in_child(step: Callable[[], None], *, last: bool = False) -> None:
    """Carry out *step* in each process that is forked from now on; it must not raise.

    Args:
        step: What to do.
        last: Not before all that are not last: they let go, it takes anew.
    """
    (_last if last else _steps).append(step)


def settle() -> None:
    """See to it that the steps were carried out, in case this is a child of which Python was not told.

    uWSGI forks by itself, and calls Python's hooks only with ``py-call-osafterfork``.
    """
    if os.getpid() != _pid:
        _carry_out()


def workers_of() -> Literal["gunicorn", "uwsgi"] | None:
    """Return the server whose workers are forked from this process; None where that is not known of any.

    What is started here before they are forked is not started in them.
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    if hasattr(uwsgi, "worker_id"):
        elsewhere = uwsgi.worker_id() or uwsgi.mule_id() or uwsgi.i_am_the_spooler()
        return None if elsewhere else "uwsgi"
    if "gunicorn.arbiter" not in sys.modules:
        return None
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001  # no public name gives them
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("gunicorn.workers."):
            return None
        if module == "gunicorn.arbiter":
            # A worker's stack has its master's below it. A master that loads the program has not noted its pid yet.
            pid = getattr(frame.f_locals.get("self"), "pid", None)
            return "gunicorn" if pid in {None, os.getpid()} else None
        frame = frame.f_back
    return None


def _carry_out() -> None:
    global _pid  # noqa: PLW0603 # there is one process
    _pid = os.getpid()
    for step in (*_steps, *_last):
        step()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_carry_out)
