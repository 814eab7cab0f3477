"""Rules of the end of an ended job: by a client, or when its retention is over."""

from __future__ import annotations

from datetime import datetime

from askback_server.domain.aggregate import Aggregate, Change, Facts, RuleResult
from askback_server.domain.commands import DeleteJob, PurgeJob
from askback_server.domain.errors import Contention, IllegalState, JobNotFound
from askback_server.domain.events import EventType
from askback_server.domain.principals import Role
from askback_server.domain.reserved_jobs import require_own


class DeletionUnfinished(Contention):
    """Rows of a job that is deleted in steps remain. The job is still there."""

    def __init__(self) -> None:
        super().__init__("the job is being deleted, and a part of it remains; send it again")


def delete_job(aggregate: Aggregate, command: DeleteJob, facts: Facts) -> RuleResult[None]:
    """Delete an ended job. Raises IllegalState."""
    command.principal.require(Role.CLIENT)
    job = aggregate.require_job(command.job_id, command.principal)
    require_own(job.job_type, command.principal)
    if not job.is_terminal:
        raise IllegalState(
            f"a job in {job.state} cannot be deleted; cancel it first",
            state=job.state,
            event="DELETE",
            job_id=job.job_id,
        )
    return RuleResult(None, _deletion(aggregate, facts, command.principal.subject))


def purge_job(aggregate: Aggregate, command: PurgeJob, facts: Facts) -> RuleResult[None]:
    """Delete an ended job whose retention is over by the database's clock; else do nothing.

    In steps, because no command can use a part of it any more (`require_kept`).
    """
    job = aggregate.job
    if job is None or job.purge_at is None or job.purge_at > facts.now:
        return RuleResult(None)
    change = _deletion(aggregate, facts, command.principal.subject)
    change.in_steps = True
    change.require(not_before=job.purge_at)
    return RuleResult(None, change)


def _deletion(aggregate: Aggregate, facts: Facts, actor: str) -> Change:
    change = Change(aggregate, facts, actor)
    change.record(EventType.JOB_DELETED)
    change.deleted = True
    return change


def require_kept(job_id: str, purge_at: datetime | None, facts: Facts) -> None:
    """Raise JobNotFound for a job whose retention is over: parts of it may be deleted already."""
    if purge_at is not None and purge_at <= facts.now:
        raise JobNotFound(job_id)
