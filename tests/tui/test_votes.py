"""The full-screen console: votes of several people, exclusion, override."""

from __future__ import annotations

from typing import Any

from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2
from tests.tui.world import World, at, known_as, up

OUTCOME = "e1"
PLAN = {
    "title": "Release 1.4?",
    "contents": [
        prompt_pb2.PromptPart(content_id="plan", text="Blue first.", media_type="text/plain", editable=True)
    ],
    "decisions": [
        prompt_pb2.DecisionOption(decision=prompt_pb2.DECISION_ACCEPT, label="Approve"),
        prompt_pb2.DecisionOption(decision=prompt_pb2.DECISION_EDIT, label="Approve with changes"),
    ],
    "approval": prompt_pb2.Approval(
        required=2, reject_at=1, per_group=[prompt_pb2.GroupApproval(group="qa", required=1)]
    ),
    "exclude": prompt_pb2.Exclusion(requester=True, users=["ci"]),
}


def voted(version: int, *names: str) -> pb.PromptEvent:
    """The prompt with votes of these people for one proposal, and a shortfall."""
    edits = [prompt_pb2.Edit(content_id="plan", text="Green first.")]
    votes = [
        prompt_pb2.Vote(
            answer_id=f"{name}-1",
            user_id=name,
            decision=prompt_pb2.DECISION_EDIT,
            outcome=OUTCOME,
            create_time=at(-5),
            edits=() if number else edits,
        )
        for number, name in enumerate(names)
    ]
    count = prompt_pb2.VoteCount(
        outcome=OUTCOME, decision=prompt_pb2.DECISION_EDIT, votes=len(names), required=2
    )
    count.missing.add(group="qa", required=1)
    more: dict[str, Any] = {"votes": votes, "vote_counts": [count] if names else []}
    short = prompt_pb2.ApprovalShortfall(group="qa", required=1, known=0)
    return up("p1", version, content=PLAN, shortfalls=[short], **more)


async def test_votes_of_others_appear_and_one_key_votes_like_them(world: World) -> None:
    async with world.open(voted(1), person=known_as("ana"), size=(100, 44)):
        world.events(voted(2, "bob"))
        await world.until(lambda: "* bob approves with changes" in world.text)
        await world.press("g")
        await world.until(lambda: world.question.startswith("Vote like bob?"))
        await world.assert_screen("votes")
        await world.pilot.press("y")
        await world.press("enter")
        frame, request = await world.answer_frame()
        assert (request.decision, request.edits[0].text) == (prompt_pb2.DECISION_EDIT, "Green first.")
        mine = voted(3, "bob", "ana").upserted.prompt
        mine.votes[1].answer_id = request.answer_id
        await world.reply(frame, "RECORDED", prompt=mine)
        await world.until(
            lambda: "Recorded: your vote on Release 1.4?; 1 more needed (1 of qa)" in world.text
        )
        world.events(pb.PromptEvent(upserted=pb.PromptUpserted(prompt=mine)))
        await world.until(lambda: "w withdraw" in world.text)
        assert "* ana" not in world.text  # the own vote has its verdict
        await world.press("w")
        frame = await world.stream.next("withdraw_answer")
        assert frame.withdraw_answer.answer_id == request.answer_id
        world.stream.send(frame.ref, withdraw_answer=pb.WithdrawAnswerResponse(prompt=mine))
        await world.until(lambda: "your vote on 1 is withdrawn" in world.text)


async def test_an_excluded_admin_sees_so_and_can_only_override(world: World) -> None:
    async with world.open(voted(1), person=known_as("ci", admin=True), size=(100, 40)):
        await world.until(lambda: "not you" in world.text)
        await world.assert_screen("excluded")
        await world.press("a")
        await world.until(lambda: world.text.count("you may not answer") == 2)
        assert world.question == ""
        await world.press("o")
        await world.enter("away")
        await world.enter("a")
        await world.enter("y")
        frame = await world.stream.next("override_prompt")
        assert (frame.override_prompt.comment, frame.override_prompt.decision) == ("away", 1)
        result = pb.AnswerResult(answer_id="x", status=prompt_pb2.ANSWER_STATUS_ACCEPTED)
        world.stream.send(frame.ref, override_prompt=pb.OverridePromptResponse(result=result))
