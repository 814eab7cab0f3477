"""The first half of a drain: asks every stream to reconnect elsewhere, a few at a time, and waits for
them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from typing import Protocol

REASON = "this replica is shutting down"
STREAMS_PER_SECOND = 50
"""Streams that may reconnect per second without being spread further."""
MOVE_SECONDS = 2.0
"""Seconds for a client to open its next stream before its idle one is ended. Without another replica it could
not open one, and would never leave on its own."""
POLL_SECONDS = 0.02
"""Seconds between two checks of the remaining streams."""


class OpenStream(Protocol):
    """A stream, or a call that watches."""

    @property
    def busy(self) -> bool:
        """Whether it waits for replies."""

    def go_away(self, reason: str, after: float) -> None:
        """Ask its client to reconnect within `after` seconds."""

    def dismiss(self) -> None:
        """End it gracefully; its client continues elsewhere."""


async def drain_streams(streams: Collection[OpenStream], spread: float, grace: float) -> None:
    """Ask all streams to reconnect, spread over at most `spread` seconds, and wait until they have ended.

    Waits at most `grace` seconds after the last request. `streams` is the live collection.
    """
    clock = asyncio.get_running_loop().time
    waiting = list(streams)
    random.shuffle(waiting)
    spread = min(spread, len(waiting) / STREAMS_PER_SECOND)
    started, asked = clock(), 0
    asked_at: dict[OpenStream, float] = {}
    end = started + spread + grace
    while streams and clock() < end:
        passed = clock() - started
        due = len(waiting) if passed >= spread else int(len(waiting) * passed / spread)
        # The last round also asks streams that were opened meanwhile.
        asking = waiting[asked:due] if due < len(waiting) else [*streams]
        for stream in asking:
            if stream in streams and stream not in asked_at:
                stream.go_away(REASON, max(0.0, end - clock()))
                asked_at[stream] = clock()
        asked = due
        for stream in tuple(streams):
            if not stream.busy and clock() - asked_at.get(stream, clock()) >= min(MOVE_SECONDS, grace / 2):
                stream.dismiss()
        await asyncio.sleep(POLL_SECONDS)
