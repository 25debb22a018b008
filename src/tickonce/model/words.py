"""Policies, states and reasons: the words that are stored."""

from __future__ import annotations

from enum import StrEnum


class Misfire(StrEnum):
    """What happens to fires found more than ``grace`` late."""

    LATEST = "latest"  # the newest of them, if no on-time fire follows
    ALL = "all"  # each one within the catch-up window, oldest first
    SKIP = "skip"  # none


class Overlap(StrEnum):
    """What happens to a fire while a run of its schedule is open."""

    SKIP = "skip"
    ALLOW = "allow"


class OnLost(StrEnum):
    """What happens to a run whose node is gone."""

    RERUN = "rerun"  # pending again, under the same token
    FAIL = "fail"  # ends as lost, once its function had been called


class CutOff(StrEnum):
    """What a node does with a run when it cannot reach the store within its lease."""

    FINISH = "finish"  # goes on, the outcome is kept and offered; the store's fence decides
    CANCEL = "cancel"


class ScheduleState(StrEnum):
    """States of a schedule."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"  # no fire is left
    ASIDE = "aside"  # its trigger raised; resume() brings it back
    REMOVED = "removed"  # a tombstone: keeps watermark and version


class RunState(StrEnum):
    """States of a run. Open ones count for overlap."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    SKIPPED = "skipped"

    @property
    def open(self) -> bool:
        """Whether the run may still do work."""
        return self in OPEN


OPEN = frozenset({RunState.PENDING, RunState.RUNNING})


class NodeState(StrEnum):
    """States of a node's row. Only ALIVE and LEAVING hold runs."""

    ALIVE = "alive"
    LEAVING = "leaving"  # finishes what runs, takes nothing new
    GONE = "gone"  # left in order
    DEAD = "dead"  # declared dead by a witness; never comes back


class Reason(StrEnum):
    """Why fires were not run: the reasons of skip records and of skipped runs."""

    MISFIRE = "misfire"
    CATCH_UP = "catch-up window"
    OVERLAP = "overlap"
    PAUSED = "paused"
    REMOVED = "removed"
    ORPHANED = "orphaned"
    RULES = "rules changed"
    REWOUND = "store went back"
    TOO_LATE = "too late"
