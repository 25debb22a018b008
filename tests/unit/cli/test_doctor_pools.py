"""``tickonce doctor`` finds connections and pools that are too few for what runs at the same time."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from urllib.parse import urlsplit

import psycopg
import pytest

from tickonce import Scheduler
from tickonce.cli import pools
from tickonce.cli.findings import Finding, Patient
from tickonce.cli.pools import Pool
from tickonce.model import Node
from tickonce.ports import Ceiling

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)
NODE = Node(id="web-1-1-a", host="web-1", alive_until=NOW + timedelta(seconds=10), slots=20)


# -- connections ---------------------------------------------------------------------------------


def found(*nodes: Node, most: int, used: int, reserved: int = 3) -> list[Finding]:
    ceiling = Ceiling("max_connections", most, reserved, used, "SET max_connections = {}")
    with Scheduler("memory:") as scheduler:
        scheduler.store.ceilings = lambda: [ceiling]  # type: ignore[method-assign]
        return list(pools.connections(Patient(scheduler, NOW, nodes, nodes)))


def test_a_fleet_that_fits_twice_is_well():
    assert found(NODE, NODE, most=100, used=20) == [Finding("connections", "ok", "20 of 97 in use (max_connections)")]


def test_no_room_for_one_more_node_is_a_problem():
    (finding,) = found(NODE, most=20, used=15)
    assert (finding.level, finding.mend) == ("problem", "SET max_connections = 30")
    assert finding.found.startswith("15 of 17 in use (max_connections), so no further node finds its ")


def test_no_room_for_a_rollout_of_all_nodes_is_a_warning():
    (finding,) = found(*[NODE] * 10, most=100, used=60)
    assert finding.level == "warning"
    assert "10 live node(s) need up to 40" in finding.found
    assert finding.mend == "SET max_connections = 110; or replace a few nodes at a time"


def test_a_role_of_postgresql_that_may_connect_too_seldom(postgresql_database):
    with psycopg.connect(postgresql_database, autocommit=True) as owner:
        owner.execute("CREATE ROLE pools_shop LOGIN PASSWORD 'of-the-test' CONNECTION LIMIT 9")
        owner.execute("GRANT ALL ON SCHEMA public TO pools_shop")
        parts = urlsplit(postgresql_database)
        url = parts._replace(netloc=f"pools_shop:of-the-test@{parts.hostname}:{parts.port}").geturl()
        try:
            with Scheduler(url) as client, Scheduler(url) as program, program.node(), ExitStack() as others:
                while len(client.nodes()) < 1 or _of_role(client).used < 5:  # four of the node's, and ours
                    client.clock.sleep(timedelta(milliseconds=20))
                assert [each.level for each in _told(client)] == ["ok", "ok"]
                others.enter_context(psycopg.connect(url))
                (_, role) = _told(client)
                assert role.level == "problem"
                assert "6 of 9 in use (the connection limit of role pools_shop)" in role.found
                owner.execute(role.mend)
                assert [each.level for each in _told(client)] == ["ok", "ok"]
        finally:
            owner.execute("DROP OWNED BY pools_shop")
            owner.execute("DROP ROLE pools_shop")


def _of_role(scheduler: Scheduler) -> Ceiling:
    return scheduler.store.ceilings()[-1]


def _told(scheduler: Scheduler) -> list[Finding]:
    nodes = tuple(scheduler.nodes())
    return list(pools.connections(Patient(scheduler, NOW, nodes, nodes)))


# -- pools ---------------------------------------------------------------------------------------


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that a program has imported; its engines connect to nothing."""
    module = ModuleType("pools_of_a_shop")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def sizes() -> dict[str, int | None]:
    return {pool.name.partition(".")[2]: pool.size for pool in pools.found_pools() if "pools_of_a_shop" in pool.name}


def test_engines_of_sqlalchemy_are_found_with_all_that_they_give(program):
    from sqlalchemy import NullPool, create_engine

    url = "postgresql+psycopg://shop@127.0.0.1/shop"
    program.usual = create_engine(url)
    program.small = program.again = create_engine(url, pool_size=2, max_overflow=1)
    program.boundless = create_engine(url, pool_size=2, max_overflow=-1)
    program.none = create_engine(url, poolclass=NullPool)
    program.memory = create_engine("sqlite://")
    assert sizes() == {"usual": 15, "small": 3, "boundless": None, "none": None, "memory": None}


def test_asynchronous_engines_are_found(program):
    from sqlalchemy.ext.asyncio import create_async_engine

    program.engine = create_async_engine("postgresql+psycopg://shop@127.0.0.1/shop", pool_size=2, max_overflow=0)
    assert sizes() == {"engine": 2}


def test_pools_of_psycopg_are_found(program):
    from psycopg_pool import ConnectionPool

    program.pool = ConnectionPool("", open=False, min_size=2, max_size=6)
    assert sizes() == {"pool": 6}


def test_a_proxy_is_not_asked_what_it_stands_for(program):
    class Proxy:
        @property  # type: ignore[misc]
        def __class__(self):  # as that of Flask, outside of a request
            raise RuntimeError("working outside of a context")

    program.proxy = Proxy()
    assert sizes() == {}


def test_a_pool_that_is_smaller_than_the_slots_is_told_with_the_line_that_sets_it():
    smaller = Pool("shop.db.engine", 5, "create_engine(..., pool_size={})")
    assert list(pools.too_small([smaller, replace(smaller, size=10), replace(smaller, size=None)], 10)) == [
        Finding(
            "pools",
            "warning",
            "shop.db.engine gives 5 connection(s) at a time, and a node carries out 10 runs: where jobs use it, "
            "they wait for each other, then fail",
            "create_engine(..., pool_size=10); or fewer slots: tickonce serve --slots 5",
        )
    ]


def test_the_programs_pools_are_compared_with_the_slots_of_live_nodes(made):
    made.program(
        "pooled_shop",
        "from sqlalchemy import create_engine\nfrom tickonce import Scheduler\nscheduler = Scheduler(slots=4)\n"
        "engine = create_engine('postgresql+psycopg://shop@127.0.0.1/shop', pool_size=5, max_overflow=0)\n",
    )
    assert " pools: " not in made("doctor", "-A", "pooled_shop").stdout
    with Scheduler(made.url, slots=20) as node, node.node():
        said = made("doctor", "-A", "pooled_shop").stdout
    assert "warning  pools: pooled_shop.engine gives 5 connection(s) at a time, and a node carries out 20 runs" in said
    assert "-> create_engine(..., pool_size=20)" in said
