"""Hints between replicas: which jobs have changed. Hints speed delivery up and are never the truth
(docs/design.md 5).

After a commit a replica sends a hint for each changed job. A receiver reads the job itself. Hints may be
lost, delayed or repeated: the event log is polled as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Hint:
    """A job has changed: its events after the seq `after`, up to `seq`."""

    job_id: str
    after: int
    seq: int


class HintReceiver(Protocol):
    """Called in the event loop with the hints of another replica. Must not block."""

    def __call__(self, hints: Sequence[Hint], /) -> None:
        """An empty list says only that the replica has committed something."""


class Wakeups(Protocol):
    """Sends and receives hints. Any of them may be lost."""

    @property
    def live(self) -> bool:
        """Whether hints are being received; if not, only polling brings the commits of other replicas."""

    def send(self, hints: Iterable[Hint]) -> None:
        """Send hints soon, batched. Never blocks and never fails."""

    async def run(self, receive: HintReceiver) -> None:
        """Send and receive until cancelled. Reconnects automatically."""


class NoWakeups:
    """For a database with a single server process."""

    live = False

    def send(self, hints: Iterable[Hint]) -> None:
        """Do nothing."""

    async def run(self, receive: HintReceiver) -> None:
        """Receive nothing until cancelled."""
        await asyncio.Event().wait()
