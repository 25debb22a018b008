"""How many rows each statement reads in tables that are large: what it is about, never what lies beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from tests.servers import connect, fresh_database
from tests.unit.planned import schedule
from tickonce.clock import SYSTEM_CLOCK
from tickonce.config import Retention
from tickonce.model import RunState
from tickonce.partition import Share
from tickonce.ports import RunFilter, ScheduleFilter, Serves
from tickonce.stores.sql import edits, launching, looking, nodes, reading, upkeep, work
from tickonce.stores.sql.address import parse
from tickonce.stores.sql.store import SqlStore
from tickonce.stores.sql.tx import Tx

SCHEDULES = 4_000
RUNS = 40_000  # of which 400 wait and 200 run

_SCHEDULE = """
INSERT INTO tickonce_schedules (id, bucket, job, queue, priority, tags, owner, description, definition, state, version,
  revision, watermark_us, next_fire_us, due_us, source, created_us, created_by, updated_us, updated_by)
SELECT {text}, n * 7919 % 1024, 'job', 'default', 0, '', '', '', '{definition}', 'active', n, 1, {now}, {now},
  {now} + (n - 100) * 1000000, 'api', {now}, '', {now}, '' FROM {numbers}"""
_RUN = """
INSERT INTO tickonce_runs (token, schedule_id, job, arguments, scheduled_us, due_us, state, attempt, queue, priority,
  policy, node, created_us, finished_us, start_by_us)
SELECT {text}, {schedule}, 'job', '[]', {now} - n * 1000000, {now} - n * 1000000,
  CASE WHEN n <= 400 THEN 'pending' WHEN n <= 600 THEN 'running' WHEN n % 1000 = 0 THEN 'failed' ELSE 'succeeded' END,
  1, 'default', 0, '{{}}', CASE WHEN n > 400 THEN {node} END, {now}, CASE WHEN n > 600 THEN {now} - n * 1000000 END,
  {now} + (n - 100) * 1000000 FROM {numbers}"""
_NODE = """
INSERT INTO tickonce_nodes (id, host, pid, state, lease_us, started_us, beat_us, alive_until_us, ticks, serving, slots,
  busy, queues, declares, facts)
