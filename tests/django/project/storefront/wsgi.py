import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "storefront.settings")
application = get_wsgi_application()

if os.environ.get("STOREFRONT_LINE") == "yes":
    from tickonce.contrib.django import start_node

    start_node()
