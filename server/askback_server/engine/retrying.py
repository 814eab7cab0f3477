"""Retries an ended job: reads the answers and checkpoints to keep, so that they are copied with the new job
in one write."""

from __future__ import annotations

from dataclasses import replace

from askback_server.domain.commands import CreateJob
from askback_server.domain.principals import Principal, Role
from askback_server.domain.retries import Keep
from askback_server.domain.retry_rules import plan_retry, repeat_job
from askback_server.engine.queries import Queries
from askback_server.ports.storage import JobStore


async def prepare_retry(
    queries: Queries, store: JobStore, principal: Principal, job_id: str, request_id: str, keep: Keep | None
) -> CreateJob:
    """The command that creates a job like an ended one; for `keep` see `plan_retry`.

    What is read here cannot change before the write: an ended job's answers and checkpoints are final, and
    the write fails if the job was deleted meanwhile. Raises JobNotFound, IllegalState.
    """
    principal.require(Role.CLIENT)
    old = await queries.job(job_id, principal, strong=True)
    retry = plan_retry(old, keep)
    if retry.keep is Keep.ALL:
        answers, checkpoints = (
            await store.list_kept_answers(job_id),
            await store.list_kept_checkpoints(job_id),
        )
        retry = replace(retry, answers=tuple(answers), checkpoints=tuple(checkpoints))
    return repeat_job(old, retry, principal, request_id)
