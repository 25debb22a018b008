"""Under which conditions it happened: who was harmed when, and when the fleet could not be expected to be prompt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_ZERO = timedelta(0)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """From one instant to another."""

    begin: datetime
    end: datetime

    def meets(self, begin: datetime, end: datetime) -> bool:
        """Whether it has an instant in common with that time."""
        return self.begin <= end and begin <= self.end


#: All of time.
ALWAYS = Span(_FIRST, _LAST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A time in which fires could not be expected to be launched promptly, all or those of some schedules."""

    begin: datetime
    end: datetime
    schedules: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the judge is told about the surroundings.

    Attributes:
        until: Fires after this instant are not judged; all before it had the time to end.
        harmed: When each node was harmed (killed, stopped, cut off): only then may its runs be carried out again.
        troubles: When a fire could not be expected to be launched within *prompt*.
        prompt: How long a fire may take from its due time to the job's first call, troubles not counted. None: any
            time, and any skip for lateness holds.
        orphaned: When a schedule had not been declared by any live node for long.
        stepped: When nodes may have taken another time for the store's: its clock was set.
        rewound: From when on the store had lost what it had confirmed, to when it went back: each time that it did.
    """

    until: datetime
    harmed: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    troubles: tuple[Trouble, ...] = ()
    prompt: timedelta | None = None
    orphaned: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    stepped: tuple[Span, ...] = ()
    rewound: tuple[Span, ...] = ()

    def was_harmed(self, node: str, begin: datetime, end: datetime) -> bool:
        """Whether the node was harmed at some time between these two."""
        return any(span.meets(begin, end) for span in self.harmed.get(node, ()))

    def anybody_harmed(self, begin: datetime, end: datetime) -> bool:
        """Whether any node was harmed between these two."""
        return any(span.meets(begin, end) for spans in self.harmed.values() for span in spans)

    def was_stepped(self, begin: datetime, end: datetime) -> bool:
        """Whether the store's clock told something else than elapsed time between these two."""
        return any(span.meets(begin, end) for span in self.stepped)

    def troubles_of(self, schedule_id: str) -> tuple[Span, ...]:
        """Return the times in which this schedule need not have been served promptly, apart from each other."""
        meant = [each for each in self.troubles if each.schedules is None or schedule_id in each.schedules]
        return merged(Span(each.begin, each.end) for each in meant)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same times as spans that do not touch, in order."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: span.begin):
        if found and span.begin <= found[-1].end:
            found[-1] = Span(found[-1].begin, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


def calm(troubles: Iterable[Span], begin: datetime, end: datetime) -> timedelta:
    """Return how much of the time from *begin* to *end* lies in none of *troubles*, which do not touch."""
    if end <= begin:
        return _ZERO
    left = end - begin
    for span in troubles:
        overlap = min(span.end, end) - max(span.begin, begin)
        if overlap > _ZERO:
            left -= overlap
    return left


def ever_harmed(nodes: Iterable[str]) -> dict[str, tuple[Span, ...]]:
    """Return harm that may have come at any time."""
    return dict.fromkeys(nodes, (ALWAYS,))
