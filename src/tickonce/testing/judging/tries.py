"""How often a run was tried, counted from outside: the numbers that the store keeps are what is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tickonce.model import Run
from tickonce.testing.judging.evidence import Call, Write


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a run failed, and how often it was taken from a node that was gone."""

    failures: int
    losses: int

    @classmethod
    def seen(cls, calls: Sequence[Call], writes: Sequence[Write]) -> Self:
        """Count calls that failed and whose outcome the store took, and what the store took away."""
        taken = {write.attempt for write in writes if not write.by_store}
        failed = {call.attempt for call in calls if call.failed} & taken
        return cls(len(failed), sum(write.loss for write in writes))

    @classmethod
    def told(cls, run: Run) -> Self:
        """Take the word of the store, where nobody listened to what it took."""
        return cls(run.failures, run.losses)
