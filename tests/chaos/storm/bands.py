"""What really was done to whom from when to when, and what that excuses. Pure.

Times are seconds of the machine's monotonic clock, which all processes of a storm share and no fault touches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tests.chaos.ledger import Moments
from tests.chaos.storm.pace import (
    BEAT_S,
    CALM_BEFORE_S,
    CALM_BEHIND_S,
    HARMLESS_S,
    LEASE_S,
    PROMPT_S,
    ROWS_LOCKED_S,
)
from tests.chaos.storm.plan import CLOCKS, FILE, SERVER, What
from tickonce.testing.judging import Conditions, Span, Trouble

#: A transaction that was cut off in the midst of things, or a loop that has just failed, needs as long as this.
_AFTERMATH_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A fault that happened.

    Attributes:
        pid: The process that it met; None is the store, or everybody.
        alone: Whether it was planned to stand alone.
        clean: Of a stop in order: whether the process said that all was done.
    """

    what: What
    begin: float
    end: float
    node: int | None = None
    pid: int | None = None
    alone: bool = False
    clean: bool = True

    def meets(self, begin: float, end: float) -> bool:
        """Whether it has a moment in common with that time."""
        return self.begin <= end and begin <= self.end


def conditions_of(bands: Sequence[Band], moments: Moments, until: float, *, file: bool) -> Conditions:
    """Return what the judge has to know.

    Args:
        bands: What happened.
        moments: From monotonic to the store's time.
        until: Until when fires are judged.
        file: The store is a file, whose lock a stopped process may hold as long as it is stopped.
    """
    harmed: dict[str, tuple[Span, ...]] = {}
    for band in bands:
        for begin, end in _harm(band, bands):
            span = Span(moments.at(begin), moments.at(min(end, until + 3600)))
            harmed[str(band.pid)] = (*harmed.get(str(band.pid), ()), span)
    troubles = (
        Trouble(begin=moments.at(begin), end=moments.at(end))
        for band in bands
        for begin, end in _trouble(band, file=file)
    )
    return Conditions(
        until=moments.at(until), harmed=harmed, troubles=tuple(troubles), prompt=timedelta(seconds=PROMPT_S)
    )


def _harm(band: Band, bands: Iterable[Band]) -> Iterator[tuple[float, float]]:
    """Yield when the runs of the process may have been carried out again because of it."""
    match band.what:
        case What.KILL:
            yield band.begin, math.inf
        case What.STOP | What.BLINK | What.HALF_OPEN | What.PARTITION:
            if band.end - band.begin > HARMLESS_S:
                yield band.begin, band.end
        case What.ROLL:
            # It leaves in order and loses nothing, unless it cannot reach the store in those seconds.
            others = [each for each in bands if each is not band and each.what not in CLOCKS and _concerns(each, band)]
            if not band.clean or any(each.meets(band.begin - _AFTERMATH_S, band.end) for each in others):
                yield band.begin, math.inf
        case _:
            # While nobody can reach the store nobody can judge, and afterwards all have a lease to beat again.
            pass


def _concerns(other: Band, band: Band) -> bool:
    return other.pid is None or other.pid == band.pid


def _trouble(band: Band, *, file: bool) -> Iterator[tuple[float, float]]:
    """Yield when the fleet could not be prompt because of it.

    Killed nodes are no excuse, nor are lost replies, cut connections, slow networks, clocks, or restarts in order.
    """
    match band.what:
        case What.STOP | What.BLINK if file:
            yield band.begin, band.end + _AFTERMATH_S
        case What.STOP | What.BLINK | What.HALF_OPEN:
            yield band.begin, min(band.end, band.begin + ROWS_LOCKED_S) + _AFTERMATH_S
        case what if what in SERVER or what in FILE:
            yield band.begin, band.end + _AFTERMATH_S
        case _:
            pass


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill after which times are measured.

    Attributes:
        pid: The process that was killed.
        at: When.
        excuse: What else happened around it, so that the aims do not hold; empty if nothing did.
    """

    pid: int
    at: float
    excuse: str = ""


def kills_of(bands: Sequence[Band]) -> list[Kill]:
    """Return all kills; with their excuse, if another fault met the time from a lease and two beats before to after."""
    found = []
    for band in bands:
        if band.what is What.KILL and band.pid is not None:
            begin, end = band.begin - CALM_BEFORE_S + 1.0, band.begin + CALM_BEHIND_S
            others = sorted({str(each.what) for each in bands if each is not band and _lasting(each).meets(begin, end)})
            found.append(Kill(band.pid, band.begin, ", ".join(others)))
    return found


def _lasting(band: Band) -> Band:
    """Return the band with all that it may be felt; clocks are not felt at all."""
    if band.what in CLOCKS:
        return Band(what=band.what, begin=-math.inf, end=-math.inf)
    if band.what is What.KILL:  # its fires are served late until it is known to be gone
        return Band(what=band.what, begin=band.begin, end=max(band.end, band.begin + LEASE_S + BEAT_S))
    return band
