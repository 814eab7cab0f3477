"""A worker's questions against a scripted server: asked, answered, declined and expired."""

import asyncio
import json
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel, Field

from askback import errors
from askback._worker.job import Job
from askback.v1 import prompt_pb2, stream_pb2
from askback.v1 import worker_service_pb2 as pb
from tests.support.worker_harness import WorkerHarness, with_answer, with_end


class Policy(StrEnum):
    STANDARD = "standard"
    GOODWILL = "goodwill"


class Ruling(BaseModel):
    policy: Policy
    amount: float = Field(ge=0)


async def test_ask_returns_an_instance_of_the_model(harness: WorkerHarness) -> None:
    async def fn(job: Job, order: str, days: int = 3) -> float:
        ruling = await job.ask(
            "How?", Ruling, key="ruling", to=["group:desk", "user:bob"], deadline=timedelta(hours=4)
        )
        assert isinstance(ruling, Ruling)
        assert ruling.policy is Policy.GOODWILL
        return ruling.amount + days

    await harness.start(fn)
    harness.lease(input='{"order":"A-17","days":2}')
    frame = await harness.stream.next()
    content = frame.ask_prompt.content
    assert list(json.loads(content.schema_json)["properties"]) == ["policy", "amount"]
    assert "$ref" not in content.schema_json
    assert (list(content.audience.groups), list(content.audience.users)) == (["desk"], ["bob"])
    assert content.timeout.ToTimedelta() == timedelta(hours=4)
    assert content.kind == "clarify"
    assert content.blocking
    harness.answer(harness.accept_ask(frame), "RESPOND", {"policy": "goodwill", "amount": 12.5})
    ack = await harness.stream.next("acknowledge_prompts")
    assert list(ack.acknowledge_prompts.prompt_ids) == ["p-ruling"]
    assert await harness.result() == 14.5


