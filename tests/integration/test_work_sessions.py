"""Worker sessions: expiry, resumption, fencing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import worker_service_pb2 as pb
from tests.support.refusals import check, expect_refusal
from tests.support.requests import FAILED, PENDING_HITL, RUNNING, answer, confirm
from tests.support.service import SHORT_TTL, ServiceWorld, serving
from tests.support.streams import ABSENT_ID, Worker
from tests.support.waiting import until


@pytest.fixture
async def hasty(migrated_db_url: str) -> AsyncIterator[ServiceWorld]:
    """A service whose sessions expire soon and are reaped often."""
    async with serving(migrated_db_url, lease_ttl=SHORT_TTL) as running:
        yield running


def of(leased: Any, **fields: Any) -> dict[str, Any]:
    return {"job_id": leased.job.job_id, "token": leased.token, **fields}


def jobs_to_resume(*leases: Any) -> list[pb.WorkHeldJob]:
    return [pb.WorkHeldJob(job_id=lease.job.job_id, token=lease.token) for lease in leases]


async def resume(world: ServiceWorld, before: Worker, *leases: Any, **hello: Any) -> tuple[Worker, Any]:
    """The same worker on a new stream, with the jobs that it still runs."""
    worker = world.worker()
    hello = {"session_id": before.session_id, "session_secret": before.secret, **hello}
    return worker, await worker.hello(held_jobs=jobs_to_resume(*leases), **hello)


async def test_a_silent_worker_loses_its_job_to_another_with_a_higher_token(hasty: ServiceWorld) -> None:
    world = hasty
    dead = world.worker()
    await dead.hello(worker_id="dead")
    job = await world.create()
    old = await dead.next_job()
    lost = await dead.expect("lease_lost")  # it never sent a heartbeat
    assert (lost.job_id, lost.token) == (job.job_id, old.token)
    found = await dead.wait_for_end()
    assert found is not None
    check(found, "NOT_FOUND", "SESSION_NOT_FOUND", session_id=dead.session_id)

    other = world.worker()
    await other.hello(worker_id="other")

    async def beat() -> Any:
        while True:
            await other.send(pb.WorkClientFrame(heartbeat=pb.WorkHeartbeat()))
            frame = await other.any_frame()
            if frame.WhichOneof("body") == "job_leased":
                return frame.job_leased.leased_job

    new = await beat()
    assert (new.job.job_id, new.token, new.job.attempt) == (job.job_id, 2, 2)
    assert new.job.failure.code == "LEASE_LOST"
    for request in (
        world.workers.CompleteJob(pb.CompleteJobRequest(**of(old))),
        world.workers.SaveCheckpoint(pb.SaveCheckpointRequest(**of(old, key="k", value_json="1"))),
        world.workers.AskPrompt(pb.AskPromptRequest(**of(old, key="k", content=confirm()))),
        world.workers.ReportProgress(pb.ReportProgressRequest(**of(old))),
        world.workers.FailJob(pb.FailJobRequest(**of(old))),
        world.workers.ReleaseJob(pb.ReleaseJobRequest(**of(old))),
        world.workers.AcknowledgePrompts(pb.AcknowledgePromptsRequest(**of(old))),
    ):
        await expect_refusal(request, "FAILED_PRECONDITION", "LEASE_LOST", job_id=job.job_id, token="1")
    await expect_refusal(
        world.jobs.UpdateDeepUnderstanding(
            jpb.UpdateDeepUnderstandingRequest(
                deep_understanding=job_pb2.DeepUnderstanding(job_id=job.job_id),
                update_mask={"paths": ["complete"]},  # type: ignore[arg-type]
                token=old.token,
            )
        ),
        "FAILED_PRECONDITION",
        "LEASE_LOST",
    )
    assert (await world.job(job.job_id)).token == 2


async def test_heartbeats_extend_a_session_and_return_its_expiry(hasty: ServiceWorld) -> None:
    worker = hasty.worker()
    welcome = await worker.hello()
    assert welcome.heartbeat_interval.ToTimedelta().total_seconds() == pytest.approx(SHORT_TTL / 3)
    await hasty.create()
    leased = await worker.next_job()
    until_ = []
    for _ in range(6):  # twice the time to live
        await worker.send(pb.WorkClientFrame(heartbeat=pb.WorkHeartbeat()))
        frame = await worker.any_frame()
        assert frame.WhichOneof("body") == "heartbeat", frame
        until_.append(frame.heartbeat.expire_time.ToDatetime())
    assert until_ == sorted(until_)
    assert until_[-1] > until_[0]
    await worker.ask(complete_job=pb.CompleteJobRequest(**of(leased)))


async def test_a_lost_lease_in_the_last_attempt_fails_the_job(lite_url: str) -> None:
    async with serving(lite_url, lease_ttl=SHORT_TTL) as world:
        worker = world.worker()
        await worker.hello()
        job = await world.create(max_attempts=1)
        await worker.next_job()
        await worker.lose()
        failed = await world.state(job.job_id, FAILED)
        assert failed.failure.code == "LEASE_LOST"


async def test_a_job_that_waits_for_people_survives_its_worker(hasty: ServiceWorld) -> None:
    world = hasty
    worker = world.worker()
    await worker.hello()
    await world.create(max_attempts=1)
    leased = await worker.next_job()
    asked = await worker.ask(ask_prompt=pb.AskPromptRequest(**of(leased, key="k", content=confirm())))
    await worker.lose()
    call = world.jobs.WatchJob(jpb.WatchJobRequest(job_id=leased.job.job_id))
    seen: list[int] = []
    while job_pb2.JOB_EVENT_TYPE_JOB_LEASE_LOST not in seen:
        seen += [e.type for e in (await call.read()).events]
    call.cancel()
    parked = await world.job(leased.job.job_id)
    assert (parked.state, parked.attempt, parked.worker_id) == (PENDING_HITL, 1, "")
    await world.hitl.AnswerPrompt(answer(asked.prompt))
    [again] = (await world.lease()).jobs
    assert (again.token, again.job.attempt) == (2, 1)
    assert again.prompts[0].resolution.answer.answer_id == "a-1"


async def test_a_resumed_session_keeps_its_leases_and_receives_missed_frames(world: ServiceWorld) -> None:
    worker = world.worker()
    await worker.hello(capacity=5)
    leases = {}
    for name in ("answered", "cancelled", "quiet", "confirmed"):
        await world.create(labels={"name": name})
        leased = await worker.next_job()
        leases[leased.job.labels["name"]] = leased

    async def ask_in(name: str) -> Any:
        request = pb.AskPromptRequest(**of(leases[name], key="k", content=confirm()))
        return (await worker.ask(ask_prompt=request)).prompt

    prompt, known = await ask_in("answered"), await ask_in("confirmed")
    await world.hitl.AnswerPrompt(answer(known))
    await worker.expect("prompt_resolved")
    seen = pb.AcknowledgePromptsRequest(**of(leases["confirmed"], prompt_ids=[known.prompt_id]))
    await worker.ask(acknowledge_prompts=seen)
    await worker.lose()
    await world.hitl.AnswerPrompt(answer(prompt, "while away"))
    await world.jobs.CancelJob(jpb.CancelJobRequest(job_id=leases["cancelled"].job.job_id, reason="enough"))

    again, welcome = await resume(world, worker, *leases.values(), capacity=5)
    assert welcome.resumed
    assert (welcome.session_id, list(welcome.lost_job_ids)) == (worker.session_id, [])
    told = {}
    for _ in range(2):
        frame = await again.frame()
        told[frame.WhichOneof("body")] = frame
    assert told["prompt_resolved"].prompt_resolved.prompt.resolution.answer.answer_id == "while away"
    assert told["cancel_requested"].cancel_requested.reason == "enough"
    await again.nothing_more()  # a confirmed resolution is not sent again
    for name in ("answered", "quiet"):  # same tokens
        await again.ask(complete_job=pb.CompleteJobRequest(**of(leases[name])))
    # Until its receipt it is sent again, once per stream.
    last, _ = await resume(world, again, leases["cancelled"], leases["confirmed"], capacity=5)
    assert (await last.expect("cancel_requested")).job_id == leases["cancelled"].job.job_id
    await last.nothing_more()


async def test_a_cancel_request_that_commits_while_a_session_resumes_is_not_missed(
    lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit comes after the session's jobs were read, and before the stream follows them."""
    worker = lite.worker()
    await worker.hello()
    await lite.create()
    leased = await worker.next_job()
    await worker.lose()
    replica = lite.service.replica
    list_held = replica.jobs.list_held

    async def cancel_after_the_read(*args: Any) -> Any:
        found = await list_held(*args)
        monkeypatch.undo()
        await lite.jobs.CancelJob(jpb.CancelJobRequest(job_id=leased.job.job_id, reason="enough"))
        return found

    monkeypatch.setattr(replica.jobs, "list_held", cancel_after_the_read)
    again, welcome = await resume(lite, worker, leased)
    assert welcome.resumed
    assert (await again.expect("cancel_requested")).job_id == leased.job.job_id
    await again.nothing_more()


