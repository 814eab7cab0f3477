"""The gateway reads the rest of a body that is too long, within bounds, before it replies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from askback.web import requests
from askback.web.connect_errors import ConnectError
from askback.web.settings import WebLimits

LIMITS = WebLimits(body_bytes=100)


class Body:
    """A chunked body of chunks with ten bytes each; after them it ends, or no more comes."""

    def __init__(self, chunks: int, *, ends: bool = True) -> None:
        self.left = chunks
        self._ends = ends

    async def receive(self) -> dict[str, Any]:
        if not self.left and not self._ends:
            await asyncio.Event().wait()
        self.left -= 1
        return {"type": "http.request", "body": b" " * 10, "more_body": self.left > 0 or not self._ends}

    async def refuse(self) -> None:
        """Let the gateway read it, and refuse it."""
        with pytest.raises(ConnectError) as refused:
            await requests.read_body(Request({"type": "http", "headers": []}, self.receive), LIMITS)
        assert refused.value.status == 413


@pytest.mark.parametrize(("chunks", "left"), [(11, 0), (15, 0), (100, 100 - 11 - 10)])
async def test_as_much_again_is_read(chunks: int, left: int) -> None:
    """A connection that ends with unread bytes is reset, and the client may lose the reply."""
    body = Body(chunks)
    await body.refuse()
    assert body.left == left


async def test_a_body_that_does_not_end_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_LINGER_SECONDS", 0.01)
    await Body(11, ends=False).refuse()
