"""The leases of one worker's session, compared with those that the worker holds.

The protocol. The server and the worker of a stream can disagree: a pushed job may not arrive, or a worker may
lose a job without noticing. So the worker reports in its heartbeats how many pushed jobs it has received, and
a digest of its leases: their number, and the XOR of a hash of each lease. If the digest differs from the one
computed here, the server asks for the full list (`LeasesWanted`) and takes back the jobs that the worker does
not run.

Jobs on their way are in neither digest: those pushed and not received yet, and those whose end the worker has
already sent. So the two digests agree at every heartbeat of a busy stream.

Pure: time comes as an argument.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import sha256

from askback_server.domain.evolve import fast_init
from askback_server.domain.jobs import Job, JobState
from askback_server.domain.prompts import Prompt
from askback_server.sessions.work_frames import LeaseDigest


def lease_mark(job_id: str, token: int) -> int:
    """The hash of a lease in a digest: the first eight bytes of the SHA-256 of `JOB_ID:TOKEN`."""
    return int.from_bytes(sha256(f"{job_id}:{token}".encode()).digest()[:8], "big", signed=True)


def digest_leases(leases: Collection[tuple[str, int]]) -> LeaseDigest:
    """The digest of leases, each a job id and a token."""
    digest = 0
    for job_id, token in leases:
        digest ^= lease_mark(job_id, token)
    return LeaseDigest(len(leases), digest)


@fast_init
@dataclass(frozen=True, slots=True)
class Lease:
    """What a stream needs of a job that its worker holds, possibly for as long as people take to answer. The
    worker was sent the rest."""

    job_id: str
    namespace: str
    token: int
    version: int
    is_running: bool
    """False while the job waits for people."""
    cancel_reason: str | None
    """None without a request to cancel it."""


def lease_of(job: Job) -> Lease:
    """The lease of a job that is held."""
    reason = None if job.cancel_requested_at is None else job.cancel_reason
    running = job.state is JobState.RUNNING
    return Lease(job.job_id, job.namespace, job.token, job.version, running, reason)


@dataclass(slots=True, eq=False)
class HeldJob:
    """A leased job, and what its worker has been sent."""

    lease: Lease
    since: int = field(init=False)
    """The job's version when it was held: older changes are in what the worker gets with the lease."""
    mark: int = field(init=False)
    """The hash of the lease; its token never changes."""
    sent_versions: dict[str, int] = field(default_factory=dict)
    """Resolutions that were sent: prompt version by prompt id."""
    cancel_sent: bool = False
    ending: bool = False
    """Whether a call of the worker that ends the lease is running."""
    handed_over: bool = True
    """False while the data of the lease is read; changed prompts are collected in `buffered` meanwhile."""
    buffered: list[tuple[tuple[Prompt, ...], frozenset[str]]] = field(default_factory=list)
    """Each change's prompts, and the ids of those with a late answer."""
    push_number: int | None = None
    """The number of the push on this stream, from 1. 0 if the worker had the job before; None if it is not
    pushed yet."""
    received: bool = False
    """Whether the worker has confirmed the receipt."""
    pushed_at: float = 0.0
    """The monotonic time of the push."""

    def __post_init__(self) -> None:
        self.since = self.lease.version
        self.mark = lease_mark(self.lease.job_id, self.lease.token)


class LeaseBook:
    """The leases of a session, in the order of its stream."""

    def __init__(self) -> None:
        self.held: dict[str, HeldJob] = {}
        """By job id. Changed only by `add`, `remove` and `clear`."""
        self.running = 0
        """How many of the jobs run: the others wait for people. The dispatcher asks for it with each job."""
        self._pushed = 0
        self._received: int | None = None
        """The number of pushed jobs that the worker has received; None if it does not report it."""
        self._in_transit: dict[int, HeldJob] = {}
        """Pushed and unconfirmed jobs by push number."""
        self._stalled_at = 0
        """The push number of the newest job that was taken back."""

    def add(self, held: HeldJob) -> None:
        """Add a lease, in the place of an earlier one of its job."""
        earlier = self.held.get(held.lease.job_id)
        self.running += held.lease.is_running - (earlier is not None and earlier.lease.is_running)
        self.held[held.lease.job_id] = held

    def update(self, held: HeldJob, lease: Lease) -> None:
        """Replace a lease that is held by its newer version."""
        self.running += lease.is_running - held.lease.is_running
        held.lease = lease

    def remove(self, held: HeldJob) -> None:
        """Remove a lease, if it is still the current one of its job."""
        if self.held.get(held.lease.job_id) is held:
            del self.held[held.lease.job_id]
            self.running -= held.lease.is_running
        if held.push_number:
            self._in_transit.pop(held.push_number, None)

    def clear(self) -> None:
        """Remove all leases."""
        self.held.clear()
        self.running = 0
        self._in_transit.clear()

    def note_pushed(self, held: HeldJob, now: float) -> None:
        """Record that a job is pushed; `now` in monotonic seconds."""
        self._pushed += 1
        held.push_number, held.pushed_at = self._pushed, now
        self._in_transit[held.push_number] = held

    def note_known(self, held: HeldJob) -> None:
        """Record that the worker named the job in its hello."""
        held.push_number, held.received = 0, True

    def note_received(self, count: int) -> None:
        """Record that the worker has received `count` pushed jobs."""
        self._received = max(count, self._received or 0)
        for place in [p for p in self._in_transit if p <= count]:
            self._in_transit.pop(place).received = True

    @property
    def confirms_receipt(self) -> bool:
        """Whether the worker confirms receipts."""
        return self._received is not None

    @property
    def is_stalled(self) -> bool:
        """Whether a push was taken back as not received, and none was confirmed since."""
        return self._stalled_at > (self._received or 0)

    def digest(self) -> LeaseDigest:
        """The digest that the worker must report."""
        count = digest = 0
        for held in self.held.values():
            if held.received and not held.ending:
                count += 1
                digest ^= held.mark
        return LeaseDigest(count, digest)

    def missing(self, named: Collection[tuple[str, int]]) -> list[HeldJob]:
        """Leases that the worker should hold and does not list in `named`."""
        return [
            held
            for held in self.held.values()
            if held.received and not held.ending and (held.lease.job_id, held.lease.token) not in named
        ]

    def holds(self, job_id: str, token: int) -> bool:
        """Whether the session holds this lease."""
        held = self.held.get(job_id)
        return held is not None and held.lease.token == token

    def mark_overdue(self, before: float) -> list[HeldJob]:
        """Return the pushes that are overdue, and regard the worker as stalled from now on.

        Overdue are unconfirmed ones pushed before the monotonic time `before`, if the worker confirms
        receipts.
        """
        if self._received is None:
            return []
        found = [h for h in self._in_transit.values() if h.pushed_at <= before and not h.ending]
        for held in found:
            self._stalled_at = max(self._stalled_at, held.push_number or 0)
        return found

    @property
    def oldest_in_transit(self) -> float | None:
        """The time of the oldest unconfirmed push; None without one, or if the worker does not confirm
        receipts."""
        if self._received is None or not self._in_transit:
            return None
        return next(iter(self._in_transit.values())).pushed_at

    @property
    def unreceived(self) -> list[HeldJob]:
        """Leases that the worker certainly does not have: not pushed, or not confirmed by a worker that
        confirms receipts."""
        says = self.confirms_receipt
        return [h for h in self.held.values() if not h.received and (says or h.push_number is None)]
