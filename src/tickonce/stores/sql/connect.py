"""The few connections of a process: a lane for beats, one for ticks, one for all other work."""

from __future__ import annotations

import ctypes
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar
from weakref import WeakSet

from tickonce import forks
from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import SchemaError, StoreBusy, StoreError, StoreUnavailable
from tickonce.stores.sql.dialects.base import LOCKED_PAUSE_US, Dialect, Failure, Link, Locked, Mode
from tickonce.stores.sql.tx import Tx

T = TypeVar("T")
M = TypeVar("M")

#: How often a step is tried again after a deadlock or the like.
_TRIES = 8
#: Waits between two tries for a locked row.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.2
_GONE = (Failure.LOST, Failure.TIMEOUT)


class Refused(StoreError):
    """The database refused a value for its content: the caller finds out which."""


class Duplicate(StoreError):
    """A key is there already though it cannot be."""


class Lane:
    """One connection, used by one thread at a time; opened when first used, thrown away after any doubt.

    Args:
        name: For messages.
        deadline: How long one statement may take.
    """

    def __init__(self, dialect: Dialect, name: str, deadline: timedelta) -> None:
        self._dialect = dialect
        self._name = name
        self._deadline = deadline
        self.lock = threading.Lock()
        self.in_process = dialect.whole_file
        self._link: Link | None = None
        _lanes.add(self)

    def read(self, work: Callable[[Tx], T]) -> T:
        """Carry out statements that each stand alone."""
        return self._step(work, Mode.READ)

    def one(self, work: Callable[[Tx], T]) -> T:
        """Carry out one statement that writes, and that comes to the same when it is repeated."""
        return self._step(work, Mode.ONE)

    def write(self, work: Callable[[Tx], T], *, patience: timedelta = timedelta(0)) -> T:
        """Carry out several statements in one transaction.

        Args:
            patience: How long to go on where a row that is needed is locked. Between two tries the lane is free: what
                waits for somebody else's row keeps no other work of this process waiting.
        """
        pause = _FIRST_PAUSE_S
        until = SYSTEM_CLOCK.monotonic() + patience
        while True:
            try:
                return self._step(work, Mode.WRITE)
            except StoreBusy:
                if SYSTEM_CLOCK.monotonic() >= until:
                    raise
            SYSTEM_CLOCK.sleep(timedelta(seconds=random.uniform(pause / 2, pause)))
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _step(self, work: Callable[[Tx], T], mode: Mode) -> T:
        end = SYSTEM_CLOCK.monotonic() + self._deadline
        while True:
            try:
                return self._tried(work, mode)
            except Locked as locked:
                if SYSTEM_CLOCK.monotonic() >= end:
                    raise StoreBusy(str(locked).format(self._deadline.total_seconds())) from locked
            # Without the lane: whoever has it locked may be a thread of this process, and wants to read before it ends.
            SYSTEM_CLOCK.sleep(timedelta(microseconds=random.randint(*LOCKED_PAUSE_US)))

    def _tried(self, work: Callable[[Tx], T], mode: Mode) -> T:
        with self._held():
            failed = 0
            while True:
                fresh = self._link is None
                try:
                    link = self._linked()
                    result = link.step(work, mode)
                    link.used = True
                except Exception as error:
                    failure = self._dialect.failure(error)
                    if failure is None:
                        raise
                    if failure in _GONE:
                        again = self._again(failure, mode, fresh=fresh)
                        self.drop()
                        # A connection that has died of age since it was last used is no news to anybody.
                        if again and failed == 0:
                            failed += 1
                            continue
                    if failure is Failure.TRANSIENT and failed < _TRIES:
                        failed += 1
                        SYSTEM_CLOCK.sleep(timedelta(milliseconds=random.uniform(0.5, 2) * 2**failed))
                        continue
                    raise explained(self._dialect, error, failure) from error
                except BaseException:
                    self.drop()  # interrupted in the midst of a statement: its state is anybody's guess
                    raise
                return result

    def _again(self, failure: Failure, mode: Mode, *, fresh: bool) -> bool:
        link = self._link
        if failure is Failure.TIMEOUT or fresh or link is None or not link.used:
            return False
        return mode is not Mode.WRITE or not link.committing

    def _linked(self) -> Link:
        if self._link is None:
            try:
                self._link = self._dialect.connect(self._deadline)
            except StoreError:
                raise
            except Exception as error:
                if self._dialect.failure(error) is None:
                    raise
                raise unreachable(self._dialect, error) from error
        return self._link

    @contextmanager
    def _held(self) -> Iterator[None]:
        if not self.lock.acquire(timeout=3 * self._deadline.total_seconds()):
            raise StoreBusy(f"the connection for {self._name} is in use by other threads for too long")
        lock = self.lock
        try:
            yield
        finally:
            lock.release()

    def drop(self) -> None:
        """Close the connection; the next use opens another. Only while the lane is held, or by nobody else."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def close(self) -> None:
        """Give the connection back."""
        with self._held():
            self.drop()

    def abandon(self) -> None:
        """Forget a connection that belongs to the parent process, without a word on its wire."""
        self.lock = threading.Lock()  # a thread that the child does not have may have held it
        if self._link is not None:
            leave_alone(self._link)
            self._link = None


def leave_alone(connection: object) -> None:
    """See to it that nothing ever closes *connection*: its socket or file is the parent process's, too."""
    # One reference too many, so that not even the end of the interpreter lets a finalizer say goodbye to the server.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


class Forkable:
    """What must let go of inherited connections in a forked child.

    Attributes:
        lock: Held while a database inside this process is in use; None where it runs elsewhere.
    """

    lock: threading.Lock | None = None

    def drop(self) -> None:
        """Close the connection, whose lock is held; the next use opens another. Only of one that has a lock."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Let go."""
        raise NotImplementedError


