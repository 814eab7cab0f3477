"""How a job goes on that its holder does not run any more: the session is gone, or does not have it."""

from __future__ import annotations

from askback_server.domain.aggregate import Aggregate, Change, Decided, Facts
from askback_server.domain.commands import DropLease, LoseSession
from askback_server.domain.events import EventType
from askback_server.domain.jobs import Failure, JobState, Wake
from askback_server.domain.life import cancel_now, drop_holder, fail_now, move, run_again, try_again
from askback_server.domain.transitions import JobTrigger


def lose_session(aggregate: Aggregate, command: LoseSession, facts: Facts) -> Decided[None]:
    """The holder's session is gone: another worker may take the job, or the attempts are used up."""
    job = aggregate.job
    if job is None or job.session_id != command.session_id:
        return Decided(None)
    change = Change(aggregate, facts, command.principal.subject)
    why = f"the session of worker {job.worker_id!r} expired"
    _lose(change, received=command.unreceived != job.version, why=why)
    return Decided(None, change)


def drop_lease(aggregate: Aggregate, command: DropLease, facts: Facts) -> Decided[None]:
    """The holder lives and does not run the job. The guard makes sure that it is the stream that says so
    which still has the session."""
    job = aggregate.job
    if (
        job is None
        or job.session_id != command.session.session_id
        or job.token != command.token
        or facts.is_dead(command.session)
    ):
        return Decided(None)
    change = Change(aggregate, facts, command.principal.subject)
    change.require(session=command.session)
    _lose(change, received=command.received, why=f"worker {job.worker_id!r} does not run the job any more")
    return Decided(None, change)


def _lose(change: Change, *, received: bool, why: str) -> None:
    """A lease that its worker never received is no attempt. But a job that ends every worker before that can
    say anything must come to an end too: so many leases are not counted, and no more."""
    job = change.job
    if job.cancel_requested_at is not None:
        cancel_now(change)
    elif job.state is JobState.PENDING_HITL:
        if job.wake is Wake.DUE:
            run_again(change)
        else:
            move(change, JobTrigger.LOSE)
            drop_holder(change)
        change.event(EventType.JOB_LEASE_LOST, None, {"worker_id": job.worker_id})
    elif not received and job.unreceived < change.facts.limits.uncounted_leases:
        move(change, JobTrigger.LOSE)
        drop_holder(change)
        change.set(ready_at=change.facts.now, unreceived=job.unreceived + 1)
        change.event(EventType.JOB_LEASE_LOST, None, {"worker_id": job.worker_id, "received": False})
    else:
        failure = Failure("LEASE_LOST", why)
        if job.attempt >= job.max_attempts:
            fail_now(change, JobTrigger.EXHAUST, failure)
        else:
            try_again(change, JobTrigger.LOSE, EventType.JOB_LEASE_LOST, failure, None)
