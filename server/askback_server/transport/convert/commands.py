"""Converts requests to commands of the domain.

There is one function per RPC, with its name, for the unary call and for the frame. All raise InvalidField for
missing, unknown and impossible values, and JobNotFound or PromptNotFound for a malformed id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from google.protobuf.message import Message

from askback.v1 import job_service_pb2, worker_service_pb2
from askback_server.domain import commands
from askback_server.domain.commands import SessionRef
from askback_server.domain.errors import InvalidField
from askback_server.domain.job_values import JobValues, UnderstandingValues
from askback_server.domain.principals import Principal
from askback_server.domain.violations import Violations
from askback_server.transport.convert.contents import content
from askback_server.transport.convert.jobs import failure, progress
from askback_server.transport.convert.prompts import prompt_id
from askback_server.transport.convert.values import job_id, moment, namespace, span

# --- JobService ---------------------------------------------------------------------------------


def create_job(request: job_service_pb2.CreateJobRequest, principal: Principal) -> commands.CreateJob:
    """Create a job in the namespace of the request, or in the default. Raises PermissionDenied too."""
    check = Violations()
    check.storable("request_id", (request.request_id,))
    spans = {
        name: check.read(span, getattr(request, name), name)
        for name in ("retention", "start_delay", "timeout", "run_timeout")
        if request.HasField(name)
    }
    start_at = prompt = None
    if request.HasField("start_time"):
        start_at = check.read(moment, request.start_time, "start_time")
    if request.HasField("prompt"):
        prompt = check.read(content, request.prompt, "prompt")
    check.done()
    return commands.CreateJob(
        principal=principal,
        namespace=namespace(request.namespace, principal),
        job_type=request.job_type,
        request_id=request.request_id,
        user_id=request.user_id,
        input_json=request.input_json,
        priority=request.priority,
        labels=dict(request.labels),
        max_attempts=request.max_attempts,
        prompt=prompt,
        start_at=start_at,
        retention=spans.get("retention"),
        start_delay=spans.get("start_delay"),
        timeout=spans.get("timeout"),
        run_timeout=spans.get("run_timeout"),
    )


# Any: each function takes the message with its fields, and values have the types of the command's fields.
_JOB_FIELDS: dict[str, Callable[[Any], Any]] = {
    "labels": lambda job: dict(job.labels),
    "priority": lambda job: job.priority,
    "promoted": lambda job: job.promoted,
    "retention": lambda job: span(job.retention, "job.retention") if job.HasField("retention") else None,
}
_UNDERSTANDING_FIELDS: dict[str, Callable[[Any], Any]] = {
    "questions_asked_json": lambda state: state.questions_asked_json,
    "answers_json": lambda state: state.answers_json,
    "research_performed_json": lambda state: state.research_performed_json,
    "understanding_summary": lambda state: state.understanding_summary,
    "user_problem": lambda state: state.user_problem,
    "readiness_score": lambda state: state.readiness_score,
    "complete": lambda state: state.complete,
}


def _read_mask(
    message: Message, paths: Sequence[str], fields: dict[str, Callable[[Any], Any]]
) -> dict[str, Any]:
    """The values of the fields that a mask names."""
    if not paths:
        raise InvalidField.of("update_mask", "is required; it may name: " + ", ".join(fields))
    unknown = [path for path in paths if path not in fields]
    if unknown:
        raise InvalidField.of(
            "update_mask", f"{unknown[0][:80]!r} cannot be changed; it may name: " + ", ".join(fields)
        )
    return {path: fields[path](message) for path in paths}


def update_job(request: job_service_pb2.UpdateJobRequest, principal: Principal) -> commands.UpdateJob:
    """New values of the fields in the mask. An unset retention means the server's default."""
    return commands.UpdateJob(
        principal=principal,
        job_id=job_id(request.job.job_id, "job.job_id"),
        values=cast(JobValues, _read_mask(request.job, request.update_mask.paths, _JOB_FIELDS)),
        expected_version=request.expected_version,
    )


def cancel_job(request: job_service_pb2.CancelJobRequest, principal: Principal) -> commands.CancelJob:
    """Cancel a job, or request it of its worker."""
    return commands.CancelJob(principal=principal, job_id=job_id(request.job_id), reason=request.reason)


