"""Jobs, events, checkpoints and states of understanding as messages, and the filters of requests."""

from __future__ import annotations

import json
from collections.abc import Mapping

from askback.v1 import job_pb2, job_service_pb2, worker_service_pb2
from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Failure, Job, JobState, Progress
from askback_server.domain.principals import Principal
from askback_server.domain.retries import Keep
from askback_server.domain.violations import Violations
from askback_server.ports.queries import JobFilter
from askback_server.transport.convert.values import (
    any_labels,
    id_suffix,
    job_id,
    moment,
    namespace,
    put_span,
    put_time,
)

_STATE_NUMBERS = {s: job_pb2.JobState.Value(f"JOB_STATE_{s}") for s in JobState}
_STATES: dict[int, JobState] = {number: s for s, number in _STATE_NUMBERS.items()}
_EVENT_NUMBERS = {t: job_pb2.JobEventType.Value(f"JOB_EVENT_TYPE_{t}") for t in EventType}


def job_filter(filter: job_service_pb2.JobFilter, asked_namespace: str, principal: Principal) -> JobFilter:
    """The jobs that a request lists or watches. Raises InvalidField, PermissionDenied."""
    states: list[JobState] = []
    check = Violations()
    for index, number in enumerate(filter.states):
        state = _STATES.get(number)
        if state is None:
            check.bad(f"filter.states[{index}]", f"{number} is not a state of a job")
        else:
            states.append(state)
    bounds = {
        name: check.read(moment, getattr(filter, name), f"filter.{name}")
        for name in ("created_after", "created_before")
        if filter.HasField(name)
    }
    check.storable("filter.job_types", filter.job_types)
    check.storable("filter.user_ids", filter.user_ids)
    check.storable("filter.labels", (text for pair in filter.labels.items() for text in pair))
    several = any_labels(check, filter.any_labels)
    check.done()
    return JobFilter(
        namespace=namespace(asked_namespace, principal),
        states=tuple(states),
        job_types=tuple(filter.job_types),
        user_ids=tuple(filter.user_ids),
        labels=dict(filter.labels),
        any_labels=several,
        created_after=bounds.get("created_after"),
        created_before=bounds.get("created_before"),
        id_suffix=id_suffix(filter.id_suffix, "filter.id_suffix"),
    )


_KEEPS = {
    job_service_pb2.RETRY_KEEP_UNSPECIFIED: None,
    **{job_service_pb2.RetryKeep.Value(f"RETRY_KEEP_{keep}"): keep for keep in Keep},
}


def retry_request(request: job_service_pb2.RetryJobRequest) -> tuple[str, Keep | None]:
    """The job to repeat, and what the new one keeps, None if unset. Raises InvalidField, JobNotFound."""
    check = Violations()
    check.storable("request_id", (request.request_id,))
    if request.keep not in _KEEPS:
        check.bad("keep", f"{request.keep} is not a RetryKeep")
    check.done()
    return job_id(request.job_id), _KEEPS[request.keep]


def progress(message: job_pb2.Progress) -> Progress:
    """The progress that a worker reports."""
    return Progress(message.done, message.total, message.percent, message.message)


def failure(message: job_pb2.Failure) -> Failure:
    """The failure that a worker reports."""
    return Failure(message.code, message.message, message.details_json)


def put_job(target: job_pb2.Job, job: Job) -> None:
    """Fill the message of a job."""
    target.job_id = job.job_id
    target.namespace = job.namespace
    target.job_type = job.job_type
    target.user_id = job.user_id
    target.state = _STATE_NUMBERS[job.state]
    target.input_json = job.input_json
    target.result_json = job.result_json
    if job.failure is not None:
        target.failure.code = job.failure.code
        target.failure.message = job.failure.message
        target.failure.details_json = job.failure.details_json
    if job.progress is not None:
        target.progress.done = job.progress.done
        target.progress.total = job.progress.total
        target.progress.percent = job.progress.percent
        target.progress.message = job.progress.message
    target.priority = job.priority
    if job.labels:
        target.labels.update(job.labels)
    target.promoted = job.promoted
    target.attempt = job.attempt
    target.max_attempts = job.max_attempts
    target.rounds = job.rounds
    target.open_prompts = job.open_prompts
    target.open_blocking_prompts = job.open_blocking
    target.version = job.version
    target.token = job.token
    target.worker_id = job.worker_id
    put_time(target.create_time, job.created_at)
    put_time(target.update_time, job.updated_at)
    if job.completed_at is not None:
        put_time(target.complete_time, job.completed_at)
    if job.ready_at is not None:
        put_time(target.ready_time, job.ready_at)
    if job.cancel_requested_at is not None:
        put_time(target.cancel_request_time, job.cancel_requested_at)
    target.cancel_reason = job.cancel_reason
    target.cancelled_by = job.cancelled_by
    if job.retention is not None:
        put_span(target.retention, job.retention)
    if job.purge_at is not None:
        put_time(target.purge_time, job.purge_at)
    target.request_id = job.request_id
    target.retried_from_job_id = job.retried_from
    target.root_job_id = job.root_job_id
    target.workerless = job.workerless
    if job.timeout is not None:
        put_span(target.timeout, job.timeout)
    if job.expires_at is not None:
        put_time(target.expire_time, job.expires_at)
    if job.run_timeout is not None:
        put_span(target.run_timeout, job.run_timeout)
    if job.run_until is not None:
        put_time(target.run_expire_time, job.run_until)


def job_message(job: Job) -> job_pb2.Job:
    """The message of a job."""
    message = job_pb2.Job()
    put_job(message, job)
    return message


def event_message(event: Event) -> job_pb2.JobEvent:
    """The message of an event."""
    message = job_pb2.JobEvent(job_id=event.job_id, seq=event.seq, actor=event.actor)
    message.type = _EVENT_NUMBERS[event.type]
    message.state = _STATE_NUMBERS[event.state]
    put_time(message.time, event.at)
    if event.prompt_id:
        message.prompt_id = event.prompt_id
    if event.data:
        message.data_json = event_data(event.data)
    return message


def event_data(data: Mapping[str, object]) -> str:
    """The data of an event as JSON."""
    return json.dumps(dict(data), ensure_ascii=False, separators=(",", ":"))


def understanding_message(state: DeepUnderstanding) -> job_pb2.DeepUnderstanding:
    """The message of a deep-understanding state; version 0 if none was written."""
    message = job_pb2.DeepUnderstanding(
        job_id=state.job_id,
        questions_asked_json=state.questions_asked_json,
        answers_json=state.answers_json,
        research_performed_json=state.research_performed_json,
        understanding_summary=state.understanding_summary,
        user_problem=state.user_problem,
        readiness_score=state.readiness_score,
        complete=state.complete,
        version=state.version,
    )
    if state.updated_at is not None:
        put_time(message.update_time, state.updated_at)
    return message


def checkpoint_message(checkpoint: Checkpoint) -> worker_service_pb2.Checkpoint:
    """The message of a checkpoint."""
    message = worker_service_pb2.Checkpoint(key=checkpoint.key, value_json=checkpoint.value_json)
    put_time(message.create_time, checkpoint.created_at)
    return message
