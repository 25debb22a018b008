"""The WSGI application for uWSGI."""

from shop_jobs import scheduler  # type: ignore[import-not-found]  # found where the server is started
from shop_wsgi import application  # type: ignore[import-not-found]

from tickonce.contrib.uwsgi import attach

attach(scheduler)

__all__ = ["application"]
