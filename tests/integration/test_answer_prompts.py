"""AnswerPrompts: one decision for many prompts, and a result for each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2 as prompts
from tests.support.refusals import expect_refusal
from tests.support.requests import ACCEPT, REJECT, answer, audience, confirm, form
from tests.support.service import ServiceWorld
from tests.support.streams import ABSENT_ID


def item(prompt: Any, **fields: Any) -> pb.AnswerPromptsItem:
    fields = {"revision": prompt.revision, "answer_id": f"b-{prompt.prompt_id}", **fields}
    return pb.AnswerPromptsItem(prompt_id=prompt.prompt_id, **fields)


def status_of(result: pb.AnswerPromptsResult) -> str:
    if result.HasField("error"):
        return result.error.reason.removeprefix("ERROR_REASON_")
    return prompts.AnswerStatus.Name(result.status).removeprefix("ANSWER_STATUS_")


async def test_each_of_200_prompts_is_judged_by_itself(world: ServiceWorld) -> None:
    ana = world.as_user("ana")
    turns = asyncio.Semaphore(50)

    async def ask(n: int) -> Any:
        async with turns:
            return await world.create_prompt(confirm(f"Go on with {n}?"))

    asked = await asyncio.gather(*map(ask, range(193)))
    excluded = await world.create_prompt(confirm(exclude=prompts.Exclusion(users=["ana"])))
    hidden = await world.create_prompt(confirm(audience=audience("bob")))
    closed = await world.create_prompt()
    await world.hitl.AnswerPrompt(answer(closed, "first", REJECT))
    claimed = await world.create_prompt()
    await world.as_user("bob").hitl.ClaimPrompt(pb.ClaimPromptRequest(prompt_id=claimed.prompt_id))
    voted = await world.create_prompt(confirm(approval=prompts.Approval(required=2)))
    unfit = await world.create_prompt(form())
    stale = await world.create_prompt()
    odd = {
        "EXCLUDED": item(excluded),
        "PROMPT_NOT_FOUND": item(hidden),
        "CLOSED": item(closed),
        "PROMPT_CLAIMED": item(claimed),
        "RECORDED": item(voted),
        "INVALID": item(unfit),
        "STALE": item(stale, revision=2),
    }
    items = [*(item(prompt) for prompt in asked), *odd.values()]
    request = pb.AnswerPromptsRequest(items=items, decision=ACCEPT, comment="all fine", batch_id="monday")
    for replayed in (False, True):
        results = (await ana.hitl.AnswerPrompts(request)).results
        assert [(r.prompt_id, r.answer_id) for r in results] == [(i.prompt_id, i.answer_id) for i in items]
        assert [status_of(r) for r in results] == ["ACCEPTED"] * 193 + list(odd)
        assert {r.replayed for r in results if not r.HasField("error")} == {replayed}
        assert results[0].state == prompts.PROMPT_STATE_ANSWERED
    after = await world.prompt(asked[7].prompt_id)
    said = after.resolution.answer
    assert (said.batch_id, said.comment, said.user_id) == ("monday", "all fine", "ana")
    assert (await world.prompt(excluded.prompt_id)).submissions == 0


async def test_a_wrong_call_answers_no_prompt(lite: ServiceWorld) -> None:
    asked = await lite.create_prompt()
    twice = [item(asked, answer_id="one"), item(asked, answer_id="two")]
    many = [item(asked, prompt_id=f"{n}") if n else item(asked) for n in range(1)] * 201
    for items, decision, field in (
        ([], ACCEPT, "items"),
        (twice, ACCEPT, "items[1].prompt_id"),
        (many, ACCEPT, "items"),
        ([item(asked), pb.AnswerPromptsItem(revision=1, answer_id="x")], ACCEPT, "items[1].prompt_id"),
        ([item(asked)], prompts.DECISION_UNSPECIFIED, "decision"),
    ):
        request = pb.AnswerPromptsRequest(items=items, decision=decision)
        refused = await expect_refusal(lite.hitl.AnswerPrompts(request), "INVALID_ARGUMENT", "INVALID_FIELD")
        assert list(refused.violations) == [field]
    assert (await lite.prompt(asked.prompt_id)).submissions == 0


@pytest.mark.parametrize("batch_id", ["", "named"])
async def test_a_stream_answers_several_prompts_with_one_frame(lite: ServiceWorld, batch_id: str) -> None:
    console = lite.console()
    await console.hello(filter=pb.PromptFilter(kinds=["none"]))
    await console.snapshot()
    first, second = [await lite.create_prompt(confirm(group_key="refunds")) for _ in range(2)]
    assert second.content.group_key == "refunds"
    absent = pb.AnswerPromptsItem(prompt_id=ABSENT_ID, revision=1, answer_id="x")
    malformed = pb.AnswerPromptsItem(prompt_id="1881", revision=1, answer_id="y")
    unnamed = item(second, answer_id="")
    reply = await console.ask(
        answer_prompts=pb.AnswerPromptsRequest(
            items=[item(first), absent, malformed, unnamed], decision=ACCEPT, batch_id=batch_id
        )
    )
    assert [status_of(r) for r in reply.results] == [
        "ACCEPTED",
        "PROMPT_NOT_FOUND",
        "PROMPT_NOT_FOUND",
        "INVALID_FIELD",
    ]
    said = (await lite.prompt(first.prompt_id)).resolution.answer
    assert said.batch_id == (batch_id or said.answer_id)
