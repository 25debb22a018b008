"""The Scheduler of a Django project: its store is one of ``DATABASES``, and edits join ``transaction.atomic()``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.apps import apps

from tickonce.contrib.django.conf import ProjectSettings, read
from tickonce.errors import ConfigError, SchemaError
from tickonce.ports import Edits, Store, Surroundings
from tickonce.scheduler import Scheduler
from tickonce.settings import NodeSettings

if TYPE_CHECKING:
    from tickonce.contrib.django.inline import BorrowingStore
    from tickonce.engine.node import EngineNode

_author: ContextVar[str | None] = ContextVar("tickonce_author", default=None)


class DjangoScheduler(Scheduler):
    """A Scheduler that is set up by ``settings.TICKONCE``; see :class:`tickonce.Scheduler`.

    Where the store is in a database of the project, ``add``, ``update``, ``pause``, ``resume``, ``remove``, ``revert``,
    ``run_now`` and ``get`` called inside ``transaction.atomic()`` on that database belong to that transaction. Outside,
    and for all else, it has connections of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._project: ProjectSettings | None = None
        self._fault: Exception | None = None
        self._inline: BorrowingStore | None = None

    # -- settings ------------------------------------------------------------------------------

    @property
    def project(self) -> ProjectSettings:
        """What ``settings.TICKONCE`` says.

        Raises:
            ConfigError: Django is not set up yet, or a setting is wrong.
        """
        if self._fault is not None:
            raise self._fault
        if self._project is None:
            from django.conf import settings

            if not settings.configured or not apps.apps_ready or not apps.is_installed("tickonce.contrib.django"):
                raise ConfigError(
                    "the project's Scheduler has no settings yet: put 'tickonce.contrib.django' into INSTALLED_APPS, "
                    "and where no manage.py, wsgi.py or asgi.py does it, call django.setup() first"
                )
            # An app that is ready before ours, such as the admin, asks for it.
            self.configure(getattr(settings, "TICKONCE", {}), time_zone=settings.TIME_ZONE)
            return self.project
        return self._project

    def configure(self, given: object, *, time_zone: str) -> None:
        """Take the settings; what is wrong with them is told by ``manage.py check`` and at first use."""
        self._project = self._fault = None
        try:
            project = read(given, time_zone=time_zone)
        except Exception as error:  # noqa: BLE001  # told where it can be read, not as a crash of django.setup()
            self._fault = error
            return
        self._project = project
        self.tz, self.config, self.release = project.tz, project.node, project.release
        self._name, self._author = project.name, None

    @property
    def inline(self) -> bool:
        """Whether there are no nodes and no connections of our own here: see ``TICKONCE["testing"]``."""
        testing = self.project.testing
        return testing == "inline" or (testing == "auto" and _in_test_environment())

    # -- the store -----------------------------------------------------------------------------

    def _prepared(self, *, make: bool) -> Store:
        alias = self.project.alias
        if self.inline:
            return self._borrowed(alias or "default")
        self.locate()
        if alias is None:
            return super()._prepared(make=make)
        try:
            return super()._prepared(make=False)
        except SchemaError as error:
            raise SchemaError(_with_migrate(str(error), alias), found=error.found, needed=error.needed) from None

    def _named(self) -> Store:
        if self.inline:
            return self._borrowed(self.project.alias or "default")
        self.locate()
        return super()._named()

    def locate(self) -> str:
        """Return the store's URL, password and all, and use that store from now on. Nothing is connected.

        It may change: a test runner gives a database another name.

        Raises:
            ConfigError: The settings name no store that could be used.
        """
        url = self._whereabouts()
        if url != self._url:
            with self._lock:
                if self._opened is not None:
                    self._opened.close()
                self._url, self._opened, self._ready = url, None, False
        return url

    def _whereabouts(self) -> str:
        alias = self.project.alias
        if alias is None:
            return self.project.store
        from tickonce.contrib.django.databases import place_of

        place = place_of(alias, prefix=self.project.prefix)
        if place.url is None:
            raise ConfigError(
                f"DATABASES[{alias!r}] is in memory, so each connection to it is a database of its own: name a file, "
                "or set TICKONCE['testing'] to 'inline'"
            )
        return place.url

    def _borrowed(self, alias: str) -> Store:
        """Return the store on Django's own connection, for tests."""
        from tickonce.contrib.django.inline import BorrowingStore

        store = self._inline
        if store is None or store.alias != alias or store.prefix != self.project.prefix:
            store = self._inline = BorrowingStore.at(alias, prefix=self.project.prefix)
        store.prepare(make=False)
        return store

    def _edits(self) -> Edits:
        alias = self.project.alias
        if alias is not None and not self.inline:
            from django.db import connections

            connection = connections[alias]
            if connection.in_atomic_block or not connection.settings_dict["AUTOCOMMIT"] or _by_hand(connection):
                return self.store.using(connection)
        return self.store

    # -- who -----------------------------------------------------------------------------------

    @property
    def by(self) -> str:
        """Who is written down as the author of edits."""
        return _author.get() or super().by

    @contextmanager
    def acting_as(self, author: str) -> Iterator[None]:
        """Write *author* down for all edits in the block, in this thread or task: a request's user, say."""
        before = _author.set(author)
        try:
            yield
        finally:
            _author.reset(before)

    # -- the node ------------------------------------------------------------------------------

    def _make(self, settings: NodeSettings) -> Callable[[], EngineNode]:
        if self.inline:
            raise ConfigError(
                "there is no node in tests: run what is due with tickonce.contrib.django.testing.run_due(); for tests "
                "with a real node set TICKONCE['testing'] to 'live'"
            )
        return super()._make(settings)

    def _surroundings(self) -> Surroundings:
        from tickonce.contrib.django.around import Around

        return Around()

    def _thread_ends(self) -> None:
        from django.db import connections

        connections.close_all()  # else those that CONN_MAX_AGE keeps would be left to the collector of garbage


def _by_hand(connection: Any) -> bool:
    """Whether the program has taken Django's own commits away: ``transaction.set_autocommit(False)``."""
    return connection.connection is not None and not connection.get_autocommit()


def _in_test_environment() -> bool:
    import sys

    utils: Any = sys.modules.get("django.test.utils")
    # Set by setup_test_environment(), which manage.py test and pytest-django call, until its counterpart.
    return utils is not None and hasattr(utils._TestState, "saved_data")  # noqa: SLF001  # no public name tells


def _with_migrate(text: str, alias: str) -> str:
    command = "python manage.py migrate" if alias == "default" else f"python manage.py migrate --database {alias}"
    head, _, _ = text.partition(". ")
    return f"{head}. Run: {command}"
