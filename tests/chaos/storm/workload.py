"""The schedules that a storm passes over, and what the judge is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tickonce import Scheduler, cron, every
from tickonce.retry import Retry
from tickonce.testing.judging import History, Period, Terms

_ALL = {"misfire": "all", "overlap": "allow"}
#: A schedule that is only started by hand while a storm lasts.
BY_HAND = "by-hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Schedules of one kind.

    Attributes:
        number: How many of them.
        period_s: Between two fires.
        takes_s: How long a run works.
        minutes: Declared as cron, every minute; *period_s* is 60 then.
        policy: As ``Scheduler.add`` takes it.
        retries: Tries after the first one; then the job fails at every other attempt.
        jitter_s: Largest jitter.
    """

    number: int
    period_s: float = 1.0
    takes_s: float = 0.0
    minutes: bool = False
    policy: Mapping[str, Any] = field(default_factory=dict)
    retries: int = 0
    jitter_s: float = 0.0

    @property
    def terms(self) -> Terms:
        """What the judge is told."""
        return Terms(
            rhythm=Period(timedelta(seconds=self.period_s)),
            retries=self.retries,
            jitter=timedelta(seconds=self.jitter_s),
            **self.policy,
        )


KINDS: Mapping[str, Kind] = {
    "each": Kind(number=5, policy=_ALL),
    "plain": Kind(number=4, takes_s=0.3),
    "skips": Kind(number=2, policy={"misfire": "skip", "overlap": "allow"}),
    "slow": Kind(number=12, period_s=4.0, takes_s=3.0, policy=_ALL),
    "alone": Kind(number=3, period_s=2.0, takes_s=2.5, policy={"misfire": "latest", "overlap": "skip"}),
    "stumbles": Kind(number=2, period_s=2.0, policy=_ALL, retries=4),
    "once-only": Kind(number=2, period_s=3.0, takes_s=1.0, policy={**_ALL, "on_lost": "fail"}),
    "spread": Kind(number=2, period_s=2.0, policy=_ALL, jitter_s=1.5),
    "minutely": Kind(number=2, period_s=60.0, minutes=True),
}
#: Schedules whose fires after a kill are measured: without jitter, and each fire is run.
MEASURED = frozenset(
    f"{name}-{number}"
    for name, kind in KINDS.items()
    if not kind.jitter_s and kind.policy.get("overlap") == "allow"
    for number in range(kind.number)
)
#: Fires a second of all of them together.
FIRES_A_SECOND = sum(kind.number / kind.period_s for kind in KINDS.values())


def add_all(scheduler: Scheduler, history: History) -> None:
    """Add every schedule, and write down what was asked for."""
    for name, kind in KINDS.items():
        for number in range(kind.number):
            made = scheduler.add(
                f"{name}-{number}",
                "stumble" if kind.retries else "note",
                cron("* * * * *") if kind.minutes else every(timedelta(seconds=kind.period_s)),
                kwargs={"takes": kind.takes_s} if kind.takes_s else None,
                jitter=timedelta(seconds=kind.jitter_s),
                retries=Retry(times=kind.retries, delay=timedelta(milliseconds=300), kind="fixed"),
                **kind.policy,
            )
            history.add(made.id, kind.terms, made.created_at)
    made = scheduler.add(BY_HAND, "note", every("30d"), overlap="allow")
    history.add(made.id, Terms(rhythm=Period(timedelta(days=30)), overlap="allow"), made.created_at)
