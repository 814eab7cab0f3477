"""The Work protocol as a state machine (docs/design.md 7): frames and commits in, frames out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol, cast

from askback_server.domain.errors import InvalidField
from askback_server.domain.jobs import Job
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import Committed
from askback_server.sessions.frames import Call, ClientFrame, Goodbye, Message, ServerFrame
from askback_server.sessions.lease_book import HeldJob, Lease, LeaseBook, lease_of
from askback_server.sessions.stream_core import StreamCore
from askback_server.sessions.work_frames import (
    CancelRequested,
    Capacity,
    HeldLeases,
    JobLeased,
    LeaseLostFrame,
    LeasesWanted,
    PromptResolved,
    WorkHeartbeat,
    WorkHello,
)

ENDS_LEASE = frozenset({"complete_job", "fail_job", "release_job"})
"""Calls that end the lease if they succeed."""


class EndLeaseRequest(Message, Protocol):
    """The request of one of these calls."""

    job_id: str
    token: int


@dataclass(frozen=True, slots=True)
class NotRun:
    """Leases that the session holds and its worker does not run."""

    leases: tuple[HeldJob, ...]


class WorkCore:
    """The state of one worker's stream. The driver performs calls, and follows the held jobs."""

    def __init__(self, limits: Limits, heartbeat: float) -> None:
        self._limits = limits
        self.stream = StreamCore(WorkHello, limits.in_flight, heartbeat)
        self.capacity = 0
        self.reserved = 0
        self.leases = LeaseBook()
        self.serves = False
        """Whether the session is open and belongs to this stream. Only then are leases compared."""
        self._list_requested = False
        """Whether a request for the list of leases is queued: one is enough for a worker that does
        not read."""

    @property
    def held(self) -> dict[str, HeldJob]:
        """The leases of the session, by job id."""
        return self.leases.held

    def receive(self, frame: ClientFrame) -> Call | WorkHello | Capacity | Goodbye | NotRun | None:
        """Take a frame. Returns an action for the driver, if any. Raises BadHello, InvalidField."""
        if isinstance(frame.body, WorkHello):
            # Checked first: a wrong hello must end the stream, not count as said.
            self._check_capacity(frame.body.capacity, "hello.capacity")
        body = self.stream.receive(frame)
        if isinstance(body, WorkHello):
            self.capacity = body.capacity or 1
            return body
        if isinstance(body, Capacity):
            try:
                self._check_capacity(body.capacity, "capacity.capacity")
            except InvalidField as error:
                self.stream.refuse(frame.ref, error)
                return None
            self.capacity = body.capacity
            return body
        if isinstance(body, WorkHeartbeat):
            self._on_heartbeat(body)
            return None
        if isinstance(body, HeldLeases):
            return self._compare(body)
        if isinstance(body, Call | Goodbye):
            return body
        return None

    def _on_heartbeat(self, beat: WorkHeartbeat) -> None:
        if not self.serves:
            return
        if beat.received is not None:
            self.leases.note_received(beat.received)
        if beat.leases is not None and not self._list_requested and beat.leases != self.leases.digest():
            self._list_requested = True
            self.stream.push(LeasesWanted())

    def _compare(self, said: HeldLeases) -> NotRun | None:
        """Tell the worker which leases it has lost. Returns those that it does not run."""
        if not self.serves:
            return None
        self.leases.note_received(said.received)
        for job_id, token in sorted(said.leases):
            if not self.leases.holds(job_id, token):
                self.stream.push(LeaseLostFrame(job_id, token))
        missing = self.leases.missing(said.leases)
        return NotRun(tuple(missing)) if missing else None

    def _check_capacity(self, capacity: int, name: str) -> None:
        if not 0 <= capacity <= self._limits.capacity:
            raise InvalidField.of(name, f"must be between 0 and {self._limits.capacity}")

    def room(self) -> int:
        """The number of further jobs that may be pushed. Jobs that wait for people do not count as
        running."""
        if self.stream.said_goodbye or self.stream.going_away or self.leases.is_stalled:
            return 0
        return self.capacity - self.leases.running - self.reserved

    def hold(self, job: Job, *, handed_over: bool = True) -> HeldJob:
        """Add a lease."""
        held = HeldJob(lease_of(job), handed_over=handed_over)
        self.leases.add(held)
        return held

    def hand_over(self, leased: JobLeased, now: float = 0.0) -> None:
        """Push a lease, and the changes committed while its data was read; `now` in monotonic seconds."""
        held = self.held.get(leased.job.job_id)
        if held is None or held.lease.token != leased.job.token:
            return
        held.sent_versions = {p.prompt_id: p.version for p in leased.prompts if p.resolution is not None}
        self.leases.note_pushed(held, now)
        self.stream.push(leased)
        self._catch_up(held)

    def resume(self, lease: Lease, prompts: Iterable[Prompt]) -> None:
        """Continue a lease of a worker that resumed: send the events that it may have missed."""
        held = self.held.get(lease.job_id)
        if held is None or held.lease.token != lease.token:
            return
        self.leases.note_known(held)
        for prompt in prompts:
            if prompt.resolution is not None and prompt.consumed_at is None:
                self._push_resolution(held, prompt)
        self._catch_up(held)

    def _catch_up(self, held: HeldJob) -> None:
        """Send the changes committed while the data was read."""
        held.handed_over = True
        for prompts, late in held.buffered:
            self._push_resolutions(held, prompts, late)
        held.buffered.clear()
        self._push_cancel(held)

    def apply_commit(self, item: Committed) -> bool:
        """Apply a change of a held job. Returns whether the job is still held.

        A change that is older than another one may come after it; then only its prompts are news.
        """
        held = self.held.get(item.job.job_id)
        if held is None or item.job.version < held.since:
            return held is not None
        if item.job.version >= held.lease.version:
            before = held.lease
            self.leases.update(held, lease_of(item.job))
            if item.deleted or item.job.session_id is None or item.job.token != before.token:
                self.leases.remove(held)
                if not held.ending:
                    self.stream.push(LeaseLostFrame(item.job.job_id, before.token))
                return False
        if held.handed_over:
            self._push_resolutions(held, item.prompts, item.late)
            self._push_cancel(held)
        else:
            held.buffered.append((item.prompts, item.late))
        return True

    def _push_resolutions(self, held: HeldJob, prompts: Iterable[Prompt], late: Collection[str]) -> None:
        for prompt in prompts:
            if prompt.prompt_id not in late:
                if prompt.resolution is not None and prompt.consumed_at is None:
                    self._push_resolution(held, prompt)
            elif held.sent_versions.get(prompt.prompt_id, 0) < prompt.version:
                if prompt.prompt_id not in held.sent_versions and prompt.consumed_at is None:
                    # Answered and answered late in one commit: send the resolution first.
                    self._push_resolution(held, prompt)
                held.sent_versions[prompt.prompt_id] = prompt.version
                self.stream.push(PromptResolved(prompt, late_answer=True))

    def ending(self, call: Call) -> HeldJob | None:
        """Mark the lease that a call is about to end. Returns it, if the call ends one that is held."""
        if call.name not in ENDS_LEASE:
            return None
        request = cast(EndLeaseRequest, call.request)
        held = self.held.get(request.job_id)
        if held is None or held.lease.token != request.token:
            return None
        held.ending = True
        return held

    def forget(self, held: HeldJob) -> None:
        """Remove a lease that the worker itself ended or released: nothing needs to be sent."""
        self.leases.remove(held)

    def lose_all(self) -> None:
        """The session has expired: tell the worker that all leases are lost."""
        for held in self.held.values():
            self.stream.push(LeaseLostFrame(held.lease.job_id, held.lease.token))
        self.detach()

    def detach(self) -> None:
        """Stop using the session: another stream has it. Nothing is lost."""
        self.serves = False
        self.leases.clear()

    def _push_resolution(self, held: HeldJob, prompt: Prompt) -> None:
        if held.sent_versions.get(prompt.prompt_id, 0) < prompt.version:
            held.sent_versions[prompt.prompt_id] = prompt.version
            self.stream.push(PromptResolved(prompt))

    def _push_cancel(self, held: HeldJob) -> None:
        """Pass a request to cancel on, if there is one that was not."""
        if held.lease.cancel_reason is not None and not held.cancel_sent:
            held.cancel_sent = True
            self.stream.push(CancelRequested(held.lease.job_id, held.lease.cancel_reason))

    @property
    def has_news(self) -> bool:
        """Whether `take` would return a frame."""
        return self.stream.has_frames

    def take(self, limit: int) -> list[ServerFrame]:
        """Take the next frames."""
        frames = self.stream.drain(limit)
        self._list_requested = self._list_requested and self.stream.has_frames
        return frames
