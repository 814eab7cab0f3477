"""A worker's runs of a job against a scripted server: steps, parking, progress and failures."""

import asyncio
import json
from typing import Any

import pytest

from askback._model import nonretryable
from askback._worker.job import Job
from askback.v1 import prompt_pb2
from askback.v1 import worker_service_pb2 as pb
from tests.support.worker_harness import WorkerHarness, with_answer


async def test_a_second_run_gets_its_answers_and_steps_from_the_lease(harness: WorkerHarness) -> None:
    computed: list[str] = []

    def compute(what: str) -> dict[str, str]:
        computed.append(what)
        return {"did": what}

    async def fn(job: Job) -> Any:
        first = await job.step("load", compute, "load")
        ok = await job.confirm("Go on?", key="go")
        second = await job.step("store", compute, "store")
        return [first, bool(ok), second]

    await harness.start(fn)
    harness.lease(1)
    save = await harness.stream.next()
    point = save.save_checkpoint
    assert (point.key, json.loads(point.value_json)) == ("load", {"did": "load"})
    harness.stream.send(save.ref, save_checkpoint=pb.SaveCheckpointResponse())
    prompt = harness.accept_ask(await harness.stream.next())
    harness.stream.send(lease_lost=pb.WorkLeaseLost(job_id="j1", token=1))
    assert not await harness.stream.frames_within()

    known = with_answer(prompt, "ACCEPT")
    # The server fills in the decisions of the kind. It is still the same question.
    known.content.decisions.add(decision=prompt_pb2.DECISION_ACCEPT, label="Confirm")
    harness.lease(2, prompts=[known], checkpoints=[pb.Checkpoint(key="load", value_json=point.value_json)])
    assert (await harness.stream.next()).WhichOneof("body") == "acknowledge_prompts"
    save = await harness.stream.next()
    assert save.save_checkpoint.key == "store"
    assert save.save_checkpoint.token == 2
    harness.stream.send(save.ref, save_checkpoint=pb.SaveCheckpointResponse())
    assert await harness.result() == [{"did": "load"}, True, {"did": "store"}]
    assert computed == ["load", "store"]


async def test_checkpoints_beyond_the_lease_are_paged(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        return await job.step("z", lambda: pytest.fail("computed again"))

    await harness.start(fn)
    harness.lease(more=True)
    for page, point in (("", "a"), ("2", "z")):
        frame = await harness.stream.next()
        assert frame.list_checkpoints.page_token == page
        reply = pb.ListCheckpointsResponse(next_page_token="" if page else "2")
        reply.checkpoints.add(key=point, value_json="7")
        harness.stream.send(frame.ref, list_checkpoints=reply)
    assert await harness.result() == 7


async def test_a_job_that_only_waits_is_parked_and_run_again(harness: WorkerHarness) -> None:
    runs: list[int] = []

    async def fn(job: Job) -> Any:
        runs.append(job.token)
        return bool(await job.confirm("Go?", key="go"))

    await harness.start(fn, park_after=0.2)
    harness.lease(1)
    prompt = harness.accept_ask(await harness.stream.next())
    assert (await harness.wait_for_end()).WhichOneof("body") == "release_job"
    await harness.wait_until_holding(0)
    harness.lease(2, prompts=[with_answer(prompt, "ACCEPT")])
    assert await harness.result() is True
    assert runs == [1, 2]


async def test_a_job_that_is_working_is_not_parked(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        async def slow() -> int:
            await asyncio.sleep(0.5)
            return 1

        ok, _ = await asyncio.gather(job.confirm("Go?", key="go"), job.step("slow", slow))
        return bool(ok)

    await harness.start(fn, park_after=0.15)
    harness.lease(1)
    prompt = harness.accept_ask(await harness.stream.next("ask_prompt"))
    save = await harness.stream.next()
    assert save.WhichOneof("body") == "save_checkpoint"
    harness.stream.send(save.ref, save_checkpoint=pb.SaveCheckpointResponse())
    harness.answer(prompt, "ACCEPT")
    assert await harness.result() is True


class _Fatal(nonretryable.NonRetryable):
    pass


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (ValueError("bad"), "ValueError", True),
        (_Fatal("never"), "Fatal", False),
        (nonretryable.NonRetryable("never", code="OWN"), "OWN", False),
    ],
)
async def test_an_exception_fails_the_attempt(
    harness: WorkerHarness, error: Exception, code: str, retryable: bool
) -> None:
    async def fn(job: Job) -> Any:
        raise error

    await harness.start(fn)
    harness.lease()
    failed = (await harness.wait_for_end()).fail_job
    assert (failed.failure.code, failed.failure.message) == (code, str(error))
    assert failed.retryable is retryable


@pytest.mark.parametrize("given", ['{"order":1}', '{"orders":"x"}', "{}", "[1,2]"])
async def test_an_input_that_does_not_fit_fails_the_job_permanently(
    harness: WorkerHarness, given: str
) -> None:
    async def fn(job: Job, order: str) -> Any:
        return order

    await harness.start(fn)
    harness.lease(input=given)
    failed = (await harness.wait_for_end()).fail_job
    assert failed.failure.code == "InvalidInput"
    assert not failed.retryable


@pytest.mark.parametrize(
    ("inner", "code", "retryable"),
    [
        ([ValueError("bad"), KeyError("x")], "ValueError", True),
        ([ValueError("bad"), _Fatal("never")], "Fatal", False),
        ([ExceptionGroup("in it", [_Fatal("never")])], "Fatal", False),
    ],
)
async def test_a_task_group_fails_the_attempt_with_the_decisive_error(
    harness: WorkerHarness, inner: list[Exception], code: str, retryable: bool
) -> None:
    async def fn(job: Job) -> Any:
        raise ExceptionGroup("rows", inner)

    await harness.start(fn)
    harness.lease()
    failed = (await harness.wait_for_end()).fail_job
    assert (failed.failure.code, failed.retryable) == (code, retryable)


async def test_no_report_from_before_a_milestone_arrives_after_it(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        await job.progress(1, 3)
        await job.progress(2, 3)  # waits, because the first one is in flight
        await job.progress(3, 3, "all done", milestone=True)

    await harness.start(fn)
    harness.lease()
    first, second = await harness.stream.next(), await harness.stream.next()
    assert [f.report_progress.progress.done for f in (first, second)] == [1, 3]
    for frame in (first, second):
        harness.stream.send(frame.ref, report_progress=pb.ReportProgressResponse(version=2))
    end = await harness.stream.next()
    assert end.WhichOneof("body") == "complete_job", "the second report is not sent"
    harness.stream.send(end.ref, complete_job=pb.CompleteJobResponse())


async def test_progress_is_coalesced_and_the_newest_is_reported(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        for i in range(1, 100):
            await job.progress(i, 100)

    await harness.start(fn)
    harness.lease()
    first = await harness.stream.next()
    assert first.report_progress.progress.done == 1
    last = await harness.stream.next()
    assert last.report_progress.progress.done == 99
    assert await harness.result() is None
