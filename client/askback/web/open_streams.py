"""The WebSockets and event streams that are open, and how a gateway that stops asks them to leave."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import grpc

from askback.web.refused import Refused

REASON = "the server of this page is stopping"
STREAMS_PER_SECOND = 50
"""Streams that may reconnect per second without being spread further."""
MOVE_SECONDS = 2.0
"""Seconds for a page to open its next socket before its idle one is ended. Where there is no other gateway it
could not open one, and would never leave by itself."""
_POLL_SECONDS = 0.02


class OpenStream(Protocol):
    """A WebSocket or an event stream."""

    kind: str
    """`socket` or `events`, for the metrics."""

    @property
    def busy(self) -> bool:
        """Whether its client waits for replies."""

    def go_away(self, reason: str, after: float) -> None:
        """Ask its client to reconnect within `after` seconds."""

    def end(self) -> None:
        """End it; its client continues at another gateway."""


class OpenStreams:
    """The open streams, at most `maximum`."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._open: set[OpenStream] = set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._open)

    def by_kind(self) -> Counter[str]:
        """How many are open, by kind."""
        found = Counter(socket=0, events=0)
        found.update(stream.kind for stream in self._open)
        return found

    @contextmanager
    def hold(self, stream: OpenStream) -> Iterator[None]:
        """Count the stream as open. Raises Refused if the gateway stops or has no room."""
        if self.draining:
            raise Refused(grpc.StatusCode.UNAVAILABLE, REASON, "GATEWAY_DRAINING")
        if len(self._open) >= self._maximum:
            text = "too many pages are open at this gateway; try again in a moment"
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, text, "TOO_MANY_STREAMS")
        self._open.add(stream)
        try:
            yield
        finally:
            self._open.discard(stream)

    async def drain(self, spread: float, grace: float) -> None:
        """Ask all streams to leave, over at most `spread` seconds, and end them `grace` seconds later at the
        latest. Idle ones are ended earlier."""
        clock = asyncio.get_running_loop().time
        self.draining = True
        waiting = list(self._open)
        random.shuffle(waiting)
        spread = min(spread, len(waiting) / STREAMS_PER_SECOND)
        began = clock()
        last = began + spread + grace
        asked: dict[OpenStream, float] = {}
        while self._open and clock() < last:
            passed = clock() - began
            due = len(waiting) if passed >= spread else int(len(waiting) * passed / spread)
            for stream in waiting[len(asked) : due]:
                asked[stream] = clock()
                if stream in self._open:
                    stream.go_away(REASON, max(0.0, last - clock()))
            for stream, at in asked.items():
                if stream in self._open and not stream.busy and clock() - at >= min(MOVE_SECONDS, grace / 2):
                    stream.end()
            await asyncio.sleep(_POLL_SECONDS)
        for stream in tuple(self._open):
            stream.end()
