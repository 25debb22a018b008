"""The tables as models, for reading: in the admin, in reports. All changes go through the Scheduler.

The tables are not Django's (``managed = False``): their history is tickonce's own, which ``migrate`` brings up to date.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from tickonce.stores.sql.address import DEFAULT_PREFIX
from tickonce.stores.sql.rows import maybe_instant

_log = logging.getLogger("tickonce.scheduler")
_given = getattr(settings, "TICKONCE", {})
_PREFIX = _given.get("prefix", DEFAULT_PREFIX) if isinstance(_given, dict) else DEFAULT_PREFIX


class ReadOnly(TypeError):
    """Somebody tried to write to the tables beside the Scheduler, whose rules would then not hold."""

    def __init__(self) -> None:
        super().__init__(
            "tickonce's tables are changed by its Scheduler only: scheduler.add(), update(), remove() and the like"
        )


class RowSet(models.QuerySet[Any]):
    """Rows of the store, in its database whatever the project's routers say."""

    def using(self, alias: str | None) -> RowSet:
        """Return the same rows of another database: where the store is not, there are none."""
        from tickonce.contrib.django import scheduler

        found: RowSet = super().using(alias)
        return found if (alias or "default") == scheduler.project.alias else found.none()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise ReadOnly

    create = update = delete = bulk_create = bulk_update = get_or_create = update_or_create = _refuse


class Rows(models.Manager[Any]):
    """Gives rows of the store."""

    def get_queryset(self) -> RowSet:
        """Return all rows."""
        from tickonce.contrib.django import scheduler

        alias = scheduler.project.alias
        found = RowSet(self.model, using=alias or "default")
        return found if alias is not None else found.none()  # the store is outside of DATABASES


class Row(models.Model):
    """A row that is only read."""

    objects = Rows()

    class Meta:  # noqa: D106  # Django's
        abstract = True

    def save(self, *_: object, **__: object) -> NoReturn:
        """Refuse."""
        raise ReadOnly

    def _save_table(self, raw: bool = False, *_: Any, **__: Any) -> bool:  # noqa: FBT001, FBT002 - Django's
        """Refuse; but leave out what comes from a fixture, beside which there may be rows of the project's own.

        ``loaddata`` calls neither ``save`` nor what overrides ``save_base``.
        """
        if not raw:
            raise ReadOnly
        _log.warning("%s %s of a fixture is left out: dumpdata --exclude tickonce", self._meta.verbose_name, self.pk)
        return True

    def delete(self, *_: object, **__: object) -> NoReturn:
        """Refuse."""
        raise ReadOnly


class Schedule(Row):
    """A schedule. ``scheduler.get(id)`` has all of it."""

    id = models.CharField(_("id"), max_length=190, primary_key=True)
    job = models.TextField(_("job"))
    queue = models.CharField(_("queue"), max_length=190)
    priority = models.SmallIntegerField(_("priority"))
    tags = models.TextField(_("tags"))
    owner = models.TextField(_("owner"))
    description = models.TextField(_("description"))
    definition = models.TextField()
    state = models.CharField(_("state"), max_length=16)
    reason = models.TextField(_("reason"), null=True)
    revision = models.IntegerField(_("revision"))
    watermark_us = models.BigIntegerField()
    next_fire_us = models.BigIntegerField(null=True)
    paused_until_us = models.BigIntegerField(null=True)
    source = models.CharField(_("source"), max_length=32)
    created_us = models.BigIntegerField()
    created_by = models.TextField(_("created by"))
    updated_us = models.BigIntegerField()
    updated_by = models.TextField(_("updated by"))

    class Meta:  # noqa: D106  # Django's
        managed = False
        db_table = f"{_PREFIX}schedules"
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def next_fire(self) -> datetime | None:
        """Its next scheduled time."""
        return maybe_instant(self.next_fire_us)

    @property
    def updated_at(self) -> datetime | None:
        """When it was edited."""
        return maybe_instant(self.updated_us)


