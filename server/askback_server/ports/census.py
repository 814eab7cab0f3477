"""Counting what a database holds, for those who watch over the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from askback_server.ports.storage import Position

AGES = (60.0, 300.0, 3_600.0, 86_400.0, 604_800.0)
"""Ages in seconds that open prompts are told apart by; a last class has those older than all."""


@dataclass(frozen=True, slots=True)
class OpenPrompts:
    """The open prompts of one kind: how many of each age class (see AGES), and the oldest's age."""

    kind: str
    by_age: tuple[int, ...]
    oldest: float
    unattended: int
    """Those that nobody is there for."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """The jobs of one type that any worker may take now, and for how long the first has waited."""

    job_type: str
    jobs: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Census:
    """What a whole database holds, by its own clock; ages in seconds.

    Of each table no more than a bound is counted; `partial` says that there is more.
    """

    prompts: tuple[OpenPrompts, ...]
    runnable: tuple[Runnable, ...]
    held: Mapping[str, int]
    """Jobs that a worker's session holds, by job type."""
    sessions: int
    """Worker sessions that have not expired."""
    partial: bool


class CensusStore(Protocol):
    """Counting for those who watch over the service."""

    async def take(self, most: int) -> Census:
        """Count, at the most so many rows of each table. Raises StorageUnavailable."""

    async def behind(self, position: Position) -> float:
        """How old the first event after a feed's position is, in seconds; 0 if there is none."""

    def connections(self) -> Mapping[str, int]:
        """Connections of the pool for reads: `in_use` and `idle`."""
