"""Typed keywords for new values of a job and of its deep-understanding state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypedDict

from askback_server.domain.jobs import Failure, JobState, Progress, Wake


class JobValues(TypedDict, total=False):
    """The fields of a job that UpdateJob may set."""

    priority: int
    labels: Mapping[str, str]
    promoted: bool
    retention: timedelta | None


class JobFields(JobValues, total=False):
    """The fields of a job that a rule may set: the arguments of `Change.set`.

    The others are fixed when the job is created, or written with each event (`version`, `updated_at`).
    """

    state: JobState
    result_json: str
    failure: Failure | None
    progress: Progress | None
    attempt: int
    rounds: int
    open_prompts: int
    open_blocking: int
    wake: Wake
    token: int
    ready_at: datetime | None
    session_id: str | None
    worker_id: str
    holder: str
    completed_at: datetime | None
    cancel_requested_at: datetime | None
    cancel_at: datetime | None
    cancel_reason: str
    cancelled_by: str
    purge_at: datetime | None
    checkpoints: int
    understanding_version: int
    run_until: datetime | None
    run_left: timedelta | None
    stalled_at: datetime | None
    unreceived: int


class UnderstandingValues(TypedDict, total=False):
    """The fields of `DeepUnderstanding` that UpdateDeepUnderstanding may set."""

    questions_asked_json: str
    answers_json: str
    research_performed_json: str
    understanding_summary: str
    user_problem: str
    readiness_score: float
    complete: bool