class Run(Row):
    """A run. ``scheduler.run(token)`` has all of it."""

    token = models.CharField(_("token"), max_length=255, primary_key=True)
    schedule_id = models.CharField(_("schedule"), max_length=190)
    job = models.TextField(_("job"))
    arguments = models.TextField(_("arguments"))
    scheduled_us = models.BigIntegerField()
    due_us = models.BigIntegerField()
    state = models.CharField(_("state"), max_length=16)
    attempt = models.IntegerField(_("attempt"))
    failures = models.IntegerField(_("failures"))
    losses = models.IntegerField(_("losses"))
    node = models.CharField(_("node"), max_length=190, null=True)
    queue = models.CharField(_("queue"), max_length=190)
    priority = models.SmallIntegerField(_("priority"))
    source = models.CharField(_("source"), max_length=32)
    created_by = models.TextField(_("created by"), null=True)
    started_us = models.BigIntegerField(null=True)
    finished_us = models.BigIntegerField(null=True)
    overdue = models.BooleanField(_("overdue"))
    cancelling = models.BooleanField(_("cancelling"))
    progress = models.FloatField(_("progress"), null=True)
    result = models.TextField(_("result"), null=True)
    error = models.TextField(_("error"), null=True)
    reason = models.TextField(_("reason"), null=True)

    class Meta:  # noqa: D106  # Django's
        managed = False
        db_table = f"{_PREFIX}runs"
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering: ClassVar = ["-scheduled_us", "token"]
        # add: start one by hand; change: retry and cancel.
        default_permissions = ("add", "change", "view")

    def __str__(self) -> str:
        return str(self.token)

    @property
    def scheduled_time(self) -> datetime | None:
        """When it was scheduled."""
        return maybe_instant(self.scheduled_us)

    @property
    def started_at(self) -> datetime | None:
        """When its last attempt began."""
        return maybe_instant(self.started_us)

    @property
    def finished_at(self) -> datetime | None:
        """When it ended."""
        return maybe_instant(self.finished_us)


class Skip(Row):
    """Fires that were not run, with the reason."""

    # The table's key has three columns, which Django 4.2 does not know; nothing here looks a row up by it.
    schedule_id = models.CharField(_("schedule"), max_length=190, primary_key=True)
    first_us = models.BigIntegerField()
    reason = models.CharField(_("reason"), max_length=255)
    last_us = models.BigIntegerField()
    fires = models.IntegerField(_("fires"))
    more = models.BooleanField(_("or more"))

    class Meta:  # noqa: D106  # Django's
        managed = False
        db_table = f"{_PREFIX}skips"
        verbose_name = _("skip record")
        verbose_name_plural = _("skip records")
        ordering: ClassVar = ["-first_us", "schedule_id", "reason"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.schedule_id}: {self.reason}"

    @property
    def first(self) -> datetime | None:
        """The first scheduled time."""
        return maybe_instant(self.first_us)

    @property
    def last(self) -> datetime | None:
        """The last scheduled time."""
        return maybe_instant(self.last_us)


class Node(Row):
    """A process that takes part, or did so lately."""

    id = models.CharField(_("id"), max_length=190, primary_key=True)
    host = models.TextField(_("host"))
    pid = models.BigIntegerField(_("process"))
    state = models.CharField(_("state"), max_length=16)
    started_us = models.BigIntegerField()
    beat_us = models.BigIntegerField()
    alive_until_us = models.BigIntegerField()
    ticks = models.BooleanField(_("launches"))
    serving = models.BooleanField(_("keeps up"))
    slots = models.IntegerField(_("slots"))
    busy = models.IntegerField(_("busy"))
    queues = models.TextField(_("queues"))
    app_release = models.TextField(_("release"), null=True)

    class Meta:  # noqa: D106  # Django's
        managed = False
        db_table = f"{_PREFIX}nodes"
        verbose_name = _("node")
        verbose_name_plural = _("nodes")
        ordering: ClassVar = ["-started_us", "id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.id)

    @property
    def started_at(self) -> datetime | None:
        """When it began."""
        return maybe_instant(self.started_us)

    @property
    def beat_at(self) -> datetime | None:
        """When it last said that it lives."""
        return maybe_instant(self.beat_us)
