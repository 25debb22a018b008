"""What ``manage.py check`` says of the settings and of the database."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import django
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.db import connections

from tickonce.cli.pools import django_pools
from tickonce.contrib.django.databases import Place, place_of
from tickonce.contrib.django.discovery import strangers
from tickonce.contrib.django.project import DjangoScheduler
from tickonce.errors import MissingExtra, TickonceError
from tickonce.stores.sql import schema

_DRIVERS = {"postgresql": ("psycopg", "postgresql"), "mysql": ("pymysql", "mysql")}


def register() -> None:
    """Have Django run the checks."""
    checks.register(check_settings)
    checks.register(check_tables, checks.Tags.database)


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check ``TICKONCE``, and that the store can be used from here."""
    from tickonce.contrib.django import scheduler

    try:
        project = scheduler.project
    except TickonceError as error:
        return [Error(str(error), hint="See docs/how-to/django.md, Settings.", id="tickonce.E001")]
    found: list[CheckMessage] = []
    if project.alias is not None:
        found += _of_place(scheduler, project.alias, project.prefix)
    else:
        try:
            scheduler.locate()
            from tickonce.stores import open_store

            open_store(project.store).close()
        except TickonceError as error:
            found.append(Error(f"TICKONCE['store']: {error}", id="tickonce.E002"))
    found += _pools(project.node.slots)
    if project.jobs is not None:
        found += [
            Caution(
                f"{place} is a Scheduler of its own: its jobs are not the project's, and nothing starts its node",
                hint="Write: from tickonce.contrib.django import scheduler; in a reusable app: jobs = tickonce.Jobs()",
                id="tickonce.W003",
            )
            for place in strangers(scheduler, project.jobs)
        ]
    return found


def _of_place(scheduler: DjangoScheduler, alias: str, prefix: str) -> list[CheckMessage]:
    try:
        place = place_of(alias, prefix=prefix)
    except TickonceError as error:
        return [Error(str(error), id="tickonce.E002")]
    found: list[CheckMessage] = []
    if place.url is None and not scheduler.inline:
        found.append(
            Error(
                f"DATABASES[{alias!r}] is in memory: each connection to it is a database of its own",
                hint="Name a file, or set TICKONCE['testing'] to 'inline'.",
                id="tickonce.E003",
            )
        )
    module, extra = _DRIVERS.get(place.address.dialect, ("", ""))
    if module and not scheduler.inline and find_spec(module) is None:
        found.append(Error(str(MissingExtra("the connection of tickonce's own", extra=extra)), id="tickonce.E004"))
    found += _carried_over(alias, place)
    if place.address.dialect == "sqlite" and place.url is not None and django.VERSION >= (5, 1):
        mode = settings.DATABASES[alias].get("OPTIONS", {}).get("transaction_mode")
        if str(mode).upper() not in ("IMMEDIATE", "EXCLUSIVE"):
            found.append(
                Caution(
                    f"transactions on DATABASES[{alias!r}] begin without SQLite's lock: one that reads before it "
                    "writes fails when a node has written meanwhile",
                    hint=f"Set DATABASES[{alias!r}]['OPTIONS'] = {{'transaction_mode': 'IMMEDIATE'}}.",
                    id="tickonce.W002",
                )
            )
    return found


def _carried_over(alias: str, place: Place) -> list[CheckMessage]:
    if not place.left_out:
        return []
    names = ", ".join(repr(name) for name in place.left_out)
    return [
        Caution(
            f"OPTIONS {names} of DATABASES[{alias!r}] do not reach tickonce's own connections",
            hint="If they are needed to connect, name the store by its URL: TICKONCE['store'].",
            id="tickonce.W001",
        )
    ]


def _pools(slots: int) -> list[CheckMessage]:
    return [
        Caution(
            f"the pool of {pool.name} gives {pool.size} connection(s) at a time, and a node carries out {slots} runs",
            hint=f"Set {pool.setting.replace('{}', str(slots))}, or TICKONCE['slots'] = {pool.size}.",
            id="tickonce.W004",
        )
        for pool in django_pools()
        if pool.size is not None and pool.size < slots
    ]


def check_tables(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Look at the tables, for ``check --database`` and before ``migrate``."""
    from tickonce.contrib.django import scheduler

    try:
        project = scheduler.project
        alias = project.alias
        if alias is None or alias not in (databases or ()) or alias not in connections or scheduler.inline:
            return []
        url = scheduler.locate()
        found = schema.current(url)
    except TickonceError:
        return []  # said by the other check; or the server is down, and Django's own checks say that
    if found is not None and found not in schema.CHAIN:
        return [
            Error(
                f"the tables {project.prefix}* in {alias!r} are of revision {found}, newer than this code knows "
                f"({schema.NEWEST})",
                hint="Upgrade tickonce.",
                id="tickonce.E005",
            )
        ]
    return []
