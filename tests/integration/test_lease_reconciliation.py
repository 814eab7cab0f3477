"""The server compares its leases with those that a worker reports, and resolves every difference."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from askback.v1 import job_pb2
from askback.v1 import worker_service_pb2 as pb
from askback_server.sessions.lease_book import digest_leases
from tests.support.job_events import LOST, events
from tests.support.refusals import SOON, expect_refusal
from tests.support.requests import FAILED, PENDING, RUNNING
from tests.support.service import SHORT_TTL, ServiceWorld, serving
from tests.support.streams import ABSENT_ID, Worker


@pytest.fixture
async def hasty(migrated_db_url: str) -> AsyncIterator[ServiceWorld]:
    """A service whose sessions expire soon, with a heartbeat every second."""
    async with serving(migrated_db_url, lease_ttl=SHORT_TTL) as running:
        yield running


def beat(received: int, *leases: Any) -> pb.WorkClientFrame:
    digest = digest_leases([(lease.job.job_id, lease.token) for lease in leases])
    said = pb.WorkLeaseDigest(count=digest.count, digest=digest.digest)
    return pb.WorkClientFrame(heartbeat=pb.WorkHeartbeat(received=received, leases=said))


def list_leases(*leases: Any, received: int = 0) -> pb.WorkHeldLeases:
    held = [pb.WorkHeldJob(job_id=lease.job.job_id, token=lease.token) for lease in leases]
    return pb.WorkHeldLeases(received=received, leases=held)


class Beating:
    """Sends a heartbeat at intervals, as a live worker does."""

    def __init__(self, worker: Worker, frame: Any) -> None:
        self.frame = frame
        self._task = asyncio.create_task(self._beat(worker))

    async def _beat(self, worker: Worker) -> None:
        while True:
            await worker.send(self.frame)
            await asyncio.sleep(SHORT_TTL / 6)

    async def __aenter__(self) -> Beating:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


# The Work stream.


async def test_a_job_that_its_worker_does_not_run_is_taken_back(lite: ServiceWorld) -> None:
    worker = lite.worker()
    await worker.hello(capacity=2)
    kept, dropped = [await lite.create() for _ in range(2)]
    leases = [await worker.next_job() for _ in range(2)]
    assert {lease.job.job_id for lease in leases} == {kept.job_id, dropped.job_id}
    await worker.send(beat(2, *leases))
    await worker.nothing_more()
    await worker.send(beat(2, leases[0]))
    await worker.expect("leases_wanted")
    await worker.send(pb.WorkClientFrame(held_leases=list_leases(leases[0], received=2)))
    lost = await worker.expect("lease_lost")
    assert (lost.job_id, lost.token) == (leases[1].job.job_id, leases[1].token)
    job = await lite.job(lost.job_id)
    assert (job.state, job.attempt, job.failure.code) == (PENDING, 2, "LEASE_LOST")
    assert (await lite.job(leases[0].job.job_id)).state == RUNNING
    await worker.ask(complete_job=pb.CompleteJobRequest(job_id=leases[0].job.job_id, token=leases[0].token))


async def test_a_lease_that_the_session_does_not_hold_is_lost(lite: ServiceWorld) -> None:
    worker = lite.worker()
    await worker.hello()
    await lite.create()
    lease = await worker.next_job()
    foreign = pb.LeasedJob(job=job_pb2.Job(job_id=ABSENT_ID), token=3)
    older = pb.LeasedJob(job=lease.job, token=0)
    await worker.send(beat(1, lease, foreign, older))
    await worker.expect("leases_wanted")
    await worker.send(pb.WorkClientFrame(held_leases=list_leases(lease, foreign, older, received=1)))
    lost = [await worker.expect("lease_lost") for _ in range(2)]
    assert {(x.job_id, x.token) for x in lost} == {(ABSENT_ID, 3), (lease.job.job_id, 0)}
    await worker.nothing_more()
    assert (await lite.job(lease.job.job_id)).state == RUNNING


async def test_a_busy_worker_is_never_asked_for_its_leases(lite: ServiceWorld) -> None:
    """Jobs start and end, so at every heartbeat some leases are in flight."""
    worker = lite.worker()
    await worker.hello(capacity=20)
    for _ in range(40):
        await lite.create()
    received = done = 0
    held: dict[str, Any] = {}

    async def end_one() -> None:
        lease = held.pop(next(iter(held)))
        end = pb.CompleteJobRequest(job_id=lease.job.job_id, token=lease.token)
        await worker.send(pb.WorkClientFrame(ref=received, complete_job=end), beat(received, *held.values()))

    while done < 40:
        frame = await worker.any_frame()
        name = frame.WhichOneof("body")
        assert name in ("job_leased", "complete_job", "heartbeat")
        if name == "job_leased":
            received += 1
            held[frame.job_leased.leased_job.job.job_id] = frame.job_leased.leased_job
        done += name == "complete_job"
        await worker.send(beat(received, *held.values()))
        if held and (received == 40 or len(held) > 10):
            await end_one()
    await worker.nothing_more()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_job_that_does_not_reach_its_worker_is_leased_again_without_an_attempt(
    hasty: ServiceWorld,
) -> None:
    """The worker's heartbeats arrive and report that it has received nothing."""
    deaf = hasty.worker()
    await deaf.hello(worker_id="deaf", capacity=5)
    await deaf.send(beat(0))
    job = await hasty.create(max_attempts=1)
    async with Beating(deaf, beat(0)):
        seen = await events(hasty, job.job_id, LOST)
        assert seen[-1].data_json.count('"received":false') == 1
        # It gets no further jobs until it has received this one.
        other = hasty.worker()
        await other.hello(worker_id="other")
        lease = await other.next_job()
    assert (lease.job.job_id, lease.token, lease.job.attempt) == (job.job_id, 2, 1)
    assert lease.job.failure.code == ""
    assert (await deaf.next_job()).token == 1
    assert (await deaf.expect("lease_lost")).token == 1


