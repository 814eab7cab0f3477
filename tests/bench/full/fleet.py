"""What each further replica costs its database: notifications, idle queries and connections."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg

from askback_server.ports.announcements import EVERYONE, AnnouncedPrompt, Announcement, mark
from askback_server.ports.clock import uuid7
from askback_server.storage.announcement_texts import to_text
from askback_server.storage.postgres_wakeups import _NOTIFY, MAX_PAYLOAD_BYTES
from tests.bench import servers
from tests.bench.full.frame import Bench
from tests.bench.full.rows import Row, Target
from tests.bench.processes import cpu
from tests.support.postgres import PostgresServer

COUNTS = (1, 3)
IDLE_S = 10.0
SENDERS = 2
CHANNEL = "bench"

Figures = dict[str, dict[str, float]]


async def fleet(bench: Bench) -> Sequence[Row]:
    """1, 10 and 100 listeners to notifications, and 1 and 3 idle replicas. PostgreSQL only."""
    assert bench.postgres is not None
    found: Figures = defaultdict(dict)
    for count in COUNTS:
        await _idle(bench.postgres, count, found)
    found["bytes of an announcement"]["1"] = len(to_text(_announcement()))
    for count in (1, 10, 100):
        await _notify(bench, bench.postgres, count, found)
        bench.say(case="fleet", listeners=count, **{row: v.get(f"{count}") for row, v in found.items()})
    each = "idle replica: transactions/s"
    return [Row(row, values, Target("growth", 1.2) if row == each else None) for row, values in found.items()]


async def _idle(postgres: PostgresServer, count: int, found: Figures) -> None:
    """Replicas without sessions."""
    with servers.replicas(postgres, count) as replicas:
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(_connected(postgres))
            await asyncio.sleep(5)
            name = f"{count}"
            row = await connection.fetchrow(_CONNECTIONS)
            assert row is not None
            database, open_ones = row
            found["idle replica: connections"][name] = open_ones / count
            before, used = await connection.fetchval(_TRANSACTIONS, database), _cpu(replicas)
            await asyncio.sleep(IDLE_S)
            done = await connection.fetchval(_TRANSACTIONS, database) - before
            found["idle replica: transactions/s"][name] = done / IDLE_S / count
            server, db = (now - was for now, was in zip(_cpu(replicas), used, strict=True))
            found["idle replica: % of a CPU"][name] = server / IDLE_S / 10_000 / count
            found["idle replica: % of a CPU of the database"][name] = db / IDLE_S / 10_000 / count


_CONNECTIONS = """
SELECT datname, count(*) FROM pg_stat_activity
WHERE application_name LIKE 'askback%' GROUP BY datname ORDER BY count(*) DESC LIMIT 1
"""
_TRANSACTIONS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1"


def _cpu(replicas: Sequence[servers.RunningServer]) -> tuple[float, float]:
    *used, database = cpu(*(replica.pid for replica in replicas), replicas[0].db_pid)
    return sum(used), database


async def _notify(bench: Bench, postgres: PostgresServer, listeners: int, found: Figures) -> None:
    """Notifications as full as a replica under load sends them, as fast as they go."""
    payload = "x" * MAX_PAYLOAD_BYTES
    heard = sent = 0

    def hear(*_: object) -> None:
        nonlocal heard
        heard += 1

    async with AsyncExitStack() as stack:
        for _ in range(listeners):
            listener = await stack.enter_async_context(_connected(postgres))
            await listener.add_listener(CHANNEL, hear)
        senders = [await stack.enter_async_context(_connected(postgres)) for _ in range(SENDERS)]
        end = time.perf_counter() + bench.seconds

        async def send(connection: asyncpg.Connection[asyncpg.Record]) -> None:
            nonlocal sent
            while time.perf_counter() < end:
                await connection.execute(_NOTIFY, CHANNEL, [payload])
                sent += 1

        pid = servers.postmaster_of(postgres)
        used, began = cpu(pid)[0], time.perf_counter()
        await asyncio.gather(*(send(connection) for connection in senders))
        async with asyncio.timeout(60):
            while heard < sent * listeners:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        name = f"{listeners}"
        found["notifications/s, all delivered"][name] = sent / (time.perf_counter() - began)
        found["CPU µs of the database for each"][name] = (cpu(pid)[0] - used) / sent
        found["CPU µs of the database for each and listener"][name] = (cpu(pid)[0] - used) / sent / listeners


@asynccontextmanager
async def _connected(postgres: PostgresServer) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection to the server's own database."""
    connection = await asyncpg.connect(postgres.dsn("postgres").replace("+asyncpg", ""))
    try:
        yield connection
    finally:
        await connection.close()


def _announcement() -> Announcement:
    """What a replica tells the others of one question."""
    prompt = AnnouncedPrompt(uuid7(), frozenset({EVERYONE, mark("kind", "clarify")}))
    return Announcement(uuid7(), 7, 8, "default", "refund", prompts=(prompt,))
