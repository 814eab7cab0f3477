"""No read is served from a PostgreSQL server that is not the primary, even if the address leads to one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import grpc
import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.database import Database
from askback_server.storage.migrate import upgrade
from tests.integration.test_database_away import KINDS, kill
from tests.support.pg_relay import PgRelay
from tests.support.postgres import PostgresServer
from tests.support.refusals import refusal_of
from tests.support.requests import confirm
from tests.support.service import ServiceWorld, serving
from tests.support.waiting import until


@asynccontextmanager
async def behind_an_address(server: PostgresServer) -> AsyncIterator[tuple[ServiceWorld, PgRelay, str]]:
    """A replica whose database address can be redirected to another server, and the name of the database."""
    name = urlsplit(server.create_database()).path[1:]
    await asyncio.to_thread(upgrade, server.dsn(name))
    relay = PgRelay(server.dsn(name))
    async with relay.serve() as url, serving(url, heartbeat=0.2) as world:
        yield world, relay, name


async def _reads(world: ServiceWorld, job_id: str) -> set[str]:
    """The outcome of each way of reading: OK or the reason of the refusal."""
    strong = jobs.CONSISTENCY_STRONG
    calls = [
        world.jobs.GetJob(jobs.GetJobRequest(job_id=job_id, consistency=strong)),
        world.jobs.ListJobs(jobs.ListJobsRequest()),
        world.hitl.ListPrompts(hitl.ListPromptsRequest()),
    ]
    said = set()
    for call in calls:
        try:
            await call
            said.add("OK")
        except grpc.aio.AioRpcError as error:
            said.add(refusal_of(error).reason)
    return said


async def _kill(url: str, *names: str) -> int:
    admin = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await kill(admin, *names)
    finally:
        await admin.close()


async def _works(world: ServiceWorld) -> str:
    """Create a job as soon as writes succeed again."""
    async with asyncio.timeout(60):
        while True:
            try:
                return (await world.jobs.CreateJob(jobs.CreateJobRequest(job_type="t"))).job.job_id
            except grpc.aio.AioRpcError as error:
                if refusal_of(error).reason not in ("STORAGE_UNAVAILABLE", "OUTCOME_UNKNOWN"):
                    raise
                await asyncio.sleep(0.05)


async def test_an_address_that_leads_to_a_standby_serves_no_reads(
    primary: PostgresServer, standby: PostgresServer
) -> None:
    async with behind_an_address(primary) as (world, relay, name):
        old = await world.create_prompt(confirm())
        relay.lead_to(standby.dsn(name))
        await _kill(primary.dsn(name), *KINDS)
        hot = world.service.replica.engine.hot
        await until(lambda: not hot.is_live)
        assert await _reads(world, old.job_id) == {"STORAGE_UNAVAILABLE"}
        # It becomes the primary, and the service continues.
        await asyncio.to_thread(primary.crash)
        await asyncio.to_thread(standby.execute, "SELECT pg_promote()")
        new = await _works(world)
        await until(lambda: hot.is_live)
        assert await _reads(world, new) == {"OK"}


async def test_an_old_primary_that_lives_on_serves_no_reads(
    primary: PostgresServer, standby: PostgresServer
) -> None:
    """It is still writable, and connections to it stay open. As soon as one connection reaches the new
    primary, the others are discarded, and new connections to the old one are refused.
    """
    async with behind_an_address(primary) as (world, relay, name):
        old = await world.create_prompt(confirm())
        await asyncio.to_thread(primary.require_standby, False)
        # Reads use separate connections, which lead to the old primary.
        await asyncio.gather(*(_reads(world, old.job_id) for _ in range(4)))
        await until(lambda: standby.execute("SELECT count(*) FROM pg_stat_wal_receiver") == 1)
        await asyncio.to_thread(standby.execute, "SELECT pg_promote()")
        await until(lambda: standby.execute("SELECT pg_is_in_recovery()") is False)
        relay.lead_to(standby.dsn(name))
        assert await _kill(primary.dsn(name), "askback writer")
        new = await _works(world)
        for _ in range(3):
            assert await _reads(world, new) == {"OK"}  # STRONG, and the old primary lacks the job
        relay.lead_to(primary.dsn(name))
        await _kill(standby.dsn(name), *KINDS)
        await until(lambda: not world.service.replica.engine.hot.is_live)
        assert await _reads(world, new) == {"STORAGE_UNAVAILABLE"}
        relay.lead_to(standby.dsn(name))
        await _works(world)
        assert await _reads(world, new) == {"OK"}


async def test_a_replica_does_not_start_on_a_standby(
    primary: PostgresServer, standby: PostgresServer
) -> None:
    name = urlsplit(primary.create_database()).path[1:]
    await asyncio.to_thread(upgrade, primary.dsn(name))
    await until(lambda: standby.execute(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == 1)
    with pytest.raises(StorageUnavailable, match="is a standby; the database URL must lead to the primary"):
        await Database.open(standby.dsn(name))
    with pytest.raises(StorageUnavailable, match="is a standby"):
        await asyncio.to_thread(upgrade, standby.dsn(name))
