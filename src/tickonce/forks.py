"""What a forked child does before all else: it lets go of what is its parent's, and then may begin something anew.

And what no fork may come in the midst of, as the child would find it half done for ever.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

_steps: list[Callable[[], None]] = []
_last: list[Callable[[], None]] = []
_before: list[tuple[Callable[[], None], Callable[[], None]]] = []
_pid = os.getpid()

#: How long a fork waits for what other threads are in the midst of.
_WAITS_S = 5.0


def in_child(step: Callable[[], None], *, last: bool = False) -> None:
    """Carry out *step* in each process that is forked from now on; it must not raise.

    Args:
        step: What to do.
        last: Not before all that are not last: they let go, it takes anew.
    """
    (_last if last else _steps).append(step)


def around(before: Callable[[], None], in_parent: Callable[[], None]) -> None:
    """Carry out *before* before each fork from now on, also one that waits just now, and *in_parent* after it there."""
    _before.append((before, in_parent))


@contextmanager
def undivided() -> Iterator[None]:
    """Have forks by other threads wait until the block is over: for imports, above all.

    A child that is forked while a thread imports has half of a module, and its lock held by nobody, for ever.
    """
    state = _state
    state.enter()
    try:
        yield
    finally:
        state.leave()


class _Undivided:
    """Which threads are in such a block. A forked child has its own, in which none is."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._depths: dict[int, int] = {}

    def enter(self) -> None:
        me = threading.get_ident()
        with self._changed:
            self._depths[me] = self._depths.get(me, 0) + 1

    def leave(self) -> None:
        me = threading.get_ident()
        with self._changed:
            self._depths[me] -= 1
            if not self._depths[me]:
                del self._depths[me]
            self._changed.notify_all()

    def before_fork(self) -> None:
        """Wait for the others, and let none begin until ``after_fork``."""
        me = {threading.get_ident()}
        self._changed.acquire()
        self._changed.wait_for(lambda: not self._depths.keys() - me, timeout=_WAITS_S)

    def after_fork(self) -> None:
        self._changed.release()


_state = _Undivided()


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
    global _pid, _state  # noqa: PLW0603 # there is one process
    _pid = os.getpid()
    _state = _Undivided()
    for step in (*_steps, *_last):
        step()


def _before_fork() -> None:
    _state.before_fork()
    for before, _ in _before:  # after the wait: what was waited for may have brought some
        before()


def _after_fork_in_parent() -> None:
    for _, in_parent in _before:
        in_parent()
    _state.after_fork()


def _after_fork_in_child() -> None:
    _state.after_fork()
    _carry_out()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
