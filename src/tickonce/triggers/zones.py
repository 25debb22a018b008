"""Time zones as integers: which offset holds when, asked once and remembered.

Two clocks are counted in seconds here. An *instant* is a second since the Unix epoch. A *wall* time is what a clock on
the wall shows, counted as if the wall were in UTC; so ``wall == instant + offset``. Where the clocks go forward, some
wall times never come (a gap); where they go back, some come twice.

The standard library's ZoneInfo is right and is the only source here, but one question costs a microsecond or more,
so a zone keeps its answers as spans of constant offset.
"""

from __future__ import annotations

import re
from datetime import UTC, timedelta, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from tickonce.errors import TriggerError, did_you_mean
from tickonce.triggers.instants import DAY, EPOCH, MAX_SECOND, MIN_SECOND

#: Offsets are asked for in blocks of this length, once a day in each. No zone has ever changed twice within a day
#: and come back to where it was (a test looks at all of them), so nothing hides between two questions.
_BLOCK = 32 * DAY
#: Blocks that a zone remembers, about 360 years of them.
_MAX_BLOCKS = 4_096
#: Names that every system answers, each in its own way.
_LOCAL_NAMES = frozenset({"localtime", "posixrules"})
#: The trees ``right`` and ``posix`` that some systems have are copies, the former with leap seconds. No name is half as
#: long as allowed here; the standard library's search for a file recurses along the slashes.
_NAME = re.compile(r"(?=.{1,64}\Z)(?!right/|posix/)[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9][A-Za-z0-9_+\-]*)*", re.ASCII)


#: For the hints of errors: offsets, abbreviations, and large cities that have no zone of their own.
_OFFSET = re.compile(r"(?:UTC|GMT|Z)? ?([+-])([0-9]{1,2})(?::?([0-9]{2}))?", re.ASCII | re.IGNORECASE)
_AMBIGUOUS = {
    "CST": "Asia/Shanghai, America/Chicago, America/Havana",
    "IST": "Asia/Kolkata, Europe/Dublin, Asia/Jerusalem",
    "BST": "Europe/London, Asia/Dhaka",
    "PST": "America/Los_Angeles, Asia/Manila",
    "AST": "America/Halifax, Asia/Riyadh",
}
_CITIES = {
    **dict.fromkeys(("beijing", "peking", "asia/beijing", "shenzhen", "guangzhou", "china"), "Asia/Shanghai"),
    **dict.fromkeys(("北京", "上海", "中国", "亚洲/上海"), "Asia/Shanghai"),
    **dict.fromkeys(("san francisco", "seattle", "pdt", "pacific"), "America/Los_Angeles"),
    **dict.fromkeys(("boston", "washington", "edt", "eastern"), "America/New_York"),
    **dict.fromkeys(("munich", "frankfurt", "germany"), "Europe/Berlin"),
    **dict.fromkeys(("mumbai", "delhi", "bangalore", "india"), "Asia/Kolkata"),
    **dict.fromkeys(("osaka", "japan", "jst"), "Asia/Tokyo"),
}


class Span(NamedTuple):
    """From *start* up to but without *end*, the zone is *offset* seconds ahead of UTC."""

    start: int
    end: int
    offset: int


class Zone:
    """The offsets of one zone, as far as they were asked for.

    Safe to share between threads: what is remembered is replaced whole, never changed.
    """

    __slots__ = ("_blocks", "_last", "_tzinfo", "name")

    def __init__(self, name: str, tzinfo: tzinfo) -> None:
        self.name = name
        self._tzinfo = tzinfo
        self._blocks: dict[int, tuple[Span, ...]] = {}
        self._last = Span(0, 0, 0)

    def __repr__(self) -> str:
        return f"zone({self.name!r})"

    def span(self, instant: int) -> Span:
        """Return a span of constant offset around *instant*; it may be shorter than the zone's own."""
        last = self._last
        if last.start <= instant < last.end:
            return last
        block = instant // _BLOCK
        spans = self._blocks.get(block)
        if spans is None:
            spans = self._ask(block)
        for span in spans:
            if instant < span.end:
                self._last = span
                return span
        raise AssertionError(f"spans of block {block} do not reach {instant}")

    def latest_wall(self, instant: int) -> int:
        """Return the latest time that the wall has shown at or before *instant*.

        It is the time shown at *instant*, but for the hour that comes again after the clocks went back.
        """
        span = self.span(instant)
        # An offset is less than a day, so what the wall showed two days ago is earlier than what it shows now.
        at = instant - 2 * DAY
        if span.start <= at:
            return instant + span.offset
        latest = instant + span.offset
        while (span := self.span(at)).end <= instant:
            latest = max(latest, span.end - 1 + span.offset)
            at = span.end
        return latest

    def first_at_or_past(self, wall: int) -> int:
        """Return the first instant at which the wall shows *wall* or a later time.

        So a wall time in a gap has the first instant after the gap, and one that comes twice its first.
        """
        at = wall - DAY  # an offset is less than a day, so the wall shows an earlier time then
        while True:
            span = self.span(at)
            at = max(at, wall - span.offset)
            if at < span.end:
                return at
            at = span.end

    def _ask(self, block: int) -> tuple[Span, ...]:
        start, end = block * _BLOCK, (block + 1) * _BLOCK
        spans = []
        begun = known = start
        offset = self._offset(start)
        for evening in range(start + DAY - 1, end, DAY):
            while self._offset(evening) != offset:
                known = self._last_with(offset, known, evening)
                spans.append(Span(begun, known + 1, offset))
                begun = known = known + 1
                offset = self._offset(begun)
            known = evening
        spans.append(Span(begun, end, offset))
        if len(self._blocks) >= _MAX_BLOCKS:
            self._blocks = {}
        answer = tuple(spans)
        self._blocks[block] = answer
        return answer

    def _last_with(self, offset: int, low: int, high: int) -> int:
        """Return the last instant before the offset changes: it holds at *low*, and not at *high*."""
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(middle) == offset:
                low = middle
            else:
                high = middle
        return low

    def _offset(self, instant: int) -> int:
        # Within two days of the ends of time, the wall time would not be a datetime any more. Nothing changes there.
        instant = min(max(instant, MIN_SECOND + 2 * DAY), MAX_SECOND - 2 * DAY)
        offset = (EPOCH + timedelta(0, instant)).astimezone(self._tzinfo).utcoffset()
        assert offset is not None  # noqa: S101 - the tzinfo is UTC or a ZoneInfo, which always answer
        return offset.days * DAY + offset.seconds


