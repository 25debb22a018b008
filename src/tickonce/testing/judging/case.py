"""What the judge knows of one schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tickonce.model import Run, Skip, Token
from tickonce.testing.judging.conditions import ALWAYS, Conditions, Span, calm, merged
from tickonce.testing.judging.evidence import Call, Grant, Write
from tickonce.testing.judging.history import History
from tickonce.testing.judging.tries import Tries


@dataclass(slots=True)
class Case:
    """What is known of one schedule, whatever its history was.

    Attributes:
        runs: Of its fires, by scheduled time.
        all_runs: Those started by hand too, and those after the judged time.
        calls: Of all runs, by token, lowest attempt first.
        closed: When the store took the outcome of a run that has ended, where that is known.
        writes: What the store took of each run, in order; empty where nobody could listen.
        grants, launches: As in the evidence, where somebody listened.
        opens: From when to when each run was open, as the store says.
    """

    schedule_id: str
    runs: Mapping[datetime, Run]
    all_runs: Sequence[Run]
    skips: Sequence[Skip]
    calls: Mapping[Token, list[Call]]
    closed: Mapping[Token, datetime]
    writes: Mapping[Token, list[Write]]
    grants: Mapping[Token, list[Grant]]
    launches: Mapping[Token, datetime]
    history: History
    conditions: Conditions
    opens: list[tuple[datetime, datetime, Run]] = field(init=False)
    _troubles: tuple[Span, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._troubles = self.conditions.troubles_of(self.schedule_id)
        self.opens = [self._opened(run) for run in self.all_runs]

    def calm(self, begin: datetime, end: datetime, *, but: Sequence[Span] = ()) -> timedelta:
        """Return how much of that time had no trouble, and was none of *but*."""
        return calm(merged([*self._troubles, *but]) if but else self._troubles, begin, end)

    def excused(self, begin: datetime, end: datetime) -> bool:
        """Whether the fleet need not have launched by *end* what was due at *begin*."""
        prompt = self.conditions.prompt
        return prompt is None or self.calm(begin, end) < prompt

    def tries(self, run: Run) -> Tries:
        """Return how often the run failed and was lost; by what others saw, where somebody listened."""
        token = run.token
        if not self.writes or token in self.history.retried:  # whoever retries it lets the store count anew
            return Tries.told(run)
        return Tries.seen(self.calls.get(token, ()), self.writes.get(token, ()))

    def _opened(self, run: Run) -> tuple[datetime, datetime, Run]:
        begin = run.created_at or run.scheduled_time
        return begin, self.closed.get(run.token) or run.finished_at or ALWAYS.end, run
