"""Streams that are old are asked to move, so that load reaches replicas that came later."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from weakref import WeakKeyDictionary

from askback_server.engine.periodic import every
from askback_server.sessions.leaving import Leaver

REASON = "this stream is old; open another one"
SPREAD = 0.2
"""Streams that came together do not leave together."""
MOVE = 10.0
"""Seconds that a client has for moving, before its stream is ended when it waits for nothing. Three times as
long it may wait for replies."""


class Ageing:
    """Gives each stream an age at which it is asked to move, `age` seconds ± 20 %, and sees that it does."""

    def __init__(self, streams: Collection[Leaver], age: float, monotonic: Callable[[], float]) -> None:
        self._streams = streams
        self._age = age
        self._monotonic = monotonic
        self._due: WeakKeyDictionary[Leaver, float] = WeakKeyDictionary()
        self._move = min(MOVE, age / 2)

    async def run(self) -> None:
        """Look at the streams until cancelled."""
        await every(min(1.0, self._age / 10), self.turn, "streams' age")

    async def turn(self) -> None:
        """Look at each stream once."""
        now = self._monotonic()
        for stream in tuple(self._streams):
            due = self._due.get(stream)
            if due is None:
                self._due[stream] = now + self._age * random.uniform(1 - SPREAD, 1 + SPREAD)
            elif now >= due + self._move * (3 if stream.busy else 1):
                stream.dismiss()
            elif now >= due:
                stream.go_away(REASON, self._move)
