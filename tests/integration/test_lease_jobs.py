"""LeaseJobs and ExtendLease: ready jobs at once, or a wait for the first."""

import asyncio
from typing import Any

import pytest

from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import worker_service_pb2 as pb
from askback_server.domain.errors import StorageUnavailable
from askback_server.sessions import lease_jobs, unary_consumer
from tests.support.refusals import SOON, expect_refusal
from tests.support.requests import seconds
from tests.support.service import ServiceWorld, serving
from tests.support.streams import ABSENT_ID
from tests.support.waiting import until


async def test_lease_jobs_returns_ready_jobs_or_waits_for_the_first(world: ServiceWorld) -> None:
    made = [(await world.create("t", priority=i)).job_id for i in range(3)]
    found = (await world.lease(max_jobs=2)).jobs
    assert [j.job.job_id for j in found] == made[:0:-1]
    assert len((await world.lease(max_jobs=10)).jobs) == 1
    empty = await world.lease(wait=0)
    assert not empty.jobs
    assert empty.session_id
    waiting = asyncio.ensure_future(world.lease())
    await until(lambda: world.service.replica.dispatcher._consumers)
    late = await world.create()
    async with asyncio.timeout(SOON):
        [lease] = (await waiting).jobs
    assert lease.job.job_id == late.job_id


