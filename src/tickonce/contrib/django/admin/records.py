"""Skip records and nodes: to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from tickonce.contrib.django.admin.steps import StoreAdmin, shown
from tickonce.contrib.django.models import Node, Skip


class Looking(StoreAdmin):
    """Pages on which nothing can be changed."""

    actions: Any = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no."""
        del request
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say no."""
        del request, obj
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say no."""
        del request, obj
        return False


class SkipAdmin(Looking):
    """Fires that were not run, and why."""

    list_display = ("schedule_id", "reason", "count", "first_time", "last_time")
    list_display_links = None  # all there is to see stands in the list
    list_filter = ("reason",)
    search_fields = ("^schedule_id",)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> None:
        """Say that there is none: a record has no page, and no key of one column."""
        del request, object_id, from_field

    @admin.display(description="fires")
    def count(self, skip: Skip) -> str:
        """How many."""
        return f"{skip.fires}{'+' if skip.more else ''}"

    @admin.display(description="first", ordering="first_us")
    def first_time(self, skip: Skip) -> str:
        """The first scheduled time."""
        return shown(skip.first)

    @admin.display(description="last", ordering="last_us")
    def last_time(self, skip: Skip) -> str:
        """The last scheduled time."""
        return shown(skip.last)


class NodeAdmin(Looking):
    """The processes of the fleet."""

    list_display = ("id", "host", "pid", "state", "load", "queues", "ticks", "serving", "started", "beat")
    list_filter = ("state",)
    fields = ("id", "host", "pid", "state", "load", "queues", "ticks", "serving", "app_release", "started", "beat")
    readonly_fields = ("load", "started", "beat")

    @admin.display(description="busy")
    def load(self, node: Node) -> str:
        """How many of its slots are in use."""
        return f"{node.busy}/{node.slots}"

    @admin.display(description="started", ordering="started_us")
    def started(self, node: Node) -> str:
        """When it began."""
        return shown(node.started_at)

    @admin.display(description="last beat", ordering="beat_us")
    def beat(self, node: Node) -> str:
        """When it last said that it lives."""
        return shown(node.beat_at)