@pytest.mark.parametrize("says", [True, False])
async def test_a_vanished_worker_uses_an_attempt_only_if_it_may_have_the_job(
    hasty: ServiceWorld, says: bool
) -> None:
    """A worker that never reports what it received is assumed to have the job."""
    worker = hasty.worker()
    await worker.hello()
    if says:
        await worker.send(beat(0))
        await worker.nothing_more()
    job = await hasty.create()
    await worker.next_job()
    await worker.lose()
    await events(hasty, job.job_id, LOST)
    assert (await hasty.job(job.job_id)).attempt == (1 if says else 2)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_received_job_of_a_vanished_worker_used_an_attempt(hasty: ServiceWorld) -> None:
    worker = hasty.worker()
    await worker.hello()
    job = await hasty.create()
    await worker.next_job()
    await worker.send(pb.WorkClientFrame(heartbeat=pb.WorkHeartbeat(received=1)))
    await worker.nothing_more()
    await worker.lose()
    await events(hasty, job.job_id, LOST)
    assert (await hasty.job(job.job_id)).attempt == 2


# LeaseJobs and ExtendLease.


async def test_a_lost_reply_of_lease_jobs_uses_no_attempt(hasty: ServiceWorld) -> None:
    """The session is never heard of again, with one job or several, in the last attempt."""
    jobs = [await hasty.create(max_attempts=1) for _ in range(3)]
    lost = await hasty.lease(max_jobs=3)
    assert len(lost.jobs) == 3
    for job in jobs:
        await events(hasty, job.job_id, LOST)
        again = await hasty.job(job.job_id)
        assert (again.state, again.attempt) == (PENDING, 1)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("how", ["extend", "held", "digest", "lease again", "write"])
