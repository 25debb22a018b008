"""A storm as a picture: a row for each node and each schedule, faults as bands, fires green, grey or red. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from tests.chaos.ledger import Moments
from tests.chaos.storm.bands import Band
from tests.chaos.storm.plan import What
from tickonce.testing.judging import Evidence, Verdict

_LEFT, _TOP, _ROW, _GAP = 130, 96, 16, 4
_COLOURS: Mapping[What, str] = {
    What.KILL: "#d62728",
    What.STOP: "#9467bd",
    What.BLINK: "#c5b0d5",
    What.CUT: "#8c564b",
    What.LOST_REPLY: "#e377c2",
    What.LOST_COMMIT: "#f7b6d2",
    What.LATENCY: "#c49c94",
    What.HALF_OPEN: "#17becf",
    What.PARTITION: "#1f77b4",
    What.JUMP: "#bcbd22",
    What.DRIFT: "#dbdb8d",
    What.SERVER_KILL: "#ff7f0e",
    What.SERVER_FREEZE: "#ffbb78",
    What.LOCK: "#ff7f0e",
    What.FULL: "#ffbb78",
    What.ROLL: "#7f7f7f",
}
_FINE, _SKIPPED, _WRONG = "#2ca02c", "#b0b0b0", "#e00000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is to be drawn.

    Attributes:
        nodes: How many places for nodes there are.
        place_of: Number of the place of each process.
        begin: The left edge, as a moment of the monotonic clock.
        end: The right edge.
    """

    title: str
    nodes: int
    place_of: Mapping[str, int]
    bands: Sequence[Band]
    evidence: Evidence
    verdict: Verdict
    moments: Moments
    begin: float
    end: float


def picture(seen: Seen) -> str:
    """Return it as SVG.

    A fire's window reaches from its scheduled time to the beginning of its first call, and is at least a pixel wide:
    green when all is well, red when the judge found something, grey when it was skipped for a reason that holds.
    """
    return _Drawing(seen).drawn()


