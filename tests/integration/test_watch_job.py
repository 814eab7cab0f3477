"""WatchJob: all events in order and without a gap, live, and an end after the end of the job."""

import asyncio
import json
from typing import Any

from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as pb
from askback.v1 import worker_service_pb2 as wpb
from tests.support.refusals import expect_refusal
from tests.support.requests import CANCELLED, COMPLETED, answer, confirm
from tests.support.service import ServiceWorld
from tests.support.streams import EOF

T = job_pb2.JobEventType


async def events(call: Any, maximum: int = 10_000) -> list[job_pb2.JobEvent]:
    """The events of a stream up to its end, or up to a number."""
    found: list[job_pb2.JobEvent] = []
    while (message := await call.read()) is not EOF:
        assert message.events
        found += message.events
        if len(found) >= maximum:
            call.cancel()
            break
    return found


async def test_all_events_come_in_order_and_the_stream_ends_with_the_job(world: ServiceWorld) -> None:
    job = await world.create()
    live = world.jobs.WatchJob(pb.WatchJobRequest(job_id=job.job_id))
    first = await live.read()
    assert [e.seq for e in first.events] == [1]
    [lease] = (await world.lease()).jobs
    prompt = await world.ask(lease, "k", confirm("secret?"))
    await world.hitl.AnswerPrompt(answer(prompt, comment="my secret words"))
    await world.workers.AcknowledgePrompts(
        wpb.AcknowledgePromptsRequest(job_id=job.job_id, token=lease.token, prompt_ids=[prompt.prompt_id])
    )
    await world.workers.CompleteJob(wpb.CompleteJobRequest(job_id=job.job_id, token=lease.token))
    seen = [*first.events, *await events(live)]
    assert (await live.code()).name == "OK"
    assert [e.seq for e in seen] == list(range(1, len(seen) + 1))
    assert [T.Name(e.type).removeprefix("JOB_EVENT_TYPE_") for e in seen] == [
        "JOB_CREATED",
        "JOB_LEASED",
        "PROMPT_ASKED",
        "PROMPT_ANSWERED",
        "PROMPT_CONSUMED",
        "JOB_COMPLETED",
    ]
    assert [e.state for e in seen] == [1, 2, 3, 2, 2, COMPLETED]
    assert [e.actor for e in seen] == ["ada", "w", "w", "ada", "w", "w"]
    assert seen[2].prompt_id == prompt.prompt_id
    assert json.loads(seen[1].data_json)["token"] == 1
    assert not any("my secret words" in e.data_json for e in seen)
    again = await events(world.jobs.WatchJob(pb.WatchJobRequest(job_id=job.job_id)))
    assert again == seen
    rest = await events(world.jobs.WatchJob(pb.WatchJobRequest(job_id=job.job_id, after_seq=4)))
    assert rest == seen[4:]
    assert (await world.job(job.job_id)).version == seen[-1].seq


async def test_a_watch_after_the_last_event_ends_empty(lite: ServiceWorld) -> None:
    job = await lite.create()
    await lite.jobs.CancelJob(pb.CancelJobRequest(job_id=job.job_id))
    for after in (2, 100):
        assert await events(lite.jobs.WatchJob(pb.WatchJobRequest(job_id=job.job_id, after_seq=after))) == []


async def test_resumed_watches_deliver_each_event_once(world: ServiceWorld) -> None:
    lease = await world.lease_new_job()
    job_id, seen, last = lease.job.job_id, [], 0
    for i in range(6):
        await world.workers.SaveCheckpoint(
            wpb.SaveCheckpointRequest(job_id=job_id, token=lease.token, key=f"{i}", value_json="1")
        )
        part = await events(world.jobs.WatchJob(pb.WatchJobRequest(job_id=job_id, after_seq=last)), 1)
        seen += [e.seq for e in part]
        last = seen[-1]
    assert seen == list(range(1, 9))


async def test_a_log_of_several_pages_is_delivered_whole(lite: ServiceWorld) -> None:
    lease = await lite.lease_new_job()
    job_id = lease.job.job_id
    watch = lite.jobs.WatchJob(pb.WatchJobRequest(job_id=job_id))
    worker = lite.workers
    for start in range(0, 1100, 100):
        # More than a page of the log, while a watcher reads nothing.
        requests = (
            wpb.SaveCheckpointRequest(job_id=job_id, token=lease.token, key=f"{i}", value_json="1")
            for i in range(start, start + 100)
        )
        await asyncio.gather(*map(worker.SaveCheckpoint, requests))
    await worker.ReleaseJob(wpb.ReleaseJobRequest(job_id=job_id, token=lease.token))
    ended = (await lite.jobs.CancelJob(pb.CancelJobRequest(job_id=job_id))).job
    assert ended.state == CANCELLED
    assert ended.version > 1100
    assert [e.seq for e in await events(watch)] == list(range(1, ended.version + 1))


async def test_a_watch_of_an_unknown_job_is_refused(lite: ServiceWorld) -> None:
    call = lite.jobs.WatchJob(pb.WatchJobRequest(job_id="nonsense"))
    await expect_refusal(call.read(), "NOT_FOUND", "JOB_NOT_FOUND", job_id="nonsense")
