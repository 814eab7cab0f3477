"""A console against a scripted server: its view, credit, answers and retries."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from askback import errors
from askback._client.client import Client
from askback._console.console import Console
from askback._console.console_prompt import ConsolePrompt
from askback._console.console_view import Closing
from askback._model.enums import AnswerStatus
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2, stream_pb2
from tests.support.fake_server import FakeServer, FakeStream, converse_welcome, span
from tests.support.statuses import with_reason


class Session:
    """A console and the server side of its stream."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.stream: FakeStream = None  # type: ignore[assignment]
        self.console: Console = None  # type: ignore[assignment]
        self.hello = pb.ConverseHello()

    async def open(self, **options: Any) -> Console:
        client = Client(self.server.target, user="ana", groups=["desk"])
        self.console = client.console(**options)
        entering = asyncio.create_task(self.console.__aenter__())
        await self.welcome()
        return await entering

    async def welcome(self) -> None:
        """Accept the console's next stream."""
        self.stream = await self.server.converse()
        frame = await self.stream.next("hello")
        self.hello = frame.hello
        self.stream.send(frame.ref, **converse_welcome())

    def events(self, *events: pb.PromptEvent) -> None:
        self.stream.send_all(*((0, {"prompt_event": event}) for event in events))

    async def reply_to_answer(self, status: str, **more: Any) -> pb.AnswerPromptRequest:
        frame = await self.stream.next("answer_prompt")
        request: pb.AnswerPromptRequest = frame.answer_prompt
        result = pb.AnswerResult(
            answer_id=request.answer_id,
            status=prompt_pb2.AnswerStatus.Value(f"ANSWER_STATUS_{status}"),
            **more,
        )
        self.stream.send(frame.ref, answer_prompt=pb.AnswerPromptResponse(result=result))
        return request


@pytest.fixture
async def session(server: FakeServer) -> AsyncIterator[Session]:
    session = Session(server)
    yield session
    if session.console is not None:
        session.stream.end()
        await asyncio.wait_for(session.console.__aexit__(), 5)
    left = {task for task in asyncio.all_tasks() if task.get_name().startswith("askback")}
    assert not left


def prompt(name: str, version: int = 1, **more: Any) -> prompt_pb2.Prompt:
    made = prompt_pb2.Prompt(
        prompt_id=name,
        job_id=f"job-{name}",
        version=version,
        revision=1,
        state=prompt_pb2.PROMPT_STATE_PENDING,
        content=prompt_pb2.PromptContent(kind="confirm", title=f"{name} v{version}"),
    )
    made.MergeFrom(prompt_pb2.Prompt(**more))
    return made


def up(name: str, version: int = 1, **more: Any) -> pb.PromptEvent:
    return pb.PromptEvent(upserted=pb.PromptUpserted(prompt=prompt(name, version, **more)))


def closed_event(name: str, version: int = 2) -> pb.PromptEvent:
    end = pb.PromptClosed(prompt_id=name, job_id=f"job-{name}", version=version, answer_id="a")
    end.resolution.state = prompt_pb2.PROMPT_STATE_ANSWERED
    end.resolution.answer.user_id = "bob"
    return pb.PromptEvent(closed=end)


def removed_event(name: str, version: int = 2) -> pb.PromptEvent:
    return pb.PromptEvent(removed=pb.PromptRemoved(prompt_id=name, version=version))


def caught_up(token: str = "t1") -> pb.PromptEvent:
    return pb.PromptEvent(caught_up=pb.PromptsCaughtUp(resume_token=token))


async def take(prompts: AsyncIterator[ConsolePrompt]) -> ConsolePrompt:
    return await asyncio.wait_for(anext(prompts), 2)


