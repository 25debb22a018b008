"""What surrounds each job in a node: database connections that work, the project's zone and language."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.db import connections, reset_queries
from django.utils import timezone, translation


class Around:
    """Each job and each callback finds Django as a request would: nothing of what came before is left."""

    @contextmanager
    def of_function(self) -> Iterator[None]:
        """Surround a function."""
        refresh()
        try:
            with surroundings():
                yield
        finally:
            tidy()

    @asynccontextmanager
    async def of_coroutine(self) -> AsyncIterator[None]:
        """Surround a coroutine."""
        # As ASGIHandler does for a request: a thread of its own for what the job hands to sync_to_async, the ORM above
        # all, whose connections end with it.
        async with ThreadSensitiveContext():
            try:
                with surroundings():
                    yield
            finally:
                await sync_to_async(connections.close_all)()


@contextmanager
def surroundings() -> Iterator[None]:
    """Give a job the project's own zone and language, whatever the one before has activated."""
    with timezone.override(None), translation.override(settings.LANGUAGE_CODE):
        yield


def refresh() -> None:
    """See to it that every open connection of this thread works, as Django does before a request, and more.

    Django closes connections by their age. One that is kept (``CONN_MAX_AGE=None``) may have been dropped by its server
    while no job ran; a job must not be the one to find out.
    """
    reset_queries()
    tidy()
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None and not connection.in_atomic_block and not connection.is_usable():
            connection.close()


def tidy() -> None:
    """Close connections that are too old, or that an error has broken."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
