"""When schedules are due: frozen, pure values that answer ``next_after(instant)``."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tickonce.triggers.base import JSON, Spec, Trigger
from tickonce.triggers.cron import Cron, cron
from tickonce.triggers.every import Every, every
from tickonce.triggers.once import At, at
from tickonce.triggers.spec import OpaqueTrigger, load_trigger, trigger_from_spec
from tickonce.triggers.texts import parse_trigger

if TYPE_CHECKING:
    from tickonce.triggers.calendar import CalendarInterval, calendar_interval
    from tickonce.triggers.combine import ButNot, Intersection, Union, but_not, intersection, union
    from tickonce.triggers.sun import Solar, solar

__all__ = [
    "JSON",
    "At",
    "ButNot",
    "CalendarInterval",
    "Cron",
    "Every",
    "Intersection",
    "OpaqueTrigger",
    "Solar",
    "Spec",
    "Trigger",
    "Union",
    "at",
    "but_not",
    "calendar_interval",
    "cron",
    "every",
    "intersection",
    "load_trigger",
    "parse_trigger",
    "solar",
    "trigger_from_spec",
    "union",
]

#: Where to find what is loaded when it is asked for: every program pays for what is loaded above.
_LATER = {
    "ButNot": "combine",
    "CalendarInterval": "calendar",
    "Intersection": "combine",
    "Solar": "sun",
    "Union": "combine",
    "but_not": "combine",
    "calendar_interval": "calendar",
    "intersection": "combine",
    "solar": "sun",
    "union": "combine",
}


def __getattr__(name: str) -> Any:
    """Load the rarer triggers when they are asked for."""
    if name not in _LATER:
        raise AttributeError(f"module 'tickonce.triggers' has no attribute {name!r}")
    return getattr(import_module(f"tickonce.triggers.{_LATER[name]}"), name)
