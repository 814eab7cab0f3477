"""The leases of one worker as its stream knows them: what the server has, and what the worker says.

Pure: time comes as an argument.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256

from askback_server.domain.jobs import Job
from askback_server.engine.committed import Committed
from askback_server.sessions.work_frames import LeaseDigest


def lease_mark(job_id: str, token: int) -> int:
    """What one lease adds to a digest: the first eight bytes of the SHA-256 of `JOB_ID:TOKEN`."""
    return int.from_bytes(sha256(f"{job_id}:{token}".encode()).digest()[:8], "big", signed=True)


def digest_leases(leases: Collection[tuple[str, int]]) -> LeaseDigest:
    """The digest of leases, each a job id and a token."""
    digest = 0
    for job_id, token in leases:
        digest ^= lease_mark(job_id, token)
    return LeaseDigest(len(leases), digest)


TEXTS = 1024
"""What a held job may have of texts."""


def lease_of(job: Job) -> Job:
    """A held job without its input and result, if they are large: a worker has up to 1,000 jobs, and was sent
    what it needs."""
    if len(job.input_json) + len(job.result_json) <= TEXTS:
        return job
    return replace(job, input_json="", result_json="")


@dataclass(eq=False)  # no slots: the mark is kept beside the fields
class Held:
    """A job as its worker knows it."""

    job: Job
    """As `lease_of` gives it."""
    told: dict[str, int] = field(default_factory=dict)
    """Resolutions told, by prompt, with the versions they had."""
    cancel_told: bool = False
    ending: bool = False
    """The worker's own call that ends the lease is on its way."""
    handed_over: bool = True
    """False while what the worker needs is read; what is committed meanwhile waits in `meanwhile`."""
    meanwhile: list[Committed] = field(default_factory=list)
    place: int | None = None
    """Its number among the jobs pushed on this stream, from 1; 0 if the worker had it before; None if it
    is not pushed yet."""
    received: bool = False
    """Whether the worker has said that it received it."""
    pushed_at: float = 0.0
    """When it was pushed, in monotonic seconds."""

    @cached_property
    def mark(self) -> int:
        """What it adds to a digest; the token of a lease never changes."""
        return lease_mark(self.job.job_id, self.job.token)


class LeaseBook:
    """Compares what the session holds with what its worker says, in the order of the stream.

    A job that is pushed and not received yet is in neither digest, nor is one whose end the worker has
    sent. So a busy worker and its server agree at every heartbeat.
    """

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        """By job id. To be changed by `add` and `remove` only."""
        self._pushed = 0
        self._received: int | None = None
        """How many pushed jobs the worker has received; None: it does not say."""
        self._on_the_way: dict[int, Held] = {}
        """Pushed jobs that are held and not said to be received, by place."""
        self._deaf = 0
        """The place of the newest job that was taken back."""

    def add(self, held: Held) -> None:
        """The session holds a job."""
        self.held[held.job.job_id] = held

    def remove(self, held: Held) -> None:
        """The session does not hold it any more, if it did."""
        if self.held.get(held.job.job_id) is held:
            del self.held[held.job.job_id]
        if held.place:
            self._on_the_way.pop(held.place, None)

    def clear(self) -> None:
        """The session holds nothing any more."""
        self.held.clear()
        self._on_the_way.clear()

    def note_pushed(self, held: Held, now: float) -> None:
        """The job goes to the worker; `now` in monotonic seconds."""
        self._pushed += 1
        held.place, held.pushed_at = self._pushed, now
        self._on_the_way[held.place] = held

    def note_known(self, held: Held) -> None:
        """The worker named the job in its hello."""
        held.place, held.received = 0, True

    def note_received(self, count: int) -> None:
        """The worker has received so many pushed jobs."""
        self._received = max(count, self._received or 0)
        for place in [p for p in self._on_the_way if p <= count]:
            self._on_the_way.pop(place).received = True

    @property
    def says_received(self) -> bool:
        """Whether the worker says what it receives."""
        return self._received is not None

    @property
    def is_deaf(self) -> bool:
        """Whether a job was taken back because the worker did not receive it, and it has not since."""
        return self._deaf > (self._received or 0)

    def digest(self) -> LeaseDigest:
        """What the worker's digest must be."""
        count = digest = 0
        for held in self.held.values():
            if held.received and not held.ending:
                count += 1
                digest ^= held.mark
        return LeaseDigest(count, digest)

    def missing(self, named: Collection[tuple[str, int]]) -> list[Held]:
        """What the session holds and the worker, which lists its leases, does not run."""
        return [
            held
            for held in self.held.values()
            if held.received and not held.ending and (held.job.job_id, held.job.token) not in named
        ]

    def holds(self, job_id: str, token: int) -> bool:
        """Whether the session holds this lease."""
        held = self.held.get(job_id)
        return held is not None and held.job.token == token

    def take_back(self, before: float) -> list[Held]:
        """Jobs that were pushed before this monotonic time and not received, if the worker says what it
        receives. From now on it is deaf."""
        if self._received is None:
            return []
        found = [h for h in self._on_the_way.values() if h.pushed_at <= before and not h.ending]
        for held in found:
            self._deaf = max(self._deaf, held.place or 0)
        return found

    @property
    def oldest_on_the_way(self) -> float | None:
        """When the oldest job was pushed that a worker, which says what it receives, has not received."""
        if self._received is None or not self._on_the_way:
            return None
        return next(iter(self._on_the_way.values())).pushed_at

    @property
    def unreceived(self) -> list[Held]:
        """Held jobs that the worker has not received for sure: not pushed, or it says what it receives."""
        says = self.says_received
        return [h for h in self.held.values() if not h.received and (says or h.place is None)]
