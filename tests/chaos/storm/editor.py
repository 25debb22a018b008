"""Edits while the storm lasts, some of which lose their reply; and a watch over what the releases declare."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from tests.chaos.ledger import Moments
from tests.chaos.storm.fleet import DECLARED
from tests.chaos.storm.workload import BY_HAND
from tests.servers import CuttingProxy
from tickonce import Scheduler, every
from tickonce.errors import NoSchedule, RunOpen, ScheduleExists, StoreError, WrongState
from tickonce.model import Schedule, ScheduleState
from tickonce.ports import Store
from tickonce.testing.judging import History, Period, Terms
from tickonce.triggers import Every

#: Between two edits, on the average.
_PAUSE_S = 0.8
#: Schedules that are edited at a time.
_POOL = 8
#: Edits of one schedule whose outcome nobody knows; with more there are too many possible histories to judge.
_MOST_UNKNOWN = 2
#: Of edits of a schedule in all, for the same reason.
_MOST_EDITS = 40
#: How often a reply, or the commit itself, is to be lost.
_LOSE = 0.2
_PATIENCE_S = 60.0
#: What a clock that is read from afar may be wrong by.
_UNSURE = timedelta(milliseconds=20)


@dataclass(slots=True)
class _Edited:
    """A schedule that is edited."""

    id: str
    edits: int = 0
    unknown: int = 0


@dataclass(slots=True)
class Editor:
    """Edits schedules of its own, in a thread.

    Args:
        scheduler: Reaches the store by way of *proxy*.
        store: The same store, past every proxy.
        history: Where it is written down.
        moments: From monotonic to the store's time.
        seed: Decides what is done, as far as the store's answers let it.
        proxy: Loses replies; None where there is no network.
    """

    scheduler: Scheduler
    store: Store
    history: History
    moments: Moments
    seed: int
    proxy: CuttingProxy | None
    unknown: Counter[str] = field(default_factory=Counter)
    _random: random.Random = field(init=False)
    _pool: list[_Edited] = field(default_factory=list)
    _made: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _error: BaseException | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(f"edits {self.seed}")

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="editor", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Edit nothing more.

        Raises:
            Exception: What ended the editor before its time.
        """
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    # -- edits -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._random.expovariate(1 / _PAUSE_S)):
                self._one()
        except BaseException as error:  # noqa: BLE001 - told by finish()
            self._error = error

    def _one(self) -> None:
        self._pool = [each for each in self._pool if each.unknown < _MOST_UNKNOWN and each.edits < _MOST_EDITS]
        while len(self._pool) < _POOL:
            self._made += 1
            self._pool.append(_Edited(f"edited-{self._made}"))
        if self._random.random() < 0.2:
            self._by_hand()
            return
        target = self._random.choice(self._pool)
        try:
            found = self._row(target.id)
        except StoreError:
            return
        target.edits += 1
        verb, edit = self._edit(target.id, found)
        self._lose()
        self._do(target, verb, edit)

    def _edit(self, schedule_id: str, found: Schedule | None) -> tuple[str, _Edit]:
        choice = self._random.random()
        if found is None or found.state is ScheduleState.REMOVED:
            return "add", self._add(schedule_id)
        if choice < 0.2:
            return "remove", self._remove(schedule_id)
        if found.state is ScheduleState.PAUSED:
            return "resume", self._resume(schedule_id)
        if choice < 0.45:
            return "pause", self._pause(schedule_id)
        return "change", self._change(found)

    def _do(self, target: _Edited, verb: str, edit: _Edit) -> None:
        before = self.moments.at(time.monotonic()) - _UNSURE
        try:
            at = edit.apply()
        except (NoSchedule, ScheduleExists, WrongState, StoreError):
            # A plain "no" counts, too: it may be the answer to a second try, the first of which came through.
            self._settle()
            target.unknown += 1
            self.unknown[verb] += 1
            edit.note(before, self.moments.at(time.monotonic()) + _UNSURE, sure=False)
        else:
            edit.note(at or before, at or self.moments.at(time.monotonic()) + _UNSURE, sure=True)

    def _add(self, schedule_id: str) -> _Edit:
        terms = self._terms()
        trigger, policy = _trigger(terms), {"misfire": terms.misfire, "overlap": terms.overlap}
        return _Edit(
            lambda: self.scheduler.add(schedule_id, "note", trigger, **policy).created_at,  # type: ignore[arg-type]
            lambda at, latest, sure: self.history.add(schedule_id, terms, at, latest=latest, sure=sure),
        )

    def _change(self, found: Schedule) -> _Edit:
        policy = found.definition.policy
        misfire: Literal["all", "latest"] = "all" if self._random.random() < 0.5 else "latest"
        terms = Terms(
            rhythm=Period(timedelta(seconds=self._random.choice((1, 2, 3)))), misfire=misfire, overlap=policy.overlap
        )
        trigger = _trigger(terms)
        return _Edit(
            lambda: self.scheduler.update(found.id, trigger=trigger, misfire=misfire).updated_at,
            lambda at, latest, sure: self.history.change(found.id, terms, at, latest=latest, sure=sure),
        )

    def _pause(self, schedule_id: str) -> _Edit:
        return _Edit(
            lambda: self.scheduler.pause(schedule_id, reason="stock taking").updated_at,
            lambda at, latest, sure: self.history.pause(schedule_id, at, latest=latest, sure=sure),
        )

    def _resume(self, schedule_id: str) -> _Edit:
        missed = self._random.choice((None, None, "latest", "all"))
        return _Edit(
            lambda: self.scheduler.resume(schedule_id, missed=missed).updated_at,  # type: ignore[arg-type]
            lambda at, latest, sure: self.history.resume(schedule_id, at, missed=missed, latest=latest, sure=sure),
        )

    def _remove(self, schedule_id: str) -> _Edit:
        def apply() -> datetime | None:
            self.scheduler.remove(schedule_id)
            with suppress(StoreError):
                left = self._row(schedule_id)  # the tombstone says when; nobody else makes it anew
                return None if left is None else left.updated_at
            return None

        return _Edit(apply, lambda at, latest, sure: self.history.remove(schedule_id, at, latest=latest, sure=sure))

    def _by_hand(self) -> None:
        key = f"order-{self._made}-{self._random.randrange(10**9)}"
        self._lose()
        try:
            self.scheduler.run_now(BY_HAND, key=key)
        except (RunOpen, StoreError):
            self.unknown["run_now"] += 1
            self.history.run_now(BY_HAND, key, sure=False)
        else:
            self.history.run_now(BY_HAND, key)

    # -- steps -----------------------------------------------------------------------------------

    def _terms(self) -> Terms:
        return Terms(
            rhythm=Period(timedelta(seconds=self._random.choice((1, 2, 3)))),
            misfire=self._random.choice(("all", "latest")),
            overlap=self._random.choice(("skip", "allow")),
        )

    def _lose(self) -> None:
        if self.proxy is None or self._random.random() >= _LOSE:
            return
        self.proxy.restore()
        if self._random.random() < 0.7:
            self.proxy.cut_reply_after(b"COMMIT")
        else:
            self.proxy.cut_before(b"COMMIT")

    def _row(self, schedule_id: str) -> Schedule | None:
        """Return the row, a tombstone too.

        Raises:
            StoreError: The store is away for long.
        """
        self._settle()
        return self.store.get(schedule_id)

    def _settle(self) -> None:
        """Wait until the store answers: what was on its way when a reply was lost has arrived by then or never will."""
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            with suppress(StoreError):
                self.store.instant()
                return
            time.sleep(0.2)


