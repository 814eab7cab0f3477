"""Converse: how a stream begins and ends, and which frames it accepts."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2 as prompts
from tests.support.refusals import SOON, check, frame_refusal
from tests.support.requests import answer, confirm
from tests.support.service import ServiceWorld, serving
from tests.support.streams import ABSENT_ID
from tests.support.waiting import until


def frame(ref: int = 0, **body: Any) -> pb.ConverseClientFrame:
    return pb.ConverseClientFrame(ref=ref, **body)


HELLO = frame(1, hello=pb.ConverseHello())


async def test_an_empty_hello_is_valid_and_its_reply_echoes_the_ref(lite: ServiceWorld) -> None:
    console = lite.console()
    await console.send(frame(41, hello=pb.ConverseHello()))
    first = await console.frame()
    assert (first.ref, first.WhichOneof("body")) == (41, "welcome")
    welcome = first.welcome
    assert welcome.session_id
    assert welcome.replica == "r1"
    assert welcome.heartbeat_interval.ToTimedelta().total_seconds() == 15
    assert (welcome.max_in_flight, welcome.max_message_bytes) == (64, 4 * 1024 * 1024)
    shown, caught_up = await console.snapshot()
    assert shown == []
    assert caught_up.open_prompts == 0
    assert caught_up.resume_token


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "body",
    [
        {"heartbeat": pb.ConverseHeartbeat()},
        {"credit": pb.ConverseCredit(prompts=1)},
        {"goodbye": pb.ConverseGoodbye()},
        {"get_prompt": pb.GetPromptRequest(prompt_id=ABSENT_ID)},
    ],
)
async def test_any_frame_before_the_hello_ends_the_stream(
    shared_lite: ServiceWorld, body: dict[str, Any]
) -> None:
    console = shared_lite.console()
    await console.send(frame(1, **body), HELLO)
    found = await console.wait_for_end()
    assert found is not None
    check(found, "INVALID_ARGUMENT", "BAD_HELLO")


async def test_a_second_hello_ends_the_stream(lite: ServiceWorld) -> None:
    console = lite.console()
    await console.hello()
    await console.send(HELLO)
    found = await console.wait_for_end()
    assert found is not None
    check(found, "INVALID_ARGUMENT", "BAD_HELLO")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("hello", "field"),
    [
        ({"credit": -1}, "hello.credit"),
        ({"credit": 10_001}, "hello.credit"),
        ({"filter": pb.PromptFilter(states=[1])}, "filter.states"),
        ({"filter": pb.PromptFilter(kinds=["\0"])}, "filter.kinds"),
        ({"namespace": "a b"}, "namespace"),
    ],
)
@pytest.mark.parametrize("ref", [0, 5])
async def test_a_wrong_hello_ends_the_stream(
    shared_lite: ServiceWorld, hello: dict[str, Any], field: str, ref: int
) -> None:
    console = shared_lite.console()
    await console.send(frame(ref, hello=pb.ConverseHello(**hello)))
    found = await console.wait_for_end()
    assert found is not None
    check(found, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert set(found.violations) == {field}


async def test_an_unknown_frame_is_refused_and_the_stream_continues(lite: ServiceWorld) -> None:
    console = lite.console()
    await console.hello()
    await console.snapshot()
    newer = pb.ConverseClientFrame.FromString(frame(7).SerializeToString() + b"\xa2\x06\x01x")
    await console.send(newer, frame(0))
    refused = await console.frame()
    assert refused.ref == 7
    check(frame_refusal(refused.error), "INVALID_ARGUMENT", "INVALID_FIELD")
    await console.nothing_more()


async def test_a_frame_with_ref_0_is_executed_without_a_reply(lite: ServiceWorld) -> None:
    prompt, other = await lite.create_prompt(), await lite.create_prompt()
    console = lite.console()
    await console.hello()
    await console.snapshot()
    wrong = pb.AnswerPromptRequest(prompt_id=ABSENT_ID, answer_id="a", revision=1, decision=1)
    await console.send(frame(0, answer_prompt=wrong), frame(0, answer_prompt=answer(prompt)))
    closed = await console.event("closed")
    assert closed.prompt_id == prompt.prompt_id
    await console.nothing_more()
    assert (await lite.prompt(other.prompt_id)).submissions == 0


async def test_many_frames_in_one_message_are_all_replied_to(lite: ServiceWorld) -> None:
    made = [await lite.create_prompt() for _ in range(10)]
    console = lite.console()
    # The hello may share a message with the frames that follow it.
    answers = [frame(100 + i, answer_prompt=answer(p, f"a{i}")) for i, p in enumerate(made)]
    await console.send(HELLO, *answers)
    await console.expect("welcome")
    refs = set()
    while len(refs) < 10:
        got = await console.frame()
        if got.WhichOneof("body") == "answer_prompt":
            assert got.answer_prompt.result.status == prompts.ANSWER_STATUS_ACCEPTED
            assert got.answer_prompt.result.answer_id == f"a{got.ref - 100}"
            refs.add(got.ref)
    assert refs == set(range(100, 110))


async def test_too_many_frames_in_flight_are_refused_one_by_one(lite: ServiceWorld) -> None:
    console = lite.console()
    await console.hello()
    await console.snapshot()
    ask = pb.ListPromptsRequest()
    await console.send(*(frame(i, list_prompts=ask) for i in range(1, 81)))
    done, too_many = set(), set()
    for _ in range(80):
        got = await console.frame()
        if got.WhichOneof("body") == "error":
            found = frame_refusal(got.error)
            check(found, "RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", limit="in_flight", value="64")
            assert got.error.HasField("retry_delay")  # after the next reply it is accepted
            too_many.add(got.ref)
        else:
            done.add(got.ref)
    assert (done, too_many) == (set(range(1, 65)), set(range(65, 81)))
    await console.ask(list_prompts=ask)


async def test_every_unary_call_works_as_a_frame(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt(confirm("one"))
    console = lite.console()
    await console.hello()
    await console.snapshot()
    assert (await console.ask(list_prompts=pb.ListPromptsRequest())).total_size == 1
    by_id = pb.GetPromptRequest(prompt_id=prompt.prompt_id)
    assert (await console.ask(get_prompt=by_id)).prompt == prompt
    claim = pb.ClaimPromptRequest(prompt_id=prompt.prompt_id)
    assert (await console.ask(claim_prompt=claim)).prompt.claimed_by == "ada"
    assert (await console.event("upserted")).prompt.claimed_by == "ada"
    release = pb.ReleasePromptRequest(prompt_id=prompt.prompt_id)
    assert not (await console.ask(release_prompt=release)).prompt.claimed_by
    await console.event("upserted")
    cancel = pb.CancelPromptRequest(prompt_id=prompt.prompt_id)
    assert (await console.ask(cancel_prompt=cancel)).prompt.state == prompts.PROMPT_STATE_CANCELLED
    await console.event("closed")
    listed = await console.ask(list_answers=pb.ListAnswersRequest(prompt_id=prompt.prompt_id))
    assert not listed.answers


async def test_frame_errors_equal_the_unary_status(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt()
    bob = lite.as_user("bob")
    await bob.hitl.ClaimPrompt(pb.ClaimPromptRequest(prompt_id=prompt.prompt_id))
    console = lite.console()
    await console.hello()
    await console.snapshot()
    missing = pb.GetPromptRequest(prompt_id=ABSENT_ID)
    found = await console.ask_refused("NOT_FOUND", "PROMPT_NOT_FOUND", get_prompt=missing)
    assert found.metadata == {"prompt_id": ABSENT_ID}
    found = await console.ask_refused("FAILED_PRECONDITION", "PROMPT_CLAIMED", answer_prompt=answer(prompt))
    assert found.metadata["claimed_by"] == "bob"
    found = await console.ask_refused(
        "INVALID_ARGUMENT", "INVALID_FIELD", answer_prompt=answer(prompt, "", revision=0)
    )
    assert set(found.violations) == {"answer_id", "revision"}
    page = pb.ListPromptsRequest(page_token="x")
    await console.ask_refused("INVALID_ARGUMENT", "BAD_PAGE_TOKEN", list_prompts=page)
    await console.ask_refused("INVALID_ARGUMENT", "INVALID_FIELD", credit=pb.ConverseCredit(prompts=0))


async def test_a_full_queue_says_when_to_retry(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt()
    console = lite.console()
    await console.hello()
    await console.snapshot()
    engine = lite.service.replica.engine
    engine._queue._capacity = 0
    found = await console.ask_refused("RESOURCE_EXHAUSTED", "QUEUE_FULL", answer_prompt=answer(prompt))
    assert found.retry_delay is not None
    assert found.retry_delay > 0
    engine._queue._capacity = 100
    result = (await console.ask(answer_prompt=answer(prompt))).result
    assert (result.status, result.replayed) == (prompts.ANSWER_STATUS_ACCEPTED, False)


async def test_a_bug_fails_a_frame_and_not_the_stream(
    lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: Any) -> None:
        raise RuntimeError("swordfish")

    monkeypatch.setattr(type(lite.service.replica.queries), "prompt", crash)
    console = lite.console()
    await console.hello()
    await console.snapshot()
    ask = pb.GetPromptRequest(prompt_id=ABSENT_ID)
    found = await console.ask_refused("INTERNAL", "INTERNAL", get_prompt=ask)
    assert set(found.metadata) == {"error_id"}
    assert "swordfish" not in found.message
    await console.ask(list_prompts=pb.ListPromptsRequest())


async def test_a_goodbye_ends_the_stream_after_its_replies(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt()
    console = lite.console()
    await console.hello()
    await console.snapshot()
    await console.send(frame(9, answer_prompt=answer(prompt)), frame(0, goodbye=pb.ConverseGoodbye()))
    names = []
    try:
        while True:
            names.append((await console.frame()).WhichOneof("body"))
    except EOFError:
        pass
    assert "answer_prompt" in names
    assert not lite.service.replica.streams


async def test_a_half_close_ends_the_stream_after_its_replies(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt()
    console = lite.console()
    await console.hello()
    await console.snapshot()
    await console.send(frame(9, answer_prompt=answer(prompt)))
    await console.no_more_requests()
    refs = []
    with suppress(EOFError):
        while True:
            refs.append((await console.frame()).ref)
    # The closing may be sent before the reply, because the half-close wakes the writer too.
    assert [ref for ref in refs if ref] == [9]


async def test_a_console_that_goes_away_leaves_nothing_behind(lite: ServiceWorld) -> None:
    console = lite.console()
    await console.hello()
    await console.snapshot()
    replica = lite.service.replica
    assert len(replica.streams) == 1
    assert replica.feed._interests
    await console.aclose()
    await until(lambda: not replica.streams)
    assert not replica.bus._prompts_followers
    assert not replica.feed._interests
    assert not replica.feed._positions


async def test_heartbeats_are_sent_with_a_token(lite_url: str) -> None:
    async with serving(lite_url, heartbeat=0.1) as world:
        console = world.console()
        assert (await console.hello()).heartbeat_interval.ToTimedelta().total_seconds() == 0.1
        await console.snapshot()
        assert await console.token()
        assert all(beat.HasField("time") for beat in console.heartbeats)
        # A heartbeat of the client gets no reply and does no harm.
        await console.send(frame(3, heartbeat=pb.ConverseHeartbeat()))
        await console.nothing_more()


async def test_drain_sends_go_away_and_accepts_last_answers(lite_url: str) -> None:
    async with serving(lite_url, drain_grace=SOON) as world:
        prompt = await world.create_prompt()
        console = world.console()
        await console.hello()
        await console.snapshot()
        stop = asyncio.create_task(world.service.stop())
        away = await console.expect("go_away")
        assert away.reason
        assert SOON / 2 < away.after.ToTimedelta().total_seconds() <= SOON
        result = (await console.ask(answer_prompt=answer(prompt))).result
        assert result.status == prompts.ANSWER_STATUS_ACCEPTED
        await console.send(frame(0, goodbye=pb.ConverseGoodbye()))
        assert await console.wait_for_end() is None
        async with asyncio.timeout(SOON / 2):  # the drain does not wait for a console that has left
            await stop
        world.mark_stopped()
