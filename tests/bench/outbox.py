"""Frames on their way into one stream: what waits goes as one message, and no two writes overlap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class Outbox:
    """Used by both ends: by the client for every server, and by the relay."""

    def __init__(self, write: Callable[[Any], Awaitable[None]], message: type[Any]) -> None:
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
