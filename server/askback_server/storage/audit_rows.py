"""Reads for the verification of one job by the service."""

from __future__ import annotations

from askback_server.domain.errors import StorageUnavailable
from askback_server.domain.stored_jobs import StoredJob
from askback_server.storage.audit_reads import AuditReads
from askback_server.storage.reader import Reader, may_read_again


class AuditRows(Reader):
    """The AuditStore port."""

    async def stored_job(self, job_id: str) -> StoredJob:
        """Five statements in one snapshot."""
        try:
            return await self._dialect.read_snapshot(lambda c: AuditReads(c).job(job_id))
        except StorageUnavailable as error:
            if not may_read_again(error):
                raise
        return await self._dialect.read_snapshot(lambda c: AuditReads(c).job(job_id))
