"""Run by Alembic; everything it needs is handed over by ``tickonce.stores.sql.schema``."""

# ruff: noqa: INP001  # Alembic loads it by its path
from __future__ import annotations

from typing import Any

from alembic import context

names = context.config.attributes["names"]
options: dict[str, Any] = {"version_table": names.revision_table, "version_table_schema": names.schema}

if context.is_offline_mode():
    context.configure(dialect_name=context.config.attributes["dialect_name"], literal_binds=True, **options)
else:
    context.configure(connection=context.config.attributes["connection"], **options)

with context.begin_transaction():
    context.run_migrations(names=names)
