"""Jobs whose holder has stopped running them: its session expired, or it does not have the job."""

from __future__ import annotations

from askback_server.domain.aggregate import Aggregate, Change, Facts, RuleResult
from askback_server.domain.commands import DropLease, LoseSession
from askback_server.domain.events import EventType
from askback_server.domain.jobs import Failure, JobState, Wake
from askback_server.domain.life import cancel_now, drop_holder, fail_now, move, requeue, retry_attempt
from askback_server.domain.transitions import JobTrigger


def lose_session(aggregate: Aggregate, command: LoseSession, facts: Facts) -> RuleResult[None]:
    """End the lease of an expired session: the job is retried, or fails after its last attempt."""
    job = aggregate.job
    if job is None or job.session_id != command.session_id:
        return RuleResult(None)
    change = Change(aggregate, facts, command.principal.subject)
    why = f"the session of worker {job.worker_id!r} expired"
    _end_lease(change, received=command.unreceived != job.version, why=why)
    return RuleResult(None, change)


def drop_lease(aggregate: Aggregate, command: DropLease, facts: Facts) -> RuleResult[None]:
    """End a lease whose live session does not run the job. Guarded by the reporting stream's session and
    epoch: if another stream has resumed the session, its report decides."""
    job = aggregate.job
    if (
        job is None
        or job.session_id != command.session.session_id
        or job.token != command.token
        or facts.is_dead(command.session)
    ):
        return RuleResult(None)
    change = Change(aggregate, facts, command.principal.subject)
    change.require(session=command.session)
    _end_lease(
        change, received=command.received, why=f"worker {job.worker_id!r} does not run the job any more"
    )
    return RuleResult(None, change)


def _end_lease(change: Change, *, received: bool, why: str) -> None:
    """End the lease.

    A lease that its worker never received is not counted as an attempt. Only `Limits.uncounted_leases` are
    excused, so that a job which crashes each worker before it can confirm the lease fails eventually.
    """
    job = change.job
    if job.cancel_requested_at is not None:
        cancel_now(change)
    elif job.state is JobState.PENDING_HITL:
        if job.wake is Wake.DUE:
            requeue(change)
        else:
            move(change, JobTrigger.LOSE)
            drop_holder(change)
        change.record(EventType.JOB_LEASE_LOST, None, {"worker_id": job.worker_id})
    elif not received and job.unreceived < change.facts.limits.uncounted_leases:
        move(change, JobTrigger.LOSE)
        drop_holder(change)
        change.set(ready_at=change.facts.now, unreceived=job.unreceived + 1)
        change.record(EventType.JOB_LEASE_LOST, None, {"worker_id": job.worker_id, "received": False})
    else:
        failure = Failure("LEASE_LOST", why)
        if job.attempt >= job.max_attempts:
            fail_now(change, JobTrigger.EXHAUST, failure)
        else:
            retry_attempt(change, JobTrigger.LOSE, EventType.JOB_LEASE_LOST, failure, None)
