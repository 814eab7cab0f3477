"""The worker's side of the Work stream: hello and resume, and what the server pushes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from askback.connection import MISSED
from askback.errors import AskbackError, SessionNotFound
from askback.lease import Lease, Stop
from askback.prompts import PromptInfo
from askback.v1 import worker_service_pb2 as pb
from askback.v1.worker_service_pb2_grpc import WorkerServiceStub

_log = logging.getLogger("askback.worker")


class WorkWire:
    """Keeps the worker session's identity and the leases that hang on it.

    `take` starts a pushed job, after an older lease of the same job if there is one, and returns its
    lease (None: no function for it).
    """

    name = "work"
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
        self._worker_id = worker_id
        self._namespace = namespace
        self._job_types = list(job_types)
        self._take = take
        self._leases: dict[str, Lease] = {}
        self._session_id = ""
        self._secret = ""
        self._interval = 0.0
        self._heard = 0.0
        self._expiry: asyncio.TimerHandle | None = None

    def drop(self, lease: Lease) -> None:
        """This lease has ended on our side."""
        if self._leases.get(lease.job_id) is lease:
            del self._leases[lease.job_id]

    def dial(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> Any:
        """Start the call."""
        stub: Any = WorkerServiceStub(channel)
        return stub.Work(metadata=tuple(metadata))

    def pack(self, frames: Sequence[pb.WorkClientFrame]) -> pb.WorkRequest:
        """The message that holds these frames."""
        return pb.WorkRequest(frames=frames)

    def hello(self) -> pb.WorkClientFrame:
        """Opens a session, or resumes the one that there was, with the jobs that still run."""
        hello = pb.WorkHello(
            namespace=self._namespace,
            worker_id=self._worker_id,
            job_types=self._job_types,
            capacity=self.capacity,
            session_id=self._session_id,
            session_secret=self._secret,
        )
        if self._session_id:
            hello.held_jobs.extend(
                pb.WorkHeldJob(job_id=lease.job_id, token=lease.token)
                for lease in self._leases.values()
                if lease.stopped is not Stop.LOST
            )
        return pb.WorkClientFrame(hello=hello)

    def heartbeat(self) -> pb.WorkClientFrame:
        """A sign of life; keeps the session and all its leases."""
        return pb.WorkClientFrame(heartbeat=pb.WorkHeartbeat())

    def goodbye(self) -> pb.WorkClientFrame:
        """The orderly end; what is still held is released."""
        return pb.WorkClientFrame(goodbye=pb.WorkGoodbye())

    def welcomed(self, frame: pb.WorkServerFrame) -> float:
        """Take session, secret and losses; ask again for answers that may have come meanwhile."""
        welcome = frame.welcome
        if self._session_id and not welcome.resumed:
            self._lose_all()
        self.window = welcome.max_in_flight or self.window
        self._session_id, self._secret = welcome.session_id, welcome.session_secret
        for job_id in welcome.lost_job_ids:
            self._lose(job_id)
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        self._heard = asyncio.get_running_loop().time()
        self._interval = welcome.heartbeat_interval.ToTimedelta().total_seconds()
        for lease in list(self._leases.values()):
            lease.catch_up()
        _log.info("work session %s at %s", self._session_id, welcome.replica)
        return self._interval

    def opened(self, put: Callable[[pb.WorkClientFrame], None]) -> None:
        """A hello cannot ask for no jobs (0 means 1 there), so a worker that drains says it again."""
        if self.capacity == 0:
            put(pb.WorkClientFrame(capacity=pb.WorkCapacity(capacity=0)))

    def pushed(self, frame: pb.WorkServerFrame, *, leaving: bool) -> None:
        """Take a heartbeat, job, resolution, cancel wish or lost lease.

        A stream that is being left loses its leases to the next one, and may say so.
        """
        match frame.WhichOneof("body"):
            case "heartbeat":
                self._heard = asyncio.get_running_loop().time()
            case "job_leased":
                self._leased(frame.job_leased.leased_job)
            case "prompt_resolved":
                prompt = frame.prompt_resolved.prompt
                lease = self._leases.get(prompt.job_id)
                if lease is None:
                    return
                if frame.prompt_resolved.late_answer:
                    lease.late.append(PromptInfo(prompt))
                lease.learn(prompt)
            case "cancel_requested":
                if (lease := self._leases.get(frame.cancel_requested.job_id)) is not None:
                    lease.cancel_reason = frame.cancel_requested.reason
                    lease.stop(Stop.CANCEL)
            case "lease_lost" if not leaving:
                self._lose(frame.lease_lost.job_id, frame.lease_lost.token)
            case other:
                _log.debug("a newer server says %s", other)

    def refused(self, error: AskbackError) -> bool:
        """A session that is gone takes its leases along; the next hello opens a new one."""
        if isinstance(error, SessionNotFound):
            self._forget_session()
            return True
        return False

    def lost(self) -> None:
        """No stream: if there is none before the session must have expired, its leases are lost."""
        loop = asyncio.get_running_loop()
        if self._session_id and self._expiry is None and self._interval > 0:
            left = self._heard + MISSED * self._interval - loop.time()
            self._expiry = loop.call_later(max(0.0, left), self._forget_session)

    def close(self) -> None:
        """Nothing may fire any more."""
        if self._expiry is not None:
            self._expiry.cancel()

    def _leased(self, leased: pb.LeasedJob) -> None:
        before = self._leases.get(leased.job.job_id)
        if before is not None:
            if before.token > leased.token:
                return
            if before.token == leased.token and before.stopped is not Stop.LOST:
                return
            before.stop(Stop.LOST)
        lease = self._take(leased, before)
        if lease is not None:
            self._leases[lease.job_id] = lease

    def _lose(self, job_id: str, token: int = 0) -> None:
        lease = self._leases.get(job_id)
        if lease is not None and token in (0, lease.token):
            lease.stop(Stop.LOST)

    def _lose_all(self) -> None:
        for lease in list(self._leases.values()):
            lease.stop(Stop.LOST)

    def _forget_session(self) -> None:
        if self._session_id:
            _log.warning("work session %s is gone; %d jobs with it", self._session_id, len(self._leases))
        self._expiry = None
        self._session_id = self._secret = ""
        self._lose_all()
