"""The reconnecting stream: every request gets its reply, even across disconnects."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from askback import errors
from askback._console.console import ConverseProtocol
from askback._wire import connection
from askback._wire.channel import Endpoint
from askback._wire.stream import ReconnectingStream
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import stream_pb2
from tests.support.fake_server import FakeServer, FakeStream, converse_welcome, span
from tests.support.statuses import with_reason


@pytest.fixture
async def session(server: FakeServer) -> AsyncIterator[ReconnectingStream]:
    session = ReconnectingStream(
        ConverseProtocol(pb.ConverseHello(credit=4)), Endpoint(server.target, user="ana")
    )
    yield session
    await asyncio.wait_for(session.aclose(grace=0.2), 5)
    left = {task for task in asyncio.all_tasks() if task.get_name().startswith("askback")}
    assert not left, f"tasks leaked: {left}"


async def open_session(server: FakeServer, session: ReconnectingStream, **welcome: Any) -> FakeStream:
    """Start the session and return the server side of its stream."""
    starting = asyncio.create_task(session.start(5))
    stream = await server.converse()
    hello = await stream.next()
    assert hello.WhichOneof("body") == "hello"
    stream.send(hello.ref, **converse_welcome(**welcome))
    await starting
    return stream


def get(key: str) -> pb.ConverseClientFrame:
    return pb.ConverseClientFrame(get_prompt=pb.GetPromptRequest(key=key))


def prompt_reply(key: str) -> dict[str, Any]:
    reply = pb.GetPromptResponse()
    reply.prompt.key = key
    return {"get_prompt": reply}


async def test_replies_find_their_requests_in_any_order(
    server: FakeServer, session: ReconnectingStream
) -> None:
    stream = await open_session(server, session)
    assert stream.metadata["askback-user"] == "ana"
    one, two = session.submit(get("one")), session.submit(get("two"))
    first, second = await stream.next(), await stream.next()
    stream.send(second.ref, **prompt_reply("two"))
    stream.send(first.ref, **prompt_reply("one"))
    assert (await one).get_prompt.prompt.key == "one"
    assert (await two).get_prompt.prompt.key == "two"


async def test_waiting_frames_are_sent_as_one_message(
    server: FakeServer, session: ReconnectingStream
) -> None:
    stream = await open_session(server, session)
    for i in range(50):
        session.submit(get(str(i))).cancel() if i % 2 else session.submit(get(str(i)))
    await stream.next("get_prompt")
    assert sum(len(m.frames) for m in stream.messages[1:]) >= 25
    assert len(stream.messages) <= 3


async def test_unanswered_frames_are_resent_after_a_disconnect(
    server: FakeServer, session: ReconnectingStream
) -> None:
    stream = await open_session(server, session)
    done, waiting = session.submit(get("done")), session.submit(get("waiting"))
    frame = await stream.next()
    stream.send(frame.ref, **prompt_reply("done"))
    await done
    lost = await stream.next()
    stream.end(grpc.StatusCode.UNAVAILABLE, "gone")
    again = await server.converse()
    hello = await again.next()
    again.send(hello.ref, **converse_welcome())
    resent = await again.next()
    assert resent == lost
    assert not await again.frames_within()
    again.send(resent.ref, **prompt_reply("waiting"))
    assert (await waiting).get_prompt.prompt.key == "waiting"


async def test_a_session_reconnects_to_a_restarted_server(
    server: FakeServer, session: ReconnectingStream
) -> None:
    stream = await open_session(server, session)
    waiting = session.submit(get("a"))
    await stream.next()
    await server.stop()
    await asyncio.sleep(0.2)
    assert not session.connected
    later = session.submit(get("b"))
    await server.start(server.port)
    again = await server.converse()
    again.send((await again.next()).ref, **converse_welcome())
    for key in "ab":
        frame = await again.next()
        assert frame.get_prompt.key == key
        again.send(frame.ref, **prompt_reply(key))
    assert (await waiting).get_prompt.prompt.key == "a"
    assert (await later).get_prompt.prompt.key == "b"


async def test_go_away_opens_the_next_stream_first(server: FakeServer, session: ReconnectingStream) -> None:
    stream = await open_session(server, session)
    early, late = session.submit(get("early")), session.submit(get("late"))
    one, two = await stream.next(), await stream.next()
    stream.send(go_away=pb.ConverseGoAway(reason="drain", after=span(2)))
    following = await server.converse()
    hello = await following.next()
    assert not stream.half_closed.is_set()
    # The old stream still replies while the new one is being opened.
    stream.send(one.ref, **prompt_reply("early"))
    assert (await early).get_prompt.prompt.key == "early"
    following.send(hello.ref, **converse_welcome())
    await asyncio.wait_for(stream.half_closed.wait(), 2)
    resent = await following.next()
    assert resent == two
    # Both streams reply. The first reply counts and the second is ignored.
    stream.send(two.ref, **prompt_reply("late"))
    assert (await late).get_prompt.prompt.key == "late"
    following.send(two.ref, **prompt_reply("late"))
    stream.end()
    await asyncio.wait_for(stream.closed.wait(), 2)
    assert session.connected


async def test_a_lease_lost_on_the_old_stream_is_retried_on_the_next(
    server: FakeServer, session: ReconnectingStream
) -> None:
    """Another replica has taken over the session: the lease is valid, but not on the old stream."""
    stream = await open_session(server, session)
    before, after = session.submit(get("before")), session.submit(get("after"))
    one, two = await stream.next(), await stream.next()
    lost = {"error": stream_pb2.FrameError(code=9, reason="ERROR_REASON_LEASE_LOST", message="lost")}
    stream.send(go_away=pb.ConverseGoAway(reason="drain", after=span(2)))
    stream.send(one.ref, **lost)
    following = await server.converse()
    following.send((await following.next("hello")).ref, **converse_welcome())
    await asyncio.wait_for(stream.half_closed.wait(), 2)
    stream.send(two.ref, **lost)
    asked = {(await following.next("get_prompt")).get_prompt.key for _ in range(2)}
    assert asked == {"before", "after"}
    assert not await following.frames_within(), "once each"
    following.send(one.ref, **prompt_reply("before"))
    following.send(two.ref, **lost)
    assert (await before).get_prompt.prompt.key == "before"
    with pytest.raises(errors.LeaseLost):
        await after


async def test_three_missed_heartbeats_end_a_stream(server: FakeServer, session: ReconnectingStream) -> None:
    stream = await open_session(server, session, heartbeat_interval=span(0.1))
    await stream.next("heartbeat")
    again = await server.converse()
    again.send((await again.next("hello")).ref, **converse_welcome())
    await asyncio.wait_for(stream.closed.wait(), 2)


async def test_heartbeats_keep_a_quiet_stream_open(server: FakeServer, session: ReconnectingStream) -> None:
    stream = await open_session(server, session, heartbeat_interval=span(0.1))
    for _ in range(8):
        stream.send(heartbeat=pb.ConverseHeartbeat())
        await asyncio.sleep(0.08)
    assert session.connected
    assert await server.no_stream(0)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, errors.Unauthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, errors.PermissionDenied),
        (grpc.StatusCode.INVALID_ARGUMENT, errors.InvalidArgument),
    ],
)
async def test_a_definitive_refusal_stops_the_session(
    server: FakeServer, session: ReconnectingStream, code: grpc.StatusCode, error: type[Exception]
) -> None:
    starting = asyncio.create_task(session.start(5))
    waiting = asyncio.create_task(asyncio.sleep(0))
    stream = await server.converse()
    stream.end(*with_reason(code, "ERROR_REASON_UNSPECIFIED", stream.context))
    with pytest.raises(error):
        await starting
    await waiting
    with pytest.raises(error):
        await session.request(get("a"))
    assert await server.no_stream()


async def test_a_refusal_after_the_welcome_fails_waiting_requests(
    server: FakeServer, session: ReconnectingStream
) -> None:
    stream = await open_session(server, session)
    waiting = session.submit(get("a"))
    await stream.next()
    code = grpc.StatusCode.UNAUTHENTICATED
    stream.end(*with_reason(code, "ERROR_REASON_UNAUTHENTICATED", stream.context))
    with pytest.raises(errors.Unauthenticated, match="said so"):
        await waiting


async def test_start_fails_in_time_when_nothing_listens() -> None:
    session = ReconnectingStream(ConverseProtocol(pb.ConverseHello()), Endpoint("127.0.0.1:1"))
    with pytest.raises(errors.CannotConnect, match=r"nothing listens on 127\.0\.0\.1:1"):
        await session.start(1)


async def test_transient_errors_are_retried(server: FakeServer, session: ReconnectingStream) -> None:
    stream = await open_session(server, session)
    waiting = session.submit(get("a"))
    frame = await stream.next()
    full = stream_pb2.FrameError(
        code=8, reason="ERROR_REASON_QUEUE_FULL", message="full", retry_delay=span(0.05)
    )
    stream.send(frame.ref, error=full)
    assert await stream.next() == frame
    stream.send(frame.ref, **prompt_reply("a"))
    assert (await waiting).get_prompt.prompt.key == "a"


async def test_other_errors_are_raised_with_their_details(
    server: FakeServer, session: ReconnectingStream
) -> None:
    stream = await open_session(server, session)
    waiting = session.submit(get("a"))
    frame = await stream.next()
    refused = stream_pb2.FrameError(code=3, reason="ERROR_REASON_INVALID_FIELD", message="wrong")
    refused.violations.add(field="key", description="is required")
    refused.metadata["x"] = "y"
    stream.send(frame.ref, error=refused)
    with pytest.raises(errors.InvalidArgument) as caught:
        await waiting
    assert caught.value.reason == "ERROR_REASON_INVALID_FIELD"
    assert caught.value.metadata == {"x": "y"}
    assert [v.field for v in caught.value.violations] == ["key"]
    assert "key: is required" in str(caught.value)


async def test_requests_in_flight_stay_below_the_servers_limit(
    server: FakeServer, session: ReconnectingStream
) -> None:
    starting = asyncio.create_task(session.start(5))
    stream = await server.converse()
    welcome = converse_welcome()
    welcome["welcome"].max_in_flight = 2
    stream.send((await stream.next()).ref, **welcome)
    await starting
    waiting = [session.submit(get(str(i))) for i in range(5)]
    for done in range(5):
        for _ in range(2 if not done else int(done < 4)):
            await stream.next("get_prompt")
        assert await stream.frames_within(0.05) == []
        stream.send(done + 1, **prompt_reply(str(done)))
        await waiting[done]


async def test_the_stream_never_writes_twice_at_once(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Short intervals give many heartbeats. A machine that pauses for 30 ms must not end the stream.
    monkeypatch.setattr(connection, "MAX_MISSED_HEARTBEATS", 100_000)

    class Watched(ConverseProtocol):
        writing = maximum = writes = 0

        def dial(self, channel: Any, metadata: Any) -> Any:
            call, wire = super().dial(channel, metadata), self
            write = call.write

            async def count_writes(message: Any) -> None:
                wire.writing += 1
                wire.writes += 1
                wire.maximum = max(wire.maximum, wire.writing)
                await asyncio.sleep(0.001)
                await write(message)
                wire.writing -= 1

            call.write = count_writes
            return call

    wire = Watched(pb.ConverseHello())
    session = ReconnectingStream(wire, Endpoint(server.target))
    stream = await open_session(server, session, heartbeat_interval=span(0.01))

    async def one(i: int) -> None:
        await asyncio.sleep(i % 10 / 500)
        await session.request(get(str(i)))

    async def answer() -> None:
        while True:
            frame = await stream.next("get_prompt")
            stream.send(frame.ref, **prompt_reply(frame.get_prompt.key))

    answering = asyncio.create_task(answer())
    await asyncio.gather(*(one(i) for i in range(200)))
    answering.cancel()
    await session.aclose(grace=0.1)
    assert wire.writes > 5
    assert wire.maximum == 1


async def test_closing_sends_goodbye_and_fails_waiting_requests(
    server: FakeServer, session: ReconnectingStream
) -> None:
    stream = await open_session(server, session)
    waiting = session.submit(get("a"))
    await stream.next()
    closing = asyncio.create_task(session.aclose(grace=2))
    await stream.next("goodbye")
    await asyncio.wait_for(stream.half_closed.wait(), 2)
    stream.end()
    await asyncio.wait_for(closing, 1)
    with pytest.raises(errors.Unavailable):
        await waiting
