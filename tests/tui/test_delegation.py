"""The full-screen console: a prompt is passed on, given back and taken back."""

from __future__ import annotations

from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2
from tests.tui.world import World, known_as, up

PAY = {"title": "Pay?", "audience": prompt_pb2.Audience(users=["ana"])}
NO_ONE_ELSE = prompt_pb2.DelegationPolicy(scope=prompt_pb2.DELEGATION_SCOPE_NO_ONE)


def delegated(version: int, giver: str, user: str, **fields: object) -> pb.PromptEvent:
    """The prompt with one delegation of ana's right."""
    given = prompt_pb2.Delegation(
        holder="ana", giver=giver, user=user, cause=prompt_pb2.DELEGATION_CAUSE_PERSON, **fields
    )
    return up("p1", version, content=PAY, delegations=[given])


async def test_a_key_passes_a_prompt_on_and_another_takes_it_back(world: World) -> None:
    async with world.open(up("p1", 1, content=PAY), person=known_as("ana"), size=(100, 40)):
        await world.press("p")
        await world.enter("ben")
        await world.enter("n")
        await world.enter("you know them")
        frame = await world.stream.next("delegate_prompt")
        request = frame.delegate_prompt
        assert (request.user, request.mode, request.comment) == (
            "ben",
            pb.DELEGATION_MODE_TRANSFER,
            "you know them",
        )
        world.stream.send(frame.ref, delegate_prompt=pb.DelegatePromptResponse())
        world.events(pb.PromptEvent(removed=pb.PromptRemoved(prompt_id="p1", version=2)))
        await world.until(lambda: "not for you any more" in world.text)
        await world.assert_screen("delegated")
        await world.press("a")
        await world.until(lambda: "it has ended" in world.text)
        await world.press("b")  # the prompt is not in the view, and its row is still selected
        await world.until(lambda: world.question == "Take it back from ben? [y/N] ")
        await world.enter("y")
        frame = await world.stream.next("delegate_prompt")
        assert (frame.delegate_prompt.user, frame.delegate_prompt.mode) == ("ben", pb.DELEGATION_MODE_RETURN)
        world.stream.send(frame.ref, delegate_prompt=pb.DelegatePromptResponse())
        await world.until(lambda: "1 is taken back from ben" in world.text)


async def test_a_prompt_that_came_by_delegation_says_so_and_is_given_back(world: World) -> None:
    async with world.open(person=known_as("ben"), size=(100, 40)):
        world.events(delegated(1, "ana", "ben", transferred=True, comment="you know them"))
        await world.until(lambda: "* Pay?: for ana, who delegated it: you know them" in world.text)
        await world.press("j")
        await world.until(lambda: "you answer  for ana, who delegated it: you know them" in world.text)
        assert "(for ana)" in world.text
        await world.press("b")
        await world.enter("y")
        await world.enter("")
        frame = await world.stream.next("delegate_prompt")
        request = frame.delegate_prompt
        assert (request.user, request.group, request.mode) == ("", "", pb.DELEGATION_MODE_RETURN)
        world.stream.send(frame.ref, delegate_prompt=pb.DelegatePromptResponse())
        await world.until(lambda: "1 is given back to ana" in world.text)


async def test_the_keys_are_shown_to_people_who_can_use_them(world: World) -> None:
    async with world.open(up("p1", 1, content=PAY), person=known_as("root", admin=True)):
        await world.until(lambda: "t take" in world.text)
        assert "p delegate" not in world.text  # an admin who is not asked has no right to give
        world.events(delegated(2, "ana", "root"))
        await world.until(lambda: "p delegate" in world.text and "b return" in world.text)
        world.events(up("p1", 3, content={**PAY, "delegation": NO_ONE_ELSE}))
        await world.until(lambda: "p delegate" not in world.text)
        assert "delegation  not allowed" in world.text
