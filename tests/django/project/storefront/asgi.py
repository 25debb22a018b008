import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "storefront.settings")
application = get_asgi_application()

if os.environ.get("STOREFRONT_LINE") == "yes":
    from tickonce.contrib.django import with_node

    application = with_node(application)
