"""The vectors of Converse through a WebSocket: each frame arrives unchanged on the other side, in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from askback.v1 import hitl_service_pb2 as hitl
from tests.support.fake_server import FakeServer, FakeStream
from tests.support.refusals import SOON
from tests.support.waiting import until
from tests.support.web import WebWorld, gateway_for
from tests.vectors.runner import ConverseRunner, differs, read, vectors


@pytest.fixture
async def service() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture
async def web(service: FakeServer) -> AsyncIterator[WebWorld]:
    async with gateway_for(service.target) as running:
        yield running


async def test_a_goodbye_half_closes_the_stream(web: WebWorld, service: FakeServer) -> None:
    """As the contract wants it; a WebSocket cannot be half closed."""
    async with web.open() as socket:
        stream = await service.converse()
        await socket.send('{"frames":[{"goodbye":{}}]}')
        await asyncio.wait_for(stream.half_closed.wait(), SOON)
        stream.end()
        await socket.wait_closed()
        assert socket.close_code == 1000


class SocketRunner(ConverseRunner):
    """Runs a vector whose frames pass through the gateway."""

    def __init__(self, vector: dict[str, Any], socket: Any, stream: FakeStream) -> None:
        super().__init__(vector)
        self._socket = socket
        self._stream = stream
        self._sent: list[Any] = []

    def to_messages(self, frames: Any) -> list[Any]:
        self._sent = super().to_messages(frames)
        return self._sent

    async def run_step(self, step: dict[str, Any]) -> None:
        """Run one step; the frames of the page and of the service go through the gateway."""
        if "client" in step:
            before = len(self._stream.messages)
            await self._socket.send(json.dumps({"frames": step["client"]}))
            await until(lambda: len(self._stream.messages) > before)
            received = self._stream.messages[before]
            wanted = ParseDict({"frames": step["client"]}, hitl.ConverseRequest())
            assert received == wanted, "the service gets what the page sent"
            step = {**step, "client": MessageToDict(received)["frames"]}
        self._sent = []
        self.step(dict(step))
        if self._sent:
            message = hitl.ConverseResponse(frames=self._sent)
            self._stream._out.put_nowait(message)
            async with asyncio.timeout(SOON):
                shown = json.loads(await self._socket.recv())
            assert shown == MessageToDict(message)
            assert differs(step["server"], shown["frames"]) == ""


@pytest.mark.parametrize("path", vectors("converse"), ids=lambda path: path.stem)
async def test_a_conversation_passes_the_gateway_unchanged(
    web: WebWorld, service: FakeServer, path: Path
) -> None:
    async with web.open() as socket:
        stream = await service.converse()
        vector = read(path)
        runner = SocketRunner(vector, socket, stream)
        for step in vector["steps"]:
            await runner.run_step(step)
        assert dict(stream.metadata)["askback-user"] == "ana"
