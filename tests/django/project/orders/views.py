from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from orders.jobs import remind
from orders.models import Order
from tickonce.contrib.django import scheduler


@transaction.atomic
def order(request: HttpRequest) -> HttpResponse:
    """Take an order, and remind of it an hour later: both, or neither."""
    made = Order.objects.create(name=request.POST["name"])
    scheduler.add(f"remind-{made.name}", remind.bind(made.name), "every 1h")
    if request.POST.get("fail"):
        raise RuntimeError("after all that")
    return JsonResponse({"id": made.pk})


def health(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"node": scheduler.node_id, "alive": scheduler.alive})
