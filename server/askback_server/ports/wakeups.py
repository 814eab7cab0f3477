"""Wake-ups: hints that replicas send each other after a commit; never the truth (docs/design.md 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Hint:
    """A job has moved from one seq to another."""

    job_id: str
    after: int
    seq: int


Heard = Callable[[Sequence[Hint]], None]
"""Told what another replica has committed; of an empty hint only that there is something. Must not block."""


class Wakeups(Protocol):
    """Calls between replicas. Any of them may be lost: the log is polled behind them."""

    @property
    def live(self) -> bool:
        """Whether calls of others are being heard; if not, polling alone brings their commits."""

    def send(self, hints: Iterable[Hint]) -> None:
        """Tell the others, soon and together with what else there is to tell. Never waits, never fails."""

    async def run(self, heard: Heard) -> None:
        """Send and listen until cancelled, whatever becomes of the connections."""


class NoWakeups:
    """For a database that has one server process: nobody is there to be told."""

    live = False

    def send(self, hints: Iterable[Hint]) -> None:
        """No."""

    async def run(self, heard: Heard) -> None:
        """Nothing will be heard."""
        await asyncio.Event().wait()
