"""Schedules: what is scheduled, next fires, in words; pause, resume, run now, edit."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import actions as of_django
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import get_language

from tickonce.contrib.django import scheduler
from tickonce.contrib.django.admin.forms import ScheduleForm
from tickonce.contrib.django.admin.steps import StoreAdmin, acting, may, shown
from tickonce.contrib.django.models import Run, Schedule
from tickonce.definitions import load_definition
from tickonce.errors import TickonceError
from tickonce.triggers.describe import describe

_CHANGE = "tickonce.change_schedule"
_EDITED = (
    "id",
    "job",
    "trigger",
    "tz",
    "arguments",
    "description",
    "owner",
    "tags",
    "queue",
    "priority",
    "misfire",
    "overlap",
    "retries",
    "timeout",
    "jitter",
    "revision",
)
_SHOWN = ("words", "next_fires", "status", "latest", "edited")
_LOOKED_AT = ("id", "job", *_SHOWN, "shown_arguments", "description", "owner", "queue", "priority", "source")


class ScheduleAdmin(StoreAdmin):
    """Schedules by id."""

    form = ScheduleForm
    actions = ("pause_selected", "resume_selected", "run_selected", "delete_selected")
    list_display = ("id", "words", "job", "state", "next_fire", "queue", "owner")
    list_filter = ("state", "source", "queue", "job")
    search_fields = ("id", "job", "description", "tags", "owner")
    change_form_template = "admin/tickonce/change_form.html"
    readonly_fields = (*_SHOWN, "shown_arguments")
    steps = {  # noqa: RUF012
        "pause": (_CHANGE, scheduler.pause, "Paused"),
        "resume": (_CHANGE, scheduler.resume, "Resumed"),
        "run_now": ("tickonce.add_run", scheduler.run_now, "Started by hand"),
        "revert": (_CHANGE, scheduler.revert, "Reverted to what code says"),
        "remove": ("tickonce.delete_schedule", scheduler.remove, "Removed"),
    }
    asked = {"remove": "delete"}  # noqa: RUF012

    # -- which, and who may --------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out those that were removed."""
        return super().get_queryset(request).exclude(state="removed")

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Whether this person may start a run by hand."""
        return may(request, "tickonce.add_run")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form, or for those who may not edit what there is to see."""
        if obj is None:
            return [(None, {"fields": [name for name in _EDITED if name != "revision"]})]
        if not self.has_change_permission(request, obj):
            return [(None, {"fields": _LOOKED_AT})]
        return [(None, {"fields": _SHOWN}), ("Definition", {"fields": _EDITED})]

    # -- writing -------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show or save the form. What the store refuses after all is told, and nothing was changed."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except TickonceError as error:
            return self._told(request, error)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask, then remove. What the store refuses is told, and nothing was changed."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except TickonceError as error:
            return self._told(request, error)

    def _told(self, request: HttpRequest, error: TickonceError) -> HttpResponse:
        """Say what went wrong: on the page itself if it can be shown, which only a failed POST leaves open."""
        self.message_user(request, str(error), messages.ERROR)
        if request.method == "POST":
            return HttpResponseRedirect(request.get_full_path())
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:tickonce_schedule_changelist"))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Write by the Scheduler."""
        del change
        with acting(request):
            written = form.apply(scheduler)
        obj.pk = written.id

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Remove by the Scheduler."""
        with acting(request):
            scheduler.remove(obj.pk)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return what goes: the schedule, and nothing with it."""
        del request
        names = [str(obj) for obj in objs]
        return names, {self.opts.verbose_name_plural: len(names)}, set(), []

    @admin.action(description="Pause", permissions=["change"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Launch nothing more of them."""
        self.take(request, "pause", queryset)

    @admin.action(description="Resume", permissions=["change"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Go on with them."""
        self.take(request, "resume", queryset)

    @admin.action(description="Run now", permissions=["run"])
    def run_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Start a run of each."""
        self.take(request, "run_now", queryset)

    @admin.action(description="Remove", permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Ask by Django's own page, then remove them by the Scheduler; Django's own action would delete rows."""
        if not request.POST.get("post"):
            return of_django.delete_selected(self, request, queryset)
        self.take(request, "remove", queryset)
        return None

    # -- columns -------------------------------------------------------------------------------

    @admin.display(description="when")
    def words(self, schedule: Schedule) -> str:
        """Return its trigger in words."""
        language = "zh" if (get_language() or "").startswith("zh") else "en"
        try:
            return describe(load_definition(schedule.definition).trigger, language)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001  # one row of newer code must not hide all the others
            return f"cannot be read here: {error}"

    @admin.display(description="next", ordering="next_fire_us")
    def next_fire(self, schedule: Schedule) -> str:
        """Return its next scheduled time."""
        return shown(schedule.next_fire) if schedule.state == "active" else "-"

    @admin.display(description="next fires")
    def next_fires(self, schedule: Schedule) -> str:
        """Return the next five."""
        try:
            fires = scheduler.next_fires(schedule.pk, 5)
        except TickonceError as error:
            return str(error)
        return format_html_join("", "{}<br>", ((shown(fire),) for fire in fires)) or "-"

    @admin.display(description="state")
    def status(self, schedule: Schedule) -> str:
        """Return its state, with the reason."""
        return f"{schedule.state}{f': {schedule.reason}' if schedule.reason else ''}"

    @admin.display(description="latest runs")
    def latest(self, schedule: Schedule) -> str:
        """Return its latest runs, with links."""
        found = Run.objects.filter(schedule_id=schedule.pk).order_by("-scheduled_us", "token")[:5]
        page = f"{self.admin_site.name}:tickonce_run_change"
        links = ((reverse(page, args=[quote(run.pk)]), run.state, shown(run.scheduled_time)) for run in found)
        return format_html_join("", '<a href="{}">{} {}</a><br>', links) or "-"

    @admin.display(description="arguments")
    def shown_arguments(self, schedule: Schedule) -> str:
        """Return what the job is called with."""
        return format_html("<code>{}</code>", load_definition(schedule.definition).arguments)

    @admin.display(description="last edit")
    def edited(self, schedule: Schedule) -> str:
        """Return who edited it, and when."""
        return f"{shown(schedule.updated_at)} by {schedule.updated_by} (revision {schedule.revision})"