@pytest.fixture
def queues_read(lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The queues cannot be read until this is set."""
    queue, may_read = lite.service.replica.dispatcher._candidates._queue, asyncio.Event()
    own = queue.claimable

    async def claimable(*args: Any) -> dict[str, list[str]]:
        await may_read.wait()
        return await own(*args)

    monkeypatch.setattr(queue, "claimable", claimable)
    return may_read


async def test_lease_jobs_without_wait_returns_ready_jobs_from_a_slow_database(
    lite: ServiceWorld, queues_read: asyncio.Event
) -> None:
    job = await lite.create()
    call = asyncio.ensure_future(lite.lease(wait=0))
    done, _ = await asyncio.wait([call], timeout=0.2)
    assert not done, "an empty reply means that there was no job"
    queues_read.set()
    assert [lease.job.job_id for lease in (await call).jobs] == [job.job_id]
    assert not (await lite.lease(wait=0)).jobs


async def test_unreadable_queues_are_reported_and_not_taken_as_empty(
    lite: ServiceWorld, queues_read: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is read after the call has ended is leased to the next worker."""
    monkeypatch.setattr(unary_consumer, "READ_TIMEOUT", 0.1)
    job = await lite.create()
    await expect_refusal(lite.lease(wait=0), "UNAVAILABLE", "STORAGE_UNAVAILABLE")
    await until(lambda: not lite.service.replica.dispatcher._consumers)
    queues_read.set()
    [lease] = (await lite.lease()).jobs
    assert (lease.job.job_id, lease.token) == (job.job_id, 1)


async def test_a_draining_replica_answers_lease_jobs_at_once(
    lite: ServiceWorld, queues_read: asyncio.Event
) -> None:
    """A call without a wait returns empty, whether it arrived before or after the drain began."""
    before = asyncio.ensure_future(lite.lease(wait=0))
    await until(lambda: lite.service.replica.dispatcher._direct.scanned)
    lite.service.replica.dispatcher.pause()
    async with asyncio.timeout(SOON):
        assert not (await before).jobs
        assert not (await lite.lease(wait=0)).jobs


async def test_two_waiting_lease_calls_share_the_jobs(lite: ServiceWorld) -> None:
    calls = [asyncio.ensure_future(lite.lease(max_jobs=1)) for _ in range(4)]
    await until(lambda: len(lite.service.replica.dispatcher._consumers) == 4)
    made = {(await lite.create()).job_id for _ in range(4)}
    async with asyncio.timeout(SOON):
        leases = [lease for response in await asyncio.gather(*calls) for lease in response.jobs]
    assert {lease.job.job_id for lease in leases} == made
    assert [lease.token for lease in leases] == [1] * 4


async def test_a_worker_may_wait_for_longer_than_its_session_lives(lite_url: str) -> None:
    """The wait keeps the session alive, so that a late job is still leased."""
    async with serving(lite_url, lease_ttl=5) as world:
        other = await world.lease_new_job("other")
        waiting = asyncio.ensure_future(world.lease())
        await until(lambda: world.service.replica.dispatcher._consumers)
        call = world.jobs.WatchJob(jpb.WatchJobRequest(job_id=other.job.job_id))
        seen: list[int] = []
        # This session is as old but is not extended.
        while job_pb2.JOB_EVENT_TYPE_JOB_LEASE_LOST not in seen:
            seen += [e.type for e in (await call.read()).events]
        call.cancel()
        job = await world.create()
        leased = await waiting
        assert [lease.job.job_id for lease in leased.jobs] == [job.job_id]
        session = {"session_id": leased.session_id, "session_secret": leased.session_secret}
        await world.workers.ExtendLease(pb.ExtendLeaseRequest(**session))


async def test_a_disconnected_caller_keeps_no_job(lite: ServiceWorld) -> None:
    call = lite.workers.LeaseJobs(pb.LeaseJobsRequest(worker_id="gone", job_types=["t"], wait=seconds(SOON)))
    waiting = asyncio.ensure_future(call)
    await until(lambda: lite.service.replica.dispatcher._consumers)
    waiting.cancel()
    await until(lambda: not lite.service.replica.dispatcher._consumers)
    job = await lite.create()
    [lease] = (await lite.lease()).jobs
    assert lease.job.job_id == job.job_id


async def test_a_job_whose_lease_cannot_be_read_is_released(
    lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Any:
        raise StorageUnavailable("the checkpoints cannot be read")

    job = await lite.create()
    with monkeypatch.context() as broken:
        broken.setattr(lease_jobs, "read_lease_data", fail)
        await expect_refusal(lite.lease(), "UNAVAILABLE", "STORAGE_UNAVAILABLE")
    [lease] = (await lite.lease()).jobs
    assert (lease.job.job_id, lease.token, lease.job.attempt) == (job.job_id, 2, 1)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"worker_id": ""}, "worker_id"),
        ({"worker_id": "a b"}, "worker_id"),
        ({"job_types": []}, "job_types"),
        ({"job_types": ["\0"]}, "job_types"),
        ({"max_jobs": -1}, "max_jobs"),
        ({"max_jobs": 101}, "max_jobs"),
        ({"wait": seconds(-1)}, "wait"),
        ({"namespace": "a b"}, "namespace"),
    ],
)
async def test_a_wrong_lease_request_is_named(
    shared_lite: ServiceWorld, fields: dict[str, Any], field: str
) -> None:
    request = pb.LeaseJobsRequest(**{"worker_id": "w", "job_types": ["t"], **fields})
    found = await expect_refusal(shared_lite.workers.LeaseJobs(request), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert set(found.violations) == {field}


async def test_a_worker_without_job_types_is_refused_alike_with_and_without_a_stream(
    lite: ServiceWorld,
) -> None:
    call = lite.workers.LeaseJobs(pb.LeaseJobsRequest(worker_id="w"))
    refused = await expect_refusal(call, "INVALID_ARGUMENT", "INVALID_FIELD")
    worker = lite.worker()
    await worker.send(pb.WorkClientFrame(hello=pb.WorkHello(worker_id="w")))
    ended = await worker.wait_for_end()
    assert ended is not None
    sentence = "is required: the types of jobs that the worker takes"
    assert refused.violations == {"job_types": sentence}
    assert ended.violations == {"hello.job_types": sentence}


async def test_session_calls_require_the_secret(lite: ServiceWorld) -> None:
    leased = await lite.lease(wait=0)
    for session_id, secret in (
        (leased.session_id, "wrong"),
        (ABSENT_ID, leased.session_secret),
        ("nonsense", leased.session_secret),
    ):
        request = pb.ExtendLeaseRequest(session_id=session_id, session_secret=secret)
        names = {"session_id": session_id}
        await expect_refusal(lite.workers.ExtendLease(request), "NOT_FOUND", "SESSION_NOT_FOUND", **names)
        call = lite.lease(wait=0, session_id=session_id, session_secret=secret)
        await expect_refusal(call, "NOT_FOUND", "SESSION_NOT_FOUND", **names)
