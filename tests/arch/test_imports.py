"""What tickonce may import from outside. What its modules may import from each other is in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

from tests.arch.source import modules

# Pure: the same arguments give the same result, on every node.
CORE = (
    "agenda",
    "calendars",
    "codec",
    "config",
    "definitions",
    "durations",
    "editing",
    "errors",
    "model",
    "partition",
    "planning",
    "retry",
    "triggers",
)
IMPURE = {
    "asyncio",
    "concurrent",
    "logging",
    "multiprocessing",
    "os",
    "queue",
    "random",
    "secrets",
    "signal",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "threading",
    "time",
}

# Where a third party has its room. One that is not listed has none yet: give it one here, with an extra.
ROOMS = {
    "alembic": ("stores.sql",),
    "asgiref": ("contrib.django",),
    "chinese_calendar": ("calendars.china",),
    "click": ("cli", "contrib.django", "contrib.flask"),
    "django": ("contrib.django",),
    "dateutil": ("triggers.rrule", "imports"),
    "fastapi": ("contrib.fastapi",),
    "flask": ("contrib.flask",),
    "greenlet": ("testing.simulation",),
    "holidays": ("calendars.country",),
    "hypothesis": ("testing",),
    "psycopg": ("stores.sql",),
    "psycopg2": ("stores.sql.using",),  # a caller may come with it; it is never loaded by us
    "pymysql": ("stores.sql",),
    "pytest": ("testing",),
    "redis": ("stores.redis",),
    "rich": ("cli",),
    "sqlalchemy": ("stores.sql",),
    "starlette": ("contrib.fastapi", "contrib.starlette"),
}


def test_the_core_imports_no_clock_no_chance_and_no_machine():
    assert [
        module.at(line, f"{name} in the core")
        for module in modules()
        if module.within(*CORE)
        for name, line in module.imports()
        if name in IMPURE
    ] == []


def test_each_third_party_stays_in_its_room():
    assert [
        module.at(line, f"{name} belongs in {' or '.join(ROOMS.get(name, ('no room yet',)))}")
        for module in modules()
        for name, line in module.imports()
        if name not in sys.stdlib_module_names and name != "tickonce" and not module.within(*ROOMS.get(name, ()))
    ] == []


def test_importing_tickonce_loads_no_third_party():
    """A job's process pays for what it uses: drivers and tables load with a store, click with the command line."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, tickonce; print(*{name.split('.')[0] for name in sys.modules})"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert set(loaded) & set(ROOMS) == set()
