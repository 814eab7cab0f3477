"""Convert the jobs and prompts of a vector's JSON into domain objects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import ParseDict

from askback.v1 import job_pb2, prompt_pb2
from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.decisions import Decision
from askback_server.domain.jobs import Job, JobState
from askback_server.domain.nudges import Nudges
from askback_server.domain.prompts import Prompt, PromptState, Resolution
from askback_server.transport.convert.contents import content

START = datetime(2030, 1, 1, tzinfo=UTC)


def _time(message: Any, field: str) -> datetime | None:
    return getattr(message, field).ToDatetime(UTC) if message.HasField(field) else None


def prompt_of(document: dict[str, Any]) -> Prompt:
    """The domain's prompt for a ProtoJSON Prompt."""
    message = ParseDict(document, prompt_pb2.Prompt())
    resolution = None
    if message.HasField("resolution"):
        said = message.resolution
        answer = None
        if said.HasField("answer"):
            given = said.answer
            answer = Answer(
                given.answer_id,
                Decision(prompt_pb2.Decision.Name(given.decision).removeprefix("DECISION_")),
                given.values_json,
                (),
                given.comment,
                AnswerSource.HUMAN,
                given.user_id,
                given.revision,
                START,
            )
        state = PromptState(prompt_pb2.PromptState.Name(said.state).removeprefix("PROMPT_STATE_"))
        resolution = Resolution(state, said.actor, START, said.reason, answer)
    asked = content(message.content, "content")
    return Prompt(
        prompt_id=message.prompt_id,
        job_id=message.job_id,
        namespace=message.namespace or "default",
        job_type=message.job_type or "t",
        key=message.key,
        round=message.round or 1,
        revision=message.revision or 1,
        version=message.version,
        state=PromptState(prompt_pb2.PromptState.Name(message.state or 1).removeprefix("PROMPT_STATE_")),
        content=asked,
        digest="",
        shown_digest=message.shown_digest,
        created_at=START,
        updated_at=START,
        expires_at=_time(message, "expire_time"),
        resolution=resolution,
        consumed_at=_time(message, "consume_time"),
        nudges=_nudges(message),
    )


def _nudges(message: Any) -> Nudges | None:
    found = Nudges(
        steps=message.escalation_step,
        step_at=_time(message, "next_escalation_time"),
        reminded=message.remind_count,
        reminded_at=_time(message, "last_remind_time"),
        remind_at=_time(message, "next_remind_time"),
    )
    return found if found != Nudges() else None


def job_of(document: dict[str, Any]) -> Job:
    """The domain's job for a ProtoJSON Job."""
    message = ParseDict(document, job_pb2.Job())
    return Job(
        job_id=message.job_id,
        namespace=message.namespace or "default",
        job_type=message.job_type or "t",
        user_id="ada",
        state=JobState(job_pb2.JobState.Name(message.state or 2).removeprefix("JOB_STATE_")),
        created_at=START,
        updated_at=START,
        version=message.version,
        token=message.token,
        worker_id=message.worker_id,
        session_id="session" if message.worker_id else None,
        cancel_requested_at=_time(message, "cancel_request_time"),
        # Only the frame has a field for the reason: vectors always use this one.
        cancel_reason="enough" if message.HasField("cancel_request_time") else "",
    )
