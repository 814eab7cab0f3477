"""The database crashes and restarts, or a standby takes over: acknowledged writes are present."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback_server.domain.errors import StorageUnavailable
from askback_server.feed.feed import LostHistory
from askback_server.lifecycle import Service
from askback_server.storage import job_store, postgres_wakeups
from askback_server.storage.migrate import upgrade
from tests.integration.test_database_away import Load
from tests.support.postgres import PostgresServer
from tests.support.requests import answer, confirm
from tests.support.service import ServiceWorld, serving
from tests.support.waiting import until

WITHIN = 60.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_store, "SETTLE_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(postgres_wakeups, "PAUSE", 0.05)


def both(database: str, *servers: PostgresServer) -> str:
    """One URL for both servers; the writable one is used."""
    hosts = "&".join(f"host=127.0.0.1:{urlsplit(server.dsn('x')).port}" for server in servers)
    return f"postgresql+asyncpg://postgres@/{database}?{hosts}&target_session_attrs=read-write"


@asynccontextmanager
async def serve_under_load(url: str) -> AsyncIterator[tuple[Load, ServiceWorld]]:
    """A service under load, all of whose refusals are retryable, and a second replica."""
    async with serving(url, heartbeat=0.2, replica="a") as a, serving(url, heartbeat=0.2, replica="b") as b:
        load = Load(a)
        lanes = [asyncio.create_task(load.lane(n)) for n in range(4)]
        try:
            await until(lambda: len(load.answered) > 20)
            yield load, b
            await load.goes_on(20)
            load.stopped = True
            async with asyncio.timeout(WITHIN):
                await asyncio.gather(*lanes)
            await load.check()
            for world in (a, b):
                replica = world.service.replica
                await until(lambda replica=replica: replica.engine.hot.is_live and replica.feed.wakeups.live)  # type: ignore[misc]
                assert not world.service.failed.is_set()
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{r.getMessage()} {r.exc_info}" for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.long
async def test_the_service_survives_a_database_crash_under_load(
    primary: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = primary.create_database()
    await asyncio.to_thread(upgrade, url)
    async with serve_under_load(url) as (load, _):
        for _ in range(3):
            await asyncio.to_thread(primary.crash)
            hot = load.world.service.replica.engine.hot
            await until(lambda: not hot.is_live)  # noqa: B023
            await asyncio.to_thread(primary.start)
            await load.goes_on(20)
    assert not errors(caplog)


async def test_the_service_follows_a_failover_to_a_synchronous_standby(
    primary: PostgresServer, standby: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """No acknowledged write is missing, the service finds the new primary, and consoles resume from their
    tokens, because a physical standby continues the primary's transaction ids.
    """
    name = urlsplit(primary.create_database()).path[1:]
    url = both(name, primary, standby)
    await asyncio.to_thread(upgrade, url)
    async with serve_under_load(url) as (load, b):
        kept = await b.create_prompt(confirm("kept", kind="preview"))
        gone = await b.create_prompt(confirm("gone", kind="preview"))
        view = hitl.PromptFilter(kinds=["preview"])
        console = b.console()
        await console.hello(filter=view)
        await console.snapshot()
        await b.catch_up()
        token = await console.token()
        await console.aclose()
        stayed = load.world.console()
        await stayed.hello(filter=view)
        await stayed.snapshot()
        await load.retry_until_ok(b.hitl.AnswerPrompt, answer(gone))
        await stayed.event("closed")

        await asyncio.to_thread(primary.crash)
        await until(lambda: not load.world.service.replica.engine.hot.is_live)
        await asyncio.to_thread(standby.execute, "SELECT pg_promote()")
        fresh = (
            await load.retry_until_ok(
                b.jobs.CreateJob, jobs.CreateJobRequest(job_type="t", prompt=confirm("fresh", kind="preview"))
            )
        ).prompt
        # A connected console receives changes, and a returning one resumes exactly at its position.
        assert (await stayed.event("upserted")).prompt.prompt_id == fresh.prompt_id
        again = load.world.console()
        await again.hello(filter=view, resume_token=token)
        assert (await again.event("closed")).prompt_id == gone.prompt_id
        shown, caught_up = await again.snapshot()
        assert [p.prompt_id for p in shown] == [fresh.prompt_id]
        assert caught_up.open_prompts == -1, "after a resume the console counts by itself"
        assert kept.prompt_id
    assert not errors(caplog)


async def test_a_replica_that_saw_lost_commits_stops_and_its_tokens_are_refused(
    primary: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A standby that was behind took over, so commits that people saw are lost. Replicas and tokens that
    refer to them must not continue.
    """
    name = urlsplit(primary.create_database()).path[1:]
    await asyncio.to_thread(upgrade, primary.dsn(name))
    behind = primary.standby()
    try:
        url = both(name, primary, behind)
        async with serving(url, heartbeat=0.1) as world:
            await world.create_prompt(confirm("lost"))
            console = world.console()
            await console.hello()
            await console.snapshot()
            await world.catch_up()
            token = await console.token()
            await asyncio.to_thread(primary.crash)
            hot = world.service.replica.engine.hot
            await until(lambda: not hot.is_live)
            # It was copied before these commits and no longer follows the primary.
            await asyncio.to_thread(behind.start)
            await asyncio.to_thread(behind.execute, "SELECT pg_promote()")
            async with asyncio.timeout(WITHIN):
                await world.service.failed.wait()
            [ended] = [r for r in caplog.records if r.levelno == logging.CRITICAL]
            assert ended.exc_info is not None
            assert isinstance(ended.exc_info[1], LostHistory)
        async with serving(url) as world:
            new = await world.create_prompt(confirm("new"))
            console = world.console()
            await console.hello(resume_token=token)
            assert (await console.event("reset_view")).history_lost
            assert [p.prompt_id for p in (await console.snapshot())[0]] == [new.prompt_id]
    finally:
        behind.stop()


