"""When jobs start and when they end, by the real clock, as clients and workers see it."""

from __future__ import annotations

import json
import re

from google.protobuf.timestamp_pb2 import Timestamp

from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as wpb
from tests.support.refusals import expect_refusal
from tests.support.requests import COMPLETED, FAILED, PENDING_HITL, answer, confirm, seconds
from tests.support.service import ServiceWorld, serving
from tests.support.shell import Shell


async def events_of(world: ServiceWorld, job_id: str) -> list[job_pb2.JobEvent]:
    """The whole log of an ended job."""
    call = world.jobs.WatchJob(jpb.WatchJobRequest(job_id=job_id))
    return [event async for message in call for event in message.events]


async def time_of_lease(world: ServiceWorld, job_id: str) -> Timestamp:
    request = jpb.WatchJobRequest(job_id=job_id)
    call = world.jobs.WatchJob(request)
    async for message in call:
        for event in message.events:
            if event.type == job_pb2.JOB_EVENT_TYPE_JOB_LEASED:
                call.cancel()
                return event.time
    raise AssertionError("never leased")


async def test_a_delayed_job_is_pushed_at_its_start(world: ServiceWorld) -> None:
    worker = world.worker()
    await worker.hello(capacity=3)
    now = await world.create()
    delayed = await world.create(start_delay=seconds(2))
    named = Timestamp()
    named.FromNanoseconds(delayed.create_time.ToNanoseconds() + 1_000_000_000)
    timed = await world.create(start_time=named)
    assert delayed.ready_time.ToNanoseconds() - delayed.create_time.ToNanoseconds() == 2_000_000_000
    assert timed.ready_time == named
    told = [(await worker.next_job()).job.job_id for _ in range(3)]
    assert told == [now.job_id, timed.job_id, delayed.job_id]
    for job in (timed, delayed):
        assert (await time_of_lease(world, job.job_id)).ToNanoseconds() >= job.ready_time.ToNanoseconds()


async def test_a_delayed_start_survives_a_server_restart(migrated_db_url: str) -> None:
    async with serving(migrated_db_url) as world:
        job = await world.create(start_delay=seconds(1))
    async with serving(migrated_db_url) as world:
        worker = world.worker()
        await worker.hello()
        assert (await worker.next_job()).job.job_id == job.job_id
        assert (await time_of_lease(world, job.job_id)).ToNanoseconds() >= job.ready_time.ToNanoseconds()


async def test_a_deadline_ends_the_job_for_its_worker_and_its_people(world: ServiceWorld) -> None:
    worker, console = world.worker(), world.console()
    await worker.hello()
    await console.hello()
    await console.snapshot()
    job = await world.create(timeout=seconds(2.5))
    leased = await worker.next_job()
    prompt = await world.ask(leased, "k")
    await console.event("upserted")
    closed = await console.event("closed")
    assert (closed.prompt_id, closed.resolution.state) == (prompt.prompt_id, prompts.PROMPT_STATE_CANCELLED)
    assert (await worker.expect("lease_lost")).job_id == job.job_id
    ended = await world.job(job.job_id)
    assert (ended.state, ended.failure.code) == (FAILED, "DEADLINE_EXCEEDED")
    assert ended.expire_time == job.expire_time
    assert ended.complete_time.ToNanoseconds() >= job.expire_time.ToNanoseconds()
    await expect_refusal(world.hitl.AnswerPrompt(answer(prompt)), "FAILED_PRECONDITION", "PROMPT_CLOSED")
    done = wpb.CompleteJobRequest(job_id=job.job_id, token=leased.token)
    await expect_refusal(world.workers.CompleteJob(done), "FAILED_PRECONDITION", "LEASE_LOST")


