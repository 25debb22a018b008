"""Something that is done to the fleet, at an instant that the scenario names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tickonce.model import Definition


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that is done to the fleet.

    Attributes:
        at: When, in microseconds from the beginning.
        kind: What, see ``incidents.py`` and ``edits.py``.
        who: The node, or the schedule.
        more: What else it needs.
    """

    at: int
    kind: str
    who: str
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        more = "".join(f" {name}={_short(value)}" for name, value in self.more.items())
        return f"{self.at / 1e6:12.6f}s {self.kind} {self.who}{more}"


def _short(value: Any) -> str:
    if isinstance(value, Definition):
        policy = value.policy
        return (
            f"[{value.trigger!r} misfire={policy.misfire} overlap={policy.overlap} on_lost={policy.on_lost}"
            f" jitter={value.jitter.total_seconds():g}]"
        )
    return f"{value:g}" if isinstance(value, float) else str(value)
