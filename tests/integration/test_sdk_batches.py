"""The SDK answers many prompts with one decision, by a call and on a console."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from askback import (
    AnswerInvalid,
    AnswerStatus,
    Approval,
    Client,
    Exclude,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    PromptClaimed,
    PromptClosed,
    PromptInfo,
    PromptStale,
    PromptState,
    sync,
)
from tests.support.service import ServiceWorld

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def person(shared_lite: ServiceWorld) -> Any:
    return lambda name: Client(f"127.0.0.1:{shared_lite.service.port}", user=name)


async def ask(client: Client, title: str = "Refund?", **options: Any) -> PromptInfo:
    run = await client.ask(title, **options)
    assert run.prompt is not None
    return run.prompt


async def test_each_prompt_of_a_batch_has_a_typed_result(person: Any) -> None:
    async with person("ana") as ana, person("bob") as bob:
        group = "refunds of May"
        good = await ask(bob, group_key=group)
        assert good.group_key == group
        closed, claimed, stale = [await ask(bob) for _ in range(3)]
        await bob.answer(closed, "REJECT")
        await bob.claim(claimed.prompt_id)
        stale.proto.shown_digest = "0" * 64
        excluded = await ask(bob, exclude=Exclude(names=["user:ana"]))
        voted = await ask(bob, approval=Approval(2, reject_at=2))
        unfit = await ask(bob, kind="clarify", form={"type": "object", "properties": {"a": {}}})
        hidden = await ask(bob, to=["user:bob"])
        prompts = [good, closed, claimed, stale, excluded, voted, unfit, hidden]
        results = await ana.answer_prompts(prompts, "REJECT", comment="no", batch_id="may")
        assert [result.prompt for result in results] == prompts
        assert [type(result.error) for result in results] == [
            type(None),
            PromptClosed,
            PromptClaimed,
            PromptStale,
            PermissionDenied,
            type(None),
            AnswerInvalid,
            NotFound,
        ]
        one, late, taken, _, _, vote, wrong, _ = results
        assert (one.status, one.state, one.replayed) == (AnswerStatus.ACCEPTED, PromptState.ANSWERED, False)
        assert one.version > good.version
        assert late.error is not None
        assert late.error.metadata["state"] == "ANSWERED"
        assert isinstance(taken.error, PromptClaimed)
        assert taken.error.claimed_by == "bob"
        assert (taken.status, taken.version) == (AnswerStatus.UNSPECIFIED, 0)
        assert (vote.status, vote.state) == (AnswerStatus.RECORDED, PromptState.PENDING)
        assert [violation.field for violation in wrong.violations] == ["decision"]
        again = await ana.answer_prompts(prompts, "REJECT", comment="no", batch_id="may")
        assert [result.status for result in again] == [result.status for result in results]
        assert again[0].replayed
        answered = (await ana.prompt(good.prompt_id)).answered
        assert answered is not None
        assert (answered.batch_id, answered.answer_id) == ("may", one.answer_id)
        assert await ana.answer_prompts([], "ACCEPT") == []


async def test_a_console_answers_a_batch_on_its_stream(person: Any, shared_lite: ServiceWorld) -> None:
    async with person("ana") as ana, person("bob") as bob:
        asked = [await ask(bob, kind="batch", group_key="g") for _ in range(2)]
        async with ana.console(kinds=["batch"]) as console:
            await console.caught_up.wait()
            shown = [await anext(console.prompts()) for _ in asked]
            first, second = await console.answer_prompts(shown, "ACCEPT")
            assert (first.error, second.error) == (None, None)
        ids = [(await ana.prompt(prompt.prompt_id)).answered.batch_id for prompt in asked]
        assert len(set(ids)) == 1
        assert ids[0]
    scripted = Client(f"127.0.0.1:{shared_lite.service.port}").console(test=True)
    with pytest.raises(FailedPrecondition):
        await scripted.answer_prompts(shown, "ACCEPT")


async def test_the_synchronous_client_answers_a_batch(person: Any, shared_lite: ServiceWorld) -> None:
    async with person("bob") as bob:
        asked = [await ask(bob) for _ in range(2)]

    def answer() -> list[Any]:
        with sync.Client(f"127.0.0.1:{shared_lite.service.port}", user="ana") as client:
            return client.answer_prompts(asked, "ACCEPT")

    assert [result.error for result in await asyncio.to_thread(answer)] == [None, None]
