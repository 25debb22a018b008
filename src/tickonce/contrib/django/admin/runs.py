"""Runs: what happened, with its traceback; retry and cancel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from tickonce.contrib.django import scheduler
from tickonce.contrib.django.admin.records import Looking
from tickonce.contrib.django.admin.steps import may, shown
from tickonce.contrib.django.models import Run, Schedule
from tickonce.durations import format_duration
from tickonce.model import RunState
from tickonce.stores.sql.rows import microseconds

_CHANGE = "tickonce.change_run"


class StateFilter(admin.SimpleListFilter):
    """By state; the choices are known without looking at a long table."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the states, and two groups of them."""
        del request, model_admin
        return [("open", "open"), ("bad", "ended badly"), *((str(state), str(state)) for state in RunState)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list."""
        del request
        match self.value():
            case None:
                return queryset
            case "open":
                return queryset.filter(state__in=["pending", "running"])
            case "bad":
                return queryset.filter(state__in=["failed", "lost"])
            case state:
                return queryset.filter(state=state)


class AgeFilter(admin.SimpleListFilter):
    """By scheduled time."""

    title = "scheduled"
    parameter_name = "since"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the spans."""
        del request, model_admin
        return [("1h", "in the last hour"), ("24h", "in the last day"), ("7d", "in the last week")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list."""
        del request
        spans = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7)}
        span = spans.get(self.value() or "")
        if span is None:
            return queryset
        return queryset.filter(scheduled_us__gte=microseconds(scheduler.clock.wall() - span))


class _OfSchedules(admin.SimpleListFilter):
    """By a column that the few schedules have, too: a look at all runs for their values would take long."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        del request, model_admin
        column = self.parameter_name or ""
        values = Schedule.objects.order_by(column).values_list(column, flat=True).distinct()
        return [(value, value) for value in values[:100]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        del request
        value = self.value()
        return queryset if value is None else queryset.filter(**{self.parameter_name or "": value})


class JobFilter(_OfSchedules):
    """By job."""

    title = parameter_name = "job"


class QueueFilter(_OfSchedules):
    """By queue."""

    title = parameter_name = "queue"


class RunAdmin(Looking):
    """Runs, newest first."""

    actions = ("retry_selected", "cancel_selected")
    list_display = ("token", "schedule", "state", "scheduled", "started", "took", "attempt", "node")
    list_filter = (StateFilter, AgeFilter, JobFilter, QueueFilter)
    search_fields = ("^token", "=schedule_id")
    search_help_text = "The beginning of a token, or a schedule's id"
    change_form_template = "admin/tickonce/change_form.html"
    fields = (
        "token",
        "schedule",
        "job",
        "shown_arguments",
        "state",
        "reason",
        "scheduled",
        "started",
        "finished",
        "took",
        "attempt",
        "failures",
        "losses",
        "node",
        "queue",
        "source",
        "created_by",
        "progress",
        "cancelling",
        "overdue",
        "result",
        "traceback",
    )
    readonly_fields = ("schedule", "scheduled", "started", "finished", "took", "traceback", "shown_arguments")
    steps = {  # noqa: RUF012
        "retry": (_CHANGE, scheduler.retry, "Made pending again"),
        "cancel": (_CHANGE, scheduler.cancel, "Asked to stop"),
    }

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Whether this person may retry and cancel."""
        return may(request, _CHANGE)

    @admin.action(description="Retry", permissions=["steer"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Make runs that ended badly pending again."""
        self.take(request, "retry", queryset)

    @admin.action(description="Cancel", permissions=["steer"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """End pending runs, ask running ones to stop."""
        self.take(request, "cancel", queryset)

    @admin.display(description="schedule", ordering="schedule_id")
    def schedule(self, run: Run) -> str:
        """Its schedule, with a link."""
        from django.contrib.admin.utils import quote

        url = reverse(f"{self.admin_site.name}:tickonce_schedule_change", args=[quote(run.schedule_id)])
        return format_html('<a href="{}">{}</a>', url, run.schedule_id)

    @admin.display(description="arguments")
    def shown_arguments(self, run: Run) -> str:
        """What the job is called with."""
        return format_html("<code>{}</code>", run.arguments)

    @admin.display(description="scheduled", ordering="scheduled_us")
    def scheduled(self, run: Run) -> str:
        """When it was scheduled."""
        return shown(run.scheduled_time)

    @admin.display(description="started", ordering="started_us")
    def started(self, run: Run) -> str:
        """When its last attempt began."""
        return shown(run.started_at)

    @admin.display(description="finished", ordering="finished_us")
    def finished(self, run: Run) -> str:
        """When it ended."""
        return shown(run.finished_at)

    @admin.display(description="took")
    def took(self, run: Run) -> str:
        """How long its last attempt took."""
        if run.started_at is None or run.finished_at is None:
            return "-"
        return format_duration(max(run.finished_at - run.started_at, timedelta(0)))

    @admin.display(description="error")
    def traceback(self, run: Run) -> str:
        """The last failure."""
        return format_html('<pre style="white-space: pre-wrap">{}</pre>', run.error) if run.error else "-"
