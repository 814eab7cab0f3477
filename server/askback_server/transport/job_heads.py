"""The head of a job: the fields and events that a console may see if it may see one of the job's prompts.

Both tables list what is sent, so that a new field or event is withheld until it is added here.
"""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.field_mask_pb2 import FieldMask

from askback.v1 import job_pb2
from askback_server.domain.events import Event, EventType
from askback_server.engine.queries import VisibleJob
from askback_server.transport.convert.jobs import event_data, event_message, job_message

_FIELDS = FieldMask(
    paths=[
        "job_id",
        "namespace",
        "job_type",
        "user_id",
        "state",
        "progress",
        "labels",
        "workerless",
        "version",
        "create_time",
        "update_time",
        "complete_time",
        "ready_time",
        "cancel_request_time",
        "expire_time",
        "run_expire_time",
        "purge_time",
    ]
)
"""Fields of Job. `rounds` and the numbers of open prompts are computed from what the console may see."""

_EVENTS: Mapping[EventType, tuple[str, ...]] = {
    EventType.JOB_CREATED: ("job_type",),
    EventType.JOB_LEASED: (),
    EventType.JOB_PROGRESSED: ("done", "total", "percent", "message"),
    EventType.JOB_RELEASED: (),
    EventType.JOB_LEASE_LOST: (),
    EventType.JOB_RETRIED: (),
    EventType.JOB_COMPLETED: (),
    EventType.JOB_FAILED: (),
    EventType.JOB_CANCEL_REQUESTED: (),
    EventType.JOB_CANCELLED: (),
    EventType.JOB_UPDATED: (),
    EventType.JOB_DELETED: (),
    EventType.JOB_WAITS: (),
}
"""Events without a prompt that are sent, with the keys of their data that are sent."""

_BY_WORKERS = frozenset(
    {
        EventType.PROMPT_ASKED,
        EventType.PROMPT_AMENDED,
        EventType.PROMPT_CANCELLED,
        EventType.PROMPT_SUPERSEDED,
        EventType.PROMPT_CONSUMED,
        EventType.PROMPT_REWORDED,
    }
)
"""Events of prompts whose actor is usually a worker. Its name is not sent."""


def visible_job_message(seen: VisibleJob) -> job_pb2.Job:
    """The job as its viewer may see it: whole, or its head."""
    whole = job_message(seen.job)
    if seen.asked is None:
        return whole
    head = job_pb2.Job(head_only=True)
    _FIELDS.MergeMessage(whole, head)
    head.rounds = seen.asked
    head.open_prompts = len(seen.open_prompts)
    head.open_blocking_prompts = sum(prompt.content.blocking for prompt in seen.open_prompts)
    return head


def event_head(event: Event, sees_prompt: bool) -> job_pb2.JobEvent:
    """An event for a console that may only see the head. `sees_prompt`: it may see the event's prompt.

    A withheld event is sent without type and data, so that `seq` has no gaps and the state is known.
    """
    whole = event_message(event)
    if event.prompt_id and sees_prompt:
        if event.type in _BY_WORKERS:
            whole.actor = ""
        return whole
    head = job_pb2.JobEvent(job_id=whole.job_id, seq=whole.seq, state=whole.state, time=whole.time)
    keys = None if event.prompt_id else _EVENTS.get(event.type)
    if keys is None:
        head.type = job_pb2.JOB_EVENT_TYPE_WITHHELD
        return head
    head.type = whole.type
    if event.type is EventType.JOB_CREATED:
        head.actor = whole.actor
    if keys and event.data:
        head.data_json = event_data({key: event.data[key] for key in keys if key in event.data})
    return head
