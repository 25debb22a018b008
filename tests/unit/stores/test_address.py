from __future__ import annotations

from pathlib import Path

import pytest

from tickonce.errors import ConfigError
from tickonce.stores import open_store
from tickonce.stores.sql.address import parse


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:secret@db.example.com/shop", "postgresql://ada:***@db.example.com/shop"),
        ("postgres://ada:se%40cret@db:5433/shop?sslmode=require", "postgres://ada:***@db:5433/shop?sslmode=require"),
        ("postgresql://db/shop?user=ada&password=secret", "postgresql://db/shop?user=ada&password=***"),
        ("mysql://ada:se@cret@db/shop", "mysql://ada:***@db/shop"),
        ("mysql://ada@db/shop?prefix=a_", "mysql://ada@db/shop?prefix=a_"),
        ("sqlite:////var/lib/x.db?sync=normal", "sqlite:////var/lib/x.db?sync=normal"),
    ],
)
def test_a_url_is_shown_without_its_password(url, shown):
    assert parse(url).url == shown
    assert open_store(url).url == shown


def test_a_password_is_not_in_the_repr_either():
    assert "secret" not in repr(parse("postgresql://ada:secret@db/shop?password=secret"))


def test_a_relative_path_is_made_absolute_and_shown_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    address = parse("sqlite:///store.db")
    monkeypatch.chdir("/")
    assert Path(address.path) == tmp_path / "store.db"
    assert address.url == f"sqlite:///{tmp_path}/store.db"


def test_a_password_that_breaks_the_url_is_not_quoted():
    with pytest.raises(ConfigError, match="%2F") as told:
        parse("postgresql://ada:sec/ret@db/shop")
    assert "sec" not in str(told.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file:x?mode=memory"])
def test_a_sqlite_store_in_memory_is_refused_with_what_to_write(url):
    with pytest.raises(ConfigError, match=r"sqlite:////var/lib/myapp/tickonce\.db, or memory:"):
        parse(url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite://x.db", "four slashes before an absolute path"),
        ("sqlite:/x.db", "four slashes before an absolute path"),
        ("sqlite:x.db", "with three, the path is relative"),
        ("postgresql://ada@db", r"names no database; write postgresql://user@host:port/database"),
        ("mysql://ada:secret@db:3307/", "names no database; write mysql://"),
        ("sqlite:///x.db?mode=ro", "no option 'mode'"),
        ("sqlite:///x.db?sync=off", "full or normal"),
        ("postgresql+asyncpg://db/shop", "driver 'asyncpg'"),
        ("mysql+mysqldb://db/shop", "driver 'mysqldb'"),
        ("oracle://db/shop", "known are sqlite"),
        ("postgresql://db:port/shop", "cannot be read"),
        ("postgresql://db/shop?prefix=Robert'); DROP", "prefix must be"),
        ("postgresql://db/shop?schema=a.b", "schema must be"),
        ("postgresql://db/shop?pooler=session", "pooler must be transaction, got 'session'; without it, a pooler is"),
        ("mysql://db/shop?prefix=", "prefix must be"),
    ],
)
def test_what_is_wrong_with_a_url_is_told(url, told):
    with pytest.raises(ConfigError, match=told):
        parse(url)


@pytest.mark.parametrize("url", ["postgresql://db?dbname=shop", "postgresql:///?service=shop"])
def test_a_database_may_be_named_as_libpq_takes_it(url):
    assert parse(url).database is None


def test_what_a_mysql_driver_does_not_know_is_told():
    from tickonce.clock import SYSTEM_CLOCK
    from tickonce.stores.sql.dialects.mysql import MysqlDialect

    with pytest.raises(ConfigError, match="no option 'schema'; it knows prefix"):
        MysqlDialect(parse("mysql://db/shop?schema=x"), SYSTEM_CLOCK)._options()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://db/shop", "db:5432"),
        ("postgresql:///shop", "the local socket"),
        ("postgresql:///shop?host=/run/postgresql", "/run/postgresql"),
        ("postgresql://one:1,two:2/shop", "one:1,two:2"),
        ("mariadb://db/shop", "db:3306"),
        ("mysql:///shop?unix_socket=/run/mysql.sock", "/run/mysql.sock"),
    ],
)
def test_where_a_server_is(url, place):
    assert parse(url).place == place
