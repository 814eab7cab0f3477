"""The first half of a drain: every stream is asked to move, a few at a time, and seen off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from typing import Protocol

REASON = "this replica is shutting down"
PACE = 50
"""Streams that may well move within one second: so few are not spread any thinner."""
MOVE = 2.0
"""Seconds that a client has for opening its next stream before this one, when it waits for nothing, is
ended from here: where no other replica is, nobody would ever leave."""
POLL = 0.02
"""Seconds between two looks at who is left."""


class Leaver(Protocol):
    """A stream, or a call that watches."""

    @property
    def busy(self) -> bool:
        """Whether it still waits for replies."""

    def go_away(self, reason: str, after: float) -> None:
        """Ask its client to move within so many seconds."""

    def dismiss(self) -> None:
        """End it in order; its client goes on elsewhere."""


async def see_off(streams: Collection[Leaver], spread: float, grace: float) -> None:
    """Ask all of them to move, spread over at most so many seconds, and wait until they are gone, for
    at most `grace` seconds after the last was asked. `streams` is the living collection."""
    clock = asyncio.get_running_loop().time
    waiting = list(streams)
    random.shuffle(waiting)
    spread = min(spread, len(waiting) / PACE)
    started, asked = clock(), 0
    told: dict[Leaver, float] = {}
    end = started + spread + grace
    while streams and clock() < end:
        passed = clock() - started
        due = len(waiting) if passed >= spread else int(len(waiting) * passed / spread)
        # Who came while the door was closing is asked with the last.
        asking = waiting[asked:due] if due < len(waiting) else [*streams]
        for stream in asking:
            if stream in streams and stream not in told:
                stream.go_away(REASON, max(0.0, end - clock()))
                told[stream] = clock()
        asked = due
        for stream in tuple(streams):
            if not stream.busy and clock() - told.get(stream, clock()) >= min(MOVE, grace / 2):
                stream.dismiss()
        await asyncio.sleep(POLL)