async def test_a_resumed_worker_learns_of_lost_jobs_and_receives_missed_ones(
    world: ServiceWorld,
) -> None:
    worker = world.worker()
    await worker.hello(capacity=5)
    for _ in range(3):
        await world.create()
    kept, unheard, released = [await worker.next_job() for _ in range(3)]
    await worker.ask(release_job=pb.ReleaseJobRequest(**of(released)))
    again_leased = await worker.next_job()
    assert again_leased.job.job_id == released.job.job_id
    await worker.ask(complete_job=pb.CompleteJobRequest(**of(again_leased)))
    await worker.lose()
    unknown = pb.LeasedJob(job=job_pb2.Job(job_id=ABSENT_ID), token=7)
    again, welcome = await resume(world, worker, kept, released, unknown, capacity=5)
    assert sorted(welcome.lost_job_ids) == sorted([released.job.job_id, ABSENT_ID])
    handed = await again.next_job()
    assert (handed.job.job_id, handed.token) == (unheard.job.job_id, unheard.token)
    await again.nothing_more()
    for lease in (kept, unheard):
        await again.ask(complete_job=pb.CompleteJobRequest(**of(lease)))


@pytest.mark.parametrize(
    "hello",
    [{"session_secret": "wrong"}, {"session_id": ABSENT_ID}, {"session_secret": ""}, {"namespace": "other"}],
)
async def test_a_session_is_not_resumed_without_its_secret(lite: ServiceWorld, hello: dict[str, str]) -> None:
    worker = lite.worker()
    await worker.hello()
    await lite.create()
    leased = await worker.next_job()
    other = lite.worker()
    names = {"session_id": worker.session_id, "session_secret": worker.secret, **hello}
    body = pb.WorkHello(worker_id="w", job_types=["t"], **names)
    await other.send(pb.WorkClientFrame(ref=1, hello=body))
    found = await other.wait_for_end()
    assert found is not None
    check(found, "NOT_FOUND", "SESSION_NOT_FOUND", session_id=names["session_id"])
    if "namespace" not in hello:
        await worker.ask(complete_job=pb.CompleteJobRequest(**of(leased)))


