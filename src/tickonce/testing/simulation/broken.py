"""A trigger with a fault: it raises once it is asked about a time that is too late for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tickonce.testing.simulation.world import START
from tickonce.triggers import Every
from tickonce.triggers.base import Spec


@dataclass(frozen=True, slots=True)
class Broken:
    """Every *period* until *good_until*; asked for what follows, it raises."""

    period: timedelta
    good_until: datetime

    @classmethod
    def after(cls, from_us: int, *, scale: int) -> Broken:
        """Return one that breaks so many microseconds after the beginning."""
        return cls(timedelta(seconds=3 * scale), START + timedelta(microseconds=from_us))

    def next_after(self, after: datetime) -> datetime | None:
        """Return the first fire later than *after*."""
        if after >= self.good_until:
            raise RuntimeError("this trigger is broken")
        return Every(self.period).next_after(after)

    def spec(self) -> Spec:
        """Return a form that nothing can read."""
        return {"kind": "broken", "version": 1}

    def resolved(self, *, schedule_id: str, tz: str) -> Broken:
        """Return itself."""
        del schedule_id, tz
        return self