async def nothing(prompts: AsyncIterator[ConsolePrompt]) -> bool:
    task = asyncio.ensure_future(anext(prompts))
    done, _ = await asyncio.wait((task,), timeout=0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return not done


async def test_the_hello_carries_the_view_and_its_credit(session: Session) -> None:
    await session.open(
        kinds=["confirm"], job_types=["refund"], for_groups=["desk"], credit=7, groups=["other"]
    )
    assert session.hello.credit == 7
    assert list(session.hello.filter.kinds) == ["confirm"]
    assert list(session.hello.filter.groups) == ["desk"]
    assert session.hello.instance_id
    assert (session.stream.metadata["askback-user"], session.stream.metadata["askback-groups"]) == (
        "ana",
        "other",
    )


async def test_prompts_are_coalesced_and_closed_ones_are_not_delivered(session: Session) -> None:
    console = await session.open(credit=0)
    session.events(up("a"), up("b"), up("c"), caught_up())
    await asyncio.wait_for(console.caught_up.wait(), 2)
    session.events(up("a", 3), closed_event("b"), up("a", 2), up("b", 1))
    await asyncio.sleep(0.05)
    prompts = console.prompts()
    assert (await take(prompts)).title == "a v3"
    assert (await take(prompts)).title == "c v1"
    assert await nothing(prompts)
    assert console.open_ids == ["a", "c"]


async def test_an_older_version_of_a_prompt_is_not_delivered(session: Session) -> None:
    console = await session.open(credit=0)
    prompts = console.prompts()
    session.events(up("a", 5))
    assert (await take(prompts)).version == 5
    session.events(up("a", 4), up("a", 5))
    assert await nothing(prompts)
    prompts = console.prompts()
    session.events(up("a", 6))
    assert (await take(prompts)).version == 6


async def credits(session: Session) -> int:
    frames = await session.stream.frames_within(0.05)
    return sum(f.credit.prompts for f in frames if f.WhichOneof("body") == "credit")


async def test_credit_is_returned_when_the_next_prompt_is_taken(session: Session) -> None:
    console = await session.open(credit=2)
    prompts = console.prompts()
    session.events(up("a"), up("b"))
    await take(prompts)
    assert await credits(session) == 0
    await take(prompts)
    assert await credits(session) == 1
    session.events(up("c"))
    await asyncio.sleep(0.05)
    # Frames that were coalesced or removed before delivery return their credit, because no program takes
    # them.
    session.events(up("c", 2))
    assert await credits(session) == 1
    session.events(closed_event("c", 3))
    assert await credits(session) == 1


async def test_credit_of_an_old_stream_is_not_given_to_a_new_one(session: Session) -> None:
    console = await session.open(credit=2)
    prompts = console.prompts()
    session.events(up("a"), up("b"), caught_up())
    await take(prompts)
    session.stream.end(grpc.StatusCode.UNAVAILABLE)
    await session.welcome()
    assert session.hello.credit == 2
    await asyncio.sleep(0.1)  # until the console has taken the welcome
    await take(prompts)
    assert await credits(session) == 0


async def test_a_reset_after_resuming_reports_prompts_that_vanished(session: Session) -> None:
    console = await session.open(credit=0)
    left: list[Closing] = []
    console.on_closed(left.append)
    closings = console.closings()
    first = asyncio.ensure_future(anext(closings))
    prompts = console.prompts()
    session.events(up("a"), up("b"), caught_up("t1"))
    await take(prompts)
    await take(prompts)
    session.stream.send(heartbeat=pb.ConverseHeartbeat(resume_token="t2"))
    await asyncio.sleep(0.05)
    session.stream.end(grpc.StatusCode.UNAVAILABLE)
    await session.welcome()
    assert session.hello.resume_token == "t2"
    await asyncio.sleep(0.05)
    assert not console.caught_up.is_set()
    # A token from before `caught_up` would skip prompts that were not sent yet.
    session.stream.send(heartbeat=pb.ConverseHeartbeat(resume_token="t3"))
    await asyncio.sleep(0.05)
    session.stream.end(grpc.StatusCode.UNAVAILABLE)
    await session.welcome()
    assert session.hello.resume_token == "t2"
    reset = pb.PromptEvent(reset_view=pb.PromptsReset(reason="too old"))
    session.events(reset, up("a"), up("c"), caught_up("t4"))
    assert (await take(prompts)).prompt_id == "c"
    await asyncio.wait_for(console.caught_up.wait(), 2)
    assert [(c.prompt_id, c.job_id, c.why) for c in left] == [("b", "job-b", "gone")]
    assert await asyncio.wait_for(first, 1) == left[0]
    await closings.aclose()  # type: ignore[attr-defined]


async def ask_to_move(session: Session) -> FakeStream:
    """Ask the console to move. Returns the stream that it leaves; the next one has sent its hello."""
    old = session.stream
    old.send(go_away=pb.ConverseGoAway(reason="drain", after=span(2)))
    session.stream = await session.server.converse()
    return old


async def say_after_the_hello(old: FakeStream, prompt: ConsolePrompt, *events: pb.PromptEvent) -> None:
    """Send events on a stream that the console leaves, and wait until it has them: a reply follows them."""
    claiming = asyncio.create_task(prompt.claim())
    ref = (await old.next("claim_prompt")).ref
    reply = pb.ClaimPromptResponse(prompt=prompt.proto)
    old.send_all(*((0, {"prompt_event": event}) for event in events), (ref, {"claim_prompt": reply}))
    await asyncio.wait_for(claiming, 2)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_stream_changes_nothing_after_the_hello_of_the_next(session: Session, when: str) -> None:
    """The console is asked to move while the first snapshot is sent. The next stream sends a snapshot of its
    own, so the end of the first one does not count, and its changes may be of another access."""
    console = await session.open(credit=0)
    left: list[Closing] = []
    console.on_closed(left.append)
    session.events(up("a"), up("b"))
    prompts = console.prompts()
    first = await take(prompts)
    assert (await take(prompts)).prompt_id == "b"
    old = await ask_to_move(session)
    hello = await session.stream.next("hello")
    assert not hello.hello.resume_token
    if when == "before":
        await say_after_the_hello(old, first, removed_event("b"), caught_up("old"))
    session.stream.send(hello.ref, **converse_welcome())
    await asyncio.wait_for(old.half_closed.wait(), 2)
    if when == "after":
        old.send_all(*((0, {"prompt_event": event}) for event in (removed_event("b"), caught_up("old"))))
    old.end()
    await asyncio.gather(*console._session._retiring)
    assert not console.caught_up.is_set()
    assert (console.open_ids, left) == (["a", "b"], [])
    session.events(up("b"), caught_up("new"))
    await asyncio.wait_for(console.caught_up.wait(), 2)
    assert [(c.prompt_id, c.why) for c in left] == [("a", "gone")]


async def test_a_stream_serves_on_if_the_next_one_is_refused(session: Session) -> None:
    console = await session.open(credit=0)
    session.events(up("a"), up("b"), caught_up("t1"))
    first = await take(console.prompts())
    old = await ask_to_move(session)
    assert (await session.stream.next("hello")).hello.resume_token == "t1"
    bookmark = pb.PromptEvent(bookmark=pb.PromptsBookmark(resume_token="t2"))
    await say_after_the_hello(old, first, removed_event("b"), bookmark)
    assert console.open_ids == ["a", "b"]
    session.stream.end(grpc.StatusCode.UNAVAILABLE)
    session.stream = await session.server.converse()
    assert (await session.stream.next("hello")).hello.resume_token == "t2"
    assert console.open_ids == ["a"]


async def test_closings_name_the_winner(session: Session) -> None:
    console = await session.open(credit=0)
    left: list[Closing] = []
    stop = console.on_closed(left.append)
    session.events(up("a"), closed_event("a"), closed_event("a"))
    session.events(up("b"), removed_event("b"))
    await asyncio.sleep(0.05)
    assert [(c.prompt_id, c.why) for c in left] == [("a", "closed"), ("b", "removed")]
    assert left[0].resolution
    assert left[0].resolution.answer
    assert left[0].resolution.answer.by == "bob"
    stop()


async def show_prompt(session: Session, **more: Any) -> ConsolePrompt:
    console = await session.open(credit=0)
    session.events(up("a", **more))
    return await take(console.prompts())


def form(*decisions: str, **properties: Any) -> prompt_pb2.PromptContent:
    import json

    content = prompt_pb2.PromptContent()
    if properties:
        content.schema_json = json.dumps({"type": "object", "properties": properties})
    for decision in decisions:
        content.decisions.add(decision=prompt_pb2.Decision.Value(f"DECISION_{decision}"))
    return content


async def test_each_verb_sends_the_decision_that_fits_the_prompt(session: Session) -> None:
    content = form("RESPOND", "DISMISS", n={"type": "integer"})
    one = await show_prompt(session, content=content, revision=3)
    for doing, expected in (
        (one.answer(n=2), ("RESPOND", '{"n":2}', "")),
        (one.answer(5), ("RESPOND", '{"n":5}', "")),
        (one.answer({"n": 7}, comment="c"), ("RESPOND", '{"n":7}', "c")),
        (one.approve("fine"), ("ACCEPT", "", "fine")),
        (one.decline("no"), ("DISMISS", "", "no")),
        (one.revise("shorter"), ("REVISE", "", "shorter")),
        (one.dismiss(), ("DISMISS", "", "")),
        (one.edit({"x": "y"}), ("EDIT", "", "")),
    ):
        task = asyncio.create_task(doing)
        request = await session.reply_to_answer("ACCEPTED")
        outcome = await task
        decision = prompt_pb2.Decision.Name(request.decision).removeprefix("DECISION_")
        assert (decision, request.values_json, request.comment) == expected
        assert request.revision == 3
        assert outcome.status is AnswerStatus.ACCEPTED
        assert outcome.answer_id == request.answer_id


@pytest.mark.parametrize("status", ["ACCEPTED", "RECORDED"])
async def test_an_answer_is_resent_until_its_result_arrives(session: Session, status: str) -> None:
    one = await show_prompt(session)
    waiting = asyncio.create_task(one.approve())
    first = await session.stream.next("answer_prompt")
    session.stream.end(grpc.StatusCode.UNAVAILABLE)
    await session.welcome()
    again = await session.reply_to_answer(status, replayed=True)
    assert again == first.answer_prompt
    assert (await waiting).replayed
    assert not one.is_answering


async def test_an_override_is_resent_under_its_id(session: Session) -> None:
    one = await show_prompt(session)
    waiting = asyncio.create_task(one.override("ACCEPT", "urgent"))
    first = await session.stream.next("override_prompt")
    session.stream.end(grpc.StatusCode.UNAVAILABLE)
    await session.welcome()
    again = await session.stream.next("override_prompt")
    assert again.override_prompt == first.override_prompt
    assert (again.override_prompt.comment, again.override_prompt.answer_id != "-") == ("urgent", True)
    result = pb.AnswerResult(answer_id="x", status=prompt_pb2.ANSWER_STATUS_ACCEPTED)
    session.stream.send(again.ref, override_prompt=pb.OverridePromptResponse(result=result))
    assert (await waiting).status is AnswerStatus.ACCEPTED


async def test_the_same_answer_after_a_cancelled_wait_keeps_its_id(session: Session) -> None:
    one = await show_prompt(session)
    waiting = asyncio.create_task(one.approve("yes"))
    first = (await session.stream.next("answer_prompt")).answer_prompt
    waiting.cancel()
    waiting = asyncio.create_task(one.approve("yes"))
    assert (await session.reply_to_answer("ACCEPTED")).answer_id == first.answer_id
    await waiting
    waiting = asyncio.create_task(one.approve("yes"))
    assert (await session.reply_to_answer("ACCEPTED")).answer_id != first.answer_id
    await waiting


async def test_a_losing_answer_raises_with_the_winner(session: Session) -> None:
    one = await show_prompt(session)
    waiting = asyncio.create_task(one.approve())
    won = prompt("a", 2, state=prompt_pb2.PROMPT_STATE_ANSWERED)
    won.resolution.state = prompt_pb2.PROMPT_STATE_ANSWERED
    won.resolution.answer.user_id = "bob"
    await session.reply_to_answer("CLOSED", prompt=won)
    with pytest.raises(errors.PromptClosed) as caught:
        await waiting
    assert caught.value.resolution
    assert caught.value.resolution.answer
    assert caught.value.resolution.answer.by == "bob"
    assert not one.still_open


async def test_stale_and_invalid_answers_raise_with_details(session: Session) -> None:
    one = await show_prompt(session)
    waiting = asyncio.create_task(one.approve())
    await session.reply_to_answer("STALE", prompt=prompt("a", 2, revision=2))
    with pytest.raises(errors.PromptStale) as stale:
        await waiting
    assert stale.value.prompt
    assert stale.value.prompt.revision == 2
    waiting = asyncio.create_task(one.answer({"n": "x"}))
    wrong = prompt_pb2.FieldViolation(field="values_json/n", description="must be an integer")
    await session.reply_to_answer("INVALID", prompt=prompt("a"), violations=[wrong])
    with pytest.raises(errors.AnswerInvalid) as invalid:
        await waiting
    assert [v.field for v in invalid.value.violations] == ["values_json/n"]
    assert one.still_open


async def test_a_claim_is_sent_and_answering_a_claimed_prompt_raises(session: Session) -> None:
    one = await show_prompt(session)
    waiting = asyncio.create_task(one.claim(30))
    frame = await session.stream.next("claim_prompt")
    assert frame.claim_prompt.duration.ToSeconds() == 30
    session.stream.send(frame.ref, claim_prompt=pb.ClaimPromptResponse(prompt=prompt("a", claimed_by="ana")))
    assert (await waiting).claimed_by == "ana"
    answering = asyncio.create_task(one.approve())
    frame = await session.stream.next("answer_prompt")
    error = stream_pb2.FrameError(code=9, reason="ERROR_REASON_PROMPT_CLAIMED", message="bob has it")
    error.metadata["claimed_by"] = "bob"
    session.stream.send(frame.ref, error=error)
    with pytest.raises(errors.PromptClaimed) as caught:
        await answering
    assert caught.value.claimed_by == "bob"


async def test_a_refused_console_raises_in_the_program(session: Session) -> None:
    console = await session.open(credit=0)
    waiting = asyncio.ensure_future(anext(console.prompts()))
    await asyncio.sleep(0.05)
    code = grpc.StatusCode.PERMISSION_DENIED
    session.stream.end(*with_reason(code, "ERROR_REASON_PERMISSION_DENIED", session.stream.context))
    with pytest.raises(errors.PermissionDenied):
        await asyncio.wait_for(waiting, 2)
