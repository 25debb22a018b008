"""Settings of a node: frozen, validated, units in the type."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta

from tickonce.errors import ConfigError
from tickonce.model import LONGEST, Policy, check_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long history is kept; nodes prune by themselves, in small steps, and never forget a fire's identity.

    Attributes:
        runs: Finished runs older than this go, but the newest *keep* of each schedule stay. Schedules that have ended
            for as long go, too, such as those of a single instant, and then all their runs.
        keep: Finished runs of a schedule that always stay.
        skips: Skip records older than this go.
        nodes: Rows of nodes that are gone for this long go.
        tombstones: Marks of removed schedules older than this go, when no code has declared them for as long.
    """

    runs: timedelta = timedelta(days=14)
    keep: int = 50
    skips: timedelta = timedelta(days=30)
    nodes: timedelta = timedelta(days=1)
    tombstones: timedelta = timedelta(days=30)

    def __post_init__(self) -> None:
        for name in ("runs", "skips", "nodes", "tombstones"):
            if getattr(self, name) <= timedelta(0):
                raise ConfigError(f"retention of {name} must be longer than zero, got {getattr(self, name)}")
            if getattr(self, name) > LONGEST:
                raise ConfigError(f"retention of {name} must be at most {LONGEST.days} days; None keeps all for ever")
        if self.keep < 0:
            raise ConfigError(f"retention keep must not be negative, got {self.keep}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """Settings of one node.

    Attributes:
        slots: Runs carried out at the same time; 0 is a node that only launches.
        queues: Queues whose runs it carries out.
        ticks: Whether it launches schedules; False is a node that only carries out.
        lease: How long it counts as alive without a beat; after it, others take over its runs.
        beat: Time between beats. At most a third of *lease*.
        margin: How long before the end of its lease it starts nothing more.
        takeover_after: How overdue a fire is when the second node in order serves it; the third waits twice as long.
        poll: Longest wait between looks at a store that notifies.
        blind_poll: The same for a store that does not.
        batch: Schedules dealt with in one launch at most.
        drain_timeout: How long a stopping node waits for what runs.
        retention: How long history is kept; None keeps all.
        orphan_after: How long a declared schedule stays served after the last node that declares it.
    """

    slots: int = 10
    queues: tuple[str, ...] = ("default",)
    ticks: bool = True
    lease: timedelta = timedelta(seconds=15)
    beat: timedelta = timedelta(seconds=5)
    margin: timedelta = timedelta(seconds=2)
    takeover_after: timedelta = timedelta(seconds=1)
    poll: timedelta = timedelta(seconds=5)
    blind_poll: timedelta = timedelta(seconds=1)
    batch: int = 500
    drain_timeout: timedelta = timedelta(seconds=30)
    retention: Retention | None = Retention()
    orphan_after: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        self._check_counts()
        if not isinstance(self.ticks, bool):
            raise ConfigError(f"ticks must be True or False, got {self.ticks!r}")
        if self.retention is not None and not isinstance(self.retention, Retention):
            raise ConfigError(f"retention must be a Retention(...) or None, got {self.retention!r}")
        if not self.queues and self.slots:
            raise ConfigError("queues must name at least one queue, or slots be 0")
        if not isinstance(self.queues, tuple):
            raise ConfigError(f"queues must be a tuple of names, got {self.queues!r}")
        for queue in self.queues:
            check_id(queue)
        for name in ("lease", "beat", "takeover_after", "poll", "blind_poll", "orphan_after"):
            if getattr(self, name) <= timedelta(0):
                raise ConfigError(f"{name} must be longer than zero, got {getattr(self, name)}")
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, timedelta) and value > LONGEST:
                raise ConfigError(f"{item.name} must be at most {LONGEST.days} days, got {value}")
        if self.beat * 3 > self.lease:
            raise ConfigError(f"beat must be at most lease/3, got {self.beat} of {self.lease}")
        if not timedelta(0) <= self.margin <= self.lease - 2 * self.beat:
            raise ConfigError(f"margin must be 0 to lease - 2 beats, got {self.margin}")
        if self.drain_timeout < timedelta(0):
            raise ConfigError(f"drain_timeout must not be negative, got {self.drain_timeout}")

    def _check_counts(self) -> None:
        for name, least in (("slots", 0), ("batch", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(f"{name} must be a whole number, got {value!r}")
            if not least <= value <= 10_000:
                raise ConfigError(f"{name} must be {least} to 10000, got {value}")

    def check_grace(self, policy: Policy, *, schedule_id: str) -> None:
        """Refuse a schedule whose grace is too short for a takeover: its fires would count as late by mere routine.

        Raises:
            ConfigError: ``grace`` is shorter than ``takeover_after`` + ``poll`` + 1 s.
        """
        least = self.takeover_after + max(self.poll, self.blind_poll) + timedelta(seconds=1)
        if policy.grace < least:
            raise ConfigError(
                f"schedule {schedule_id!r}: grace must be at least takeover_after + poll + 1 s = {least}, "
                f"got {policy.grace}"
            )
