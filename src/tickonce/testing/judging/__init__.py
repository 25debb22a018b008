"""A judge over fleets: what had to happen, counted from definitions and edits, against what jobs wrote down.

It asks nothing of the engine, the planner or the triggers. Simulation, real-process tests and the demo share it.

Example:
    >>> from datetime import UTC, datetime, timedelta
    >>> start = datetime(2026, 11, 21, 13, tzinfo=UTC)
    >>> history = History()
    >>> history.add("beat", Terms(rhythm=Period(timedelta(seconds=30))), start)
    >>> verdict = judge(history, Evidence(), Conditions(until=start + timedelta(minutes=1)))
    >>> verdict.fires, verdict.clean
    (2, False)
    >>> print(verdict.violations[0])
    missed: beat@2026-11-21T13:00:30Z: neither run nor skip record (active)
"""

from tickonce.testing.judging.conditions import ALWAYS, Conditions, Span, Trouble, ever_harmed
from tickonce.testing.judging.evidence import Call, Evidence, Grant, Write, evidence_of
from tickonce.testing.judging.history import Edit, History, Stretch, Terms, TooUncertain
from tickonce.testing.judging.judge import judge
from tickonce.testing.judging.rhythm import Each, Moments, Period, Rhythm, Within
from tickonce.testing.judging.verdict import Kind, Verdict, Violation, percentile

__all__ = [
    "ALWAYS",
    "Call",
    "Conditions",
    "Each",
    "Edit",
    "Evidence",
    "Grant",
    "History",
    "Kind",
    "Moments",
    "Period",
    "Rhythm",
    "Span",
    "Stretch",
    "Terms",
    "TooUncertain",
    "Trouble",
    "Verdict",
    "Violation",
    "Within",
    "Write",
    "ever_harmed",
    "evidence_of",
    "judge",
    "percentile",
]