@dataclass(frozen=True, slots=True)
class _Edit:
    """An edit: does it and returns the store's instant, if it is told; and writes it down."""

    apply: Callable[[], datetime | None]
    write: Callable[[datetime, datetime, bool], None]

    def note(self, at: datetime, latest: datetime, *, sure: bool) -> None:
        self.write(at, latest, sure)


def _trigger(terms: Terms) -> Every:
    rhythm = terms.rhythm
    assert isinstance(rhythm, Period)
    return every(rhythm.period)


class Watch:
    """Writes down when the schedules that releases declare become others. Nobody else edits them."""

    def __init__(self, store: Store, history: History) -> None:
        self._store, self._history = store, history
        self._seen: dict[str, Schedule] = {}
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.changes = 0

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Look a last time; the store is well by now.

        Raises:
            Exception: What ended the watch before its time.
        """
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        self._look()

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.1):
                with suppress(StoreError):
                    self._look()
        except Exception as error:  # noqa: BLE001 - told by finish()
            self._error = error

    def _look(self) -> None:
        for schedule_id in DECLARED[True]:
            row = self._store.get(schedule_id)
            if row is None:
                continue
            last = self._seen.get(schedule_id)
            if last is None:
                if row.revision > 1:
                    raise AssertionError(f"{schedule_id} was changed before it was seen")
                self._history.add(schedule_id, terms_of(row), row.created_at)
            elif row.revision > last.revision:
                self.changes += row.revision - last.revision
                if row.revision > last.revision + 1:  # there and back again within one look
                    other = terms_of(replace(row, definition=last.definition))
                    self._history.change(schedule_id, other, last.updated_at, latest=row.updated_at)
                self._history.change(schedule_id, terms_of(row), row.updated_at)
            self._seen[schedule_id] = row


def terms_of(schedule: Schedule) -> Terms:
    """Return what the judge is told of a schedule that fires every so often."""
    definition = schedule.definition
    assert isinstance(definition.trigger, Every)
    policy = definition.policy
    return Terms(rhythm=Period(definition.trigger.period), misfire=policy.misfire, overlap=policy.overlap)
