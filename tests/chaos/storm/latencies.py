"""How long a fleet needs after a kill: until what the node held runs again, and until its fires are served. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any

from tests.chaos.ledger import Moments
from tests.chaos.storm.bands import Kill
from tests.chaos.storm.pace import LEASE_S, RECOVERED_WITHIN_S, SERVED_WITHIN_S
from tickonce.model import Run, Token
from tickonce.testing.judging import Call, percentile


@dataclass(slots=True)
class Latency:
    """Times of one kind.

    Attributes:
        aim_s: None may be longer, where nothing excuses it.
        judged: Those of kills that nothing excuses, with their token.
        excused: The others.
    """

    aim_s: float
    judged: list[tuple[float, Token]] = field(default_factory=list)
    excused: list[tuple[float, Token]] = field(default_factory=list)

    def add(self, kill: Kill, seconds: float, token: Token) -> None:
        (self.excused if kill.excuse else self.judged).append((seconds, token))

    @property
    def beyond(self) -> list[str]:
        """Those that took too long, as text."""
        late = [(seconds, token) for seconds, token in self.judged if seconds > self.aim_s]
        return [f"{token}: {seconds:.2f} s, aim {self.aim_s:g} s" for seconds, token in sorted(late, reverse=True)]

    def form(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "aim_s": self.aim_s,
            "judged": len(self.judged),
            "max_s": _worst(self.judged, 100),
            "p99_s": _worst(self.judged, 99),
            "p50_s": _worst(self.judged, 50),
            "beyond": self.beyond,
            "excused": len(self.excused),
            "excused_max_s": _worst(self.excused, 100),
        }


def recovery(kills: Sequence[Kill], calls: Iterable[Call], moments: Moments) -> Latency:
    """Return the times from each kill to the next call of what the killed node held."""
    found = Latency(RECOVERED_WITHIN_S)
    of_pid = {str(kill.pid): kill for kill in kills}
    calls_of: dict[Token, list[Call]] = defaultdict(list)
    for call in calls:
        calls_of[call.token].append(call)
    for token, attempts in calls_of.items():
        attempts.sort(key=lambda call: call.attempt)
        for before, later in pairwise(attempts):
            kill = of_pid.get(before.node)
            if kill is not None and not before.failed and before.began <= moments.at(kill.at) <= later.began:
                found.add(kill, moments.of(later.began) - kill.at, token)
    return found


def service(
    kills: Sequence[Kill], calls: Iterable[Call], runs: Mapping[Token, Run], ids: Collection[str], moments: Moments
) -> Latency:
    """Return how late each fire is first called that comes within a lease of a kill, whoever owned it.

    Args:
        kills: The kills.
        calls: The ledger.
        runs: The store's runs.
        ids: Schedules without jitter that nobody edits: an edit settles or skips fires in its own way.
        moments: From monotonic to the store's time.
    """
    found = Latency(SERVED_WITHIN_S)
    first = [call for call in calls if call.attempt == 1 and not call.by_hand and call.schedule_id in ids]
    for call in first:
        run = runs.get(call.token)
        if run is None:
            continue
        for kill in kills:
            since = (call.scheduled_time - moments.at(kill.at)).total_seconds()
            # What was due just then may have been launched, and be lost with the node that did.
            if 0 < since <= LEASE_S and not (run.losses and call.node == str(kill.pid)):
                found.add(kill, (call.began - call.scheduled_time).total_seconds(), call.token)
    return found


def _worst(times: Sequence[tuple[float, Token]], percent: int) -> float | None:
    if not times:
        return None
    return round(percentile((timedelta(seconds=seconds) for seconds, _ in times), percent).total_seconds(), 3)
