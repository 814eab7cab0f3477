"""Work: hello, leases within the capacity, progress, refused frames, goodbye and drain."""

import asyncio
from typing import Any

import pytest

from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import worker_service_pb2 as pb
from tests.support.refusals import SOON, check, expect_refusal, frame_refusal
from tests.support.requests import (
    COMPLETED,
    PENDING,
    PENDING_HITL,
    RUNNING,
    answer,
    confirm,
    of,
)
from tests.support.service import ServiceWorld, serving
from tests.support.streams import ABSENT_ID
from tests.support.waiting import until


def frame(ref: int = 0, **body: Any) -> pb.WorkClientFrame:
    return pb.WorkClientFrame(ref=ref, **body)


async def test_a_worker_gets_a_job_and_completes_it(world: ServiceWorld) -> None:
    worker = world.worker()
    welcome = await worker.hello("t", worker_id="w1")
    assert (welcome.resumed, list(welcome.lost_job_ids), welcome.replica) == (False, [], "r1")
    assert welcome.heartbeat_interval.ToTimedelta().total_seconds() == 200  # a third of the lease
    assert (welcome.max_in_flight, welcome.max_message_bytes) == (64, 4 * 1024 * 1024)
    assert welcome.session_id
    assert welcome.session_secret
    text = '{"z": 1, "a": 9007199254740993}'
    job = await world.create("t", input_json=text)
    leased = await worker.next_job()
    assert (leased.job.job_id, leased.job.state, leased.token) == (job.job_id, RUNNING, 1)
    assert (leased.job.worker_id, leased.job.input_json, leased.more) == ("w1", text, False)
    done = await worker.ask(complete_job=pb.CompleteJobRequest(**of(leased, result_json=text)))
    assert (done.job.state, done.job.result_json) == (COMPLETED, text)
    assert (await world.job(job.job_id)) == done.job
    await worker.nothing_more()  # no lost lease: the worker ended it itself
    again = await worker.ask(complete_job=pb.CompleteJobRequest(**of(leased, result_json="1")))
    assert again.job == done.job


