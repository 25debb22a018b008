"""What runs by itself. The module's name is what has it found."""

import os

from reminders.models import Sent
from tickonce import current_run
from tickonce.contrib.django import scheduler


@scheduler.schedule("every 1s", id="heartbeat")
def heartbeat() -> None:
    send("heartbeat")


@scheduler.job(retries=3)
def send(name: str) -> None:
    # Should its process die in the midst, the run is repeated under the same token.
    Sent.objects.get_or_create(token=current_run().token, defaults={"name": name, "process": os.getpid()})
