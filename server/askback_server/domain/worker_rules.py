"""Rules of the commands of workers. All but LeaseJob need the newest fencing token and a live session."""

from __future__ import annotations

from dataclasses import replace

from askback_server.domain.aggregate import Aggregate, Change, Facts, RuleResult
from askback_server.domain.checks import Checker
from askback_server.domain.commands import (
    AcknowledgePrompts,
    CompleteJob,
    FailJob,
    HolderCommand,
    LeaseJob,
    ReleaseJob,
    ReportProgress,
    SaveCheckpoint,
)
from askback_server.domain.errors import (
    IllegalState,
    LimitExceeded,
    PromptNotFound,
    SessionNotFound,
)
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.jobs import Checkpoint, Job, JobState, Wake
from askback_server.domain.life import (
    cancel_now,
    drop_holder,
    end_job,
    fail_now,
    fence,
    move,
    requeue,
    retry_attempt,
    stall,
)
from askback_server.domain.principals import Role
from askback_server.domain.replies import JobVersion
from askback_server.domain.transitions import JobTrigger
from askback_server.domain.waiting import can_continue


def lease_job(aggregate: Aggregate, command: LeaseJob, facts: Facts) -> RuleResult[Job]:
    """Give the job to a worker under a new fencing token. The write is guarded by the worker's session.

    Raises IllegalState, SessionNotFound.
    """
    command.principal.require(Role.WORKER)
    job = aggregate.require_job(command.job_id, command.principal)
    if facts.is_dead(command.session):
        raise SessionNotFound(command.session.session_id)
    if command.again and job.session_id == command.session.session_id:
        return RuleResult(job)
    if job.ready_at is not None and job.ready_at > facts.now:
        raise IllegalState("the job is not ready yet", state=job.state, event="LEASE", job_id=job.job_id)
    if command.not_after is not None and command.not_after <= facts.now:
        raise IllegalState("the turn is over", state=job.state, event="LEASE", job_id=job.job_id)
    change = Change(aggregate, facts, command.worker_id)
    move(change, JobTrigger.LEASE)
    change.set(
        token=job.token + 1,
        ready_at=None,
        session_id=command.session.session_id,
        worker_id=command.worker_id,
        holder=command.principal.subject,
    )
    # A job that its last change made ready at once has nothing to wait for. A bound at that estimated time
    # would fail if the estimate is ahead of the database's clock.
    starts = None if job.ready_at == job.updated_at else job.ready_at
    change.require(session=command.session, not_before=starts, not_after=command.not_after)
    change.record(
        EventType.JOB_LEASED,
        None,
        {"token": job.token + 1, "attempt": job.attempt, "worker_id": command.worker_id},
    )
    return RuleResult(change.job, change)


def begin_holder_change(aggregate: Aggregate, command: HolderCommand[object], facts: Facts) -> Change:
    """Check the holder's fencing token, and start a change that is guarded by its session.

    Raises JobNotFound, LeaseLost.
    """
    command.principal.require(Role.WORKER)
    job = aggregate.require_job(command.job_id, command.principal)
    session = fence(job, command.principal, command.token, command.session, facts)
    change = Change(aggregate, facts, job.worker_id)
    change.require(session=session)
    return change


def report_progress(aggregate: Aggregate, command: ReportProgress, facts: Facts) -> RuleResult[JobVersion]:
    """Store progress. `percent` is computed from `done` and `total` if the worker leaves it 0."""
    change = begin_holder_change(aggregate, command, facts)
    progress = command.progress
    check = Checker(facts.limits, "progress.")
    check.number("done", progress.done, 0, 2**53)
    check.number("total", progress.total, 0, 2**53)
    check.number("percent", progress.percent, 0, 100)
    check.text("message", progress.message, facts.limits.reason_chars * 4)
    check.done()
    if progress.total and not progress.percent:
        progress = replace(progress, percent=min(100.0, 100.0 * progress.done / progress.total))
    move(change, JobTrigger.WRITE)
    change.set(progress=progress)
    change.record(
        EventType.JOB_PROGRESSED,
        None,
        {
            "done": progress.done,
            "total": progress.total,
            "percent": progress.percent,
            "message": progress.message,
            "milestone": command.milestone,
        },
    )
    return RuleResult(JobVersion(change.job.version), change)


