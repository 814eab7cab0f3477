"""The full-screen console decides similar prompts together: those of the list that the person saw."""

from __future__ import annotations

from typing import Any

from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2
from tests.tui.world import World, closed, prompt, up

ALIKE: dict[str, Any] = {"group_key": "refunds", "body": "Refund it?"}


async def test_one_key_decides_the_similar_prompts_that_were_listed(world: World) -> None:
    async with world.open(
        *(up(name, content=ALIKE, shown_digest=name * 32) for name in ("p1", "p2", "p3")), up("p9")
    ):
        assert "= 3 similar" in world.text
        await world.press("j", "k", "=")
        await world.until(lambda: world.question.startswith("Decide all 3"))
        await world.assert_screen("similar")
        world.events(up("p4", content=ALIKE), up("p2", 2, revision=2, content=ALIKE))
        await world.until(lambda: "Question p4?" in world.text)
        await world.enter("a")
        await world.until(lambda: "what you have not seen" in world.question)
        assert "3: all but its title" in world.text, "only p1 and p2 were on the screen"
        await world.enter("y")
        await world.enter("y")
        frame = await world.stream.next("answer_prompts")
        request = frame.answer_prompts
        assert [(item.prompt_id, item.revision, item.shown_digest) for item in request.items] == [
            (name, 1, name * 32) for name in ("p1", "p2", "p3")
        ]
        assert request.decision == prompt_pb2.DECISION_ACCEPT
        verdicts = ("ACCEPTED", "STALE", "ACCEPTED")
        results = [
            pb.AnswerPromptsResult(
                prompt_id=item.prompt_id,
                answer_id=item.answer_id,
                status=prompt_pb2.AnswerStatus.Value(f"ANSWER_STATUS_{verdict}"),
            )
            for item, verdict in zip(request.items, verdicts, strict=True)
        ]
        world.stream.send(frame.ref, answer_prompts=pb.AnswerPromptsResponse(results=results))
        asked = await world.stream.next("get_prompt")
        now = prompt("p2", 2, revision=2, content=ALIKE)
        world.stream.send(asked.ref, get_prompt=pb.GetPromptResponse(prompt=now))
        world.events(closed("p1", user="ana"), closed("p3", user="ana"))
        await world.until(lambda: "1 of 3 not decided by this: 2" in world.text)
        await world.until(lambda: world.selected == "p2" and "Question p1?" not in world.text.split("───")[0])
        await world.assert_screen("similar_decided")


async def test_a_prompt_without_similar_ones_offers_no_such_key(world: World) -> None:
    async with world.open(up("p1", content=ALIKE), up("p2"), up("p3")):
        assert "similar" not in world.text
        await world.press("=")
        await world.until(lambda: "no other open prompt is similar to 1" in world.text)
        await world.press("j", "=")
        await world.until(lambda: "no other open prompt is similar to 2" in world.text)
