"""When a fire is due, and until when it may be started: counted from what was asked for, as the reference tells it."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b

from tickonce.testing.judging.history import Terms

_TICK = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)
#: How far a next fire is looked for; of a schedule whose next one is farther away, or that has none, less is asked.
_FAR = timedelta(days=1)


def next_fire(terms: Terms, at: datetime) -> datetime | None:
    """Return the fire that follows the one at *at*, if it comes within a day."""
    return next(iter(terms.rhythm.between(at, at + _FAR)), None)


def due_time(schedule_id: str, terms: Terms, at: datetime) -> datetime:
    """Return when the fire may start: by a hash of the fire up to the jitter later, and before the next one.

    Example:
        >>> from datetime import UTC
        >>> from tickonce.testing.judging import Period
        >>> terms = Terms(rhythm=Period(timedelta(minutes=1)), jitter=timedelta(seconds=10))
        >>> due_time("beat", terms, datetime(2026, 11, 21, 13, tzinfo=UTC)).isoformat()
        '2026-11-21T13:00:05.308881+00:00'
    """
    if not terms.jitter:
        return at
    after, longest = next_fire(terms, at), terms.jitter
    if after is not None:
        longest = min(longest, after - at - _TICK)
    share = int.from_bytes(blake2b(f"{schedule_id}@{at.isoformat()}".encode(), digest_size=6).digest()) / 2**48
    return at + longest * share


def within(terms: Terms, at: datetime) -> timedelta | None:
    """Return how long after its due time a run of the fire may still begin; None: for as long as it likes."""
    if terms.start_within is not None:
        return terms.start_within
    after = next_fire(terms, at)
    if terms.misfire == "all" or after is None:
        return None
    return max(after - at, _MINUTE, 2 * terms.grace)


def waits(terms: Terms, failures: int) -> tuple[timedelta, timedelta]:
    """Return the least and the longest wait after so many failures."""
    if not 0 < failures <= len(terms.waits):
        return timedelta(0), timedelta(0)
    longest = terms.waits[failures - 1]
    return longest * (1 - terms.wait_varies), longest