class _Drawing:
    def __init__(self, seen: Seen) -> None:
        self._nodes, self._bands, self._place_of = seen.nodes, seen.bands, seen.place_of
        self._evidence, self._verdict = seen.evidence, seen.verdict
        self._moments, self._title = seen.moments, seen.title
        self._began, self._ended = seen.begin, seen.end
        length = max(1.0, self._ended - self._began)
        self._scale = max(1400.0, min(8.0 * length, 4800.0)) / length
        ids = {call.schedule_id for call in self._evidence.calls}
        ids |= {skip.schedule_id for skip in self._evidence.skips}
        self._ids = sorted(ids | {each.schedule_id for each in self._verdict.violations}, key=_natural)

    def drawn(self) -> str:
        rows = 1 + self._nodes + len(self._ids)
        width = _LEFT + self._scale * (self._ended - self._began) + 20
        height = _TOP + rows * (_ROW + _GAP) + 30
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"',
            f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="11">',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
            f'<text x="8" y="20" font-size="15">{escape(self._title)}</text>',
            *self._legend(),
            *self._seconds(height),
            *self._labels(),
            *self._faults(),
            *self._calls(),
            *self._fires(),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    # -- parts -----------------------------------------------------------------------------------

    def _legend(self) -> Iterable[str]:
        clean = "nothing wrong" if self._verdict.clean else f"{len(self._verdict.violations)} violation(s)"
        yield f'<text x="8" y="40">{self._verdict.fires} fires, {self._verdict.calls} calls: {clean}</text>'
        entries = [(_FINE, "fire: due to first call"), (_SKIPPED, "skipped, with reason"), (_WRONG, "violation")]
        present = {band.what for band in self._bands}
        entries += [(colour, str(what)) for what, colour in _COLOURS.items() if what in present]
        x = 8.0
        for colour, text in entries:
            yield f'<rect x="{x:.0f}" y="50" width="12" height="12" fill="{colour}"/>'
            yield f'<text x="{x + 16:.0f}" y="60">{escape(text)}</text>'
            x += 30 + 6.2 * len(text)

    def _seconds(self, height: float) -> Iterable[str]:
        length = self._ended - self._began
        step = next(each for each in (5, 10, 30, 60, 300, 3600) if length / each < 40 or each == 3600)
        for second in range(0, int(length) + 1, step):
            x = self._x(self._began + second)
            yield f'<path d="M{x:.1f} {_TOP - 8}V{height - 20:.0f}" stroke="#eeeeee"/>'
            yield f'<text x="{x:.1f}" y="{_TOP - 12}" text-anchor="middle" fill="#666666">{second} s</text>'

    def _labels(self) -> Iterable[str]:
        names = ["store", *(f"node {number}" for number in range(self._nodes)), *self._ids]
        for row, name in enumerate(names):
            yield f'<text x="{_LEFT - 6}" y="{self._y(row) + 12}" text-anchor="end">{escape(name)}</text>'

    def _faults(self) -> Iterable[str]:
        for band in sorted(self._bands, key=lambda band: band.begin):
            row = 0 if band.node is None else 1 + band.node
            rows = 1 + self._nodes if band.node is None else 1
            x, wide = self._x(band.begin), max(2.0, self._scale * (band.end - band.begin))
            high = rows * (_ROW + _GAP) - _GAP
            told = f"{band.what} at {band.begin - self._began:.1f} s for {band.end - band.begin:.1f} s"
            yield (
                f'<rect x="{x:.1f}" y="{self._y(row)}" width="{wide:.1f}" height="{high}" fill="{_COLOURS[band.what]}"'
                f' fill-opacity="{0.45 if band.node is None else 0.8}"><title>{escape(told)}</title></rect>'
            )

    def _calls(self) -> Iterable[str]:
        """Marks on the rows of nodes: a call each."""
        marks: dict[int, list[str]] = defaultdict(list)
        for call in self._evidence.calls:
            node = self._place_of.get(call.node)
            if node is not None:
                x = self._x(self._moments.of(call.began))
                marks[node].append(f"M{x:.1f} {self._y(1 + node) + _ROW - 4}v4")
        for found in marks.values():
            yield f'<path d="{"".join(found)}" stroke="#222222" stroke-width="0.6" fill="none"/>'

    def _fires(self) -> Iterable[str]:
        wrong = {each.subject for each in self._verdict.violations}
        first: dict[str, datetime] = {}
        for call in self._evidence.calls:
            first[call.token] = min(call.began, first.get(call.token, call.began))
        windows: dict[tuple[int, str], list[str]] = defaultdict(list)
        rows = {schedule_id: 1 + self._nodes + number for number, schedule_id in enumerate(self._ids)}
        for run in self._evidence.runs:
            if run.schedule_id in rows and (run.token in first or run.token in wrong):
                colour = _WRONG if run.token in wrong else _FINE
                begin = self._moments.of(run.scheduled_time)
                end = self._moments.of(first.get(run.token, run.scheduled_time))
                windows[rows[run.schedule_id], colour].append(self._window(rows[run.schedule_id], begin, end))
        for skip in self._evidence.skips:
            if skip.schedule_id in rows:
                row = rows[skip.schedule_id]
                begin, end = self._moments.of(skip.first), self._moments.of(skip.last)
                windows[row, _SKIPPED].append(self._window(row, begin, end))
        for each in self._verdict.violations:  # of fires that have no run
            at = _time_of(each.subject)
            if at is not None and each.schedule_id in rows:
                row, moment = rows[each.schedule_id], self._moments.of(at)
                windows[row, _WRONG].append(self._window(row, moment, moment))
        for (_, colour), found in sorted(windows.items(), key=lambda item: item[0][1] == _WRONG):
            yield f'<path d="{"".join(found)}" fill="{colour}"/>'

    # -- places ----------------------------------------------------------------------------------

    def _window(self, row: int, begin: float, end: float) -> str:
        begin, end = max(begin, self._began), min(max(begin, end), self._ended)
        if end < begin:
            return ""
        left, wide = self._x(begin), max(1.0, self._scale * (end - begin))
        return f"M{left:.1f} {self._y(row)}h{wide:.1f}v{_ROW}H{left:.1f}z"

    def _x(self, moment: float) -> float:
        return _LEFT + self._scale * (moment - self._began)

    def _y(self, row: int) -> int:
        return _TOP + row * (_ROW + _GAP)


def _natural(schedule_id: str) -> tuple[str, int]:
    name, _, number = schedule_id.rpartition("-")
    return (name, int(number)) if number.isdigit() else (schedule_id, 0)


def _time_of(subject: str) -> datetime | None:
    try:
        return datetime.fromisoformat(subject.partition("@")[2].partition("~")[0])
    except ValueError:
        return None
