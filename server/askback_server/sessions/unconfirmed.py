"""Finds what a worker that resumes may not have received."""

from __future__ import annotations

from askback_server.domain.prompts import Prompt, PromptState
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import JobStore
from askback_server.sessions.lease_book import Lease

PAGE_SIZE = 500
PAGE_BYTES = 8 * 1024 * 1024
_CLOSED = tuple(state for state in PromptState if state is not PromptState.PENDING)


async def list_unconfirmed_prompts(jobs: JobStore, lease: Lease) -> list[Prompt]:
    """The held job's resolved prompts that its worker has not acknowledged. Raises StorageUnavailable."""
    view = PromptFilter(lease.namespace, job_id=lease.job_id, states=_CLOSED)
    found: list[Prompt] = []
    after = None
    while True:
        page = await jobs.list_prompts(view, PAGE_SIZE, after, PAGE_BYTES)
        found += (p for p in page.prompts if p.consumed_at is None)
        after = page.next
        if after is None:
            return found
