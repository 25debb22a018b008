"""The project of the examples with one app more, whose jobs write to a ledger outside: each second is there once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.django.cafe import Cafe, need_uwsgi
from tests.embed.watching import LONGER, TICKS, watch

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180 + TICKS)]

#: The servers on one database, the words of each.
AT_ONCE = [("django_gunicorn --preload", "django_uwsgi")]
MORE = [
    ("django_gunicorn",),
    ("django_gunicorn --preload",),
    ("django_uwsgi",),
    ("django_uwsgi --lazy-apps",),
    ("uvicorn",),
    ("django_gunicorn", "uvicorn"),
]


@pytest.fixture
def cafe(postgresql_database: str, tmp_path: Path) -> Cafe:
    return Cafe(postgresql_database, tmp_path, watched=True)


@pytest.mark.parametrize("names", [*AT_ONCE, *(MORE if LONGER else [])], ids=" beside ".join)
def test_all_workers_call_each_second_once(cafe: Cafe, names: tuple[str, ...]) -> None:
    if any("uwsgi" in name for name in names):
        need_uwsgi()
    first, *beside = (cafe.server(*name.split()) for name in names)
    workers = sum(cafe.workers(name.split()[0]) for name in names)
    watch(first, cafe.url, cafe.folder, workers=workers, beside=beside)
    for server in (first, *beside):
        for word in ("Traceback", "IntegrityError", "eadlock"):
            assert word not in server.log, server.log
