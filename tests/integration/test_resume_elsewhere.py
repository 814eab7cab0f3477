"""Resuming at another replica: exactly at the old position, or after a reset. No change is lost silently."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1.worker_service_pb2 import ReleaseJobRequest
from askback_server.ports.clock import uuid7
from askback_server.sessions import job_follower
from tests.contract.test_event_feed import INSERT
from tests.integration.test_converse_view import Watch as PromptWatch
from tests.integration.test_watch_job import events
from tests.integration.test_watch_jobs import cancel, watching
from tests.integration.test_work_sessions import resume
from tests.support.requests import answer, confirm
from tests.support.service import Caller, ServiceWorld
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)


@asynccontextmanager
async def long_transaction(url: str) -> AsyncIterator[None]:
    """A transaction that holds back the horizon of the log."""
    slow = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        async with slow.transaction():
            await slow.execute(INSERT, uuid7(), uuid7())
            yield
    finally:
        await slow.close()


async def test_a_console_resumes_at_another_replica(pair: tuple[ServiceWorld, ServiceWorld]) -> None:
    a, b = pair
    stays, goes = await a.create_prompt(confirm("stays")), await a.create_prompt(confirm("goes"))
    console = a.console()
    await console.hello()
    assert len((await console.snapshot())[0]) == 2
    await a.catch_up()
    token = await console.token()
    await console.aclose()
    await b.hitl.AnswerPrompt(answer(goes))
    fresh = await a.create_prompt(confirm("fresh"))
    again = b.console()
    assert (await again.hello(resume_token=token)).replica == "b"
    assert (await again.event("closed")).prompt_id == goes.prompt_id
    shown, caught_up = await again.snapshot()
    assert [p.prompt_id for p in shown] == [fresh.prompt_id]
    assert caught_up.open_prompts == -1
    assert stays.prompt_id not in {p.prompt_id for p in shown}
    # Later changes at the other replica are delivered here.
    await a.hitl.AnswerPrompt(answer(fresh))
    assert (await again.event("closed")).prompt_id == fresh.prompt_id


async def hold_feed(world: ServiceWorld, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Keep a replica's feed from reading the log until the returned event is set; none is under way."""
    feed, held, released = world.service.replica.feed, asyncio.Event(), asyncio.Event()
    own = feed.read

    async def read() -> bool:
        held.set()
        await released.wait()
        return await own()

    monkeypatch.setattr(feed, "read", read)
    await held.wait()
    return released


