"""tickonce in a Django project: ``INSTALLED_APPS += ["tickonce.contrib.django"]``.

:data:`scheduler` is the project's Scheduler. It reads ``settings.TICKONCE`` when Django has been set up, so decorators
may use it anywhere: in the ``jobs.py`` of each app, which is found by itself. A reusable app takes ``tickonce.Jobs``.
"""

from tickonce.contrib.django.autostart import start_node
from tickonce.contrib.django.lifespan import with_node
from tickonce.contrib.django.project import DjangoScheduler

__all__ = ["DjangoScheduler", "scheduler", "start_node", "with_node"]

#: The project's Scheduler.
scheduler = DjangoScheduler()
