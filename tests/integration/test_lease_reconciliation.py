"""Server and worker compare their leases, and every difference is resolved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import pytest

from askback import Client, Job
from askback import Worker as SdkWorker
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import worker_service_pb2 as pb
from askback_server.sessions.lease_book import digest_leases
from tests.faults.proxy import Link
from tests.support.processes import Processes
from tests.support.refusals import SOON, expect_refusal
from tests.support.requests import FAILED, PENDING, RUNNING
from tests.support.service import SHORT_TTL, ServiceWorld, serving
from tests.support.streams import ABSENT_ID, Worker
from tests.support.waiting import until


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


async def events(world: ServiceWorld, job_id: str, wanted: int, count: int = 1) -> list[Any]:
    """A job's events up to the `count`th of a type."""
    call = world.jobs.WatchJob(jpb.WatchJobRequest(job_id=job_id))
    seen: list[Any] = []
    while sum(event.type == wanted for event in seen) < count:
        seen += (await call.read()).events
    call.cancel()
    return seen


LOST = job_pb2.JOB_EVENT_TYPE_JOB_LEASE_LOST


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


# The SDK.


@pytest.fixture
async def hasty_lite(lite_url: str) -> AsyncIterator[ServiceWorld]:
    """`hasty` on SQLite."""
    async with serving(lite_url, lease_ttl=SHORT_TTL) as running:
        yield running


async def wait_past_old_timers(world: ServiceWorld) -> None:
    """Wait until a session has been extended for longer than any timer of an earlier one runs.

    Between two streams of the worker the server knows no session, or still the one before.
    """
    live = world.service.replica.keeper._live
    await until(lambda: live)
    latest = max(session.expires_at for session in live.values())
    wanted = latest + timedelta(seconds=1.3 * SHORT_TTL)
    await until(lambda: any(session.expires_at > wanted for session in live.values()))


@pytest.fixture
async def link(hasty_lite: ServiceWorld) -> AsyncIterator[Link]:
    """A connection from a worker to the server that tests can break."""
    link = Link("worker", lambda: hasty_lite.service.port)
    await link.open()
    yield link
    await link.close()


@pytest.mark.parametrize("side", ["server", "client"])
async def test_a_half_open_connection_costs_no_job_and_no_attempt(
    hasty_lite: ServiceWorld, link: Link, side: str
) -> None:
    """One direction loses its data: a job in flight is run once, and jobs of the next session stay."""
    worker = SdkWorker(f"127.0.0.1:{link.port}", user="ada", worker_id="w")
    runs: list[tuple[str, int]] = []
    gate = asyncio.Event()

    @worker.job("t")
    async def wait(job: Job) -> str:
        runs.append((job.job_id, job.attempt))
        await gate.wait()
        return "done"

    async with worker, Client(f"127.0.0.1:{hasty_lite.service.port}", user="ada") as client:
        link.half_open(side)
        run = await client.start("t")
        if side == "server":
            await events(hasty_lite, run.job_id, LOST)
        else:
            await until(lambda: hasty_lite.service.replica.keeper.present == [])
        link.heal()
        await until(lambda: worker.connected and runs)
        late = await client.start("t")
        await until(lambda: any(job_id == late.job_id for job_id, _ in runs))
        await wait_past_old_timers(hasty_lite)
        gate.set()
        assert [await run.result(), await late.result()] == ["done", "done"]
    if side == "server":
        assert set(runs) == {(run.job_id, 1), (late.job_id, 1)}


async def test_a_job_that_a_worker_drops_silently_is_run_again(hasty_lite: ServiceWorld) -> None:
    """For any cause: the next heartbeats leave the job out."""
    worker = SdkWorker(f"127.0.0.1:{hasty_lite.service.port}", user="ada", worker_id="w")
    gate = asyncio.Event()
    runs: list[int] = []

    @worker.job("t")
    async def wait(job: Job) -> int:
        runs.append(job.attempt)
        await gate.wait()
        return job.attempt

    async with worker, Client(f"127.0.0.1:{hasty_lite.service.port}", user="ada") as client:
        dropped, kept = await client.start("t"), await client.start("t")
        await until(lambda: len(runs) == 2)
        for lease, task in list(worker._runs.items()):
            if lease.job_id == dropped.job_id:
                task.cancel()
        await until(lambda: runs == [1, 1, 2])
        gate.set()
        assert [await dropped.result(), await kept.result()] == [2, 1]


async def test_a_short_outage_ends_no_function(hasty_lite: ServiceWorld, link: Link) -> None:
    """After an outage of most of the session's time to live, the worker resumes with its job."""
    worker = SdkWorker(f"127.0.0.1:{link.port}", user="ada", worker_id="w")
    gate = asyncio.Event()
    ended: list[str] = []

    @worker.job("t")
    async def wait(job: Job) -> str:
        try:
            await gate.wait()
        finally:
            ended.append("cancelled" if not gate.is_set() else "done")
        return f"attempt {job.attempt}"

    async with worker, Client(f"127.0.0.1:{hasty_lite.service.port}", user="ada") as client:
        run = await client.start("t")
        await until(lambda: worker.holding)
        session = worker._protocol.session if worker._protocol else None
        assert session is not None
        link.cut()
        await until(lambda: not worker.connected and session._expiry is not None)
        loop = asyncio.get_running_loop()
        # After half of the remaining time, a worker that assumed an earlier expiry would have stopped.
        half = (session._expiry.when() - loop.time()) / 2 if session._expiry else 0.0
        assert half > SHORT_TTL / 3
        link.heal()
        await until(lambda: worker.connected)
        assert worker._protocol is not None
        assert worker._protocol.session is session
        gate.set()
        assert await run.result() == "attempt 1"
    assert ended == ["done"]


async def test_a_frozen_worker_loses_nothing_of_its_next_session(
    hasty_lite: ServiceWorld, tmp_path: Path
) -> None:
    """SIGSTOP for longer than its lease: the job that was pushed meanwhile runs elsewhere without using an
    attempt, and the resumed worker keeps the jobs that it then receives.
    """
    processes, gate = Processes(tmp_path), tmp_path / "gate"
    target = f"127.0.0.1:{hasty_lite.service.port}"
    frozen = processes.module("frozen", "tests.e2e.programs.worker", target, "frozen", str(tmp_path))
    keeper = hasty_lite.service.replica.keeper
    try:
        await frozen.wait_for_event("connected")
        async with Client(target, user="ana") as client:
            frozen.signal(SIGSTOP)
            run = await client.start("story", {"keys": [], "gate": str(gate), "gate_at": "first"})
            await events(hasty_lite, run.job_id, LOST)
            assert (await run.job()).attempt == 1
            await until(lambda: not keeper.present)
            frozen.signal(SIGCONT)
            runs = await frozen.wait_for_event("at gate")
            assert (await run.job()).attempt == 1
            await wait_past_old_timers(hasty_lite)
            gate.touch()
            assert await run.result() == {}
            assert (await run.job()).proto.token == runs["token"]
    finally:
        processes.end()
