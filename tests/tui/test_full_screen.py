"""The full-screen console: what it shows, and that no key acts on something else than the person saw."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from textual.events import Paste

from askback.errors import PermissionDenied
from askback.v1 import prompt_pb2
from tests.support.statuses import with_reason
from tests.tui.world import World, at, caught_up, closed, prompt, up


async def test_the_screen_shows_the_queue_and_the_most_urgent_prompt(world: World) -> None:
    urgent: dict[str, Any] = {
        "title": "Pay 12.5 EUR?",
        "priority": 5,
        "body": "For **A-17**.\n\n- one\n- two\n",
    }
    async with world.open(
        up("p1"),
        up("p2", content=urgent, expire_time=at(300), claimed_by="bob", claim_expire_time=at(60)),
        up("p3", expire_time=at(7200), unattended_time=at(-60)),
    ):
        assert world.selected == "p2"
        await world.assert_screen("queue")


async def test_one_key_and_a_yes_approve_the_revision_that_was_shown(world: World) -> None:
    async with world.open(up("p1", revision=3), up("p2")):
        await world.press("a")
        await world.until(lambda: world.question.startswith("Approve?"))
        await world.assert_screen("approve")
        await world.pilot.press("y")
        await world.press("enter")
        frame, request = await world.answer_frame()
        assert (request.prompt_id, request.revision, request.decision) == (
            "p1",
            3,
            prompt_pb2.DECISION_ACCEPT,
        )
        done = prompt("p1", 2, revision=3)
        done.resolution.CopyFrom(closed("p1").closed.resolution)
        await world.reply(frame, "ACCEPTED", prompt=done)
        await world.until(lambda: "Approved" in world.text and "answered by bob" in world.text)
        assert world.selected == "p1"


async def test_a_prompt_that_ends_elsewhere_stays_selected_and_its_keys_do_nothing(world: World) -> None:
    async with world.open(up("p1"), up("p2")):
        world.events(closed("p1"))
        await world.until(lambda: "answered by bob" in world.text)
        await world.assert_screen("tombstone")
        await world.press("a", "y", "enter")
        assert (world.selected, world.question) == ("p1", "")
        await world.press("j")
        await world.until(lambda: world.selected == "p2")
        assert "Question p1" not in world.text


async def test_arriving_prompts_do_not_move_the_selection(world: World) -> None:
    async with world.open(up("p5")):
        for name in ("p1", "p9"):
            world.events(up(name, content={"title": f"Urgent {name}?", "priority": 9}))
            await world.until(lambda name=name: f"Urgent {name}" in world.text)
        assert world.selected == "p5"
        await world.press("a")
        await world.until(lambda: world.question != "")
        await world.enter("y")
        _, request = await world.answer_frame()
        assert request.prompt_id == "p5"


async def test_keys_do_nothing_within_the_dead_time(world: World) -> None:
    async with world.open(up("p1"), up("p2")):
        await world.press("j")
        assert world.selected == "p2"
        await world.pilot.press("a")
        await world.pilot.pause()
        assert world.question == ""
        world.clock.pass_dead_time()
        await world.pilot.press("a")
        await world.until(lambda: world.question.startswith("Approve?"))
        await world.pilot.press("y", "enter")
        await world.pilot.pause()
        assert world.question.startswith("Approve?"), "the question had just opened"


async def test_a_new_revision_aborts_the_answer_and_keeps_what_was_typed(world: World) -> None:
    question = prompt_pb2.Question(question_id="why", title="Why?", required=True)
    question.text.multiline = False
    asked = {"questions": prompt_pb2.QuestionForm(questions=[question])}
    respond = [prompt_pb2.DecisionOption(decision=prompt_pb2.DECISION_RESPOND, label="Answer")]
    content: dict[str, Any] = {"decisions": respond, **asked}
    async with world.open(up("p1", content=content)):
        await world.press("enter")
        await world.enter("because")
        await world.until(lambda: world.question.startswith("Send it?"))
        world.events(up("p1", 2, revision=2, content={**content, "title": "Another question?"}))
        await world.until(lambda: "Press Enter to go on" in world.question)
        await world.enter("")
        await world.until(lambda: "What you had typed" in world.text and world.question == "")
        assert "because" in world.text
        await world.press("enter")
        await world.until(lambda: "[Enter: because]" in world.question)
        await world.enter("")
        await world.enter("y")
        _, request = await world.answer_frame()
        assert (request.revision, request.values_json) == (2, '{"why":"because"}')


async def test_other_content_with_the_number_of_the_shown_revision_is_not_answered(world: World) -> None:
    """As after a restore of the database. The digest that is sent is that of what was on the screen."""
    async with world.open(up("p1", shown_digest="a" * 64)):
        await world.press("a")
        await world.until(lambda: world.question.startswith("Approve?"))
        world.events(up("p1", 2, shown_digest="b" * 64, content={"title": "Another question?"}))
        await world.until(lambda: "Press Enter to go on" in world.question)
        await world.enter("")
        await world.until(lambda: "Another question?" in world.text and world.question == "")
        await world.press("a")
        await world.until(lambda: world.question.startswith("Approve?"))
        # A claim by another person is not another content, also in a message of an older server.
        world.events(up("p1", 3, claimed_by="bob", content={"title": "Another question?"}))
        await world.enter("y")
        _, request = await world.answer_frame()
        assert (request.revision, request.shown_digest) == (1, "b" * 64)


async def test_without_a_connection_the_screen_is_read_only_and_keeps_the_typing(world: World) -> None:
    async with world.open(up("p1"), up("p2"), up("p3")):
        await world.press("r")
        await world.until(lambda: world.question.startswith("Reason"))
        await world.pilot.press("n", "o")
        await world.disconnect()
        await world.assert_screen("offline")
        await world.press("enter")
        assert world.question.startswith("Reason"), "no answer is queued for later"
        await world.press("escape")
        await world.until(lambda: world.question == "")
        await world.press("a")
        assert world.question == ""
        await world.welcome()
        world.events(closed("p2"), up("p4"), caught_up())
        await world.until(lambda: "connected again: 1 ended, 1 new meanwhile" in world.text)
        assert world.selected == "p1"
        await world.press("a")
        await world.until(lambda: world.question.startswith("Approve?"))


async def test_what_was_not_scrolled_to_is_said_before_a_yes(world: World) -> None:
    body = "\n\n".join(f"line {n}" for n in range(60))
    async with world.open(up("p1", content={"body": body})):
        await world.press("a")
        await world.until(lambda: "Say yes to what you have not seen?" in world.question)
        assert "You have not been shown all of it" in world.text
        await world.enter("n")
        await world.until(lambda: world.question == "")
        for _ in range(12):
            await world.press("space")
        await world.press("a")
        await world.until(lambda: world.question.startswith("Approve?"))


async def test_hostile_text_changes_no_other_part_of_the_screen(world: World) -> None:
    title = "\x1b[2J\x1b]52;c;AAAA\x07[bold]a\u202eb[/bold]\r" + " " * 200 + "rm -rf /"
    async with world.open(up("p1", content={"title": title, "body": "\x1b[31mred <b>x</b> [link=x]"})):
        await world.assert_screen("hostile")
        assert not any(letter in world.text for letter in "\x1b\x07\r\u202e")


async def test_search_claim_skip_and_help(world: World) -> None:
    async with world.open(up("p1"), up("p2", content={"title": "Unicorn?"}), up("p3")):
        await world.press("/")
        await world.enter("unicorn")
        await world.until(lambda: "Question p3" not in world.text)
        assert world.selected == "p1", "a search moves no selection"
        await world.press("/")
        await world.enter("")
        await world.press("t")
        frame = await world.stream.next("claim_prompt")
        assert frame.claim_prompt.prompt_id == "p1"
        world.stream.send(frame.ref, claim_prompt={"prompt": prompt("p1", 2, claimed_by="ana")})
        await world.until(lambda: "it is yours" in world.text)
        await world.press("s")
        frame = await world.stream.next("release_prompt")
        world.stream.send(frame.ref, release_prompt={"prompt": prompt("p1", 3)})
        await world.until(lambda: world.selected == "p2")
        await world.press("?")
        await world.until(lambda: "leave a question" in world.text)


async def test_leaving_gives_a_claim_back(world: World) -> None:
    async with world.open(up("p1")):
        await world.press("t")
        frame = await world.stream.next("claim_prompt")
        world.stream.send(frame.ref, claim_prompt={"prompt": prompt("p1", 2, claimed_by="ana")})
        await world.until(lambda: "it is yours" in world.text)
        leaving = asyncio.create_task(world.app.action_leave_console())
        frame = await world.stream.next("release_prompt")
        assert frame.release_prompt.prompt_id == "p1"
        world.stream.send(frame.ref, release_prompt={"prompt": prompt("p1", 3)})
        await leaving


async def test_the_screen_ends_with_the_error_of_a_final_refusal(world: World) -> None:
    async with world.open(up("p1")):
        code, reason = grpc.StatusCode.PERMISSION_DENIED, "ERROR_REASON_PERMISSION_DENIED"
        world.stream.end(*with_reason(code, reason, world.stream.context))
        await world.until(lambda: world.app.return_value is not None)
        assert isinstance(world.app.return_value, PermissionDenied)


async def test_a_paste_of_several_lines_is_refused_and_answers_nothing(world: World) -> None:
    async with world.open(up("p1")):
        await world.press("r")
        await world.until(lambda: world.question.startswith("Reason"))
        world.pane.line.post_message(Paste("no\nyes\n"))
        await world.until(lambda: "this paste has several lines" in world.text)
        assert (world.question.startswith("Reason"), world.pane.line.value) == (True, "")
