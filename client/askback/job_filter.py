"""Which jobs: from the SDK's arguments to the contract's JobFilter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from askback.enums import JobState
from askback.times import timestamp
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as pb


def job_filter(
    states: Iterable[JobState | str],
    job_types: Iterable[str],
    user_ids: Iterable[str],
    labels: Mapping[str, str] | None,
    created_after: datetime | None,
    created_before: datetime | None,
    id_suffix: str = "",
) -> pb.JobFilter:
    """The filter. Raises ValueError for an unknown state, InvalidTime for a naive datetime."""
    return pb.JobFilter(
        states=[job_pb2.JobState.Value(f"JOB_STATE_{JobState(state)}") for state in states],
        job_types=job_types,
        user_ids=user_ids,
        labels=dict(labels or {}),
        created_after=None if created_after is None else timestamp(created_after, "created_after"),
        created_before=None if created_before is None else timestamp(created_before, "created_before"),
        id_suffix=id_suffix,
    )
