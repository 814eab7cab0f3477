"""Answers that take long to check are checked in child processes, and never lost or accepted unchecked."""

import asyncio
import json
from typing import Any

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback_server.engine import judges
from tests.support.refusals import expect_refusal, outcome
from tests.support.requests import RESPOND
from tests.support.service import ServiceWorld
from tests.support.streams import ABSENT_ID
from tests.support.waiting import until

SCHEMA = {
    "type": "object",
    "properties": {"v": {"items": {"anyOf": [{"const": n} for n in range(1, 900)] + [{"const": 0}]}}},
}
GOOD = '{"v":[' + ",".join(["0"] * 20_000) + "]}"
BAD = GOOD[:-2] + ',"x"]}'


async def ask_large(world: ServiceWorld, namespace: str = "default") -> Any:
    content = prompts.PromptContent(kind="clarify", title="Which?", schema_json=json.dumps(SCHEMA))
    request = jobs.CreateJobRequest(job_type="t", namespace=namespace, prompt=content)
    return (await world.jobs.CreateJob(request)).prompt


def answer(prompt: Any, answer_id: str, values: str) -> hitl.AnswerPromptRequest:
    return hitl.AnswerPromptRequest(
        prompt_id=prompt.prompt_id, answer_id=answer_id, revision=1, decision=RESPOND, values_json=values
    )


def engine_judges(world: ServiceWorld) -> judges.Judges:
    replica = world.service._replica
    assert replica is not None
    return replica.engine._judges


async def test_others_are_served_while_an_answer_is_checked(lite: ServiceWorld) -> None:
    prompt = await ask_large(lite)
    checking = asyncio.ensure_future(lite.hitl.AnswerPrompt(answer(prompt, "bad", BAD)))
    for _ in range(3):
        await lite.jobs.ListJobs(jobs.ListJobsRequest())
        assert not checking.done(), "the call waited for the check"
    found = await expect_refusal(checking, "INVALID_ARGUMENT", "ANSWER_INVALID")
    assert list(found.violations) == ["values_json"]
    good = answer(prompt, "good", GOOD)
    result = (await lite.hitl.AnswerPrompt(good)).result
    assert result.status == prompts.ANSWER_STATUS_ACCEPTED
    stored = await lite.hitl.GetPrompt(hitl.GetPromptRequest(prompt_id=prompt.prompt_id))
    assert stored.prompt.resolution.answer.values_json == GOOD
    again = (await lite.hitl.AnswerPrompt(good)).result
    assert (again.status, again.replayed) == (prompts.ANSWER_STATUS_ACCEPTED, True)


async def test_the_answer_that_is_decided_first_wins_over_an_earlier_one(lite: ServiceWorld) -> None:
    """The answer that is decided first wins. The other one is refused after its check."""
    prompt = await ask_large(lite)
    large = asyncio.ensure_future(lite.hitl.AnswerPrompt(answer(prompt, "large", GOOD)))
    small = await lite.hitl.AnswerPrompt(answer(prompt, "small", '{"v":[1]}'))
    assert small.result.status == prompts.ANSWER_STATUS_ACCEPTED
    found = await expect_refusal(large, "FAILED_PRECONDITION", "PROMPT_CLOSED")
    assert found.result is not None
    assert found.result.prompt.resolution.answer.answer_id == "small"


async def test_a_check_that_takes_too_long_refuses_the_answer_and_records_nothing(lite: ServiceWorld) -> None:
    prompt = await ask_large(lite)
    judge = engine_judges(lite)
    judge._deadline = 0.0
    found = await expect_refusal(
        lite.hitl.AnswerPrompt(answer(prompt, "a", GOOD)), "RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED"
    )
    assert found.metadata["limit"] == "judging_seconds"
    judge._deadline = judges.DEADLINE_SECONDS
    # The same answer can be sent again, because no result was stored.
    result = (await lite.hitl.AnswerPrompt(answer(prompt, "a", GOOD))).result
    assert (result.status, result.replayed) == (prompts.ANSWER_STATUS_ACCEPTED, False)


async def test_a_check_whose_process_is_killed_can_be_repeated(lite: ServiceWorld) -> None:
    prompt = await ask_large(lite)
    judge = engine_judges(lite)
    sent = asyncio.ensure_future(lite.hitl.AnswerPrompt(answer(prompt, "a", GOOD)))
    await until(lambda: judge._process)
    assert judge._process is not None
    judge._process.kill()
    await expect_refusal(sent, "RESOURCE_EXHAUSTED", "QUEUE_FULL")
    result = (await lite.hitl.AnswerPrompt(answer(prompt, "a", GOOD))).result
    assert result.status == prompts.ANSWER_STATUS_ACCEPTED


async def test_answers_of_one_principal_do_not_delay_those_of_another(lite: ServiceWorld) -> None:
    mine, theirs = await ask_large(lite), await ask_large(lite, "other")
    flood = [
        asyncio.ensure_future(outcome(lite.hitl.AnswerPrompt(answer(mine, f"a{n}", BAD)))) for n in range(30)
    ]
    judge = engine_judges(lite)
    await until(lambda: len(judge._waiting) == judges.MAX_WAITING_OF_ONE)
    result = (await lite.as_user("ana").hitl.AnswerPrompt(answer(theirs, "a", GOOD))).result
    assert result.status == prompts.ANSWER_STATUS_ACCEPTED
    assert not all(task.done() for task in flood), "its turn came before those of the flood"
    for task in flood:
        task.cancel()
    await outcome(lite.hitl.GetPrompt(hitl.GetPromptRequest(prompt_id=ABSENT_ID)))
