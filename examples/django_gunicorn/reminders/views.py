"""A reminder and its schedule are both there, or neither."""

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from reminders.jobs import send
from reminders.models import Reminder, Sent
from tickonce.contrib.django import scheduler


@csrf_exempt
@transaction.atomic
def reminder(request: HttpRequest, name: str) -> HttpResponse:
    every = request.GET.get("every", "1h")
    match request.method:
        case "POST":
            Reminder.objects.create(name=name)
            scheduler.add(f"remind-{name}", send.bind(name), f"every {every}")
        case "PUT":
            get_object_or_404(Reminder, name=name)
            scheduler.update(f"remind-{name}", trigger=f"every {every}")
        case "DELETE":
            get_object_or_404(Reminder, name=name).delete()
            scheduler.remove(f"remind-{name}")
    return JsonResponse({"sent": Sent.objects.filter(name=name).count()})


def health(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"node": scheduler.node_id}, status=200 if scheduler.alive else 503)
