"""The pools of connections to PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.storage.database import Database
from askback_server.storage.postgres_pools import POOL_SIZE, SESSIONS_POOL_SIZE
from tests.support.storage import fetch

pytestmark = pytest.mark.usefixtures("own_connections")

OPENED = sa.text("SELECT pid, backend_start FROM pg_stat_activity WHERE datname = current_database()")


@pytest.mark.parametrize("kind", ["reads", "sessions"])
async def test_bursts_of_work_open_no_connection_again(pg: Database, kind: str) -> None:
    """To open one costs the database more than most statements."""
    size = {"reads": POOL_SIZE, "sessions": SESSIONS_POOL_SIZE}[kind]

    async def work(_: int) -> None:
        if kind == "reads":
            async with pg._dialect.reads.connect() as connection:
                await connection.execute(sa.text("SELECT pg_sleep(0.001)"))
        else:
            await pg._dialect.run(lambda connection: connection.execute(sa.text("SELECT 1")))

    await asyncio.gather(*map(work, range(2 * size)))
    before = await connections(pg)
    for _ in range(3):
        await asyncio.gather(*map(work, range(2 * size)))
    assert await connections(pg) == before


async def connections(database: Database) -> list[tuple[Any, ...]]:
    """The server processes of the database, with the times at which they started."""
    return sorted(tuple(row.values()) for row in await fetch(database, OPENED))
