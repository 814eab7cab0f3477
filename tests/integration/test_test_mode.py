"""A scripted human's answer is accepted and marked by a server in test mode, and refused by any other."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from askback import Client, FailedPrecondition
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2 as prompts
from tests.support.refusals import SOON, expect_refusal
from tests.support.requests import ACCEPT, answer, audience, confirm
from tests.support.service import ServiceWorld, serving

OPEN = prompts.PROMPT_STATE_PENDING
ACCEPTED = prompts.ANSWER_STATUS_ACCEPTED


@pytest.fixture
async def test_mode_world(migrated_db_url: str) -> AsyncIterator[ServiceWorld]:
    """A service in test mode, on each database."""
    async with serving(migrated_db_url, test_mode=True) as running:
        yield running


async def audit(world: ServiceWorld, prompt_id: str) -> list[int]:
    """The sources of all submitted answers."""
    page = await world.hitl.ListAnswers(pb.ListAnswersRequest(prompt_id=prompt_id))
    return [record.answer.source for record in page.answers]


async def test_a_production_server_refuses_a_scripted_answer_and_stores_nothing(world: ServiceWorld) -> None:
    prompt = await world.create_prompt(confirm())
    said = answer(prompt, "a", ACCEPT, test=True)
    await expect_refusal(world.hitl.AnswerPrompt(said), "FAILED_PRECONDITION", "NOT_TEST_MODE", answer_id="a")
    console = world.console()
    assert not (await console.hello()).test_mode
    await console.snapshot()
    await console.ask_refused("FAILED_PRECONDITION", "NOT_TEST_MODE", answer_prompt=said)
    kept = await world.prompt(prompt.prompt_id)
    assert (kept.state, kept.submissions, kept.version) == (OPEN, 0, prompt.version)
    assert await audit(world, prompt.prompt_id) == []
    # The answer id is still unused: a person may use it.
    said.test = False
    assert (await world.hitl.AnswerPrompt(said)).result.status == ACCEPTED


async def test_a_server_in_test_mode_accepts_and_marks_a_scripted_answer(
    test_mode_world: ServiceWorld,
) -> None:
    prompt = await test_mode_world.create_prompt(confirm())
    result = (await test_mode_world.hitl.AnswerPrompt(answer(prompt, "a", ACCEPT, test=True))).result
    assert (result.status, result.prompt.resolution.answer.source) == (ACCEPTED, prompts.ANSWER_SOURCE_TEST)
    assert await audit(test_mode_world, prompt.prompt_id) == [prompts.ANSWER_SOURCE_TEST]
    kept = await test_mode_world.prompt(prompt.prompt_id)
    assert kept.resolution.answer.source == prompts.ANSWER_SOURCE_TEST
    assert (await test_mode_world.console().hello()).test_mode


async def test_answers_of_people_are_not_marked_in_test_mode(test_mode_world: ServiceWorld) -> None:
    prompt = await test_mode_world.create_prompt(confirm())
    await test_mode_world.hitl.AnswerPrompt(answer(prompt, "a", ACCEPT))
    assert await audit(test_mode_world, prompt.prompt_id) == [prompts.ANSWER_SOURCE_HUMAN]


async def test_a_repeated_answer_must_have_the_same_source(test_mode_world: ServiceWorld) -> None:
    prompt = await test_mode_world.create_prompt(confirm())
    said = answer(prompt, "a", ACCEPT, test=True)
    await test_mode_world.hitl.AnswerPrompt(said)
    assert (await test_mode_world.hitl.AnswerPrompt(said)).result.replayed
    said.test = False
    await expect_refusal(
        test_mode_world.hitl.AnswerPrompt(said), "ALREADY_EXISTS", "ID_REUSED", field="answer_id"
    )


@pytest.mark.parametrize("test_mode", [True, False])
async def test_only_in_test_mode_the_scripted_human_sees_what_others_are_asked(
    lite_url: str, test_mode: bool
) -> None:
    async with serving(lite_url, test_mode=test_mode) as world:
        prompt = await world.create_prompt(confirm(audience=audience("ada", groups=["law"])))
        async with Client(f"127.0.0.1:{world.service.port}", user="human") as client:
            assert [p.prompt_id async for p in client.prompts()] == [prompt.prompt_id] * test_mode
        async with Client(f"127.0.0.1:{world.service.port}", user="eve") as client:
            assert [p async for p in client.prompts()] == []


async def test_the_console_of_a_scripted_human_is_refused_outside_test_mode(lite: ServiceWorld) -> None:
    await lite.create_prompt(confirm())
    async with Client(f"127.0.0.1:{lite.service.port}", user="human") as client:
        with pytest.raises(FailedPrecondition, match="not in test mode") as refusal:
            await client.console(test=True).__aenter__()
        assert refusal.value.reason == "ERROR_REASON_NOT_TEST_MODE"
        async with asyncio.timeout(SOON):
            while lite.service.replica.streams:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


async def test_the_log_warns_of_test_mode(lite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with serving(lite_url):
            assert "test mode" not in caplog.text
        async with serving(lite_url, test_mode=True):
            assert "test mode" in caplog.text
