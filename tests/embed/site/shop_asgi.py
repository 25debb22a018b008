"""A FastAPI application that edits schedules over HTTP; its jobs run on its own event loop."""

from __future__ import annotations

import asyncio
import os

from fastapi import FastAPI
from shop_jobs import GATE, note  # type: ignore[import-not-found]  # found where the server is started

from tickonce import AsyncScheduler, every
from tickonce.contrib.fastapi import Scheduled, lifespan

scheduler = AsyncScheduler(lease="4s", beat="1s", margin="1s")
app = FastAPI(lifespan=lifespan(scheduler, on_app_loop=True))


@scheduler.schedule(every("1s"), id="tick", misfire="all", overlap="allow")
async def tick() -> None:
    await asyncio.sleep(0)
    note("call")


@scheduler.job(name="added")
async def added() -> None:
    note("call")


@scheduler.job(name="gated")
async def gated() -> None:
    note("begin")
    while not GATE.exists():  # noqa: ASYNC110  # another process opens it
        await asyncio.sleep(0.02)
    note("end")


@app.get("/")
async def home() -> str:
    return f"{os.getpid()} {scheduler.alive}"


@app.get("/add")
async def add(scheduler: Scheduled) -> None:
    await scheduler.add("extra", "added", "every 1s", misfire="all", overlap="allow")


@app.get("/edit")
async def edit(scheduler: Scheduled) -> None:
    await scheduler.update("extra", trigger="every 2s")


@app.get("/remove")
async def remove(scheduler: Scheduled) -> None:
    await scheduler.remove("extra")


@app.get("/gated")
async def begin_gated(scheduler: Scheduled) -> None:
    await scheduler.add("gated", "gated", "every 1h", if_exists="keep")
    await scheduler.run_now("gated")
