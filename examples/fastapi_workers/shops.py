"""A shop and its schedule are written together: both or neither. Four workers, each fire once.

::

    pip install fastapi uvicorn aiosqlite "sqlalchemy[asyncio]"
    uvicorn shops:app --workers 4
    curl -X POST localhost:8000/shops/eu
    curl localhost:8000/shops
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from sqlalchemy import String, event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tickonce import AsyncScheduler
from tickonce.contrib.fastapi import Scheduled, lifespan

STORE = os.environ["TICKONCE_STORE"]
# tickonce takes the drivers psycopg and sqlite3; an AsyncSession takes psycopg, too, and aiosqlite.
engine = create_async_engine(
    STORE.replace("postgresql://", "postgresql+psycopg://").replace("sqlite://", "sqlite+aiosqlite://")
)
sessions = async_sessionmaker(engine)
scheduler = AsyncScheduler(STORE)


class Base(DeclarativeBase):
    pass


class Shop(Base):
    __tablename__ = "shops"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    synced: Mapped[int] = mapped_column(default=0)


if STORE.startswith("sqlite:"):

    @event.listens_for(engine.sync_engine, "connect")
    def _manual(connection, record):  # SQLAlchemy begins, not the driver
        connection.isolation_level = None

    @event.listens_for(engine.sync_engine, "begin")
    def _immediate(connection):  # a transaction that may write takes the lock at once
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@scheduler.job
async def sync_shop(name: str) -> None:
    async with sessions.begin() as session:
        shop = await session.get(Shop, name)
        if shop is not None:
            shop.synced += 1


@asynccontextmanager
async def database(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


# The jobs use the engine, which belongs to the application's event loop.
app = FastAPI(lifespan=lifespan(scheduler, database, on_app_loop=True))


@app.post("/shops/{name}", status_code=201)
async def open_shop(name: str, scheduler: Scheduled) -> None:
    try:
        async with sessions.begin() as session:
            session.add(Shop(name=name))
            await session.flush()
            await scheduler.using(session).add(f"sync-{name}", sync_shop.bind(name), "every 2s")
    except IntegrityError:
        raise HTTPException(409, f"there is a shop {name!r}") from None


@app.delete("/shops/{name}", status_code=204)
async def close_shop(name: str, scheduler: Scheduled) -> None:
    async with sessions.begin() as session:
        shop = await session.get(Shop, name)
        if shop is None:
            raise HTTPException(404, f"there is no shop {name!r}")
        await session.delete(shop)
        await scheduler.using(session).remove(f"sync-{name}")


@app.get("/shops")
async def shops() -> dict[str, int]:
    async with sessions() as session:
        return {shop.name: shop.synced for shop in await session.scalars(select(Shop))}


@app.get("/health")
async def health() -> bool:
    return scheduler.alive
