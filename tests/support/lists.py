"""Lists of stored jobs and prompts, read page by page to their end."""

from __future__ import annotations

from typing import Any

from askback_server.domain.jobs import Job
from askback_server.ports.queries import JobFilter, PromptFilter
from askback_server.storage.database import Database
from tests.support.rows import creation

BIG = 1 << 30


async def job_pages(database: Database, filter: JobFilter, limit: int, size: int = BIG) -> list[list[str]]:
    pages, after = [], None
    while True:
        page = await database.jobs.list_jobs(filter, limit, after, size)
        pages.append([job.job_id for job in page.jobs])
        after = page.next
        if after is None:
            return pages


async def prompt_pages(database: Database, filter: PromptFilter, limit: int, size: int = BIG) -> list[Any]:
    pages, after = [], None
    while True:
        page = await database.jobs.list_prompts(filter, limit, after, size)
        pages.append([prompt.prompt_id for prompt in page.prompts])
        after = page.next
        if after is None:
            return pages


async def put(database: Database, *jobs: Job) -> list[str]:
    """Store jobs. Returns their ids, newest first."""
    assert not (await database.jobs.write([creation(job) for job in jobs])).lost
    return sorted((job.job_id for job in jobs), reverse=True)
