"""Triggers from JSON.

A spec that was ever written is read for ever, with the same meaning. So what a kind's version accepts never changes,
neither its fields nor what may stand in them: new ones get a new version (or dialect), which older code then leaves to
others instead of taking it for a mistake. Fields at their default are left out, so that a new field with a default
disturbs older code only where it is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

from tickonce.errors import TriggerError, UnknownTrigger
from tickonce.triggers.base import JSON, Spec, Trigger
from tickonce.triggers.cron import Cron
from tickonce.triggers.dialects import DIALECTS, read_unix_1
from tickonce.triggers.every import Every
from tickonce.triggers.instants import shown
from tickonce.triggers.once import At
from tickonce.triggers.zones import may_be_known_elsewhere

if TYPE_CHECKING:
    from tickonce.triggers.calendar import CalendarInterval
    from tickonce.triggers.combine import Combined
    from tickonce.triggers.rrule import RRule
    from tickonce.triggers.sun import Solar

#: Combinations by their kind, and how many triggers they may hold, how deep in one another.
_COMBINATIONS = {"union", "intersection", "but_not"}
MOST_DEPTH = 8
MOST_PARTS = 64


def trigger_from_spec(spec: Spec) -> Trigger:
    """Return the trigger that *spec*, its JSON form, describes.

    Raises:
        UnknownTrigger: The kind, version, dialect, a field or the zone is not known here; it may be elsewhere.
        TriggerError: All is known, and what it says is wrong.

    Example:
        >>> trigger_from_spec({"kind": "every", "version": 1, "period": "5m"})
        Every('5m')
    """
    return _from_spec(spec, depth=0)


def _from_spec(spec: Spec, depth: int) -> Trigger:
    if not isinstance(spec, Mapping):
        raise TriggerError(f"a trigger's spec is a mapping, got {shown(spec)}")
    kind, version = spec.get("kind"), spec.get("version")
    if not isinstance(kind, str):
        raise TriggerError(f"kind: a trigger's spec needs one, as text; got {shown(kind)}")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise TriggerError(f"version: a trigger's spec needs one, a number from 1; got {shown(version)}")
    if kind in _COMBINATIONS and version == 1:
        return _combined_1(spec, kind, depth)
    if kind == "on_days" and version == 1:
        return _on_days_1(spec, depth)
    read = _READERS.get((kind, version))
    if read is None:
        raise UnknownTrigger(f"this release knows no trigger of kind {kind[:40]!r}, version {version}")
    return read(spec)


def load_trigger(spec: Spec) -> Trigger:
    """Return the trigger of *spec*, or an :class:`OpaqueTrigger` where this code does not know it.

    Raises:
        TriggerError: All is known, and what it says is wrong.
    """
    try:
        return trigger_from_spec(spec)
    except UnknownTrigger as error:
        return OpaqueTrigger(spec, why=str(error))


@dataclass(frozen=True, slots=True, init=False, repr=False)
class OpaqueTrigger:
    """A trigger that this code does not know: kept and handed on as it is, never planned here.

    Attributes:
        why: What is not known about it.
    """

    why: str = field(compare=False)
    _text: str = field(compare=False)
    _canonical: str

    def __init__(self, spec: Spec, *, why: str = "") -> None:
        try:
            text = json.dumps(spec, separators=(",", ":"))
            canonical = json.dumps(spec, separators=(",", ":"), sort_keys=True)
        except (TypeError, ValueError, RecursionError):
            raise TriggerError(f"a trigger's spec is JSON, got {shown(spec)}") from None
        object.__setattr__(self, "why", why)
        object.__setattr__(self, "_text", text)
        object.__setattr__(self, "_canonical", canonical)

    def __repr__(self) -> str:
        return f"OpaqueTrigger({self._text if len(self._text) <= 200 else self._text[:197] + '...'})"

    def next_after(self, after: datetime) -> datetime | None:  # noqa: ARG002
        """Raise.

        Raises:
            UnknownTrigger: Always; only code that knows the trigger can tell.
        """
        self._refuse()

    def spec(self) -> Spec:
        """Return the JSON form, as it was found."""
        found: dict[str, JSON] = json.loads(self._text)
        return found

    def resolved(self, *, schedule_id: str, tz: str) -> OpaqueTrigger:  # noqa: ARG002
        """Return this trigger: only code that knows it could fill anything in."""
        return self

    def _refuse(self) -> NoReturn:
        why = self.why or "its kind, version or a field is not known"
        raise UnknownTrigger(f"this node cannot plan the trigger {self!r}: {why}; upgrade tickonce or tzdata here")


# -- one reader for each kind and version; all but the plainest kinds are loaded by those who use them --------


def _cron_1(spec: Spec) -> Cron:
    _know(spec, "dialect", "expression", "tz")
    dialect = _text(spec, "dialect")
    if dialect != "unix":
        raise UnknownTrigger(f"this release knows no cron dialect {dialect[:40]!r}")
    expression, tz = _text(spec, "expression"), _zone(spec)
    found = Cron(expression, tz, dialect)
    if found.reading.version > 1:
        read_unix_1(found.expression)  # says what is wrong with it in version 1
    return found


def _cron_2(spec: Spec) -> Cron:
    _know(spec, "dialect", "expression", "tz", "gap", "fold")
    dialect = _text(spec, "dialect")
    if dialect not in DIALECTS:
        raise UnknownTrigger(f"this release knows no cron dialect {dialect[:40]!r}")
    tz, gap, fold = _zone(spec), _text_or_none(spec, "gap"), _text_or_none(spec, "fold")
    return Cron(_text(spec, "expression"), tz, dialect, gap, fold)


def _every_1(spec: Spec) -> Every:
    _know(spec, "period", "anchor", "spread", "shift")
    spread = spec.get("spread", False)
    if not isinstance(spread, bool):
        raise TriggerError(f"spread: true or false is needed, got {shown(spread)}")
    anchor, shift = _text_or_none(spec, "anchor"), _text_or_none(spec, "shift")
    return Every(_text(spec, "period"), anchor, spread=spread, shift=shift)


def _at_1(spec: Spec) -> At:
    _know(spec, "instants")
    instants = spec.get("instants")
    if isinstance(instants, str) or not isinstance(instants, Sequence):
        raise TriggerError(f"instants: a list of texts is needed, got {shown(instants)}")
    texts = [each for each in instants if isinstance(each, str)]
    if len(texts) < len(instants):
        raise TriggerError(f"instants: each must be text, got {shown(instants)}")
    return At(*texts)


def _calendar_1(spec: Spec) -> CalendarInterval:
    from tickonce.triggers.calendar import CalendarInterval

    _know(spec, "months", "days", "at", "anchor", "overflow", "tz", "gap", "fold")
    return CalendarInterval(
        months=_number(spec, "months"),
        days=_number(spec, "days"),
        at=_text_or_none(spec, "at") or "00:00",
        anchor=_text(spec, "anchor"),
        overflow=_text_or_none(spec, "overflow") or "last",
        tz=_zone(spec),
        gap=_text_or_none(spec, "gap"),
        fold=_text_or_none(spec, "fold"),
    )


def _solar_1(spec: Spec) -> Solar:
    from tickonce.triggers.sun import Solar

    _know(spec, "event", "latitude", "longitude")
    return Solar(_text(spec, "event"), spec.get("latitude"), spec.get("longitude"))  # type: ignore[arg-type]


def _rrule_1(spec: Spec) -> Trigger:
    found = _rrule_2(spec)
    if found.read.version > 1:
        raise TriggerError(f"rule: FREQ={found.read.frequency} is of version 2 of this kind, and the spec is of 1")
    return found


def _rrule_2(spec: Spec) -> RRule:
    from tickonce.triggers.rrule import RRule

    _know(spec, "rule", "tz", "gap", "fold")
    return RRule(_text(spec, "rule"), _zone(spec), _text_or_none(spec, "gap"), _text_or_none(spec, "fold"))


def _combined_1(spec: Spec, kind: str, depth: int) -> Combined:
    from tickonce.triggers.combine import COMBINATIONS

    _know(spec, "triggers")
    if depth > MOST_DEPTH:
        raise TriggerError(f"{kind}: triggers stand too deep in one another, allowed are {MOST_DEPTH} levels")
    parts = spec.get("triggers")
    if isinstance(parts, str) or not isinstance(parts, Sequence):
        raise TriggerError(f"triggers: a list of specs is needed, got {shown(parts)}")
    if len(parts) > MOST_PARTS:
        raise TriggerError(f"triggers: at most {MOST_PARTS} may be combined, got {len(parts)}")
    return COMBINATIONS[kind](tuple(_from_spec(part, depth + 1) for part in parts))  # type: ignore[arg-type]


def _on_days_1(spec: Spec, depth: int) -> Trigger:
    from tickonce.calendars import calendar_from_spec
    from tickonce.triggers.days import OnDays

    _know(spec, "trigger", "calendar", "condition", "move", "tz")
    if depth > MOST_DEPTH:
        raise TriggerError(f"on_days: triggers stand too deep in one another, allowed are {MOST_DEPTH} levels")
    return OnDays(
        trigger=_from_spec(spec.get("trigger"), depth + 1),  # type: ignore[arg-type]
        calendar=calendar_from_spec(spec.get("calendar")),
        condition=_text(spec, "condition"),  # type: ignore[arg-type]  # checked there, as is the next
        move=_text_or_none(spec, "move"),  # type: ignore[arg-type]
        tz=_zone(spec),
    )


_READERS: dict[tuple[str, int], Callable[[Spec], Trigger]] = {
    ("cron", 1): _cron_1,
    ("cron", 2): _cron_2,
    ("every", 1): _every_1,
    ("at", 1): _at_1,
    ("calendar", 1): _calendar_1,
    ("rrule", 1): _rrule_1,
    ("rrule", 2): _rrule_2,
    ("solar", 1): _solar_1,
}


def _know(spec: Spec, *fields: str) -> None:
    unknown = sorted(str(name)[:40] for name in spec.keys() - {"kind", "version", *fields})
    if unknown:
        raise UnknownTrigger(f"this release knows no field {', '.join(unknown)} of a trigger of kind {spec['kind']!r}")


def _text(spec: Spec, name: str) -> str:
    value = spec.get(name)
    if not isinstance(value, str):
        raise TriggerError(f"{name}: text is needed, got {shown(value)}")
    return value


def _number(spec: Spec, name: str) -> int:
    value = spec.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TriggerError(f"{name}: a whole number is needed, got {shown(value)}")
    return value


def _text_or_none(spec: Spec, name: str) -> str | None:
    return None if spec.get(name) is None else _text(spec, name)


def _zone(spec: Spec) -> str | None:
    tz = _text_or_none(spec, "tz")
    if tz is not None and may_be_known_elsewhere(tz):
        raise UnknownTrigger(_zone_fault(tz))
    return tz


def _zone_fault(tz: str) -> str:
    try:
        Cron("* * * * *", tz)
    except TriggerError as error:
        return str(error)
    return f"tz: {tz!r} is not known"
