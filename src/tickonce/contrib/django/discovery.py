"""The jobs of a project: the module ``jobs`` of every installed app."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

from django.apps import apps
from django.utils.module_loading import autodiscover_modules

from tickonce.jobs import Jobs
from tickonce.scheduler import Scheduler


def discover(scheduler: Scheduler, name: str) -> None:
    """Import the module *name* of every app, and take in each ``Jobs`` that stands in one.

    Raises:
        DefinitionError: Two apps declare a job or a schedule of one name.
    """
    autodiscover_modules(name)
    for module in modules(name):
        for value in list(vars(module).values()):
            if isinstance(value, Jobs) and value is not scheduler.jobs:
                scheduler.include(value)


def modules(name: str) -> Iterator[ModuleType]:
    """Yield the modules *name* that apps have."""
    for app in apps.get_app_configs():
        module = sys.modules.get(f"{app.name}.{name}")
        if module is not None:
            yield module


def strangers(scheduler: Scheduler, name: str) -> list[str]:
    """Return where a module has a Scheduler of its own, which this project would never start."""
    return [
        f"{module.__name__}.{attribute}"
        for module in modules(name)
        for attribute, value in vars(module).items()
        if isinstance(value, Scheduler) and value is not scheduler
    ]
