import os

from reminders.jobs import send
from tickonce import current_run
from tickonce.contrib.django import scheduler


def note() -> None:
    """Write a row as the example does, and one line to a ledger outside, in one write, which hides no second call."""
    send(current_run().schedule_id)
    book = os.open(os.environ["SHOP_LEDGER"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(book, f"call {current_run().token} {os.getpid()}\n".encode())
    finally:
        os.close(book)


@scheduler.schedule("every 1s", id="tick", misfire="all", overlap="allow")
def tick() -> None:
    note()


@scheduler.job
def added() -> None:
    note()