SELECT {node}, '', 1, 'alive', 1, 1, 1, 1, TRUE, TRUE, 1, 0, '[]', '[]', '[]' FROM {numbers}"""
_DEFINITION = '{"job":"job","trigger":{"kind":"every","seconds":3600}}'

WORDS: dict[str, dict[str, str]] = {
    "postgresql": {
        "text": "'s' || n",
        "schedule": "'s' || n % 500",
        "node": "'n' || n % 10",
        "numbers": "generate_series(1::bigint, {count}) n",
    },
    "mysql": {
        "text": "concat('s', n)",
        "schedule": "concat('s', n % 500)",
        "node": "concat('n', n % 10)",
        # MariaDB has sequences, MySQL has not: both know recursion.
        "numbers": "(WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c WHERE n < {count}) "
        "SELECT n FROM c) x",
    },
}


@pytest.fixture(
    scope="module",
    params=[pytest.param("postgresql", marks=pytest.mark.server), pytest.param("mysql", marks=pytest.mark.server)],
)
def store(request: pytest.FixtureRequest) -> Iterator[SqlStore]:
    """A store with large tables, as they are after weeks."""
    with (
        fresh_database(request.getfixturevalue(f"{request.param}_url")) as url,
        closing(SqlStore(parse(url), clock=SYSTEM_CLOCK)) as store,
    ):
        store.prepare()
        _fill(url, WORDS[request.param], store._work.read(nodes.now_us))
        yield store


def _fill(url: str, words: dict[str, str], now: int) -> None:
    with closing(connect(url, autocommit=True)) as raw, raw.cursor() as cursor:
        if url.startswith("mysql"):
            cursor.execute("SET max_recursive_iterations = 1000000")
        for text, count in ((_SCHEDULE, SCHEDULES), (_RUN, RUNS), (_NODE, 10)):
            numbers = words["numbers"].format(count=count)
            cursor.execute(text.format(**{**words, "numbers": numbers, "now": now, "definition": _DEFINITION}))
        if not url.startswith("mysql"):  # all rows are looked at, not a sample: plans must not depend on chance
            cursor.execute("SET default_statistics_target = 1000")
        analyze = "ANALYZE TABLE tickonce_schedules, tickonce_runs" if url.startswith("mysql") else "VACUUM ANALYZE"
        cursor.execute(analyze)
        cursor.fetchall() if url.startswith("mysql") else None


SERVES = Serves(jobs=frozenset({"job"}), queues=frozenset({"default"}))
ALL_RANKS = (Share(None, bytes([0, 1, 2, 9] * 256)),)
NOW = SYSTEM_CLOCK.wall()
_BEAT: dict[str, Any] = {"channel": "tickonce_", "state": "alive", "serving": True}


def _due(tx: Tx, shares: tuple[Share, ...], limit: int = 10) -> object:
    return looking.due(
        tx,
        shares,
        takeover_after=timedelta(seconds=1),
        serves=SERVES,
        limit=limit,
        low=None,
        leave_out=["s7"],
        horizon=timedelta(minutes=1),
    )


#: Of its eighty runs fourteen came since.
_SINCE_TWO_HOURS = schedule(id="s3", since=NOW - timedelta(hours=2))


@pytest.mark.parametrize(
    ("most", "read"),
    [
        # A row is counted where it is found and where it is read; of ten buckets' schedules a quarter is this node's.
        pytest.param(60, lambda tx: _due(tx, (Share(None, bytes(1024)),)), id="look of one node"),
        pytest.param(500, lambda tx: _due(tx, ALL_RANKS), id="look of one node of many"),
        pytest.param(60, lambda tx: work.candidates(tx, serves=SERVES, limit=10), id="claim"),
        pytest.param(60, lambda tx: tx.rows(work._GET_MANY, tokens=["s1", "s2"]), id="runs by token"),
        pytest.param(30, lambda tx: work.held(tx, "n1"), id="held"),
        pytest.param(250, lambda tx: work.orphans(tx, limit=10), id="orphans"),
        pytest.param(110, lambda tx: work.late(tx, limit=500), id="late"),
        pytest.param(
            20,
            lambda tx: tx.rows(work._LOCK_ATTEMPTS, tokens=[f"s{number}" for number in range(401, 411)]),
            id="finish",
        ),
        pytest.param(
            40, lambda tx: tx.rows(launching._OPEN, ids=[f"s{number}" for number in range(10)]), id="count open runs"
        ),
        pytest.param(
            20, lambda tx: tx.rows(launching._LOCK, ids=[f"s{number}" for number in range(10)]), id="lock schedules"
        ),
        pytest.param(20, lambda tx: tx.rows(launching._TAKEN, tokens=["s1", "s2"]), id="taken"),
        pytest.param(20, lambda tx: tx.rows(edits._FACTS, id="s3"), id="edit"),
        pytest.param(60, lambda tx: tx.rows(nodes._READ, id="n1", **_BEAT), id="beat"),
        pytest.param(20, lambda tx: upkeep.unseen(tx, ["s1", "s2"], older_than=timedelta(0)), id="seen"),
        pytest.param(20, lambda tx: upkeep.behind(tx, {"s1": NOW, "s2": NOW}), id="watermarks"),
        pytest.param(40, lambda tx: upkeep._asked_runs(tx, _SINCE_TWO_HOURS, NOW).rows(), id="runs after a watermark"),
        pytest.param(
            700,
            lambda tx: upkeep.old_runs(tx, Retention(runs=timedelta(hours=10)), upkeep.Place(), limit=10),
            id="prune runs",
        ),
        pytest.param(10, lambda tx: tx.rows(upkeep._LOCK_TOMBSTONES, border=0, limit=10), id="prune tombstones"),
        pytest.param(10, lambda tx: tx.rows(upkeep._ENDED, border=0, limit=10), id="prune ended schedules"),
        pytest.param(20, lambda tx: reading.runs(tx, RunFilter(), limit=10, cursor=None), id="list runs"),
        pytest.param(
            120,
            lambda tx: reading.runs(tx, RunFilter(states=(RunState.FAILED,)), limit=10, cursor=None),
            id="list failed runs",
        ),
        pytest.param(
            20,
            lambda tx: reading.runs(tx, RunFilter(schedule_id="s3"), limit=10, cursor=None),
            id="list runs of a schedule",
        ),
        pytest.param(
            20,
            lambda tx: reading.runs(tx, RunFilter(scheduled_until=NOW - timedelta(hours=5)), limit=10, cursor=None),
            id="list runs of a day",
        ),
        pytest.param(
            20, lambda tx: reading.schedules(tx, ScheduleFilter(), limit=10, cursor='["s3"]'), id="list schedules"
        ),
    ],
)
def test_a_statement_reads_few_rows_however_large_the_tables(store, monkeypatch, most, read: Callable[[Tx], object]):
    read_rows = 0
    execute = Tx._execute

    def explaining(self: Tx, text: str, values: dict[str, Any]) -> None:
        nonlocal read_rows
        read_rows += _COUNTS[self.dialect.address.dialect](self, text, values)
        execute(self, text, values)

    monkeypatch.setattr(Tx, "_execute", explaining)
    store._work.read(read)
    assert 0 <= read_rows <= most


def _count_postgresql(tx: Tx, text: str, values: dict[str, Any]) -> int:
    tx._cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {tx.dialect.text(text)}", tx.dialect.bound(dict(values)))
    ((found,),) = tx._cursor.fetchall()
    return sum(
        round((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in _tree(found[0]["Plan"])
        if node.get("Relation Name", "").endswith(("runs", "schedules"))
    )


def _tree(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _tree(child)


def _count_mysql(tx: Tx, text: str, values: dict[str, Any]) -> int:
    tx._cursor.execute(f"ANALYZE FORMAT=JSON {tx.dialect.text(text)}", tx.dialect.bound(dict(values)))
    ((found,),) = tx._cursor.fetchall()
    return round(sum(_reads(json.loads(found))))


def _reads(node: Any) -> Iterator[float]:
    if isinstance(node, list):
        for item in node:
            yield from _reads(item)
    if isinstance(node, dict):
        if "r_rows" in node and not str(node.get("table_name", "<")).startswith("<"):
            yield (node["r_rows"] or 0) * (node.get("r_loops") or 0)
        for value in node.values():
            yield from _reads(value)


_COUNTS = {"postgresql": _count_postgresql, "mysql": _count_mysql}
