"""RetryJob: which jobs can be retried, what the new job keeps, and the command that creates it."""

from __future__ import annotations

from askback_server.domain.commands import CreateJob
from askback_server.domain.errors import IllegalState
from askback_server.domain.jobs import Job, JobState
from askback_server.domain.principals import Principal
from askback_server.domain.retries import Keep, Retry


def plan_retry(old: Job, keep: Keep | None) -> Retry:
    """How a new job repeats `old`, without the answers and checkpoints that it keeps.

    `keep` None: the answers of a failed job are kept, others are not: to repeat a job that was completed or
    cancelled is a new decision. Raises IllegalState if the job cannot be retried.
    """
    if not old.is_terminal or old.workerless:
        raise IllegalState(
            "only an ended job that had a worker can be retried",
            state=old.state,
            event="RETRY",
            job_id=old.job_id,
        )
    if keep is None:
        keep = Keep.ALL if old.state is JobState.FAILED else Keep.NOTHING
    starts_chain = keep is Keep.NOTHING and old.state is JobState.COMPLETED
    root = "" if starts_chain else old.root_job_id
    asked = (old.user_id, *old.requesters)
    return Retry(job_id=old.job_id, keep=keep, root_job_id=root, purge_at=old.purge_at, requesters=asked)


def repeat_job(old: Job, retry: Retry, principal: Principal, request_id: str) -> CreateJob:
    """The command that creates the job which repeats `old` as planned, at once and for `principal`."""
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
