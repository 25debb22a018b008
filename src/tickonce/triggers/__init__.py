"""When schedules are due: frozen, pure values that answer ``next_after(instant)``."""

from tickonce.triggers.base import JSON, Spec, Trigger
from tickonce.triggers.calendar import CalendarInterval, calendar_interval
from tickonce.triggers.combine import ButNot, Intersection, Union, but_not, intersection, union
from tickonce.triggers.cron import Cron, cron
from tickonce.triggers.every import Every, every
from tickonce.triggers.once import At, at
from tickonce.triggers.solar import Solar, solar
from tickonce.triggers.spec import OpaqueTrigger, load_trigger, trigger_from_spec
from tickonce.triggers.texts import parse_trigger

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
