"""Jobs whose retention is over, their purge, and what a test reads of its traces."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from askback_server.domain.content import PromptContent
from askback_server.domain.events import EventType
from askback_server.domain.jobs import Checkpoint, Job, JobState
from askback_server.domain.prompts import Prompt
from askback_server.engine.pace import Pace
from askback_server.engine.purge import Purge
from askback_server.ports.storage import WorkQueue
from askback_server.storage import tables
from askback_server.storage.removal import STEP_ROWS
from tests.support.rows import as_answered, creation, new_job, new_prompt, now, submission, with_children
from tests.support.storage import Node, fetch

MANY = 2 * STEP_ROWS + 50
"""Rows of a job that three steps delete."""


def purge_of(replica: Node, queue: WorkQueue | None = None) -> Purge:
    """The purge of a replica, of the jobs that `queue` lists."""
    database = replica.database
    pace = Pace(lambda: replica.engine.idle)
    return Purge(replica.engine, queue or database.queue, database.queue_locks, pace)


async def due_jobs(replica: Node, count: int, **fields: Any) -> list[Job]:
    """Create jobs whose retention is over, each with a row in every table."""
    past = await replica.database.ping() - timedelta(days=1)
    fields = {"state": JobState.COMPLETED, "ready_at": None, "completed_at": past, "purge_at": past, **fields}
    jobs = [new_job(**fields) for _ in range(count)]
    await replica.database.jobs.write([with_children(creation(job)) for job in jobs])
    return jobs


async def large_job(
    replica: Node, prompts: int = MANY, content: PromptContent | None = None
) -> tuple[Job, list[Prompt]]:
    """Create a job whose retention is over, with many prompts, each with an answer, and checkpoints."""
    past = await replica.database.ping() - timedelta(days=1)
    job = new_job(
        state=JobState.FAILED,
        ready_at=None,
        completed_at=past,
        purge_at=past,
        rounds=prompts,
        checkpoints=prompts,
    )
    asked = [new_prompt(job, content, key=f"k{n}", round=n + 1, submissions=1) for n in range(prompts)]
    closed = [as_answered(prompt, "ann", 0) for prompt in asked]
    write = creation(job, *closed)
    write.submissions = [submission(prompt) for prompt in closed]
    write.checkpoints = {p.key: Checkpoint(job.job_id, p.key, "1", now()) for p in closed}
    await replica.database.jobs.write([write])
    return job, closed


async def deletions(replica: Node) -> list[str]:
    """The ids of the jobs whose deletion is in the log."""
    events = sa.select(tables.events.c.job_id).where(tables.events.c.type == EventType.JOB_DELETED.value)
    return [row["job_id"] for row in await fetch(replica.database, events)]


async def count_rows(replica: Node) -> list[int]:
    """The rows of jobs in all tables but the log."""
    found = []
    for table in (tables.jobs, tables.prompts, tables.answers, tables.checkpoints, tables.understandings):
        count = sa.select(sa.func.count().label("n")).select_from(table)
        found.append((await fetch(replica.database, count))[0]["n"])
    return found
