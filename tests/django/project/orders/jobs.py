import os

from django.db import connection, connections, transaction
from django.db.models import F
from django.utils import timezone, translation

from orders.models import Order, Seen
from tickonce import current_run
from tickonce.contrib.django import scheduler


@scheduler.job
def remind(name: str) -> int:
    order = Order.objects.get(name=name)
    order.reminded += 1
    order.save()
    return order.reminded


@scheduler.job
async def remind_later(name: str) -> None:
    order = await Order.objects.aget(name=name)
    order.reminded += 1
    await order.asave()


@scheduler.job
def fail() -> None:
    raise ValueError("the till is empty")


def server_process() -> int:
    if connection.vendor == "sqlite":
        return os.getpid()
    ask = "SELECT pg_backend_pid()" if connection.vendor == "postgresql" else "SELECT CONNECTION_ID()"
    with connection.cursor() as cursor:
        cursor.execute(ask)
        return cursor.fetchone()[0]


def note() -> None:
    Seen.objects.create(
        token=current_run().token,
        zone=timezone.get_current_timezone_name(),
        language=translation.get_language(),
        backend=server_process(),
    )


@scheduler.job
def look() -> None:
    note()
    timezone.activate("America/Lima")  # and forgets about it
    translation.activate("de")


@scheduler.job
async def look_async() -> None:
    from asgiref.sync import sync_to_async

    await sync_to_async(note)()
    assert connections  # the ORM's own threads


if os.environ.get("STOREFRONT_EVERY"):
    scheduler.schedule(os.environ["STOREFRONT_EVERY"], id="beat")(look)
    scheduler.schedule(os.environ["STOREFRONT_EVERY"], id="beat-async")(look_async)

    def told(event) -> None:
        Seen.objects.create(token=f"told {event.run.token}", zone="", language="", backend=server_process())

    scheduler.on("succeeded", told)


@scheduler.job
def ship(name: str) -> None:
    """One parcel a run: it is counted in the transaction in which the run ends."""
    with transaction.atomic(), current_run().transaction(connection):
        Order.objects.filter(name=name).update(reminded=F("reminded") + 1)
        if current_run().attempt == 1:
            raise ValueError("the box is torn")
