"""The settings; the database is a file beside manage.py, or PostgreSQL where PGDATABASE and the like name one."""

import os
from pathlib import Path

import django

BASE_DIR = Path(__file__).parent.parent

if "PGDATABASE" in os.environ:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PGDATABASE"],
            "HOST": os.environ.get("PGHOST", ""),
            "PORT": os.environ.get("PGPORT", ""),
            "USER": os.environ.get("PGUSER", ""),
            "PASSWORD": os.environ.get("PGPASSWORD", ""),
        }
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": BASE_DIR / "db.sqlite3",
            "OPTIONS": {"transaction_mode": "IMMEDIATE"} if django.VERSION >= (5, 1) else {},
        }
    }

INSTALLED_APPS = ["tickonce.contrib.django", "reminders"]
ROOT_URLCONF = "cafe.urls"
SECRET_KEY = "of an example; make your own"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "Europe/Paris"

TICKONCE = {"slots": 5}
