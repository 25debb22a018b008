"""The project of the examples, copied, on a database of its own; its servers are started as the page says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.django.conftest import PROJECT
from tests.embed.hosts import BIN, Server
from tests.examples.page import EXAMPLES, commands

#: How many workers each example has.
WORKERS = {"django_gunicorn": 4, "django_uwsgi": 8}
#: The same over ASGI, where the project is watched.
UVICORN = ["uvicorn", "watched.asgi:application", "--workers", "4", "--port", "{port}"]
UVICORN += ["--timeout-worker-healthcheck", "60"]  # in 5 s it would give a reload up on a busy machine
#: The address that uWSGI's configuration names.
ADDRESS = "127.0.0.1:8000"


def need_uwsgi() -> None:
    """Leave the test out where uWSGI could not be built, unless it is required."""
    if not (BIN / "uwsgi").exists():
        required = "uwsgi" in os.environ.get("TICKONCE_TEST_REQUIRE", "").split(",")
        (pytest.fail if required else pytest.skip)("uWSGI is not here: make servers, which needs a C compiler")


class Cafe:
    """The examples on a database.

    Args:
        url: The database, on PostgreSQL.
        folder: For the copies, the ledger and the logs.
        watched: Have one app more, whose jobs write to a ledger outside, and which is edited as the other sites are.

    Attributes:
        environ: What its processes are given beside the environment of the tests.
    """

    def __init__(self, url: str, folder: Path, *, watched: bool = False) -> None:
        self.url, self.folder = url, folder
        for name in WORKERS:
            shutil.copytree(EXAMPLES / name, folder / name)
        place = make_url(url)
        self.environ = {
            "PGDATABASE": place.database or "",
            "PGHOST": place.host or "",
            "PGPORT": str(place.port or ""),
            "PGUSER": place.username or "",
            "PGPASSWORD": place.password or "",
            "VIRTUAL_ENV": str(BIN.parent),
        }
        if watched:
            self.environ["DJANGO_SETTINGS_MODULE"] = "watched.settings"
            self.environ["PYTHONPATH"] = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(PROJECT)])

    def workers(self, name: str) -> int:
        """Return how many workers a server has."""
        return WORKERS.get(name, 4)

    def server(self, name: str, *options: str) -> Server:
        """Return the server of an example, about to be started as its page says; what stands before that is done.

        Args:
            name: Of the example; or uvicorn.
            options: More words for its command.
        """
        if name == "uvicorn":
            self.carry_out("python", "manage.py", "migrate")
            return self._server(name, "django_gunicorn", *UVICORN)
        *before, words = commands()[name]
        for each in before:
            self.carry_out(*each, within=name)
        if words[0] == "gunicorn":
            return self._server(name, name, *words, *options, "--bind", "127.0.0.1:{port}")
        serving = self._server(name, name, *words, *options)
        config = self.folder / name / "uwsgi.ini"
        text = config.read_text()
        assert text.count(ADDRESS) == 1
        config.write_text(text.replace(ADDRESS, f"127.0.0.1:{serving.port}"))
        return serving

    def carry_out(self, *words: str, within: str = "django_gunicorn") -> None:
        """Carry out a command in the directory of an example, to its end."""
        ended = subprocess.run(
            [str(BIN / words[0]), *words[1:]],
            cwd=self.folder / within,
            env={**os.environ, **self.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout

    def _server(self, name: str, within: str, *words: str) -> Server:
        command = [str(BIN / words[0]), *words[1:]]
        return Server(command, "", self.folder, cwd=self.folder / within, more=self.environ, name=name)
