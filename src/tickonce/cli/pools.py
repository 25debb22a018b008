"""What ``tickonce doctor`` looks at in connections: those that the server takes, and pools that jobs share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tickonce.cli.findings import Finding, Patient

#: Connections of a node: beats, ticks, all other work; and one more where it listens.
OF_NODE, LISTENING = 3, 1


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of connections that the jobs of the program share.

    Attributes:
        name: Where it is, as the program writes it.
        size: Connections at most; None is any number.
        setting: What sets the size, with ``{}`` for it.
    """

    name: str
    size: int | None
    setting: str


def connections(patient: Patient) -> Iterator[Finding]:
    """Yield whether the server takes as many connections as the fleet needs, also while a rollout starts it twice."""
    store = patient.scheduler.store
    each = OF_NODE + (LISTENING if store.notifies else 0)
    fleet = max(len(patient.alive), 1) * each
    for ceiling in store.ceilings():
        usable = ceiling.most - ceiling.reserved
        left = max(usable - ceiling.used, 0)
        told = f"{ceiling.used} of {usable} in use ({ceiling.name})"
        enough = -(-(max(ceiling.used, fleet) + fleet + ceiling.reserved) // 10) * 10  # rounded up to tens
        mend = ceiling.raised.replace("{}", str(enough))
        if left < each:
            yield Finding("connections", "problem", f"{told}, so no further node finds its {each}", mend)
        elif left < fleet:
            yield Finding(
                "connections",
                "warning",
                f"{told}; {len(patient.alive)} live node(s) need up to {fleet}, so a rollout that starts as many anew "
                "beside them finds too few",
                f"{mend}; or replace a few nodes at a time",
            )
        else:
            yield Finding("connections", "ok", told)


def pools(patient: Patient) -> Iterator[Finding]:
    """Yield pools of the program that ``-A`` or ``manage.py`` brings along that are smaller than a node's slots."""
    slots = max((node.slots for node in patient.alive), default=patient.scheduler.config.slots)
    yield from too_small(found_pools(), slots)


def too_small(found: Iterable[Pool], slots: int) -> Iterator[Finding]:
    """Yield a finding for each pool that cannot serve *slots* runs at a time."""
    for pool in found:
        if pool.size is not None and pool.size < slots:
            yield Finding(
                "pools",
                "warning",
                f"{pool.name} gives {pool.size} connection(s) at a time, and a node carries out {slots} runs: where "
                "jobs use it, they wait for each other, then fail",
                f"{pool.setting.replace('{}', str(slots))}; or fewer slots: tickonce serve --slots {pool.size}",
            )


# -- where pools are -----------------------------------------------------------------------------


def found_pools() -> list[Pool]:
    """Return the pools that are global in what this process has imported, and those of Django's settings.

    Nothing is imported for it: a pool of a library that is not loaded is not there.
    """
    return sorted({*_global_pools(), *django_pools()}, key=lambda pool: pool.name)


def _global_pools() -> Iterator[Pool]:
    engines = tuple(_classes("sqlalchemy.engine", "Engine") + _classes("sqlalchemy.ext.asyncio", "AsyncEngine"))
    others = tuple(_classes("psycopg_pool", "ConnectionPool", "AsyncConnectionPool"))
    told: set[int] = set()
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            kind = type(value)  # never isinstance: a proxy, such as Flask's, would look for what it stands for
            if id(value) in told or not issubclass(kind, engines + others):
                continue
            told.add(id(value))
            place = f"{module.__name__}.{name}"
            if issubclass(kind, others):
                yield Pool(place, value.max_size, "max_size={} where the pool is made")
            else:
                yield Pool(place, _size_of(getattr(value, "sync_engine", value)), "create_engine(..., pool_size={})")


def _classes(module: str, *names: str) -> list[type]:
    found = (getattr(sys.modules.get(module), name, None) for name in names)
    return [each for each in found if each is not None]


def _size_of(engine: Any) -> int | None:
    size, overflow = getattr(engine.pool, "size", None), getattr(engine.pool, "_max_overflow", -1)
    if not callable(size) or overflow == -1:  # pools without a limit, or of another kind
        return None
    return int(size()) + int(overflow) if size() else None


def django_pools() -> Iterator[Pool]:
    """Yield the pools of ``DATABASES``, where Django is set up."""
    settings: Any = getattr(sys.modules.get("django.conf"), "settings", None)
    if settings is None or not settings.configured:
        return
    for alias, database in getattr(settings, "DATABASES", {}).items():
        options = (database.get("OPTIONS") or {}).get("pool")
        if options:
            given = options if isinstance(options, dict) else {}
            # As psycopg_pool reads them: without a greatest size it is the least, which is 4.
            size = given.get("max_size") or given.get("min_size", 4)
            setting = f"DATABASES[{alias!r}]['OPTIONS']['pool'] = {{'max_size': {{}}}}"
            yield Pool(f"DATABASES[{alias!r}]", int(size), setting)
