"""Overviews as messages."""

from __future__ import annotations

from datetime import datetime, timedelta

from askback.v1 import job_service_pb2 as pb
from askback_server.domain.overview import (
    AGES,
    Activity,
    Connected,
    Counts,
    Measure,
    Waiting,
    WaitingCounts,
    percentile,
)
from askback_server.domain.principals import Principal
from askback_server.domain.prompts import Prompt
from askback_server.engine.overview import Overview
from askback_server.transport.convert.values import duration, namespace, put_span, put_time, span


def overview_request(
    request: pb.GetOverviewRequest, principal: Principal
) -> tuple[Principal, str, timedelta | None]:
    """Who asks, the namespace, and the length of the window. Raises InvalidField, PermissionDenied."""
    window = span(request.window, "window") if request.HasField("window") else None
    return principal, namespace(request.namespace, principal), window


def overview_message(overview: Overview) -> pb.GetOverviewResponse:
    """The message of an overview."""
    message = pb.GetOverviewResponse(
        waiting=_waiting(overview.waiting),
        oldest=[_prompt(prompt, overview.now) for prompt in overview.oldest],
    )
    put_time(message.time, overview.now)
    if overview.connected is not None:
        message.streams.CopyFrom(_streams(overview.connected))
    if overview.activity is not None:
        message.activity.CopyFrom(_activity(overview.activity))
    return message


def _waiting(waiting: Waiting) -> pb.WaitingPrompts:
    return pb.WaitingPrompts(
        total=waiting.all.total,
        partial=waiting.partial,
        unattended=waiting.all.unattended,
        age_bounds=[duration(timedelta(seconds=age)) for age in AGES],
        by_age=waiting.all.by_age,
        by_kind=[
            pb.WaitingOfKind(
                kind=kind, total=counts.total, unattended=counts.unattended, by_age=counts.by_age
            )
            for kind, counts in waiting.by_kind.items()
        ],
        by_priority=[_of_priority(priority, counts) for priority, counts in waiting.by_priority.items()],
    )


def _of_priority(priority: int, counts: WaitingCounts) -> pb.WaitingOfPriority:
    return pb.WaitingOfPriority(
        priority=priority, total=counts.total, unattended=counts.unattended, by_age=counts.by_age
    )


def _prompt(prompt: Prompt, now: datetime) -> pb.WaitingPrompt:
    message = pb.WaitingPrompt(
        prompt_id=prompt.prompt_id,
        job_id=prompt.job_id,
        job_type=prompt.job_type,
        kind=prompt.content.kind,
        title=prompt.content.title,
        priority=prompt.content.priority,
        claimed_by=prompt.claimant(now),
    )
    put_time(message.create_time, prompt.created_at)
    if prompt.expires_at is not None:
        put_time(message.expire_time, prompt.expires_at)
    if prompt.unattended_since is not None:
        put_time(message.unattended_time, prompt.unattended_since)
    return message


def _streams(connected: Connected) -> pb.ConnectedStreams:
    return pb.ConnectedStreams(
        consoles=connected.consoles, people=connected.people, workers=connected.workers
    )


def _activity(activity: Activity) -> pb.Activity:
    window = activity.window
    message = pb.Activity(
        total=_counts(activity.total),
        answer_times=_answer_times(activity.total),
        by_type=[
            pb.ActivityOfType(
                job_type=job_type, kind=kind, counts=_counts(counts), answer_times=_answer_times(counts)
            )
            for (job_type, kind), counts in activity.by_type.items()
        ],
    )
    put_time(message.start_time, window.start)
    put_span(message.step, window.step)
    if activity.counted_until is not None:
        put_time(message.counted_time, activity.counted_until)
    for start, counts in zip(window.starts, activity.points, strict=True):
        point = message.points.add(counts=_counts(counts), answer_times=_answer_times(counts))
        put_time(point.time, start)
    return message


def _counts(counts: Counts) -> pb.ActivityCounts:
    return pb.ActivityCounts(**{measure.value: counts.by_measure[measure] for measure in Measure})


def _answer_times(counts: Counts) -> pb.AnswerTimes:
    message = pb.AnswerTimes(count=counts.by_measure[Measure.PROMPTS_ANSWERED])
    for name, ratio in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        estimate = percentile(counts.buckets, ratio)
        if estimate is not None:
            put_span(getattr(message, name), estimate)
    return message
