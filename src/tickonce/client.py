"""A client of a store: opens it at first use, reads, steers, edits."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack
from weakref import WeakSet

from tickonce import forks
from tickonce.bound import Bound, Editor
from tickonce.config import NodeConfig, Retention
from tickonce.errors import BadId, DefinitionError, NoRun, NoStore
from tickonce.jobs import Jobs
from tickonce.model import Node, Page, Run, RunState, Schedule, ScheduleState, Skip, Token, check_id
from tickonce.planning import following
from tickonce.ports import Clock, Edits, RunFilter, ScheduleFilter, Store
from tickonce.settings import aware, resolve
from tickonce.triggers import Trigger
from tickonce.triggers.zones import zone_name


class ScheduleQuery(TypedDict, total=False):
    """Which schedules to list; see :class:`tickonce.ports.ScheduleFilter`."""

    ids: Iterable[str]
    states: Iterable[ScheduleState | str]
    job: str
    queue: str
    tag: str
    owner: str
    source: str
    text: str
    due_before: datetime
    removed: bool
    ended: bool


class RunQuery(TypedDict, total=False):
    """Which runs to list; see :class:`tickonce.ports.RunFilter`."""

    schedule_id: str
    job: str
    states: Iterable[RunState | str]
    queue: str
    node: str
    scheduled_from: datetime
    scheduled_until: datetime
    overdue: bool


class Client(Editor):
    """What a Scheduler does without a node: it edits, reads and steers. See :class:`tickonce.Scheduler`."""

    def __init__(
        self, store: str | Store | None, *, jobs: Jobs, tz: str, name: str | None, config: NodeConfig, clock: Clock
    ) -> None:
        self.jobs = jobs
        self.tz = zone_name(tz)
        self.config = config
        self.clock = clock
        self._name = name
        self._author: str | None = None
        self._url = store if isinstance(store, str) else None
        self._given: Store | None = None if isinstance(store, str) else store
        self._opened: Store | None = None
        self._ready = False
        self._lock = threading.RLock()
        _clients.add(self)

    def __repr__(self) -> str:
        store = self._given or self._opened
        return f"<{type(self).__name__} of {'a store not opened yet' if store is None else store.url}>"

    # -- connecting ----------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The store; opened, and its tables made or checked, at first use.

        Raises:
            NoStore: None is named, neither here nor in the environment.
            StoreError: It cannot be reached or used.
        """
        return self._prepared(make=True)

    def open(self, *, make: bool = True) -> None:
        """Open the store now, instead of at first use.

        Args:
            make: Whether an empty store is given its tables. Without, nothing is made, not even an SQLite file: for
                programs that only look.

        Raises:
            NoStore: None is named, neither here nor in the environment.
            SchemaError: The tables are too old or too new; or there are none, and none were to be made.
            StoreError: It cannot be reached or used.
        """
        self._prepared(make=make)

    def _prepared(self, *, make: bool) -> Store:
        forks.settle()
        if self._ready:
            store = self._given or self._opened
            if store is not None:
                return store
        with self._lock:
            store = self._named()
            store.prepare(make=make)
            self._ready = True
            return store

    def _named(self) -> Store:
        """Return the store without asking it anything.

        Raises:
            ConfigError: None is named, or not as it has to be.
        """
        with self._lock:
            store = self._given or self._opened
            if store is None:
                from tickonce.stores import open_store

                url = self._url or os.environ.get("TICKONCE_STORE", "")
                if not url.strip():
                    raise NoStore
                store = self._opened = open_store(url, clock=self.clock)
            return store

    @property
    def by(self) -> str:
        """Who is written down as the author of edits."""
        if self._author is None:
            self._author = self._name or _user_at_host()
        return self._author

    def close(self) -> None:
        """Give back connections; they are opened again when needed. A store given as an object is left to its giver."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()

    # -- reading -------------------------------------------------------------------------------

    def schedules(
        self, *, limit: int = 100, cursor: str | None = None, **which: Unpack[ScheduleQuery]
    ) -> Page[Schedule]:
        """Return schedules by id, a page at a time; what is given in *which* must all match."""
        return self.store.schedules(ScheduleFilter(**_asked(which, ScheduleState)), limit=limit, cursor=cursor)

    def runs(self, *, limit: int = 100, cursor: str | None = None, **which: Unpack[RunQuery]) -> Page[Run]:
        """Return runs, newest scheduled time first, a page at a time; what is given in *which* must all match."""
        return self.store.runs(RunFilter(**_asked(which, RunState)), limit=limit, cursor=cursor)

    def run(self, token: Token) -> Run:
        """Return a run.

        Raises:
            NoRun: No run has that token.
        """
        found = self.store.run(token)
        if found is None:
            raise NoRun(token)
        return found

    def skips(self, id: str | None = None, *, limit: int = 100, cursor: str | None = None) -> Page[Skip]:
        """Return records of fires that were not run, newest first: of one schedule or of all."""
        return self.store.skips(id, limit=limit, cursor=cursor)

    def nodes(self) -> list[Node]:
        """Return the nodes that take part or did so lately, oldest first."""
        return self.store.nodes()

    def next_fires(
        self, what: Trigger | str, n: int = 5, *, after: datetime | None = None, tz: str | None = None
    ) -> list[datetime]:
        """Return the next *n* scheduled times, fewer at the end.

        Args:
            what: A schedule's id; or a trigger, or its text, which needs no store. Text that could be an id is one.
            n: How many.
            after: Instant after which they are; now by default.
            tz: Zone for a trigger that names none; the Scheduler's by default.

        Raises:
            NoSchedule: No schedule has that id.
            TriggerError: The text is no trigger, or the zone no zone.
        """
        if not 1 <= n <= 10_000:
            raise DefinitionError(f"n must be 1 to 10000, got {n}")
        at = aware(after, "after")
        if isinstance(what, str) and _could_be_id(what):
            found = self.get(what)
            at = max(self.store.instant(), found.watermark) if at is None else at
            return _times(lambda instant: following(found.definition, instant), at, n)
        trigger = resolve(what, id="next", tz=self.tz if tz is None else tz)
        return _times(trigger.next_after, self.clock.wall() if at is None else at, n)

    # -- steering ------------------------------------------------------------------------------

    def retry(self, token: Token) -> Run:
        """Make a run that ended badly pending again; its failures and losses count from zero.

        Raises:
            NoRun: No run has that token.
            WrongState: It is open, or succeeded.
            RunOpen: ``overlap`` forbids one more open run.
        """
        return self.store.retry(token, by=self.by)

    def cancel(self, token: Token) -> Run:
        """End a pending run at once; ask a running one to stop, of which its node hears at its next beat.

        A coroutine is cancelled; a function sees ``run.cancelled`` and goes on until it heeds that.

        Raises:
            NoRun: No run has that token.
            WrongState: It has ended.
        """
        return self.store.cancel(token, by=self.by)

    def prune(self, retention: Retention | None = None) -> int:
        """Delete history older than *retention* (the Scheduler's by default); return how many rows went.

        Nodes do this by themselves, little by little.
        """
        chosen = retention or self.config.retention or Retention()
        total = 0
        while gone := self.store.prune(chosen):
            total += gone
        return total

    def using(self, connection: object) -> Bound:
        """Return add, update, pause, resume, remove, revert, run_now and get as part of the caller's transaction.

        Args:
            connection: A connection to the store's database: SQLAlchemy's, Django's, or the driver's own.

        Raises:
            NotTransactional: The store, or this kind of connection, cannot do that.
        """
        return Bound(self, self.store.using(connection))

    # -- steps ---------------------------------------------------------------------------------

    def _edits(self) -> Edits:
        return self.store

    def _known_ids(self) -> Iterable[str]:
        return self.store.ids()

    def _forget(self) -> None:
        """Begin anew after a fork."""
        self._lock = threading.RLock()
        if self._opened is not None:
            # Were it collected, closing its sockets would say good-bye on the parent's connections.
            _abandoned.append(self._opened)
            self._opened = None
            self._ready = False


def _asked(which: Mapping[str, Any], state: type[ScheduleState | RunState]) -> dict[str, Any]:
    """Return *which* as the fields of a filter."""
    asked = dict(which)
    if "states" in asked:
        try:
            asked["states"] = tuple(state(each) for each in asked["states"])
        except ValueError as error:
            raise DefinitionError(f"states are {', '.join(state)}; {error}") from None
    if "ids" in asked:
        asked["ids"] = tuple(asked["ids"])
    for name in ("due_before", "scheduled_from", "scheduled_until"):
        if name in asked:
            asked[name] = aware(asked[name], name)
    return asked


def _times(next_after: Callable[[datetime], datetime | None], at: datetime, n: int) -> list[datetime]:
    times: list[datetime] = []
    while len(times) < n and (found := next_after(at)) is not None:
        times.append(found)
        at = found
    return times


def _could_be_id(text: str) -> bool:
    try:
        check_id(text)
    except BadId:
        return False
    return True


def _user_at_host() -> str:
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user need not have a name
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"


_clients: WeakSet[Client] = WeakSet()
_abandoned: list[Store] = []


# Registered before the one in hosting.py, which is imported after this file: exit hooks run in reverse, so that a node
# drains first and its connections are given back then.
@atexit.register
def _close_all() -> None:
    for client in list(_clients):
        Client.close(client)


def _forget_all() -> None:
    for client in list(_clients):
        client._forget()  # noqa: SLF001 - the same module


forks.in_child(_forget_all)
