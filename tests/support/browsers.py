"""A browser as the gateway sees it: a cookie, an origin, and the headers that the page's script sends."""

from __future__ import annotations

import base64
import json
import secrets
from http.cookies import SimpleCookie
from typing import Any

from websockets.asyncio.client import connect

from tests.support.web import Answer, WebWorld


class Browser:
    """One person's browser. It keeps the session cookie and sends it, as a real one would."""

    def __init__(self, web: WebWorld, origin: str = "") -> None:
        """`origin` is where the browser sees the page; empty: at the gateway's own address."""
        self.web = web
        self.origin = origin or f"http://127.0.0.1:{web.port}"
        self.cookie = ""
        """NAME=VALUE; empty without a session."""
        self.set_cookie = ""
        """The last header that set or removed it."""

    @property
    def headers(self) -> dict[str, str]:
        """What the page's script sends with a POST, besides the cookie."""
        return {
            "content-type": "application/json",
            "connect-protocol-version": "1",
            "origin": self.origin,
            "sec-fetch-site": "same-origin",
        }

    async def send(self, method: str, path: str, body: object = None, **changed: str | None) -> Answer:
        """One request. `changed` replaces headers, or leaves them out (None); underscores are hyphens."""
        given: dict[str, str | None] = {"host": self.origin.partition("://")[2], "cookie": self.cookie}
        if method == "POST":
            given |= self.headers
        given |= {name.replace("_", "-"): value for name, value in changed.items()}
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if method == "POST" else None
        answer = await self.web.request(method, path, content, **{k: v for k, v in given.items() if v})
        if found := answer.headers.get("set-cookie"):
            self.set_cookie = found
            [(name, morsel)] = SimpleCookie(found).items()
            self.cookie = f"{name}={morsel.value}" if morsel["max-age"] != "0" else ""
        return answer

    async def get(self, path: str, **changed: str | None) -> Answer:
        """A GET request."""
        return await self.send("GET", path, **changed)

    async def post(self, path: str, body: object = None, **changed: str | None) -> Answer:
        """A POST request of the page's script."""
        return await self.send("POST", path, {} if body is None else body, **changed)

    async def call(self, method: str, body: object = None, **changed: str | None) -> Answer:
        """A unary call; `method` is `JobService/GetJob`."""
        return await self.post(f"/askback.v1.{method}", body, **changed)

    async def sign_in(self, token: str = "", **fields: Any) -> Answer:
        """Sign in with a token, or with `name` and `groups`."""
        return await self.post("/session", fields or {"token": token})

    async def session(self) -> Any:
        """What the page learns about its session."""
        return (await self.get("/session")).json

    def socket(self, **changed: Any) -> connect:
        """A WebSocket of the page; enter it with `async with`. `named` is the host that the browser uses."""
        named = changed.pop("named", self.origin.partition("://")[2])
        cookie = changed.pop("cookie", self.cookie)
        headers = {**({"cookie": cookie} if cookie else {}), **changed.pop("headers", {})}
        options: dict[str, Any] = {"origin": self.origin, "subprotocols": ["askback.v1"], **changed}
        options |= {"host": "127.0.0.1", "port": self.web.port}
        address = f"ws://{named}/converse"
        return connect(address, additional_headers=headers, compression=None, **options)


def new_key() -> str:
    """A line of a key file."""
    return base64.b64encode(secrets.token_bytes(32)).decode()
