"""Cron expressions: of five fields as Debian's cron reads them, with seconds in front, or as Quartz writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from tickonce.errors import TriggerError
from tickonce.triggers.base import JSON, Spec
from tickonce.triggers.daylight import Fold, Gap, Search, check_policies, search
from tickonce.triggers.dialects import Dialect, Reading, dialect_of, hashed, read_cron
from tickonce.triggers.instants import from_seconds, seconds_before
from tickonce.triggers.zones import Zone, zone, zone_name

#: Longer texts are refused unread; a list of all minutes has 169 characters.
_MAX_LENGTH = 1_000


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Cron:
    """Due when a clock on the wall of *tz* shows a time that *expression* matches.

    The five fields are minute, hour, day of month, month and day of week. Each is a list of values, ranges (``1-5``)
    and steps: ``*/5`` from the smallest value, ``1-30/5`` within a range, ``5/15`` from 5 to the largest value. A range
    may run past the end of its field and begin again (``22-2``, ``fri-mon``). Months and weekdays may be named
    (``jan``, ``Mon``), Sunday is 0 or 7. ``@hourly``, ``@daily``, ``@midnight``, ``@weekly``, ``@monthly``, ``@yearly``
    and ``@annually`` stand for the usual expressions. A sixth field in front is the second.

    Days may depend on their month: ``L`` is the last day, ``L-3`` three days before it, ``LW`` the last working day
    (Monday to Friday), ``15W`` the one nearest to the 15th; as weekdays ``5L`` is the last Friday, ``1#2`` the second
    Monday. ``H`` stands for a value that a hash of the schedule's id chooses (``H H(0-5) * * *``, ``H/15 * * * *``).

    When day of month and day of week are both restricted, a day that matches either of them is enough; when one
    of them starts with ``*`` (``*/2`` does), it must match both.

    The dialect ``quartz`` has six fields with the second first, or seven with the year last; there Sunday is 1, ``?``
    stands for ``*`` and only one of day of month and day of week may be restricted.

    Where the clocks change, Debian's rule holds unless *gap* and *fold* say otherwise:

    - When neither second, minute nor hour starts with ``*``, these are fixed times of day. One that does not come that
      day is due at the first instant after the gap; one that comes twice is due the first time only. No day is missed.
    - Otherwise they recur with elapsed time: due whenever the wall shows a match, twice in an hour that comes twice,
      not at all in one that does not come.

    Args:
        expression: The fields, or a nickname with ``@``.
        tz: An IANA zone, by its name or as a ZoneInfo. None: to be filled in by ``resolved``; until then UTC.
        dialect: ``unix`` or ``quartz``. None: unix, and six fields are refused when they can also be read with the
            seconds last, as some libraries write them.
        gap: Times that do not come: due right ``after`` the gap, or ``skip``. None: by the rule above.
        fold: Times that come twice: due ``once``, the first time, or ``both``. None: by the rule above.

    Raises:
        TriggerError: The expression or zone cannot be read, or no day ever matches (``0 0 31 2 *``).

    Example:
        >>> from datetime import UTC
        >>> Cron("0 9 * * mon-fri", "Asia/Shanghai").next_after(datetime(2026, 1, 2, 9, tzinfo=UTC))
        datetime.datetime(2026, 1, 5, 1, 0, tzinfo=datetime.timezone.utc)
    """

    expression: str
    tz: str | None
    dialect: Dialect
    gap: Gap | None
    fold: Fold | None
    _reading: Reading = field(init=False, compare=False)
    _zone: Zone = field(init=False, compare=False)
    _search: Search = field(init=False, compare=False)

    def __init__(
        self,
        expression: str,
        tz: str | tzinfo | None = None,
        dialect: str | None = None,
        gap: str | None = None,
        fold: str | None = None,
    ) -> None:
        text = _tidied(expression)
        name = None if tz is None else zone_name(tz)
        known, reading = _read(text, dialect)
        usual: tuple[Gap, Fold] = ("after", "once") if reading.fixed else ("skip", "both")
        # A policy that says what holds anyway is none: equal meaning, equal triggers, and older nodes can read them.
        at_gap, at_fold = check_policies(gap, fold)
        object.__setattr__(self, "expression", text)
        object.__setattr__(self, "tz", name)
        object.__setattr__(self, "dialect", known)
        object.__setattr__(self, "gap", None if at_gap == usual[0] else at_gap)
        object.__setattr__(self, "fold", None if at_fold == usual[1] else at_fold)
        object.__setattr__(self, "_reading", reading)
        object.__setattr__(self, "_zone", zone(name or "UTC"))
        object.__setattr__(self, "_search", search(at_gap or usual[0], at_fold or usual[1]))

    def __repr__(self) -> str:
        text = repr(self.expression)
        for name, value in (("tz", self.tz), ("dialect", self._named), ("gap", self.gap), ("fold", self.fold)):
            if value is not None:
                text += f", {name}={value!r}"
        return f"Cron({text})"

    def __reduce__(self) -> tuple[type[Cron], tuple[str | None, ...]]:
        named = (self.expression, self.tz, self._named, self.gap, self.fold)
        return Cron, named if any(named[2:]) else named[:2]

    def next_after(self, after: datetime) -> datetime | None:
        """Return the first fire strictly later than *after*, in UTC, or None when there is none.

        Raises:
            TriggerError: *after* is naive.
        """
        found = self._search(self._zone, self._reading.walls, seconds_before(after))
        return None if found is None else from_seconds(found)

    def spec(self) -> Spec:
        """Return the JSON form, in the oldest version that can say it."""
        version = 2 if self.gap or self.fold else self._reading.version
        spec: dict[str, JSON] = {
            "kind": "cron",
            "version": version,
            "dialect": self.dialect,
            "expression": self.expression,
        }
        given = (("tz", self.tz), ("gap", self.gap), ("fold", self.fold))
        return spec | {name: value for name, value in given if value is not None}

    def resolved(self, *, schedule_id: str, tz: str) -> Cron:
        """Return this trigger in the zone *tz* unless it names one, with each ``H`` chosen; or itself.

        Raises:
            TriggerError: *tz* is needed and is no zone.
        """
        text = hashed(self.expression, self.dialect, schedule_id=schedule_id)
        if self.tz is not None and text == self.expression:
            return self
        return Cron(text, self.tz or tz, self.dialect, self.gap, self.fold)

    @property
    def reading(self) -> Reading:
        """What the expression means; for those who explain or combine triggers."""
        return self._reading

    @property
    def zone(self) -> Zone:
        """The zone that the wall is in; UTC as long as none is known."""
        return self._zone

    @property
    def policies(self) -> tuple[Gap, Fold]:
        """What holds where the clocks change, by default or by choice."""
        fixed = self._reading.fixed
        return self.gap or ("after" if fixed else "skip"), self.fold or ("once" if fixed else "both")

    @property
    def _named(self) -> Dialect | None:
        """The dialect, where the expression alone might not tell."""
        return None if self.expression.startswith("@") or self.expression.count(" ") == 4 else self.dialect


def cron(
    expression: str,
    *,
    tz: str | tzinfo | None = None,
    dialect: Dialect | None = None,
    gap: Gap | None = None,
    fold: Fold | None = None,
) -> Cron:
    """Return the trigger of a cron expression: see :class:`Cron`.

    Example:
        >>> cron("*/15 8-18 * * 1-5", tz="Europe/Paris")
        Cron('*/15 8-18 * * 1-5', tz='Europe/Paris')
    """
    return Cron(expression, tz, dialect, gap, fold)


def _read(text: str, dialect: str | None) -> tuple[Dialect, Reading]:
    try:
        known = dialect_of(text, dialect)
        return known, read_cron(text, known)
    except TriggerError as error:
        from tickonce.triggers.meant import meant_cron

        message = str(error)
        if "Did you mean" in message or "never matches" in message:
            raise
        hint = meant_cron(text, lambda each: read_cron(each, dialect_of(each, dialect)))
        raise TriggerError(f"{message}{hint}") from None


def _tidied(expression: str) -> str:
    if not isinstance(expression, str):
        raise TriggerError(f"a cron expression is text, such as '0 9 * * 1-5', got {expression!r:.80}")
    if len(expression) > _MAX_LENGTH:
        raise TriggerError(
            f"the cron expression {expression[:40]!r}... has {len(expression)} characters, allowed {_MAX_LENGTH}"
        )
    text = " ".join(expression.split())
    return text.lower() if text.startswith("@") else text