async def test_an_attempt_that_runs_too_long_goes_to_another_worker(world: ServiceWorld) -> None:
    worker = world.worker()
    await worker.hello()
    job = await world.create(run_timeout=seconds(2), max_attempts=2)
    first = await worker.next_job()
    assert first.job.HasField("run_expire_time")
    prompt = await world.ask(first, "k")
    assert not (await world.job(job.job_id)).HasField("run_expire_time"), "its clock stands still"
    await world.hitl.AnswerPrompt(answer(prompt))
    assert (await worker.expect("prompt_resolved")).prompt.prompt_id == prompt.prompt_id
    assert (await worker.expect("lease_lost")).token == first.token
    second = await worker.next_job()
    assert (second.job.attempt, second.token) == (2, first.token + 1)
    assert [p.key for p in second.prompts] == ["k"], "what people said is there"
    assert (await worker.expect("lease_lost")).token == second.token
    ended = await world.job(job.job_id)
    assert (ended.state, ended.failure.code) == (FAILED, "RUN_TIMEOUT")
    kinds = [job_pb2.JobEventType.Name(e.type)[15:] for e in await events_of(world, job.job_id)]
    assert kinds == [
        "JOB_CREATED",
        "JOB_LEASED",
        "PROMPT_ASKED",
        "PROMPT_ANSWERED",
        "JOB_RETRIED",
        "JOB_LEASED",
        "JOB_FAILED",
    ]


async def test_a_retry_has_the_same_limits_and_starts_at_once(lite: ServiceWorld) -> None:
    job = await lite.create(timeout=seconds(0.2), run_timeout=seconds(9), start_delay=seconds(0.1))
    await lite.state(job.job_id, FAILED)
    again = (await lite.jobs.RetryJob(jpb.RetryJobRequest(job_id=job.job_id))).job
    assert (again.timeout, again.run_timeout) == (job.timeout, job.run_timeout)
    assert again.ready_time == again.create_time
    assert again.expire_time.ToNanoseconds() - again.create_time.ToNanoseconds() == 200_000_000


async def test_contradictory_times_are_refused_field_by_field(lite: ServiceWorld) -> None:
    for field in ("start_delay", "timeout", "run_timeout"):
        request = jpb.CreateJobRequest(job_type="t", **{field: seconds(-1)})
        found = await expect_refusal(lite.jobs.CreateJob(request), "INVALID_ARGUMENT", "INVALID_FIELD")
        assert found.violations.keys() == {field}
    request = jpb.CreateJobRequest(
        job_type="t", prompt=confirm(), start_delay=seconds(1), run_timeout=seconds(1)
    )
    found = await expect_refusal(lite.jobs.CreateJob(request), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert found.violations.keys() == {"start_delay", "run_timeout"}


async def test_the_command_line_sets_and_explains_job_times(lite: ServiceWorld, shell: Shell) -> None:
    words = ("t", "--delay", "1h", "--deadline", "1d", "--run-timeout", "10m")
    job_id = (await shell.ok("job", "start", *words)).out.strip()
    job = await lite.job(job_id)
    assert [job.timeout.seconds, job.run_timeout.seconds] == [86_400, 600]
    assert job.ready_time.seconds - job.create_time.seconds in (3600, 3601)
    told = (await shell.ok("explain", job_id)).out
    assert re.search(r"starts in (1 h|59 min \d+ s|59 min) \(", told), told
    assert re.search(r"it fails in 1 d.* unless it has ended by then", told), told
    held = await lite.lease_new_job(run_timeout=seconds(600))
    told = (await shell.ok("explain", held.job.job_id)).out
    assert "; the attempt times out in " in told
    shown = json.loads((await shell.ok("explain", held.job.job_id, "--json")).out)
    assert shown["job"]["runTimeout"] == "600s"


async def test_a_workerless_job_may_have_a_deadline(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt(timeout=seconds(2))
    assert (await lite.job(prompt.job_id)).state == PENDING_HITL
    job = await lite.state(prompt.job_id, FAILED)
    assert job.failure.code == "DEADLINE_EXCEEDED"
    other = await lite.create_prompt(timeout=seconds(60))
    await lite.hitl.AnswerPrompt(answer(other))
    assert (await lite.job(other.job_id)).state == COMPLETED
