"""A worker's runs of a job, against a scripted server: steps, parking, progress, failures."""

import asyncio
import json
from typing import Any

import pytest

from askback._model import nonretryable
from askback._worker.job import Job
from askback.v1 import prompt_pb2
from askback.v1 import worker_service_pb2 as pb
from tests.support.worker_bench import Bench, resolved


async def test_a_second_run_gets_its_answers_and_steps_from_the_lease(bench: Bench) -> None:
    computed: list[str] = []

    def compute(what: str) -> dict[str, str]:
        computed.append(what)
        return {"did": what}

    async def fn(job: Job) -> Any:
        first = await job.step("load", compute, "load")
        ok = await job.confirm("Go on?", key="go")
        second = await job.step("store", compute, "store")
        return [first, bool(ok), second]

    await bench.start(fn)
    bench.lease(1)
    save = await bench.stream.next()
    point = save.save_checkpoint
    assert (point.key, json.loads(point.value_json)) == ("load", {"did": "load"})
    bench.stream.send(save.ref, save_checkpoint=pb.SaveCheckpointResponse())
    prompt = bench.accept_ask(await bench.stream.next())
    bench.stream.send(lease_lost=pb.WorkLeaseLost(job_id="j1", token=1))
    assert not await bench.stream.quiet()

    known = resolved(prompt, "ACCEPT")
    # The server fills in the kind's decisions; that makes it no other question.
    known.content.decisions.add(decision=prompt_pb2.DECISION_ACCEPT, label="Confirm")
    bench.lease(2, prompts=[known], checkpoints=[pb.Checkpoint(key="load", value_json=point.value_json)])
    assert (await bench.stream.next()).WhichOneof("body") == "acknowledge_prompts"
    save = await bench.stream.next()
    assert save.save_checkpoint.key == "store"
    assert save.save_checkpoint.token == 2
    bench.stream.send(save.ref, save_checkpoint=pb.SaveCheckpointResponse())
    assert await bench.result() == [{"did": "load"}, True, {"did": "store"}]
    assert computed == ["load", "store"]


async def test_checkpoints_beyond_the_lease_are_paged(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        return await job.step("z", lambda: pytest.fail("computed again"))

    await bench.start(fn)
    bench.lease(more=True)
    for page, point in (("", "a"), ("2", "z")):
        frame = await bench.stream.next()
        assert frame.list_checkpoints.page_token == page
        reply = pb.ListCheckpointsResponse(next_page_token="" if page else "2")
        reply.checkpoints.add(key=point, value_json="7")
        bench.stream.send(frame.ref, list_checkpoints=reply)
    assert await bench.result() == 7


async def test_a_job_that_only_waits_is_parked_and_run_again(bench: Bench) -> None:
    runs: list[int] = []

    async def fn(job: Job) -> Any:
        runs.append(job.token)
        return bool(await job.confirm("Go?", key="go"))

    await bench.start(fn, park_after=0.2)
    bench.lease(1)
    prompt = bench.accept_ask(await bench.stream.next())
    assert (await bench.wait_for_end()).WhichOneof("body") == "release_job"
    await bench.holds(0)
    bench.lease(2, prompts=[resolved(prompt, "ACCEPT")])
    assert await bench.result() is True
    assert runs == [1, 2]


async def test_a_job_that_does_something_is_not_parked(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        async def slow() -> int:
            await asyncio.sleep(0.5)
            return 1

        ok, _ = await asyncio.gather(job.confirm("Go?", key="go"), job.step("slow", slow))
        return bool(ok)

    await bench.start(fn, park_after=0.15)
    bench.lease(1)
    prompt = bench.accept_ask(await bench.stream.next("ask_prompt"))
    save = await bench.stream.next()
    assert save.WhichOneof("body") == "save_checkpoint"
    bench.stream.send(save.ref, save_checkpoint=pb.SaveCheckpointResponse())
    bench.answer(prompt, "ACCEPT")
    assert await bench.result() is True


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
    bench: Bench, error: Exception, code: str, retryable: bool
) -> None:
    async def fn(job: Job) -> Any:
        raise error

    await bench.start(fn)
    bench.lease()
    failed = (await bench.wait_for_end()).fail_job
    assert (failed.failure.code, failed.failure.message) == (code, str(error))
    assert failed.retryable is retryable


@pytest.mark.parametrize("given", ['{"order":1}', '{"orders":"x"}', "{}", "[1,2]"])
async def test_an_input_that_does_not_fit_fails_for_good(bench: Bench, given: str) -> None:
    async def fn(job: Job, order: str) -> Any:
        return order

    await bench.start(fn)
    bench.lease(input=given)
    failed = (await bench.wait_for_end()).fail_job
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
async def test_a_task_group_fails_the_attempt_by_the_error_that_decides(
    bench: Bench, inner: list[Exception], code: str, retryable: bool
) -> None:
    async def fn(job: Job) -> Any:
        raise ExceptionGroup("rows", inner)

    await bench.start(fn)
    bench.lease()
    failed = (await bench.wait_for_end()).fail_job
    assert (failed.failure.code, failed.retryable) == (code, retryable)


async def test_progress_is_coalesced_and_the_newest_is_said(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        for i in range(1, 100):
            await job.progress(i, 100)

    await bench.start(fn)
    bench.lease()
    first = await bench.stream.next()
    assert first.report_progress.progress.done == 1
    last = await bench.stream.next()
    assert last.report_progress.progress.done == 99
    assert await bench.result() is None
