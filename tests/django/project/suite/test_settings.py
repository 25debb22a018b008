"""From settings to a Scheduler: what is taken over, what is refused, and what manage.py check says."""

import asyncio
import json
import os
from io import StringIO

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import ConnectionHandler, connection

from tickonce.contrib.django import autostart, checks, databases, scheduler
from tickonce.contrib.django.autostart import decide
from tickonce.contrib.django.conf import read
from tickonce.contrib.django.lifespan import with_node
from tickonce.errors import ConfigError, TickonceError

POSTGRESQL = {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "USER": "u", "PASSWORD": "p@/:", "HOST": "db"}
SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/var/lib/shop/db.sqlite3"}


def place(monkeypatch, given, *, prefix="tickonce_"):
    monkeypatch.setattr(databases, "connections", ConnectionHandler({"default": given}))
    return databases.place_of("default", prefix=prefix)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (POSTGRESQL, "postgresql://u:p%40%2F%3A@db/shop"),
        ({**POSTGRESQL, "PORT": 6432}, "postgresql://u:p%40%2F%3A@db:6432/shop"),
        ({**POSTGRESQL, "HOST": "::1", "PORT": "6432"}, "postgresql://u:p%40%2F%3A@[::1]:6432/shop"),
        ({**POSTGRESQL, "HOST": "a,b", "PORT": "1,2", "PASSWORD": ""}, "postgresql://u@a:1,b:2/shop"),
        ({**POSTGRESQL, "HOST": "a,b", "PORT": "5432", "PASSWORD": ""}, "postgresql://u@a:5432,b:5432/shop"),
        ({**POSTGRESQL, "HOST": "", "PASSWORD": "", "PORT": "6432"}, "postgresql://u@/shop?port=6432"),
        (
            {**POSTGRESQL, "HOST": "/run/pg", "PASSWORD": "", "PORT": "6432"},
            "postgresql://u@/shop?host=/run/pg&port=6432",
        ),
        (
            {**POSTGRESQL, "PASSWORD": "", "OPTIONS": {"sslmode": "require", "sslrootcert": "/ca.pem", "pool": True}},
            "postgresql://u@db/shop?sslmode=require&sslrootcert=/ca.pem",
        ),
        (
            {**POSTGRESQL, "PASSWORD": "", "OPTIONS": {"assume_role": "shop", "options": "-c search_path=cron"}},
            "postgresql://u@db/shop?options=-c%20search_path%3Dcron%20-c%20role%3Dshop",
        ),
        ({**POSTGRESQL, "NAME": "", "USER": "", "PASSWORD": "", "HOST": "", "OPTIONS": {"service": "shop"}},
         "postgresql:///?service=shop"),
        (SQLITE, "sqlite:////var/lib/shop/db.sqlite3"),
        ({**SQLITE, "OPTIONS": {"timeout": 30}}, "sqlite:////var/lib/shop/db.sqlite3"),
    ],
)  # fmt: skip
def test_the_store_is_the_very_database(monkeypatch, given, url):
    found = place(monkeypatch, given)
    assert found.url == url
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("options", "told", "left_out"),
    [
        ({"charset": "utf8mb4", "init_command": "SET x", "isolation_level": "read committed"}, {}, ()),
        ({"unix_socket": "/run/mysqld.sock"}, {"unix_socket": "/run/mysqld.sock"}, ()),
        ({"ssl": {"ca": "/ca.pem", "key": "/key.pem"}}, {"ssl_ca": "/ca.pem", "ssl_key": "/key.pem"}, ()),
        ({"ssl_mode": "VERIFY_CA"}, {"ssl_verify_cert": "true"}, ()),
        ({"ssl_mode": "REQUIRED"}, {}, ("ssl_mode",)),
        ({"ssl": {"cipher": "x"}, "read_default_file": "/etc/my.cnf"}, {}, ("ssl", "read_default_file")),
    ],
)
def test_options_of_mysql(options, told, left_out):
    assert databases._mysql_options({"OPTIONS": options}) == (told, left_out)


def test_a_prefix_goes_along(monkeypatch):
    assert place(monkeypatch, SQLITE, prefix="cron_").url == "sqlite:////var/lib/shop/db.sqlite3?prefix=cron_"


def test_a_database_in_memory_has_no_url(monkeypatch):
    assert place(monkeypatch, {**SQLITE, "NAME": ":memory:"}).url is None
    assert place(monkeypatch, {**SQLITE, "NAME": "file:x?mode=memory&cache=shared"}).url is None


def test_options_that_do_not_go_along_are_named(monkeypatch):
    class Context: ...

    found = place(monkeypatch, {**POSTGRESQL, "OPTIONS": {"sslmode": "require", "ssl_context": Context()}})
    assert found.left_out == ("ssl_context",)
    assert [each.id for each in checks._carried_over("default", found)] == ["tickonce.W001"]


