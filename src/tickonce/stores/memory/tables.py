"""The rows, the index of open runs, and the locks on rows of schedules."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from threading import Condition, Lock, get_ident

from tickonce.config import Retention
from tickonce.errors import StoreBusy
from tickonce.model import (
    Change,
    Node,
    NodeId,
    NodeState,
    Run,
    RunState,
    Schedule,
    ScheduleState,
    Skip,
    Token,
    schedule_with,
)
from tickonce.planning import COUNT_LIMIT

ALIVE = (NodeState.ALIVE, NodeState.LEAVING)
#: How long a step waits for a row that an edit holds, in real seconds: the edit is a thread of this process.
_PATIENCE_S = 10.0


class Tables:
    """What the store keeps. Whoever reads or writes it has ``guard``, except for ``held_row``, which takes it."""

    def __init__(self) -> None:
        self.guard = Lock()
        self._let_go = Condition(self.guard)
        self.schedules: dict[str, Schedule] = {}
        self.runs: dict[Token, Run] = {}
        self.skips: dict[str, list[Skip]] = {}
        self.nodes: dict[NodeId, Node] = {}
        self.epoch = 0
        self._open: dict[str, dict[Token, None]] = {}
        self._holders: dict[str, int] = {}

    @contextmanager
    def held_row(self, schedule_id: str) -> Iterator[None]:
        """Keep other steps off the schedule's row; the rest stays open meanwhile, and launches pass the row over.

        Raises:
            StoreBusy: The row stayed locked, or this very thread holds it.
        """
        me = get_ident()
        with self.guard:
            if self._holders.get(schedule_id) == me:
                raise StoreBusy(f"schedule {schedule_id!r} is being changed by this very thread")
            if not self._let_go.wait_for(lambda: schedule_id not in self._holders, timeout=_PATIENCE_S):
                raise StoreBusy(f"schedule {schedule_id!r} stayed locked for {_PATIENCE_S:g} s by another change of it")
            self._holders[schedule_id] = me
        try:
            yield
        finally:
            with self.guard:
                del self._holders[schedule_id]
                self._let_go.notify_all()

    def locked(self, schedule_id: str) -> bool:
        """Whether somebody holds the schedule's row."""
        return schedule_id in self._holders

    def write(self, change: Change, before: Schedule | None) -> Schedule:
        """Write the row and the skip records of *change*; return the row."""
        version = secrets.randbits(62) if before is None else before.version + 1
        after = schedule_with(change.schedule, version=version)
        self.schedules[after.id] = after
        records = self.skips.setdefault(after.id, [])
        skips = list(change.skips)
        if skips and change.extends is not None:
            for at, record in enumerate(records):
                if record.first == change.extends and record.reason == skips[0].reason:
                    grown = skips.pop(0)
                    count, more = record.count + grown.count, record.more or grown.more
                    records[at] = replace(record, last=grown.last, count=count, more=more)
                    break
        records.extend(skips)
        return after

    def keep(self, run: Run) -> Run:
        """Write the run; return it."""
        self.runs[run.token] = run
        of_schedule = self._open.setdefault(run.schedule_id, {})
        if run.state.open:
            of_schedule[run.token] = None
        else:
            of_schedule.pop(run.token, None)
            if not of_schedule:
                del self._open[run.schedule_id]
        return run

    def run_times(self, row: Schedule, *, until: datetime) -> list[datetime]:
        """Return the scheduled times after the row's watermark up to *until* of fires that have a run, oldest first."""
        return sorted(
            run.scheduled_time
            for run in self.runs.values()
            if run.schedule_id == row.id and run.source == "schedule" and row.watermark < run.scheduled_time <= until
        )[:COUNT_LIMIT]

    def open_count(self, schedule_id: str) -> int:
        """Return how many runs of the schedule are open."""
        return len(self._open.get(schedule_id, ()))

    def open_runs(self, state: RunState) -> Iterator[Run]:
        """Yield the runs that are pending, or those that are running."""
        for tokens in self._open.values():
            for token in tokens:
                if self.runs[token].state is state:
                    yield self.runs[token]

    def attempt(self, node_id: NodeId, token: Token, attempt: int) -> Run | None:
        """Return the run if the node holds that very attempt."""
        run = self.runs.get(token)
        if run is None or (run.state, run.node, run.attempt) != (RunState.RUNNING, node_id, attempt):
            return None
        return run

    def alive(self, node_id: NodeId | None) -> bool:
        """Whether the node's row is there and alive."""
        return node_id is not None and node_id in self.nodes and self.nodes[node_id].state in ALIVE

    def sweep(
        self, state: RunState, wanted: Callable[[Run], bool], become: Callable[[Run], Run], limit: int
    ) -> list[Run]:
        """Change up to *limit* of the open runs in *state* that are *wanted*; return them."""
        found = [run for run in self.open_runs(state) if wanted(run)][:limit]
        return [self.keep(become(run)) for run in found]

    def prune(self, retention: Retention, now: datetime, limit: int) -> int:
        """Delete up to *limit* rows that are older than *retention*; return how many."""
        left = limit
        for token in self._old_runs(retention, now)[:left]:
            del self.runs[token]
            left -= 1
        for records in self.skips.values():
            for skip in [skip for skip in records if skip.last < now - retention.skips][:left]:
                records.remove(skip)
                left -= 1
        for node in [node for node in self.nodes.values() if _gone_before(node, now - retention.nodes)][:left]:
            del self.nodes[node.id]
            left -= 1
        for row in [row for row in self.schedules.values() if self._over(row, retention, now)][:left]:
            del self.schedules[row.id]
            left -= 1
        return limit - left

    def _over(self, row: Schedule, retention: Retention, now: datetime) -> bool:
        """Whether a schedule can go, that was removed or has ended long ago."""
        if self.locked(row.id):
            return False
        last = row.updated_at if row.declaration is None else max(row.updated_at, row.declaration.seen_at)
        if row.state is ScheduleState.REMOVED:
            return last < now - retention.tombstones
        last = max(row.watermark, last)
        return row.state is ScheduleState.ENDED and last < now - retention.runs and not self.open_count(row.id)

    def _old_runs(self, retention: Retention, now: datetime) -> list[Token]:
        ended: dict[str, list[Run]] = {}
        for run in self.runs.values():
            if not run.state.open:
                ended.setdefault(run.schedule_id, []).append(run)
        old: list[Token] = []
        for schedule_id, runs in ended.items():
            keep = retention.keep if schedule_id in self.schedules else 0
            runs.sort(key=lambda run: (run.scheduled_time, run.token), reverse=True)
            border = now - retention.runs
            old.extend(run.token for run in runs[keep:] if (run.finished_at or now) < border)
        return old


def _gone_before(node: Node, border: datetime) -> bool:
    return node.state not in ALIVE and node.beat_at is not None and node.beat_at < border
