"""``tickonce db``: the tables of a SQL store, changed only on demand."""

from __future__ import annotations

import click

from tickonce.cli.exits import Exit
from tickonce.cli.helping import Verb
from tickonce.cli.session import Session, option, pass_session, shared
from tickonce.cli.texts import masked
from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import ConfigError, NoStore, SchemaError


@click.group("db")
def db_group() -> None:
    """Make, change and check the tables of a SQL store.

    An empty database is filled when a node starts or a schedule is added; existing tables are changed only by
    'tickonce db upgrade'.
    """


@db_group.command("upgrade", cls=Verb)
@shared
@pass_session
def upgrade_command(session: Session, /) -> None:
    """Bring the tables to the revision of this release. Nodes of this release and the one before may run meanwhile."""
    from tickonce.stores.sql import schema

    url = _sql_url(session)
    before, after = schema.upgrade(url)
    form = {"store": _shown(url), "before": before, "after": after, "changed": before != after}
    if before == after:
        text = f"{_shown(url)}: the tables are of revision {after} already"
    else:
        text = f"{_shown(url)}: the tables are now of revision {after}, before: {before or 'none'}"
    session.out.one(form, text)


@db_group.command("check", cls=Verb)
@shared
@pass_session
def check_command(session: Session, /) -> Exit:
    """Say which revision the tables are of; exit code 9 if this release needs another. Changes nothing."""
    from tickonce.stores.sql import schema
    from tickonce.stores.sql.address import parse
    from tickonce.stores.sql.dialects import dialect_of

    url = _sql_url(session)
    found = schema.current(url)
    fault: SchemaError | None = None
    try:
        schema.check(found, dialect_of(parse(url), SYSTEM_CLOCK))
    except SchemaError as error:
        fault = error
    form = {"store": _shown(url), "found": found, "newest": schema.NEWEST, "ok": fault is None}
    if fault is not None:
        if session.out.is_json:
            session.out.document(form)
        raise fault
    newer = "" if found == schema.NEWEST else f"; the newest is {schema.NEWEST}: tickonce db upgrade"
    session.out.one(form, f"{_shown(url)}: the tables are of revision {found}, which this release works with{newer}")
    return Exit.OK


@db_group.command("sql", cls=Verb)
@option("--since", metavar="REVISION", help="The revision that is there; without it, for an empty database.")
@shared
@pass_session
def sql_command(session: Session, /, *, since: str | None) -> None:
    """Print the statements that upgrade would run, for whoever has to approve or run them. Connects to nothing."""
    from tickonce.stores.sql import schema

    url = _sql_url(session)
    text = schema.sql(url, since=since)
    session.out.one({"store": _shown(url), "since": since, "sql": text}, text.rstrip("\n"))


def _sql_url(session: Session) -> str:
    """Return the store's URL with its password, which a connection needs."""
    url = session.store_url
    if not url:
        raise NoStore
    if url.partition(":")[0].partition("+")[0] not in ("sqlite", "postgresql", "postgres", "mysql", "mariadb"):
        raise ConfigError(f"only a SQL store has tables; this one is {masked(url)}")
    return url


def _shown(url: str) -> str:
    """Return the URL for people: without its password, and the path of a file in full."""
    from tickonce.stores.sql.address import parse

    return parse(url).url
