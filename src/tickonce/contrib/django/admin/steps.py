"""What the admin's pages share: steps that a person starts by a button or an action, and how instants are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format

from tickonce.contrib.django import scheduler
from tickonce.contrib.django.models import Row
from tickonce.errors import TickonceError


class StoreAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for type checkers only
    """Pages of rows that only the Scheduler changes.

    Attributes:
        steps: Name of a step, the permission that it needs, what it does to an id, and what the log says of it.
        asked: Steps whose button leads to a page that asks first, and which page of Django's that is.
    """

    steps: dict[str, tuple[str, Callable[[str], object], str]] = {}  # noqa: RUF012  # each class has its own
    asked: dict[str, str] = {}  # noqa: RUF012
    show_full_result_count = False
    list_per_page = 50

    def get_urls(self) -> list[URLPattern]:
        """Add a page a step, but for those that Django's pages ask about; it only takes POST."""
        own = [
            path(
                f"<path:object_id>/{step}/",
                self.admin_site.admin_view(self._page_of(step)),
                name=f"tickonce_{self.opts.model_name}_{step}",
            )
            for step in self.steps
            if step not in self.asked
        ]
        found = [*own, *super().get_urls()]
        for each in found:
            for alias in connections:  # where a file is locked as a whole, the Scheduler would wait for the request
                transaction.non_atomic_requests(alias)(each.callback)
        return found

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one, with a button for each step that this person may take."""
        buttons = [
            {
                "step": step,
                "url": self._url(self.asked.get(step, step), unquote(object_id)),
                "method": "get" if step in self.asked else "post",
                "label": step.replace("_", " "),
            }
            for step, (permission, _, _) in self.steps.items()
            if may(request, permission)
        ]
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "steps": buttons})

    def take(self, request: HttpRequest, step: str, rows: Iterable[Row]) -> None:
        """Take a step for each of *rows* and tell how it went."""
        permission, do, said = self.steps[step]
        if not may(request, permission):
            raise PermissionDenied
        done = 0
        for row in rows:
            try:
                with acting(request):
                    do(str(row.pk))
            except TickonceError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self.log_change(request, row, said)
                done += 1
        if done:
            self.message_user(request, f"{said}: {done}.", messages.SUCCESS)

    def _page_of(self, step: str) -> Callable[..., HttpResponse]:
        def page(request: HttpRequest, object_id: str) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            row = self.get_object(request, unquote(object_id))
            back = reverse(f"{self.admin_site.name}:tickonce_{self.opts.model_name}_changelist")
            if row is None:
                self.message_user(request, f"There is no {unquote(object_id)!r} any more.", messages.ERROR)
                return HttpResponseRedirect(back)
            self.take(request, step, [row])
            if not self.has_view_or_change_permission(request, row):
                return HttpResponseRedirect(back)
            return HttpResponseRedirect(self._url("change", row.pk))

        return page

    def _url(self, page: str, key: str) -> str:
        name = f"{self.admin_site.name}:tickonce_{self.opts.model_name}_{page}"
        return reverse(name, args=[quote(key)])


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the person of the request has a permission."""
    user: Any = request.user
    return bool(user.has_perm(permission))


@contextmanager
def acting(request: HttpRequest) -> Iterator[None]:
    """Write down the person of the request as author of edits."""
    with scheduler.acting_as(request.user.get_username()):
        yield


def shown(instant: datetime | None) -> str:
    """Return an instant for people, in the zone of the request."""
    if instant is None:
        return "-"
    local = timezone.localtime(instant, timezone.get_current_timezone())
    return f"{date_format(local, 'SHORT_DATE_FORMAT')} {local:%H:%M:%S}"
