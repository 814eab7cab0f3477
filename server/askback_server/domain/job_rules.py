"""Rules of the commands that clients and the service itself send for a job."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from askback_server.domain.aggregate import Aggregate, Change, Facts, RuleResult
from askback_server.domain.asking_rules import open_prompt
from askback_server.domain.checks import Checker, normalise
from askback_server.domain.commands import (
    CancelJob,
    CreateJob,
    EndGrace,
    RunDue,
    UpdateJob,
    UpdateUnderstanding,
)
from askback_server.domain.content import PromptContent
from askback_server.domain.deletion_rules import DeletionUnfinished, require_kept
from askback_server.domain.digests import digest_of
from askback_server.domain.documents import content_to_json
from askback_server.domain.due import next_due, run_overdue
from askback_server.domain.errors import IdReused, IllegalState, VersionMismatch
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.jobs import DeepUnderstanding, Job, JobState
from askback_server.domain.life import (
    cancel_now,
    fence,
    move,
    write_understanding,
)
from askback_server.domain.principals import SYSTEM, Role
from askback_server.domain.prompts import Prompt
from askback_server.domain.replies import JobCreated
from askback_server.domain.reserved_jobs import check_reserved, require_own
from askback_server.domain.retries import Keep, carry_over_pages
from askback_server.domain.transitions import JobTrigger

_FIRST_PROMPT = "prompt"
"""The key of the prompt that a job without a worker is created with."""


def create_job(aggregate: Aggregate, command: CreateJob, facts: Facts) -> RuleResult[JobCreated]:
    """Create a job, or return the one that the same request created. Raises IdReused, InvalidField,
    JobNotFound for a retry that copies from a job whose retention is over, and DeletionUnfinished if the
    prompt that the request made is deleted already."""
    command.principal.require(Role.CLIENT)
    namespace = command.principal.namespace(command.namespace)
    content = _check_create(command, namespace, facts, is_new=aggregate.job is None)
    digest = _request_digest(command, namespace, content)
    if aggregate.job is not None:
        if aggregate.job.request_digest != digest:
            raise IdReused("request_id", command.request_id, job_id=aggregate.job.job_id)
        first = next((p for p in aggregate.prompts.values() if p.round == 1), None)
        if content and first is None:
            raise DeletionUnfinished  # the next request with this id makes a new job
        return RuleResult(JobCreated(aggregate.job, first if content else None, replayed=True))
    now, retry = facts.now, command.retry
    if retry is not None and retry.keep is Keep.ALL:
        require_kept(retry.job_id, retry.purge_at, facts)
    starts = max(now, command.start_at or now + (command.start_delay or timedelta(0)))
    job = Job(
        job_id=facts.new_id(),
        namespace=namespace,
        job_type=command.job_type,
        user_id=command.user_id or command.principal.subject,
        state=JobState.PENDING_HITL if content else JobState.PENDING,
        created_at=now,
        updated_at=now,
        input_json=command.input_json,
        priority=command.priority,
        labels=dict(command.labels),
        max_attempts=command.max_attempts or facts.limits.default_attempts,
        ready_at=None if content else starts,
        timeout=command.timeout,
        expires_at=starts + command.timeout if command.timeout is not None else None,
        run_timeout=command.run_timeout,
        retention=command.retention,
        request_id=command.request_id,
        request_digest=digest,
        retried_from=retry.job_id if retry else "",
        root=retry.root_job_id if retry else "",
        carried_answers=len(retry.answers) if retry else 0,
        checkpoints=len(retry.checkpoints) if retry else 0,
        workerless=content is not None,
        requesters=_requesters(command),
    )
    change = Change(aggregate, facts, command.principal.subject, job)
    created: dict[str, object] = {"job_type": job.job_type, "user_id": job.user_id, "attempt": 1, "token": 0}
    if job.requesters:
        created["requesters"] = list(job.requesters)
    if retry is None:
        change.record(EventType.JOB_CREATED, None, created)
    else:
        change.retry = retry
        change.record(
            EventType.JOB_CREATED, None, {**created, "retried_from": retry.job_id, "keep": retry.keep}
        )
        for page in carry_over_pages(retry) if retry.keep is Keep.ALL else ():
            change.record(EventType.JOB_CARRIED_OVER, None, page)
    prompt: Prompt | None = None
    if content is not None:
        prompt = open_prompt(change, _FIRST_PROMPT, content.resolve_deadline(now))
    return RuleResult(JobCreated(change.job, prompt), change)


def _requesters(command: CreateJob) -> tuple[str, ...]:
    """Who counts as requester in addition to the user of the job."""
    names = {command.principal.subject, *(command.retry.requesters if command.retry else ())}
    return tuple(sorted(names - {command.user_id or command.principal.subject}))


def _check_create(command: CreateJob, namespace: str, facts: Facts, *, is_new: bool) -> PromptContent | None:
    limits, now = facts.limits, facts.now
    check = Checker(limits)
    check.name("namespace", namespace)
    check.name("job_type", command.job_type)
    check.key("request_id", command.request_id, required=False)
    if command.principal is not SYSTEM:
        check_reserved(check, command)
    check.json("input_json", command.input_json)
    check.number("priority", command.priority, -limits.priority, limits.priority)
    check.number("max_attempts", command.max_attempts, 0, limits.max_attempts)
    check.labels("labels", command.labels)
    check.span("retention", command.retention, limits.retention_max)
    if command.user_id and not command.principal.is_admin:
        check.bad("user_id", "only an admin may name another user; leave it empty")
    check.subject("user_id", command.user_id)
    check.span("start_delay", command.start_delay, limits.deadline_max)
    check.span("timeout", command.timeout, limits.deadline_max, limits.deadline_min)
    check.span("run_timeout", command.run_timeout, limits.deadline_max, limits.deadline_min)
    if command.start_at is not None and command.start_at > now + limits.deadline_max:
        check.bad("start_time", f"must be within {limits.deadline_max.days} days from now")
    if command.prompt is not None:
        if command.start_delay is not None or command.start_at is not None:
            field = "start_delay" if command.start_delay is not None else "start_time"
            check.bad(field, "must be unset with a prompt: people are asked at once")
        if command.run_timeout is not None:
            check.bad(
                "run_timeout", "must be unset with a prompt: no worker runs the job; use prompt.timeout"
            )
    content = None
    if command.prompt is not None:
        asked_at = now if is_new else None
        content = check.read(normalise, command.prompt, limits, asked_at, prefix="prompt.")
    check.done()
    return content if content is None else evolve(content, blocking=True)


def _request_digest(command: CreateJob, namespace: str, content: PromptContent | None) -> str:
    if not command.request_id:
        return ""
    if (retry := command.retry) is not None:
        # Not the fields copied from the old job: its labels may have changed since the first call.
        return digest_of(["retry", namespace, retry.job_id, retry.keep])
    fields = [
        namespace,
        command.job_type,
        command.user_id,
        command.input_json,
        command.priority,
        sorted(command.labels.items()),
        command.max_attempts,
        None if command.retention is None else command.retention.total_seconds(),
        content_to_json(content) if content else None,
        "",
    ]
    times = [command.start_delay, command.start_at, command.timeout, command.run_timeout]
    if any(time is not None for time in times):
        fields.append(times)
    return digest_of(fields)


def update_job(aggregate: Aggregate, command: UpdateJob, facts: Facts) -> RuleResult[Job]:
    """Set labels, priority, promoted or retention. Raises VersionMismatch, and JobNotFound for the retention
    of a job whose retention is over."""
    command.principal.require(Role.CLIENT)
    job = aggregate.require_job(command.job_id, command.principal)
    require_own(job.job_type, command.principal)
    _check_version(command.expected_version, job.version)
    values = command.values
    check = Checker(facts.limits, "job.")
    if "labels" in values:
        check.labels("labels", values["labels"])
    if "priority" in values:
        check.number("priority", values["priority"], -facts.limits.priority, facts.limits.priority)
    if "retention" in values:
        check.span("retention", values["retention"], facts.limits.retention_max)
    check.done()
    change = Change(aggregate, facts, command.principal.subject)
    change.set(**values)
    if "retention" in values and job.completed_at is not None:
        # Its deletion may have begun.
        require_kept(job.job_id, job.purge_at, facts)
        change.require(not_after=job.purge_at)
        keep = values["retention"]
        if keep is None:
            keep = facts.limits.retention_of(job.namespace, job.state)
        change.set(purge_at=job.completed_at + keep)
    change.record(EventType.JOB_UPDATED, None, {"fields": sorted(command.values)})
    return RuleResult(change.job, change)


def _check_version(expected: int, version: int) -> None:
    if expected and expected != version:
        raise VersionMismatch(expected, version)


def cancel_job(aggregate: Aggregate, command: CancelJob, facts: Facts) -> RuleResult[Job]:
    """Cancel the job, or ask its holder to stop within a grace. Repeatable."""
    command.principal.require(Role.CLIENT)
    job = aggregate.require_job(command.job_id, command.principal)
    require_own(job.job_type, command.principal)
    check = Checker(facts.limits)
    check.text("reason", command.reason, facts.limits.reason_chars)
    check.done()
    if job.state is JobState.CANCELLED or (job.cancel_requested_at and not job.is_terminal):
        return RuleResult(job)
    change = Change(aggregate, facts, command.principal.subject)
    change.set(cancel_reason=command.reason, cancelled_by=command.principal.subject)
    if job.session_id is None:
        cancel_now(change)
    else:
        move(change, JobTrigger.CANCEL_REQUEST)
        change.set(cancel_requested_at=facts.now, cancel_at=facts.now + facts.limits.cancel_grace)
        change.record(EventType.JOB_CANCEL_REQUESTED, None, {"reason": command.reason})
    return RuleResult(change.job, change)


_ARRAYS: tuple[Literal["questions_asked_json", "answers_json", "research_performed_json"], ...] = (
    "questions_asked_json",
    "answers_json",
    "research_performed_json",
)
_TEXTS: tuple[Literal["understanding_summary", "user_problem"], ...] = (
    "understanding_summary",
    "user_problem",
)


def update_understanding(
    aggregate: Aggregate, command: UpdateUnderstanding, facts: Facts
) -> RuleResult[DeepUnderstanding]:
    """Set fields of the deep-understanding state. Needs the newest fencing token from a worker."""
    command.principal.require(Role.CLIENT, Role.WORKER)
    job = aggregate.require_job(command.job_id, command.principal)
    require_own(job.job_type, command.principal)
    session = None
    if command.token or not command.principal.has(Role.CLIENT):
        # Without the fence a lost attempt could overwrite the current one. Clients need no token.
        session = fence(job, command.principal, command.token, None, facts)
    if job.is_terminal:
        raise IllegalState(
            f"the job is {job.state}; its deep-understanding state is final",
            state=job.state,
            event="UPDATE",
            job_id=job.job_id,
        )
    current = aggregate.understanding or DeepUnderstanding(job.job_id)
    _check_version(command.expected_version, current.version)
    check = Checker(facts.limits, "deep_understanding.")
    for name in _ARRAYS:
        if name in command.values:
            check.json(name, command.values[name], required=True)
            if not check.found and not command.values[name].strip().startswith("["):
                check.bad(name, "must be a JSON array")
    for text in _TEXTS:
        check.text(text, command.values.get(text, ""), facts.limits.json_bytes)
    check.number("readiness_score", command.values.get("readiness_score", 0.0), 0.0, 1.0)
    check.done()
    change = Change(aggregate, facts, command.principal.subject)
    change.require(session=session)
    state = write_understanding(change, replace(current, **command.values))
    change.record(EventType.UNDERSTANDING_UPDATED, None, {"version": state.version})
    return RuleResult(state, change)


def run_due(aggregate: Aggregate, command: RunDue, facts: Facts) -> RuleResult[datetime | None]:
    """Run the actions that are due. Replies with the time of the next one, or None."""
    if aggregate.job is None:
        return RuleResult(None)
    change = Change(aggregate, facts, command.principal.subject)
    run_overdue(change)
    return RuleResult(next_due(change), change if change.events else None)


def end_grace(aggregate: Aggregate, command: EndGrace, facts: Facts) -> RuleResult[datetime | None]:
    """Cancel the job if its holder did not stop in time. Replies with the end of the grace while it lasts."""
    job = aggregate.job
    if job is None or job.is_terminal or job.cancel_at is None:
        return RuleResult(None)
    if job.cancel_at > facts.now:
        return RuleResult(job.cancel_at)
    change = Change(aggregate, facts, command.principal.subject)
    change.require(not_before=job.cancel_at)
    cancel_now(change)
    return RuleResult(None, change)
