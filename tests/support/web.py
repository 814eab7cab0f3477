"""A gateway in this process in front of a service, and plain clients of it."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import connect

from askback._wire.channel import Endpoint
from askback.web.serve import WebServer
from askback.web.settings import WebSettings
from tests.support.refusals import SOON
from tests.support.service import ServiceWorld

USER = "askback-user"


@dataclass(frozen=True)
class Answer:
    """A reply over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """The reason in the details of an error."""
        found = [d["debug"]["reason"] for d in self.json["details"] if d["type"] == "google.rpc.ErrorInfo"]
        return str(found[0])


async def fetch(port: int, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
    """One request on its own connection. Underscores in names of headers stand for hyphens."""

    def exchange() -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            reply = connection.getresponse()
            found = {key.lower(): value for key, value in reply.getheaders()}
            return Answer(reply.status, found, reply.read())
        finally:
            connection.close()

    return await asyncio.to_thread(exchange)


def socket_of(port: int, user: str = "ana", **options: Any) -> connect:
    """A WebSocket of the page; enter it with `async with`."""
    options.setdefault("origin", f"http://127.0.0.1:{port}")
    options.setdefault("subprotocols", ["askback.v1"])
    options.setdefault("max_size", None)
    options.setdefault("additional_headers", {USER: user} if user else {})
    return connect(f"ws://127.0.0.1:{port}/converse", compression=None, **options)


def slow_socket_of(port: int) -> connect:
    """A WebSocket with a small buffer, whose client does not notice that it gets nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    return socket_of(port, sock=connection, ping_interval=None, max_queue=1)


class EventReader:
    """Reads server-sent events."""

    def __init__(self, reader: asyncio.StreamReader, head: str) -> None:
        self._reader = reader
        self._text = ""
        self.head = head
        self.ended = False

    async def block(self) -> dict[str, str]:
        """The fields of the next event or comment (its name is empty); empty at the end of the stream."""
        async with asyncio.timeout(SOON):
            while "\n\n" not in self._text and not self.ended:
                size = int(await self._reader.readline() or b"0", 16)
                self._text += (await self._reader.readexactly(size + 2))[:size].decode()
                self.ended = not size
        text, _, self._text = self._text.partition("\n\n")
        return dict(line.split(": ", 1) for line in text.splitlines())

    async def event(self) -> tuple[str, Any]:
        """Id and data of the next event."""
        while "data" not in (found := await self.block()):
            assert not self.ended
        return found.get("id", ""), json.loads(found["data"])


class WebWorld:
    """A running gateway."""

    def __init__(self, server: WebServer) -> None:
        self.server = server
        self.gateway = server.gateway

    @property
    def port(self) -> int:
        return self.server.port

    def open(self, user: str = "ana", **options: Any) -> connect:
        """A WebSocket of the page; enter it with `async with`."""
        return socket_of(self.port, user, **options)

    async def request(
        self, method: str, path: str, body: bytes | str | None = None, **headers: str
    ) -> Answer:
        """One request on its own connection. Underscores in names of headers stand for hyphens."""

        return await fetch(self.port, method, path, body, **headers)

    @asynccontextmanager
    async def events(self, path: str, *, user: str = "ana", **headers: str) -> AsyncIterator[EventReader]:
        """An event stream; the status is checked."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        given = {"host": f"127.0.0.1:{self.port}", "askback-user": user}
        given |= {key.replace("_", "-"): value for key, value in headers.items()}
        lines = [f"GET {path} HTTP/1.1", *(f"{key}: {value}" for key, value in given.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        try:
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).decode()
            assert head.startswith("HTTP/1.1 200"), head
            yield EventReader(reader, head.lower())
        finally:
            writer.transport.abort()

    async def call(self, method: str, body: object = None, *, user: str = "ana", **headers: str) -> Answer:
        """A unary call in Connect's form; `method` is `JobService/GetJob`."""
        text = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        given = {"content_type": "application/json", "connect_protocol_version": "1"}
        given |= {"askback_user": user} if user else {}
        return await self.request("POST", f"/askback.v1.{method}", text, **{**given, **headers})


@asynccontextmanager
async def gateway_for(target: str | ServiceWorld, **settings: Any) -> AsyncIterator[WebWorld]:
    """Run a gateway on a free loopback port."""
    address = target if isinstance(target, str) else f"127.0.0.1:{target.service.port}"
    settings = {"listen": "127.0.0.1:0", "names": True, "drain_spread": 0.2, "drain_grace": 0.5, **settings}
    server = WebServer(WebSettings(**settings), Endpoint(address))
    await server.start()
    try:
        yield WebWorld(server)
    finally:
        await server.stop()