async def test_a_session_can_be_resumed_only_by_its_principal(lite: ServiceWorld) -> None:
    worker = lite.worker()
    await worker.hello()
    other = lite.worker(lite.as_user("bob"))
    body = pb.WorkHello(
        worker_id="w", job_types=["t"], session_id=worker.session_id, session_secret=worker.secret
    )
    await other.send(pb.WorkClientFrame(ref=1, hello=body))
    found = await other.wait_for_end()
    assert found is not None
    check(found, "NOT_FOUND", "SESSION_NOT_FOUND")
    extend = pb.ExtendLeaseRequest(session_id=worker.session_id, session_secret=worker.secret)
    await expect_refusal(lite.as_user("bob").workers.ExtendLease(extend), "NOT_FOUND", "SESSION_NOT_FOUND")


async def test_an_older_stream_of_a_resumed_session_is_fenced_off(world: ServiceWorld) -> None:
    old = world.worker()
    await old.hello()
    await world.create()
    leased = await old.next_job()
    new, welcome = await resume(world, old, leased)
    assert welcome.resumed
    # It does not report a lost lease, because the worker has it on the new stream.
    assert await old.wait_for_end() is None
    assert (await world.job(leased.job.job_id)).state == RUNNING
    await new.ask(complete_job=pb.CompleteJobRequest(**of(leased)))


async def test_an_expired_session_never_revives(lite_url: str) -> None:
    async with serving(lite_url, lease_ttl=SHORT_TTL) as world:
        worker = world.worker()
        await worker.hello()
        await world.create()
        leased = await worker.next_job()
        await worker.lose()
        call = world.jobs.WatchJob(jpb.WatchJobRequest(job_id=leased.job.job_id))
        seen: list[int] = []
        while job_pb2.JOB_EVENT_TYPE_JOB_LEASE_LOST not in seen:
            seen += [e.type for e in (await call.read()).events]
        call.cancel()
        for request in (
            world.workers.ExtendLease(
                pb.ExtendLeaseRequest(session_id=worker.session_id, session_secret=worker.secret)
            ),
            world.lease(session_id=worker.session_id, session_secret=worker.secret),
        ):
            await expect_refusal(request, "NOT_FOUND", "SESSION_NOT_FOUND", session_id=worker.session_id)
        other = world.worker()
        body = pb.WorkHello(
            worker_id="w", job_types=["t"], session_id=worker.session_id, session_secret=worker.secret
        )
        await other.send(pb.WorkClientFrame(ref=1, hello=body))
        found = await other.wait_for_end()
        assert found is not None
        check(found, "NOT_FOUND", "SESSION_NOT_FOUND")


async def test_a_lease_lost_with_its_stream_is_sent_on_resuming(
    lite: ServiceWorld,
) -> None:
    worker = lite.worker()
    await worker.hello(capacity=50)
    made = {(await lite.create()).job_id for _ in range(20)}
    await worker.lose()
    await until(lambda: not lite.service.replica.streams)
    again, _ = await resume(lite, worker, capacity=50)
    got = set()
    while got != made:
        got.add((await again.next_job()).job.job_id)
    await again.nothing_more()
