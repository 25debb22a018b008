"""When schedules are due: frozen, pure values that answer ``next_after(instant)``."""

from tickonce.triggers.base import JSON, Spec, Trigger
from tickonce.triggers.cron import Cron, cron
from tickonce.triggers.every import Every, every
from tickonce.triggers.once import At, at
from tickonce.triggers.spec import OpaqueTrigger, load_trigger, parse_trigger, trigger_from_spec

__all__ = [
    "JSON",
    "At",
    "Cron",
    "Every",
    "OpaqueTrigger",
    "Spec",
    "Trigger",
    "at",
    "cron",
    "every",
    "load_trigger",
    "parse_trigger",
    "trigger_from_spec",
]
