"""For tests of a project: what is due is run in the thread of the test, on the test's own connection.

While Django's test environment is set up (``manage.py test``, pytest-django), the project's Scheduler starts no node
and opens no connection: all it writes is part of the test's transaction and is rolled back with it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from asgiref.sync import async_to_sync

from tickonce.contrib.django import scheduler
from tickonce.contrib.django.inline import BorrowingStore
from tickonce.errors import ConfigError
from tickonce.model import Run
from tickonce.testing import FakeClock
from tickonce.testing.inline import due_runs

__all__ = ["run_due"]


def run_due(*, until: datetime | timedelta | str, start: datetime | None = None) -> list[Run]:
    """Let time pass until *until*: launch and carry out all that comes due, in order, in this thread.

    Time begins where the machine's clock stands, or where the last call in this test ended. ``timezone.now()`` does not
    follow; ``current_run().scheduled_time`` does. Jobs see the database as the test does; coroutines, too. See
    :func:`tickonce.testing.run_due`.

    Args:
        until: An instant, or how far from now: ``"1d"``.
        start: Instant to begin at, not in the past: what comes due before it is found late, as after an outage.

    Returns:
        The runs that were carried out, as they are then, in the order in which they began.

    Raises:
        ConfigError: ``TICKONCE["testing"]`` does not allow it.
    """
    store = scheduler.store
    if not isinstance(store, BorrowingStore):
        raise ConfigError("run_due() is for tests: set TICKONCE['testing'] to 'inline', or leave it at 'auto'")
    store.instant()  # learn how far the test has come
    clock = FakeClock(store.time.wall(), waiting_passes=True)
    before = scheduler.clock
    scheduler.clock = store.time.stepped = clock
    try:
        return due_runs(scheduler, clock, until=until, start=start, perform=lambda work: async_to_sync(work)())
    finally:
        store.keep_time()
        scheduler.clock, store.time.stepped = before, None
