"""A gateway that stops moves its pages, and an answer that is pressed meanwhile counts once."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest

from askback.web import open_streams
from askback.web.close_codes import CloseCode
from askback.web.open_streams import OpenStreams
from askback.web.refused import Refused
from tests.support.service import ServiceWorld
from tests.support.waiting import until
from tests.support.web import gateway_for
from tests.web.gateway.test_converse_socket import HELLO, Page, page_of

SOCKETS, READERS = 50, 5
STOP_SECONDS = 15.0
"""More than a drain with these settings may take on a machine that is not idle."""


async def test_fifty_sockets_and_five_readers_leave_in_time(lite: ServiceWorld) -> None:
    """uvicorn alone would tell the sockets nothing and wait for the readers without a limit."""
    async with gateway_for(lite) as web, AsyncExitStack() as stack:
        pages = []
        for number in range(SOCKETS):
            socket = await stack.enter_async_context(web.open(f"u{number}"))
            pages.append(Page(socket))
            await pages[-1].send(HELLO)
            await pages[-1].frame("welcome")
        readers = [await stack.enter_async_context(web.events("/events/prompts")) for _ in range(READERS)]
        assert len(web.gateway.streams) == SOCKETS + READERS
        async with asyncio.timeout(STOP_SECONDS):
            stopping = asyncio.create_task(web.server.stop())
            for page in pages:
                assert (await page.frame("goAway"))["reason"] == open_streams.REASON
            codes = [await page.closed() for page in pages]
            for reader in readers:
                while not reader.ended:
                    await reader.block()
            await stopping
        assert {code for code, _ in codes} == {CloseCode.AWAY}
        await until(lambda: not lite.service.replica.streams)


async def test_a_draining_gateway_is_not_ready_and_takes_no_new_pages(lite: ServiceWorld) -> None:
    async with gateway_for(lite, drain_grace=5.0, drain_spread=0.0) as web, page_of(web) as page:
        stopping = asyncio.create_task(web.server.stop())
        await page.frame("goAway")
        assert (await web.request("GET", "/readyz")).status == 503
        assert (await web.request("GET", "/healthz")).status == 200
        async with web.open() as late:
            assert (await Page(late).closed())[0] == CloseCode.AWAY
        reply = await web.request("GET", "/events/prompts", askback_user="ana")
        assert (reply.status, reply.reason) == (503, "GATEWAY_DRAINING")
        assert (await web.call("AccessService/WhoAmI")).status == 200, "calls go on until the end"
        await page.send({"goodbye": {}})
        assert (await page.closed())[0] == CloseCode.DONE
        await stopping


async def test_an_answer_pressed_during_the_drain_counts_once(lite: ServiceWorld) -> None:
    """It is sent at the old gateway and again, with the same id, at the other one."""
    made = await lite.create_prompt()
    answer: dict[str, Any] = {
        "promptId": made.prompt_id,
        "answerId": "pressed",
        "revision": 1,
        "decision": "DECISION_ACCEPT",
    }
    async with gateway_for(lite) as other, gateway_for(lite) as web, page_of(web) as page:
        stopping = asyncio.create_task(web.server.stop())
        await page.frame("goAway")
        await page.socket.send(json.dumps({"frames": [{"ref": "2", "answerPrompt": answer}]}))
        async with page_of(other) as moved:
            await moved.send({"ref": "2", "answerPrompt": answer})
            verdict = (await moved.frame("answerPrompt", "2"))["result"]
        assert verdict["status"] == "ANSWER_STATUS_ACCEPTED"
        await page.closed()
        await stopping
        stored = (await other.call("HitlService/ListAnswers", {"promptId": made.prompt_id})).json["answers"]
        assert [found["answer"]["answerId"] for found in stored] == ["pressed"]


class Stream:
    """A stream that leaves `moves` polls after it was asked, or never."""

    def __init__(self, *, busy: bool) -> None:
        self.busy = busy
        self.asked = self.ended = False

    def go_away(self, reason: str, after: float) -> None:
        self.asked = True

    def end(self) -> None:
        self.ended = True


async def test_idle_streams_are_ended_before_busy_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_streams, "MOVE_SECONDS", 0.0)
    streams, idle, busy = OpenStreams(10), Stream(busy=False), Stream(busy=True)
    with streams.hold(busy):
        with streams.hold(idle):
            draining = asyncio.create_task(streams.drain(0.0, 60.0))
            await until(lambda: idle.ended)
        assert busy.asked
        assert not busy.ended
        with pytest.raises(Refused):
            streams.hold(Stream(busy=False)).__enter__()
    await draining


def test_no_more_streams_are_open_than_allowed() -> None:
    streams = OpenStreams(1)
    with streams.hold(Stream(busy=False)), pytest.raises(Refused):
        streams.hold(Stream(busy=False)).__enter__()
    with streams.hold(Stream(busy=False)):
        assert len(streams) == 1
