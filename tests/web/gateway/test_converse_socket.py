"""One WebSocket is one Converse stream."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from askback.v1 import hitl_service_pb2 as hitl
from askback.web.callers import Caller, Callers
from askback.web.close_codes import Close, CloseCode, close_for
from askback.web.connect_errors import ConnectError
from askback.web.proto_json import format_events
from askback.web.settings import WebLimits
from tests.support.refusals import SOON
from tests.support.requests import confirm
from tests.support.service import ServiceWorld
from tests.support.waiting import until
from tests.support.web import WebWorld, gateway_for, slow_socket_of

HELLO: dict[str, Any] = {"ref": "1", "hello": {}}


class Page:
    """The frames of a socket, as a page sees them."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._frames: list[Any] = []

    async def send(self, *frames: object) -> None:
        await self.socket.send(json.dumps({"frames": frames}))

    async def frame(self, body: str, ref: str | None = None) -> Any:
        """The next frame with this body (and ref); frames before it are dropped."""
        async with asyncio.timeout(SOON):
            while True:
                while self._frames:
                    frame = self._frames.pop(0)
                    if body in frame and ref in (None, frame.get("ref")):
                        return frame[body]
                self._frames += json.loads(await self.socket.recv())["frames"]

    async def event(self, name: str) -> Any:
        """The next prompt event of this kind."""
        while name not in (found := await self.frame("promptEvent")):
            pass
        return found[name]

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the close."""
        async with asyncio.timeout(SOON):
            with suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def page_of(web: WebWorld, user: str = "ana", *, hello: bool = True) -> AsyncIterator[Page]:
    async with web.open(user) as socket:
        page = Page(socket)
        if hello:
            await page.send(HELLO)
            await page.frame("welcome", "1")
        yield page


async def test_a_prompt_comes_live_and_is_answered_on_the_socket(web: WebWorld, lite: ServiceWorld) -> None:
    async with page_of(web) as page:
        assert page.socket.subprotocol == "askback.v1"
        await page.event("caughtUp")
        made = await lite.create_prompt(confirm("Deploy?"))
        shown = (await page.event("upserted"))["prompt"]
        assert (shown["promptId"], shown["version"]) == (made.prompt_id, str(made.version))
        answer = {"promptId": made.prompt_id, "answerId": "a1", "revision": 1, "decision": "DECISION_ACCEPT"}
        await page.send({"ref": "9007199254740993", "answerPrompt": answer})
        verdict = await page.frame("answerPrompt", "9007199254740993")
        assert verdict["result"]["status"] == "ANSWER_STATUS_ACCEPTED"
        assert verdict["result"]["prompt"]["resolution"]["answer"]["userId"] == "ana"


async def test_a_goodbye_closes_with_1000_after_the_replies(web: WebWorld, lite: ServiceWorld) -> None:
    made = await lite.create_prompt()
    async with page_of(web) as page:
        answer = {"promptId": made.prompt_id, "answerId": "a1", "revision": 1, "decision": "DECISION_ACCEPT"}
        await page.send({"ref": "2", "answerPrompt": answer}, {"goodbye": {}})
        assert (await page.frame("answerPrompt", "2"))["result"]["status"] == "ANSWER_STATUS_ACCEPTED"
        assert (await page.closed())[0] == CloseCode.DONE


async def test_a_page_that_leaves_ends_its_stream(web: WebWorld, lite: ServiceWorld) -> None:
    streams = lite.service.replica.streams
    async with page_of(web):
        assert len(streams) == 1
    await until(lambda: not streams and not len(web.gateway.streams))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[]",
        '{"frames": [{"nothing": {}}]}',
        '{"frames": [{"ref": "x"}]}',
        '{"frames": ' + "[" * 100 + "]" * 100 + "}",
        b"bytes",
    ],
)
async def test_a_message_that_is_none_closes_the_socket(shared_web: WebWorld, message: str | bytes) -> None:
    async with page_of(shared_web) as page:
        await page.socket.send(message)
        assert (await page.closed())[0] == CloseCode.BAD_MESSAGE


async def test_text_that_is_not_utf_8_closes_the_socket(web: WebWorld) -> None:
    async with page_of(web) as page:
        await page.socket.send(b"\xff\xfe", text=True)
        assert (await page.closed())[0] == CloseCode.BAD_MESSAGE


async def test_a_message_over_the_limit_is_not_read(web: WebWorld) -> None:
    async with page_of(web) as page:
        with suppress(ConnectionClosed):  # it may be closed before all is sent
            await page.socket.send(" " * (web.gateway.limits.body_bytes + 1))
        assert (await page.closed())[0] == CloseCode.TOO_LARGE


async def test_a_message_that_is_too_large_for_the_service_is_refused(web: WebWorld) -> None:
    async with page_of(web) as page:
        text = "x" * (4 * 1024 * 1024)
        with suppress(ConnectionClosed):  # it may be closed before all is sent
            await page.send({"ref": "2", "answerPrompt": {"comment": text}})
        assert (await page.closed())[0] == CloseCode.TOO_LARGE


async def test_a_first_message_without_hello_is_the_pages_defect(web: WebWorld) -> None:
    async with page_of(web, hello=False) as page:
        await page.send({"ref": "1", "getPrompt": {"promptId": "x"}})
        code, reason = await page.closed()
        assert code == CloseCode.BAD_MESSAGE
        assert "hello" in reason


async def test_another_site_is_refused_before_the_socket_opens(web: WebWorld) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with web.open("", origin="http://evil.example"):
            pass
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["code"] == "permission_denied"


async def test_a_page_without_sign_in_learns_that_it_must_sign_in(web: WebWorld) -> None:
    async with web.open(user="") as socket:
        assert (await Page(socket).closed())[0] == CloseCode.SIGN_IN


async def test_a_page_of_another_protocol_is_too_old(web: WebWorld) -> None:
    async with web.open(subprotocols=["askback.v0"]) as socket:
        assert (await Page(socket).closed())[0] == CloseCode.PAGE_TOO_OLD


async def test_a_socket_over_the_limit_is_told_to_come_back_later(lite: ServiceWorld) -> None:
    async with gateway_for(lite, limits=WebLimits(sockets=1)) as web, page_of(web), web.open() as other:
        assert (await Page(other).closed())[0] == CloseCode.TOO_MUCH


async def test_the_socket_ends_with_the_session(
    web: WebWorld, lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def soon(self: Callers, socket: WebSocket) -> Caller:
        return Caller((("askback-user", "ana"),), "s", time.time() + 0.5)

    monkeypatch.setattr(Callers, "of_handshake", soon)
    async with page_of(web) as page:
        assert (await page.closed())[0] == CloseCode.SIGN_IN


async def test_a_page_that_does_not_read_is_closed_and_holds_up_no_other(
    lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("askback.web.http_server.CLOSE_SECONDS", 0.5)
    async with (
        gateway_for(lite, limits=WebLimits(slow_seconds=1.0, ping_seconds=1000.0)) as web,
        page_of(web) as reading,
        slow_socket_of(web.port) as socket,
    ):
        slow = Page(socket)
        await slow.send(HELLO)
        await slow.frame("welcome", "1")
        streams = lite.service.replica.streams
        await until(lambda: len(streams) == 2)
        socket.transport.pause_reading()
        large = confirm("Large?")
        large.body = "x" * 60_000

        async def read() -> None:
            for _ in range(150):
                await reading.event("upserted")

        # At the same time: a page that is read only afterwards does not read, either.
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read())
            for _ in range(150):
                await lite.create_prompt(large)
        await until(lambda: len(streams) == 1)
        await until(lambda: len(web.gateway.streams) == 1)
        made = await lite.create_prompt()
        while (await reading.event("upserted"))["prompt"]["promptId"] != made.prompt_id:
            pass


async def test_a_flood_of_messages_waits(lite: ServiceWorld) -> None:
    limits = WebLimits(messages_per_second=0.001, message_burst=3)
    async with gateway_for(lite, limits=limits) as web, page_of(web) as page:
        for ref in range(2, 7):
            await page.send({"ref": str(ref), "listPrompts": {}})
        await page.frame("listPrompts", "2")
        await page.frame("listPrompts", "3")
        made = await lite.create_prompt()
        assert (await page.event("upserted"))["prompt"]["promptId"] == made.prompt_id
        [session] = lite.service.replica.streams
        assert not session.busy, "the fourth message was not forwarded"


async def test_the_end_of_the_service_tells_the_page_to_come_back(web: WebWorld, lite: ServiceWorld) -> None:
    async with page_of(web) as page:
        stopping = asyncio.create_task(lite.service.stop())
        away = await page.frame("goAway")
        assert away["reason"]
        assert (await page.closed())[0] == CloseCode.AWAY
        await stopping
    lite.mark_stopped()


@pytest.mark.parametrize(
    ("code", "close"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, 4401),
        (grpc.StatusCode.PERMISSION_DENIED, 4403),
        (grpc.StatusCode.INVALID_ARGUMENT, 1007),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 1013),
        (grpc.StatusCode.UNAVAILABLE, 1012),
        (grpc.StatusCode.INTERNAL, 1011),
        (grpc.StatusCode.UNKNOWN, 1011),
        (grpc.StatusCode.UNIMPLEMENTED, 1011),
    ],
)
def test_each_status_has_its_close_code(code: grpc.StatusCode, close: int) -> None:
    assert close_for(ConnectError(code, "words")) == Close(CloseCode(close), "words")


def test_equal_versions_of_a_restored_database_are_not_confused() -> None:
    """The JSON of a prompt is cached; after a restore another prompt may have its id and version."""
    message = hitl.ConverseResponse()
    prompt = message.frames.add().prompt_event.upserted.prompt
    prompt.prompt_id, prompt.version = "p", 7
    for title in ("before", "after"):
        prompt.content.title = title
        assert json.loads(format_events(message)) == MessageToDict(message)


def test_the_reason_of_a_close_fits_into_its_frame() -> None:
    assert len(Close(CloseCode.DONE, "ü" * 100).reason.encode()) <= 123
