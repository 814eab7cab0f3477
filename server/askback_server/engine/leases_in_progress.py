"""The leases that the dispatcher has asked for and that are not decided yet."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime

from askback_server.domain.commands import LeaseJob
from askback_server.domain.errors import OutcomeUnknown, StorageUnavailable
from askback_server.domain.jobs import Job
from askback_server.engine.concurrency import QueueKey
from askback_server.engine.consumers import Consumer
from askback_server.engine.engine import Engine

RETRY_SECONDS = 0.5
"""Seconds between two tries while the database does not answer."""


class LeasesInProgress:
    """Jobs that are being leased: in the database they are still claimable."""

    def __init__(self) -> None:
        self._queues: dict[str, QueueKey] = {}
        self._counts: Counter[QueueKey] = Counter()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._queues

    def count(self, queue: QueueKey) -> int:
        """The number of jobs of a queue that are being leased."""
        return self._counts[queue]

    def begin(self, job_id: str, queue: QueueKey) -> None:
        """A lease of a job is asked for."""
        self._queues[job_id] = queue
        self._counts[queue] += 1

    def end(self, job_id: str) -> None:
        """It is decided."""
        queue = self._queues.pop(job_id, None)
        if queue is not None:
            self._counts[queue] -= 1
            if not self._counts[queue]:
                del self._counts[queue]


def lease_for(consumer: Consumer, job_id: str, not_after: datetime | None = None) -> LeaseJob:
    """The command that leases a job to a consumer."""
    return LeaseJob(
        principal=consumer.principal,
        job_id=job_id,
        session=consumer.session,
        worker_id=consumer.worker_id,
        not_after=not_after,
    )


async def lease_until_known(engine: Engine, command: LeaseJob) -> Job:
    """Lease a job; retry while the outcome is unknown. A committed lease that is not handed over would block
    the job until its session expires."""
    while True:
        try:
            return await engine.execute(command)
        except StorageUnavailable as error:
            if isinstance(error, OutcomeUnknown):
                command = replace(command, again=True)
            elif not command.again:
                raise
        await asyncio.sleep(RETRY_SECONDS)
