"""Database connections are killed, exhausted or refused: calls wait or fail with UNAVAILABLE, the service
recovers, and acknowledged writes are present.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import grpc
import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.domain.errors import StorageUnavailable
from askback_server.storage import job_store, postgres_pools, postgres_wakeups
from askback_server.storage.postgres import Postgres
from tests.support.postgres import PostgresServer
from tests.support.refusals import SOON, outcome, refusal_of
from tests.support.requests import answer, confirm
from tests.support.service import ServiceWorld, serving
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("own_connections")

KINDS = ["askback writer", "askback", "askback sessions", "askback listener", "askback wake-ups"]
"""Each kind of connection by its application_name."""

KILLS = 5
"""In each test: every one costs a reconnect, and comes at another moment of the load."""
PACE = 0.05
"""Seconds between two turns of a lane: under load, and not at the limit of the machine."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_store, "SETTLE_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(postgres_wakeups, "PAUSE", 0.05)
    monkeypatch.setattr(postgres_wakeups, "TEST_SECONDS", 0.2)


@pytest.fixture
def url(pg_url: str) -> str:
    return pg_url


@dataclass
class Load:
    """Asks and answers prompts by unary calls, and retries each with the same ids until it is accepted."""

    world: ServiceWorld
    asked: dict[str, str] = field(default_factory=dict)
    """Prompt by request id."""
    answered: dict[str, str] = field(default_factory=dict)
    """Answer id by prompt."""
    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    stopped: bool = False

    async def lane(self, number: int) -> None:
        """Ask, answer and read in a loop."""
        turn = 0
        while not self.stopped:
            turn += 1
            request_id = f"{number}-{turn}"
            request = jobs.CreateJobRequest(job_type="t", prompt=confirm(), request_id=request_id)
            prompt = (await self.retry_until_ok(self.world.jobs.CreateJob, request)).prompt
            self.asked[request_id] = prompt.prompt_id
            await self.retry_until_ok(self.world.hitl.AnswerPrompt, answer(prompt, f"a-{request_id}"))
            self.answered[prompt.prompt_id] = f"a-{request_id}"
            await self.retry_until_ok(self.world.jobs.GetJob, _strong(prompt.job_id))
            await self.retry_until_ok(self.world.hitl.ListPrompts, hitl.ListPromptsRequest(page_size=3))
            await asyncio.sleep(PACE)

    async def retry_until_ok(self, method: Callable[[Any], Any], request: Any) -> Any:
        """Retry a call until it is OK. Every refusal must be retryable."""
        while True:
            try:
                reply = await method(request)
            except grpc.aio.AioRpcError as error:
                self.codes[error.code().name] += 1
                found = refusal_of(error)
                if (error.code().name, found.retry_delay is None) != ("UNAVAILABLE", False):
                    self.wrong.append(f"{found}")
                await asyncio.sleep(0.02)
            else:
                self.codes["OK"] += 1
                return reply

    async def goes_on(self, more: int) -> None:
        """Wait until this number of further prompts is answered."""
        done = len(self.answered)
        async with asyncio.timeout(6 * SOON):
            while len(self.answered) < done + more:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def check(self) -> None:
        """Every acknowledged write is present once."""
        assert not self.wrong, self.wrong[:5]
        assert len(set(self.asked.values())) == len(self.asked)
        for prompt_id, answer_id in self.answered.items():
            kept = await self.world.prompt(prompt_id)
            assert kept.resolution.answer.answer_id == answer_id


def _strong(job_id: str) -> jobs.GetJobRequest:
    return jobs.GetJobRequest(job_id=job_id, consistency=jobs.CONSISTENCY_STRONG)


@pytest.fixture
async def load(url: str) -> AsyncIterator[Load]:
    """A service under load. At the end it must be healthy."""
    async with serving(url, heartbeat=0.5, lease_ttl=60.0, sweep_interval=0.5) as world:
        load = Load(world)
        lanes = [asyncio.create_task(load.lane(n)) for n in range(4)]
        try:
            yield load
            await load.goes_on(20)
            load.stopped = True
            async with asyncio.timeout(SOON):
                await asyncio.gather(*lanes)
            await load.check()
            replica = world.service.replica
            await until(lambda: replica.engine.hot.is_live and replica.feed.wakeups.live)
            assert not world.service.failed.is_set()
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)