async def test_a_reply_of_lease_jobs_that_was_used_counts_as_an_attempt(
    hasty: ServiceWorld, how: str
) -> None:
    job = await hasty.create(max_attempts=1)
    leased = await hasty.lease()
    [lease] = leased.jobs
    session = {"session_id": leased.session_id, "session_secret": leased.session_secret}
    match how:
        case "extend":
            await hasty.workers.ExtendLease(pb.ExtendLeaseRequest(**session))
        case "held":
            await hasty.workers.ExtendLease(pb.ExtendLeaseRequest(**session, held=list_leases(lease)))
        case "digest":
            digest = beat(0, lease).heartbeat.leases
            reply = await hasty.workers.ExtendLease(pb.ExtendLeaseRequest(**session, digest=digest))
            assert not reply.leases_wanted
        case "lease again":
            # The second reply is lost, but the first one was not.
            await hasty.create("other", max_attempts=1)
            await hasty.lease("other", **session)
            await hasty.workers.ExtendLease(pb.ExtendLeaseRequest(**session))
        case "write":
            point = pb.SaveCheckpointRequest(job_id=job.job_id, token=lease.token, key="k", value_json="1")
            await hasty.workers.SaveCheckpoint(point)
    failed = await hasty.state(job.job_id, FAILED)
    assert failed.failure.code == "LEASE_LOST"


async def test_extend_lease_reports_lost_leases_and_takes_back_jobs_that_do_not_run(
    hasty: ServiceWorld,
) -> None:
    kept, missing = await hasty.create(), await hasty.create()
    leased = await hasty.lease(max_jobs=2)
    leases = {lease.job.job_id: lease for lease in leased.jobs}
    assert leases.keys() == {kept.job_id, missing.job_id}
    session = {"session_id": leased.session_id, "session_secret": leased.session_secret}
    digest = beat(0, leases[kept.job_id]).heartbeat.leases
    asked = await hasty.workers.ExtendLease(pb.ExtendLeaseRequest(**session, digest=digest))
    assert asked.leases_wanted
    foreign = pb.LeasedJob(job=job_pb2.Job(job_id=ABSENT_ID), token=3)
    held = list_leases(leases[kept.job_id], foreign)
    first = await hasty.workers.ExtendLease(pb.ExtendLeaseRequest(**session, held=held))
    assert [(x.job_id, x.token) for x in first.lost] == [(ABSENT_ID, 3)]
    # The reply may have been in flight: one list without the lease is not enough, nor a second one at once.
    await hasty.workers.ExtendLease(pb.ExtendLeaseRequest(**session, held=held))
    assert (await hasty.job(missing.job_id)).state == RUNNING

    async def wait_until_taken_back() -> None:
        while (await hasty.job(missing.job_id)).state == RUNNING:
            await hasty.workers.ExtendLease(pb.ExtendLeaseRequest(**session, held=held))
            await asyncio.sleep(SHORT_TTL / 6)

    await asyncio.wait_for(wait_until_taken_back(), SOON)
    back = await hasty.job(missing.job_id)
    assert (back.state, back.attempt) == (PENDING, 1)
    assert (await hasty.job(kept.job_id)).state == RUNNING
    end = pb.CompleteJobRequest(job_id=missing.job_id, token=leases[missing.job_id].token)
    await expect_refusal(hasty.workers.CompleteJob(end), "FAILED_PRECONDITION", "LEASE_LOST")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_lease_missing_from_some_lists_only_is_not_taken_back(hasty: ServiceWorld) -> None:
    await hasty.create()
    leased = await hasty.lease()
    session = {"session_id": leased.session_id, "session_secret": leased.session_secret}
    every = SHORT_TTL / 6
    for lists in (list_leases(), list_leases(*leased.jobs)) * 4:
        await hasty.workers.ExtendLease(pb.ExtendLeaseRequest(**session, held=lists))
        await asyncio.sleep(every)
    assert (await hasty.job(leased.jobs[0].job.job_id)).state == RUNNING
