"""Reads everything that is stored of a job, for its verification."""

from __future__ import annotations

from typing import Protocol

from askback_server.domain.stored_jobs import StoredJob


class AuditStore(Protocol):
    """The stored rows of jobs, as they are."""

    async def stored_job(self, job_id: str) -> StoredJob:
        """Everything of a job as of one moment; without a row and events if nothing is stored.

        Raises StorageUnavailable.
        """
