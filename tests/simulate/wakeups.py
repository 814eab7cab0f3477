"""Announcements between simulated replicas: merged, late, repeated, out of order, or lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from random import Random

from askback_server.ports.announcements import Announcement
from askback_server.ports.wakeups import Receiver
from askback_server.storage.announcement_texts import from_texts, to_text


class SimulatedChannel:
    """Connects the wake-ups of all replicas."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(f"{seed} announcements")
        self.listeners: dict[SimulatedWakeups, Receiver] = {}


class SimulatedWakeups:
    """Implements the Wakeups port for one replica."""

    live = True

    def __init__(self, channel: SimulatedChannel) -> None:
        self._channel = channel
        self._pending: dict[str, Announcement] = {}

    def send(self, announced: Iterable[Announcement]) -> None:
        for item in announced:
            known = self._pending.get(item.job_id)
            if not self._pending:
                asyncio.get_running_loop().call_later(self._channel.rng.uniform(0.0, 0.02), self._flush)
            self._pending[item.job_id] = item if known is None else known.merge(item)

    def _flush(self) -> None:
        pending, self._pending = self._pending, {}
        text = f"[{','.join(map(to_text, pending.values()))}]"
        rng = self._channel.rng
        for listener in self._channel.listeners:
            if listener is self:
                continue
            for _ in range(rng.choice([0, 1, 1, 1, 1, 1, 1, 2])):
                delay = rng.uniform(0.0, 0.01) if rng.random() < 0.8 else rng.uniform(0.05, 2.0)
                asyncio.get_running_loop().call_later(delay, self._deliver, listener, text)

    def _deliver(self, listener: SimulatedWakeups, text: str) -> None:
        receive = self._channel.listeners.get(listener)
        if receive is not None:
            receive(from_texts(text))

    async def run(self, receive: Receiver) -> None:
        self._channel.listeners[self] = receive
        try:
            await asyncio.Event().wait()
        finally:
            del self._channel.listeners[self]
