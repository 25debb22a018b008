"""The project of ``../django_gunicorn`` as uWSGI loads it: each of its processes becomes a node."""

from cafe.wsgi import application
from tickonce.contrib.django import scheduler
from tickonce.contrib.uwsgi import attach

attach(scheduler)

__all__ = ["application"]
