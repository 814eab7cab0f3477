"""How a worker ends a lease without completing the job: failures, releases and cancel requests."""

from datetime import timedelta

import pytest

from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import worker_service_pb2 as pb
from tests.support.requests import (
    CANCELLED,
    FAILED,
    PENDING,
    PENDING_HITL,
    RUNNING,
    answer,
    confirm,
    of,
    seconds,
)
from tests.support.service import ServiceWorld


async def test_a_retryable_failure_is_leased_again_with_the_next_attempt(world: ServiceWorld) -> None:
    worker = world.worker()
    await worker.hello()
    job = await world.create(max_attempts=2)
    first = await worker.next_job()
    failure = job_pb2.Failure(code="Oops", message="no luck", details_json="[1]")
    request = pb.FailJobRequest(**of(first, failure=failure, retryable=True, retry_delay=seconds(0.001)))
    failed = (await worker.ask(fail_job=request)).job
    assert (failed.state, failed.attempt, failed.failure.code) == (PENDING, 2, "Oops")
    second = await worker.next_job()
    assert (second.job.job_id, second.token, second.job.attempt) == (job.job_id, 2, 2)
    request = pb.FailJobRequest(**of(second, failure=failure, retryable=True, retry_delay=seconds(0.001)))
    failed = (await worker.ask(fail_job=request)).job
    assert (failed.state, failed.attempt) == (FAILED, 2)
    assert failed.failure == failure
    await worker.nothing_more()


async def test_the_backoff_keeps_a_failed_job_away(lite: ServiceWorld) -> None:
    worker = lite.worker()
    await worker.hello()
    await lite.create()
    leased = await worker.next_job()
    request = pb.FailJobRequest(**of(leased, failure=job_pb2.Failure(code="E"), retryable=True))
    failed = (await worker.ask(fail_job=request)).job
    assert failed.ready_time.ToDatetime() > failed.update_time.ToDatetime()
    own = pb.FailJobRequest(**of(leased, retry_delay=seconds(-1)))
    await worker.ask_refused("INVALID_ARGUMENT", "INVALID_FIELD", fail_job=own)
    # It becomes ready without a wake-up of the dispatcher.
    assert (await worker.next_job()).job.attempt == 2


async def test_a_released_job_is_leased_to_another_worker(lite: ServiceWorld) -> None:
    worker = lite.worker()
    await worker.hello()
    await lite.create()
    leased = await worker.next_job()
    await worker.send(pb.WorkClientFrame(capacity=pb.WorkCapacity(capacity=0)))
    other = lite.worker()
    await other.hello()
    released = (await worker.ask(release_job=pb.ReleaseJobRequest(**of(leased)))).job
    assert (released.state, released.attempt, released.worker_id) == (PENDING, 1, "")
    again = await other.next_job()
    assert (again.token, again.job.attempt) == (2, 1)
    progress = pb.ReportProgressRequest(**of(leased))
    found = await worker.ask_refused("FAILED_PRECONDITION", "LEASE_LOST", report_progress=progress)
    assert found.metadata == {"job_id": leased.job.job_id, "token": "1"}


async def test_a_parked_job_is_not_leased_until_it_is_answered(world: ServiceWorld) -> None:
    worker = world.worker()
    await worker.hello()
    await world.create()
    leased = await worker.next_job()
    asked = await worker.ask(ask_prompt=pb.AskPromptRequest(**of(leased, key="k", content=confirm())))
    parked = (await worker.ask(release_job=pb.ReleaseJobRequest(**of(leased)))).job
    assert (parked.state, parked.worker_id) == (PENDING_HITL, "")
    await worker.nothing_more()
    await world.hitl.AnswerPrompt(answer(asked.prompt, comment="yes"))
    again = await worker.next_job()
    assert (again.token, again.job.attempt) == (2, 1)
    [prompt] = again.prompts
    assert prompt.resolution.answer.comment == "yes"
    # Asking again by the same key gives the answer at once.
    repeated = await worker.ask(ask_prompt=pb.AskPromptRequest(**of(again, key="k", content=confirm())))
    assert repeated.replayed
    assert repeated.prompt == prompt


@pytest.mark.parametrize("how", ["fail_job", "release_job"])
async def test_a_cancel_request_is_confirmed_by_the_worker(world: ServiceWorld, how: str) -> None:
    worker = world.worker()
    await worker.hello()
    await world.create()
    leased = await worker.next_job()
    wish = jpb.CancelJobRequest(job_id=leased.job.job_id, reason="too late")
    assert (await world.jobs.CancelJob(wish)).job.state == RUNNING
    told = await worker.expect("cancel_requested")
    assert (told.job_id, told.reason) == (leased.job.job_id, "too late")
    await world.jobs.CancelJob(wish)
    await worker.nothing_more()  # once is enough
    message = {"fail_job": pb.FailJobRequest, "release_job": pb.ReleaseJobRequest}[how]
    done = await worker.ask(**{how: message(**of(leased))})
    assert done.job.state == CANCELLED
    await worker.nothing_more()


async def test_a_worker_that_ignores_a_cancel_request_loses_the_job_after_the_grace(
    lite: ServiceWorld,
) -> None:
    object.__setattr__(lite.service.replica.limits, "cancel_grace", timedelta(seconds=0.2))
    worker = lite.worker()
    await worker.hello()
    await lite.create()
    leased = await worker.next_job()
    await lite.jobs.CancelJob(jpb.CancelJobRequest(job_id=leased.job.job_id))
    await worker.expect("cancel_requested")
    lost = await worker.expect("lease_lost")
    assert (lost.job_id, lost.token) == (leased.job.job_id, leased.token)
    assert (await lite.job(leased.job.job_id)).state == CANCELLED
    late = pb.CompleteJobRequest(**of(leased))
    await worker.ask_refused("FAILED_PRECONDITION", "LEASE_LOST", complete_job=late)
