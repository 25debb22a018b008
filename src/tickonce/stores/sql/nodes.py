"""Nodes: joining, beating, leaving, being declared dead."""

from __future__ import annotations

from collections.abc import Collection

from tickonce.model import Beat, Held, Node, NodeId
from tickonce.stores.sql.rows import INSERT_NODE, NODE, facts_text, instant_of, length, maybe_us, node_of, node_row
from tickonce.stores.sql.tx import Row, Tx

_ALIVE = "state IN ('alive', 'leaving')"
_COLUMNS = ", ".join(NODE)

_EXTEND = f"""
UPDATE {{nodes}} SET state = :state, busy = :busy, serving = :serving, ticked_us = :ticked_us, beat_us = {{at}},
  alive_until_us = {{at}} + :lease_us, facts = :facts
WHERE id = :id AND {_ALIVE}"""


def _padded(**values: str) -> str:
    """Return a list of columns like those of a node, NULL but for *values*."""
    return ", ".join(values.get(name, "NULL") for name in NODE)


# What a beat answers, told apart by the first column: nodes (1), facts (0), and what the node holds (2). All in one
# statement, for an idle node is to issue few.
_EPOCH = "(SELECT value FROM {settings} WHERE name = 'clock_epoch')"
_FACTS = f"SELECT 0, {_padded(pid='{now}', host='{hint}', app_release=_EPOCH)}"
_HELD = f"""
SELECT 2, {_padded(id="token", pid="attempt", ticks="cancelling")}
FROM {{runs}} WHERE node = :id AND state = 'running'"""

_READ = f"SELECT 1, {_COLUMNS} FROM {{nodes}} WHERE {_ALIVE} UNION ALL {_FACTS} UNION ALL {_HELD}"
# A query sees the nodes as they were before its own update: our row comes from what the update returns.
_EXTEND_AND_READ = f"""
WITH clock AS (SELECT {{now}} AS now_us), moved AS ({_EXTEND} RETURNING {_COLUMNS})
SELECT 1, {_COLUMNS} FROM moved UNION ALL SELECT 1, {_COLUMNS} FROM {{nodes}} WHERE {_ALIVE} AND id <> :id
UNION ALL {_FACTS} UNION ALL {_HELD}"""

_LOCK = f"""
SELECT id FROM {{nodes}} WHERE id = ANY(:ids) AND {_ALIVE} AND alive_until_us <= {{now}}
ORDER BY id {{lock_or_skip}}"""
_DECLARE_DEAD = "UPDATE {nodes} SET state = 'dead' WHERE id = ANY(:ids)"
_ALIVE_NOW = f"SELECT {{now}}, (SELECT count(*) FROM {{nodes}} WHERE id = :id AND {_ALIVE})"
_LEAVE = f"UPDATE {{nodes}} SET state = 'gone', beat_us = {{now}} WHERE id = :id AND {_ALIVE}"
_ALL = f"SELECT {_COLUMNS}, declares, facts FROM {{nodes}} ORDER BY started_us, id"
_EPOCH_LOCK = "SELECT value FROM {settings} WHERE name = 'clock_epoch' {lock}"
_EPOCH_WRITE = "UPDATE {settings} SET value = :value WHERE name = 'clock_epoch'"
_NOW = "SELECT {now}"


def now_us(tx: Tx) -> int:
    """Return the store's clock."""
    return int(tx.only(_NOW)[0])


def alive_now(tx: Tx, node_id: NodeId) -> tuple[int, bool]:
    """Return the store's clock, and whether the node's row is alive."""
    now, alive = tx.only(_ALIVE_NOW, id=node_id)
    return int(now), bool(alive)


#: For steps that send it along with other statements.
ALIVE_NOW = _ALIVE_NOW


def insert(tx: Tx, node: Node) -> None:
    """Insert the node's row, unless it is there."""
    if tx.insert_new(INSERT_NODE, node_row(node, now_us(tx))):
        tx.announce("nodes")


def beat(tx: Tx, node: Node) -> Beat:
    """Extend the node's life and say how the fleet is."""
    values = {
        "id": node.id,
        "state": str(node.state),
        "busy": node.busy,
        "serving": node.serving,
        "ticked_us": maybe_us(node.ticked_at),
        "lease_us": length(node.lease),
        "facts": facts_text(node),
    }
    if tx.dialect.updates_in_queries:
        return _answer(node.id, tx.rows(_EXTEND_AND_READ, channel=tx.dialect.address.names.channel, **values))
    tx.tell(_EXTEND, **values)
    return _answer(node.id, tx.rows(_READ, **values))


def _answer(node_id: NodeId, rows: list[Row]) -> Beat:
    nodes, held, instant_us, epoch = [], [], 0, 0
    for kind, *row in rows:
        if kind == 1:
            nodes.append(node_of(tuple(row)))
        elif kind == 2:
            held.append(Held(row[0], int(row[2]), bool(row[8])))
        else:
            instant_us, epoch = int(row[2]), int(row[-1] or 0)
    return Beat(
        instant=instant_of(instant_us),
        alive=any(node.id == node_id for node in nodes),
        nodes=tuple(nodes),
        held=tuple(held),
        clock_epoch=epoch,
    )


def expire(tx: Tx, node_id: NodeId, dead: Collection[NodeId]) -> list[NodeId]:
    """Declare nodes dead whose lease is over."""
    _, alive = alive_now(tx, node_id)
    if not alive:
        return []
    found = [row[0] for row in tx.rows(_LOCK, ids=sorted(set(dead)))]
    if found:
        tx.tell(_DECLARE_DEAD, ids=found)
        tx.announce("nodes")
    return found


def leave(tx: Tx, node_id: NodeId) -> None:
    """Mark the node's row GONE."""
    tx.tell(_LEAVE, id=node_id)
    tx.announce("nodes")


def every_node(tx: Tx) -> list[Node]:
    """Return all rows."""
    return [node_of(row) for row in tx.rows(_ALL)]


def accept_clock(tx: Tx) -> int:
    """Raise the clock epoch."""
    row = tx.row(_EPOCH_LOCK)
    epoch = int(row[0]) + 1 if row else 1
    tx.tell(_EPOCH_WRITE, value=str(epoch))
    return epoch
