"""The JobStore: reads, and the single write path."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import sqlalchemy as sa

from askback_server.domain.errors import StorageUnavailable
from askback_server.ports.storage import JobWrite, Lost, UnknownOutcome, Written
from askback_server.storage.batch import Batch, BatchOutcome, lay_out
from askback_server.storage.job_reads import JobReads
from askback_server.storage.tables import events

_log = logging.getLogger("askback.server.storage")

SETTLE_ATTEMPTS = 8
SETTLE_PAUSE_SECONDS = 0.25
"""Seconds between two attempts to settle an unknown outcome; doubles."""


class Jobs(JobReads):
    """The JobStore port: jobs with their prompts, answers, checkpoints and events."""

    async def write(self, batch: Sequence[JobWrite]) -> Written:
        """Write a batch durably. Raises BadData, StorageUnavailable, UnknownOutcome.

        An unknown outcome is settled by writing the same guarded batch again. The second write waits for the
        locks of the first. Jobs that it loses may have been written by the first; their events show that.
        """
        laid = lay_out(batch)
        try:
            outcome = await self._dialect.write(laid)
        except UnknownOutcome as error:
            _log.warning("the outcome of a write of %d jobs is unknown (%s); settling", len(batch), error)
            outcome = await self._settle(laid)
            ours = await self._ours([w for w in batch if w.job.job_id not in outcome.written])
            outcome.written |= ours
        lost: dict[str, Lost] = {}
        for write in batch:
            job_id = write.job.job_id
            if job_id not in outcome.written:
                lost[job_id] = _reason(outcome, job_id)
        return Written(lost, outcome.now)

    async def _settle(self, batch: Batch) -> BatchOutcome:
        pause = SETTLE_PAUSE_SECONDS
        batch.settles = True
        for attempt in range(SETTLE_ATTEMPTS):
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)
            try:
                return await self._dialect.write(batch)
            except (UnknownOutcome, StorageUnavailable) as error:
                _log.warning("settling, attempt %d: %s", attempt + 1, error)
        raise UnknownOutcome("the database did not come back; the outcome stays unknown")

    async def _ours(self, writes: Sequence[JobWrite]) -> set[str]:
        """Ids of the jobs whose log contains the first event of this write: an earlier attempt wrote them."""
        first = {w.job.job_id: w.events[0] for w in writes if w.events}
        if not first:
            return set()
        theirs = self._dialect.marks({e.job_id: e.seq for e in first.values()})
        same = sa.and_(events.c.job_id == theirs.c.job_id, events.c.seq == theirs.c.after)
        statement = sa.select(events.c.job_id, events.c.command_id).join(theirs, same)
        found = await self._all(statement)
        return {r["job_id"] for r in found if first[r["job_id"]].command_id == r["command_id"]}


def _reason(outcome: BatchOutcome, job_id: str) -> Lost:
    """Why a job of the batch was not written."""
    if job_id in outcome.partly:
        return Lost.PARTLY
    if job_id in outcome.superseded:
        return Lost.MOVED
    if job_id in outcome.expired:
        return Lost.SESSION
    return Lost.TIME if job_id in outcome.late else Lost.VERSION
