"""The client side of the Work stream: opens and resumes the session, and handles pushed frames."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from askback._model.prompts import PromptInfo
from askback._worker.lease import Lease, Stop
from askback._worker.work_session import WorkSession
from askback.errors import AskbackError, SessionNotFound
from askback.v1 import worker_service_pb2 as pb
from askback.v1.worker_service_pb2_grpc import WorkerServiceStub

_log = logging.getLogger("askback.worker")


class WorkProtocol:
    """Opens and resumes the worker's session, and passes pushed frames to the leases of that session.

    `take` starts a pushed job, after the end of an older lease of the same job, and returns its lease (None:
    the worker has no function for it).
    """

    name = "worker"
    method = "WorkerService.Work"

    def __init__(
        self,
        *,
        worker_id: str,
        namespace: str,
        job_types: Sequence[str],
        capacity: int,
        take: Callable[[pb.LeasedJob, Lease | None], Lease | None],
    ) -> None:
        self.window = 64
        self.capacity = capacity
        self.session: WorkSession | None = None
        """The present session; None before the first welcome, and after the session has ended."""
        self._worker_id = worker_id
        self._namespace = namespace
        self._job_types = list(job_types)
        self._take = take
        self._resuming: WorkSession | None = None
        """The session that the latest hello wants to resume."""
        self._put: Callable[[pb.WorkClientFrame], None] | None = None
        """Sends a frame on the stream in use."""
        self._acknowledging = False
        self._running: dict[str, Lease] = {}
        """The newest lease of each job whose function has not ended, in any session: so a job never runs
        twice at the same time in one worker."""

    def drop(self, lease: Lease) -> None:
        """Remove a lease whose function has ended."""
        if self._running.get(lease.job_id) is lease:
            del self._running[lease.job_id]
        if self.session is not None:
            self.session.drop(lease)

    def dial(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> Any:
        """Start the call."""
        stub: Any = WorkerServiceStub(channel)
        return stub.Work(metadata=tuple(metadata))

    def pack(self, frames: Sequence[pb.WorkClientFrame]) -> pb.WorkRequest:
        """Build the message that contains these frames."""
        return pb.WorkRequest(frames=frames)

    def hello(self) -> pb.WorkClientFrame:
        """Build the hello: open a session, or resume the present one with the jobs that still run."""
        hello = pb.WorkHello(
            namespace=self._namespace,
            worker_id=self._worker_id,
            job_types=self._job_types,
            capacity=self.capacity,
        )
        self._resuming = self.session
        if self._resuming is not None:
            hello.session_id, hello.session_secret, held = self._resuming.resume()
            hello.held_jobs.extend(held)
        return pb.WorkClientFrame(hello=hello)

    def heartbeat(self, *, leaving: bool) -> pb.WorkClientFrame:
        """Build a heartbeat, with a digest of the leases.

        On a stream that is about to be replaced it has no digest: the next stream counts its own frames.
        """
        beat = pb.WorkHeartbeat()
        if self.session is not None and not leaving:
            beat.received = self.session.received
            beat.leases.CopyFrom(self.session.digest())
        return pb.WorkClientFrame(heartbeat=beat)

    def goodbye(self) -> pb.WorkClientFrame:
        """Build the last frame of an orderly end; the server releases the remaining leases."""
        return pb.WorkClientFrame(goodbye=pb.WorkGoodbye())

    def on_welcome(self, frame: pb.WorkServerFrame) -> float:
        """Store the session and its secret, drop lost leases, and catch up on answers."""
        welcome = frame.welcome
        self._put = None
        self.window = welcome.max_in_flight or self.window
        interval = welcome.heartbeat_interval.ToTimedelta().total_seconds()
        session = self._resuming
        if session is None or session.ended or not welcome.resumed:
            # A session that ended here while its hello was in flight starts again without leases; the digest
            # reports that to the server.
            if self.session is not None:
                self.session.end()
            session = WorkSession(welcome.session_id, welcome.session_secret)
        self.session = session
        session.on_resume(welcome.session_secret, list(welcome.lost_job_ids), interval)
        _log.debug("work session %s at %s", session.session_id, welcome.replica)
        return interval

    def on_open(self, put: Callable[[pb.WorkClientFrame], None]) -> None:
        """Send the capacity of a draining worker again: in a hello, 0 means 1."""
        self._put = put
        if self.capacity == 0:
            put(pb.WorkClientFrame(capacity=pb.WorkCapacity(capacity=0)))
        # Acknowledge early: the server takes jobs back from a worker that acknowledges too late.
        self._acknowledge()

    def on_push(self, frame: pb.WorkServerFrame, *, leaving: bool) -> None:
        """Handle a leased job, a resolution, a cancel request, a lost lease, or a request to list the leases.

        A stream that is about to be replaced loses its leases to the next one, so its losses are ignored.
        """
        session = self.session
        if session is None:
            return
        match frame.WhichOneof("body"):
            case "job_leased":
                if not leaving:
                    session.received += 1
                    self._acknowledge()
                self._take_lease(session, frame.job_leased.leased_job)
            case "prompt_resolved":
                prompt = frame.prompt_resolved.prompt
                lease = session.leases.get(prompt.job_id)
                if lease is None:
                    return
                if frame.prompt_resolved.late_answer:
                    lease.late.append(PromptInfo(prompt))
                lease.learn(prompt)
            case "cancel_requested":
                if (lease := session.leases.get(frame.cancel_requested.job_id)) is not None:
                    lease.cancel_reason = frame.cancel_requested.reason
                    lease.stop(Stop.CANCEL)
            case "lease_lost" if not leaving:
                session.lose(frame.lease_lost.job_id, frame.lease_lost.token)
            case "leases_wanted" if not leaving:
                if self._put is not None:
                    held = pb.WorkHeldLeases(received=session.received, leases=session.list_held_jobs())
                    self._put(pb.WorkClientFrame(held_leases=held))
            case other:
                _log.debug("ignoring %s of a newer server", other)

    def on_refusal(self, error: AskbackError, session: object) -> bool:
        """End an expired session with its leases, and reconnect: the next hello opens a new one."""
        if isinstance(error, SessionNotFound):
            if isinstance(session, WorkSession):
                self._end_session(session)
            return True
        return False

    def on_disconnect(self, last_sent: float) -> None:
        """Start the expiry timer: without a new stream in time the session and its leases are lost."""
        self._put = None
        if self.session is not None:
            self.session.arm(last_sent)

    def close(self) -> None:
        """Stop the expiry timer."""
        if self.session is not None:
            self.session.disarm()

    def _end_session(self, session: WorkSession) -> None:
        session.end()
        if self.session is session:
            self.session = None

    def _acknowledge(self) -> None:
        """Acknowledge received jobs at once, and once for all jobs of a message: then a job that crashes the
        worker counts as received."""
        if not self._acknowledging:
            self._acknowledging = True
            asyncio.get_running_loop().call_soon(self._send_acknowledgement)

    def _send_acknowledgement(self) -> None:
        self._acknowledging = False
        if self._put is not None and self.session is not None:
            beat = pb.WorkHeartbeat(received=self.session.received)
            self._put(pb.WorkClientFrame(heartbeat=beat))

    def _take_lease(self, session: WorkSession, leased: pb.LeasedJob) -> None:
        job_id = leased.job.job_id
        known = session.leases.get(job_id)
        if known is not None:
            if known.token > leased.token:
                return
            if known.token == leased.token and known.stopped is not Stop.LOST:
                return
        before = self._running.get(job_id)
        if before is not None:
            before.stop(Stop.LOST)
        lease = self._take(leased, before)
        if lease is not None:
            self._running[job_id] = lease
            session.add(lease)
        elif self._put is not None:
            # The worker has no function for it, or stops: let another worker run it.
            release = pb.ReleaseJobRequest(job_id=job_id, token=leased.token)
            self._put(pb.WorkClientFrame(release_job=release))
