"""A gateway in this process in front of a service, and plain clients of it."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from askback._wire.channel import Endpoint
from askback.web.app import create_app
from askback.web.callers import Caller, Callers, Refused
from askback.web.gateway import Gateway
from askback.web.serve import WebServer
from askback.web.settings import WebSettings
from tests.support.service import ServiceWorld

USER = "x-test-user"


class NamedCallers(Callers):
    """Trusts a header with the caller's name, or passes a bearer token on."""

    def of_request(self, connection: HTTPConnection) -> Caller:
        if token := connection.headers.get("authorization"):
            return Caller((("authorization", token),))
        if not (user := connection.headers.get(USER)):
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, "sign in first", "SIGN_IN_REQUIRED")
        return Caller((("askback-user", user),))

    def of_handshake(self, socket: WebSocket) -> Caller:
        if socket.headers.get("origin", "http://page") != "http://page":
            raise Refused(grpc.StatusCode.PERMISSION_DENIED, "another page", "ORIGIN")
        if "askback.v1" not in socket.scope["subprotocols"]:
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "speak askback.v1", "SUBPROTOCOL")
        return self.of_request(socket)


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


class WebWorld:
    """A running gateway."""

    def __init__(self, gateway: Gateway, server: WebServer) -> None:
        self.gateway = gateway
        self.server = server

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def socket_address(self) -> str:
        return f"ws://127.0.0.1:{self.port}/converse"

    def open(self, user: str = "ana", **options: Any) -> connect:
        """A WebSocket of the page; enter it with `async with`."""
        options.setdefault("origin", "http://page")
        options.setdefault("subprotocols", ["askback.v1"])
        options.setdefault("max_size", None)
        return connect(
            self.socket_address, additional_headers={USER: user} if user else {}, compression=None, **options
        )

    async def request(
        self, method: str, path: str, body: bytes | str | None = None, **headers: str
    ) -> Answer:
        """One request on its own connection. Underscores in names of headers stand for hyphens."""

        def exchange() -> Answer:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
                reply = connection.getresponse()
                found = {key.lower(): value for key, value in reply.getheaders()}
                return Answer(reply.status, found, reply.read())
            finally:
                connection.close()

        return await asyncio.to_thread(exchange)

    async def call(self, method: str, body: object = None, *, user: str = "ana", **headers: str) -> Answer:
        """A unary call in Connect's form; `method` is `JobService/GetJob`."""
        text = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        given = {"content_type": "application/json", "connect_protocol_version": "1", "x_test_user": user}
        return await self.request("POST", f"/askback.v1.{method}", text, **{**given, **headers})


@asynccontextmanager
async def gateway_for(target: str | ServiceWorld, **settings: Any) -> AsyncIterator[WebWorld]:
    """Run a gateway on a free loopback port."""
    address = target if isinstance(target, str) else f"127.0.0.1:{target.service.port}"
    settings = {"listen": "127.0.0.1:0", "drain_spread": 0.2, "drain_grace": 0.5, **settings}
    gateway = Gateway(WebSettings(**settings), Endpoint(address), NamedCallers())
    server = WebServer(gateway, create_app(gateway))
    await server.start()
    try:
        yield WebWorld(gateway, server)
    finally:
        await server.stop()
