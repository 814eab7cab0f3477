"""Reads what a worker's stream needs of its jobs.

The data sent with a lease: answers and checkpoints of earlier attempts, as far as they fit. And the jobs that
have changed before the stream followed them.
"""

from __future__ import annotations

from collections.abc import Sequence

from askback_server.domain.jobs import Checkpoint, Job
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import Prompt, PromptState
from askback_server.domain.sizes import fit_bytes
from askback_server.feed.feed import Feed
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import JobStore
from askback_server.sessions.work_frames import JobLeased

MAX_ITEMS = 200
"""Maximum number of prompts, and of checkpoints; the worker reads the rest by pages."""


async def read_lease_data(jobs: JobStore, job: Job, limits: Limits) -> JobLeased:
    """Read the data of a lease, less than 1 MiB in all; `more` tells that some is left out."""
    room = limits.page_bytes - len(job.input_json) - 10_000
    prompts: tuple[Prompt, ...] = ()
    checkpoints: list[Checkpoint] = []
    more = False
    if job.rounds:
        every = PromptFilter(job.namespace, job_id=job.job_id, states=tuple(PromptState))
        page = await jobs.list_prompts(every, MAX_ITEMS, None, max(room // 2, 1))
        prompts = tuple(sorted(page.prompts, key=lambda p: -p.round))
        more = page.next is not None
        room //= 2
    if job.checkpoints:
        found = await jobs.list_checkpoints(job.job_id, MAX_ITEMS + 1, "")
        checkpoints = fit_bytes(found[:MAX_ITEMS], lambda c: c.size, room)
        more = more or len(checkpoints) < len(found)
    return JobLeased(job, prompts, tuple(checkpoints), more)


def is_complete(feed: Feed, leased: Job) -> bool:
    """Whether a leased job has no further data, and has not changed since its lease."""
    return not leased.rounds and not leased.checkpoints and feed.version_of(leased.job_id) <= leased.version


async def read_overtaken(feed: Feed, jobs: JobStore, followed: Sequence[Job]) -> list[Job]:
    """Read those jobs again that have changed since they were read or leased, and before they were followed.

    The feed delivers such a change to no session. Prompts are read after this, with the lease's data.
    """
    overtaken = [job.job_id for job in followed if feed.version_of(job.job_id) > job.version]
    return await jobs.get_jobs(overtaken)
