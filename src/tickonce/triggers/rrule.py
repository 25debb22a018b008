"""Recurrence rules of calendars (RFC 5545): the trigger. Their text is read in ``rruletext``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from tickonce.errors import TriggerError
from tickonce.triggers.base import JSON, Spec
from tickonce.triggers.daylight import Fold, Gap, Search, check_policies, search
from tickonce.triggers.instants import from_seconds, seconds_before
from tickonce.triggers.rruletext import SHORT, Rule, read_rule
from tickonce.triggers.ruledays import RuleWalls
from tickonce.triggers.ruletimes import walls_of
from tickonce.triggers.zones import Zone, zone, zone_name


@dataclass(frozen=True, slots=True, init=False, repr=False)
class RRule:
    """Due as a recurrence rule of RFC 5545 says, on the wall of *tz*.

    The text is what calendars exchange: a line DTSTART, a line RRULE and, if wanted, lines EXDATE. DTSTART gives the
    first time and what the rule leaves open; it is itself due only when the rule matches it. It is in the zone that its
    TZID names, in UTC with a ``Z`` behind, or in *tz*. COUNT is at most 1,000 (100 with BYSETPOS), and 200 times may
    be excluded. An UNTIL that is a date includes that day.

    FREQ=HOURLY, MINUTELY and SECONDLY count hours, minutes and seconds of the wall from DTSTART on, and recur: where
    the clocks change they are due whenever the wall shows one of their times, as cron expressions that recur are. For
    elapsed time there is ``every``.

    Args:
        rule: The text; lines may be divided by line ends or by white space.
        tz: An IANA zone, by its name or as a ZoneInfo, where DTSTART names none. None: to be filled in by
            ``resolved``; until then UTC.
        gap: Times that do not come: due right ``after`` the gap, or ``skip``. None: after; skip for short frequencies.
        fold: Times that come twice: due ``once``, the first time, or ``both``. None: once; both for short frequencies.

    Raises:
        TriggerError: The text cannot be read, or says what has no meaning.

    Example:
        >>> from datetime import UTC
        >>> board = RRule("DTSTART;TZID=Europe/Paris:20260101T090000 RRULE:FREQ=MONTHLY;BYDAY=-1FR")
        >>> board.next_after(datetime(2026, 11, 21, tzinfo=UTC))
        datetime.datetime(2026, 11, 27, 8, 0, tzinfo=datetime.timezone.utc)
    """

    rule: str
    tz: str | None
    gap: Gap
    fold: Fold
    _read: Rule = field(init=False, compare=False)
    _walls: RuleWalls = field(init=False, compare=False)
    _zone: Zone = field(init=False, compare=False)
    _search: Search = field(init=False, compare=False)

    def __init__(
        self, rule: str, tz: str | tzinfo | None = None, gap: str | None = None, fold: str | None = None
    ) -> None:
        read = read_rule(rule)
        name = None if tz is None else zone_name(tz)
        if read.tz is not None:
            own = zone_name(read.tz)
            if name not in {None, own}:
                raise TriggerError(f"tz: the rule is in {own} by its DTSTART, and {name} is asked for; leave one out")
            name = own
        usual = _usual(read)
        checked = check_policies(gap, fold)
        at_gap, at_fold = checked[0] or usual[0], checked[1] or usual[1]
        object.__setattr__(self, "rule", read.text)
        object.__setattr__(self, "tz", name)
        object.__setattr__(self, "gap", at_gap)
        object.__setattr__(self, "fold", at_fold)
        object.__setattr__(self, "_read", read)
        object.__setattr__(self, "_walls", walls_of(read))
        object.__setattr__(self, "_zone", zone(name or "UTC"))
        object.__setattr__(self, "_search", search(at_gap, at_fold))

    def __repr__(self) -> str:
        text = repr(self.rule)
        gap, fold = _usual(self._read)
        given = (("tz", self.tz, self._read.tz), ("gap", self.gap, gap), ("fold", self.fold, fold))
        for name, value, default in given:
            text += f", {name}={value!r}" if value != default else ""
        return f"RRule({text})"

    def __reduce__(self) -> tuple[type[RRule], tuple[str, str | None, str, str]]:
        return RRule, (self.rule, self.tz, self.gap, self.fold)

    def next_after(self, after: datetime) -> datetime | None:
        """Return the first fire strictly later than *after*, in UTC, or None when there is none.

        Raises:
            TriggerError: *after* is naive.
        """
        found = self._search(self._zone, self._walls, seconds_before(after))
        until = self._read.until_instant
        return None if found is None or (until is not None and found > until) else from_seconds(found)

    def spec(self) -> Spec:
        """Return the JSON form, in the oldest version that can say it."""
        spec: dict[str, JSON] = {"kind": "rrule", "version": self._read.version, "rule": self.rule}
        gap, fold = _usual(self._read)
        given = (("tz", self.tz, None), ("gap", self.gap, gap), ("fold", self.fold, fold))
        return spec | {name: value for name, value, default in given if value != default}

    def resolved(self, *, schedule_id: str, tz: str) -> RRule:  # noqa: ARG002 - nothing depends on the id
        """Return this trigger in the zone *tz*, or itself when it names one.

        Raises:
            TriggerError: *tz* is needed and is no zone.
        """
        return self if self.tz is not None else RRule(self.rule, tz, self.gap, self.fold)

    @property
    def walls(self) -> RuleWalls:
        """Its wall times; for those who explain triggers."""
        return self._walls

    @property
    def zone(self) -> Zone:
        """The zone that the wall is in; UTC as long as none is known."""
        return self._zone

    @property
    def policies(self) -> tuple[Gap, Fold]:
        """What holds where the clocks change."""
        return self.gap, self.fold

    @property
    def read(self) -> Rule:
        """The parts of the rule."""
        return self._read


def rrule(rule: str, *, tz: str | tzinfo | None = None, gap: Gap | None = None, fold: Fold | None = None) -> RRule:
    r"""Return the trigger of a recurrence rule: see :class:`RRule`.

    Example:
        >>> rrule("DTSTART:20260101T090000 RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH")
        RRule('DTSTART:20260101T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH')
    """
    return RRule(rule, tz, gap, fold)


def _usual(rule: Rule) -> tuple[Gap, Fold]:
    """Return the policies that hold unless others are given."""
    return ("skip", "both") if rule.frequency in SHORT else ("after", "once")
