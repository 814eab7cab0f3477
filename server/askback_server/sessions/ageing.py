"""Asks old streams to reconnect, so that load moves to replicas that were added later."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from weakref import WeakKeyDictionary

from askback_server.engine.periodic import every
from askback_server.sessions.drain import OpenStream

REASON = "this stream is old; open another one"
AGE_SPREAD = 0.2
"""Fraction by which ages vary, so that streams opened together do not reconnect together."""
GRACE_SECONDS = 10.0
"""Seconds for a client to reconnect before its idle stream is ended. A stream that waits for replies gets
three times as long."""


class Ageing:
    """Gives each stream a maximum age of `age` seconds ± `AGE_SPREAD`, and ends it if it does not leave."""

    def __init__(self, streams: Collection[OpenStream], age: float, monotonic: Callable[[], float]) -> None:
        self._streams = streams
        self._age = age
        self._monotonic = monotonic
        self._due: WeakKeyDictionary[OpenStream, float] = WeakKeyDictionary()
        self._grace = min(GRACE_SECONDS, age / 2)

    async def run(self) -> None:
        """Check the streams until cancelled."""
        await every(min(1.0, self._age / 10), self.check, "streams' age")

    async def check(self) -> None:
        """Check each stream once."""
        now = self._monotonic()
        for stream in tuple(self._streams):
            due = self._due.get(stream)
            if due is None:
                self._due[stream] = now + self._age * random.uniform(1 - AGE_SPREAD, 1 + AGE_SPREAD)
            elif now >= due + self._grace * (3 if stream.busy else 1):
                stream.dismiss()
            elif now >= due:
                stream.go_away(REASON, self._grace)
