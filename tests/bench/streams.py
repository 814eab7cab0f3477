"""Streams of raw frames, for workers and consoles whose every frame counts, and their channels."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from tests.bench.outbox import Outbox


def open_channels(address: str, count: int) -> list[Any]:
    """Channels that each have a connection of their own."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    return [grpc.aio.insecure_channel(address, options=own) for _ in range(count)]


class Stream:
    """A stream of frames."""

    def __init__(
        self, channel: Any, method: str, request: Any, response: Any, metadata: tuple[Any, ...] = ()
    ) -> None:
        self.bytes_in = 0

        def count_and_parse(data: bytes) -> Any:
            self.bytes_in += len(data)
            return response.FromString(data)

        open_call = channel.stream_stream(f"/askback.v1.{method}", request.SerializeToString, count_and_parse)
        self._call = open_call(metadata=metadata)
        self.outbox = Outbox(self._call.write, request)
        self.sending = asyncio.create_task(self.outbox.run())

    async def frames(self) -> Any:
        """Iterate over the received frames."""
        while (message := await self._call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            for frame in message.frames:
                yield frame

    def end(self) -> None:
        """Cancel the stream."""
        self.sending.cancel()
        self._call.cancel()