async def test_a_replica_that_lags_behind_a_token_shows_nothing_twice(
    pair: tuple[ServiceWorld, ServiceWorld], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other replica's feed delivers what the token's holder has only after the holder has connected."""
    monkeypatch.setattr(job_follower, "IDLE_SECONDS", 0.05)
    a, b = pair
    released = await hold_feed(b, monkeypatch)
    stays = await a.create_prompt(confirm("stays"))
    console = a.console()
    await console.hello()
    await console.snapshot()
    await a.catch_up()
    token = await console.token()
    async with watching(a) as watch:
        await watch.catch_up()
        jobs_token = watch.token
    assert b.service.replica.feed.position < a.service.replica.feed.position
    again = b.console()
    await again.hello(resume_token=token)
    async with watching(b, token=jobs_token) as watch:
        released.set()
        assert (await again.snapshot())[0] == []
        await watch.catch_up()
        await b.catch_up()
        fresh = await a.create_prompt(confirm("fresh"))
        assert (await again.event("upserted")).prompt.prompt_id == fresh.prompt_id
        await watch.until(lambda w: fresh.job_id in w.told)
        assert stays.job_id not in watch.told
        assert not watch.reset


async def test_a_token_is_bound_to_caller_and_query_at_any_replica(
    pair: tuple[ServiceWorld, ServiceWorld], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    prompt = await a.create_prompt()
    console = a.console()
    await console.hello()
    token = (await console.snapshot())[1].resume_token
    names = b.service._server.calls._authenticator._authenticator  # type: ignore[union-attr]
    queries: list[tuple[Caller, dict[str, Any], list[str]]] = [
        (b.as_user("bob"), {}, []),
        (b.as_user("ada", "desk"), {}, []),
        (b, {}, ["ada"]),
        (b, {"filter": hitl.PromptFilter(kinds=["confirm"])}, []),
    ]
    for caller, hello, admins in queries:
        monkeypatch.setattr(names, "_admins", frozenset(admins))
        other = b.console(caller)
        await other.hello(resume_token=token, **hello)
        assert "another filter or principal" in (await other.event("reset_view")).reason
        assert [p.prompt_id for p in (await other.snapshot())[0]] == [prompt.prompt_id]


async def test_watch_prompts_resumes_at_another_replica(pair: tuple[ServiceWorld, ServiceWorld]) -> None:
    a, b = pair
    goes = await a.create_prompt(confirm("goes"))
    watch = PromptWatch(a.hitl.WatchPrompts(hitl.WatchPromptsRequest()))
    await watch.event("upserted")
    token = (await watch.event("caught_up")).resume_token
    watch.call.cancel()
    await b.hitl.AnswerPrompt(answer(goes))
    fresh = await b.create_prompt(confirm("fresh"))
    again = PromptWatch(b.hitl.WatchPrompts(hitl.WatchPromptsRequest(resume_token=token)))
    assert (await again.event("closed")).prompt_id == goes.prompt_id
    assert (await again.event("upserted")).prompt.prompt_id == fresh.prompt_id
    assert (await again.event("caught_up")).open_prompts == -1
    again.call.cancel()


async def test_watch_jobs_resumes_at_another_replica(
    pair: tuple[ServiceWorld, ServiceWorld], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_follower, "IDLE_SECONDS", 0.05)
    a, b = pair
    same, changed, gone = [await a.create() for _ in range(3)]
    async with watching(a) as watch:
        await watch.catch_up()
        await a.catch_up()
        watch.token = ""
        await watch.until(lambda w: w.token)
        token = watch.token
    await cancel(b, gone.job_id)
    await b.jobs.DeleteJob(jobs.DeleteJobRequest(job_id=gone.job_id))
    await cancel(a, changed.job_id)
    async with watching(b, token=token) as watch:
        await watch.catch_up()
        assert not watch.reset
        assert gone.job_id in watch.removed
        assert changed.job_id in watch.told
        # A later deletion at the other replica is delivered as a deletion.
        await cancel(a, same.job_id)
        await watch.until(lambda w: same.job_id in w.told)
        await a.jobs.DeleteJob(jobs.DeleteJobRequest(job_id=same.job_id))
        await watch.until(lambda w: same.job_id in w.removed)
    async with watching(b.as_user("bob"), token=token) as watch:
        await watch.catch_up()
        assert watch.reset


async def test_watch_job_resumes_at_another_replica(pair: tuple[ServiceWorld, ServiceWorld]) -> None:
    a, b = pair
    lease = await a.lease_new_job()
    job_id = lease.job.job_id
    first = await events(a.jobs.WatchJob(jobs.WatchJobRequest(job_id=job_id)), maximum=2)
    rest = b.jobs.WatchJob(jobs.WatchJobRequest(job_id=job_id, after_seq=first[-1].seq))
    prompt = await a.ask(lease, "k")
    assert [e.prompt_id for e in (await rest.read()).events] == [prompt.prompt_id]
    await b.hitl.AnswerPrompt(answer(prompt))
    await cancel(a, job_id)
    more = rest
    seen = (await more.read()).events
    assert seen[0].seq == 4


@pytest.mark.parametrize("where", ["here", "there"])
async def test_a_resumed_view_includes_commits_beyond_the_horizon(
    pair: tuple[ServiceWorld, ServiceWorld], migrated_db_url: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was committed and delivered to connected consoles before this one, but lies beyond the horizon."""
    a, b = pair
    monkeypatch.setattr(job_follower, "IDLE_SECONDS", 0.05)
    other = b if where == "there" else a
    goes = await a.create_prompt(confirm("goes"))
    console, watcher = a.console(), a.console()
    await console.hello()
    await watcher.hello()
    await watcher.snapshot()
    await console.snapshot()
    await a.catch_up()
    token = await console.token()
    await console.aclose()
    async with watching(a) as watch:
        await watch.catch_up()
        jobs_token = watch.token
    async with long_transaction(migrated_db_url):
        await other.hitl.AnswerPrompt(answer(goes))
        fresh = await other.create_prompt(confirm("fresh"))
        assert (await watcher.event("closed")).prompt_id == goes.prompt_id
        assert (await watcher.event("upserted")).prompt.prompt_id == fresh.prompt_id
        again = a.console()
        await again.hello(resume_token=token)
        assert (await again.event("closed")).prompt_id == goes.prompt_id
        shown, caught_up = await again.snapshot()
        assert [p.prompt_id for p in shown] == [fresh.prompt_id]
        async with watching(a, token=jobs_token) as watch:
            await watch.catch_up()
            assert {goes.job_id, fresh.job_id} <= set(watch.told)
        # The token's position is still that of the log, so resuming from it loses nothing.
        later = b.console()
        await later.hello(resume_token=caught_up.resume_token)
        assert (await later.event("closed")).prompt_id == goes.prompt_id
        assert [p.prompt_id for p in (await later.snapshot())[0]] == [fresh.prompt_id]


@pytest.mark.parametrize("change", ["cancelled", "taken over"])
async def test_a_worker_resumes_where_a_change_of_its_job_was_decided_before(
    pair: tuple[ServiceWorld, ServiceWorld], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Replica b reads the job. Before it follows the job, replica a announces a change of it, and b decides
    that no session of its own is concerned."""
    a, b = pair
    worker = a.worker()
    await worker.hello()
    job = await a.create()
    lease = await worker.next_job()
    await worker.lose()
    await until(lambda: not a.service.replica.streams)
    replica = b.service.replica
    read = replica.jobs.list_held

    async def change_after_the_read(*args: Any) -> Any:
        found = await read(*args)
        monkeypatch.undo()
        if change == "cancelled":
            await cancel(a, job.job_id)
        else:
            await a.workers.ReleaseJob(ReleaseJobRequest(job_id=job.job_id, token=lease.token))
            other = a.worker()
            await other.hello(worker_id="other")
            assert (await other.next_job()).token > lease.token
        version = (await a.job(job.job_id)).version
        await until(lambda: replica.bus.version_of(job.job_id) == version, "the change is announced")
        return found

    monkeypatch.setattr(replica.jobs, "list_held", change_after_the_read)
    again, welcome = await resume(b, worker, lease)
    assert welcome.resumed
    told = await again.frame()
    assert told.WhichOneof("body") == {"cancelled": "cancel_requested", "taken over": "lease_lost"}[change]
    await again.nothing_more()
