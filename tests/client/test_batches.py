"""One decision on several prompts, at a server that is older and on a stream that breaks."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from askback import AnswerOutcome, Client, DecisionKind, PromptInfo
from askback.cli.inbox.together import answer_together
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2
from tests.support.fake_server import FakeServer

SHOWN = [PromptInfo(prompt_pb2.Prompt(prompt_id=name, revision=1)) for name in ("p1", "p2")]


async def test_inbox_approve_answers_one_by_one_at_an_older_server(server: FakeServer) -> None:
    async def answer(request: pb.AnswerPromptRequest, context: Any) -> pb.AnswerPromptResponse:
        if request.prompt_id == "p2":
            await context.abort(grpc.StatusCode.UNIMPLEMENTED)
        accepted = prompt_pb2.ANSWER_STATUS_ACCEPTED
        return pb.AnswerPromptResponse(
            result=pb.AnswerResult(status=accepted, prompt=prompt_pb2.Prompt(prompt_id=request.prompt_id))
        )

    server.unary["AnswerPrompt"] = answer
    named = {prompt.prompt_id: prompt for prompt in SHOWN}
    async with Client(server.target) as client:
        verdicts = await answer_together(client, named, lambda prompt: DecisionKind.ACCEPT, "")
    assert [isinstance(verdicts[name], AnswerOutcome) for name in ("p1", "p2")] == [True, False]


async def test_a_console_resends_a_batch_with_the_same_ids_after_a_reconnect(server: FakeServer) -> None:
    client = Client(server.target)
    console = client.console()
    entering = asyncio.create_task(console.__aenter__())
    stream = await server.welcome_console()
    await entering
    answering = asyncio.create_task(console.answer_prompts(SHOWN, "ACCEPT"))
    sent = await stream.next("answer_prompts")
    stream.end(grpc.StatusCode.UNAVAILABLE)
    stream = await server.welcome_console()
    again = await stream.next("answer_prompts")
    assert again.answer_prompts == sent.answer_prompts
    accepted = prompt_pb2.ANSWER_STATUS_ACCEPTED
    results = [
        pb.AnswerPromptsResult(prompt_id=item.prompt_id, answer_id=item.answer_id, status=accepted)
        for item in again.answer_prompts.items
    ]
    stream.send(again.ref, answer_prompts=pb.AnswerPromptsResponse(results=results))
    assert [result.error for result in await answering] == [None, None]
    stream.end()
    await console.aclose()
    await client.aclose()
