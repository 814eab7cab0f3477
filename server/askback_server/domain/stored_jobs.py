"""What is stored of a job, as its verification reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from askback_server.domain.events import Event, EventType


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that is not what the chain says."""

    table: str
    row: str
    """Its key, for people."""
    problem: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.table} ({self.row}): {self.problem}"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its link, as stored."""

    event: Event
    data: str
    """The text of its data; empty without any."""
    hash: bytes | None
    salt: bytes | None
    document_salt: bytes | None
    documents: bytes
    erased: bytes | None


@dataclass(frozen=True, slots=True)
class StoredJob:
    """Everything that is stored of a job, rows as mappings by column name."""

    job_id: str
    job: Mapping[str, Any] | None
    """None: the job is deleted."""
    events: Sequence[StoredEvent]
    prompts: Sequence[Mapping[str, Any]] = ()
    answers: Sequence[Mapping[str, Any]] = ()
    checkpoints: Sequence[Mapping[str, Any]] = ()
    unreadable: Fault | None = None
    """A row that cannot be read. Then nothing else of the job is here."""
    is_being_deleted: bool = False
    """Whether its retention is over: then rows of it may be missing."""

    @property
    def is_deleted(self) -> bool:
        """Whether it was deleted by the service."""
        return self.job is None and bool(self.events) and self.events[-1].event.type is EventType.JOB_DELETED


@dataclass(slots=True)
class Notes:
    """What could not be verified, and is no fault."""

    unlinked: int = 0
    """Events that a version without the chain wrote."""
    erased: int = 0
    """Events whose personal data was erased: they are proven without it."""
    erased_documents: int = 0
    """Contents, answers, inputs, results and steps that were erased."""


def row_of(event: Event) -> str:
    """The key of an event's row, for people."""
    return f"{event.job_id}, seq {event.seq}"