@pytest.mark.parametrize("end", ["complete_job", "fail_job", "release_job"])
async def test_the_last_report_is_written_before_the_end_of_the_lease(world: ServiceWorld, end: str) -> None:
    worker = world.worker()
    await worker.hello("t")
    job = await world.create("t")
    leased = await worker.next_job()
    ends: dict[str, Any] = {
        "complete_job": pb.CompleteJobRequest(**of(leased, result_json="1")),
        "fail_job": pb.FailJobRequest(**of(leased, failure=job_pb2.Failure(code="BAD"))),
        "release_job": pb.ReleaseJobRequest(**of(leased)),
    }

    def report(ref: int, done: int) -> pb.WorkClientFrame:
        progress = job_pb2.Progress(done=done, total=9)
        return frame(ref, report_progress=pb.ReportProgressRequest(**of(leased, progress=progress)))

    # All in one message: there is no reply yet, and only the first report is due.
    await worker.send(report(11, 7), report(12, 8), report(13, 9), frame(14, **{end: ends[end]}))
    replies = {(await worker.frame()).ref for _ in range(4)}
    assert replies == {11, 12, 13, 14}
    assert (await world.job(job.job_id)).progress.done == 9


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("hello", "field"),
    [
        ({"worker_id": ""}, "hello.worker_id"),
        ({"worker_id": "a b"}, "hello.worker_id"),
        ({"job_types": []}, "hello.job_types"),
        ({"job_types": ["a\0"]}, "hello.job_types"),
        ({"capacity": 1001}, "hello.capacity"),
        ({"capacity": -1}, "hello.capacity"),
        ({"session_id": "x"}, "hello.session_id"),
        ({"namespace": "a b"}, "namespace"),
    ],
)
@pytest.mark.parametrize("ref", [0, 5])
async def test_a_wrong_hello_ends_the_stream(
    shared_lite: ServiceWorld, hello: dict[str, Any], field: str, ref: int
) -> None:
    worker = shared_lite.worker()
    body = pb.WorkHello(**{"worker_id": "w", "job_types": ["t"], **hello})
    await worker.send(frame(ref, hello=body))
    found = await worker.wait_for_end()
    assert found is not None
    check(found, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert set(found.violations) == {field}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("late", [True, False])
async def test_the_hello_is_the_first_frame_and_only_the_first(shared_lite: ServiceWorld, late: bool) -> None:
    worker = shared_lite.worker()
    if late:
        await worker.send(frame(1, heartbeat=pb.WorkHeartbeat()))
    else:
        await worker.hello()
        await worker.send(frame(1, hello=pb.WorkHello(worker_id="w", job_types=["t"])))
    found = await worker.wait_for_end()
    assert found is not None
    check(found, "INVALID_ARGUMENT", "BAD_HELLO")


async def test_the_backlog_comes_first_by_priority_and_age(world: ServiceWorld) -> None:
    made = {}
    for name, priority in (("old", 0), ("young", 0), ("high", 5), ("low", -5)):
        made[(await world.create("t", priority=priority)).job_id] = name
    await world.create("other")
    await world.create("t", namespace="elsewhere")
    worker = world.worker()
    await worker.hello("t", "u", capacity=1)
    order = []
    for _ in made:
        leased = await worker.next_job()
        order.append(made[leased.job.job_id])
        # One at a time: the next one is pushed when this one is completed.
        await worker.ask(complete_job=pb.CompleteJobRequest(**of(leased)))
    assert order == ["high", "old", "young", "low"]
    await worker.nothing_more()


async def test_capacity_bounds_what_is_pushed_and_can_be_changed(lite: ServiceWorld) -> None:
    for _ in range(6):
        await lite.create()
    worker = lite.worker()
    await worker.hello(capacity=2)
    held = [await worker.next_job(), await worker.next_job()]
    await worker.nothing_more()
    await worker.send(frame(0, capacity=pb.WorkCapacity(capacity=3)))
    held.append(await worker.next_job())
    await worker.send(frame(0, capacity=pb.WorkCapacity(capacity=0)))
    await worker.ask(complete_job=pb.CompleteJobRequest(**of(held[0])))
    await worker.nothing_more()
    found = await worker.ask_refused(
        "INVALID_ARGUMENT", "INVALID_FIELD", capacity=pb.WorkCapacity(capacity=1001)
    )
    assert set(found.violations) == {"capacity.capacity"}
    await worker.send(frame(0, capacity=pb.WorkCapacity(capacity=4)))
    await worker.next_job()
    await worker.next_job()
    await worker.nothing_more()


async def test_jobs_that_wait_for_people_use_no_capacity(lite: ServiceWorld) -> None:
    for _ in range(3):
        await lite.create()
    worker = lite.worker()
    await worker.hello(capacity=1)
    first = await worker.next_job()
    asked = await worker.ask(ask_prompt=pb.AskPromptRequest(**of(first, key="k", content=confirm())))
    second = await worker.next_job()
    await worker.ask(ask_prompt=pb.AskPromptRequest(**of(second, key="k", content=confirm(blocking=False))))
    # A question that does not block leaves the job running, so there is no room for the third.
    await worker.nothing_more()
    # An answer resumes the first job although the worker is full, because it never released it.
    await lite.hitl.AnswerPrompt(answer(asked.prompt))
    resolved = await worker.expect("prompt_resolved")
    assert resolved.prompt.prompt_id == asked.prompt.prompt_id
    await worker.ask(complete_job=pb.CompleteJobRequest(**of(second)))
    await worker.nothing_more()
    await worker.ask(complete_job=pb.CompleteJobRequest(**of(first)))
    await worker.next_job()


async def test_two_workers_never_hold_the_same_job(world: ServiceWorld) -> None:
    workers = [world.worker() for _ in range(3)]
    for i, worker in enumerate(workers):
        await worker.hello(worker_id=f"w{i}", capacity=10)
    made = {(await world.create()).job_id for _ in range(30)}
    got: list[str] = []

    async def take(worker: Any) -> None:
        for _ in range(10):
            leased = await worker.next_job()
            assert leased.token == 1
            got.append(leased.job.job_id)

    await asyncio.gather(*map(take, workers))
    assert sorted(got) == sorted(made)


async def test_progress_is_coalesced_and_milestones_are_kept(world: ServiceWorld) -> None:
    worker = world.worker()
    await worker.hello()
    await world.create()
    leased = await worker.next_job()

    def report(ref: int, done: int, milestone: bool = False) -> pb.WorkClientFrame:
        progress = job_pb2.Progress(done=done, total=50, message=f"m{done}")
        request = pb.ReportProgressRequest(**of(leased, progress=progress, milestone=milestone))
        return frame(ref, report_progress=request)

    await worker.send(*(report(i, i, milestone=i in (20, 40)) for i in range(1, 51)))
    refs = [(await worker.frame()).ref for _ in range(50)]
    assert sorted(refs) == list(range(1, 51))
    job = await world.job(leased.job.job_id)
    assert (job.progress.done, job.progress.percent, job.progress.message) == (50, 100.0, "m50")
    call = world.jobs.WatchJob(jpb.WatchJobRequest(job_id=job.job_id))
    events = list((await call.read()).events)
    kept = [e for e in events if e.type == job_pb2.JOB_EVENT_TYPE_JOB_PROGRESSED]
    assert len(kept) < 10  # of 50
    milestones = [
        e.data_json for e in kept if '"milestone": true' in e.data_json.replace('":true', '": true')
    ]
    assert ["m20" in milestones[0], "m40" in milestones[1], len(milestones)] == [True, True, 2]


@pytest.mark.parametrize(
    "progress", [{"done": -1}, {"percent": 101}, {"percent": float("nan")}, {"message": "\0"}]
)
async def test_impossible_progress_is_refused(lite: ServiceWorld, progress: dict[str, Any]) -> None:
    worker = lite.worker()
    await worker.hello()
    await lite.create()
    leased = await worker.next_job()
    request = pb.ReportProgressRequest(**of(leased, progress=job_pb2.Progress(**progress)))
    found = await worker.ask_refused("INVALID_ARGUMENT", "INVALID_FIELD", report_progress=request)
    assert set(found.violations) == {f"progress.{name}" for name in progress}


async def test_goodbye_releases_the_held_jobs(world: ServiceWorld) -> None:
    worker = world.worker()
    await worker.hello(capacity=2)
    running, waiting = await world.create(), await world.create()
    leases = {}
    for _ in range(2):
        leased = await worker.next_job()
        leases[leased.job.job_id] = leased
    ask = pb.AskPromptRequest(**of(leases[waiting.job_id], key="k", content=confirm()))
    await worker.ask(ask_prompt=ask)
    # As clients do: the goodbye and the end of requests at once.
    await worker.send(frame(0, goodbye=pb.WorkGoodbye()))
    await worker.no_more_requests()
    assert await worker.wait_for_end() is None
    assert (await world.job(running.job_id)).state == PENDING
    parked = await world.job(waiting.job_id)
    assert (parked.state, parked.worker_id, parked.attempt) == (PENDING_HITL, "", 1)
    dead = pb.ExtendLeaseRequest(session_id=worker.session_id, session_secret=worker.secret)
    await expect_refusal(world.workers.ExtendLease(dead), "NOT_FOUND", "SESSION_NOT_FOUND")


async def test_frames_with_ref_0_unknown_or_in_excess_are_handled(lite: ServiceWorld) -> None:
    worker = lite.worker()
    await worker.hello()
    missing = pb.ListCheckpointsRequest(job_id=ABSENT_ID)
    await worker.send(frame(0, list_checkpoints=missing), frame(3))
    got = await worker.frame()
    assert got.ref == 3
    check(frame_refusal(got.error), "INVALID_ARGUMENT", "INVALID_FIELD")
    [session] = lite.service.replica.streams
    await until(lambda: not session._stream.in_flight)  # the one with ref 0 too
    await worker.send(*(frame(i, list_checkpoints=missing) for i in range(1, 71)))
    reasons = []
    for _ in range(70):
        reasons.append(frame_refusal((await worker.frame()).error).reason)
    assert reasons.count("LIMIT_EXCEEDED") == 6
    assert reasons.count("JOB_NOT_FOUND") == 64


async def test_drain_sends_go_away_and_keeps_the_session(lite_url: str) -> None:
    async with serving(lite_url, drain_grace=SOON) as world:
        worker = world.worker()
        await worker.hello(capacity=5)
        await world.create()
        leased = await worker.next_job()
        stop = asyncio.create_task(world.service.stop())
        away = await worker.expect("go_away")
        assert away.reason
        # Its writes are still accepted, but no more jobs are pushed.
        saved = pb.SaveCheckpointRequest(**of(leased, key="k", value_json="1"))
        await worker.ask(save_checkpoint=saved)
        await worker.aclose()
        async with asyncio.timeout(SOON / 2):
            await stop

        world.mark_stopped()
    async with serving(lite_url) as world:
        again = world.worker()
        held = [pb.WorkHeldJob(**of(leased))]
        welcome = await again.hello(
            session_id=worker.session_id, session_secret=worker.secret, held_jobs=held
        )
        assert welcome.resumed
        assert not welcome.lost_job_ids
        await again.ask(complete_job=pb.CompleteJobRequest(**of(leased)))


async def test_an_ended_work_stream_leaves_nothing_behind(lite: ServiceWorld) -> None:
    worker = lite.worker()
    await worker.hello()
    await lite.create()
    await worker.next_job()
    await worker.aclose()
    replica = lite.service.replica
    await until(lambda: not replica.streams)
    assert not replica.dispatcher._consumers
    assert not replica.keeper._live
    assert not replica.bus.is_followed
