"""A Scheduler for Flask: settings from the application, its context around each job, its commands under ``flask``.

::

    from tickonce.contrib.flask import FlaskScheduler

    scheduler = FlaskScheduler()

    def create_app() -> Flask:
        app = Flask(__name__)
        app.config["TICKONCE_STORE"] = "postgresql://shop@db.example.com/shop"
        scheduler.init_app(app)
        return app

Nodes are started by the server: :mod:`tickonce.contrib.gunicorn`, :mod:`tickonce.contrib.uwsgi`, or
``flask tickonce serve``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager

from tickonce.errors import ConfigError, MissingExtra
from tickonce.ports import Store, Surroundings
from tickonce.scheduler import Scheduler
from tickonce.triggers.zones import zone_name

try:
    import click
    from flask import Flask
except ModuleNotFoundError as error:
    raise MissingExtra("tickonce.contrib.flask", extra="flask") from error


class FlaskScheduler(Scheduler):
    """A Scheduler that belongs to a Flask application; see :class:`tickonce.Scheduler` for all but ``init_app``."""

    _app: Flask | None = None
    #: What it was made with, and goes back to for an application that says nothing of its own.
    _made_with: tuple[str | None, Store | None, str] | None = None

    def init_app(self, app: Flask) -> None:
        """Belong to *app*, the only one of this process or the newest: jobs run in its context.

        ``app.config`` may have ``TICKONCE_STORE`` and ``TICKONCE_TZ``; they go before what the Scheduler was made with.
        ``app.extensions["tickonce"]`` is the Scheduler, and ``flask tickonce`` has the commands of ``tickonce``.
        Nothing is connected or started.

        Raises:
            ConfigError: There is a node of an application that came before.
            TriggerError: ``TICKONCE_TZ`` is no zone.
        """
        if self.node_id is not None:
            raise ConfigError("init_app() comes before the node is started; stop() it first")
        if self._made_with is None:
            self._made_with = (self._url, self._given, self.tz)
        url, given, tz = self._made_with
        store = app.config.get("TICKONCE_STORE")
        if store is not None and not isinstance(store, str):
            raise ConfigError(f"TICKONCE_STORE must be the URL of a store, got {store!r}")
        zone = zone_name(app.config.get("TICKONCE_TZ") or tz)
        self._move(url if store is None else store, given if store is None else None)
        self.tz = zone
        self._app = app
        app.extensions["tickonce"] = self
        app.cli.add_command(_command(self))

    def _move(self, url: str | None, given: Store | None) -> None:
        if (url, given) == (self._url, self._given):
            return
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._url, self._given, self._opened, self._ready = url, given, None, False

    def _surroundings(self) -> Surroundings:
        app = self._app
        if app is None:
            raise ConfigError("this FlaskScheduler has no application yet: scheduler.init_app(app)")
        return _InApp(app)


class _InApp:
    """A context of the application's for each job, so that what is torn down behind a request is so behind a job."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def of_function(self) -> AbstractContextManager[object]:
        return self._app.app_context()

    @asynccontextmanager
    async def of_coroutine(self) -> AsyncIterator[None]:
        with self._app.app_context():
            yield


def _command(scheduler: Scheduler) -> click.Command:
    """Return ``flask tickonce``: it hands its words to the command ``tickonce``, which has options of its own."""

    @click.command(
        "tickonce",
        short_help="Schedules, runs and nodes: every command of tickonce.",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def tickonce(words: tuple[str, ...]) -> None:
        from tickonce.cli.calling import Caller
        from tickonce.cli.root import root
        from tickonce.cli.session import Session

        caller = Caller("flask tickonce", "flask tickonce db upgrade", store='app.config["TICKONCE_STORE"]')
        session = Session(given={"app": "flask"}, typed={"app"}, caller=caller, _scheduler=scheduler)
        root.main(list(words), prog_name="flask tickonce", obj=session)

    return tickonce
