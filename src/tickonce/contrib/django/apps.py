"""The app: reads the settings, finds the jobs, and has the tables made."""

from __future__ import annotations

import logging
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.signals import setting_changed
from django.db.models.signals import post_migrate

_log = logging.getLogger("tickonce.scheduler")


class TickonceConfig(AppConfig):
    """``tickonce.contrib.django`` in ``INSTALLED_APPS``."""

    name = "tickonce.contrib.django"
    label = "tickonce"
    verbose_name = "Scheduled jobs"

    def ready(self) -> None:
        """Set up the Scheduler; with ``TICKONCE["autostart"]``, start a node where requests are served."""
        from tickonce.contrib.django import autostart, checks, scheduler
        from tickonce.contrib.django.discovery import discover
        from tickonce.errors import TickonceError

        checks.register()
        _configure()
        setting_changed.connect(_on_setting, dispatch_uid="tickonce")
        post_migrate.connect(_on_migrate, sender=self, dispatch_uid="tickonce")
        try:
            project = scheduler.project
        except TickonceError as error:
            # manage.py check says it, and so does whoever uses the Scheduler; a server would serve without a word.
            if _wants_autostart():
                _log.error("autostart starts no node: %s", error)
            return
        if project.jobs is not None:
            discover(scheduler, project.jobs)
        if project.autostart:
            autostart.start_if_serving()


def _wants_autostart() -> bool:
    given = getattr(settings, "TICKONCE", {})
    return isinstance(given, dict) and bool(given.get("autostart"))


def _configure() -> None:
    from tickonce.contrib.django import scheduler

    scheduler.configure(getattr(settings, "TICKONCE", {}), time_zone=settings.TIME_ZONE)


def _on_setting(*, setting: str, **_: Any) -> None:
    if setting in ("TICKONCE", "TIME_ZONE"):
        _configure()


def _on_migrate(*, using: str, verbosity: int = 1, **given: Any) -> None:
    from tickonce.contrib.django import scheduler
    from tickonce.contrib.django.inline import BorrowingStore
    from tickonce.contrib.django.tables import migrate

    migrate(scheduler, alias=using, verbosity=verbosity, stdout=given.get("stdout"))
    if "plan" not in given and scheduler.inline:  # not migrate, but flush: a test has committed
        store = scheduler.store
        if isinstance(store, BorrowingStore) and store.alias == using:
            store.clear()
