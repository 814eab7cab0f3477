"""The worker's side of one session: its secret, the leases that hang on it, and the timer that ends it."""

from __future__ import annotations

import asyncio
import logging
from functools import reduce
from operator import xor

from askback._wire.connection import MISSED
from askback._worker.lease import Lease, Stop
from askback.v1 import worker_service_pb2 as pb

_log = logging.getLogger("askback.worker")

EXTENDED_LATE = 0.5
"""The server extends sessions twice in a heartbeat interval, so a session may live for half an interval
longer than three intervals after the last frame that the server read."""


class WorkSession:
    """Owns the leases of one server session.

    Everything that may end a lease later (the expiry timer, frames of a stream, a refused hello) refers to
    the session that it was started for. A session that has ended stays ended, so what comes late for it
    cannot touch the leases of the session after it.
    """

    def __init__(self, session_id: str, secret: str) -> None:
        self.session_id = session_id
        self.secret = secret
        self.interval = 0.0
        """Seconds between heartbeats."""
        self.leases: dict[str, Lease] = {}
        self.received = 0
        """How many job_leased frames of the present stream were taken."""
        self.ended = False
        self._named: dict[str, int] = {}
        self._expiry: asyncio.TimerHandle | None = None

    def resume(self) -> tuple[str, str, list[pb.WorkHeldJob]]:
        """Session id, secret and held jobs for a hello that resumes it."""
        held = self.list_held_jobs()
        self._named = {job.job_id: job.token for job in held}
        return self.session_id, self.secret, held

    def on_resume(self, secret: str, lost: list[str], interval: float) -> None:
        """The server goes on with it on a new stream. `lost`: jobs of the hello that it does not hold."""
        self.disarm()
        self.secret, self.interval = secret, interval
        self.received = 0
        for job_id in lost:
            if job_id in self._named:
                self.lose(job_id, self._named[job_id])
        for lease in list(self.leases.values()):
            lease.catch_up()

    def add(self, lease: Lease) -> None:
        """A lease of this session runs."""
        self.leases[lease.job_id] = lease

    def drop(self, lease: Lease) -> None:
        """This lease has ended on our side."""
        if self.leases.get(lease.job_id) is lease:
            del self.leases[lease.job_id]

    def lose(self, job_id: str, token: int) -> None:
        """The server says that this lease is not held any more. A lease with another token is not meant."""
        lease = self.leases.get(job_id)
        if lease is not None and lease.token == token:
            lease.stop(Stop.LOST)

    def list_held_jobs(self) -> list[pb.WorkHeldJob]:
        """Every lease that this worker still has to end, those whose end has no reply yet included."""
        return [
            pb.WorkHeldJob(job_id=lease.job_id, token=lease.token)
            for lease in self.leases.values()
            if lease.stopped is not Stop.LOST
        ]

    def digest(self) -> pb.WorkLeaseDigest:
        """The leases that this worker runs, without those whose end was sent."""
        marks = [
            lease.mark
            for lease in self.leases.values()
            if lease.stopped is not Stop.LOST and not lease.ending
        ]
        return pb.WorkLeaseDigest(count=len(marks), digest=reduce(xor, marks, 0))

    def arm(self, spoken: float) -> None:
        """There is no stream: end the session when the server's clock must have ended it.

        `spoken` is the loop time at which the last frame was sent to the server.
        """
        if self.ended or self._expiry is not None or self.interval <= 0:
            return
        loop = asyncio.get_running_loop()
        until = spoken + (MISSED + EXTENDED_LATE) * self.interval
        self._expiry = loop.call_at(max(until, loop.time()), self.end)

    def disarm(self) -> None:
        """There is a stream again, or nothing may fire any more."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def end(self) -> None:
        """The session is gone, and with it its leases. Repeatable."""
        self.disarm()
        if self.ended:
            return
        self.ended = True
        lost = [lease for lease in self.leases.values() if lease.stopped is not Stop.LOST]
        if lost:
            text = "lost %d job(s): the server did not hear of this worker in time and gives them to others"
            _log.warning(text, len(lost))
        for lease in lost:
            lease.stop(Stop.LOST)
