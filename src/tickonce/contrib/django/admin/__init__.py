"""Django's admin: schedules, runs, skip records, nodes. It reads the tables, and writes by the Scheduler alone."""

from __future__ import annotations

from django.contrib import admin

from tickonce.contrib.django import scheduler
from tickonce.contrib.django.admin.records import NodeAdmin, SkipAdmin
from tickonce.contrib.django.admin.runs import RunAdmin
from tickonce.contrib.django.admin.schedules import ScheduleAdmin
from tickonce.contrib.django.models import Node, Run, Schedule, Skip
from tickonce.errors import TickonceError


def _register() -> None:
    try:
        alias = scheduler.project.alias
    except TickonceError:
        return
    if alias is None:
        return  # a store outside of DATABASES cannot be read by models
    admin.site.register(Schedule, ScheduleAdmin)
    admin.site.register(Run, RunAdmin)
    admin.site.register(Skip, SkipAdmin)
    admin.site.register(Node, NodeAdmin)


_register()
