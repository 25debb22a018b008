"""The ledger that the members of a crew write, as the calls that it tells of."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from tickonce.testing.judging import Call


@dataclass(frozen=True, slots=True)
class Moments:
    """From the machine's monotonic clock to the store's time.

    All processes of a machine share that clock, and nothing sets it: so a node whose wall clock is wrong writes a
    ledger that is right.

    Attributes:
        base: The store's time at which the monotonic clock was zero; later by at most the shortest reply.
    """

    base: datetime

    @classmethod
    def measured(cls, instant: Callable[[], datetime], *, times: int = 20) -> Self:
        """Ask the store for its time, and take the quickest answer.

        It was made after the question was sent, so no call is taken for earlier than it was, and for later by no more
        than that answer took.
        """
        answers = []
        for _ in range(times):
            sent = time.monotonic()
            at = instant()
            answers.append((time.monotonic() - sent, at - timedelta(seconds=sent)))
        return cls(min(answers)[1])

    def at(self, monotonic: float) -> datetime:
        """Return the store's time at that moment."""
        return self.base + timedelta(seconds=monotonic)

    def of(self, instant: datetime) -> float:
        """Return the moment of a store's time."""
        return (instant - self.base).total_seconds()


#: A wall clock that is this far from the store's is wrong.
_WRONG = timedelta(seconds=0.5)


def skewed(folder: Path, moments: Moments) -> int:
    """Return how many calls were made by processes whose wall clock was wrong."""
    lines = (json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines())
    return sum(
        abs(datetime.fromtimestamp(line["wall"], UTC) - moments.at(line["monotonic"])) > _WRONG
        for line in lines
        if line["event"] == "began"
    )


def read_ledger(folder: Path, moments: Moments | None = None) -> list[Call]:
    """Return all calls; their node is the number of the process that made them.

    Args:
        folder: Where the processes write, each into files of its own.
        moments: How to read their monotonic times; by default their wall clocks are believed.
    """
    calls: list[Call] = []
    going_on: dict[tuple[int, str, int], int] = {}
    for path in sorted(folder.glob("*.jsonl")):  # those of a process are numbered
        for line in path.read_text().splitlines():
            item = json.loads(line)
            key = (item["pid"], item["token"], item["attempt"])
            at = datetime.fromtimestamp(item["wall"], UTC) if moments is None else moments.at(item["monotonic"])
            if item["event"] != "began":
                number = going_on[key]
                calls[number] = replace(calls[number], ended=at, failed=item["event"] == "failed")
                continue
            going_on[key] = len(calls)
            calls.append(
                Call(
                    token=item["token"],
                    schedule_id=item["schedule"],
                    scheduled_time=datetime.fromisoformat(item["at"]),
                    attempt=item["attempt"],
                    node=str(item["pid"]),
                    began=at,
                    by_hand=item["source"] != "schedule",
                )
            )
    return calls
