"""A project as people have it. Where its databases are, and what TICKONCE says, comes from the environment."""

import json
import os
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import django

if "STOREFRONT_WATCH" in os.environ:
    _start = threading.Thread.start

    def _watched(self: threading.Thread) -> None:
        with Path(os.environ["STOREFRONT_WATCH"]).open("a") as watch:
            watch.write(f"{os.getpid()} {self.name}\n")
        _start(self)

    threading.Thread.start = _watched

BASE_DIR = Path(os.environ.get("STOREFRONT_HOME", Path(__file__).parents[1]))


def database(url: str) -> dict:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        options = {"transaction_mode": "IMMEDIATE"} if django.VERSION >= (5, 1) else {}
        name = url.removeprefix("sqlite:///")
        # A file for tests as well: some of them have connections of their own.
        test = {"NAME": f"{name}.test"} if os.environ.get("STOREFRONT_TEST") == "file" else {}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": options, "TEST": test}
    return {
        "ENGINE": f"django.db.backends.{parts.scheme}",
        "HOST": parts.hostname,
        "PORT": str(parts.port or ""),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "NAME": parts.path.lstrip("/"),
        "CONN_MAX_AGE": None,  # the hardest case: Django never closes these by itself
    }


if os.environ.get("STOREFRONT_DATABASE", "").startswith("mysql"):
    import pymysql

    pymysql.version_info = (2, 2, 1, "final", 0)  # what Django asks of mysqlclient
    pymysql.install_as_MySQLdb()

DATABASES = {"default": database(os.environ.get("STOREFRONT_DATABASE", f"sqlite:///{BASE_DIR}/db.sqlite3"))}
if "STOREFRONT_OTHER" in os.environ:
    DATABASES["other"] = database(os.environ["STOREFRONT_OTHER"])
if os.environ.get("STOREFRONT_AUTOCOMMIT") == "no":
    DATABASES["default"]["AUTOCOMMIT"] = False
DATABASE_ROUTERS = json.loads(os.environ.get("STOREFRONT_ROUTERS", "[]"))

SECRET_KEY = "not secret"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "storefront.urls"
WSGI_APPLICATION = "storefront.wsgi.application"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "orders",
    "billing",
    "tickonce.contrib.django",  # the last, as people add it to what startproject has written
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "German")]
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {"tickonce": {"handlers": ["stderr"], "level": "INFO"}},
}

TICKONCE = json.loads(os.environ.get("STOREFRONT_TICKONCE", "{}"))
