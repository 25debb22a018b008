"""A Flask application that looks at a site every few seconds, in four Gunicorn workers.

::

    gunicorn "site_check:create_app()"
    curl localhost:8000/
    flask --app site_check:create_app tickonce ls
"""

import os
from pathlib import Path

from flask import Flask, current_app

from tickonce import current_run, every
from tickonce.contrib.flask import FlaskScheduler

scheduler = FlaskScheduler()


@scheduler.schedule(every("2s"), id="check", timeout="5s")
def check() -> None:
    line = f"{current_run().scheduled_time:%H:%M:%S} {current_app.config['SITE']} by {os.getpid()}\n"
    with Path(current_app.config["BOOK"]).open("a") as book:
        book.write(line)


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(SITE="https://shop.example.com", BOOK="/tmp/site-check.txt")
    app.config.from_prefixed_env("SHOP")  # SHOP_BOOK=...
    scheduler.init_app(app)  # the store is TICKONCE_STORE, or app.config["TICKONCE_STORE"]

    @app.get("/")
    def checks() -> str:
        book = Path(app.config["BOOK"])
        return book.read_text() if book.exists() else ""

    return app
