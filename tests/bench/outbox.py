"""A queue of frames for one stream: waiting frames are sent as one message, and writes never overlap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class Outbox:
    """The outgoing frames of a stream, used by the client and by the relay."""

    def __init__(self, write: Callable[[Any], Awaitable[None]], message: Callable[..., Any]) -> None:
        self._write = write
        self._message = message
        self._frames: list[Any] = []
        self._wake = asyncio.Event()

    def send(self, frame: Any) -> None:
        """Queue a frame."""
        self._frames.append(frame)
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            frames, self._frames = self._frames, []
            await self._write(self._message(frames=frames))
