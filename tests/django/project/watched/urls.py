import os

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

from reminders.models import Reminder
from tickonce.contrib.django import scheduler
from watched.jobs import added


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{os.getpid()} {scheduler.alive}")


@transaction.atomic
def add(request: HttpRequest) -> HttpResponse:
    Reminder.objects.create(name="extra")
    scheduler.add("extra", added.bind(), "every 1s", misfire="all", overlap="allow")
    return HttpResponse("added")


def edit(request: HttpRequest) -> HttpResponse:
    scheduler.update("extra", trigger="every 2s")
    return HttpResponse("edited")


@transaction.atomic
def remove(request: HttpRequest) -> HttpResponse:
    Reminder.objects.get(name="extra").delete()
    scheduler.remove("extra")
    return HttpResponse("removed")


urlpatterns = [path("", home), path("add", add), path("edit", edit), path("remove", remove)]
