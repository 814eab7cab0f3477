"""Streams of raw frames, for workers and consoles whose every frame counts."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from tests.bench.outbox import Outbox


class Stream:
    """A stream of frames."""

    def __init__(
        self, channel: Any, method: str, request: Any, response: Any, metadata: tuple[Any, ...] = ()
    ) -> None:
        call = channel.stream_stream(f"/askback.v1.{method}", request.SerializeToString, response.FromString)(
            metadata=metadata
        )
        self._call = call
        self.outbox = Outbox(call.write, request)
        self._sending = asyncio.create_task(self.outbox.run())

    async def frames(self) -> Any:
        """Iterate over the received frames."""
        while (message := await self._call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            for frame in message.frames:
                yield frame

    def end(self) -> None:
        """Cancel the stream."""
        self._sending.cancel()
        self._call.cancel()
