"""The client side of one worker session: its secret, its leases, and the timer that ends it."""

from __future__ import annotations

import asyncio
import logging
from functools import reduce
from operator import xor

from askback._wire.connection import MAX_MISSED_HEARTBEATS
from askback._worker.lease import Lease, Stop
from askback.v1 import worker_service_pb2 as pb

_log = logging.getLogger("askback.worker")

EXTENSION_LAG = 0.5
"""In heartbeat intervals. The server extends sessions twice per interval, so a session may last half an
interval longer than three intervals after the last frame that the server read."""


class WorkSession:
    """Owns the leases of one server session.

    The expiry timer, the frames of a stream and a refused hello all refer to the session that they belong
    to. A session that has ended stays ended, so a late event of it cannot affect the leases of the next one.
    """

    def __init__(self, session_id: str, secret: str) -> None:
        self.session_id = session_id
        self.secret = secret
        self.interval = 0.0
        """Seconds between heartbeats."""
        self.leases: dict[str, Lease] = {}
        self.received = 0
        """The number of job_leased frames that were received on the present stream."""
        self.ended = False
        self._named: dict[str, int] = {}
        self._expiry: asyncio.TimerHandle | None = None

    def resume(self) -> tuple[str, str, list[pb.WorkHeldJob]]:
        """The session id, secret and held jobs for a hello that resumes the session."""
        held = self.list_held_jobs()
        self._named = {job.job_id: job.token for job in held}
        return self.session_id, self.secret, held

    def on_resume(self, secret: str, lost: list[str], interval: float) -> None:
        """The server has resumed the session. `lost`: jobs of the hello whose leases it does not know."""
        self.disarm()
        self.secret, self.interval = secret, interval
        self.received = 0
        for job_id in lost:
            if job_id in self._named:
                self.lose(job_id, self._named[job_id])
        for lease in list(self.leases.values()):
            lease.catch_up()

    def add(self, lease: Lease) -> None:
        """Add a lease whose function starts."""
        self.leases[lease.job_id] = lease

    def drop(self, lease: Lease) -> None:
        """Remove a lease whose function has ended."""
        if self.leases.get(lease.job_id) is lease:
            del self.leases[lease.job_id]

    def lose(self, job_id: str, token: int) -> None:
        """The server reports a lost lease. A lease with another token is not affected."""
        lease = self.leases.get(job_id)
        if lease is not None and lease.token == token:
            lease.stop(Stop.LOST)

    def list_held_jobs(self) -> list[pb.WorkHeldJob]:
        """Every lease that is not lost, including those whose end has no reply yet."""
        return [
            pb.WorkHeldJob(job_id=lease.job_id, token=lease.token)
            for lease in self.leases.values()
            if lease.stopped is not Stop.LOST
        ]

    def digest(self) -> pb.WorkLeaseDigest:
        """The digest of the leases, without those whose end has been sent."""
        marks = [
            lease.mark
            for lease in self.leases.values()
            if lease.stopped is not Stop.LOST and not lease.ending
        ]
        return pb.WorkLeaseDigest(count=len(marks), digest=reduce(xor, marks, 0))

    def arm(self, last_sent: float) -> None:
        """Start the expiry timer: without a stream, the session ends when it must have expired at the server.

        `last_sent` is the loop time at which the last frame was sent to the server.
        """
        if self.ended or self._expiry is not None or self.interval <= 0:
            return
        loop = asyncio.get_running_loop()
        until = last_sent + (MAX_MISSED_HEARTBEATS + EXTENSION_LAG) * self.interval
        self._expiry = loop.call_at(max(until, loop.time()), self.end)

    def disarm(self) -> None:
        """Stop the expiry timer."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def end(self) -> None:
        """End the session and its leases. May be called repeatedly."""
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