def zone(name: str) -> Zone:
    """Return the zone called *name*, the same object each time.

    Raises:
        TriggerError: No zone has that name here, or it means something else on each machine.
    """
    try:
        return _zone(name)
    except (LookupError, ValueError, OSError):
        raise _unknown(name) from None


def may_be_known_elsewhere(name: str) -> bool:
    """Return whether *name* is written as a zone's name is, but not known here: newer time zone data may have it."""
    if _NAME.fullmatch(name) is None or name in _LOCAL_NAMES:
        return False
    try:
        _zone(name)
    except (LookupError, ValueError, OSError):
        return True
    return False


def zone_name(tz: str | tzinfo) -> str:
    """Return the name of *tz*, checked.

    Raises:
        TriggerError: *tz* is neither a known name nor a ZoneInfo that has one.

    Example:
        >>> zone_name(ZoneInfo("Asia/Shanghai"))
        'Asia/Shanghai'
    """
    if isinstance(tz, ZoneInfo):
        if tz.key is None:
            raise TriggerError(f"tz: {tz!r} has no name; make it by its IANA name: ZoneInfo('Europe/Paris')")
        name = tz.key
    elif tz is UTC:
        name = "UTC"
    elif isinstance(tz, str):
        name = tz
    else:
        raise TriggerError(
            f"tz: {tz!r:.80} is not a zone's name; write an IANA name such as 'Asia/Shanghai', "
            "a ZoneInfo, or for a fixed offset such as +08:00 'Etc/GMT-8' (the sign there is the other way round)"
        )
    return zone(name).name


@lru_cache(maxsize=1_024)
def _zone(name: str) -> Zone:
    if name == "UTC":
        return Zone(name, UTC)  # needs no time zone data
    if _NAME.fullmatch(name) is None or name in _LOCAL_NAMES:
        raise ValueError(name)
    return Zone(name, ZoneInfo(name))


def _unknown(name: str) -> TriggerError:
    return TriggerError(_told(name))


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    """Return the names of all zones, for hints: from tzdata's own list, as to look at each file is slow."""
    from importlib.resources import files  # few programs name a zone that is none

    try:
        return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())
    except (ModuleNotFoundError, OSError):
        return frozenset(available_timezones())


@lru_cache(maxsize=256)
def _told(name: str) -> str:
    """Return what is wrong with *name*."""
    if name in _LOCAL_NAMES:
        return f"tz: {name!r} is a different zone on each machine; name the zone, such as 'Asia/Shanghai'"
    known = _known()
    if not known:
        return f"tz: {name[:60]!r} cannot be looked up, this machine has no time zone data: pip install tzdata"
    hint = _hint(name[:60], known)
    return f"tz: no zone is called {name[:60]!r}; zones have IANA names such as 'Asia/Shanghai'.{hint}"


def _hint(name: str, known: frozenset[str]) -> str:
    offset = _OFFSET.fullmatch(name.strip())
    if offset is not None:
        sign, hours, minutes = offset.groups()
        if int(minutes or 0) or int(hours) > 12 + 2 * (sign == "+"):
            return " A fixed offset stands for no place; name the zone where people are."
        fixed = f"Etc/GMT{'-' if sign == '+' else '+'}{int(hours)}" if int(hours) else "Etc/UTC"
        return f" Did you mean {fixed!r} (the sign there is the other way round), or the zone where people are?"
    if name.strip().upper() in _AMBIGUOUS:
        return f" {name.strip().upper()} stands for several zones: {_AMBIGUOUS[name.strip().upper()]}."
    if name.strip().lower() in _CITIES:
        return f" Did you mean {_CITIES[name.strip().lower()]!r}?"
    wanted = name.strip().replace(" ", "_").lower()
    if any(each.lower().startswith(f"{wanted}/") for each in known):
        return f" {name.strip()} is a region; name a city in it."
    for each in known:
        if each.lower() == wanted:
            return f" Did you mean {each!r}?"
    hint = did_you_mean(name, known)
    if hint:
        return hint
    # People know their city, not always the region that it is filed under.
    cities = {each.rpartition("/")[2].lower(): each for each in sorted(known)}
    near = get_close_matches(wanted.rpartition("/")[2], cities, n=1)
    return f" Did you mean {cities[near[0]]!r}?" if near else ""
