"""A Flask application whose jobs use its context, and whose schedules are edited over HTTP."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, current_app, g
from shop_jobs import note  # type: ignore[import-not-found]  # found where the server is started

from tickonce import every
from tickonce.contrib.flask import FlaskScheduler

scheduler = FlaskScheduler(lease="4s", beat="1s", margin="1s")


@scheduler.schedule(every("1s"), id="tick", misfire="all", overlap="allow")
def tick() -> None:
    assert current_app.config["SHOP"] == "eu"
    g.torn = "down"
    note("call")


@scheduler.job(name="added")
async def added() -> None:
    assert current_app.config["SHOP"] == "eu"
    note("call")


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.update(SHOP="eu", TICKONCE_STORE=os.environ["SHOP_STORE"])
    scheduler.init_app(app)

    @app.teardown_appcontext
    def torn_down(error: BaseException | None) -> None:
        if "torn" in g:
            note_outside()

    @app.get("/")
    def home() -> str:
        return f"{os.getpid()} {scheduler.alive}"

    @app.get("/add")
    def add() -> str:
        return scheduler.add("extra", "added", "every 1s", misfire="all", overlap="allow").id

    @app.get("/edit")
    def edit() -> str:
        return scheduler.update("extra", trigger="every 2s").id

    @app.get("/remove")
    def remove() -> str:
        scheduler.remove("extra")
        return "removed"

    return app


def note_outside() -> None:
    """Write that a context was torn down."""
    with Path(os.environ["SHOP_LEDGER"] + ".torn").open("a") as book:
        book.write("torn down\n")