@pytest.fixture
async def admin(url: str) -> AsyncIterator[asyncpg.Connection]:
    """An administrator's connection, which no test kills."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


async def kill(admin: asyncpg.Connection, *names: str) -> int:
    """End the connections of these kinds; returns their number."""
    found = await admin.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = ANY($1) AND datname = current_database()",
        names,
    )
    return len(found)


@pytest.mark.parametrize("name", KINDS)
async def test_the_service_recovers_from_killed_connections_of_each_kind(
    load: Load, admin: asyncpg.Connection, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With a worker and a console that stay connected."""
    worker, console = load.world.worker(), load.world.console()
    await worker.hello("w")
    await console.hello(filter=hitl.PromptFilter(kinds=["preview"]))
    await console.snapshot()
    for _ in range(KILLS):
        async with asyncio.timeout(SOON):
            while not await kill(admin, name):
                await load.world.service.replica.keeper.reap()
                await asyncio.sleep(0.01)
        await load.goes_on(5)
    # The worker's session survived, and the console receives changes.
    job = await load.world.create("w")
    assert (await worker.next_job()).job.job_id == job.job_id
    shown = await load.world.create_prompt(confirm(kind="preview"), job_type="p")
    assert (await console.event("upserted")).prompt.prompt_id == shown.prompt_id
    bugs = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert not bugs, [(r.getMessage(), r.exc_info) for r in bugs][:3]


async def test_the_service_recovers_when_all_connections_are_killed(
    load: Load, admin: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(KILLS):
        await kill(admin, *KINDS)
        await load.goes_on(5)
    bugs = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert not bugs, [(r.getMessage(), r.exc_info) for r in bugs][:3]


async def test_the_service_waits_while_the_database_is_read_only(
    load: Load,
    admin: asyncpg.Connection,
    url: str,
    postgres: PostgresServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Like a primary that became a standby: reads succeed, writes get a retryable error."""
    name = url.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await kill(admin, *KINDS)
    await until(lambda: load.codes["UNAVAILABLE"] > 20)
    assert not load.wrong, load.wrong[:3]
    # A worker's session is written by another code path.
    assert await outcome(load.world.lease("w", wait=0)) == "UNAVAILABLE"
    with pytest.raises(StorageUnavailable):
        await load.world.service.replica.keeper.reap()
    postgres.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    # Connections that reported read-only are discarded, because they would keep reporting it.
    await load.retry_until_ok(load.world.jobs.CreateJob, jobs.CreateJobRequest(job_type="w"))
    request = workers.LeaseJobsRequest(worker_id="w", job_types=["w"])
    assert (await load.retry_until_ok(load.world.workers.LeaseJobs, request)).jobs
    for _ in range(3):
        await load.world.service.replica.keeper.reap()
    bugs = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert not bugs, [(r.getMessage(), r.exc_info) for r in bugs][:3]


async def test_calls_are_refused_while_the_pool_is_exhausted(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_pools, "CONNECT_TIMEOUT", 0.5)
    async with serving(url) as world, AsyncExitStack() as taken:
        job = await world.create()
        database = world.service._database
        assert database is not None
        assert isinstance(database._dialect, Postgres)
        for _ in range(postgres_pools.PINNED):
            await taken.enter_async_context(database._dialect._pools.pinned.one())
        for _ in range(postgres_pools.POOL_SIZE - postgres_pools.PINNED):
            await taken.enter_async_context(database._dialect.reads.connect())
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await world.job(job.job_id)
        found = refusal_of(refused.value)
        assert (found.code.name, found.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
        assert found.retry_delay is not None
        await taken.aclose()
        await until(lambda: world.service.replica.engine.hot.is_live)
        assert (await world.job(job.job_id)).job_id == job.job_id


async def test_calls_are_refused_while_the_database_refuses_connections(
    url: str, postgres: PostgresServer
) -> None:
    """For any reason of the refusal: a failed connection is not the caller's fault."""
    name = url.rpartition("/")[2]
    async with serving(url) as world:
        job = await world.create()
        postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres.execute(
            f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        create = world.jobs.CreateJob(jobs.CreateJobRequest(job_type="t"))
        for call in (world.jobs.GetJob(_strong(job.job_id)), create):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            found = refusal_of(refused.value)
            assert (found.code.name, found.retry_delay is None) == ("UNAVAILABLE", False), found
        postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await until(lambda: world.service.replica.engine.hot.is_live)
        await world.create()
        assert (await world.job(job.job_id)).job_id == job.job_id
