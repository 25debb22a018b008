"""The tables: made and brought up to date behind Django's own by ``manage.py migrate``, from one history."""

from __future__ import annotations

from typing import Any

from django.db import connections

from tickonce.contrib.django.databases import place_of
from tickonce.contrib.django.project import DjangoScheduler
from tickonce.stores.sql import schema


def migrate(scheduler: DjangoScheduler, *, alias: str, verbosity: int, stdout: Any) -> None:
    """Bring the tables in *alias* to the newest revision, if the store is there."""
    project = scheduler.project
    if alias != (project.alias or ("default" if scheduler.inline else None)):
        return
    place = place_of(alias, prefix=project.prefix)
    if place.url is None:
        found = _in_memory(alias, prefix=project.prefix)
    else:
        found = schema.current(place.url)
        if found != schema.NEWEST:
            schema.upgrade(place.url)
    if verbosity >= 1 and found != schema.NEWEST:
        done = "made" if found is None else f"brought from revision {found} to {schema.NEWEST}"
        text = f"  tickonce: tables {project.prefix}* in {alias!r} {done}\n"
        if stdout is None:
            import sys

            stdout = sys.stdout
        stdout.write(text)


def _in_memory(alias: str, *, prefix: str) -> str | None:
    """Make the tables of a database that only Django's own connection reaches: SQLite in memory, for tests."""
    connection = connections[alias]
    revisions = f"{prefix}revision"
    found = None
    with connection.cursor() as cursor:
        if revisions in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT version_num FROM {revisions}")  # noqa: S608  # a checked prefix
            row = cursor.fetchone()
            found = None if row is None else str(row[0])
    if found != schema.NEWEST:
        raw: Any = connection.connection
        raw.executescript(schema.sql(f"sqlite:///memory?prefix={prefix}", since=found))
    return found
