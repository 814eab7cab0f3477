"""Changes at another replica: they are pushed here, and a read here does not miss them."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import grpc
import pytest

from askback.v1 import job_service_pb2 as jobs
from askback_server.domain.errors import StorageUnavailable
from askback_server.ports.storage import Position
from tests.integration.test_watch_jobs import cancel
from tests.support.requests import answer, confirm
from tests.support.service import ServiceWorld
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)


async def test_an_answer_at_another_replica_is_pushed_without_polling(
    pair: tuple[ServiceWorld, ServiceWorld],
) -> None:
    a, b = pair
    for world in pair:
        world.service.replica.feed._poll = 3600.0
        world.service.replica.feed._wake.set()
    worker, desk, other = a.worker(), a.console(), b.console()
    await worker.hello()
    for console in (desk, other):
        await console.hello()
        await console.snapshot()
    # Created at b, run at a; asked at a, answered at b, and delivered at a.
    job = await b.create()
    lease = await worker.next_job()
    assert lease.job.job_id == job.job_id
    asked = await worker.ask(
        ask_prompt={"job_id": job.job_id, "token": lease.token, "key": "k", "content": confirm()}
    )
    prompt = asked.prompt
    for console in (desk, other):
        assert (await console.event("upserted")).prompt.prompt_id == prompt.prompt_id
    await b.hitl.AnswerPrompt(answer(prompt))
    assert (await worker.expect("prompt_resolved")).prompt.prompt_id == prompt.prompt_id
    for console in (desk, other):
        assert (await console.event("closed")).prompt_id == prompt.prompt_id
    # A late answer there is delivered to the worker here as late.
    with pytest.raises(grpc.aio.AioRpcError):
        await b.as_user("bob").hitl.AnswerPrompt(answer(prompt, "late"))
    assert (await worker.expect("prompt_resolved")).late_answer


async def test_a_read_is_never_older_than_the_position_that_the_replica_reports(
    pair: tuple[ServiceWorld, ServiceWorld],
) -> None:
    """Jobs change at both replicas. A read at a position must find all changes up to it."""
    a, b = pair
    made = [await a.create() for _ in range(4)]
    done = asyncio.Event()
    looks = [0, 0]

    async def change(world: ServiceWorld, name: str) -> None:
        for turn in count():
            # Until each reader has read a few times or failed.
            if turn >= 30 and (min(looks) > 3 or any(reader.done() for reader in readers)):
                return
            for job in made:
                request = jobs.UpdateJobRequest(job=job, update_mask={"paths": ["labels"]})
                request.job.labels["by"] = f"{name} {turn}"
                try:
                    await world.jobs.UpdateJob(request)
                except grpc.aio.AioRpcError as error:
                    # The other replica won the race three times.
                    assert error.code() is grpc.StatusCode.ABORTED, error  # noqa: PT017

    async def read(number: int) -> None:
        world = pair[number]
        while not done.is_set():
            replica = world.service.replica
            position = replica.feed.position
            memory = {
                job.job_id: (await world.jobs.GetJob(jobs.GetJobRequest(job_id=job.job_id))).job.version
                for job in made
            }
            logged = {change.job_id: change.seq for change in await _up_to(replica, position)}
            for job_id, seq in logged.items():
                assert memory[job_id] >= seq
            looks[number] += 1

    readers = [asyncio.create_task(read(number)) for number in range(2)]
    await asyncio.gather(change(a, "a"), change(b, "b"))
    done.set()
    await asyncio.gather(*readers)


async def _up_to(replica: Any, position: Any) -> list[Any]:
    """The log from its beginning to a position, in order. Pages get smaller where one would pass it."""
    found: list[Any] = []
    at, page = Position(), 4096
    while at < position:
        changed, reached = await replica.log.after(at, page)
        if reached <= position:
            found += changed
            at = reached
        elif page == 1:
            break
        else:
            page //= 2
    return found


async def test_while_the_feed_is_down_reads_go_to_the_database(
    pair: tuple[ServiceWorld, ServiceWorld],
) -> None:
    a, b = pair
    job = await a.create()
    hot = a.service.replica.engine.hot
    await a.jobs.GetJob(jobs.GetJobRequest(job_id=job.job_id))
    own = a.service.replica.log.after

    async def away(*_: Any, **__: Any) -> Any:
        raise StorageUnavailable("away")

    a.service.replica.log.after = away  # type: ignore[method-assign]
    # Announcements of the other replica are no reason to trust a cache that could not be refreshed.
    await until(lambda: not hot.is_live)
    await cancel(b, job.job_id)
    assert (await a.jobs.GetJob(jobs.GetJobRequest(job_id=job.job_id))).job.state == 6
    assert not hot.is_live
    a.service.replica.log.after = own  # type: ignore[method-assign]
    await until(lambda: hot.is_live)


async def test_a_strong_read_goes_to_the_database(pair: tuple[ServiceWorld, ServiceWorld]) -> None:
    a, b = pair
    job = await a.create()
    await a.jobs.GetJob(jobs.GetJobRequest(job_id=job.job_id))
    # Neither announcements nor the log of the other replica arrive here.
    feed = a.service.replica.feed
    feed.receive = lambda announced: None  # type: ignore[method-assign]
    feed.wakeups._receive = feed.receive  # type: ignore[attr-defined]
    feed._poll = 3600.0
    feed._wake.set()
    await asyncio.sleep(0)
    await cancel(b, job.job_id)
    assert (await a.jobs.GetJob(jobs.GetJobRequest(job_id=job.job_id))).job.state == 1
    assert (await a.job(job.job_id)).state == 6