_lanes: WeakSet[Lane] = WeakSet()
_others: WeakSet[Forkable] = WeakSet()


def abandon_after_fork(holder: Forkable) -> None:
    """Let *holder* abandon its connection in a forked child."""
    _others.add(holder)


def _all(members: WeakSet[M]) -> list[M]:
    while True:
        try:
            return list(members)
        except RuntimeError:  # another thread has just opened a store
            continue


def _before_fork() -> None:
    # SQLite has locks of its own inside the process. A thread that is in it while another forks leaves them held in the
    # child, which then hangs when it opens a file; so each is let out first. Not for ever: somebody may fork in a step.
    # And it keeps in the process which locks it has on a file: a child that inherits an open one asks the system for
    # none of its own, and whoever then closes the file as the last one takes its log away from under the child.
    lanes = [(lane.lock, lane.drop) for lane in _all(_lanes) if lane.in_process]
    others = [(other.lock, other.drop) for other in _all(_others) if other.lock is not None]
    for lock, drop in (*lanes, *others):
        if lock.acquire(timeout=_BEFORE_FORK_S):
            _held_for_fork.append(lock)
            drop()


def _after_fork_in_parent() -> None:
    while _held_for_fork:
        _held_for_fork.pop().release()


def _after_fork() -> None:
    _held_for_fork.clear()
    for lane in list(_lanes):
        lane.abandon()
    for other in list(_others):
        other.abandon()


_BEFORE_FORK_S = 2.0
_held_for_fork: list[threading.Lock] = []

forks.around(_before_fork, _after_fork_in_parent)
forks.in_child(_after_fork)


# -- errors ------------------------------------------------------------------------------------


def unreachable(dialect: Dialect, error: BaseException) -> StoreUnavailable:
    """Return what is said when no connection can be made: where, why, and what to look at. Never a password."""
    address = dialect.address
    if address.dialect == "sqlite":
        said = _said(dialect, error)
        return StoreUnavailable(f"the SQLite file {address.path} cannot be opened: {said}. {_advice(said, _FILES)}")
    said = _said(dialect, error)
    return StoreUnavailable(
        f"{dialect.title} at {address.place} does not take our connection "
        f"(database {address.database or 'not named'}, user {address.user or 'not named'}): {said}. "
        f"{_advice(said, _SERVERS)}"
    )


#: What to look at, by words of the driver or server; the last one where none of them is said.
_FILES = (
    (("not a database",), "It is a file of another kind: name a path for tickonce alone"),
    (("malformed",), "The file is damaged: restore it from a backup"),
    ((), "Its directory must exist and be writable for this user, as SQLite keeps files beside it"),
)
_SERVERS = (
    (("unknown database",), "Create that database, or correct its name"),
    (("database", "does not exist"), "Create that database, or correct its name"),
    (("refused",), "Check that the server runs there, and that host and port are right"),
    (("not known",), "Check the name of the host"),
    (("resolve",), "Check the name of the host"),
    (("authentication",), "Check user and password, and that this user may log in from here"),
    (("access denied",), "Check user and password, and that this user may log in from here"),
    (("password",), "Check user and password, and that this user may log in from here"),
    (("role", "does not exist"), "Check the name of the user"),
    (("timeout",), "Check host and port, and whether a firewall stands between"),
    (("timed out",), "Check host and port, and whether a firewall stands between"),
    (("startup parameter",), "A pooler does not hand that on: take it out of the URL and of PGOPTIONS"),
    (("no more connections",), "Raise the pooler's max_client_conn; a process takes at most three there"),
    (("too many",), "Give the server more connections, or let fewer processes use it; a process takes at most four"),
    ((), "Check that the server runs there, that host and port are right, and that this user may log in"),
)


def _advice(said: str, known: Sequence[tuple[tuple[str, ...], str]]) -> str:
    said = said.lower()
    return next(advice for words, advice in known if all(word in said for word in words))


def explained(dialect: Dialect, error: BaseException, failure: Failure) -> StoreError:
    """Return the error that people and the engine see for a driver's one."""
    said, where = _said(dialect, error), dialect.address.place or dialect.address.path
    match failure:
        case Failure.LOST:
            return StoreUnavailable(f"the connection to {dialect.title} at {where} was lost: {said}")
        case Failure.TIMEOUT:
            return StoreUnavailable(f"{dialect.title} at {where} gave no answer in time: {said}")
        case Failure.DOWN:
            return StoreUnavailable(f"{dialect.title} at {where} cannot serve: {said}")
        case Failure.BUSY:
            return StoreBusy(
                f"a row in {dialect.title} stayed locked for too long, usually by an application's transaction with "
                "using(connection) that is still open; commit or roll it back, and keep such transactions short: "
                f"{said}"
            )
        case Failure.TRANSIENT:
            return StoreBusy(f"{dialect.title} refused the step {_TRIES} times, as others were in its way: {said}")
        case Failure.CONTENT:
            return Refused(f"{dialect.title} refuses a value: {said}")
        case Failure.DUPLICATE:
            return Duplicate(f"{dialect.title} has that key already: {said}")
        case Failure.SCHEMA:
            return SchemaError(
                f"the tables in {dialect.title} at {where} are missing or too old: {said}. Run: tickonce db upgrade",
                found=None,
                needed="",
            )
        case Failure.OTHER:
            return StoreError(f"{dialect.title} refused a statement: {said}")


def _said(dialect: Dialect, error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".?") or type(error).__name__
    password = dialect.address.password
    return text.replace(password, "***") if password else text