def test_databases_that_hold_no_store_are_refused(monkeypatch):
    with pytest.raises(ConfigError, match="file: URI"):
        place(monkeypatch, {**SQLITE, "NAME": "file:/var/lib/db"})
    with pytest.raises(ConfigError, match="names no database"):
        place(monkeypatch, {**POSTGRESQL, "NAME": "", "OPTIONS": {"passfile": "x"}})
    monkeypatch.setattr(databases, "connections", ConnectionHandler({"default": SQLITE, "ops": SQLITE}))
    with pytest.raises(ConfigError, match="Did you mean 'ops'"):
        databases.place_of("opps", prefix="tickonce_")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "must be a dict"),
        ({"autostrat": True}, "Did you mean 'autostart'"),
        ({"autostart": "yes"}, "must be True or False"),
        ({"store": None}, "must be text"),
        ({"store": ""}, "is empty"),
        ({"testing": "inlined"}, "one of 'auto', 'inline', 'live'"),
        ({"tz": "Mars/Olympus"}, "Mars/Olympus"),
        ({"prefix": "Cron-"}, "prefix"),
        ({"store": "postgresql://db/x", "prefix": "cron_"}, "a URL says it itself"),
        ({"slots": -1}, "slots"),
        ({"lease": "soon"}, "lease"),
    ],
)
def test_settings_that_are_wrong_are_told_by_check(settings, given, said):
    with pytest.raises(TickonceError, match=said):
        read(given, time_zone="UTC")
    settings.TICKONCE = given
    (found,) = (each for each in run_checks() if each.id.startswith("tickonce"))
    assert found.id == "tickonce.E001"
    assert said in found.msg
    with pytest.raises(TickonceError, match=said):
        scheduler.get("nightly")


def test_settings_have_defaults():
    found = read({}, time_zone="Europe/Paris")
    assert (found.store, found.alias, found.tz, found.autostart, found.jobs) == (
        "default", "default", "Europe/Paris", False, "jobs",
    )  # fmt: skip
    assert read({"store": "sqlite:////x.db"}, time_zone="UTC").alias is None
    assert read({"slots": 3, "beat": "2s", "tz": "UTC"}, time_zone="Europe/Paris").node.slots == 3


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({"store": "nosuch"}, ["tickonce.E002"]),
        ({"store": "ftp://x"}, ["tickonce.E002"]),
        ({}, []),
    ],
)
def test_the_store_is_checked(settings, given, ids):
    settings.TICKONCE = {**given, "testing": "live"}
    found = [each.id for each in run_checks() if each.id.startswith("tickonce")]
    if not ids and connection.vendor == "sqlite" and "memory" in str(connection.settings_dict["NAME"]):
        ids = ["tickonce.E003"]
    assert found == ids


def test_a_scheduler_of_its_own_in_jobs_py_is_told(monkeypatch):
    import billing.jobs

    from tickonce import Scheduler

    monkeypatch.setattr(billing.jobs, "mine", Scheduler(), raising=False)
    (found,) = (each for each in run_checks() if each.id == "tickonce.W003")
    assert "billing.jobs.mine" in found.msg


@pytest.mark.parametrize(
    ("pool", "size"), [(True, 4), ({"min_size": 2}, 2), ({"max_size": 6}, 6), ({"max_size": 10}, None), (False, None)]
)
def test_a_pool_that_is_smaller_than_the_slots_is_told(monkeypatch, settings, pool, size):
    monkeypatch.setitem(settings.DATABASES, "reports", {**POSTGRESQL, "OPTIONS": {"pool": pool}})
    found = [each for each in run_checks() if each.id == "tickonce.W004"]
    assert [each.msg for each in found] == [
        f"the pool of DATABASES['reports'] gives {size} connection(s) at a time, and a node carries out 10 runs"
    ][: size is not None]
    settings.TICKONCE = {"slots": 2}
    assert not [each for each in run_checks() if each.id == "tickonce.W004"]


def test_a_driver_that_is_missing_is_told(monkeypatch, settings):
    if connection.vendor == "sqlite":
        return
    settings.TICKONCE = {"testing": "live"}
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    (found,) = (each for each in run_checks() if each.id == "tickonce.E004")
    assert 'pip install "tickonce[' in found.msg


@pytest.mark.django_db
def test_call_command_gives_exit_codes():
    from django.core.management import CommandError

    with pytest.raises(CommandError, match="nosuch") as raised:
        call_command("tickonce", "show", "nosuch", stdout=StringIO())
    assert raised.value.returncode == 3


def test_commands_answer_in_json():
    said = StringIO()
    call_command("tickonce", "next", "0 9 * * *", "-n", "1", "-o", "json", stdout=said)
    assert "01:00:00" in json.dumps(json.loads(said.getvalue()))  # nine in Shanghai
    assert os.environ["DJANGO_SETTINGS_MODULE"] == "storefront.settings"


def test_an_asgi_server_is_told_why_it_cannot_start(settings):
    """Raised, it would take it that nobody listens to its beginning, and serve without a node and without a word."""
    settings.TICKONCE = {"slotss": 3}
    sent = []

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        sent.append(message)

    asyncio.run(with_node(None)({"type": "lifespan"}, receive, send))
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "slotss" in sent[0]["message"]


def test_what_multiprocessing_starts_in_a_worker_does_not_serve():
    given = {"argv": ["/usr/bin/gunicorn", "shop.wsgi"], "command": None, "environ": {}, "modules": {}}
    assert decide(**given)[0]
    assert not decide(**given, spawned=True)[0]
    assert decide(**{**given, "argv": ["uvicorn"]}, spawned=True)[0]  # whose workers are started so


@pytest.mark.parametrize(("forks", "starts"), [("", 1), ("pid = 0", 0)])
def test_a_worker_that_forks_has_no_child_with_a_node(monkeypatch, forks, starts):
    """Both see the arbiter below them; in a worker's own fork it does not know the process id yet."""
    started = []
    monkeypatch.setattr(autostart, "_with_worker", started.append)
    arbiter = {"__name__": "gunicorn.arbiter", "hook": autostart._after_fork}
    exec(f"def spawn_worker():\n    worker = 'a worker'\n    {forks}\n    hook()", arbiter)
    arbiter["spawn_worker"]()
    assert len(started) == starts
