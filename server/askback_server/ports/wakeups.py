"""Wake-ups between replicas: announcements of commits (`announcements.py`). They speed delivery up and are
never the truth (docs/design.md 5).

After a commit a replica announces each changed job. Announcements may be lost, delayed or repeated: the event
log is polled as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from askback_server.ports.announcements import Announcement


class Receiver(Protocol):
    """Called in the event loop with the announcements of another replica. Must not block."""

    def __call__(self, announced: Sequence[Announcement], /) -> None:
        """An empty list says only that the replica has committed something."""


class Wakeups(Protocol):
    """Sends and receives announcements. Any of them may be lost."""

    @property
    def live(self) -> bool:
        """Whether announcements are being received; if not, only polling brings the commits of other
        replicas."""

    def send(self, announced: Iterable[Announcement]) -> None:
        """Send announcements soon, batched. Never blocks and never fails."""

    async def run(self, receive: Receiver) -> None:
        """Send and receive until cancelled. Reconnects automatically."""


class NoWakeups:
    """For a database with a single server process."""

    live = False

    def send(self, announced: Iterable[Announcement]) -> None:
        """Do nothing; the announcements are not even made."""

    async def run(self, receive: Receiver) -> None:
        """Receive nothing until cancelled."""
        await asyncio.Event().wait()
