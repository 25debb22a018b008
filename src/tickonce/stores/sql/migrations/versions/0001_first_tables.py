"""The first tables.

Each step can be repeated: on MySQL a process that is killed in the midst leaves what it has made, and the next goes on.
"""

# ruff: noqa: INP001  # Alembic loads it by its path
from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade(names: Any) -> None:
    """Make them."""
    _Maker(names).make()


class _Maker:
    def __init__(self, names: Any) -> None:
        self.prefix: str = names.prefix
        self.schema: str | None = names.schema
        mysql = op.get_context().dialect.name == "mysql"
        self.partial = not mysql
        #: Only there can a part of the tables be left over: elsewhere all of them are made in one transaction.
        self.looks = mysql and not context.is_offline_mode()

    def make(self) -> None:
        self.schedules()
        self.runs()
        self.skips()
        self.nodes()
        self.settings()

    def schedules(self) -> None:
        self.table(
            "schedules",
            key("id", 190),
            sa.Column("bucket", sa.SmallInteger, nullable=False),
            sa.Column("job", text(), nullable=False),
            sa.Column("queue", name(190), nullable=False),
            sa.Column("priority", sa.SmallInteger, nullable=False),
            sa.Column("tags", text(), nullable=False),
            sa.Column("owner", text(), nullable=False),
            sa.Column("description", text(), nullable=False),
            sa.Column("definition", text(), nullable=False),
            sa.Column("state", name(16), nullable=False),
            sa.Column("reason", text()),
            sa.Column("version", sa.BigInteger, nullable=False),
            sa.Column("revision", sa.Integer, nullable=False),
            sa.Column("watermark_us", sa.BigInteger, nullable=False),
            sa.Column("next_fire_us", sa.BigInteger),
            sa.Column("due_us", sa.BigInteger),
            sa.Column("paused_until_us", sa.BigInteger),
            sa.Column("fold_reason", name(255)),
            sa.Column("fold_first_us", sa.BigInteger),
            sa.Column("source", name(32), nullable=False),
            sa.Column("declared_hash", name(64)),
            sa.Column("declared_form", text()),
            sa.Column("declared_release", text()),
            sa.Column("overrides", text()),
            sa.Column("seen_us", sa.BigInteger),
            sa.Column("created_us", sa.BigInteger, nullable=False),
            sa.Column("created_by", text(), nullable=False),
            sa.Column("updated_us", sa.BigInteger, nullable=False),
            sa.Column("updated_by", text(), nullable=False),
            # Every launch writes one of these rows: dead ones are to go soon.
            postgresql_with={"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.02},
        )
        self.index("schedules", "due", "due_us", where="due_us IS NOT NULL")
        self.index("schedules", "removed", "updated_us", where="state = 'removed'", whole=("state", "updated_us"))
        if self.partial:
            self.index("schedules", "ended", "updated_us", where="state = 'ended'")

    def runs(self) -> None:
        self.table(
            "runs",
            key("token", 255),
            sa.Column("schedule_id", name(190), nullable=False),
            sa.Column("job", text(), nullable=False),
            sa.Column("arguments", text(), nullable=False),
            sa.Column("scheduled_us", sa.BigInteger, nullable=False),
            sa.Column("due_us", sa.BigInteger, nullable=False),
            sa.Column("state", name(16), nullable=False),
            sa.Column("attempt", sa.Integer, nullable=False),
            sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
            sa.Column("losses", sa.Integer, nullable=False, server_default="0"),
            sa.Column("node", name(190)),
            sa.Column("queue", name(190), nullable=False),
            sa.Column("priority", sa.SmallInteger, nullable=False),
            sa.Column("policy", text(), nullable=False),
            sa.Column("start_by_us", sa.BigInteger),
            sa.Column("source", name(32), nullable=False, server_default="schedule"),
            sa.Column("created_us", sa.BigInteger),
            sa.Column("created_by", text()),
            sa.Column("started_us", sa.BigInteger),
            sa.Column("finished_us", sa.BigInteger),
            sa.Column("overdue", sa.Boolean, nullable=False, server_default=sa.false()),
            sa.Column("cancelling", sa.Boolean, nullable=False, server_default=sa.false()),
            sa.Column("progress", sa.Double),
            sa.Column("result", text()),
            sa.Column("error", text()),
            sa.Column("reason", text()),
            # No foreign key to schedules: it would lock their rows in a launch, and history outlives its schedule.
            postgresql_with={"autovacuum_vacuum_scale_factor": 0.05},
        )
        pending, running = "state = 'pending'", "state = 'running'"
        open_ = "state IN ('pending', 'running')"
        self.index("runs", "open", "schedule_id", where=open_, whole=("schedule_id", "state"))
        self.index(
            "runs", "claim", "queue", "priority DESC", "due_us", where=pending,
            whole=("state", "queue", "priority DESC", "due_us"),
        )  # fmt: skip
        self.index("runs", "next", "queue", "due_us", where=pending, whole=("state", "queue", "due_us"))
        self.index(
            "runs",
            "late",
            "start_by_us",
            where=f"{pending} AND start_by_us IS NOT NULL",
            whole=("state", "start_by_us"),
        )
        self.index("runs", "held", "node", where=running, whole=("state", "node"))
        self.index("runs", "finished", "finished_us", "token", where="finished_us IS NOT NULL")
        self.index("runs", "newest", "scheduled_us DESC", "token")
        self.index("runs", "history", "schedule_id", "scheduled_us DESC", "token")
        if self.partial:
            self.index("runs", "bad", "scheduled_us DESC", "token", where="state IN ('failed', 'lost')")

    def skips(self) -> None:
        self.table(
            "skips",
            key("schedule_id", 190),
            sa.Column("first_us", sa.BigInteger, primary_key=True, autoincrement=False),
            key("reason", 255),
            sa.Column("last_us", sa.BigInteger, nullable=False),
            sa.Column("fires", sa.Integer, nullable=False),
            sa.Column("more", sa.Boolean, nullable=False),
        )
        self.index("skips", "newest", "first_us DESC", "schedule_id", "reason")
        self.index("skips", "old", "last_us")

    def nodes(self) -> None:
        self.table(
            "nodes",
            key("id", 190),
            sa.Column("host", text(), nullable=False),
            sa.Column("pid", sa.BigInteger, nullable=False),
            sa.Column("state", name(16), nullable=False),
            sa.Column("lease_us", sa.BigInteger, nullable=False),
            sa.Column("started_us", sa.BigInteger, nullable=False),
            sa.Column("beat_us", sa.BigInteger, nullable=False),
            sa.Column("alive_until_us", sa.BigInteger, nullable=False),
            sa.Column("ticks", sa.Boolean, nullable=False),
            sa.Column("serving", sa.Boolean, nullable=False),
            sa.Column("ticked_us", sa.BigInteger),
            sa.Column("slots", sa.Integer, nullable=False),
            sa.Column("busy", sa.Integer, nullable=False),
            sa.Column("queues", text(), nullable=False),
            sa.Column("app_release", text()),
            sa.Column("declares", text(), nullable=False),
            sa.Column("facts", text(), nullable=False),
            postgresql_with={"fillfactor": 50},  # few rows, written at every beat: no index has to follow
        )

    def settings(self) -> None:
        self.table("settings", key("name", 64), sa.Column("value", text(), nullable=False))
        settings = self.full("settings")
        op.execute(
            f"INSERT INTO {settings} (name, value) SELECT 'clock_epoch', '0' FROM (SELECT 1 AS one) o "
            f"WHERE NOT EXISTS (SELECT 1 FROM {settings} s WHERE s.name = 'clock_epoch')"
        )

    # -- steps -------------------------------------------------------------------------------------

    def full(self, table: str) -> str:
        plain = f"{self.prefix}{table}"
        return plain if self.schema is None else f"{self.schema}.{plain}"

    def table(self, table: str, *columns: sa.Column[Any], **options: Any) -> None:
        if self.looks and sa.inspect(op.get_bind()).has_table(f"{self.prefix}{table}"):
            return
        op.create_table(
            f"{self.prefix}{table}",
            *columns,
            schema=self.schema,
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",  # ids are compared byte by byte
            **options,
        )

    def index(
        self, table: str, what: str, *columns: str, where: str | None = None, whole: tuple[str, ...] | None = None
    ) -> None:
        """Make an index: partial by *where*, or on the columns *whole* where no partial one can be had."""
        index = f"{self.prefix}{table}_{what}"
        if self.looks:
            there = sa.inspect(op.get_bind()).get_indexes(f"{self.prefix}{table}")
            if any(found["name"] == index for found in there):
                return
        condition = sa.text(where) if where and self.partial else None
        op.create_index(
            index,
            f"{self.prefix}{table}",
            [sa.text(column) for column in (columns if self.partial or whole is None else whole)],
            schema=self.schema,
            postgresql_where=condition,
            sqlite_where=condition,
        )


def name(length: int) -> sa.types.TypeEngine[str]:
    """Text that is compared byte by byte."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def key(column: str, length: int) -> sa.Column[Any]:
    """Part of a primary key."""
    return sa.Column(column, name(length), primary_key=True)


def text() -> sa.types.TypeEngine[str]:
    """Text of any length."""
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