def delete_job(request: job_service_pb2.DeleteJobRequest, principal: Principal) -> commands.DeleteJob:
    """Remove a terminal job."""
    return commands.DeleteJob(principal=principal, job_id=job_id(request.job_id))


def update_deep_understanding(
    request: job_service_pb2.UpdateDeepUnderstandingRequest, principal: Principal
) -> commands.UpdateUnderstanding:
    """New values of the fields in the mask."""
    state = request.deep_understanding
    return commands.UpdateUnderstanding(
        principal=principal,
        job_id=job_id(state.job_id, "deep_understanding.job_id"),
        values=cast(UnderstandingValues, _read_mask(state, request.update_mask.paths, _UNDERSTANDING_FIELDS)),
        expected_version=request.expected_version,
        token=request.token,
    )


# --- WorkerService: `session` is the stream's, None for a unary call ------------------------------


def report_progress(
    request: worker_service_pb2.ReportProgressRequest,
    principal: Principal,
    session: SessionRef | None = None,
) -> commands.ReportProgress:
    """Report progress."""
    return commands.ReportProgress(
        principal=principal,
        job_id=job_id(request.job_id),
        token=request.token,
        session=session,
        progress=progress(request.progress),
        milestone=request.milestone,
    )


def ask_prompt(
    request: worker_service_pb2.AskPromptRequest, principal: Principal, session: SessionRef | None = None
) -> commands.AskPrompt:
    """Ask people a question."""
    if not request.HasField("content"):
        raise InvalidField.of("content", "is required: say what is asked")
    check = Violations()
    check.storable("key", (request.key,))
    superseded = tuple(request.supersedes_keys) if request.supersedes_keys else ()
    check.storable("supersedes_keys", superseded)
    check.done()
    return commands.AskPrompt(
        principal=principal,
        job_id=job_id(request.job_id),
        token=request.token,
        session=session,
        key=request.key,
        content=content(request.content, "content"),
        supersedes=superseded,
        same=request.same,
        wakes=request.wakes,
    )


def acknowledge_prompts(
    request: worker_service_pb2.AcknowledgePromptsRequest,
    principal: Principal,
    session: SessionRef | None = None,
) -> commands.AcknowledgePrompts:
    """Confirm that the worker has received these resolutions."""
    return commands.AcknowledgePrompts(
        principal=principal,
        job_id=job_id(request.job_id),
        token=request.token,
        session=session,
        prompt_ids=tuple(prompt_id(value, "prompt_ids") for value in request.prompt_ids),
    )


def save_checkpoint(
    request: worker_service_pb2.SaveCheckpointRequest,
    principal: Principal,
    session: SessionRef | None = None,
) -> commands.SaveCheckpoint:
    """Store the result of a step."""
    return commands.SaveCheckpoint(
        principal=principal,
        job_id=job_id(request.job_id),
        token=request.token,
        session=session,
        key=request.key,
        value_json=request.value_json,
    )


def complete_job(
    request: worker_service_pb2.CompleteJobRequest, principal: Principal, session: SessionRef | None = None
) -> commands.CompleteJob:
    """Complete the job with a result."""
    return commands.CompleteJob(
        principal=principal,
        job_id=job_id(request.job_id),
        token=request.token,
        session=session,
        result_json=request.result_json,
    )


def fail_job(
    request: worker_service_pb2.FailJobRequest, principal: Principal, session: SessionRef | None = None
) -> commands.FailJob:
    """End the attempt with a failure."""
    return commands.FailJob(
        principal=principal,
        job_id=job_id(request.job_id),
        token=request.token,
        session=session,
        failure=failure(request.failure),
        retryable=request.retryable,
        retry_delay=span(request.retry_delay, "retry_delay") if request.HasField("retry_delay") else None,
        keep_attempt=request.keep_attempt,
    )


def release_job(
    request: worker_service_pb2.ReleaseJobRequest, principal: Principal, session: SessionRef | None = None
) -> commands.ReleaseJob:
    """Release the lease without ending the attempt."""
    check = Violations()
    check.storable("awaited_keys", request.awaited_keys)
    check.done()
    return commands.ReleaseJob(
        principal=principal,
        job_id=job_id(request.job_id),
        token=request.token,
        session=session,
        awaited=tuple(request.awaited_keys),
        at_work=request.at_work,
    )
