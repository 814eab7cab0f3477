"""Rows for tests of the storage: jobs, prompts and answers, and the writes that store them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from askback_server.domain.aggregate import Guard
from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Job, JobState
from askback_server.domain.prompts import AnswerStatus, Prompt, PromptState, Resolution, Submission
from askback_server.domain.shown_form import shown_digest
from askback_server.ports.clock import uuid7
from askback_server.ports.storage import JobWrite
from tests.support.aggregates import question


def now() -> datetime:
    return datetime.now(UTC)


def new_job(**fields: Any) -> Job:
    """A newly created job."""
    at = now()
    fields = {
        "job_id": uuid7(),
        "namespace": "default",
        "job_type": "refund",
        "user_id": "carl",
        "state": JobState.PENDING,
        "created_at": at,
        "updated_at": at,
        "ready_at": at,
        "version": 1,
        **fields,
    }
    return Job(**fields)


def new_prompt(job: Job, content: PromptContent | None = None, **fields: Any) -> Prompt:
    """An open prompt of the job."""
    at = now()
    content = content or question()
    fields = {
        "prompt_id": uuid7(),
        "job_id": job.job_id,
        "namespace": job.namespace,
        "job_type": job.job_type,
        "key": uuid7(),
        "round": 1,
        "revision": 1,
        "version": job.version,
        "state": PromptState.PENDING,
        "content": content,
        "digest": content.digest,
        "shown_digest": shown_digest(content),
        "created_at": at,
        "updated_at": at,
        "expires_at": at + content.timeout if content.timeout else None,
        **fields,
    }
    return Prompt(**fields)


def as_closed(prompt: Prompt, state: PromptState = PromptState.CANCELLED) -> Prompt:
    """The prompt, closed in `state`."""
    return replace(prompt, state=state, resolution=Resolution(state, "ann", now(), "enough"))


def submission(prompt: Prompt, answer_id: str = "a1", **fields: Any) -> Submission:
    """An accepted answer to the prompt."""
    answer = Answer(
        answer_id=answer_id,
        decision=Decision.ACCEPT,
        values_json="",
        edits=(),
        comment="",
        source=AnswerSource.HUMAN,
        user_id="ann",
        revision=1,
        created_at=now(),
    )
    given = {name: fields.pop(name) for name in tuple(fields) if hasattr(answer, name)}
    fields = {"status": AnswerStatus.ACCEPTED, "digest": "d", "seq": prompt.version, **fields}
    return Submission(prompt.prompt_id, prompt.job_id, replace(answer, **given), **fields)


def as_answered(prompt: Prompt, who: str, minute: int) -> Prompt:
    """The prompt, answered by `who` that many minutes from now."""
    answer = replace(submission(prompt).answer, user_id=who)
    resolution = Resolution(PromptState.ANSWERED, who, now() + timedelta(minutes=minute), "", answer)
    return replace(prompt, state=PromptState.ANSWERED, resolution=resolution)


def event(job: Job, type: EventType = EventType.JOB_UPDATED, **fields: Any) -> Event:
    """The event of the job's current version."""
    fields = {"seq": job.version, "actor": "carl", "at": now(), "command_id": uuid7(), **fields}
    return Event(job_id=job.job_id, type=type, state=job.state, namespace=job.namespace, **fields)


def creation(job: Job, *prompts: Prompt, **fields: Any) -> JobWrite:
    """The write that creates a job with its prompts and its first event."""
    events = [event(job, EventType.JOB_CREATED)]
    return JobWrite(job, 0, new_prompts={p.prompt_id: p for p in prompts}, events=events, **fields)


def step(job: Job, *, guard: Guard | None = None, deleted: bool = False, **fields: Any) -> JobWrite:
    """The write of the job's next version, based on `job`."""
    after = replace(job, **{"version": job.version + 1, "updated_at": now(), **fields})
    return JobWrite(after, job.version, guard or Guard(), events=[event(after)], deleted=deleted)


def with_children(write: JobWrite) -> JobWrite:
    """Add one child row of every kind to the write."""
    prompt = new_prompt(write.job, submissions=1)
    write.new_prompts[prompt.prompt_id] = prompt
    write.submissions.append(submission(prompt))
    write.checkpoints["step"] = Checkpoint(write.job.job_id, "step", "1", now())
    write.understanding = DeepUnderstanding(write.job.job_id, version=1, updated_at=now())
    return write
