"""Conversion between domain objects and rows.

The writers of both databases take tuples in the order of the `..._COLUMNS` below. Reads return mappings by
column name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from askback_server.domain.chain import Link
from askback_server.domain.content import PromptContent
from askback_server.domain.documents import (
    answer_from_json,
    answer_to_json,
    content_from_json,
    content_to_json,
    dump,
    resolution_from_json,
    resolution_to_json,
)
from askback_server.domain.events import Event, EventType
from askback_server.domain.evolve import fields_of
from askback_server.domain.jobs import Checkpoint, Failure, Job, JobState, Progress, Wake
from askback_server.domain.json_text import Violation
from askback_server.domain.prompts import AnswerStatus, Prompt, PromptState, Submission
from askback_server.domain.routing_documents import audience_to_json, nudges_from_json, nudges_to_json
from askback_server.domain.shown_form import shown_digest
from askback_server.domain.vote_documents import votes_from_json, votes_to_json

Row = Mapping[str, Any]

JOB_CHANGED_COLUMNS = (
    "job_id", "status", "result", "error", "progress_percent", "progress", "updated_at", "completed_at",
    "promoted", "priority", "labels", "attempt", "rounds", "open_prompts", "open_blocking", "version",
    "token", "ready_at", "session_id", "worker_id", "holder", "cancel_requested_at", "cancel_at",
    "cancel_reason", "retention_s", "purge_at", "checkpoints", "understanding_version",
    "run_until", "run_left_s", "wake", "stalled_at", "unreceived", "cancelled_by", "chain",
)  # fmt: skip
"""The columns that a write may change; the first is the key."""

JOB_COLUMNS = (
    *JOB_CHANGED_COLUMNS, "namespace", "job_type", "user_id", "input", "created_at", "max_attempts",
    "request_id", "request_digest", "retried_from", "workerless", "timeout_s", "deadline", "run_timeout_s",
    "root_job_id", "carried_answers", "requesters",
)  # fmt: skip


def job_change_values(job: Job) -> tuple[Any, ...]:
    """The values of JOB_CHANGED_COLUMNS."""
    progress, failure = job.progress, job.failure
    return (
        job.job_id, job.state, job.result_json or None, dump(fields_of(failure)) if failure else None,
        progress.percent if progress else 0.0, dump(fields_of(progress)) if progress else None,
        job.updated_at, job.completed_at, job.promoted, job.priority,
        dump(dict(job.labels)) if job.labels else "{}", job.attempt, job.rounds, job.open_prompts,
        job.open_blocking, job.version, job.token, job.ready_at, job.session_id, job.worker_id, job.holder,
        job.cancel_requested_at, job.cancel_at, job.cancel_reason,
        _seconds(job.retention), job.purge_at, job.checkpoints, job.understanding_version, job.run_until,
        _seconds(job.run_left), job.wake or None, job.stalled_at, job.unreceived, job.cancelled_by or None,
        job.chain or None,
    )  # fmt: skip


def job_values(job: Job) -> tuple[Any, ...]:
    """The values of JOB_COLUMNS."""
    return (
        *job_change_values(job), job.namespace, job.job_type, job.user_id, job.input_json or None,
        job.created_at, job.max_attempts, job.request_id or None, job.request_digest,
        job.retried_from or None, job.workerless, _seconds(job.timeout), job.expires_at,
        _seconds(job.run_timeout), job.root or None, job.carried_answers or None,
        dump(job.requesters) if job.requesters else None,
    )  # fmt: skip


def to_job(row: Row) -> Job:
    """The job of a row."""
    error, progress = row["error"], row["progress"]
    return Job(
        job_id=row["job_id"],
        namespace=row["namespace"],
        job_type=row["job_type"],
        user_id=row["user_id"],
        state=JobState(row["status"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        input_json=row["input"] or "",
        result_json=row["result"] or "",
        failure=Failure(**json.loads(error)) if error else None,
        progress=Progress(**json.loads(progress)) if progress else None,
        priority=row["priority"],
        labels=json.loads(row["labels"]),
        promoted=bool(row["promoted"]),
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        rounds=row["rounds"],
        open_prompts=row["open_prompts"],
        open_blocking=row["open_blocking"],
        version=row["version"],
        token=row["token"],
        ready_at=row["ready_at"],
        session_id=row["session_id"],
        worker_id=row["worker_id"],
        holder=row["holder"],
        completed_at=row["completed_at"],
        cancel_requested_at=row["cancel_requested_at"],
        cancel_at=row["cancel_at"],
        cancel_reason=row["cancel_reason"],
        cancelled_by=row["cancelled_by"] or "",
        retention=_span(row["retention_s"]),
        purge_at=row["purge_at"],
        request_id=row["request_id"] or "",
        request_digest=row["request_digest"],
        retried_from=row["retried_from"] or "",
        root=row["root_job_id"] or "",
        carried_answers=row["carried_answers"] or 0,
        workerless=bool(row["workerless"]),
        checkpoints=row["checkpoints"],
        understanding_version=row["understanding_version"],
        timeout=_span(row["timeout_s"]),
        expires_at=row["deadline"],
        run_timeout=_span(row["run_timeout_s"]),
        run_until=row["run_until"],
        run_left=_span(row["run_left_s"]),
        wake=Wake(row["wake"] or ""),
        stalled_at=row["stalled_at"],
        unreceived=row["unreceived"] or 0,
        chain=row["chain"] or b"",
        requesters=tuple(json.loads(row["requesters"] or "[]")),
    )


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


PROMPT_CHANGED_COLUMNS = (
    "interaction_id", "job_id", "revision", "version", "status", "response_data", "claimed_by",
    "claimed_until", "updated_at", "responded_at", "consumed_at", "submissions", "nudges", "nudge_at",
    "unattended_since", "same_digest", "votes",
)  # fmt: skip
"""The columns that may change without an amendment of the content; the first two are the keys."""

PROMPT_CONTENT_COLUMNS = (
    "interaction_type", "digest", "prompt_data", "metadata", "priority", "audience", "labels", "blocking",
    "timeout_at", "shown_digest", "asked_digest",
)  # fmt: skip
"""The columns that an amendment changes."""

PROMPT_COLUMNS = (
    *PROMPT_CHANGED_COLUMNS, *PROMPT_CONTENT_COLUMNS, "namespace", "job_type", "round_number", "key",
    "created_at", "requested_by",
)  # fmt: skip


def prompt_change_values(prompt: Prompt) -> tuple[Any, ...]:
    """The values of PROMPT_CHANGED_COLUMNS."""
    resolution, nudges = prompt.resolution, prompt.nudges
    return (
        prompt.prompt_id, prompt.job_id, prompt.revision, prompt.version, prompt.state,
        resolution_to_json(resolution) if resolution else None, prompt.claimed_by, prompt.claimed_until,
        prompt.updated_at, resolution.at if resolution else None, prompt.consumed_at, prompt.submissions,
        None if nudges is None else nudges_to_json(nudges), prompt.nudge_at,
        prompt.unattended_since, prompt.same_digest or None,
        None if prompt.votes is None else votes_to_json(prompt.votes),
    )  # fmt: skip


def prompt_content_values(prompt: Prompt) -> tuple[Any, ...]:
    """The values of PROMPT_CONTENT_COLUMNS."""
    content = prompt.content
    return (
        content.kind, prompt.digest, content_to_json(content), content.metadata_json or None,
        content.priority, audience_to_json(content),
        dump(dict(content.labels)) if content.labels else "{}", content.blocking, prompt.expires_at,
        f"{prompt.revision}:{prompt.shown_digest}", prompt.asked_digest or None,
    )  # fmt: skip


def prompt_values(prompt: Prompt) -> tuple[Any, ...]:
    """The values of PROMPT_COLUMNS."""
    return (
        *prompt_change_values(prompt), *prompt_content_values(prompt), prompt.namespace, prompt.job_type,
        prompt.round, prompt.key, prompt.created_at, prompt.requested_by or None,
    )  # fmt: skip


def to_prompt(row: Row) -> Prompt:
    """The prompt of a row."""
    response = row["response_data"]
    content = content_from_json(row["prompt_data"])
    return Prompt(
        prompt_id=row["interaction_id"],
        job_id=row["job_id"],
        namespace=row["namespace"],
        job_type=row["job_type"],
        key=row["key"],
        round=row["round_number"],
        revision=row["revision"],
        version=row["version"],
        state=PromptState(row["status"]),
        content=content,
        digest=row["digest"],
        shown_digest=_shown_digest(row, content),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        expires_at=row["timeout_at"],
        claimed_by=row["claimed_by"],
        claimed_until=row["claimed_until"],
        resolution=resolution_from_json(response) if response else None,
        consumed_at=row["consumed_at"],
        submissions=row["submissions"],
        nudges=nudges_from_json(row["nudges"]) if row["nudges"] else None,
        unattended_since=row["unattended_since"],
        same_digest=row["same_digest"] or "",
        asked_digest=row["asked_digest"] or "",
        votes=votes_from_json(row["votes"]) if row["votes"] else None,
        requested_by=row["requested_by"] or "",
    )


def _shown_digest(row: Row, content: PromptContent) -> str:
    """The stored digest of what is shown, or that of the content if none is stored for this revision.

    A replica of version 0.1 does not know the column: it leaves it empty when it asks, and unchanged when it
    amends.
    """
    revision, _, digest = (row["shown_digest"] or "").partition(":")
    return digest if revision == str(row["revision"]) else shown_digest(content)


ANSWER_COLUMNS = (
    "interaction_id", "answer_id", "job_id", "seq", "status", "digest", "answer", "violations", "created_at",
)  # fmt: skip


def submission_values(submission: Submission) -> tuple[Any, ...]:
    """The values of ANSWER_COLUMNS."""
    violations = [[v.field, v.description] for v in submission.violations]
    answer = submission.answer
    return (
        submission.prompt_id, answer.answer_id, submission.job_id, submission.seq, submission.status,
        submission.digest, answer_to_json(answer), dump(violations) if violations else None,
        answer.created_at,
    )  # fmt: skip


def to_submission(row: Row) -> Submission:
    """The submission of a row."""
    answer, _ = answer_from_json(row["answer"])
    return Submission(
        prompt_id=row["interaction_id"],
        job_id=row["job_id"],
        answer=answer,
        status=AnswerStatus(row["status"]),
        digest=row["digest"],
        seq=row["seq"],
        violations=tuple(Violation(f, d) for f, d in json.loads(row["violations"] or "[]")),
    )


CHECKPOINT_COLUMNS = ("job_id", "key", "value", "created_at")


def checkpoint_values(checkpoint: Checkpoint) -> tuple[Any, ...]:
    """The values of CHECKPOINT_COLUMNS."""
    return (checkpoint.job_id, checkpoint.key, checkpoint.value_json, checkpoint.created_at)


def to_checkpoint(row: Row) -> Checkpoint:
    """The checkpoint of a row."""
    return Checkpoint(row["job_id"], row["key"], row["value"], row["created_at"])


EVENT_COLUMNS = (
    "at", "job_id", "seq", "type", "actor", "state", "namespace", "command_id", "prompt_id", "data", "hash",
    "salt", "document_salt", "documents",
)  # fmt: skip


def event_values(event: Event, link: Link | None) -> tuple[Any, ...]:
    """The values of EVENT_COLUMNS."""
    own = (
        event.at, event.job_id, event.seq, event.type, event.actor, event.state,
        event.namespace, event.command_id, event.prompt_id,
    )  # fmt: skip
    if link is None:
        return (*own, dump(event.data) if event.data else None, None, None, None, None)
    return (
        *own, link.data or None, link.hash, link.salt, link.document_salt or None, link.documents or None,
    )  # fmt: skip


def to_event(row: Row) -> Event:
    """The event of a row."""
    return Event(
        job_id=row["job_id"],
        seq=row["seq"],
        type=EventType(row["type"]),
        actor=row["actor"],
        at=row["at"],
        state=JobState(row["state"]),
        namespace=row["namespace"],
        command_id=row["command_id"],
        prompt_id=row["prompt_id"],
        data=json.loads(row["data"]) if row["data"] else None,
    )
