"""What a worker and the server say to each other on the Work stream, besides calls and their replies."""

from __future__ import annotations

from dataclasses import dataclass

from askback_server.domain.jobs import Checkpoint, Job
from askback_server.domain.prompts import Prompt


@dataclass(frozen=True, slots=True)
class WorkHello:
    """What a worker says first."""

    namespace: str
    worker_id: str
    job_types: frozenset[str]
    capacity: int = 1
    session_id: str = ""
    session_secret: str = ""
    held: tuple[tuple[str, int], ...] = ()
    """(job id, token) of the jobs that it still runs."""


@dataclass(frozen=True, slots=True)
class WorkWelcome:
    """The reply to the hello; the interval in seconds."""

    session_id: str
    session_secret: str
    heartbeat_interval: float
    lost_job_ids: tuple[str, ...]
    resumed: bool
    replica: str
    max_in_flight: int
    max_message_bytes: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many jobs the worker takes from now on."""

    capacity: int


@dataclass(frozen=True, slots=True)
class JobLeased:
    """A job under a lease, with what earlier attempts left, as far as it fits."""

    job: Job
    prompts: tuple[Prompt, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class PromptResolved:
    """A prompt of a held job was resolved, or had a late answer."""

    prompt: Prompt
    late_answer: bool = False


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants a held job to stop."""

    job_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class LeaseLostFrame:
    """A job is not held any more."""

    job_id: str
    token: int


@dataclass(frozen=True, slots=True)
class LeaseDigest:
    """A set of leases: how many, and the XOR of their marks (WorkLeaseDigest in the contract)."""

    count: int = 0
    digest: int = 0


@dataclass(frozen=True, slots=True)
class WorkHeartbeat:
    """A worker's sign of life: how many pushed jobs of this stream it has received, and the leases that it
    holds. None: not said."""

    received: int | None = None
    leases: LeaseDigest | None = None


@dataclass(frozen=True, slots=True)
class LeasesWanted:
    """The worker shall list its leases."""


@dataclass(frozen=True, slots=True)
class HeldLeases:
    """All leases that a worker holds, as (job id, token), after it has received so many pushed jobs."""

    received: int
    leases: frozenset[tuple[str, int]]