def acknowledge_prompts(
    aggregate: Aggregate, command: AcknowledgePrompts, facts: Facts
) -> RuleResult[JobVersion]:
    """Mark resolutions as received by the worker. Repeatable. Raises PromptNotFound, IllegalState."""
    change = begin_holder_change(aggregate, command, facts)
    for prompt_id in command.prompt_ids:
        prompt = aggregate.prompts.get(prompt_id)
        if prompt is None or prompt.job_id != command.job_id:
            raise PromptNotFound(prompt_id=prompt_id)
        if prompt.is_open:
            raise IllegalState(
                "an open prompt has no resolution to confirm",
                state=prompt.state,
                event="CONSUME",
                prompt_id=prompt_id,
            )
        if prompt.consumed_at is None and prompt_id not in change.prompts:
            change.record(EventType.PROMPT_CONSUMED, prompt_id, {"round": prompt.round})
            change.put(evolve(prompt, consumed_at=facts.now))
    return RuleResult(JobVersion(change.job.version), change if change.events else None)


def save_checkpoint(aggregate: Aggregate, command: SaveCheckpoint, facts: Facts) -> RuleResult[JobVersion]:
    """Save the result of a step for later attempts. Raises LimitExceeded."""
    change = begin_holder_change(aggregate, command, facts)
    check = Checker(facts.limits)
    check.key("key", command.key)
    check.json("value_json", command.value_json, required=True)
    check.done()
    if change.job.checkpoints >= facts.limits.checkpoints_per_job:
        raise LimitExceeded(
            "the job has saved too many checkpoints; save fewer, larger ones",
            limit="checkpoints_per_job",
            value=facts.limits.checkpoints_per_job,
        )
    move(change, JobTrigger.WRITE)
    change.set(checkpoints=change.job.checkpoints + 1)
    change.checkpoints.append(Checkpoint(command.job_id, command.key, command.value_json, facts.now))
    change.record(EventType.CHECKPOINT_SAVED, None, {"key": command.key})
    return RuleResult(JobVersion(change.job.version), change)


def complete_job(aggregate: Aggregate, command: CompleteJob, facts: Facts) -> RuleResult[Job]:
    """End the job with a result. Repeatable with the token that completed it."""
    job = aggregate.job
    if job is not None and job.state is JobState.COMPLETED and job.token == command.token > 0:
        command.principal.require(Role.WORKER)
        return RuleResult(aggregate.require_job(command.job_id, command.principal))
    change = begin_holder_change(aggregate, command, facts)
    check = Checker(facts.limits)
    check.json("result_json", command.result_json)
    check.done()
    change.set(result_json=command.result_json)
    end_job(change, JobTrigger.COMPLETE, EventType.JOB_COMPLETED, {})
    return RuleResult(change.job, change)


def fail_job(aggregate: Aggregate, command: FailJob, facts: Facts) -> RuleResult[Job]:
    """End the attempt: the job is retried, fails, or is cancelled if that was requested."""
    change = begin_holder_change(aggregate, command, facts)
    failure = command.failure
    check = Checker(facts.limits)
    check.name("failure.code", failure.code or "FAILED")
    check.text("failure.message", failure.message, facts.limits.json_bytes)
    check.json("failure.details_json", failure.details_json)
    check.span("retry_delay", command.retry_delay, facts.limits.deadline_max)
    check.done()
    failure = replace(failure, code=failure.code or "FAILED")
    job: Job = change.job
    if job.cancel_requested_at is not None:
        cancel_now(change)
    elif command.retryable and command.keep_attempt:
        stall(change, failure)
    elif command.retryable and job.attempt < job.max_attempts:
        retry_attempt(change, JobTrigger.RETRY, EventType.JOB_RETRIED, failure, command.retry_delay)
    else:
        fail_now(change, JobTrigger.FAIL, failure)
    return RuleResult(change.job, change)


def release_job(aggregate: Aggregate, command: ReleaseJob, facts: Facts) -> RuleResult[Job]:
    """Give the job back: it is parked, PENDING again, or cancelled if that was requested."""
    change = begin_holder_change(aggregate, command, facts)
    if change.job.cancel_requested_at is not None:
        cancel_now(change)
        return RuleResult(change.job, change)
    if change.job.state is JobState.PENDING_HITL and can_continue(change, command):
        requeue(change)
    else:
        state = move(change, JobTrigger.RELEASE)
        drop_holder(change)
        change.set(ready_at=facts.now if state is JobState.PENDING else None)
    if command.awaited:
        change.set(wake=Wake.ANY)
    change.record(EventType.JOB_RELEASED, None, {"parked": change.job.state is JobState.PENDING_HITL})
    return RuleResult(change.job, change)
