"""The figures of a namespace, as the SDK returns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta

from google.protobuf.message import Message

from askback._model.times import moment
from askback.v1 import job_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Waiting:
    """Open prompts: all, or those of one kind or priority.

    `unattended` is the number of those without a connected person who may answer. `by_age` has the number in
    each age class: the upper bound of the class, None for the last one, and how many.
    """

    total: int
    unattended: int
    by_age: tuple[tuple[timedelta | None, int], ...]


@dataclass(frozen=True, slots=True)
class WaitingPrompt:
    """An open prompt without its content.

    `unattended_since` is the time since when no connected person may answer it, None if there is one.
    """

    prompt_id: str
    job_id: str
    job_type: str
    kind: str
    title: str
    priority: int
    created_at: datetime | None
    expires_at: datetime | None
    claimed_by: str
    unattended_since: datetime | None


@dataclass(frozen=True, slots=True)
class ConnectedStreams:
    """Who is connected, at all replicas: open views of prompts, the people who have them, worker sessions."""

    consoles: int
    people: int
    workers: int


@dataclass(frozen=True, slots=True)
class ActivityCounts:
    """What happened to jobs and prompts, and how long people took to answer.

    `prompts_answered` are the answers by people. Half of them took at most `p50`, 90 % at most `p90`, 99 % at
    most `p99`: estimates from a histogram, None without an answer. `prompts_defaulted` are answers by the
    default of a passed deadline, `prompts_carried` those that a retried job took over.
    """

    jobs_created: int
    jobs_completed: int
    jobs_failed: int
    jobs_cancelled: int
    prompts_asked: int
    prompts_answered: int
    prompts_defaulted: int
    prompts_carried: int
    prompts_expired: int
    prompts_withdrawn: int
    p50: timedelta | None
    p90: timedelta | None
    p99: timedelta | None


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened in a window of time, counted by the full hour.

    `points` has the window in steps of the length `step`, by their begin, oldest first and without a gap; the
    last one goes until now. `by_type` has the most frequent job types, by type and kind of prompt; an entry
    with an empty kind counts the jobs of the type. Events until about `counted_until` are counted, None: none
    yet.
    """

    start: datetime | None
    counted_until: datetime | None
    step: timedelta
    total: ActivityCounts
    points: dict[datetime, ActivityCounts]
    by_type: dict[tuple[str, str], ActivityCounts]


@dataclass(frozen=True, slots=True)
class Overview:
    """The figures of a namespace, as `Client.overview` returns them.

    `time` is the server's time of the reading. `waiting` has all open prompts that the caller may see,
    `by_kind` and `by_priority` the same in groups; if `partial`, there are more than the server counts, and
    the figures are those of the oldest. `oldest` are at most 10 of them. `connected` and `activity` are None
    for a caller without the role client. `proto` is the contract's message.
    """

    time: datetime | None
    waiting: Waiting
    by_kind: dict[str, Waiting]
    by_priority: dict[int, Waiting]
    partial: bool
    oldest: tuple[WaitingPrompt, ...]
    connected: ConnectedStreams | None
    activity: Activity | None
    proto: pb.GetOverviewResponse = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, reply: pb.GetOverviewResponse) -> Overview:
        """The overview that a message describes."""
        waiting = reply.waiting
        bounds = [bound.ToTimedelta() for bound in waiting.age_bounds]
        return cls(
            moment(reply, "time"),
            _waiting(waiting, bounds),
            {each.kind: _waiting(each, bounds) for each in waiting.by_kind},
            {each.priority: _waiting(each, bounds) for each in waiting.by_priority},
            waiting.partial,
            tuple(_prompt(each) for each in reply.oldest),
            _connected(reply.streams) if reply.HasField("streams") else None,
            _activity(reply.activity) if reply.HasField("activity") else None,
            reply,
        )


def _waiting(
    counts: pb.WaitingPrompts | pb.WaitingOfKind | pb.WaitingOfPriority, bounds: Sequence[timedelta]
) -> Waiting:
    by_age = tuple(zip([*bounds, None], counts.by_age, strict=True))
    return Waiting(counts.total, counts.unattended, by_age)


def _prompt(prompt: pb.WaitingPrompt) -> WaitingPrompt:
    return WaitingPrompt(
        prompt.prompt_id,
        prompt.job_id,
        prompt.job_type,
        prompt.kind,
        prompt.title,
        prompt.priority,
        moment(prompt, "create_time"),
        moment(prompt, "expire_time"),
        prompt.claimed_by,
        moment(prompt, "unattended_time"),
    )


def _connected(streams: pb.ConnectedStreams) -> ConnectedStreams:
    return ConnectedStreams(streams.consoles, streams.people, streams.workers)


def _activity(activity: pb.Activity) -> Activity:
    points = {}
    for point in activity.points:
        begin = moment(point, "time")
        if begin is not None:
            points[begin] = _counts(point.counts, point.answer_times)
    return Activity(
        moment(activity, "start_time"),
        moment(activity, "counted_time"),
        activity.step.ToTimedelta(),
        _counts(activity.total, activity.answer_times),
        points,
        {(each.job_type, each.kind): _counts(each.counts, each.answer_times) for each in activity.by_type},
    )


def _counts(counts: pb.ActivityCounts, times: pb.AnswerTimes) -> ActivityCounts:
    measures = (getattr(counts, name) for name in _MEASURES)
    return ActivityCounts(*measures, *(_span(times, name) for name in _PERCENTILES))


_PERCENTILES = ("p50", "p90", "p99")
_MEASURES = [each.name for each in fields(ActivityCounts) if each.name not in _PERCENTILES]


def _span(message: Message, name: str) -> timedelta | None:
    found: timedelta | None = getattr(message, name).ToTimedelta() if message.HasField(name) else None
    return found