async def test_a_primitive_form_is_wrapped_and_its_value_unwrapped(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        return [await job.ask("How many?", int, key="n"), await job.ask("Why?", key="w")]

    await harness.start(fn)
    harness.lease()
    frame = await harness.stream.next()
    assert json.loads(frame.ask_prompt.content.schema_json)["properties"]["value"]["type"] == "integer"
    harness.answer(harness.accept_ask(frame), "RESPOND", {"value": 2**53 + 1})
    frame = await harness.stream.next("ask_prompt")
    harness.answer(harness.accept_ask(frame), "RESPOND", {"value": "so"})
    assert await harness.result() == [2**53 + 1, "so"]


async def test_concurrent_asks_each_receive_their_own_answer(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> list[int]:
        return await asyncio.gather(*(job.ask(f"{i}?", int, key=f"k{i}") for i in range(3)))

    await harness.start(fn)
    harness.lease()
    prompts = [harness.accept_ask(await harness.stream.next("ask_prompt")) for _ in range(3)]
    for i in (2, 0, 1):
        harness.answer(prompts[i], "RESPOND", {"value": i * 10})
    assert await harness.result() == [0, 10, 20]


@pytest.mark.parametrize(("decision", "yes"), [("ACCEPT", True), ("REVISE", False), ("REJECT", False)])
async def test_confirm_is_true_only_for_accept(harness: WorkerHarness, decision: str, yes: bool) -> None:
    async def fn(job: Job) -> Any:
        found = await job.confirm("Pay?", key="pay", default=False, deadline=60)
        return [bool(found), found.decision, found.comment, found.by]

    await harness.start(fn)
    harness.lease()
    frame = await harness.stream.next()
    content = frame.ask_prompt.content
    assert content.final_action == prompt_pb2.FINAL_ACTION_DEFAULT
    assert content.default_answer.decision == prompt_pb2.DECISION_REJECT
    harness.answer(harness.accept_ask(frame), decision, comment="so")
    assert await harness.result() == [yes, decision, "so", "ana"]


async def test_preview_returns_edited_and_unedited_texts(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        found = await job.preview("Look", key="look", contents={"a": "old a", "b": "old b"})
        return [bool(found), found.text("a"), found.text("b"), found.edits]

    await harness.start(fn)
    harness.lease()
    prompt = harness.accept_ask(await harness.stream.next())
    harness.answer(prompt, "EDIT", edits=[prompt_pb2.Edit(content_id="a", text="new a")])
    assert await harness.result() == [True, "new a", "old b", {"a": "new a"}]


async def test_an_answer_may_arrive_in_the_reply_or_before_it(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        return [bool(await job.confirm("1?", key="a")), bool(await job.confirm("2?", key="b"))]

    await harness.start(fn)
    harness.lease()
    frame = await harness.stream.next("ask_prompt")
    prompt = prompt_pb2.Prompt(prompt_id="p", job_id="j1", key="a", content=frame.ask_prompt.content)
    harness.stream.send(frame.ref, ask_prompt=pb.AskPromptResponse(prompt=with_answer(prompt, "ACCEPT")))
    frame = await harness.stream.next("ask_prompt")
    prompt = prompt_pb2.Prompt(prompt_id="q", job_id="j1", key="b", content=frame.ask_prompt.content)
    harness.answer(prompt, "ACCEPT")
    harness.accept_ask(frame)
    assert await harness.result() == [True, True]


async def test_another_question_under_the_key_is_judged_by_the_server(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        return bool(await job.confirm("Delete production?", key="go"))

    await harness.start(fn)
    old = prompt_pb2.Prompt(prompt_id="p", job_id="j1", key="go")
    old.content.CopyFrom(prompt_pb2.PromptContent(kind="confirm", title="Delete staging?", blocking=True))
    harness.lease(prompts=[with_answer(old, "ACCEPT")])
    frame = await harness.stream.next()
    assert frame.WhichOneof("body") == "ask_prompt"
    error = stream_pb2.FrameError(code=6, reason="ERROR_REASON_ID_REUSED", message="another question")
    harness.stream.send(frame.ref, error=error)
    failed = (await harness.wait_for_end()).fail_job
    assert failed.failure.code == "QuestionChanged"
    assert "the title was 'Delete staging?', is 'Delete production?'" in failed.failure.message
    assert (failed.retryable, failed.keep_attempt) == (True, True)


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("EXPIRED", errors.PromptExpired),
        ("CANCELLED", errors.PromptCancelled),
        ("SUPERSEDED", errors.PromptCancelled),
    ],
)
async def test_a_question_without_an_answer_raises(
    harness: WorkerHarness, state: str, error: type[Exception]
) -> None:
    async def fn(job: Job) -> Any:
        with pytest.raises(error):
            await job.ask("How?", int, key="n")
        return await job.ask("How?", int, key="m", default=None, deadline=1) if state == "EXPIRED" else None

    await harness.start(fn)
    harness.lease()
    prompt = harness.accept_ask(await harness.stream.next())
    harness.stream.send(prompt_resolved=pb.WorkPromptResolved(prompt=with_end(prompt, state)))
    if state == "EXPIRED":
        prompt = harness.accept_ask(await harness.stream.next("ask_prompt"))
        harness.stream.send(prompt_resolved=pb.WorkPromptResolved(prompt=with_end(prompt, state)))
    assert await harness.result() is None


async def test_a_declined_question_raises_with_the_reason(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        with pytest.raises(errors.PromptDeclined) as caught:
            await job.ask("How?", int, key="n")
        return [caught.value.decision, caught.value.comment, caught.value.by]

    await harness.start(fn)
    harness.lease()
    harness.answer(harness.accept_ask(await harness.stream.next()), "DISMISS", comment="not mine")
    assert await harness.result() == ["DISMISS", "not mine", "ana"]


async def test_a_declined_question_ends_all_that_were_asked_together(harness: WorkerHarness) -> None:
    """No task is left that waits for an answer."""
    others: list[asyncio.Task[int]] = []

    async def fn(job: Job) -> Any:
        others.append(asyncio.create_task(job.ask("Other?", int, key="other")))
        return await asyncio.gather(job.ask("How?", int, key="n"), *others)

    await harness.start(fn)
    harness.lease()
    prompts = [harness.accept_ask(await harness.stream.next("ask_prompt")) for _ in range(2)]
    harness.answer(next(p for p in prompts if p.key == "n"), "DISMISS", comment="not mine")
    assert (await harness.wait_for_end()).fail_job.failure.code == "PromptDeclined"
    await harness.wait_until_holding(0)
    await asyncio.wait(others, timeout=5)
    assert others[0].cancelled()
