"""What a console that may see one of a job's prompts is told of the job: its head, and nothing else.

Both tables name what is told, so a new field or event is withheld until somebody adds it here.
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
"""Of Job. `rounds` and the numbers of open prompts are added: they count what the console may see."""

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
"""Events of no prompt that are told, with these keys of their data."""

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
"""Events of prompts whose actor is as a rule a worker, whose name is no part of the head."""


def seen_job_message(seen: VisibleJob) -> job_pb2.Job:
    """A job as its viewer may see it."""
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
    """An event for a console, which may see its prompt or not.

    Withheld ones keep their place: `seq` has no gaps, and the job's state is told.
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
