"""The frames of the Work stream, besides those of `frames`."""

from __future__ import annotations

from dataclasses import dataclass

from askback_server.domain.evolve import fast_init
from askback_server.domain.jobs import Checkpoint, Job
from askback_server.domain.prompts import Prompt


@dataclass(frozen=True, slots=True)
class WorkHello:
    """The first frame of a worker."""

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
    """The number of jobs that the worker takes from now on."""

    capacity: int


@dataclass(frozen=True, slots=True)
class JobLeased:
    """A leased job with the data of earlier attempts, as far as it fits."""

    job: Job
    prompts: tuple[Prompt, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    more: bool = False


@fast_init
@dataclass(frozen=True, slots=True)
class PromptResolved:
    """A prompt of a held job was resolved, or received a late answer."""

    prompt: Prompt
    late_answer: bool = False


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Cancellation of a held job was requested."""

    job_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class LeaseLostFrame:
    """The worker no longer holds the job."""

    job_id: str
    token: int


@dataclass(frozen=True, slots=True)
class LeaseDigest:
    """A digest of leases: their number and the XOR of their hashes (WorkLeaseDigest in the contract)."""

    count: int = 0
    digest: int = 0


@dataclass(frozen=True, slots=True)
class WorkHeartbeat:
    """A heartbeat of a worker: the number of pushed jobs of this stream that it has received, and the digest
    of its leases. None if not reported."""

    received: int | None = None
    leases: LeaseDigest | None = None


@dataclass(frozen=True, slots=True)
class LeasesWanted:
    """The worker must list its leases."""


@dataclass(frozen=True, slots=True)
class HeldLeases:
    """All leases that a worker holds, as (job id, token), after it has received `received` pushed jobs."""

    received: int
    leases: frozenset[tuple[str, int]]
