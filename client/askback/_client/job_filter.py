"""Builds the contract's JobFilter from the SDK's arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from askback._model.enums import JobState
from askback._model.times import timestamp
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as pb

LabelConditions = Mapping[str, str | Sequence[str]]
"""The required value of each label by name, or several alternatives."""


def label_fields(labels: LabelConditions | None) -> dict[str, Any]:
    """The label fields of a filter; all labels must match."""
    given = labels or {}
    several = {name: values for name, values in given.items() if not isinstance(values, str)}
    return {
        "labels": {name: value for name, value in given.items() if isinstance(value, str)},
        "any_labels": [job_pb2.LabelCondition(name=name, values=values) for name, values in several.items()],
    }


def job_filter(
    states: Iterable[JobState | str],
    job_types: Iterable[str],
    user_ids: Iterable[str],
    labels: LabelConditions | None,
    created_after: datetime | None,
    created_before: datetime | None,
    id_suffix: str = "",
) -> pb.JobFilter:
    """Build the filter. Raises ValueError for an unknown state, InvalidTime for a naive datetime."""
    return pb.JobFilter(
        states=[job_pb2.JobState.Value(f"JOB_STATE_{JobState(state)}") for state in states],
        job_types=job_types,
        user_ids=user_ids,
        **label_fields(labels),
        created_after=None if created_after is None else timestamp(created_after, "created_after"),
        created_before=None if created_before is None else timestamp(created_before, "created_before"),
        id_suffix=id_suffix,
    )
