"""Counts of what a database holds, for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from askback_server.ports.storage import Position


@dataclass(frozen=True, slots=True)
class OpenPrompts:
    """The open prompts of one kind: the number in each age class (see domain/overview.py), and the age of the
    oldest."""

    kind: str
    by_age: tuple[int, ...]
    oldest: float
    unattended: int
    """Those without a present reviewer."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """The jobs of one type that a worker could take now, and how long the first has waited."""

    job_type: str
    jobs: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Census:
    """The contents of a database, by its own clock; ages in seconds.

    Each table is counted up to a bound; `partial` tells that one has more.
    """

    prompts: tuple[OpenPrompts, ...]
    runnable: tuple[Runnable, ...]
    held: Mapping[str, int]
    """Jobs held by a worker session, by job type."""
    sessions: int
    """Worker sessions that have not expired."""
    partial: bool


class CensusStore(Protocol):
    """Counts the contents of a database, for metrics."""

    async def take(self, maximum: int) -> Census:
        """Count up to `maximum` rows per table. Raises StorageUnavailable."""

    async def behind(self, position: Position) -> float:
        """The age in seconds of the first event after a feed position; 0 if there is none."""

    def connections(self) -> Mapping[str, int]:
        """Connections of the read pool: `in_use` and `idle`."""
