"""Repeating an ended job: what it keeps is read first, and copied with the new job in one write."""

from __future__ import annotations

from askback_server.domain.commands import CreateJob
from askback_server.domain.errors import IllegalState
from askback_server.domain.principals import Principal, Role
from askback_server.domain.retries import Keep, Retry, keep_of, root_of
from askback_server.engine.queries import Queries
from askback_server.ports.storage import JobStore


async def retry_of(
    queries: Queries, store: JobStore, principal: Principal, job_id: str, request_id: str, keep: Keep | None
) -> CreateJob:
    """The command that creates a job like an ended one; `keep` None: what its state suggests.

    What is listed here stays true: an ended job's answers and checkpoints never change, and the write
    depends on the job's being there. Raises JobNotFound, IllegalState.
    """
    principal.require(Role.CLIENT)
    old = await queries.job(job_id, principal, strong=True)
    if not old.is_terminal or old.workerless:
        raise IllegalState(
            "only an ended job that had a worker can be retried",
            state=old.state,
            event="RETRY",
            job_id=old.job_id,
        )
    kept = keep_of(old, keep)
    everything = kept is Keep.ALL
    retry = Retry(
        job_id=old.job_id,
        keep=kept,
        root_job_id=root_of(old, kept),
        answers=tuple(await store.list_kept_answers(job_id)) if everything else (),
        checkpoints=tuple(await store.list_kept_checkpoints(job_id)) if everything else (),
    )
    return CreateJob(
        principal=principal,
        namespace=old.namespace,
        job_type=old.job_type,
        request_id=request_id,
        input_json=old.input_json,
        priority=old.priority,
        labels=old.labels,
        max_attempts=old.max_attempts,
        retention=old.retention,
        timeout=old.timeout,
        run_timeout=old.run_timeout,
        retry=retry,
    )
