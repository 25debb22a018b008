import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "watched.settings")

from tickonce.contrib.django import with_node

application = with_node(get_asgi_application())