@asynccontextmanager
async def unread_log(world: ServiceWorld) -> AsyncIterator[None]:
    """A replica that gets announcements, and does not read the log."""
    feed, skipped = world.service.replica.feed, asyncio.Event()

    async def skip() -> bool:
        skipped.set()
        return False

    feed.read = skip  # type: ignore[method-assign]
    await skipped.wait()
    yield
    del feed.read


async def test_replicas_that_saw_lost_commits_ahead_of_the_log_stop(primary: PostgresServer) -> None:
    """One has committed them, the other has shown them: the log was not read in between."""
    name = urlsplit(primary.create_database()).path[1:]
    url = primary.dsn(name)
    await asyncio.to_thread(upgrade, url)
    async with serving(url) as world:
        known = await world.create_prompt(confirm("known"))
        await world.catch_up()
    behind = primary.standby()
    try:
        url = both(name, primary, behind)
        async with (
            serving(url, heartbeat=0.1, replica="a") as a,
            serving(url, heartbeat=0.1, replica="b") as b,
        ):
            await until(lambda: all(world.service.replica.feed.wakeups.live for world in (a, b)))
            console = b.console()
            await console.hello()
            await console.snapshot()
            async with unread_log(a), unread_log(b):
                await a.hitl.AnswerPrompt(answer(known))
                await console.event("closed")
                await asyncio.to_thread(primary.crash)
            await until(lambda: not any(world.service.replica.engine.hot.is_live for world in (a, b)))
            await asyncio.to_thread(behind.start)
            await asyncio.to_thread(behind.execute, "SELECT pg_promote()")
            async with asyncio.timeout(WITHIN):
                await asyncio.gather(*(world.service.failed.wait() for world in (a, b)))
    finally:
        behind.stop()


async def test_hosts_without_ports_are_refused_with_the_reason() -> None:
    from askback_server.config.settings import Config

    url = "postgresql+asyncpg://postgres@/x?host=a,b&target_session_attrs=read-write"
    with pytest.raises(StorageUnavailable, match="ports"):
        await Service(Config(listen="127.0.0.1:0", db=url)).start()
